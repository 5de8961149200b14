//! Who asks, and where: the client's side of a refresh.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::protocol::shown_url;
use crate::secret::{Secret, at_rest_option};
use crate::unknown::Unknown;

/// What a refresh needs besides the refresh token. Kept in the record, so that a program that
/// only finds the record can refresh it.
#[derive(Clone, Default, Serialize, Deserialize)]
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
    /// The provider profile that the credential was saved with: the name of a built-in one, or
    /// the whole text of another (see [`Profile::of`](crate::protocol::Profile::of)).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// How a new token is got.
    #[serde(default, skip_serializing_if = "Renewal::is_by_refresh_token")]
    pub renewal: Renewal,
    /// The scope that was asked for. A refresh names it only where the profile says so; a request
    /// by client credentials always does (RFC 6749 section 4.4.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// The resources that tokens are asked for (RFC 8707 section 2), absolute URIs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resource: Vec<String>,
    /// Whether tokens must be bound to a key of the client (RFC 9449): an unbound one is then
    /// refused, and the host has a proof signer.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub dpop: bool,
    /// Where a token comes from that cannot be renewed, as its user knows the place: the name of an
    /// environment variable, of a file. Told when it is rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// How a new access token is got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Renewal {
    /// By a refresh token (RFC 6749 section 6).
    #[default]
    RefreshToken,
    /// By asking again with the client's own credentials (RFC 6749 section 4.4): nothing is spent,
    /// so nothing can be lost.
    ClientCredentials,
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
    /// A token that the client signs with its private key (RFC 7523 section 2.2). The key, in
    /// PKCS #8 PEM, stands in the place of the secret, or the host signs.
    PrivateKeyJwt,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A URL can hold a password or a key.
        let url = |url: &Option<String>| url.as_deref().map(shown_url);
        f.debug_struct("Client")
            .field("token_endpoint", &shown_url(&self.token_endpoint))
            .field("client_id", &self.client_id)
            .field("authentication", &self.authentication)
            .field("client_secret", &self.client_secret)
            .field("revocation_endpoint", &url(&self.revocation_endpoint))
            .field("issuer", &url(&self.issuer))
            .field("profile", &self.profile)
            .field("renewal", &self.renewal)
            .field("scope", &self.scope)
            .field("resource", &self.resource)
            .field("dpop", &self.dpop)
            .field("source", &self.source)
            .field("unknown", &self.unknown)
            .finish()
    }
}

impl Renewal {
    // As serde wants it.
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
    fn is_by_refresh_token(&self) -> bool {
        *self == Self::RefreshToken
    }
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

    /// Whether both would make the same token request and read its answer alike; the secret
    /// counts.
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
            && self.profile == other.profile
            && self.renewal == other.renewal
            && self.scope == other.scope
            && self.resource == other.resource
            && self.dpop == other.dpop
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn what_is_printed_of_a_client_tells_who_asks_and_no_secret() {
        let mut client = Client::new("https://as.example/token?key=canary", "the-client");
        client.client_secret = Some(Secret::new("canary".into()));
        client.revocation_endpoint = Some("https://canary:canary@as.example/revoke".into());
        client.issuer = Some("https://as.example/?key=canary".into());
        client.unknown.insert("later".into(), "canary".into());
        let shown = format!("{client:?}");
        assert!(shown.contains("the-client") && shown.contains("https://as.example"), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }

    #[test]
    fn how_a_token_is_renewed_is_written_only_where_it_is_not_the_usual_way() {
        let mut client = Client::new("https://as.example/token", "client");
        assert!(!serde_json::to_string(&client).unwrap().contains("renewal"));
        client.renewal = Renewal::ClientCredentials;
        let text = serde_json::to_string(&client).unwrap();
        assert_eq!(serde_json::from_str::<Client>(&text).unwrap().renewal, client.renewal);
    }
}
