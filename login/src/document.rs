//! Metadata documents: JSON objects at well-known places.

use serde::de::DeserializeOwned;

use crate::endpoint::Endpoint;
use crate::http::{Http, HttpError};

/// Why what is at the URL of a metadata document is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// There was no answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The server redirects, which is not followed: the operator, or a wrong URL.
    #[error("the server redirects, which is not followed: use the address where it is now")]
    Redirected,
    /// The server cannot serve now.
    #[error("the server says {status}: try again later")]
    Unavailable {
        /// The status code.
        status: u16,
    },
    /// It is longer than 1 MiB: the operator.
    #[error("it is longer than 1 MiB: the operator of the server must mend it")]
    TooLong,
    /// The answer does not say that it is JSON: the operator, or a wrong URL.
    #[error("it is not JSON by its content type: check the address, or tell the operator")]
    NotJson,
    /// It is not the JSON that the RFC describes: the operator.
    #[error(
        "it is malformed (line {line}, column {column}): the operator of the server must mend it"
    )]
    Malformed {
        /// Where reading ended.
        line: usize,
        /// Where reading ended.
        column: usize,
    },
}

/// Fetches a document. `None` where the server says that there is none.
///
/// A member that is read and comes twice is malformed. One that is not read may hold anything.
pub(crate) async fn fetch<T: DeserializeOwned>(
    http: &Http,
    url: &Endpoint,
) -> Result<Option<T>, DocumentError> {
    let reply = http.get(url).await?;
    let status = reply.status;
    tracing::debug!(target: "regrant", ?url, status, "a metadata document was asked for");
    match status {
        200..=299 => {}
        300..=399 => return Err(DocumentError::Redirected),
        408 | 425 | 429 | 500.. => return Err(DocumentError::Unavailable { status }),
        _ => return Ok(None),
    }
    if reply.is_cut() {
        return Err(DocumentError::TooLong);
    }
    if !reply.is_json() {
        return Err(DocumentError::NotJson);
    }
    // The error itself may quote the document.
    serde_json::from_slice(&reply.body)
        .map(Some)
        .map_err(|error| DocumentError::Malformed { line: error.line(), column: error.column() })
}
