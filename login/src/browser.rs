//! A login with the browser (RFC 8252), by authorization code with PKCE.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::time::Duration;

use oauth2::{
    AuthUrl, AuthorizationCode, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl,
};
use tokio::time::timeout;
use url::Url;

use crate::http::Http;
use crate::redirect::{Listener, Redirect};
use crate::request::{LoginRequest, RequestError};
use crate::server_metadata::ServerMetadata;
use crate::text::{shown, shown_url};
use crate::token::{Attempt, Courier, LoggedIn, TokenError};

/// A login that its user finishes in the browser of this machine.
///
/// Open [`authorization_url`](Self::authorization_url), by [`open_browser`](crate::open_browser)
/// or by showing it, then [`wait`](Self::wait). Connections are taken only while it is waited.
pub struct BrowserLogin {
    attempt: Attempt,
    listener: Listener,
    redirect_uri: RedirectUrl,
    authorization_url: Url,
    state: CsrfToken,
    verifier: PkceCodeVerifier,
}

/// Why a login with the browser brought nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrowserError {
    /// The request is wrong: the configuration.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// There is no authorization endpoint: the configuration.
    #[error("the authorization server offers no login with the browser: configure another way")]
    Unsupported,
    /// The server says that it does not do PKCE by S256 (RFC 7636 section 4.2): the operator.
    #[error(
        "the authorization server does not support PKCE with S256, without which a login is not \
         safe: its operator must enable it"
    )]
    PkceUnsupported,
    /// No address of this machine could be listened on.
    #[error("cannot listen on this machine for the browser: use another port, or another way")]
    Listen(#[source] io::Error),
    /// The user did not finish in time.
    #[error("the login was not finished in time: begin it again")]
    TimedOut,
    /// The user, or the server for the user, said no.
    #[error("the login was denied: log in again and allow it")]
    Denied {
        /// The server's reason, cleaned and cut.
        description: Option<String>,
    },
    /// The server sent the user back with an error (RFC 6749 section 4.1.2.1).
    #[error("the authorization server refuses the login ({code}): {}", refusal_remedy(code))]
    Refused {
        /// Its code, cleaned and cut.
        code: String,
        /// Its reason, cleaned and cut.
        description: Option<String>,
    },
    /// The redirect brought neither a code nor an error: the operator.
    #[error("the authorization server sent no code: its operator must mend it")]
    CodeMissing,
    /// The redirect does not name its issuer, though the metadata says that it does (RFC 9207
    /// section 2.4): the operator, or an attack.
    #[error("the redirect does not say that it is from {expected}: log in again, with care")]
    IssuerMissing {
        /// The issuer that the login went to.
        expected: String,
    },
    /// The redirect is from another issuer (RFC 9207 section 2.4): an attack, or the operator.
    #[error("the redirect is from {found} and not from {expected}: log in again, with care")]
    IssuerDiffers {
        /// The issuer that the login went to.
        expected: String,
        /// What the redirect says.
        found: String,
    },
    /// The code brought no token.
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl BrowserLogin {
    /// Begins to listen on loopback, on this port or on any that is free, and writes the URL.
    ///
    /// # Errors
    ///
    /// [`BrowserError::Request`], [`BrowserError::Unsupported`],
    /// [`BrowserError::PkceUnsupported`], [`BrowserError::Listen`].
    pub async fn begin(
        http: &Http,
        server: &ServerMetadata,
        request: &LoginRequest,
        port: Option<u16>,
    ) -> Result<Self, BrowserError> {
        let attempt = Attempt::new(http, server, request)?;
        let endpoint = server.authorization_endpoint.as_ref().ok_or(BrowserError::Unsupported)?;
        if let Some(methods) = &server.code_challenge_methods_supported
            && !methods.iter().any(|method| method == "S256")
        {
            return Err(BrowserError::PkceUnsupported);
        }
        let listener = Listener::bind(port).await.map_err(BrowserError::Listen)?;
        let redirect_uri = RedirectUrl::from_url(listener.redirect_uri().clone());
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let messages =
            request.messages(server)?.set_auth_uri(AuthUrl::from_url(endpoint.url().clone()));
        let mut message = messages
            .authorize_url(CsrfToken::new_random)
            .set_redirect_uri(Cow::Borrowed(&redirect_uri))
            .set_pkce_challenge(challenge)
            .add_scopes(request.scopes());
        for resource in &request.resources {
            message = message.add_extra_param("resource", resource);
        }
        for (name, value) in &request.parameters {
            message = message.add_extra_param(name, value);
        }
        let (authorization_url, state) = message.url();
        Ok(Self { attempt, listener, redirect_uri, authorization_url, state, verifier })
    }

    /// Where the browser goes. Whoever reads it can end the login, so it belongs to the user.
    pub fn authorization_url(&self) -> &Url {
        &self.authorization_url
    }

    /// Waits until the server sends the browser back, at most this long, and redeems the code.
    ///
    /// Only the redirect with the state of this login counts: anybody on this machine can connect,
    /// and nobody else ends the login.
    ///
    /// # Errors
    ///
    /// Any variant of [`BrowserError`] that [`begin`](Self::begin) does not give.
    pub async fn wait(self, deadline: Duration) -> Result<LoggedIn, BrowserError> {
        let Self { attempt, listener, redirect_uri, state, verifier, .. } = self;
        let redirect = timeout(deadline, listener.wait(state));
        let redirect = redirect.await.map_err(|_| BrowserError::TimedOut)?;
        let code = redirected(redirect, &attempt.server)?;
        let messages = attempt.request.messages(&attempt.server)?;
        let mut message = messages
            .exchange_code(code)
            .set_redirect_uri(Cow::Borrowed(&redirect_uri))
            .set_pkce_verifier(verifier);
        for resource in &attempt.request.resources {
            message = message.add_extra_param("resource", resource);
        }
        let courier = Courier::new(&attempt.http, &attempt.server.token_endpoint);
        // The courier keeps the answer; what `oauth2` makes of its absence says nothing.
        let _ = message.request_async(&courier).await;
        let reply = courier.answer().map_err(TokenError::Http)?;
        Ok(attempt.logged_in(&reply)?)
    }
}

/// The code of a redirect, once it is known to come from this server. The issuer is checked first,
/// for an error of another server says nothing either.
fn redirected(
    redirect: Redirect,
    server: &ServerMetadata,
) -> Result<AuthorizationCode, BrowserError> {
    match (&server.issuer, redirect.issuer) {
        (Some(expected), Some(found)) if found != *expected => {
            return Err(BrowserError::IssuerDiffers {
                expected: shown_url(expected),
                found: shown_url(&found),
            });
        }
        (Some(expected), None) if server.authorization_response_iss_parameter_supported => {
            return Err(BrowserError::IssuerMissing { expected: shown_url(expected) });
        }
        (Some(_) | None, _) => {}
    }
    let description = redirect.error_description.as_deref().map(shown);
    match redirect.error {
        Some(code) if code == "access_denied" => Err(BrowserError::Denied { description }),
        Some(code) => Err(BrowserError::Refused { code: shown(&code), description }),
        None => redirect.code.ok_or(BrowserError::CodeMissing),
    }
}

fn refusal_remedy(code: &str) -> &'static str {
    match code {
        "server_error" | "temporarily_unavailable" => "try again later",
        "login_required" | "consent_required" | "interaction_required" => "log in again",
        _ => "what the client is configured with does not suit it",
    }
}

