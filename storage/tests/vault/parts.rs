//! What the tests are made of: records, a ring whose key is at hand, and a store that interferes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use regrant_core::{Client, Grant, Id, Login, Record, Secret, StoreFault, Timestamp, Version};
use regrant_storage::{
    Blob, BlobStore, Capabilities, Entry, Expected, Kept, Key, KeyRing, KeySource, MemoryBlobStore,
    Name, NewKey, Over, Protection, Saved, StoreError, Stored, TokenStore as _, Vault,
};

/// Stands in every token, and nowhere else.
pub(crate) const CANARY: &str = "canary";

pub(crate) fn account(text: &str) -> Name {
    Name::Account(text.to_owned())
}

/// The record of a login whose incarnation is made of this byte.
pub(crate) fn record(byte: u8) -> Record {
    let mut grant = Grant::bearer(Secret::new(format!("{CANARY}-access")));
    grant.refresh_token = Some(Secret::new(format!("{CANARY}-refresh")));
    grant.expires_in = Some(std::time::Duration::from_secs(3_600));
    let login = Login {
        incarnation: Id([byte; 16]),
        client: Client::new("https://as.example/token", "client"),
        origins: Vec::new(),
        grant,
        obtained_at: Timestamp::from_millis(1_700_000_000_000),
    };
    Record::login(&login, None)
}

pub(crate) fn logged_out(of: &Record) -> Record {
    Record::logged_out(of.incarnation, of.generation, Timestamp::from_millis(5))
}

/// A ring with a key in memory, and a source of any name.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    pub(crate) source: &'static str,
    pub(crate) protection: Protection,
    pub(crate) key: Arc<Mutex<Option<Key>>>,
    pub(crate) created: Arc<AtomicUsize>,
}

impl Ring {
    pub(crate) fn new() -> Self {
        let (key, created) = (Arc::default(), Arc::default());
        Self { source: "keychain", protection: Protection::OsKeychain, key, created }
    }

    /// The same ring after somebody put another key there, or took it away.
    pub(crate) fn with(&self, key: Option<Key>) -> Self {
        Self { key: Arc::new(Mutex::new(key)), ..self.clone() }
    }

