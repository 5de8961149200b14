//! Text of servers that people are shown.

pub(crate) use regrant_core::protocol::cleaned as shown;

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
