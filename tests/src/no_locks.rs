//! A lease where there can be none.

use async_trait::async_trait;
use regrant::{RefreshLease, StoreError, Timestamp};
use regrant_storage::Tried;

/// A place whose file system knows no locks.
#[derive(Clone, Copy, Debug)]
pub struct NoLocks;

#[async_trait]
impl RefreshLease for NoLocks {
    async fn try_acquire(&self, _: &str, _: Timestamp) -> Result<Tried, StoreError> {
        Ok(Tried::Unlockable)
    }

    fn proves_death(&self) -> bool {
        false
    }
}