impl fmt::Debug for BrowserLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL holds the state.
        f.debug_struct("BrowserLogin")
            .field("redirect_uri", &self.redirect_uri.as_str())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server_metadata::Endpoints;

    const ISSUER: &str = "https://as.example";

    /// The code of a redirect that names this issuer, from a server that announces it or not.
    fn judged(announced: bool, issuer: Option<&str>) -> Result<String, BrowserError> {
        let endpoints =
            Endpoints { token: "https://as.example/token", issuer: Some(ISSUER), ..<_>::default() };
        let mut server = ServerMetadata::explicit(&endpoints).unwrap();
        server.authorization_response_iss_parameter_supported = announced;
        let redirect = Redirect {
            code: Some(AuthorizationCode::new("c".into())),
            issuer: issuer.map(str::to_owned),
            ..Redirect::default()
        };
        redirected(redirect, &server).map(|code| code.secret().clone())
    }

    #[test]
    fn an_issuer_that_is_named_is_the_right_one() {
        for announced in [false, true] {
            assert_eq!(judged(announced, Some(ISSUER)).unwrap(), "c");
            for wrong in ["https://evil.example", "https://as.example/", ""] {
                let refused = judged(announced, Some(wrong)).unwrap_err();
                assert!(matches!(refused, BrowserError::IssuerDiffers { .. }), "{refused}");
            }
        }
    }

    #[test]
    fn an_issuer_that_was_announced_is_there() {
        assert!(matches!(judged(true, None), Err(BrowserError::IssuerMissing { .. })));
        assert_eq!(judged(false, None).unwrap(), "c");
    }
}
