//! What the machine tells people and programs about itself.

use alloc::string::String;

use crate::fault::StoreFault;
use crate::grant::Strength;
use crate::holder::Holder;
use crate::id::TokenId;
use crate::origin::Origin;
use crate::reason::{Cause, LoginReason};
use crate::record::StateKind;
use crate::time::Timestamp;

/// One thing that happened. Without secrets; each happening is told once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The state has another name now.
    StateChanged {
        /// The name before; none before the first load.
        from: Option<StateKind>,
        /// The name now.
        to: StateKind,
        /// The trigger, as the table of edges names it.
        trigger: &'static str,
        /// The generation now.
        generation: u64,
    },
    /// A server rejected the current token.
    Rejected {
        /// What was rejected.
        id: TokenId,
        /// Who rejected.
        origin: Origin,
        /// How sure that is.
        strength: Strength,
    },
    /// A server rejects new tokens too: that origin alone is left alone for a while.
    StillRejected {
        /// Who rejects.
        origin: Origin,
        /// Until when it is left alone.
        retry_at: Timestamp,
    },
    /// A token request is sent.
    Asked {
        /// The generation that is to be replaced.
        generation: u64,
        /// The how many-th try of its attempt, from 1.
        attempt: u32,
    },
    /// The try brought neither a grant nor a refusal.
    TryFailed {
        /// What happened.
        cause: Cause,
        /// The server's code, where there was one.
        code: Option<String>,
        /// When the next try of this attempt comes, if one comes.
        next_try_at: Option<Timestamp>,
    },
    /// A new token is here and saved.
    Refreshed {
        /// Its generation.
        generation: u64,
    },
    /// Another process's record was taken over.
    Adopted {
        /// Its generation.
        generation: u64,
    },
    /// The authorization server is left alone for a while.
    Delayed {
        /// What happened.
        cause: Cause,
        /// The server's code, where there was one.
        code: Option<String>,
        /// Until when.
        retry_at: Timestamp,
    },
    /// A login is needed.
    LoginNeeded {
        /// Why.
        reason: LoginReason,
        /// The server's code, where there was one.
        code: Option<String>,
    },
    /// A login was saved.
    LoggedIn {
        /// Its generation.
        generation: u64,
    },
    /// A logout was saved.
    LoggedOut {
        /// Whether the server confirmed the revocation of what there was.
        revoked: bool,
    },
    /// The granted scope differs from the one before.
    ScopeChanged {
        /// The scope now.
        scope: Option<String>,
    },
    /// A new token is in use that could not be saved yet. Saving goes on.
    NotSaved {
        /// What is wrong with the store.
        fault: StoreFault,
    },
    /// What could not be saved is saved now.
    SavedAtLast {
        /// Its generation.
        generation: u64,
    },
    /// The store cannot be read or written.
    StoreFailed {
        /// What is wrong with it.
        fault: StoreFault,
        /// When it is tried again, if nobody asks before.
        retry_at: Timestamp,
    },
    /// Another process holds the lease.
    Waiting {
        /// Who, as far as it is known.
        holder: Holder,
    },
    /// Leases cannot be had at this place: one process at a time, please.
    Unlockable,
    /// An older copy of the record was put in its place; it is not believed.
    StoreRolledBack {
        /// The generation of the copy.
        generation: u64,
    },
    /// A grant was dropped because of a logout, a login or another subject.
    GrantDropped {
        /// Whether its tokens are being revoked, or left to expire at the server.
        revoked: bool,
    },
}
