//! The store that seals: records above, bytes below.

use std::sync::Arc;

use async_trait::async_trait;
use regrant_core::{
    Id, Over, Record, RecordError, StateKind, StoreFault, Stored, Timestamp, Version,
};

use crate::blob::{Blob, BlobStore, Capabilities, Entry, Expected, Name, Saved};
use crate::data_key::{self, DataKeys, ForLogin};
use crate::error::StoreError;
use crate::fingerprint::Fingerprinter;
use crate::key::{Key, KeyRing, KeySource, Protection};
use crate::seal::{self, Unopened};
use crate::token::{Kept, TokenStore};

/// Makes a [`TokenStore`] of any [`BlobStore`]: seals what it saves, opens what it loads.
///
/// The store has a key of its own, random, made with the first record and kept in the store,
/// wrapped under the key of the [`KeyRing`]; each record is sealed with AES-256-GCM under a key
/// derived from it for this one save. The [`Entry`] is bound: a record that was moved to another
/// name, or put back in the place of a later one with the later one's entry, does not open.
///
/// - The store names the source of its key, and opens with that source alone.
/// - A key that is gone is never replaced by a new one: what it sealed would be lost.
/// - What does not open stays as it is until a login or a logout saves over it
///   ([`Over::Damaged`]), after a copy was set aside.
/// - A logout works without the key. What it leaves then is empty, and not sealed: whoever can
///   write the store could have deleted the record as well.
///
/// It does not tell a whole store from an older copy of the whole store: that is for the machine,
/// by incarnation and generation.
#[derive(Debug)]
pub struct Vault {
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) keys: DataKeys,
}

impl Vault {
    /// A vault over this place, with its key from this ring. Touches neither yet.
    pub fn new(blobs: Arc<dyn BlobStore>, ring: Arc<dyn KeyRing>) -> Self {
        let keys = DataKeys::new(Arc::clone(&blobs), ring);
        Self { blobs, keys }
    }

    /// What keeps a key of this source from somebody who has a copy of the store.
    pub fn protection(&self, source: &KeySource) -> Protection {
        self.keys.ring().protection(source)
    }

    /// Makes the fingerprints of this store, the same in every process that opens it.
    ///
    /// # Errors
    ///
    /// [`StoreError`], if the key of the store cannot be had; of kind `KeyMissing` also as long
    /// as nothing was saved.
    pub async fn fingerprinter(&self) -> Result<Fingerprinter, StoreError> {
        let key = self.keys.current().await?.ok_or_else(|| {
            let what = "the store has no key before the first save";
            StoreError::new(StoreFault::KeyMissing, what)
        })?;
        Ok(Fingerprinter::of_data_key(&key))
    }

    /// What a blob holds.
    async fn open(&self, name: &Name, blob: &Blob) -> Result<Stored, StoreError> {
        let Entry { incarnation, generation, revision, live, .. } = blob.entry;
        if blob.entry.name != *name {
            return Err(unopened(Unopened::Corrupt));
        }
        let version = version(incarnation, revision);
        if blob.sealed.is_empty() {
            if live {
                return Err(unopened(Unopened::Corrupt));
            }
            // When is not known: an entry has no such field.
            let record = Record::logged_out(incarnation, generation, Timestamp::EPOCH);
            return Ok(Stored { record, version });
        }
        let id = seal::key_id(&blob.sealed).map_err(unopened)?;
        let keys = match self.keys.known(id) {
            Some(keys) => keys,
            None => self.keys.entry().await?.ok_or_else(data_key::no_entry)?.1,
        };
        let plain = keys.open(&blob.entry, &blob.sealed).map_err(unopened)?;
        let record = Record::decode(&plain).map_err(undecoded)?;
        if record.incarnation != incarnation || record.generation != generation {
            return Err(unopened(Unopened::Corrupt));
        }
        Ok(Stored { record, version })
    }

    /// The key for a save; `None` for a tombstone that must do without.
    async fn key_for(&self, record: &Record) -> Result<Option<Key>, StoreError> {
        if record.is_logged_out() {
            // Whatever is the matter with the key, it does not keep anybody logged in.
            return Ok(self.keys.current().await.unwrap_or(None));
        }
        Ok(Some(self.keys.for_saving().await?))
    }

    async fn put(&self, save: Save<'_>, expected: Expected) -> Result<Kept, StoreError> {
        let last = match expected {
            Expected::Absent => 0,
            Expected::Revision(_, revision) => revision,
        };
        let blob = save.sealed(next(last)?)?;
        let saved = self.blobs.save(&blob, expected).await?;
        self.kept(&blob, saved).await
    }

    /// Over what must be unreadable: by the backend, or by us.
    async fn put_over_damage(&self, save: Save<'_>, is_new: bool) -> Result<Kept, StoreError> {
        let found = match self.blobs.load(save.name).await {
            Ok(Some(found)) => found,
            // The key's entry was damaged, and everything with it.
            Ok(None) if is_new => return self.put(save, Expected::Absent).await,
            Ok(None) => return Ok(Kept::Mismatch(None)),
            Err(error) if is_damage(error.kind()) => {
                let blob = save.sealed(1)?;
                let saved = self.blobs.replace(&blob).await?;
                return self.kept(&blob, saved).await;
            }
            Err(error) => return Err(error),
        };
        match self.open(save.name, &found).await {
            Ok(stored) => return Ok(Kept::Mismatch(Some(stored))),
            Err(error) if is_damage(error.kind()) || save.record.is_logged_out() => {
                tracing::warn!(
                    cause = %error.kind(),
                    "a record that cannot be read is set aside for a login or a logout"
                );
            }
            Err(error) => return Err(error),
        }
        self.blobs.set_aside(&found).await?;
        let Entry { incarnation, revision, .. } = found.entry;
        self.put(save, Expected::Revision(incarnation, revision)).await
    }

