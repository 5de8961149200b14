//! What servers say, once it is understood: the words the two halves of the crate share.

use alloc::string::String;
use core::time::Duration;

use serde::Deserialize;

use crate::reason::Cause;
use crate::secret::Secret;

/// A successful answer of the token endpoint (RFC 6749 section 5.1).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Grant {
    /// The access token.
    pub access_token: Secret,
    /// Its type as the server wrote it, `Bearer` if it wrote none.
    pub token_type: String,
    /// The announced lifetime, counted from just before the request was sent. `None`: unknown,
    /// use until rejected.
    pub expires_in: Option<Duration>,
    /// The new refresh token; `None` means that the old one stays (RFC 6749 section 6).
    pub refresh_token: Option<Secret>,
    /// The announced lifetime of the refresh token, where the server states one: a hint, for no
    /// standard has such a member.
    pub refresh_expires_in: Option<Duration>,
    /// The granted scope, where the server states one.
    pub scope: Option<String>,
    /// Whom the grant is for, where the server says so.
    pub subject: Option<String>,
}

impl Grant {
    /// A bearer token and nothing else.
    pub fn bearer(access_token: Secret) -> Self {
        Self {
            access_token,
            token_type: "Bearer".into(),
            expires_in: None,
            refresh_token: None,
            refresh_expires_in: None,
            scope: None,
            subject: None,
        }
    }
}

/// What became of a token request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A grant.
    Granted(Grant),
    /// A grant whose access token must not be used: its type is not understood (RFC 6749
    /// section 7.1), or it is not bound as was demanded (RFC 9449 section 5). The new refresh
    /// token replaces the old one, which is probably spent; all else is as with a failure.
    Unusable {
        /// The new refresh token.
        refresh_token: Secret,
        /// What is wrong with the rest.
        failure: Failure,
    },
    /// The authorization server refuses this refresh token.
    Refused(Refusal),
    /// The authorization server wants its nonce in the proof (RFC 9449 section 8): send again.
    NonceWanted,
    /// Neither a grant nor a word about the refresh token.
    Failed(Failure),
}

/// Why the authorization server refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The error code as the server wrote it, without control characters, at most 256 bytes.
    pub code: String,
    /// What follows from it.
    pub kind: RefusalKind,
}

/// What a refusal means for the refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalKind {
    /// The grant is dead: `invalid_grant` and its kin.
    Dead,
    /// The refresh token was used before, says the server by a code of its own.
    Reused,
    /// The user must act at the authorization server; the refresh token stays good.
    Interaction,
}

/// A token request that brought neither a grant nor a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub cause: Cause,
    /// Whether the server may have acted on the request all the same.
    pub applied: Applied,
    /// How long the server asks us to wait.
    pub retry_after: Option<Duration>,
    /// The error code, where there was one that looks like a code, cleaned like
    /// [`Refusal::code`]. A sentence could quote what was sent.
    pub code: Option<String>,
}

impl Failure {
    /// One that no server said anything about.
    pub fn new(cause: Cause, applied: Applied) -> Self {
        Self { cause, applied, retry_after: None, code: None }
    }
}

/// Whether a token request that failed may have been acted upon, rotation included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// Nothing was sent, or the server said that it did nothing.
    No,
    /// It was sent, and what came back leaves the outcome open.
    Perhaps,
    /// The same, and it may still be under way: nobody answered in time.
    PerhapsLater,
}

/// What an API's answer says about the token that the request carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// The token was accepted: an answer below 400, or one about scope or step-up.
    Accepted,
    /// The token was rejected.
    Rejected(Strength),
    /// The answer says nothing about the token.
    Silent,
}

/// How sure a rejection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// The answer names the token as the reason.
    Strong,
    /// A bare 401.
    Weak,
}
