//! What a request through the middleware can fail with, besides reqwest's own errors.

use regrant::{AccessError, ProofError};

/// Why a request was not sent, or its rejection could not be answered by a new token.
///
/// It travels inside [`reqwest_middleware::Error::Middleware`]; [`RequestError::of`] finds it
/// there.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// There is no access token for the request. Nothing is ever sent without.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The API wants a token with certain claims, and the authorization server wants the user for
    /// it.
    #[error("the API wants claims that only a login brings: the user must log in with them")]
    ClaimsWanted {
        /// What the authorization request must ask for, as the API wrote it: the value of its
        /// `claims` parameter (OpenID Connect Core section 5.5).
        claims: String,
        /// What the authorization server said.
        source: AccessError,
    },
    /// The access token has characters that no header can carry.
    #[error("the access token cannot stand in a header: the authorization server must be mended")]
    TokenUnfit,
    /// The access token is bound to a key (RFC 9449), and nobody can sign with it. It is never sent
    /// as a bearer token instead.
    #[error(
        "the access token is bound to a key: the program must give the middleware a proof signer"
    )]
    NoProofSigner,
    /// The proof signer failed.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl RequestError {
    /// This error inside the middleware's, if it is one.
    ///
    /// ```
    /// use regrant::{AccessError, ProofError};
    /// use regrant_reqwest::RequestError;
    ///
    /// # fn login_needed(error: &reqwest_middleware::Error) -> bool {
    /// matches!(
    ///     RequestError::of(error),
    ///     Some(RequestError::Access(AccessError::NeedsLogin { .. }))
    /// )
    /// # }
    /// ```
    pub fn of(error: &reqwest_middleware::Error) -> Option<&Self> {
        match error {
            reqwest_middleware::Error::Middleware(error) => error.downcast_ref(),
            reqwest_middleware::Error::Reqwest(_) => None,
        }
    }
}

impl From<RequestError> for reqwest_middleware::Error {
    fn from(error: RequestError) -> Self {
        Self::middleware(error)
    }
}
