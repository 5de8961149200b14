//! Servers' words and numbers, made fit to be shown and reckoned with.

use alloc::string::String;
use core::time::Duration;

/// The longest code that is kept. Registered ones stay below 40 bytes.
const MAX_CODE: usize = 256;

/// The longest wait that a server can ask for, a day: a wrong clock there must not end the
/// credential here.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// A number of seconds, rounded up: a wait must not end early.
pub(super) fn rounded_up(seconds: f64) -> Duration {
    // The cast rounds down and saturates.
    let whole = seconds as u64;
    Duration::from_secs(whole.saturating_add(u64::from(seconds > whole as f64)))
}

/// A server's text, fit to be shown to people and logged: at most 256 bytes, without control
/// characters and without those that turn the direction of text or cannot be seen.
///
/// ```
/// use regrant_core::protocol::cleaned;
///
/// assert_eq!(cleaned("invalid\u{1b}[31m_grant\u{202e}\u{200b}\r\n"), "invalid[31m_grant");
/// ```
pub fn cleaned(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars().filter(|c| is_shown(*c)) {
        if out.len() + c.len_utf8() > MAX_CODE {
            break;
        }
        out.push(c);
    }
    out
}

/// A URL, or what was to be one, fit to be shown: the same, without user and password, and with a
/// query or a fragment only hinted at.
///
/// ```
/// use regrant_core::protocol::shown_url;
///
/// assert_eq!(shown_url("https://user:pass@as.example/a?key=k"), "https://as.example/a?...");
/// ```
pub fn shown_url(text: &str) -> String {
    let (url, cut) = match text.find(['?', '#']) {
        Some(at) => (&text[..at], &text[at..=at]),
        None => (text, ""),
    };
    let hint = if cut.is_empty() { "" } else { "..." };
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (alloc::format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let authority = &rest[..rest.find(['/', '\\']).unwrap_or(rest.len())];
    // What follows a host is a port. Anything else is a password, perhaps one with a slash in it.
    let port = authority.rsplit_once(':').filter(|_| !authority.ends_with(']'));
    let odd = port.is_some_and(|(_, port)| !port.bytes().all(|byte| byte.is_ascii_digit()));
    let user = if odd && !authority.contains('@') { rest } else { authority };
    let host = user.rfind('@').map_or(0, |at| at + 1);
    cleaned(&alloc::format!("{scheme}{}{cut}{hint}", &rest[host..]))
}

/// Whether a text holds a piece of a secret: eight bytes in a row, so many that no code shares them
/// by chance, or the whole of a shorter one. Without regard to case, for codes are shown in lower
/// case.
pub(super) fn quotes(text: &str, secret: &str) -> bool {
    const PIECE: usize = 8;
    /// Longer than any token that a header carries; what lies beyond costs time and tells nothing.
    const LONGEST: usize = 16 * 1024;
    let secret = secret.as_bytes();
    let secret = &secret[..secret.len().min(LONGEST)];
    let length = secret.len().min(PIECE);
    length > 0
        && text
            .as_bytes()
            .windows(length)
            .any(|part| secret.windows(length).any(|piece| part.eq_ignore_ascii_case(piece)))
}

/// Whether a text can be shown and used as it is: a URL, at most 2 KiB.
pub(super) fn is_fit(text: &str) -> bool {
    text.len() <= 2048 && text.chars().all(is_shown)
}

fn is_shown(c: char) -> bool {
    let unseen = matches!(
        c,
        '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}'
    );
    !c.is_control() && !unseen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        for (text, seen) in [
            ("https://as.example/a", "https://as.example/a"),
            ("https://as.example:8443/a@b", "https://as.example:8443/a@b"),
            ("https://[::1]/a@b", "https://[::1]/a@b"),
            ("https://user:canary@as.example/a@b", "https://as.example/a@b"),
            ("https://user:can/ary@as.example/a", "https://as.example/a"),
            ("https://a@canary@as.example", "https://as.example"),
            ("user:canary@as.example", "as.example"),
            ("https://as.example/a?code=canary#canary", "https://as.example/a?..."),
            ("https://as.example#canary", "https://as.example#..."),
            ("https:\\\\as.example", "https:\\\\as.example"),
            ("", ""),
        ] {
            assert_eq!(shown_url(text), seen, "{text}");
        }
    }

    #[test]
    fn a_code_is_cut_at_256_bytes_and_not_inside_a_letter() {
        assert_eq!(cleaned(&"a".repeat(300)), "a".repeat(256));
        assert_eq!(cleaned(&"é".repeat(300)), "é".repeat(128));
        assert_eq!(cleaned(&alloc::format!("a{}", "é".repeat(300))).len(), 255);
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        for (seconds, whole) in
            [(0.0, 0), (0.1, 1), (64.0, 64), (64.57, 65), (-1.0, 0), (f64::INFINITY, u64::MAX)]
        {
            assert_eq!(rounded_up(seconds), Duration::from_secs(whole), "{seconds}");
        }
    }

    #[test]
    fn a_url_of_2_kib_is_fit_and_one_with_what_cannot_be_seen_is_not() {
        assert!(is_fit("") && is_fit("https://as.example/ä") && is_fit(&"u".repeat(2048)));
        assert!(!is_fit(&"u".repeat(2049)));
        for unseen in ['\n', '\0', '\u{7f}', '\u{200b}', '\u{202e}', '\u{feff}'] {
            assert!(!is_fit(&alloc::format!("https://as.example/{unseen}")), "{unseen:?}");
        }
    }

    #[test]
    fn of_a_secret_the_first_16_kib_are_looked_for() {
        let secret = "s".repeat((16 << 10) - 8) + "LAST-ONE" + "BEYOND-IT";
        assert!(quotes("LAST-ONE", &secret));
        assert!(!quotes("BEYOND-IT", &secret));
    }

    #[test]
    fn a_piece_of_eight_bytes_is_a_quotation() {
        assert!(quotes("x ABCDEFGH", "00abcdefgh11"));
        assert!(!quotes("x abcdefg", "00abcdefgh11"));
        assert!(quotes("an s3cret", "S3cret"));
        assert!(!quotes("anything", ""));
    }
}
