//! The keychain where it can be used, a key file elsewhere.

use async_trait::async_trait;
use regrant_core::StoreFault;
use regrant_storage::{Key, KeyFile, KeyRing, KeySource, NewKey, Protection, StoreError};

use crate::keychain::Keychain;

/// A [`KeyRing`] that decides once, when a store is made.
///
/// The key of a new store goes into the keychain if it can be stored there and read back within
/// 3 s without asking anybody, and else into a key file, with a warning. The store records which
/// it was, and is opened with that alone from then on: a keychain that is locked later is an
/// error, and never a reason for another key.
#[derive(Clone, Debug)]
pub struct Auto {
    keychain: Keychain,
    fallback: KeyFile,
}

impl Auto {
    /// This keychain, or else this file.
    pub fn new(keychain: Keychain, fallback: KeyFile) -> Self {
        Self { keychain, fallback }
    }

    /// The key file of this source, at whatever path it was when the store was made.
    fn key_file(&self, source: &KeySource) -> Option<KeyFile> {
        // A path that is not Unicode can be compared, and not read off the source.
        if self.fallback.opens(source) {
            return Some(self.fallback.clone());
        }
        source.file_path().map(KeyFile::new)
    }
}

#[async_trait]
impl KeyRing for Auto {
    fn opens(&self, source: &KeySource) -> bool {
        self.keychain.opens(source) || source.file_path().is_some()
    }

    async fn load(&self, source: &KeySource, parameters: &[u8]) -> Result<Option<Key>, StoreError> {
        if self.keychain.opens(source) {
            return self.keychain.load(source, parameters).await;
        }
        match self.key_file(source) {
            Some(file) => file.load(source, parameters).await,
            None => Err(StoreError::new(
                StoreFault::WrongKeySource,
                "the key of the store is neither in the keychain nor in a file: name its source",
            )),
        }
    }

    async fn create(&self) -> Result<NewKey, StoreError> {
        match self.keychain.create_unasked().await {
            Ok(made) => Ok(made),
            Err(error) => {
                tracing::warn!(
                    %error,
                    path = %self.fallback.path().display(),
                    "the keychain cannot be used unasked; the key of the new store lies in a file"
                );
                self.fallback.create().await
            }
        }
    }

    async fn discard(&self, unused: &NewKey) {
        self.keychain.discard(unused).await;
    }

    fn protection(&self, source: &KeySource) -> Protection {
        if self.keychain.opens(source) {
            self.keychain.protection(source)
        } else {
            self.fallback.protection(source)
        }
    }
}