    pub(crate) fn created(&self) -> usize {
        self.created.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl KeyRing for Ring {
    fn opens(&self, source: &KeySource) -> bool {
        source.as_str() == self.source
    }

    async fn load(&self, _: &KeySource, parameters: &[u8]) -> Result<Option<Key>, StoreError> {
        let key = self.key.lock().unwrap().clone();
        Ok(key.filter(|_| parameters == b"salt and costs"))
    }

    async fn create(&self) -> Result<NewKey, StoreError> {
        self.created.fetch_add(1, Ordering::SeqCst);
        let mut key = self.key.lock().unwrap();
        if key.is_none() {
            *key = Some(Key::random()?);
        }
        let source = KeySource::new(self.source);
        Ok(NewKey { key: key.clone().unwrap(), source, parameters: b"salt and costs".to_vec() })
    }

    fn protection(&self, _: &KeySource) -> Protection {
        self.protection
    }
}

/// A place, the ring of its key, and a vault over both.
pub(crate) struct Parts {
    pub(crate) blobs: MemoryBlobStore,
    pub(crate) ring: Ring,
    pub(crate) vault: Vault,
}

impl Parts {
    pub(crate) fn new() -> Self {
        Self::over(MemoryBlobStore::new(), Ring::new())
    }

    pub(crate) fn over(blobs: MemoryBlobStore, ring: Ring) -> Self {
        let vault = Vault::new(Arc::new(blobs.clone()), Arc::new(ring.clone()));
        Self { blobs, ring, vault }
    }

    /// Another process over the same place.
    pub(crate) fn reopened(&self) -> Self {
        Self::over(self.blobs.clone(), self.ring.clone())
    }

    /// Another process over the same place, with another ring.
    pub(crate) fn with(&self, ring: Ring) -> Self {
        Self::over(self.blobs.clone(), ring)
    }

    pub(crate) async fn save(&self, name: &str, record: &Record, over: Over) -> Version {
        done(self.vault.save(name, record, &over).await)
    }

    pub(crate) async fn load(&self, name: &str) -> Stored {
        self.vault.load(name).await.unwrap().expect("it was saved")
    }

    pub(crate) async fn fault(&self, name: &str) -> StoreFault {
        self.vault.load(name).await.unwrap_err().kind()
    }

    pub(crate) async fn blob(&self, name: &Name) -> Blob {
        self.blobs.load(name).await.unwrap().expect("it was saved")
    }

    /// Puts this blob in the place of what is there, as somebody who can write the store may.
    pub(crate) async fn put(&self, blob: &Blob) {
        let expected = match self.blobs.load(&blob.entry.name).await.unwrap() {
            Some(old) => Expected::Revision(old.entry.incarnation, old.entry.revision),
            None => Expected::Absent,
        };
        assert!(matches!(self.blobs.save(blob, expected).await.unwrap(), Saved::Done));
    }

    /// Flips a bit of the seal.
    pub(crate) async fn damage(&self, name: &Name) -> Blob {
        let mut blob = self.blob(name).await;
        *blob.sealed.last_mut().unwrap() ^= 1;
        self.put(&blob).await;
        blob
    }
}

#[track_caller]
pub(crate) fn done(kept: Result<Kept, StoreError>) -> Version {
    match kept.unwrap() {
        Kept::Done(version) => version,
        Kept::Mismatch(found) => panic!("refused over {found:?}"),
    }
}

#[track_caller]
pub(crate) fn mismatch(kept: Result<Kept, StoreError>) -> Option<Stored> {
    match kept.unwrap() {
        Kept::Mismatch(found) => found,
        Kept::Done(_) => panic!("saved over something else than was expected"),
    }
}

/// What an [`Interfering`] store does at the next save of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Interference {
    /// Gives the turn away at every step, so that all who come at once race.
    Yield,
    /// Applies the save of a data key once, and says that it does not know.
    KeySaveUnknown,
    /// Answers a load of any account with the blob of this one.
    Misfile(&'static str),
    /// Saves so often and never again: whoever saves more has been killed before that.
    DeadAfter(usize),
}

#[derive(Debug)]
pub(crate) struct Interfering {
    pub(crate) inner: MemoryBlobStore,
    pub(crate) how: Interference,
    pub(crate) happened: AtomicUsize,
    /// What another process saves just before the first list.
    pub(crate) meanwhile: Mutex<Vec<Blob>>,
}

impl Interfering {
    pub(crate) fn new(inner: MemoryBlobStore, how: Interference) -> Arc<Self> {
        Arc::new(Self { inner, how, happened: AtomicUsize::new(0), meanwhile: Mutex::default() })
    }

    async fn step(&self) {
        if self.how == Interference::Yield {
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl BlobStore for Interfering {
    async fn load(&self, name: &Name) -> Result<Option<Blob>, StoreError> {
        self.step().await;
        match (self.how, name) {
            (Interference::Misfile(other), Name::Account(_)) => {
                self.inner.load(&account(other)).await
            }
            (Interference::Misfile(_), Name::DataKey)
            | (
                Interference::Yield | Interference::KeySaveUnknown | Interference::DeadAfter(_),
                _,
            ) => self.inner.load(name).await,
        }
    }

    async fn save(&self, blob: &Blob, expected: Expected) -> Result<Saved, StoreError> {
        self.step().await;
        if let Interference::DeadAfter(most) = self.how
            && self.happened.fetch_add(1, Ordering::SeqCst) >= most
        {
            return Err(StoreError::new(StoreFault::Unavailable, "killed"));
        }
        let saved = self.inner.save(blob, expected).await;
        if self.how == Interference::KeySaveUnknown
            && blob.entry.name == Name::DataKey
            && self.happened.fetch_add(1, Ordering::SeqCst) == 0
        {
            return Err(StoreError::new(StoreFault::Unavailable, "the answer is lost").unknown());
        }
        saved
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.step().await;
        let meanwhile = std::mem::take(&mut *self.meanwhile.lock().unwrap());
        for blob in meanwhile {
            self.inner.save(&blob, Expected::Absent).await?;
        }
        self.inner.list().await
    }

    async fn replace(&self, blob: &Blob) -> Result<Saved, StoreError> {
        self.inner.replace(blob).await
    }

    async fn set_aside(&self, blob: &Blob) -> Result<(), StoreError> {
        self.inner.set_aside(blob).await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}
