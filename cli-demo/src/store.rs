//! Where credentials are kept, and the key that seals them.

mod files;
mod location;

use std::path::PathBuf;
use std::sync::Arc;

use regrant::{StoreError, TokenStore as _};
use regrant_core::Record;
use regrant_storage::{
    BlobStore, Entry, FileLease, KeyFile, KeySource, Passphrase, Protection, Vault,
};
use regrant_storage_file::FileStore;
use regrant_storage_keyring::Keychain;
use regrant_storage_sqlite::SqliteStore;

use crate::error::Failure;
use crate::key::{Choice, Keys, Patience, Ring};
use crate::output::Output;

pub(crate) use self::files::{Files, Rights, rights};
pub(crate) use self::location::{Location, homeless};

/// The store and the key source that the command line names. Nothing is opened yet.
#[derive(Debug)]
pub(crate) struct Place {
    location: Location,
    key: Choice,
}

/// An open store.
#[derive(Debug)]
pub(crate) struct Store {
    blobs: Arc<dyn BlobStore>,
    vault: Arc<Vault>,
    ring: Ring,
    lock_folder: PathBuf,
    /// Where it really lies.
    location: Location,
    recorded: Recorded,
}

/// What is at a place: the backend, the folder of its locks, and where it really lies.
type Opened = (Arc<dyn BlobStore>, PathBuf, Location);

/// What a store names as the source of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recorded {
    /// It has no key before its first record.
    Nothing,
    Source(KeySource),
    /// The store cannot be read. Whoever needs it is told why.
    Unreadable,
}

impl Place {
    /// What the options and the environment name.
    pub(crate) fn named(store: Option<&str>, key: &str) -> Result<Self, Failure> {
        let location = store.map_or_else(Location::usual, Location::parse)?;
        let key = match (&location, Choice::parse(key)?) {
            (Location::Keyring(_), Choice::Auto | Choice::Keychain) => Choice::Keychain,
            (Location::Keyring(_), _) => {
                return Err(Failure::usage("the key of a `keyring` store is in the keychain")
                    .remedy("leave --key away, or use --store file:FOLDER"));
            }
            (Location::Sqlite(_) | Location::Folder(_), key) => key,
        };
        Ok(Self { location, key })
    }

    /// Where a new store here gets its key from, if that is certain.
    pub(crate) fn key_source(&self) -> Option<KeySource> {
        match &self.key {
            Choice::Auto => None,
            Choice::Keychain => Some(Keychain::source()),
            Choice::File(path) => Some(KeyFile::new(path).source()),
            Choice::Descriptor(_) | Choice::Prompt => Some(Passphrase::source()),
        }
    }

    /// Opens it, which makes no file.
    pub(crate) async fn open(
        &self,
        keys: &Keys,
        patience: Patience,
        output: Output,
    ) -> Result<Store, Failure> {
        let (blobs, lock_folder, location) = self.backend().await?;
        let recorded = match KeySource::recorded_in(&*blobs).await {
            Ok(source) => source.map_or(Recorded::Nothing, Recorded::Source),
            Err(_) => Recorded::Unreadable,
        };
        let ring = keys.ring(&self.key, recorded.source(), location.path(), patience)?;
        if let (Choice::File(key), Recorded::Nothing) = (&self.key, &recorded) {
            let key = KeyFile::new(key);
            if location.holds(key.path()) {
                output
                    .note("the key file lies beside the store: whoever copies the folder has both");
            }
        }
        Ok(Store {
            vault: Arc::new(Vault::new(Arc::clone(&blobs), Arc::clone(&ring.keys))),
            blobs,
            ring,
            lock_folder,
            location,
            recorded,
        })
    }

    async fn backend(&self) -> Result<Opened, StoreError> {
        match &self.location {
            Location::Sqlite(path) => {
                let store = SqliteStore::open(path).await?;
                let location = self.location.at(store.path());
                let lock_folder = store.lock_folder();
                Ok((Arc::new(store), lock_folder, location))
            }
            Location::Folder(path) | Location::Keyring(path) => {
                let store = FileStore::open(path).await?;
                let location = self.location.at(store.folder());
                let lock_folder = store.lock_folder();
                Ok((Arc::new(store), lock_folder, location))
            }
        }
    }
}

impl Recorded {
    pub(crate) fn source(&self) -> Option<&KeySource> {
        match self {
            Self::Source(source) => Some(source),
            Self::Nothing | Self::Unreadable => None,
        }
    }
}

impl Store {
    pub(crate) fn vault(&self) -> Arc<Vault> {
        Arc::clone(&self.vault)
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    pub(crate) fn lease(&self) -> FileLease {
        FileLease::new(&self.lock_folder)
    }

    pub(crate) fn location(&self) -> &Location {
        &self.location
    }

    /// As `--store` takes it.
    pub(crate) fn url(&self) -> String {
        self.location.url()
    }

    pub(crate) fn recorded(&self) -> &Recorded {
        &self.recorded
    }

    /// The same as the store names it now.
    pub(crate) async fn recorded_now(&self) -> Result<Option<KeySource>, StoreError> {
        KeySource::recorded_in(&*self.blobs).await
    }

    /// What keeps the key of this source from somebody who has a copy of the store.
    pub(crate) fn protection(&self, source: &KeySource) -> Protection {
        // Not every ring knows of every source.
        if *source == Passphrase::source() {
            Protection::Passphrase
        } else if *source == Keychain::source() {
            Protection::OsKeychain
        } else if source.file_path().is_some() {
            Protection::None
        } else {
            self.ring.keys.protection(source)
        }
    }

    /// Whether nothing lies there yet.
    pub(crate) fn is_new(&self) -> bool {
        self.recorded == Recorded::Nothing && !self.location.path().exists()
    }

    pub(crate) fn files(&self) -> Files {
        Files::of(&self.location, &self.lock_folder)
    }

    /// Has the key ready before anything waits for it with a deadline: somebody may have to type
    /// a passphrase, or the password of the keychain.
    ///
    /// What is wrong with the store is told by whoever uses it, and for a logout it does not
    /// matter.
    pub(crate) async fn unlock(&self) {
        let _ = match (&self.ring.asked, &self.recorded) {
            (Some(asked), Recorded::Nothing) => asked.for_new_store().await,
            _ => self.vault.fingerprinter().await.map(drop),
        };
    }

    /// The record of this account, without opening a session.
    pub(crate) async fn load(&self, account: &str) -> Result<Option<Record>, StoreError> {
        Ok(self.vault.load(account).await?.map(|stored| stored.record))
    }

    pub(crate) async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.vault.list().await
    }
}
