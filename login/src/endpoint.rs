//! URLs that a login may go to.

use std::fmt;

use regrant_core::{Origin, OriginError};
use url::{Host, Url};

use crate::reach::{AddressRefused, Network, Reach, is_localhost};
use crate::text::shown_url;

/// An absolute URL that may be sent secrets or shown to people: `https`, or `http` on loopback,
/// without a user, a password or a fragment.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    origin: Origin,
}

/// Why a URL is no endpoint of a login.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// It is no absolute URL, or one that programs read differently.
    #[error("it is no absolute URL")]
    Malformed,
    /// It is not `https`, and not `http` on loopback; or its host or port is wrong.
    #[error(transparent)]
    Origin(#[from] OriginError),
    /// It holds a user or a password.
    #[error("it holds a user or a password")]
    Credentials,
    /// It has a fragment.
    #[error("it has a fragment")]
    Fragment,
    /// A server elsewhere named this machine.
    #[error("it is on this machine, and a server elsewhere named it")]
    Local,
    /// Its address is out of reach.
    #[error(transparent)]
    Address(#[from] AddressRefused),
}

impl Endpoint {
    /// Reads a URL that the user or the program's configuration gave.
    ///
    /// # Errors
    ///
    /// Any variant of [`EndpointError`] but [`Local`](EndpointError::Local) and
    /// [`Address`](EndpointError::Address), which depend on who asks.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        // A parser of the web drops blanks and takes a backslash for a slash, others do not.
        let odd = |c: char| c.is_ascii_control() || matches!(c, ' ' | '\\');
        if text.contains(odd) {
            return Err(EndpointError::Malformed);
        }
        let url = Url::parse(text).map_err(|_| EndpointError::Malformed)?;
        if !text.get(url.scheme().len()..).is_some_and(|rest| rest.starts_with("://"))
            && matches!(url.scheme(), "http" | "https")
        {
            return Err(EndpointError::Malformed);
        }
        let host = url.host_str().unwrap_or_default();
        let origin = Origin::new(url.scheme(), host, url.port_or_known_default().unwrap_or(0))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EndpointError::Credentials);
        }
        if url.fragment().is_some() {
            return Err(EndpointError::Fragment);
        }
        Ok(Self { url, origin })
    }

    /// Reads a URL that a server named. It may be on this machine only if that server is.
    pub(crate) fn named(text: &str, by: &Self, reach: Reach) -> Result<Self, EndpointError> {
        let endpoint = Self::parse(text)?;
        if endpoint.is_local() && !by.is_local() {
            return Err(EndpointError::Local);
        }
        endpoint.within(reach)?;
        Ok(endpoint)
    }

    /// The URL as text.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Where it is: what a token can be bound to.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Whether it is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => is_localhost(name),
            Some(Host::Ipv4(address)) => Network::of(address.into()) == Network::Loopback,
            Some(Host::Ipv6(address)) => Network::of(address.into()) == Network::Loopback,
            None => false,
        }
    }

    /// Whether its address may be contacted, where it states one. Names are the resolver's.
    pub(crate) fn within(&self, reach: Reach) -> Result<(), AddressRefused> {
        let address = match self.url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        if reach.allows(address) {
            return Ok(());
        }
        let host = self.origin.host().to_owned();
        Err(AddressRefused { host, network: Network::of(address) })
    }

    /// The same origin with another path, and no query.
    pub(crate) fn with_path(&self, path: &str) -> Self {
        let mut url = self.url.clone();
        url.set_path(path);
        url.set_query(None);
        Self { url, origin: self.origin.clone() }
    }

    /// The same URL with a query.
    pub(crate) fn with_query(mut self, query: Option<&str>) -> Self {
        self.url.set_query(query);
        self
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its query may hold a user's code.
        write!(f, "Endpoint({})", shown_url(self.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_https_or_on_loopback() {
        for good in [
            "https://as.example/token",
            "HTTPS://as.example:8443/token?tenant=a",
            "http://127.0.0.1:1/t",
            "http://[::1]:1/t",
            "http://localhost/t",
        ] {
            assert!(Endpoint::parse(good).is_ok(), "{good}");
        }
        for bad in
            ["http://as.example/token", "http://127.0.0.1.evil.example/", "http://a.localhost/"]
        {
            let refused = Endpoint::parse(bad);
            assert_eq!(refused, Err(EndpointError::Origin(OriginError::NotLoopback)), "{bad}");
        }
        for bad in
            ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "ftp://as.example/"]
        {
            let refused = Endpoint::parse(bad);
            assert_eq!(refused, Err(EndpointError::Origin(OriginError::Scheme)), "{bad}");
        }
    }

    #[test]
    fn what_programs_read_differently_is_no_endpoint() {
        for bad in [
            "",
            "/token",
            "as.example/token",
            "https:as.example/token",
            "https:/as.example/token",
            "https:\\\\as.example\\token",
            " https://as.example/token",
            "https://as.example/to\tken",
            "https://as.example/token\n",
        ] {
            assert_eq!(Endpoint::parse(bad), Err(EndpointError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn an_endpoint_has_no_user_and_no_fragment() {
        for bad in ["https://user:secret@as.example/", "https://as.example@evil.example/"] {
            assert_eq!(Endpoint::parse(bad), Err(EndpointError::Credentials), "{bad}");
        }
        for bad in ["https://as.example/#a", "https://as.example/#"] {
            assert_eq!(Endpoint::parse(bad), Err(EndpointError::Fragment), "{bad}");
        }
    }

    #[test]
    fn a_server_elsewhere_names_nothing_on_this_machine() {
        let public = Endpoint::parse("https://as.example").unwrap();
        let local = Endpoint::parse("http://127.0.0.1:1").unwrap();
        for text in [
            "http://127.0.0.1:1/token",
            "https://127.0.0.1/token",
            "https://0x7f.1/token",
            "https://localhost/token",
            "https://LOCALHOST./token",
            "https://a.localhost/token",
            "https://[::1]/token",
            "https://[::ffff:127.0.0.1]/token",
        ] {
            for reach in [Reach::Public, Reach::Private] {
                let refused = Endpoint::named(text, &public, reach);
                assert_eq!(refused, Err(EndpointError::Local), "{text}");
                assert!(Endpoint::named(text, &local, reach).is_ok(), "{text}");
            }
        }
    }

    #[test]
    fn an_address_out_of_reach_is_refused_before_anything_is_sent() {
        let public = Endpoint::parse("https://as.example").unwrap();
        for text in ["https://10.0.0.1/", "https://[fd00::1]/", "https://[::ffff:a00:1]/"] {
            let refused = Endpoint::named(text, &public, Reach::Public);
            assert!(matches!(refused, Err(EndpointError::Address(_))), "{text}: {refused:?}");
            assert!(Endpoint::named(text, &public, Reach::Private).is_ok(), "{text}");
        }
        let cloud = Endpoint::named("https://169.254.169.254/", &public, Reach::Private);
        assert!(matches!(cloud, Err(EndpointError::Address(_))));
    }
}
