//! Text of servers that people are shown.

/// The longest text of a server that is shown, in bytes: codes and reasons stay below that.
const MAX_SHOWN: usize = 256;

/// A server's text, fit to be shown: cut, without control characters and without those that turn
/// the direction of text or cannot be seen.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars() {
        let unseen = matches!(
            c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}' | '\u{feff}'
        );
        if c.is_control() || unseen {
            continue;
        }
        if out.len() + c.len_utf8() > MAX_SHOWN {
            break;
        }
        out.push(c);
    }
    out
}

/// A URL, or what was to be one, fit to be shown: the same, without user and password, and with a
/// query or a fragment only hinted at.
pub(crate) fn shown_url(text: &str) -> String {
    let (url, cut) = match text.find(['?', '#']) {
        Some(at) => (&text[..at], &text[at..=at]),
        None => (text, ""),
    };
    let hint = if cut.is_empty() { "" } else { "..." };
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), url),
    };
    let authority = rest.find(['/', '\\']).unwrap_or(rest.len());
    let host = rest[..authority].rfind('@').map_or(0, |at| at + 1);
    shown(&format!("{scheme}{}{cut}{hint}", &rest[host..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_turns_nothing_and_hides_nothing() {
        assert_eq!(shown(" a\u{1b}[2J\u{202e}b\u{200b}\r\nc\u{feff} "), "a[2Jbc");
        assert_eq!(shown(&"ü".repeat(200)).len(), MAX_SHOWN);
    }

    #[test]
    fn a_url_is_shown_without_what_may_be_secret() {
        for (text, seen) in [
            ("https://as.example/a", "https://as.example/a"),
            ("https://user:canary@as.example/a@b", "https://as.example/a@b"),
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
}