    async fn kept(&self, blob: &Blob, saved: Saved) -> Result<Kept, StoreError> {
        let Entry { name, incarnation, revision, .. } = &blob.entry;
        match saved {
            Saved::Done => Ok(Kept::Done(version(*incarnation, *revision))),
            Saved::Mismatch(None) => Ok(Kept::Mismatch(None)),
            Saved::Mismatch(Some(found)) => {
                Ok(Kept::Mismatch(Some(self.open(name, &found).await?)))
            }
        }
    }
}

#[async_trait]
impl TokenStore for Vault {
    async fn load(&self, account: &str) -> Result<Option<Stored>, StoreError> {
        let name = Name::Account(account.to_owned());
        match self.blobs.load(&name).await? {
            Some(blob) => Ok(Some(self.open(&name, &blob).await?)),
            None => Ok(None),
        }
    }

    async fn save(&self, account: &str, record: &Record, over: &Over) -> Result<Kept, StoreError> {
        let name = &Name::Account(account.to_owned());
        match over {
            Over::Absent => {
                let key = self.key_for(record).await?;
                self.put(Save { name, record, key }, Expected::Absent).await
            }
            Over::Version(version) => match expected(version) {
                Some(expected) => {
                    let key = self.key_for(record).await?;
                    self.put(Save { name, record, key }, expected).await
                }
                // Not a version of this store, so it cannot be there.
                None => Ok(Kept::Mismatch(self.load(account).await?)),
            },
            Over::Damaged if record.is_logged_out() => {
                let key = self.key_for(record).await?;
                self.put_over_damage(Save { name, record, key }, false).await
            }
            Over::Damaged => {
                let ForLogin { key, is_new } = self.keys.for_login(name).await?;
                self.put_over_damage(Save { name, record, key: Some(key) }, is_new).await
            }
        }
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.blobs.list().await
    }

    fn capabilities(&self) -> Capabilities {
        self.blobs.capabilities()
    }
}

/// A record on its way into the store.
struct Save<'a> {
    name: &'a Name,
    record: &'a Record,
    key: Option<Key>,
}

impl Save<'_> {
    fn sealed(&self, revision: u64) -> Result<Blob, StoreError> {
        let entry = Entry {
            name: self.name.clone(),
            incarnation: self.record.incarnation,
            generation: self.record.generation,
            revision,
            due_at: self.record.due_at(),
            live: self.record.state() != StateKind::NeedsLogin,
        };
        let sealed = match &self.key {
            Some(key) => seal::seal(key, &entry, b"", &self.record.encode())?,
            None => Vec::new(),
        };
        Ok(Blob { entry, sealed })
    }
}

/// 16 bytes of incarnation, 8 of revision.
fn version(incarnation: Id, revision: u64) -> Version {
    Version::new([&incarnation.0[..], &revision.to_be_bytes()].concat())
}

fn expected(version: &Version) -> Option<Expected> {
    let (incarnation, revision) = version.as_bytes().split_first_chunk()?;
    let revision = u64::from_be_bytes(revision.try_into().ok()?);
    Some(Expected::Revision(Id(*incarnation), revision))
}

pub(crate) fn next(revision: u64) -> Result<u64, StoreError> {
    revision.checked_add(1).ok_or_else(|| {
        let what = "the revision cannot rise any more: move the store away";
        StoreError::new(StoreFault::Corrupt, what)
    })
}

/// Whether a login may save over it.
fn is_damage(kind: StoreFault) -> bool {
    matches!(kind, StoreFault::Corrupt | StoreFault::UnknownFormat | StoreFault::WrongKey)
}

fn unopened(reason: Unopened) -> StoreError {
    let what = match reason {
        Unopened::WrongKey => "the record is sealed with another key: restore it, or log in again",
        Unopened::Corrupt => "the record is damaged: restore it, or log in again",
        Unopened::UnknownFormat => "a newer version sealed the record: update regrant",
    };
    StoreError::new(reason.fault(), what).because(reason)
}

fn undecoded(error: RecordError) -> StoreError {
    let reason = match error {
        RecordError::UnknownFormat { .. } => Unopened::UnknownFormat,
        // The enum may grow; what is sealed and no record is damage.
        _ => Unopened::Corrupt,
    };
    unopened(reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_file::KeyFile;
    use crate::memory::MemoryBlobStore;

    /// Nobody without the key can make such a seal; a program with a fault can.
    #[tokio::test]
    async fn a_record_of_another_lineage_than_its_entry_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = MemoryBlobStore::new();
        let ring = KeyFile::new(folder.path().join("regrant.key"));
        let vault = Vault::new(Arc::new(blobs.clone()), Arc::new(ring));
        let record = Record::logged_out(Id([1; 16]), 7, Timestamp::EPOCH);
        let key = vault.keys.for_saving().await.unwrap();
        let name = &Name::Account("a".to_owned());
        for (incarnation, generation, is_whole) in [(1, 7, true), (2, 7, false), (1, 8, false)] {
            let save = Save { name, record: &record, key: Some(key.clone()) };
            let mut blob = save.sealed(1).unwrap();
            blob.entry.incarnation = Id([incarnation; 16]);
            blob.entry.generation = generation;
            blob.sealed = seal::seal(&key, &blob.entry, b"", &record.encode()).unwrap();
            match vault.open(name, &blob).await {
                Ok(_) => assert!(is_whole),
                Err(error) => {
                    assert!(!is_whole);
                    assert_eq!(error.kind(), StoreFault::Corrupt);
                }
            }
        }
    }
}
