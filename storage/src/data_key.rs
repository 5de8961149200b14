//! The key of a store: it seals every record, lies wrapped in the store itself, and names in the
//! clear what unwraps it.
//!
//! What lies under [`Name::DataKey`]: magic `RGNK`, one byte of format, the length of the source's
//! name in two bytes and the name, the length of the parameters in two bytes and the parameters;
//! then an envelope under the key ring's key that binds all of this, with the 32 bytes in it.

use std::sync::{Arc, Mutex, PoisonError};

use regrant_core::{Id, StoreFault};

use crate::blob::{Blob, BlobStore, Entry, Expected, Name, Saved};
use crate::error::{SaveOutcome, StoreError};
use crate::key::{Key, KeyRing, KeySource, NewKey, Protection};
use crate::seal::{self, Unopened};

const MAGIC: &[u8; 4] = b"RGNK";
const FORMAT: u8 = 1;

/// How often a race for the entry is run. A race is lost to a key that is there, so the second
/// round ends it; the third is for an answer that was lost.
const ROUNDS: usize = 3;

/// A store's own key, found, made once, and remembered.
#[derive(Debug)]
pub(crate) struct DataKeys {
    blobs: Arc<dyn BlobStore>,
    ring: Arc<dyn KeyRing>,
    known: Mutex<Option<Known>>,
}

/// The key of the entry at this revision.
#[derive(Clone, Debug)]
struct Known {
    key: Key,
    revision: u64,
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

    /// The key of this id, if it was the last one found.
    pub(crate) fn known(&self, id: &[u8; 16]) -> Option<Key> {
        self.last_known().map(|known| known.key).filter(|key| key.id() == id)
    }

    /// The key that the store names now; `None` if it has none.
    pub(crate) async fn current(&self) -> Result<Option<Key>, Trouble> {
        let blob = match self.blobs.load(&Name::DataKey).await {
            Ok(Some(blob)) => blob,
            Ok(None) => return Ok(None),
            Err(error) if error.kind() == StoreFault::Corrupt => {
                return Err(Trouble::Damaged(error, None));
            }
            Err(error) => return Err(error.into()),
        };
        let Entry { incarnation, revision, .. } = blob.entry;
        if let Some(known) = self.last_known()
            && (known.key.id(), known.revision) == (&incarnation.0, revision)
        {
            return Ok(Some(known.key));
        }
        let key = self.unwrapped(&blob).await?;
        self.remember(&key, revision);
        Ok(Some(key))
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
                    let is_asked_for = self.ring.protection() == Protection::Passphrase;
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
        let (key, blob) = self.made(revision).await?;
        match self.blobs.save(&blob, expected).await? {
            Saved::Done => {
                self.remember(&key, revision);
                Ok(Some(key))
            }
            Saved::Mismatch(_) => Ok(None),
        }
    }

    /// The same over what the backend cannot read.
    async fn replace(&self) -> Result<Option<Key>, StoreError> {
        let (key, blob) = self.made(1).await?;
        match self.blobs.replace(&blob).await? {
            Saved::Done => {
                self.remember(&key, 1);
                Ok(Some(key))
            }
            Saved::Mismatch(_) => Ok(None),
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

    async fn made(&self, revision: u64) -> Result<(Key, Blob), StoreError> {
        let NewKey { key: wrapping, parameters } = self.ring.create().await?;
        let key = Key::random()?;
        let entry = Entry {
            name: Name::DataKey,
            incarnation: Id(*key.id()),
            generation: 1,
            revision,
            due_at: None,
            live: true,
        };
        let mut sealed = prefix(&self.ring.source(), &parameters)?;
        let envelope = seal::seal(&wrapping, &entry, &sealed, key.expose())?;
        sealed.extend_from_slice(&envelope);
        Ok((key, Blob { entry, sealed }))
    }

    async fn unwrapped(&self, blob: &Blob) -> Result<Key, Trouble> {
        let wrapped = Wrapped::of(&blob.sealed).map_err(|reason| troubled(reason, blob))?;
        if wrapped.source != self.ring.source() {
            let what = "the store is sealed with a key from another source: name that one";
            let error = StoreError::new(StoreFault::WrongKeySource, what);
            return Err(error.because(Recorded(wrapped.source)).into());
        }
        let Some(wrapping) = self.ring.load(wrapped.parameters).await? else {
            let what = "the key of the store is gone: restore it, or move the store away";
            let error = StoreError::new(StoreFault::KeyMissing, what);
            return Err(error.because(Recorded(wrapped.source)).into());
        };
        let plain = seal::open(&wrapping, &blob.entry, wrapped.bound, wrapped.envelope)
            .map_err(|reason| troubled(reason, blob))?;
        let damaged = || troubled(Unopened::Corrupt, blob);
        let key = Key::new(plain.first_chunk().ok_or_else(damaged)?);
        let is_whole = plain.len() == key.expose().len()
            && blob.entry.name == Name::DataKey
            && blob.entry.incarnation.0 == *key.id();
        is_whole.then_some(key).ok_or_else(damaged)
    }

    fn last_known(&self) -> Option<Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, key: &Key, revision: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Some(Known { key: key.clone(), revision });
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
        match Wrapped::of(&blob.sealed) {
            Ok(wrapped) => Ok(Some(wrapped.source)),
            Err(reason) => Err(troubled(reason, &blob).into()),
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

fn unsettled() -> StoreError {
    let what = "the key of the store keeps changing: see who else writes it";
    StoreError::new(StoreFault::Unavailable, what)
}

fn troubled(reason: Unopened, blob: &Blob) -> Trouble {
    let error = |what| StoreError::new(reason.fault(), what).because(reason);
    match reason {
        Unopened::WrongKey => {
            let what = "the key of the store does not open with this source: restore the right one";
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

struct Wrapped<'a> {
    source: KeySource,
    parameters: &'a [u8],
    /// All before the envelope.
    bound: &'a [u8],
    envelope: &'a [u8],
}

impl<'a> Wrapped<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, Unopened> {
        fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
            let (length, rest) = bytes.split_first_chunk()?;
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        }
        let (magic, rest) = bytes.split_first_chunk().ok_or(Unopened::Corrupt)?;
        let (format, rest) = rest.split_first().ok_or(Unopened::Corrupt)?;
        if magic != MAGIC || *format == 0 {
            return Err(Unopened::Corrupt);
        }
        if *format > FORMAT {
            return Err(Unopened::UnknownFormat);
        }
        let (source, rest) = sized(rest).ok_or(Unopened::Corrupt)?;
        let (parameters, envelope) = sized(rest).ok_or(Unopened::Corrupt)?;
        let source = std::str::from_utf8(source).map_err(|_| Unopened::Corrupt)?;
        let bound = &bytes[..bytes.len() - envelope.len()];
        Ok(Self { source: KeySource::new(source), parameters, bound, envelope })
    }
}

fn prefix(source: &KeySource, parameters: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut out = MAGIC.to_vec();
    out.push(FORMAT);
    for part in [source.as_str().as_bytes(), parameters] {
        let length = u16::try_from(part.len()).map_err(|error| {
            let what = "the parameters of the key ring are longer than 65,535 bytes";
            StoreError::new(StoreFault::Unavailable, what).because(error)
        })?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(part);
    }
    Ok(out)
}
