//! What goes wrong with a store, and who must act.

use std::io::{self, ErrorKind};

use regrant_core::StoreFault;

/// Whether a save that failed changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveOutcome {
    /// Nothing was changed.
    NotApplied,
    /// Nobody knows; load again to see.
    Unknown,
}

/// A store did not do what it was asked.
///
/// The kind says who must act; the source is the backend's own error. Backends take care that no
/// source quotes a record or a key.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub struct StoreError {
    kind: StoreFault,
    outcome: SaveOutcome,
    what: &'static str,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    /// An error of this kind, in a few words. Nothing was changed, unless
    /// [`unknown`](Self::unknown) says otherwise.
    pub fn new(kind: StoreFault, what: &'static str) -> Self {
        Self { kind, outcome: SaveOutcome::NotApplied, what, source: None }
    }

    /// An error of the file system where something was to be written, its kind told from the
    /// error: [`StoreFault::ReadOnly`], [`StoreFault::Full`], or else
    /// [`StoreFault::Unavailable`].
    pub fn io(what: &'static str, error: io::Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreFault::ReadOnly,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                StoreFault::Full
            }
            _ => StoreFault::Unavailable,
        };
        Self::new(kind, what).because(error)
    }

    /// With the error it came from.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Of a save: nobody knows whether it was applied.
    #[must_use]
    pub fn unknown(mut self) -> Self {
        self.outcome = SaveOutcome::Unknown;
        self
    }

    /// What is wrong, as far as the machine must know.
    pub fn kind(&self) -> StoreFault {
        self.kind
    }

    /// Of a save: whether it may have been applied.
    pub fn outcome(&self) -> SaveOutcome {
        self.outcome
    }
}
