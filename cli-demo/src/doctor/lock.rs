//! Whether the lock works that keeps the token requests at one.

use regrant::{StoreError, StoreFault, Timestamp};
use regrant_storage::{RefreshLease, Tried};

use super::Check;
use crate::error::Failure;
use crate::store::Store;

const NAME: &str = "lock";

/// Takes the lease of this account and gives it back; meanwhile nobody else may get it.
pub(crate) async fn examine(store: &Store, account: &str, now: Timestamp) -> Check {
    match tried(&store.lease(), account, now).await {
        Ok(check) => check,
        Err(error) => Check::failed(NAME, &Failure::of_store(&error)),
    }
}

async fn tried(
    lease: &dyn RefreshLease,
    account: &str,
    now: Timestamp,
) -> Result<Check, StoreError> {
    let held = match lease.try_acquire(account, now).await? {
        Tried::Held(held) => held,
        Tried::Busy(holder) => {
            let who = holder.pid.map_or("a process".to_owned(), |pid| format!("process {pid}"));
            return Ok(Check::fine(NAME, format!("{who} holds it to refresh this credential")));
        }
        Tried::Unlockable => {
            return Ok(Check::warning(
                NAME,
                "this place knows no locks",
                "run one process at a time on this store, or move it to a local disk",
            ));
        }
    };
    // Each try opens the file anew, and the lock belongs to what was opened: so a second try is
    // as good as another process.
    let again = lease.try_acquire(account, now).await;
    held.release().await?;
    match again? {
        Tried::Busy(_) => Ok(Check::fine(NAME, "was granted once, and given back")),
        Tried::Held(_) | Tried::Unlockable => {
            let what = "this mount grants one lock twice: two processes would refresh at once";
            let failure = Failure::of_store(&StoreError::new(StoreFault::Unavailable, what));
            Ok(Check::failed(NAME, &failure.remedy("move the store to a disk of this machine")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;
    use crate::error::Exit;
    use async_trait::async_trait;
    use regrant_storage::{FileLease, MemoryLease};

    /// A mount that grants a lock to whoever asks, or knows none.
    #[derive(Debug)]
    enum Mount {
        Generous,
        Lockless,
    }

    #[async_trait]
    impl RefreshLease for Mount {
        async fn try_acquire(&self, account: &str, now: Timestamp) -> Result<Tried, StoreError> {
            match self {
                Self::Generous => MemoryLease::new().try_acquire(account, now).await,
                Self::Lockless => Ok(Tried::Unlockable),
            }
        }

        fn proves_death(&self) -> bool {
            true
        }
    }

    async fn outcome(lease: &dyn RefreshLease) -> Outcome {
        tried(lease, "a", Timestamp::EPOCH).await.unwrap().outcome
    }

    #[tokio::test]
    async fn a_mount_that_grants_one_lock_twice_is_a_failure() {
        let folder = tempfile::tempdir().unwrap();
        let lease = FileLease::new(folder.path());
        assert_eq!(outcome(&lease).await, Outcome::Fine);
        assert_eq!(outcome(&lease).await, Outcome::Fine, "it was given back");
        assert_eq!(outcome(&Mount::Generous).await, Outcome::Failed(Exit::Store));
        assert_eq!(outcome(&Mount::Lockless).await, Outcome::Warning);
    }
}
