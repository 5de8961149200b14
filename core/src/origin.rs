//! Where a token may go.

use alloc::string::String;
use core::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Scheme, host and port: what a token is bound to (RFC 6454 section 4).
///
/// Only `https`, and `http` on loopback, can be an origin here: a token goes nowhere else.
/// Parsing a whole URL is the transport's business; it hands over the three parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    secure: bool,
    host: String,
    port: u16,
}

/// Why something is not an origin that a token may go to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OriginError {
    /// The scheme is neither `https` nor `http`.
    #[error("an origin begins with https://, or with http:// on loopback")]
    Scheme,
    /// Plain `http` to a host that is not loopback.
    #[error("http is allowed on loopback only; use https")]
    NotLoopback,
    /// The host is empty or holds a character that no host has.
    #[error("the host of the origin is missing or malformed")]
    Host,
    /// The port is no number from 1 to 65535.
    #[error("the port of the origin is not a number from 1 to 65535")]
    Port,
    /// Something follows the port: a path, a query, a user.
    #[error("an origin is scheme, host and port, with nothing after them")]
    Trailing,
}

impl Origin {
    /// The origin of these three parts. `host` is compared without regard to case; an IPv6
    /// address stands in brackets.
    ///
    /// # Errors
    ///
    /// [`OriginError::Scheme`], [`OriginError::NotLoopback`] or [`OriginError::Host`].
    pub fn new(scheme: &str, host: &str, port: u16) -> Result<Self, OriginError> {
        let secure = match scheme.to_ascii_lowercase().as_str() {
            "https" => true,
            "http" => false,
            _ => return Err(OriginError::Scheme),
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let v6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
        let plausible = match v6 {
            Some(inner) => {
                inner.contains(':')
                    && inner.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, ':' | '.'))
            }
            None => !host.is_empty() && host.chars().all(allowed),
        };
        if !plausible {
            return Err(OriginError::Host);
        }
        if port == 0 {
            return Err(OriginError::Port);
        }
        let host = host.to_ascii_lowercase();
        if !secure && !is_loopback(&host) {
            return Err(OriginError::NotLoopback);
        }
        Ok(Self { secure, host, port })
    }

    /// Reads `scheme://host[:port]`, as [`fmt::Display`] writes it.
    ///
    /// # Errors
    ///
    /// Any variant of [`OriginError`].
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::Scheme)?;
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['/', '?', '#', '@', '\\']) {
            return Err(OriginError::Trailing);
        }
        let (host, port) = match rest.rfind(':') {
            Some(colon) if !rest[colon..].contains(']') => {
                (&rest[..colon], Some(&rest[colon + 1..]))
            }
            _ => (rest, None),
        };
        let port = match port {
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| OriginError::Port)?
            }
            Some(_) => return Err(OriginError::Port),
            None if scheme.eq_ignore_ascii_case("https") => 443,
            None => 80,
        };
        Self::new(scheme, host, port)
    }

    /// `https` or `http`.
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// The host in lower case.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where it is the scheme's own.
    pub fn port(&self) -> u16 {
        self.port
    }
}

/// RFC 8252 section 8.3: `localhost` is loopback too, though the literals are better.
fn is_loopback(host: &str) -> bool {
    if host == "localhost" || host == "[::1]" {
        return true;
    }
    let mut parts = host.split('.');
    parts.next() == Some("127")
        && parts.clone().count() == 3
        && parts.all(|part| part.parse::<u8>().is_ok())
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.host)?;
        match (self.secure, self.port) {
            (true, 443) | (false, 80) => Ok(()),
            (_, port) => write!(f, ":{port}"),
        }
    }
}

impl Serialize for Origin {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Origin {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_origin_is_read_as_it_is_written() {
        for text in [
            "https://api.example",
            "http://127.0.0.1:8080",
            "https://[::1]:8443",
            "https://[::1]",
            "http://localhost",
        ] {
            assert_eq!(Origin::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(
            Origin::parse("HTTPS://API.Example:443/").unwrap().to_string(),
            "https://api.example"
        );
    }

    #[test]
    fn the_port_is_known_also_where_it_is_not_written() {
        let port = |text| Origin::parse(text).unwrap().port();
        let texts = ["https://api.example", "http://localhost", "https://api.example:8443"];
        assert_eq!(texts.map(port), [443, 80, 8443]);
    }

    #[test]
    fn plain_http_goes_to_loopback_only() {
        assert_eq!(Origin::parse("http://api.example"), Err(OriginError::NotLoopback));
        assert_eq!(Origin::parse("http://127.0.0.1.evil.example"), Err(OriginError::NotLoopback));
        for host in ["127.evil", "127.a.b.c", "127.0.0.256", "127.0.0", "127.0.0.0.1", "128.0.0.1"]
        {
            let text = alloc::format!("http://{host}");
            assert_eq!(Origin::parse(&text), Err(OriginError::NotLoopback), "{text}");
        }
        assert!(Origin::parse("http://localhost:1").is_ok());
        assert!(Origin::parse("http://[::1]:1").is_ok());
    }

    #[test]
    fn what_is_no_origin_is_refused_by_name() {
        assert_eq!(Origin::parse("ftp://x"), Err(OriginError::Scheme));
        assert_eq!(Origin::parse("nonsense"), Err(OriginError::Scheme));
        assert_eq!(Origin::parse("https://"), Err(OriginError::Host));
        assert_eq!(Origin::parse("https://a b"), Err(OriginError::Host));
        assert_eq!(Origin::parse("https://x:0"), Err(OriginError::Port));
        assert_eq!(Origin::parse("https://x:99999"), Err(OriginError::Port));
        assert_eq!(Origin::parse("https://x:"), Err(OriginError::Port));
        assert_eq!(Origin::parse("https://x:+443"), Err(OriginError::Port));
        assert_eq!(Origin::parse("https://x/path"), Err(OriginError::Trailing));
        assert_eq!(Origin::parse("https://u@x"), Err(OriginError::Trailing));
    }
}
