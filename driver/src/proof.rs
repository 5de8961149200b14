//! Proofs of possession: the place for the host's key.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use regrant_core::{Secret, Timestamp};

/// What a proof is to say (RFC 9449 section 4.2).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Proof<'a> {
    /// `htm`: the method of the request.
    pub method: &'a str,
    /// `htu`: the URL of the request, already without query and fragment.
    pub url: &'a str,
    /// `iat`, in whole seconds. Take this one and not your own clock: where a server says that the
    /// clock is wrong, this is the time by the server's.
    pub issued_at: Timestamp,
    /// `nonce`, if the server gave one (sections 8 and 9). It may stand in JSON as it is.
    pub nonce: Option<&'a str>,
    /// The access token that goes out with the proof, whose SHA-256 in base64url is `ath`. None at
    /// the token endpoint, where there is no `ath`.
    pub access_token: Option<&'a Secret>,
}

impl<'a> Proof<'a> {
    /// Without a nonce and without an access token.
    pub fn new(method: &'a str, url: &'a str, issued_at: Timestamp) -> Self {
        Self { method, url, issued_at, nonce: None, access_token: None }
    }
}

/// Signs proofs of possession (RFC 9449) with a key that never leaves the host: in hardware, in a
/// keychain, in memory. A transport asks for one proof per request.
///
/// # Duties
///
/// - The proof is a JWT in its compact form. Its head says `typ` = `dpop+jwt`, `alg`, and `jwk`,
///   the public key alone.
/// - `alg` is asymmetric, never `none`, and one of those that the authorization server's metadata
///   lists as `dpop_signing_alg_values_supported`; `ES256` is what nearly all take.
/// - It claims what [`Proof`] says, and nothing of that is left out: `htm`, `htu`, `iat`, `nonce`
///   and `ath` where there are any. `jti` is new for every call, at least 96 random bits; a second
///   sending of a request is another call.
/// - The key is the same for as long as the tokens are: they are bound to it, and so is the
///   refresh token of a public client. A lost key is a lost login.
/// - Neither the error nor a log says anything of the key or of the access token.
///
/// # Example
///
/// ```
/// use async_trait::async_trait;
/// use regrant::{Proof, ProofError, ProofSigner, Secret};
/// # mod jose {
/// #     #[derive(Debug)] pub struct Key;
/// #     #[derive(Default)] pub struct Jwt;
/// #     impl Jwt {
/// #         pub fn head(&mut self, _: &str, _: &str) {}
/// #         pub fn claim(&mut self, _: &str, _: impl ToString) {}
/// #         pub async fn signed_by(self, _: &Key) -> Result<String, std::io::Error> {
/// #             Ok("a.b.c".to_owned())
/// #         }
/// #     }
/// #     impl Key { pub fn jwk(&self) -> &str { "{}" } }
/// #     pub fn random() -> String { "1".to_owned() }
/// #     pub fn sha256(_: &str) -> String { "h".to_owned() }
/// # }
///
/// /// A key of the device, with a JOSE library of your choice.
/// #[derive(Debug)]
/// struct DeviceKey(jose::Key);
///
/// #[async_trait]
/// impl ProofSigner for DeviceKey {
///     async fn sign(&self, proof: &Proof<'_>) -> Result<Secret, ProofError> {
///         let mut jwt = jose::Jwt::default();
///         jwt.head("typ", "dpop+jwt");
///         jwt.head("alg", "ES256");
///         jwt.head("jwk", self.0.jwk());
///         jwt.claim("jti", jose::random());
///         jwt.claim("htm", proof.method);
///         jwt.claim("htu", proof.url);
///         jwt.claim("iat", proof.issued_at.as_millis() / 1_000);
///         if let Some(nonce) = proof.nonce {
///             jwt.claim("nonce", nonce);
///         }
///         if let Some(token) = proof.access_token {
///             jwt.claim("ath", jose::sha256(token.expose()));
///         }
///         jwt.signed_by(&self.0).await.map(Secret::new).map_err(ProofError::new)
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// # let now = regrant::Timestamp::from_millis(1_700_000_000_000);
/// # let proof = Proof::new("GET", "https://api.example/me", now);
/// # assert_eq!(DeviceKey(jose::Key).sign(&proof).await.unwrap().expose(), "a.b.c");
/// # }
/// ```
#[async_trait]
pub trait ProofSigner: Send + Sync + fmt::Debug {
    /// Signs one proof.
    ///
    /// # Errors
    ///
    /// [`ProofError`]: there is no proof, and the request is not sent.
    async fn sign(&self, proof: &Proof<'_>) -> Result<Secret, ProofError>;
}

/// Why the host's signer made no proof. What it is about stays in the error's source, which no log
/// of ours shows.
#[derive(Clone, thiserror::Error)]
#[error("the program's signer made no proof of possession: the program must give it its key back")]
pub struct ProofError {
    source: Arc<dyn Error + Send + Sync>,
}

impl ProofError {
    /// Of the signer's own error.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Arc::from(source.into()) }
    }
}

impl fmt::Debug for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProofError").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_nothing_of_its_source_and_still_has_it() {
        let error = ProofError::new("canary");
        assert!(!format!("{error} {error:?}").contains("canary"));
        assert_eq!(error.source().unwrap().to_string(), "canary");
    }

    #[test]
    fn a_proof_in_a_log_shows_no_token() {
        let token = Secret::new("canary".into());
        let mut proof = Proof::new("GET", "https://api.example/me", Timestamp::EPOCH);
        proof.access_token = Some(&token);
        assert!(!format!("{proof:?}").contains("canary"));
    }
}
