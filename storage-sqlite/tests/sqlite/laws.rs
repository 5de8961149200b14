//! The laws of storage.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use regrant_storage::laws::{BlobPlace, LeasePlace, ProcessPlace, Task};
use regrant_storage::{BlobStore, FileLease, RefreshLease};
use regrant_storage_sqlite::SqliteStore;
use tempfile::TempDir;

use crate::support;

/// A database, and the locks beside it.
pub(crate) struct InFile {
    database: PathBuf,
    /// Of the one that was made new: it goes with it.
    _folder: Option<TempDir>,
}

impl InFile {
    pub(crate) fn new() -> Self {
        let folder = support::folder();
        Self { database: support::database(&folder), _folder: Some(folder) }
    }

    async fn store(&self) -> SqliteStore {
        support::store(&self.database).await
    }
}

impl ProcessPlace for InFile {
    fn address(&self) -> String {
        self.database.to_str().unwrap().to_owned()
    }

    fn at(address: &str) -> Self {
        Self { database: address.into(), _folder: None }
    }

    /// Between two saves there is the database, and the folder of locks, whose number is that of the
    /// accounts. A journal or a database in the making is a leftover.
    fn leftovers(&self) -> Vec<String> {
        let names = support::names(self.database.parent().unwrap());
        let known = ["regrant.db", "regrant.db.locks"];
        names.into_iter().filter(|name| !known.contains(&name.as_str())).collect()
    }
}

#[async_trait]
impl BlobPlace for InFile {
    async fn open(&self) -> Arc<dyn BlobStore> {
        Arc::new(self.store().await)
    }

    async fn together(&self, tasks: Vec<Task>) {
        spawned(tasks).await;
    }
}

#[async_trait]
impl LeasePlace for InFile {
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
        super::InFile::new()
    }
}

mod processes {
    regrant_storage::process_laws! {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        super::InFile::new()
    }
}

mod lease {
    regrant_storage::lease_laws! {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        super::InFile::new()
    }
}

mod lease_processes {
    regrant_storage::lease_process_laws! {
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        super::InFile::new()
    }
}
