//! What can go wrong for a caller, and who must act.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use regrant_core::{Blocked, Cause, Holder, LoginReason, Origin, StoreFault, Timestamp};
use regrant_storage::StoreError;

/// Why there is no access token for a request.
///
/// Only [`NeedsLogin`](Self::NeedsLogin) is mended by a login.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AccessError {
    /// The user must log in.
    #[error("login needed ({reason}){}", Remedy(.token_source))]
    NeedsLogin {
        /// Why.
        reason: LoginReason,
        /// The authorization server's own code, where there was one.
        code: Option<String>,
        /// Where a token came from that cannot be renewed, if the client says so
        /// ([`Client::source`](regrant_core::Client::source)).
        token_source: Option<String>,
    },
    /// The API rejects freshly issued tokens too.
    #[error(
        "the API rejects fresh tokens too: check audience, scope and account there, a login does \
         not help"
    )]
    StillRejected {
        /// When a new token is tried there again.
        retry_at: Timestamp,
    },
    /// The authorization server gave neither a token nor a refusal, and is left alone for a while.
    #[error("no token for now ({cause}): {}", remedy(*cause))]
    Delayed {
        /// What happened.
        cause: Cause,
        /// The authorization server's own code, where there was one.
        code: Option<String>,
        /// When it is tried again.
        retry_at: Timestamp,
    },
    /// Too many token requests in a row.
    #[error("too many token requests in a row: an API rejects good tokens, the next is sent later")]
    Budget {
        /// When the next one may be sent.
        retry_at: Timestamp,
    },
    /// The credential store cannot be used. Nothing is said about the login by that.
    #[error("the credential store cannot be used ({fault}): mend the store, the login is kept")]
    Store {
        /// What is wrong with it.
        fault: StoreFault,
        /// When it is tried again; a caller who asks before that has it tried at once.
        retry_at: Timestamp,
        /// The store's own error, if it is at hand.
        source: Option<Arc<StoreError>>,
    },
    /// Another process holds the lease and did not finish within the caller's patience.
    #[error("another process ({}) is refreshing this credential: wait for it, or end it if it hangs", Who(.holder, .held_for))]
    Busy {
        /// Which process, and since when.
        holder: Holder,
        /// For how long that is.
        held_for: Option<Duration>,
    },
    /// The caller's patience is over. What was begun goes on.
    #[error("no token within the time a caller waits: the refresh goes on, try again")]
    TimedOut,
    /// The credential is not bound to this origin.
    #[error("the credential is not bound to {origin}: allow that origin first")]
    Foreign {
        /// Where the token was to go.
        origin: Origin,
    },
    /// The session was closed, or the runtime it ran on has ended.
    #[error("the session is closed: open it again")]
    Closed,
}

impl AccessError {
    /// The stable name of the error. Of a store it names what is wrong with the store.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NeedsLogin { .. } => "needs_login",
            Self::StillRejected { .. } => "still_rejected",
            Self::Delayed { .. } => "delayed",
            Self::Budget { .. } => "budget_spent",
            Self::Store { fault, .. } => fault.as_str(),
            Self::Busy { .. } => "lease_busy",
            Self::TimedOut => "timed_out",
            Self::Foreign { .. } => "foreign_origin",
            Self::Closed => "session_closed",
        }
    }

    /// When the obstacle is looked at again by itself, where that is known.
    pub fn retry_at(&self) -> Option<Timestamp> {
        match self {
            Self::StillRejected { retry_at }
            | Self::Delayed { retry_at, .. }
            | Self::Budget { retry_at }
            | Self::Store { retry_at, .. } => Some(*retry_at),
            Self::NeedsLogin { .. }
            | Self::Busy { .. }
            | Self::TimedOut
            | Self::Foreign { .. }
            | Self::Closed => None,
        }
    }

    /// The error of a view that is blocked.
    pub(crate) fn blocked(
        why: Blocked,
        retry_at: Timestamp,
        code: Option<&str>,
        source: impl FnOnce(StoreFault) -> Option<Arc<StoreError>>,
    ) -> Self {
        match why {
            Blocked::StillRejected => Self::StillRejected { retry_at },
            Blocked::CoolDown(cause) => {
                Self::Delayed { cause, code: code.map(str::to_owned), retry_at }
            }
            Blocked::Budget => Self::Budget { retry_at },
            Blocked::Store(fault) => Self::Store { fault, retry_at, source: source(fault) },
            // `Blocked` may grow; what it says then is that there is no token for now.
            _ => Self::TimedOut,
        }
    }
}

