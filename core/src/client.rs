//! Who asks, and where: the client's side of a refresh.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::secret::{Secret, at_rest_option};

/// What a refresh needs besides the refresh token. Kept in the record, so that a program that
/// only finds the record can refresh it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Client {
    /// The token endpoint (RFC 6749 section 3.2): an absolute `https` URL, or `http` on loopback.
    pub token_endpoint: String,
    /// The client identifier (RFC 6749 section 2.2).
    pub client_id: String,
    /// How the client authenticates (RFC 6749 section 2.3).
    #[serde(default)]
    pub authentication: ClientAuthentication,
    /// The client secret, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "at_rest_option")]
    pub client_secret: Option<Secret>,
    /// The revocation endpoint (RFC 7009), if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocation_endpoint: Option<String>,
    /// The issuer (RFC 8414), if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// The provider profile that the credential was saved with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// How the client shows who it is at the token endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ClientAuthentication {
    /// A public client: the `client_id` stands in the body (RFC 6749 section 3.2.1).
    #[default]
    None,
    /// HTTP Basic (RFC 6749 section 2.3.1).
    ClientSecretBasic,
    /// The secret stands in the body (RFC 6749 section 2.3.1).
    ClientSecretPost,
}

impl Client {
    /// A public client without further endpoints.
    pub fn new(token_endpoint: impl Into<String>, client_id: impl Into<String>) -> Self {
        Self {
            token_endpoint: token_endpoint.into(),
            client_id: client_id.into(),
            ..Self::default()
        }
    }

    /// Whether both would make the same token request; the secret counts.
    pub fn is(&self, other: &Self) -> bool {
        let secret = match (&self.client_secret, &other.client_secret) {
            (Some(ours), Some(theirs)) => ours.is(theirs),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        secret
            && self.token_endpoint == other.token_endpoint
            && self.client_id == other.client_id
            && self.authentication == other.authentication
    }
}
