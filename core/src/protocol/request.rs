//! The messages that a client sends to its authorization server.

use alloc::string::String;
use alloc::vec::Vec;

use super::form;
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
}

/// The request that refreshes (RFC 6749 section 6).
///
/// It carries no `scope`: an omitted scope means the one that was granted, and a list that is
/// out of date would be refused.
///
/// ```
/// use regrant_core::{Client, Secret, protocol};
///
/// let client = Client::new("https://as.example/token", "app");
/// let request = protocol::refresh_request(&client, &Secret::new("r 1".into()));
/// assert_eq!(
///     request.body.expose(),
///     "grant_type=refresh_token&refresh_token=r+1&client_id=app"
/// );
/// ```
pub fn refresh_request(client: &Client, refresh_token: &Secret) -> TokenRequest {
    authenticated(
        client,
        &[("grant_type", "refresh_token"), ("refresh_token", refresh_token.expose())],
    )
}

/// The request that revokes (RFC 7009 section 2.1). `hint` says what the token is,
/// `refresh_token` or `access_token`.
pub fn revocation_request(client: &Client, token: &Secret, hint: &str) -> TokenRequest {
    authenticated(client, &[("token", token.expose()), ("token_type_hint", hint)])
}

/// Adds who asks, in the one way that the client uses: never in two at once
/// (RFC 6749 section 2.3).
fn authenticated(client: &Client, message: &[(&str, &str)]) -> TokenRequest {
    let secret = client.client_secret.as_ref().map(Secret::expose);
    let mut pairs = Vec::from(message);
    let basic = match client.authentication {
        ClientAuthentication::None => {
            pairs.push(("client_id", &client.client_id));
            None
        }
        ClientAuthentication::ClientSecretPost => {
            pairs.push(("client_id", &client.client_id));
            pairs.extend(secret.map(|secret| ("client_secret", secret)));
            None
        }
        ClientAuthentication::ClientSecretBasic => Some((
            form::encode_one(&client.client_id),
            Secret::new(form::encode_one(secret.unwrap_or_default())),
        )),
    };
    TokenRequest { body: form::encode(&pairs), basic }
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
        refresh_request(&client(authentication), &Secret::new("r+1".into()))
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
