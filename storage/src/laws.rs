//! The laws of storage, as tests that every backend runs.
//!
//! A backend is done when it keeps them. It says how its place is opened, and names the suite; each
//! law becomes a test of its own, in a place of its own.
//!
//! ```
//! use std::sync::Arc;
//!
//! use async_trait::async_trait;
//! use regrant_storage::laws::{BlobPlace, Task};
//! use regrant_storage::{BlobStore, MemoryBlobStore, blob_store_laws};
//!
//! #[derive(Default)]
//! struct InMemory(MemoryBlobStore);
//!
//! #[async_trait]
//! impl BlobPlace for InMemory {
//!     async fn open(&self) -> Arc<dyn BlobStore> {
//!         Arc::new(self.0.clone())
//!     }
//!
//!     async fn together(&self, tasks: Vec<Task>) {
//!         let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
//!         for task in running {
//!             task.await.expect("no task of a law fails");
//!         }
//!     }
//! }
//!
//! blob_store_laws! {
//!     #[tokio::test(flavor = "multi_thread")]
//!     InMemory::default()
//! }
//! # fn main() {}
//! ```
//!
//! Laws panic where they are broken. They need no runtime, read no clock and draw no random number.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;

use crate::blob::BlobStore;
use crate::lease::RefreshLease;

pub mod blob_store;
pub mod lease;

/// How many come at once.
const CROWD: usize = 50;

/// One of several things that a law does at once.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A place for sealed records that nothing was stored in before.
#[async_trait]
pub trait BlobPlace: Send + Sync {
    /// Opens it, as another process would: each time the same place, each time anew.
    async fn open(&self) -> Arc<dyn BlobStore>;

    /// Runs the tasks until all are done, and panics if one does.
    ///
    /// They take turns in the caller's task, unless a backend gives them threads: it should.
    async fn together(&self, tasks: Vec<Task>) {
        in_turn(tasks).await;
    }
}

/// A place where leases come from, none of them held.
#[async_trait]
pub trait LeasePlace: Send + Sync {
    /// Opens it, as another process would: each time the same place, each time anew.
    async fn open(&self) -> Arc<dyn RefreshLease>;

    /// Runs the tasks until all are done, and panics if one does.
    ///
    /// They take turns in the caller's task, unless a backend gives them threads: it should.
    async fn together(&self, tasks: Vec<Task>) {
        in_turn(tasks).await;
    }
}

/// Runs the tasks in the caller's own, each as far as it comes.
async fn in_turn(mut tasks: Vec<Task>) {
    poll_fn(|context| {
        tasks.retain_mut(|task| task.as_mut().poll(context).is_pending());
        if tasks.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

/// Lets the others go first.
async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Polls a future so often at most, and then drops it.
async fn dropped_after<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = Box::pin(future);
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// One test for each law of [`blob_store`]: the attributes of a test, and an expression that
/// makes a fresh [`BlobPlace`]. See [`laws`](crate::laws).
#[macro_export]
macro_rules! blob_store_laws {
    ($(#[$attribute:meta])+ $place:expr) => {
        $crate::laws_as_tests! {
            blob_store [$(#[$attribute])+] [$place]
            absent_is_none
            create_needs_absence
            a_save_raises_nothing_by_itself
            a_mismatch_says_what_is_there_and_changes_nothing
            of_concurrent_creators_one_wins
            concurrent_savers_lose_nothing
            a_tombstone_is_not_resurrected_by_a_stale_writer
            accounts_are_isolated
            large_records_round_trip
            a_dropped_save_leaves_old_or_new
            list_names_every_account_and_not_the_data_key
            a_list_is_complete_while_others_write
            what_was_saved_is_there_after_reopening
            two_handles_see_each_others_saves
            replace_leaves_what_is_readable_alone
            what_is_set_aside_is_out_of_the_way
            capabilities_name_the_same_place
        }
    };
}

/// One test for each law of [`lease`]: the attributes of a test, and an expression that makes a
/// fresh [`LeasePlace`]. See [`laws`](crate::laws).
#[macro_export]
macro_rules! lease_laws {
    ($(#[$attribute:meta])+ $place:expr) => {
        $crate::laws_as_tests! {
            lease [$(#[$attribute])+] [$place]
            one_holder_at_a_time
            busy_names_its_holder
            a_released_lease_can_be_taken
            a_dropped_lease_can_be_taken
            a_dropped_try_holds_nothing
            a_renewed_lease_is_still_held
            accounts_have_leases_of_their_own
        }
    };
}

/// Not to be called by name.
#[doc(hidden)]
#[macro_export]
macro_rules! laws_as_tests {
    (@one $suite:ident [$(#[$attribute:meta])+] [$place:expr] $law:ident) => {
        $(#[$attribute])+
        async fn $law() {
            let place = $place;
            $crate::laws::$suite::$law(&place).await;
        }
    };
    ($suite:ident $attributes:tt $place:tt $($law:ident)+) => {
        $($crate::laws_as_tests! { @one $suite $attributes $place $law })+
    };
}
