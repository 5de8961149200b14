//! What there is to say about a credential, for people.

use std::sync::Arc;

use regrant_core::{Holder, Record, StateKind, StoreFault, Timestamp};
use regrant_storage::{Capabilities, StoreError};

/// A snapshot of a session.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// The account.
    pub account: String,
    /// The state's name; none if the store could never be read.
    pub state: Option<StateKind>,
    /// The record as this process sees it, tokens included; none if nobody is logged in or the
    /// store could never be read.
    pub record: Option<Record>,
    /// What is wrong with the store, if anything is.
    pub trouble: Option<Arc<StoreError>>,
    /// Which other process holds the lease that this one waits for.
    pub holder: Option<Holder>,
    /// What keeps the current token from being saved, if it is in use unsaved.
    pub unsaved: Option<StoreFault>,
    /// What the store is.
    pub capabilities: Capabilities,
    /// When this was true, by the session's clock.
    pub at: Timestamp,
}
