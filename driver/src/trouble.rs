//! What is wrong with the store, in the store's own words.

use std::sync::Arc;

use regrant_core::StoreFault;
use regrant_storage::StoreError;

/// Which use of the store an error came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Read,
    Write,
    Lease,
}

/// The last error of each use, until that use succeeds again.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    read: Option<Arc<StoreError>>,
    write: Option<Arc<StoreError>>,
    lease: Option<Arc<StoreError>>,
}

impl Trouble {
    pub(crate) fn note(&mut self, side: Side, error: Option<Arc<StoreError>>) {
        match side {
            Side::Read => self.read = error,
            Side::Write => self.write = error,
            Side::Lease => self.lease = error,
        }
    }

    /// The error behind this fault.
    pub(crate) fn behind(&self, fault: StoreFault) -> Option<Arc<StoreError>> {
        self.all().find(|error| error.kind() == fault).cloned()
    }

    /// The worst there is.
    pub(crate) fn worst(&self) -> Option<Arc<StoreError>> {
        self.all().next().cloned()
    }

    /// Whether the store could not be read when it was last tried.
    pub(crate) fn is_unreadable(&self) -> bool {
        self.read.is_some()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<StoreError>> {
        [&self.write, &self.read, &self.lease].into_iter().flatten()
    }
}
