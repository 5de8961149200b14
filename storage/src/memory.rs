//! Stores and leases that end with the process.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use regrant_core::{Holder, Over, Record, StateKind, StoreFault, Stored, Timestamp, Version};

use crate::blob::{Blob, BlobStore, Capabilities, Entry, Expected, Name, Saved};
use crate::error::StoreError;
use crate::lease::{HeldLease, RefreshLease, Tried};
use crate::token::{Kept, TokenStore};

/// A [`BlobStore`] in memory: the shortest thing that keeps the laws. Clones share the data.
#[derive(Clone, Debug, Default)]
pub struct MemoryBlobStore {
    place: Place,
    inner: Arc<Mutex<Blobs>>,
}

#[derive(Debug, Default)]
struct Blobs {
    stored: BTreeMap<Name, Blob>,
    /// The names whose blobs cannot be read.
    damaged: Vec<Name>,
    aside: Vec<Blob>,
}

impl MemoryBlobStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// The copies that were set aside, oldest first.
    pub fn aside(&self) -> Vec<Blob> {
        locked(&self.inner).aside.clone()
    }

    /// From now on, what lies under this name cannot be read.
    #[cfg(feature = "conformance")]
    pub fn damage(&self, name: &Name) {
        locked(&self.inner).damaged.push(name.clone());
    }
}

impl Blobs {
    fn readable(&self, name: &Name) -> Result<Option<&Blob>, StoreError> {
        if self.damaged.contains(name) {
            return Err(StoreError::new(
                StoreFault::Corrupt,
                "the blob was damaged, as a test wanted",
            ));
        }
        Ok(self.stored.get(name))
    }

    fn keep_aside(&mut self, blob: &Blob) {
        if !self.aside.contains(blob) {
            self.aside.push(blob.clone());
        }
    }
}

#[async_trait]
impl BlobStore for MemoryBlobStore {
    async fn load(&self, name: &Name) -> Result<Option<Blob>, StoreError> {
        Ok(locked(&self.inner).readable(name)?.cloned())
    }

    async fn save(&self, blob: &Blob, expected: Expected) -> Result<Saved, StoreError> {
        let mut blobs = locked(&self.inner);
        let found = blobs.readable(&blob.entry.name)?;
        let is_expected = match (expected, found) {
            (Expected::Absent, None) => true,
            (Expected::Revision(incarnation, revision), Some(found)) => {
                (found.entry.incarnation, found.entry.revision) == (incarnation, revision)
            }
            (Expected::Absent, Some(_)) | (Expected::Revision(..), None) => false,
        };
        if !is_expected {
            return Ok(Saved::Mismatch(found.cloned()));
        }
        blobs.stored.insert(blob.entry.name.clone(), blob.clone());
        Ok(Saved::Done)
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let blobs = locked(&self.inner);
        let entries = blobs.stored.values().map(|blob| &blob.entry);
        Ok(entries.filter(|entry| entry.name != Name::DataKey).cloned().collect())
    }

    async fn replace(&self, blob: &Blob) -> Result<Saved, StoreError> {
        let mut blobs = locked(&self.inner);
        let name = &blob.entry.name;
        if !blobs.damaged.contains(name) {
            return Ok(Saved::Mismatch(blobs.stored.get(name).cloned()));
        }
        blobs.damaged.retain(|damaged| damaged != name);
        if let Some(old) = blobs.stored.insert(name.clone(), blob.clone()) {
            blobs.keep_aside(&old);
        }
        Ok(Saved::Done)
    }

    async fn set_aside(&self, blob: &Blob) -> Result<(), StoreError> {
        locked(&self.inner).keep_aside(blob);
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        self.place.capabilities()
    }
}

/// A [`TokenStore`] in memory that seals nothing: for tests, and for credentials that shall not
/// outlive the process. Clones share the data.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    place: Place,
    inner: Arc<Mutex<BTreeMap<String, Revised>>>,
}

#[derive(Clone, Debug)]
struct Revised {
    record: Record,
    revision: u64,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Revised {
    fn version(&self) -> Version {
        Version::new([&self.record.incarnation.0[..], &self.revision.to_be_bytes()].concat())
    }

    fn stored(&self) -> Stored {
        Stored { record: self.record.clone(), version: self.version() }
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn load(&self, account: &str) -> Result<Option<Stored>, StoreError> {
        Ok(locked(&self.inner).get(account).map(Revised::stored))
    }

    async fn save(&self, account: &str, record: &Record, over: &Over) -> Result<Kept, StoreError> {
        let mut records = locked(&self.inner);
        let found = records.get(account);
        let is_expected = match over {
            Over::Absent => found.is_none(),
            Over::Version(version) => found.is_some_and(|found| found.version() == *version),
            // Nothing in memory is ever damaged.
            Over::Damaged => false,
        };
        if !is_expected {
            return Ok(Kept::Mismatch(found.map(Revised::stored)));
        }
        let revision = found.map_or(0, |found| found.revision) + 1;
        let revised = Revised { record: record.clone(), revision };
        let version = revised.version();
        records.insert(account.to_owned(), revised);
        Ok(Kept::Done(version))
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let records = locked(&self.inner);
        let entry = |(account, Revised { record, revision }): (&String, &Revised)| Entry {
            name: Name::Account(account.clone()),
            incarnation: record.incarnation,
            generation: record.generation,
            revision: *revision,
            due_at: record.due_at(),
            live: record.state() != StateKind::NeedsLogin,
        };
        Ok(records.iter().map(entry).collect())
    }

    fn capabilities(&self) -> Capabilities {
        self.place.capabilities()
    }
}

/// A [`RefreshLease`] within one process. Clones exclude each other.
#[derive(Clone, Debug, Default)]
pub struct MemoryLease {
    held: Arc<Mutex<BTreeMap<String, Holder>>>,
}

impl MemoryLease {
    /// Leases that nobody holds.
    pub fn new() -> Self {
        Self::default()
    }
}

#[async_trait]
impl RefreshLease for MemoryLease {
    async fn try_acquire(&self, account: &str, now: Timestamp) -> Result<Tried, StoreError> {
        let mut held = locked(&self.held);
        if let Some(holder) = held.get(account) {
            return Ok(Tried::Busy(holder.clone()));
        }
        let holder = Holder { pid: Some(std::process::id()), host: None, since: Some(now) };
        held.insert(account.to_owned(), holder);
        let (account, held) = (account.to_owned(), Arc::clone(&self.held));
        Ok(Tried::Held(Box::new(HeldInMemory { account, held })))
    }

    fn proves_death(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct HeldInMemory {
    account: String,
    held: Arc<Mutex<BTreeMap<String, Holder>>>,
}

#[async_trait]
impl HeldLease for HeldInMemory {
    async fn renew(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }

    fn time_left(&self) -> Option<Duration> {
        None
    }
}

impl Drop for HeldInMemory {
    fn drop(&mut self) {
        locked(&self.held).remove(&self.account);
    }
}

/// What tells one store in memory from another.
#[derive(Clone, Debug)]
struct Place(u64);

impl Default for Place {
    fn default() -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self(LAST.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl Place {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            identity: format!("memory:{}", self.0),
            volatile: true,
            shared: false,
            size_limit: None,
        }
    }
}

/// Nothing panics while it has the lock, but a poisoned one would still hold whole data.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
