//! Where a request goes.

use regrant::Origin;
use url::Url;

/// The origin of a URL, if a token may go there at all: `https`, or `http` on loopback.
pub(crate) fn origin_of(url: &Url) -> Option<Origin> {
    Origin::new(url.scheme(), url.host_str()?, url.port_or_known_default()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Option<String> {
        origin_of(&Url::parse(url).unwrap()).map(|origin| origin.to_string())
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        assert_eq!(origin("https://API.example:443/a?b#c").unwrap(), "https://api.example");
        assert_eq!(origin("https://u:p@api.example:8443").unwrap(), "https://api.example:8443");
        assert_eq!(origin("http://[::1]:9/x").unwrap(), "http://[::1]:9");
        assert_eq!(origin("http://127.1:9/x").unwrap(), "http://127.0.0.1:9");
    }

    #[test]
    fn plain_http_elsewhere_is_none() {
        assert_eq!(origin("http://api.example/"), None);
        assert_eq!(origin("http://127.0.0.1.evil.example/"), None);
        assert_eq!(origin("data:text/plain,x"), None);
    }
}
