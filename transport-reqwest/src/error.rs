//! What a request through the middleware can fail with, besides reqwest's own errors.

use regrant::AccessError;

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
    /// The access token has characters that no header can carry.
    #[error("the access token cannot stand in a header: the authorization server must be mended")]
    TokenUnfit,
}

impl RequestError {
    /// This error inside the middleware's, if it is one.
    ///
    /// ```
    /// use regrant::AccessError;
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
