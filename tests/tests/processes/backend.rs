//! The stores of one host.

use std::path::Path;
use std::sync::Arc;

use regrant_storage::{BlobStore, FileLease};
use regrant_storage_file::FileStore;
use regrant_storage_sqlite::SqliteStore;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Backend {
    Sqlite,
    File,
}

impl Backend {
    pub(crate) fn named(name: &str) -> Self {
        let all = [Self::Sqlite, Self::File];
        all.into_iter().find(|backend| backend.name() == name).expect("a name of a backend")
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::File => "file",
        }
    }

    /// Its store in this folder, and where its leases come from.
    pub(crate) async fn open(self, folder: &Path) -> (Arc<dyn BlobStore>, FileLease) {
        match self {
            Self::Sqlite => {
                let store = SqliteStore::open(folder.join("store.db")).await.unwrap();
                let lease = FileLease::new(store.lock_folder());
                (Arc::new(store), lease)
            }
            Self::File => {
                let store = FileStore::open(folder.join("store")).await.unwrap();
                let lease = FileLease::new(store.lock_folder());
                (Arc::new(store), lease)
            }
        }
    }
}
