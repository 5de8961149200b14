//! What callers may do now, worked out beforehand.

use alloc::string::String;
use alloc::vec::Vec;

use crate::fault::StoreFault;
use crate::holder::Holder;
use crate::id::TokenId;
use crate::origin::Origin;
use crate::reason::{Cause, LoginReason};
use crate::record::StateKind;
use crate::secret::Secret;
use crate::time::Timestamp;

/// What callers may do, for every origin at once. Without a clock: the machine asks to be woken
/// before time alone would change it.
#[derive(Clone, Debug, Default)]
pub struct View {
    pub(super) state: Option<StateKind>,
    pub(super) token: Option<Secret>,
    pub(super) token_type: String,
    pub(super) id: TokenId,
    pub(super) origins: Vec<(Origin, Gate)>,
    pub(super) elsewhere: Gate,
    pub(super) holder: Option<Holder>,
    pub(super) unsaved: Option<StoreFault>,
    pub(super) code: Option<String>,
    pub(super) source: Option<String>,
}

/// The answer for one origin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Gate {
    #[default]
    Wait,
    Open {
        stale: bool,
        report: bool,
    },
    Login(LoginReason),
    Blocked(Blocked, Timestamp),
    Foreign,
}

/// What a caller may do for one origin.
#[derive(Clone, Copy, Debug)]
pub enum Use<'a> {
    /// Send the request with this token.
    Token {
        /// The token.
        token: &'a Secret,
        /// Its type, `Bearer` for the most part.
        token_type: &'a str,
        /// What the reports about the request must name.
        id: TokenId,
        /// Whether it is only tried because no better one can be had now.
        stale: bool,
        /// Whether an acceptance is to be reported.
        report: bool,
    },
    /// Wait: the answer is being worked out. Say [`Input::Wanted`](crate::Input::Wanted) first.
    Wait,
    /// Only a login helps.
    Login(LoginReason),
    /// Not now, and why.
    Blocked {
        /// Why.
        why: Blocked,
        /// When that is tried again.
        retry_at: Timestamp,
    },
    /// The credential is not bound to this origin: the token must not go there.
    Foreign,
}

/// Why there is no token for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Blocked {
    /// This origin rejects fresh tokens too: audience, scope or account is wrong there.
    StillRejected,
    /// The authorization server is left alone after this.
    CoolDown(Cause),
    /// The bucket of token requests is empty.
    Budget,
    /// The store cannot be used.
    Store(StoreFault),
}

impl View {
    /// What a caller may do for this origin.
    pub fn access(&self, origin: &Origin) -> Use<'_> {
        let gate = self
            .origins
            .iter()
            .find_map(|(bound, gate)| (bound == origin).then_some(*gate))
            .unwrap_or(self.elsewhere);
        match gate {
            Gate::Wait => Use::Wait,
            Gate::Open { stale, report } => match &self.token {
                Some(token) => {
                    Use::Token { token, token_type: &self.token_type, id: self.id, stale, report }
                }
                None => Use::Wait,
            },
            Gate::Login(reason) => Use::Login(reason),
            Gate::Blocked(why, retry_at) => Use::Blocked { why, retry_at },
            Gate::Foreign => Use::Foreign,
        }
    }

    /// The state's name; none before the first load.
    pub fn state(&self) -> Option<StateKind> {
        self.state
    }

    /// The current token's name.
    pub fn token_id(&self) -> TokenId {
        self.id
    }

    /// Who holds the lease that a wait is for.
    pub fn holder(&self) -> Option<&Holder> {
        self.holder.as_ref()
    }

    /// What keeps the current token from being saved, if it is in use unsaved.
    pub fn unsaved(&self) -> Option<StoreFault> {
        self.unsaved
    }

    /// Where a token came from that cannot be renewed, if the client says so.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The authorization server's own code behind a login or a cool-down.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }
}
