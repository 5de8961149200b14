//! What a login asks for, and who asks.

use oauth2::basic::BasicClient;
use oauth2::{AuthType, ClientId, ClientSecret, EndpointNotSet, EndpointSet, Scope, TokenUrl};
use regrant_core::protocol::{Profile, ProfileError};
use regrant_core::{Client, ClientAuthentication, Secret};
use url::Url;

use crate::server_metadata::ServerMetadata;
use crate::text::shown_url;

/// The parameters that a login writes itself (RFC 6749, RFC 7636, RFC 8628, RFC 8707).
const RESERVED: [&str; 15] = [
    "client_assertion",
    "client_assertion_type",
    "client_id",
    "client_secret",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "device_code",
    "grant_type",
    "redirect_uri",
    "resource",
    "response_type",
    "scope",
    "state",
];

/// What a login asks for, and who asks.
///
/// ```
/// use regrant_login::LoginRequest;
///
/// let mut request = LoginRequest::new("my-app");
/// request.scope = Some("openid offline_access".into());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LoginRequest {
    /// The client identifier (RFC 6749 section 2.2).
    pub client_id: String,
    /// How the client authenticates.
    pub authentication: ClientAuthentication,
    /// The client secret, where it has one.
    pub client_secret: Option<Secret>,
    /// The scope, its words separated by blanks.
    pub scope: Option<String>,
    /// The APIs that the token is for, each an absolute URI (RFC 8707).
    pub resources: Vec<String>,
    /// Further parameters of the authorization request, or of the device authorization request,
    /// or of the token request with client credentials, which has neither before it.
    pub parameters: Vec<(String, String)>,
    /// The provider profile, to read answers with and to pin with the credential: a name, or the
    /// text of one (see [`Profile::of`]).
    pub profile: Option<String>,
}

/// What is wrong with a request. The program's configuration must be mended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// There is no client identifier.
    #[error("there is no client id: configure the one that the authorization server gave")]
    ClientIdMissing,
    /// The client authenticates by a secret and has none.
    #[error("there is no client secret to authenticate with: configure it")]
    SecretMissing,
    /// A login cannot authenticate in this way.
    #[error("this version cannot log in with the authentication {authentication:?}")]
    AuthenticationUnsupported {
        /// The way.
        authentication: ClientAuthentication,
    },
    /// A resource is no absolute URI without a fragment (RFC 8707 section 2).
    #[error("the resource {resource} is no absolute URI without a fragment: configure another")]
    Resource {
        /// The resource.
        resource: String,
    },
    /// A further parameter has a name that a login writes itself.
    #[error("the parameter {name} is written by the login itself: leave it out")]
    ParameterReserved {
        /// The name.
        name: String,
    },
    /// The provider profile is none.
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

/// The client of `oauth2`, which writes the messages.
pub(crate) type Messages =
    BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

impl LoginRequest {
    /// A public client that asks for what the server gives by itself.
    pub fn new(client_id: impl Into<String>) -> Self {
        Self {
            client_id: client_id.into(),
            authentication: ClientAuthentication::None,
            client_secret: None,
            scope: None,
            resources: Vec::new(),
            parameters: Vec::new(),
            profile: None,
        }
    }

    /// Checks all that can be wrong, and reads the profile.
    pub(crate) fn check(&self) -> Result<Option<Profile>, RequestError> {
        if self.client_id.is_empty() {
            return Err(RequestError::ClientIdMissing);
        }
        self.credentials()?;
        for resource in &self.resources {
            if !Url::parse(resource).is_ok_and(|url| url.fragment().is_none()) {
                return Err(RequestError::Resource { resource: shown_url(resource) });
            }
        }
        for (name, _) in &self.parameters {
            if RESERVED.contains(&name.as_str()) {
                return Err(RequestError::ParameterReserved { name: name.clone() });
            }
        }
        Ok(self.profile.as_deref().map(Profile::of).transpose()?)
    }

    /// How `oauth2` shows who asks, and with which secret. A public client shows none, also if it
    /// has one.
    fn credentials(&self) -> Result<(AuthType, Option<&Secret>), RequestError> {
        let auth_type = match self.authentication {
            ClientAuthentication::None => return Ok((AuthType::RequestBody, None)),
            ClientAuthentication::ClientSecretBasic => AuthType::BasicAuth,
            ClientAuthentication::ClientSecretPost => AuthType::RequestBody,
            authentication => {
                return Err(RequestError::AuthenticationUnsupported { authentication });
            }
        };
        let secret = self.client_secret.as_ref().filter(|secret| !secret.expose().is_empty());
        Ok((auth_type, Some(secret.ok_or(RequestError::SecretMissing)?)))
    }

    /// The writer of this client's messages to this server.
    pub(crate) fn messages(&self, server: &ServerMetadata) -> Result<Messages, RequestError> {
        let (auth_type, secret) = self.credentials()?;
        let messages = BasicClient::new(ClientId::new(self.client_id.clone()))
            .set_auth_type(auth_type)
            .set_token_uri(TokenUrl::from_url(server.token_endpoint.url().clone()));
        Ok(match secret {
            Some(secret) => {
                messages.set_client_secret(ClientSecret::new(secret.expose().to_owned()))
            }
            None => messages,
        })
    }

    pub(crate) fn scopes(&self) -> impl Iterator<Item = Scope> {
        let words = self.scope.as_deref().unwrap_or_default().split_ascii_whitespace();
        words.map(|word| Scope::new(word.to_owned()))
    }

    /// What a refresh needs of this login, pinned.
    pub(crate) fn client(&self, server: &ServerMetadata) -> Client {
        let mut client = Client::new(server.token_endpoint.as_str(), &self.client_id);
        client.authentication = self.authentication;
        client.client_secret.clone_from(&self.client_secret);
        client.revocation_endpoint =
            server.revocation_endpoint.as_ref().map(|endpoint| endpoint.as_str().to_owned());
        client.issuer.clone_from(&server.issuer);
        client.profile.clone_from(&self.profile);
        client.scope.clone_from(&self.scope);
        client.resource.clone_from(&self.resources);
        client
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_overwrites_nothing_that_keeps_the_login_safe() {
        for name in RESERVED {
            let mut request = LoginRequest::new("app");
            request.parameters = vec![("prompt".into(), "consent".into())];
            assert!(request.check().is_ok());
            request.parameters.push((name.into(), "x".into()));
            let refused = request.check();
            assert!(matches!(refused, Err(RequestError::ParameterReserved { .. })), "{name}");
        }
    }

    #[test]
    fn a_client_that_shows_a_secret_has_one() {
        let mut request = LoginRequest::new("app");
        for authentication in
            [ClientAuthentication::ClientSecretBasic, ClientAuthentication::ClientSecretPost]
        {
            request.authentication = authentication;
            assert!(matches!(request.check(), Err(RequestError::SecretMissing)));
        }
        request.client_secret = Some(Secret::new("s".into()));
        assert!(request.check().is_ok());
    }

    #[test]
    fn a_resource_is_an_absolute_uri_without_a_fragment() {
        let mut request = LoginRequest::new("app");
        for (resource, good) in
            [("https://api.example/v1", true), ("urn:api", true), ("/v1", false), ("a:b#c", false)]
        {
            request.resources = vec![resource.to_owned()];
            assert_eq!(request.check().is_ok(), good, "{resource}");
        }
    }
}
