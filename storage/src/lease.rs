//! The right to refresh one credential, exclusive across processes.

use std::time::Duration;

use async_trait::async_trait;
use regrant_core::{Holder, Timestamp};

use crate::error::StoreError;

/// How a try for a lease ended.
#[derive(Debug)]
pub enum Tried {
    /// It is ours until the guard is released or dropped.
    Held(Box<dyn HeldLease>),
    /// Somebody else has it.
    Busy(Holder),
    /// This place cannot be locked at all; it can be written. One process at a time, then.
    Unlockable,
}

/// A lease that is held.
///
/// Dropping it lets it go as well, as far as that needs no waiting.
#[async_trait]
pub trait HeldLease: Send + Sync + std::fmt::Debug {
    /// Keeps it for longer, where a lease runs out.
    ///
    /// # Errors
    ///
    /// [`StoreError`], if it is not ours any more or nobody knows.
    async fn renew(&mut self) -> Result<(), StoreError>;

    /// Lets it go.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; the lease is then left to run out.
    async fn release(self: Box<Self>) -> Result<(), StoreError>;

    /// How long it is certainly still ours; `None` for as long as this process lives.
    fn time_left(&self) -> Option<Duration>;
}

/// Where leases come from.
///
/// # Duties
///
/// - At most one holder at a time for one account, over all processes that share the place.
/// - A try does not wait.
/// - Busy is not failed, and unlockable is not busy.
/// - If [`proves_death`](Self::proves_death), a holder that died has let go, and a holder that
///   lives, stopped or asleep, has not.
/// - A child process does not inherit a lease.
#[async_trait]
pub trait RefreshLease: Send + Sync + std::fmt::Debug {
    /// One try, now told by the host's clock for those who will ask who holds it.
    ///
    /// # Errors
    ///
    /// [`StoreError`], if the try itself failed.
    async fn try_acquire(&self, account: &str, now: Timestamp) -> Result<Tried, StoreError>;

    /// Whether getting the lease proves that its last holder is gone.
    fn proves_death(&self) -> bool;
}
