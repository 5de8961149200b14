//! What an authorization server says of itself (RFC 8414, OpenID Connect Discovery).

use serde::Deserialize;

use crate::document::{DocumentError, fetch};
use crate::endpoint::{Endpoint, EndpointError};
use crate::http::Http;
use crate::reach::Reach;
use crate::text::shown_url;

/// The endpoints and abilities of an authorization server. Each endpoint was checked.
///
/// Of a list that the server does not give nothing is known, which is `None`.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerMetadata {
    /// The issuer, byte for byte as the server writes it. `None` if nobody said.
    pub issuer: Option<String>,
    /// Where the browser goes (RFC 6749 section 3.1).
    pub authorization_endpoint: Option<Endpoint>,
    /// Where grants are made (RFC 6749 section 3.2).
    pub token_endpoint: Endpoint,
    /// Where a device begins (RFC 8628 section 3.1).
    pub device_authorization_endpoint: Option<Endpoint>,
    /// Where tokens are revoked (RFC 7009).
    pub revocation_endpoint: Option<Endpoint>,
    /// The scopes that it knows, perhaps not all.
    pub scopes_supported: Option<Vec<String>>,
    /// The methods of PKCE (RFC 7636).
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// The grant types.
    pub grant_types_supported: Option<Vec<String>>,
    /// How clients may authenticate at the token endpoint.
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// Whether its redirects name the issuer (RFC 9207 section 3).
    pub authorization_response_iss_parameter_supported: bool,
}

/// Endpoints that were given by hand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Endpoints<'a> {
    /// The token endpoint.
    pub token: &'a str,
    /// The authorization endpoint, for a login with the browser.
    pub authorization: Option<&'a str>,
    /// The device authorization endpoint, for a login with a device.
    pub device_authorization: Option<&'a str>,
    /// The revocation endpoint, for a logout.
    pub revocation: Option<&'a str>,
    /// The issuer, if it is known: then the server's answers are held against it.
    pub issuer: Option<&'a str>,
}

/// Why there is no metadata of an authorization server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerMetadataError {
    /// The issuer is no URL to begin with: the configuration.
    #[error("{issuer} cannot be an issuer: {source}; check what was configured")]
    Issuer {
        /// What was asked for.
        issuer: String,
        /// What is wrong.
        source: EndpointError,
    },
    /// The issuer has a query, which RFC 8414 section 2 forbids: the configuration.
    #[error("{issuer} cannot be an issuer, for it has a query; check what was configured")]
    IssuerQuery {
        /// What was asked for.
        issuer: String,
    },
    /// No document at any of the well-known places: the configuration, or the operator.
    #[error("{issuer} publishes no metadata: check the issuer, or configure the endpoints by hand")]
    NotFound {
        /// What was asked for.
        issuer: String,
    },
    /// What is at a well-known place is no metadata.
    #[error("no metadata from {url}: {source}")]
    Document {
        /// The place.
        url: String,
        /// What is there.
        source: DocumentError,
    },
    /// The document is another issuer's (RFC 8414 section 3.3): the configuration, or an attack.
    #[error(
        "the metadata of {asked} is for the issuer {found}: if that is the one meant, configure \
         it exactly so"
    )]
    IssuerDiffers {
        /// What was asked for.
        asked: String,
        /// What the document says.
        found: String,
    },
    /// There is no token endpoint: the operator.
    #[error("the metadata names no token endpoint: the operator of the server must add it")]
    TokenEndpointMissing,
    /// An endpoint is not one that a login goes to: the operator, or the configuration.
    #[error("the {name} {url} is not used: {source}; whoever named it must mend it")]
    Endpoint {
        /// The member of the metadata.
        name: &'static str,
        /// What is there.
        url: String,
        /// What is wrong with it.
        source: EndpointError,
    },
}

/// The document (RFC 8414 section 2).
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    device_authorization_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    scopes_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
    grant_types_supported: Option<Vec<String>>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    authorization_response_iss_parameter_supported: Option<bool>,
}

