//! The laws of storage.

use std::sync::Arc;

use async_trait::async_trait;
use regrant_storage::laws::{BlobPlace, Task};
use regrant_storage::{BlobStore, blob_store_laws};
use regrant_storage_sqlite::SqliteStore;
use tempfile::TempDir;

use crate::support::{database, folder};

struct InFile(TempDir);

#[async_trait]
impl BlobPlace for InFile {
    async fn open(&self) -> Arc<dyn BlobStore> {
        Arc::new(SqliteStore::open(database(&self.0)).await.unwrap())
    }

    async fn together(&self, tasks: Vec<Task>) {
        let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
        for task in running {
            task.await.unwrap();
        }
    }
}

blob_store_laws! {
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    InFile(folder())
}
