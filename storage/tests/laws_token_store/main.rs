//! The laws of records: the vault and the store in memory keep them, and stores with a flaw do not.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

mod broken;
mod memory_store;
mod records;
mod vault;

use std::panic::resume_unwind;

use regrant_storage::laws::Task;

/// Side by side, on the threads of the test's runtime; what a law has said is passed on.
async fn spawned(tasks: Vec<Task>) {
    let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    for task in running {
        task.await.unwrap_or_else(|error| resume_unwind(error.into_panic()));
    }
}
