//! The messages that a client sends to its authorization server.

use alloc::string::String;
use alloc::vec::Vec;

use super::form;
use super::profile::Profile;
use crate::client::{Client, ClientAuthentication};
use crate::secret::Secret;

/// A request to the token or the revocation endpoint: always a POST, always form-encoded, always
/// with `Accept: application/json` (some servers answer in a form without it).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenRequest {
    /// The body, of type `application/x-www-form-urlencoded`.
    pub body: Secret,
    /// User and password for `Authorization: Basic`, both already form-encoded as RFC 6749
    /// section 2.3.1 wants them: join them by a colon and encode that in base64.
    pub basic: Option<(String, Secret)>,
    /// Whether it must not be sent before [`with_assertion`](Self::with_assertion).
    pub assertion_wanted: bool,
    /// Whether it asks for a scope, which tells what `invalid_scope` means.
    pub scope_sent: bool,
}

/// The request for a new token: by a refresh token (RFC 6749 section 6), or without one by the
/// client's own credentials (section 4.4.2).
///
/// A refresh names no `scope` unless the profile wants one: an omitted scope means the one that
/// was granted, and a list that is out of date would be refused. `claims` are those that an API
/// asked for.
///
/// ```
/// use regrant_core::{Client, Secret, protocol};
///
/// let client = Client::new("https://as.example/token", "app");
/// let token = Secret::new("r 1".into());
/// let request = protocol::token_request(&client, Some(&token), None, None);
/// assert_eq!(
///     request.body.expose(),
///     "grant_type=refresh_token&refresh_token=r+1&client_id=app"
/// );
/// ```
pub fn token_request(
    client: &Client,
    refresh_token: Option<&Secret>,
    claims: Option<&str>,
    profile: Option<&Profile>,
) -> TokenRequest {
    let mut pairs = Vec::new();
    match refresh_token {
        Some(token) => {
            pairs.extend([("grant_type", "refresh_token"), ("refresh_token", token.expose())]);
        }
        None => pairs.push(("grant_type", "client_credentials")),
    }
    let names_scope =
        refresh_token.is_none() || profile.is_some_and(|profile| profile.request.scope);
    let scope = client.scope.as_deref().filter(|_| names_scope);
    pairs.extend(scope.map(|scope| ("scope", scope)));
    pairs.extend(client.resource.iter().map(|resource| ("resource", resource.as_str())));
    pairs.extend(claims.map(|claims| ("claims", claims)));
    let extra = profile.iter().flat_map(|profile| &profile.request.extra);
    for (name, value) in extra {
        // No parameter stands twice (RFC 6749 section 3.2).
        if !pairs.iter().any(|(there, _)| there == name) {
            pairs.push((name, value));
        }
    }
    // Whoever asks by credentials asks for a scope, named or not: no consent can be withdrawn.
    authenticated(client, &pairs, scope.is_some() || refresh_token.is_none())
}

/// The request that revokes (RFC 7009 section 2.1). `hint` says what the token is,
/// `refresh_token` or `access_token`.
pub fn revocation_request(client: &Client, token: &Secret, hint: &str) -> TokenRequest {
    authenticated(client, &[("token", token.expose()), ("token_type_hint", hint)], false)
}

/// Adds who asks, in the one way that the client uses: never in two at once
/// (RFC 6749 section 2.3).
fn authenticated(client: &Client, message: &[(&str, &str)], scope_sent: bool) -> TokenRequest {
    let secret = client.client_secret.as_ref().map(Secret::expose);
    let mut pairs = Vec::from(message);
    let mut basic = None;
    match client.authentication {
        ClientAuthentication::None | ClientAuthentication::PrivateKeyJwt => {
            pairs.push(("client_id", &client.client_id));
        }
        ClientAuthentication::ClientSecretPost => {
            pairs.push(("client_id", &client.client_id));
            pairs.extend(secret.map(|secret| ("client_secret", secret)));
        }
        ClientAuthentication::ClientSecretBasic => {
            let password = Secret::new(form::encode_one(secret.unwrap_or_default()));
            basic = Some((form::encode_one(&client.client_id), password));
        }
    }
    let assertion_wanted = client.authentication == ClientAuthentication::PrivateKeyJwt;
    TokenRequest { body: form::encode(&pairs), basic, assertion_wanted, scope_sent }
}