impl ServerMetadata {
    /// Fetches the metadata of this issuer: from where RFC 8414 section 3.1 puts it, else from
    /// where OpenID Connect Discovery section 4 does, else from where RFC 8414 section 5 puts the
    /// latter. Only where the server says that there is nothing the next place is asked.
    ///
    /// # Errors
    ///
    /// Any variant of [`ServerMetadataError`].
    pub async fn discover(http: &Http, issuer: &str) -> Result<Self, ServerMetadataError> {
        let malformed = |source| ServerMetadataError::Issuer { issuer: shown_url(issuer), source };
        let base = Endpoint::parse(issuer).map_err(malformed)?;
        if base.url().query().is_some() {
            return Err(ServerMetadataError::IssuerQuery { issuer: shown_url(issuer) });
        }
        base.within(http.reach()).map_err(|refused| malformed(refused.into()))?;
        for place in places(&base) {
            let document = fetch::<Document>(http, &place).await.map_err(|source| {
                ServerMetadataError::Document { url: shown_url(place.as_str()), source }
            })?;
            if let Some(document) = document {
                return document.checked(issuer, &base, http.reach());
            }
        }
        Err(ServerMetadataError::NotFound { issuer: shown_url(issuer) })
    }

    /// Metadata of endpoints that the user or the program's configuration gave. They are held to
    /// the same rules, except that they may be anywhere: whoever gave them knows.
    ///
    /// # Errors
    ///
    /// [`ServerMetadataError::Endpoint`].
    pub fn explicit(endpoints: &Endpoints<'_>) -> Result<Self, ServerMetadataError> {
        let one = |name, text: &str| {
            Endpoint::parse(text).map_err(|source| endpoint_error(name, text, source))
        };
        let some = |name, text: Option<&str>| text.map(|text| one(name, text)).transpose();
        Ok(Self {
            issuer: endpoints.issuer.map(str::to_owned),
            authorization_endpoint: some("authorization_endpoint", endpoints.authorization)?,
            token_endpoint: one("token_endpoint", endpoints.token)?,
            device_authorization_endpoint: some(
                "device_authorization_endpoint",
                endpoints.device_authorization,
            )?,
            revocation_endpoint: some("revocation_endpoint", endpoints.revocation)?,
            scopes_supported: None,
            code_challenge_methods_supported: None,
            grant_types_supported: None,
            token_endpoint_auth_methods_supported: None,
            authorization_response_iss_parameter_supported: false,
        })
    }
}

impl Document {
    fn checked(
        self,
        issuer: &str,
        base: &Endpoint,
        reach: Reach,
    ) -> Result<ServerMetadata, ServerMetadataError> {
        if self.issuer != issuer {
            return Err(ServerMetadataError::IssuerDiffers {
                asked: shown_url(issuer),
                found: shown_url(&self.issuer),
            });
        }
        let endpoint = |name, text: Option<String>| {
            text.map(|text| {
                Endpoint::named(&text, base, reach)
                    .map_err(|source| endpoint_error(name, &text, source))
            })
            .transpose()
        };
        Ok(ServerMetadata {
            issuer: Some(self.issuer),
            authorization_endpoint: endpoint(
                "authorization_endpoint",
                self.authorization_endpoint,
            )?,
            token_endpoint: endpoint("token_endpoint", self.token_endpoint)?
                .ok_or(ServerMetadataError::TokenEndpointMissing)?,
            device_authorization_endpoint: endpoint(
                "device_authorization_endpoint",
                self.device_authorization_endpoint,
            )?,
            revocation_endpoint: endpoint("revocation_endpoint", self.revocation_endpoint)?,
            scopes_supported: self.scopes_supported,
            code_challenge_methods_supported: self.code_challenge_methods_supported,
            grant_types_supported: self.grant_types_supported,
            token_endpoint_auth_methods_supported: self.token_endpoint_auth_methods_supported,
            authorization_response_iss_parameter_supported: self
                .authorization_response_iss_parameter_supported
                .unwrap_or(false),
        })
    }
}