/// Who must act after this cause.
fn remedy(cause: Cause) -> &'static str {
    match cause {
        Cause::ClientMisconfigured => "correct the client's configuration, the login is kept",
        Cause::EndpointMoved => "correct the token endpoint's URL, redirects are not followed",
        Cause::NameUnresolved => "check the name of the token endpoint and the network",
        Cause::TlsFailed => "check the clock, the proxy and the certificates of this machine",
        Cause::NotOauth => "what answers there is not an authorization server, check the network",
        // Every other cause, those of later versions included, passes by itself.
        _ => "it is tried again by itself, the login is kept",
    }
}

/// Who must act for a login.
struct Remedy<'a>(&'a Option<String>);

impl fmt::Display for Remedy<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(source) => {
                write!(f, ": the token from {source} cannot be renewed, put a new one there")
            }
            None => f.write_str(": the user must log in again"),
        }
    }
}

/// A holder in words.
struct Who<'a>(&'a Holder, &'a Option<Duration>);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.pid {
            Some(pid) => write!(f, "pid {pid}")?,
            None => f.write_str("of unknown pid")?,
        }
        match self.1 {
            Some(length) => write!(f, ", for {} s", length.as_secs()),
            None => Ok(()),
        }
    }
}

/// Why a change of the credential (login, logout, configuration, origin) was not made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// The store did not take it.
    #[error("the change could not be saved ({fault}): mend the credential store")]
    Store {
        /// What is wrong with it.
        fault: StoreFault,
        /// The store's own error, if it is at hand.
        source: Option<Arc<StoreError>>,
    },
    /// There is no credential to change.
    #[error("there is no credential to change: log in first")]
    NotLoggedIn,
    /// The system gave no random numbers.
    #[error("the system gave no random numbers")]
    Random(#[source] getrandom::Error),
    /// The session was closed, or the runtime it ran on has ended.
    #[error("the session is closed: open it again")]
    Closed,
}

/// Why a session could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The system gave no random numbers.
    #[error("the system gave no random numbers")]
    Random(#[source] getrandom::Error),
    /// There is no runtime, and no thread could be started for one.
    #[error("no thread could be started for the session")]
    Thread(#[source] std::io::Error),
}

/// What a session that is being closed leaves undone. It goes on with it for as long as its
/// runtime lives.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotSaved {
    /// A new token is in use that could not be saved: if the process ends now, the login is lost.
    #[error("a new token could not be saved ({fault}): mend the credential store before this ends")]
    Store {
        /// What is wrong with the store.
        fault: StoreFault,
        /// The store's own error, if it is at hand.
        source: Option<Arc<StoreError>>,
    },
    /// A refresh or a save is still under way.
    #[error("a refresh is still under way: give it more time")]
    UnderWay,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_cannot_be_renewed_names_its_source() {
        let reason = LoginReason::NoRefreshToken;
        let token_source = Some("EXAMPLE_TOKEN".to_owned());
        let text = AccessError::NeedsLogin { reason, code: None, token_source }.to_string();
        assert!(text.contains("the token from EXAMPLE_TOKEN"), "{text}");
        assert!(!text.contains("log in"), "{text}");
    }

    #[test]
    fn busy_names_the_process() {
        let holder = Holder { pid: Some(42), host: None, since: Some(Timestamp::EPOCH) };
        let busy = AccessError::Busy { holder, held_for: Some(Duration::from_secs(7)) };
        let text = busy.to_string();
        assert!(text.contains("(pid 42, for 7 s)"), "{text}");
    }

    #[test]
    fn only_a_needed_login_speaks_of_logging_in_again() {
        let retry_at = Timestamp::EPOCH;
        let errors = [
            AccessError::StillRejected { retry_at },
            AccessError::Delayed { cause: Cause::Unreachable, code: None, retry_at },
            AccessError::Budget { retry_at },
            AccessError::Store { fault: StoreFault::Locked, retry_at, source: None },
            AccessError::TimedOut,
            AccessError::Closed,
        ];
        for error in errors {
            assert!(!error.to_string().contains("log in"), "{error}");
        }
    }
}
