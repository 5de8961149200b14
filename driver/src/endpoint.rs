//! The token request, as the driver needs it from a transport.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use regrant_core::protocol::Profile;
use regrant_core::{Answer, Client, Secret};

/// How long an answer is listened for after the attempt is over: 30 s, a caller's patience. A
/// grant that comes late is still taken, and listening costs nobody anything.
pub const LATE: Duration = Duration::from_secs(30);

/// What a token is asked for with.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Renewing<'a> {
    /// Who asks, and where.
    pub client: &'a Client,
    /// The refresh token (RFC 6749 section 6); none where the client asks again with its own
    /// credentials (section 4.4).
    pub refresh_token: Option<&'a Secret>,
    /// The claims that an API wants of the new token.
    pub claims: Option<&'a str>,
    /// The provider's profile, by which the request is made and its answer is read.
    pub profile: Option<&'a Profile>,
}

impl<'a> Renewing<'a> {
    /// A refresh at a server without a profile.
    pub fn refresh(client: &'a Client, refresh_token: &'a Secret) -> Self {
        Self { client, refresh_token: Some(refresh_token), claims: None, profile: None }
    }
}

/// Sends token requests and revocations. A transport implements it; `regrant-reqwest` has one.
///
/// # Duties
///
/// - One call is at most one request. No retries, no redirects: both belong to the machine.
/// - It does not pass through anything that adds the credential's own token.
/// - [`Answer::Failed`] says truthfully whether the request may have been acted upon: `No` only if
///   no byte of it has left, or the server said that it did nothing.
/// - The answer is read to a cap; 1 MiB is enough for any token.
/// - The request goes only to `https`, or to `http` on loopback.
/// - Nothing of the secrets is logged or put in an error.
#[async_trait]
pub trait TokenEndpoint: Send + Sync + fmt::Debug {
    /// Asks for a new token.
    ///
    /// `within` is what is left of the attempt: no request is sent after it. The answer to one
    /// that was sent may come up to [`LATE`] after that; then the driver stops listening.
    async fn renew(&self, with: Renewing<'_>, within: Duration) -> Answer;

    /// Revokes a token (RFC 7009 section 2.1), `hint` being the `token_type_hint`. True if the
    /// server confirmed it.
    async fn revoke(&self, client: &Client, token: &Secret, hint: &str, within: Duration) -> bool;
}