fn endpoint_error(name: &'static str, text: &str, source: EndpointError) -> ServerMetadataError {
    ServerMetadataError::Endpoint { name, url: shown_url(text), source }
}

/// Where the metadata of this issuer can be, each place once.
fn places(issuer: &Endpoint) -> Vec<Endpoint> {
    // Both RFC 8414 section 3.1 and OpenID Connect Discovery section 4.1 drop a slash at the end.
    let path = issuer.url().path().trim_end_matches('/');
    let mut places = vec![
        issuer.with_path(&format!("/.well-known/oauth-authorization-server{path}")),
        issuer.with_path(&format!("{path}/.well-known/openid-configuration")),
        issuer.with_path(&format!("/.well-known/openid-configuration{path}")),
    ];
    places.dedup();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "https://as.example/t";

    /// The metadata of a server that is on no loopback, with one member replaced.
    fn public(member: &str, value: &str) -> Result<ServerMetadata, ServerMetadataError> {
        let mut document = serde_json::json!({
            "issuer": PUBLIC,
            "authorization_endpoint": "https://as.example/authorize",
            "token_endpoint": "https://as.example/token",
        });
        document[member] = value.into();
        let base = Endpoint::parse(PUBLIC).unwrap();
        let document: Document = serde_json::from_value(document).unwrap();
        document.checked(PUBLIC, &base, Reach::Public)
    }

    #[test]
    fn the_path_of_an_issuer_is_inserted_or_comes_first() {
        let at = |issuer: &str| -> Vec<String> {
            places(&Endpoint::parse(issuer).unwrap()).iter().map(ToString::to_string).collect()
        };
        for issuer in ["https://as.example/a/b", "https://as.example/a/b/"] {
            assert_eq!(
                at(issuer),
                [
                    "https://as.example/.well-known/oauth-authorization-server/a/b",
                    "https://as.example/a/b/.well-known/openid-configuration",
                    "https://as.example/.well-known/openid-configuration/a/b",
                ]
            );
        }
        assert_eq!(
            at("https://as.example"),
            [
                "https://as.example/.well-known/oauth-authorization-server",
                "https://as.example/.well-known/openid-configuration",
            ]
        );
    }

    #[test]
    fn a_public_server_names_public_endpoints_only() {
        assert!(public("revocation_endpoint", "https://other.example/revoke").is_ok());
        for name in [
            "authorization_endpoint",
            "token_endpoint",
            "device_authorization_endpoint",
            "revocation_endpoint",
        ] {
            for url in [
                "http://as.example/x",
                "http://127.0.0.1:8080/x",
                "https://localhost/x",
                "https://10.0.0.1/x",
                "https://[fe80::1]/x",
                "https://169.254.169.254/x",
                "https://user@as.example/x",
                "https://as.example/x#y",
                "javascript:alert(1)",
                "/x",
                "",
            ] {
                let Err(ServerMetadataError::Endpoint { name: named, .. }) = public(name, url)
                else {
                    panic!("{name} {url}")
                };
                assert_eq!(named, name);
            }
        }
    }

    #[test]
    fn an_issuer_is_compared_byte_for_byte() {
        for found in ["https://as.example/t/", "https://AS.example/t", "https://as.example:443/t"] {
            let Err(ServerMetadataError::IssuerDiffers { asked, found: named }) =
                public("issuer", found)
            else {
                panic!("{found}")
            };
            assert_eq!((asked.as_str(), named.as_str()), (PUBLIC, found));
        }
    }

    #[test]
    fn endpoints_by_hand_are_held_to_the_same_rules() {
        let good = Endpoints { token: "http://127.0.0.1:1/token", ..Endpoints::default() };
        assert!(ServerMetadata::explicit(&good).is_ok());
        let bad = Endpoints { revocation: Some("http://as.example/r"), ..good };
        let refused = ServerMetadata::explicit(&bad).unwrap_err();
        assert!(
            matches!(refused, ServerMetadataError::Endpoint { name: "revocation_endpoint", .. }),
            "{refused}"
        );
    }
}
