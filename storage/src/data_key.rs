//! The key of a store: it seals every record, lies wrapped in the store itself, and names in the
//! clear what unwraps it.

mod entry;

use std::sync::{Arc, Mutex, PoisonError};

use regrant_core::{Id, StoreFault};

pub(crate) use self::entry::{Keys, MOST};
use self::entry::{Wrapped, wrap};
use crate::blob::{Blob, BlobStore, Entry, Expected, Name, Saved};
use crate::error::{SaveOutcome, StoreError};
use crate::key::{Key, KeyRing, KeySource, NewKey, Protection};
use crate::seal::Unopened;

/// How often a race for the entry is run. A race is lost to a key that is there, so the second
/// round ends it; the third is for an answer that was lost.
const ROUNDS: usize = 3;

/// A store's own keys, found, made once, and remembered.
#[derive(Debug)]
pub(crate) struct DataKeys {
    blobs: Arc<dyn BlobStore>,
    ring: Arc<dyn KeyRing>,
    known: Mutex<Option<Keys>>,
}

/// Why the key cannot be had.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The entry is damaged. A backend that could read it at all gives what it read.
    Damaged(StoreError, Option<Blob>),
    /// The source gives another key than the one that wrapped this entry.
    WrongKey(StoreError, Blob),
    /// No login mends it.
    Other(StoreError),
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Damaged(error, _) | Trouble::WrongKey(error, _) | Trouble::Other(error) => {
                error
            }
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Other(error)
    }
}

/// A key to save with.
pub(crate) struct ForLogin {
    pub(crate) key: Key,
    /// Whether the entry was damaged and another one lies there now; with it perhaps the whole
    /// place.
    pub(crate) is_new: bool,
}

impl DataKeys {
    pub(crate) fn new(blobs: Arc<dyn BlobStore>, ring: Arc<dyn KeyRing>) -> Self {
        Self { blobs, ring, known: Mutex::new(None) }
    }

    pub(crate) fn ring(&self) -> &dyn KeyRing {
        &*self.ring
    }

    /// The keys that were found last, if this one is among them.
    pub(crate) fn known(&self, id: &[u8; 16]) -> Option<Keys> {
        self.last_known().filter(|keys| keys.of(id).is_some())
    }

    /// The key that the store seals with now; `None` if it has none.
    pub(crate) async fn current(&self) -> Result<Option<Key>, Trouble> {
        Ok(self.entry().await?.map(|(_, keys)| keys.current))
    }

    /// What the store's entry holds, and its revision.
    pub(crate) async fn entry(&self) -> Result<Option<(u64, Keys)>, Trouble> {
        let blob = match self.blobs.load(&Name::DataKey).await {
            Ok(Some(blob)) => blob,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == StoreFault::Corrupt => {
                return Err(Trouble::Damaged(error, None));
            }
            Err(error) => return Err(error.into()),
        };
        let Entry { incarnation, revision, .. } = blob.entry;
        // The id is made of the key, and a rekey makes a new one. So the same id stands for the
        // same keys, also if another process has wrapped them anew under what we cannot unwrap.
        let known = self.last_known().filter(|keys| *keys.current.id() == incarnation.0);
        let keys = match known {
            Some(keys) => keys,
            None => {
                let keys = self.unwrapped(&blob).await?;
                self.remember(&keys);
                keys
            }
        };
        Ok(Some((revision, keys)))
    }

