//! Records in files, their key in the keychain.

use std::path::Path;
use std::sync::Arc;

use regrant_storage::{StoreError, Vault};
use regrant_storage_file::FileStore;

use crate::keychain::Keychain;

/// A store whose records lie sealed in the files of a folder, and whose key lies in the keychain.
///
/// A keychain alone is no store: it has no compare-and-swap, Windows takes 2,560 bytes, and macOS
/// may ask again after each time that an item is written.
#[derive(Clone, Debug)]
pub struct KeyringStore {
    files: Arc<FileStore>,
    keychain: Keychain,
}

impl KeyringStore {
    /// The store in this folder. Touches neither the folder nor the keychain yet.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of kind `Unavailable`, if the path cannot be followed.
    pub async fn open(folder: impl AsRef<Path>) -> Result<Self, StoreError> {
        let files = Arc::new(FileStore::open(folder).await?);
        Ok(Self { files, keychain: Keychain::new() })
    }

    /// The files: where they lie, and where the locks of a lease belong.
    pub fn files(&self) -> &Arc<FileStore> {
        &self.files
    }

    /// With this keychain, which may have another deadline.
    #[must_use]
    pub fn with_keychain(mut self, keychain: Keychain) -> Self {
        self.keychain = keychain;
        self
    }

    /// The records.
    pub fn vault(&self) -> Vault {
        Vault::new(self.files.clone(), Arc::new(self.keychain.clone()))
    }
}
