//! The laws of storage.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use regrant_storage::laws::{BlobPlace, LeasePlace, ProcessPlace, Task};
use regrant_storage::{BlobStore, FileLease, RefreshLease};
use regrant_storage_file::FileStore;
use tempfile::TempDir;

use crate::support;

/// A folder, with records and leases in it.
pub(crate) struct InFolder {
    path: PathBuf,
    /// Of the one that was made new: it goes with it.
    _folder: Option<TempDir>,
}

impl InFolder {
    pub(crate) fn new() -> Self {
        let folder = support::folder();
        Self { path: support::inside(&folder), _folder: Some(folder) }
    }

    async fn store(&self) -> FileStore {
        support::store(&self.path).await
    }
}

impl ProcessPlace for InFolder {
    fn address(&self) -> String {
        self.path.to_str().unwrap().to_owned()
    }

    fn at(address: &str) -> Self {
        Self { path: address.into(), _folder: None }
    }

    fn leftovers(&self) -> Vec<String> {
        support::unfinished(&self.path)
    }
}

#[async_trait]
impl BlobPlace for InFolder {
    async fn open(&self) -> Arc<dyn BlobStore> {
        Arc::new(self.store().await)
    }

    async fn together(&self, tasks: Vec<Task>) {
        spawned(tasks).await;
    }
}

#[async_trait]
impl LeasePlace for InFolder {
    async fn open(&self) -> Arc<dyn RefreshLease> {
        Arc::new(FileLease::new(self.store().await.lock_folder()))
    }

    async fn together(&self, tasks: Vec<Task>) {
        spawned(tasks).await;
    }
}

/// Side by side, on the threads of the test's runtime.
async fn spawned(tasks: Vec<Task>) {
    let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    for task in running {
        task.await.unwrap();
    }
}

mod blob_store {
    regrant_storage::blob_store_laws! {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        super::InFolder::new()
    }
}

mod processes {
    regrant_storage::process_laws! {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        super::InFolder::new()
    }
}

mod lease {
    regrant_storage::lease_laws! {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        super::InFolder::new()
    }
}

mod lease_processes {
    regrant_storage::lease_process_laws! {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        super::InFolder::new()
    }
}