    /// The key that the store names now, or a new one in a new store.
    pub(crate) async fn for_saving(&self) -> Result<Key, Trouble> {
        let mut lost = None;
        for _ in 0..ROUNDS {
            if let Some(key) = self.current().await? {
                return Ok(key);
            }
            if self.has_sealed(None).await? {
                // Others may have made key and record since we looked for the key.
                return self.current().await?.ok_or_else(|| no_entry().into());
            }
            match self.store(None).await {
                Ok(Some(key)) => return Ok(key),
                Ok(None) => {}
                Err(error) if error.outcome() == SaveOutcome::Unknown => lost = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        Err(lost.unwrap_or_else(unsettled).into())
    }

    /// The same at a login to `account` over something damaged: if what is damaged is the entry
    /// of the key, it is set aside, and the store gets a new one.
    ///
    /// An entry that the right source cannot open is given up only if no other account is sealed
    /// with it, and never for a passphrase, which may merely be mistyped.
    pub(crate) async fn for_login(&self, account: &Name) -> Result<ForLogin, StoreError> {
        let mut is_new = false;
        for _ in 0..ROUNDS {
            let damaged = match self.for_saving().await {
                Ok(key) => return Ok(ForLogin { key, is_new }),
                Err(Trouble::Damaged(_, found)) => found,
                Err(Trouble::WrongKey(error, found)) => {
                    let is_asked_for = self.is_passphrase(&found);
                    if is_asked_for || self.has_sealed(Some(account)).await? {
                        return Err(error);
                    }
                    Some(found)
                }
                Err(Trouble::Other(error)) => return Err(error),
            };
            tracing::warn!("the store's key cannot be read; it is set aside for a new one");
            is_new = true;
            let key = match &damaged {
                Some(found) => {
                    self.blobs.set_aside(found).await?;
                    self.store(Some(&found.entry)).await?
                }
                None => self.replace().await?,
            };
            if let Some(key) = key {
                return Ok(ForLogin { key, is_new });
            }
        }
        Err(unsettled())
    }

    /// Makes a key and stores it over this entry; `None` if something else is there.
    async fn store(&self, over: Option<&Entry>) -> Result<Option<Key>, StoreError> {
        let (revision, expected) = match over {
            Some(entry) => {
                let expected = Expected::Revision(entry.incarnation, entry.revision);
                (entry.revision.saturating_add(1), expected)
            }
            None => (1, Expected::Absent),
        };
        let (keys, wrapping, blob) = self.made(revision).await?;
        let saved = self.blobs.save(&blob, expected).await?;
        Ok(self.settled(&saved, keys, &wrapping).await)
    }

    /// The same over what the backend cannot read.
    async fn replace(&self) -> Result<Option<Key>, StoreError> {
        let (keys, wrapping, blob) = self.made(1).await?;
        let saved = self.blobs.replace(&blob).await?;
        Ok(self.settled(&saved, keys, &wrapping).await)
    }

    async fn settled(&self, saved: &Saved, keys: Keys, wrapping: &NewKey) -> Option<Key> {
        match saved {
            Saved::Done => {
                self.remember(&keys);
                Some(keys.current)
            }
            Saved::Mismatch(_) => {
                self.ring.discard(wrapping).await;
                None
            }
        }
    }

    /// Wraps these keys with one of this ring and stores them over the entry of this revision;
    /// `false` if something else is there.
    pub(crate) async fn put(
        &self,
        keys: &Keys,
        with: &NewKey,
        over: (&Key, u64),
    ) -> Result<bool, StoreError> {
        let (key, last) = over;
        let revision = last.saturating_add(1);
        let blob = wrap(keys, with, revision)?;
        let expected = Expected::Revision(Id(*key.id()), last);
        match self.blobs.save(&blob, expected).await? {
            Saved::Done => {
                self.remember(keys);
                Ok(true)
            }
            Saved::Mismatch(_) => Ok(false),
        }
    }

    /// Whether a record is there that is sealed, not counting this one. Tombstones can be empty.
    async fn has_sealed(&self, but: Option<&Name>) -> Result<bool, StoreError> {
        for entry in self.blobs.list().await? {
            if Some(&entry.name) == but {
                continue;
            }
            if entry.live {
                return Ok(true);
            }
            if self.blobs.load(&entry.name).await?.is_some_and(|blob| !blob.sealed.is_empty()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn made(&self, revision: u64) -> Result<(Keys, NewKey, Blob), StoreError> {
        let wrapping = self.ring.create().await?;
        let keys = Keys::new(Key::random()?);
        let blob = wrap(&keys, &wrapping, revision)?;
        Ok((keys, wrapping, blob))
    }

    async fn unwrapped(&self, blob: &Blob) -> Result<Keys, Trouble> {
        let wrapped = Wrapped::of(blob).map_err(|reason| self.troubled(reason, blob))?;
        if !self.ring.opens(&wrapped.source) {
            let what = "the store is sealed with a key from another source: name that one";
            let error = StoreError::new(StoreFault::WrongKeySource, what);
            return Err(error.because(Recorded(wrapped.source)).into());
        }
        let Some(wrapping) = self.ring.load(&wrapped.source, wrapped.parameters).await? else {
            let what = "the key of the store is gone: restore it, or move the store away";
            let error = StoreError::new(StoreFault::KeyMissing, what);
            return Err(error.because(Recorded(wrapped.source)).into());
        };
        wrapped.open(&wrapping).map_err(|reason| self.troubled(reason, blob))
    }

    fn is_passphrase(&self, blob: &Blob) -> bool {
        Wrapped::of(blob)
            .is_ok_and(|wrapped| self.ring.protection(&wrapped.source) == Protection::Passphrase)
    }

    fn troubled(&self, reason: Unopened, blob: &Blob) -> Trouble {
        let error = |what| StoreError::new(reason.fault(), what).because(reason);
        match reason {
            Unopened::WrongKey if self.is_passphrase(blob) => {
                let what = "the passphrase is not the one that the store is sealed with";
                Trouble::WrongKey(error(what), blob.clone())
            }
            Unopened::WrongKey => {
                let what =
                    "the key of the store does not open with this source: restore the right one";
                Trouble::WrongKey(error(what), blob.clone())
            }
            Unopened::Corrupt => {
                let what = "the key of the store is damaged: restore the store, or log in again";
                Trouble::Damaged(error(what), Some(blob.clone()))
            }
            Unopened::UnknownFormat => {
                Trouble::Other(error("a newer version made the key of the store: update regrant"))
            }
        }
    }

    fn last_known(&self) -> Option<Keys> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, keys: &Keys) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(keys.clone());
    }
}

impl KeySource {
    /// What the store in this place names as the source of its key; `None` if it has no key yet.
    /// Needs no key.
    ///
    /// # Errors
    ///
    /// [`StoreError`], if the store cannot be read; of kind `Corrupt` or `UnknownFormat`, if the
    /// entry that names it cannot.
    pub async fn recorded_in(blobs: &dyn BlobStore) -> Result<Option<Self>, StoreError> {
        let Some(blob) = blobs.load(&Name::DataKey).await? else { return Ok(None) };
        match Wrapped::of(&blob) {
            Ok(wrapped) => Ok(Some(wrapped.source)),
            Err(reason) => {
                let what = "the store does not say where its key comes from: it is damaged, or \
                            of a newer version";
                Err(StoreError::new(reason.fault(), what).because(reason))
            }
        }
    }
}

/// The source that the store names.
#[derive(Debug, thiserror::Error)]
#[error("the store names {0} as the source of its key")]
struct Recorded(KeySource);

pub(crate) fn no_entry() -> StoreError {
    let what = "the store has sealed records and no key: restore all of it, or move it away";
    StoreError::new(StoreFault::KeyMissing, what)
}

pub(crate) fn unsettled() -> StoreError {
    let what = "the key of the store keeps changing: see who else writes it";
    StoreError::new(StoreFault::Unavailable, what)
}
