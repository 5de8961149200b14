//! A program that logs in as itself.

use regrant_core::Renewal;

use crate::http::Http;
use crate::request::{LoginRequest, RequestError};
use crate::server_metadata::ServerMetadata;
use crate::token::{Attempt, Courier, LoggedIn, TokenError};

/// Why a login with client credentials brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientCredentialsError {
    /// The request is wrong: the configuration.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The token endpoint granted nothing.
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Logs the program itself in (RFC 6749 section 4.4). It is renewed by asking again: such a grant
/// has no refresh token as a rule.
///
/// # Errors
///
/// Any variant of [`ClientCredentialsError`].
pub async fn client_credentials(
    http: &Http,
    server: &ServerMetadata,
    request: &LoginRequest,
) -> Result<LoggedIn, ClientCredentialsError> {
    let attempt = Attempt::new(http, server, request)?;
    let messages = request.messages(server)?;
    let mut message = messages.exchange_client_credentials().add_scopes(request.scopes());
    for resource in &request.resources {
        message = message.add_extra_param("resource", resource);
    }
    for (name, value) in &request.parameters {
        message = message.add_extra_param(name, value);
    }
    let courier = Courier::new(http, &server.token_endpoint);
    // The courier keeps the answer; what `oauth2` makes of its absence says nothing.
    let _ = message.request_async(&courier).await;
    let reply = courier.answer().map_err(TokenError::Http)?;
    let mut logged_in = attempt.logged_in(&reply)?;
    logged_in.client.renewal = Renewal::ClientCredentials;
    Ok(logged_in)
}