impl TokenRequest {
    /// The request with the signed assertion that it wants (RFC 7523 section 2.2).
    #[must_use]
    pub fn with_assertion(mut self, assertion: &Secret) -> Self {
        const JWT: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        let pairs = [("client_assertion_type", JWT), ("client_assertion", assertion.expose())];
        self.body = form::joined(&self.body, &form::encode(&pairs));
        self.assertion_wanted = false;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    fn client(authentication: ClientAuthentication) -> Client {
        Client {
            authentication,
            client_secret: Some(Secret::new("s:1/é".into())),
            ..Client::new("https://as.example/token", "app:1")
        }
    }

    fn refresh(authentication: ClientAuthentication) -> TokenRequest {
        token_request(&client(authentication), Some(&Secret::new("r+1".into())), None, None)
    }

    #[test]
    fn a_public_client_names_itself_and_shows_no_secret() {
        let request = refresh(ClientAuthentication::None);
        assert_eq!(
            request.body.expose(),
            "grant_type=refresh_token&refresh_token=r%2B1&client_id=app%3A1"
        );
        assert!(request.basic.is_none());
    }

    #[test]
    fn a_posted_secret_stands_in_the_body_alone() {
        let request = refresh(ClientAuthentication::ClientSecretPost);
        assert_eq!(
            request.body.expose(),
            "grant_type=refresh_token&refresh_token=r%2B1&client_id=app%3A1\
             &client_secret=s%3A1%2F%C3%A9"
        );
        assert!(request.basic.is_none());
    }

    #[test]
    fn basic_encodes_both_parts_and_leaves_the_body_without_them() {
        let request = refresh(ClientAuthentication::ClientSecretBasic);
        assert_eq!(request.body.expose(), "grant_type=refresh_token&refresh_token=r%2B1");
        let (user, password) = request.basic.unwrap();
        assert_eq!((user.as_str(), password.expose()), ("app%3A1", "s%3A1%2F%C3%A9"));
    }

    #[test]
    fn what_is_asked_for_stands_once_and_in_the_open_standard_names() {
        let client = Client {
            scope: Some("a b".into()),
            resource: alloc::vec!["https://a.example".into(), "https://b.example".into()],
            ..client(ClientAuthentication::None)
        };
        let own = r#"{"name":"own","request":{"scope":true,"extra":{"audience":"x","scope":"y"}}}"#;
        let profile = Profile::of(own).unwrap();
        let token = Secret::new("r".into());
        let request = token_request(&client, Some(&token), Some("{}"), Some(&profile));
        assert_eq!(
            request.body.expose(),
            "grant_type=refresh_token&refresh_token=r&scope=a+b&resource=https%3A%2F%2Fa.example\
             &resource=https%3A%2F%2Fb.example&claims=%7B%7D&audience=x&client_id=app%3A1"
        );
        assert!(request.scope_sent);
        let request = token_request(&client, Some(&token), None, None);
        assert!(!request.scope_sent && !request.body.expose().contains("scope="));
        let request = token_request(&client, None, None, None);
        assert!(request.body.expose().starts_with("grant_type=client_credentials&scope=a+b&"));
    }

    #[test]
    fn an_assertion_is_added_to_a_request_that_wants_one() {
        let request = refresh(ClientAuthentication::PrivateKeyJwt);
        assert!(request.assertion_wanted && !request.body.expose().contains("client_secret"));
        let request = request.with_assertion(&Secret::new("a.b.c".into()));
        assert!(!request.assertion_wanted);
        assert!(request.body.expose().ends_with(
            "&client_id=app%3A1&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth\
             %3Aclient-assertion-type%3Ajwt-bearer&client_assertion=a.b.c"
        ));
    }

    #[test]
    fn a_revocation_names_the_token_and_what_it_is() {
        let client = client(ClientAuthentication::None);
        let request = revocation_request(&client, &Secret::new("r1".into()), "refresh_token");
        assert_eq!(
            request.body.expose(),
            "token=r1&token_type_hint=refresh_token&client_id=app%3A1"
        );
    }

    #[test]
    fn a_request_in_a_log_shows_no_token_and_no_secret() {
        let request = refresh(ClientAuthentication::ClientSecretBasic);
        let shown = format!("{request:?}");
        assert!(!shown.contains("r%2B1") && !shown.contains("s%3A1"), "{shown}");
    }
}
