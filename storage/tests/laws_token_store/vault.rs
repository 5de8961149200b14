//! Sealed records, with a key in a file. A backup takes what lies in the place of blobs.

use std::sync::Arc;

use async_trait::async_trait;
use regrant_storage::laws::{Task, TokenPlace};
use regrant_storage::{
    Blob, BlobStore as _, Expected, KeyFile, MemoryBlobStore, Name, Saved, TokenStore, Vault,
};
use tempfile::TempDir;

use crate::spawned;

struct Sealed {
    blobs: MemoryBlobStore,
    folder: TempDir,
}

impl Sealed {
    fn new() -> Self {
        Self { blobs: MemoryBlobStore::new(), folder: tempfile::tempdir().unwrap() }
    }
}

#[async_trait]
impl TokenPlace for Sealed {
    async fn open(&self) -> Arc<dyn TokenStore> {
        let key = KeyFile::new(self.folder.path().join("regrant.key"));
        Arc::new(Vault::new(Arc::new(self.blobs.clone()), Arc::new(key)))
    }

    async fn together(&self, tasks: Vec<Task>) {
        spawned(tasks).await;
    }

    async fn back_up(&self) -> Option<Task> {
        let mut names = vec![Name::DataKey];
        names.extend(self.blobs.list().await.unwrap().into_iter().map(|entry| entry.name));
        let mut copies = Vec::new();
        for name in names {
            copies.extend(self.blobs.load(&name).await.unwrap());
        }
        let blobs = self.blobs.clone();
        Some(Box::pin(async move { put_back(&blobs, copies).await }))
    }
}

async fn put_back(blobs: &MemoryBlobStore, copies: Vec<Blob>) {
    for copy in copies {
        let there = blobs.load(&copy.entry.name).await.unwrap().unwrap().entry;
        let over = Expected::Revision(there.incarnation, there.revision);
        assert!(matches!(blobs.save(&copy, over).await.unwrap(), Saved::Done));
    }
}

mod laws {
    mod token_store {
        use crate::vault::Sealed;

        regrant_storage::token_store_laws! {
            #[tokio::test(flavor = "multi_thread")]
            Sealed::new()
        }
    }
}
