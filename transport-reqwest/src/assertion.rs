//! Client assertions: how a client shows who it is by a key (RFC 7523).

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use regrant::{Client, Secret, Timestamp};

/// How long an assertion is good: 60 s, what a slow network and a clock that is a little wrong
/// take. It serves one request.
const LIFETIME: Duration = Duration::from_secs(60);

/// What a client assertion is to say (RFC 7523 section 3).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Assertion<'a> {
    /// Who asks: its `client_id` is both `iss` and `sub`.
    pub client: &'a Client,
    /// `aud`, as the one text: the issuer where the client's configuration names it, else the
    /// token endpoint.
    ///
    /// RFC 7523 allows both. An issuer names one server; a token endpoint is what metadata say,
    /// and those of a hostile server can name another's, where the assertion would be good too.
    /// That is why the revision of that RFC (draft-ietf-oauth-rfc7523bis) wants the issuer alone.
    /// For a server that takes nothing but its token endpoint, leave [`Client::issuer`] out.
    pub audience: &'a str,
    /// `iat`, in whole seconds.
    pub issued_at: Timestamp,
    /// `exp`, in whole seconds.
    pub expires_at: Timestamp,
}

impl<'a> Assertion<'a> {
    /// What this client says at this moment.
    pub fn new(client: &'a Client, now: Timestamp) -> Self {
        let audience = client.issuer.as_deref().unwrap_or(&client.token_endpoint);
        Self { client, audience, issued_at: now, expires_at: now + LIFETIME }
    }
}

/// Signs client assertions with a key that is the host's business: in hardware, in a keychain, with
/// an algorithm, a `kid` or an `x5t` of its own.
///
/// # Duties
///
/// - The assertion is a JWT in its compact form, signed by the key whose public half the
///   authorization server knows.
/// - It claims `iss`, `sub`, `aud`, `iat` and `exp` as [`Assertion`] says, and a `jti` that is new
///   for every call: servers take each once.
/// - Neither the error nor a log says anything of the key.
#[async_trait]
pub trait AssertionSigner: Send + Sync + fmt::Debug {
    /// Signs one assertion.
    ///
    /// # Errors
    ///
    /// [`AssertionError`]: there is no assertion, and the request is not sent.
    async fn sign(&self, assertion: &Assertion<'_>) -> Result<Secret, AssertionError>;
}

/// Why there is no client assertion.
#[derive(Clone, thiserror::Error)]
#[non_exhaustive]
pub enum AssertionError {
    /// The client has no key, or one that cannot sign.
    #[error(
        "the client's private key cannot be used: configure one of RSA (2048 to 4096 bits), P-256, \
         P-384 or Ed25519, as PKCS #8 in PEM"
    )]
    NoKey,
    /// The host's signer failed. What it is about stays in the error's source, which no log of
    /// ours shows.
    #[error("the program's signer made no client assertion: the program must give it its key back")]
    Signer(#[source] Arc<dyn Error + Send + Sync>),
}

impl AssertionError {
    /// Of the signer's own error.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Signer(Arc::from(source.into()))
    }
}

impl fmt::Debug for AssertionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoKey => "NoKey",
            Self::Signer(_) => "Signer",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audience_is_the_issuer_where_it_is_known() {
        let mut client = Client::new("https://as.example/token", "app");
        assert_eq!(Assertion::new(&client, Timestamp::EPOCH).audience, "https://as.example/token");
        client.issuer = Some("https://as.example".into());
        let assertion = Assertion::new(&client, Timestamp::EPOCH);
        assert_eq!(assertion.audience, "https://as.example");
        assert_eq!(assertion.expires_at.since(assertion.issued_at), Duration::from_secs(60));
    }

    #[test]
    fn an_error_shows_nothing_of_its_source_and_still_has_it() {
        let error = AssertionError::new("canary");
        assert!(!format!("{error} {error:?}").contains("canary"));
        assert_eq!(error.source().unwrap().to_string(), "canary");
    }
}
