//! The laws of storage, as tests that every backend runs.
//!
//! A backend is done when it keeps them. It says how its place is opened, and names the suite; each
//! law becomes a test of its own, in a place of its own. Laws panic where they are broken.
//!
//! | suite | for | in | finds |
//! |---|---|---|---|
//! | [`blob_store_laws!`](crate::blob_store_laws) | a [`BlobStore`] | one process | saves that are lost, merged or mistaken for one another |
//! | [`process_laws!`](crate::process_laws) | a `BlobStore` on one host | many processes | what a crowd, a kill at any moment, or a full disk leaves behind |
//! | [`lease_laws!`](crate::lease_laws) | a [`RefreshLease`] | one process | two who hold one lease, and leases that are never free again |
//! | [`lease_process_laws!`](crate::lease_process_laws) | a `RefreshLease` on one host | many processes | leases that outlive their holder, or do not last as long as it |
//! | [`token_store_laws!`](crate::token_store_laws) | a [`TokenStore`] | one process | records that do not come back as they were saved |
//!
//! # In one process
//!
//! A place is an empty one, however often its expression is evaluated: a folder, a database, a
//! schema. It is opened again and again, as other processes would open it.
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
//! mod laws {
//!     mod blob_store {
//!         use super::super::*;
//!
//!         blob_store_laws! {
//!             #[tokio::test(flavor = "multi_thread")]
//!             InMemory::default()
//!         }
//!     }
//! }
//! # fn main() {}
//! ```
//!
//! # Across processes
//!
//! The test binary starts itself again for every process of a law, so a place must be found by
//! others: it has an address, and can be made of one ([`ProcessPlace`]). Only the one that was made
//! new may take the place away when it is dropped.
//!
//! ```
//! use std::path::PathBuf;
//!
//! use regrant_storage::laws::ProcessPlace;
//! use tempfile::TempDir;
//!
//! struct InFolder {
//!     path: PathBuf,
//!     /// Of the one that was made new: it goes with it.
//!     _folder: Option<TempDir>,
//! }
//!
//! impl InFolder {
//!     fn new() -> Self {
//!         let folder = tempfile::tempdir().expect("there is room for a test");
//!         Self { path: folder.path().join("store"), _folder: Some(folder) }
//!     }
//! }
//!
//! impl ProcessPlace for InFolder {
//!     fn address(&self) -> String {
//!         self.path.to_str().expect("it is UTF-8").to_owned()
//!     }
//!
//!     fn at(address: &str) -> Self {
//!         Self { path: address.into(), _folder: None }
//!     }
//! }
//! ```
//!
//! With a [`BlobPlace`] for the same type, `process_laws! { #[tokio::test] InFolder::new() }` is the
//! suite. One test of it, `child_of_a_law`, is no law: it is what the processes run, and does
//! nothing where nobody asks it to. Laws that inject faults into system calls need Linux and
//! `strace`; laws that stop a process need Unix. What cannot be tested is said to stderr, and fails
//! if `REGRANT_REQUIRE_ALL_PARTS` is set.
//!
//! # Names
//!
//! Each suite belongs in a module of its own, `laws::` and the name of its module here, as above. A
//! test is then called `…laws::<suite>::<law>`, and a program can read from the output of
//! `cargo test` which backend keeps which law.
//!
//! # When one is red
//!
//! Its name and its first sentence say what does not hold; the message says what was found instead.
//! A law that is red once in ten runs is broken: these are races, and no law waits for luck. Do not
//! run it again until it is green. The random kills print the seed of their moments, which
//! `REGRANT_LAW_SEED` repeats as closely as a scheduler allows.
//!
//! # What they do not find
//!
//! Laws see what processes see. That a save survives a power loss needs a disk that forgets; that
//! a backend follows the duty to sync can only be read, or seen in the trace of its system calls.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;

use crate::blob::BlobStore;
use crate::lease::RefreshLease;
use crate::token::TokenStore;

pub mod blob_store;
mod blobs;
pub mod lease;
pub mod lease_processes;
pub mod processes;
mod suites;
pub mod token_store;

pub use processes::{Host, ProcessPlace};

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

/// A place for records that nothing was stored in before.
#[async_trait]
pub trait TokenPlace: Send + Sync {
    /// Opens it, as another process would: each time the same place, each time anew.
    async fn open(&self) -> Arc<dyn TokenStore>;

    /// Runs the tasks until all are done, and panics if one does.
    ///
    /// They take turns in the caller's task, unless a backend gives them threads: it should.
    async fn together(&self, tasks: Vec<Task>) {
        in_turn(tasks).await;
    }

    /// Copies all that is stored now; the task puts the copy back, as somebody does who has a
    /// backup. `None` where no backup reaches.
    async fn back_up(&self) -> Option<Task> {
        None
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
