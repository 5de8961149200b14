//! Keys changed while the store lives: wrapped anew, or replaced.

use regrant_core::StoreFault;

use crate::blob::{Blob, Entry, Expected, Name, Saved};
use crate::data_key::{self, Keys, MOST};
use crate::error::StoreError;
use crate::key::{Key, KeyRing, KeySource};
use crate::seal;
use crate::vault::{self, Vault};

/// How often a save that lost to another process is tried again. Refreshes come minutes apart, so
/// the second try nearly always ends it.
const ROUNDS: usize = 8;

/// What a [`Vault::rekey`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// Records that lie under the new key now.
    pub resealed: usize,
    /// Records that do not open with any key of the store, and were left as they are.
    pub unreadable: usize,
}

impl Vault {
    /// Wraps the store's key under another one, of this ring: after a change of the passphrase, or
    /// to move from a key file to the keychain. The records stay as they are.
    ///
    /// It is one save: whoever is killed half-way leaves the store as it was. A process that has
    /// the store open goes on with the key it knows; whoever opens it later needs the new source,
    /// which is returned.
    ///
    /// # Errors
    ///
    /// [`StoreError`], if the key cannot be had from the old source or kept by the new one; of kind
    /// `KeyMissing` also in a store that has no key yet.
    pub async fn rewrap(&self, ring: &dyn KeyRing) -> Result<KeySource, StoreError> {
        for _ in 0..ROUNDS {
            let (revision, keys) = self.stored_keys().await?;
            let with = ring.create().await?;
            if self.keys.put(&keys, &with, (&keys.current, revision)).await? {
                return Ok(with.source);
            }
            ring.discard(&with).await;
        }
        Err(data_key::unsettled())
    }

    /// Gives the store a new key, wrapped under one of this ring, and seals every record with it.
    ///
    /// The store keeps its old key, sealed, until the next rekey, so it opens at every moment:
    /// whoever is killed half-way, or creates a record meanwhile, leaves records under the old
    /// key, and the next rekey comes to them. Fingerprints change with the key. Copies that were
    /// set aside are not sealed anew.
    ///
    /// # Errors
    ///
    /// [`StoreError`], as for [`rewrap`](Self::rewrap), or from the first record that could not be
    /// loaded or saved; what was done until then stays done. Of kind `Unavailable` also if fourteen
    /// rekeys in a row were broken off.
    pub async fn rekey(&self, ring: &dyn KeyRing) -> Result<Rekeyed, StoreError> {
        let new = self.replaced(ring).await?;
        let mut done = Rekeyed::default();
        for Entry { name, .. } in self.blobs.list().await? {
            match self.reseal(&name, &new).await? {
                Some(true) => done.resealed += 1,
                Some(false) => {}
                None => done.unreadable += 1,
            }
        }
        Ok(done)
    }

    /// Stores a new key before the old ones that are still needed.
    async fn replaced(&self, ring: &dyn KeyRing) -> Result<Key, StoreError> {
        for _ in 0..ROUNDS {
            let (revision, old) = self.stored_keys().await?;
            let mut former = vec![old.current.clone()];
            former.extend(self.still_needed(&old.former).await?);
            if former.len() >= MOST {
                let what = "too many changes of the key were broken off: see why they were";
                return Err(StoreError::new(StoreFault::Unavailable, what));
            }
            let new = Keys { current: Key::random()?, former };
            let with = ring.create().await?;
            if self.keys.put(&new, &with, (&old.current, revision)).await? {
                return Ok(new.current);
            }
            ring.discard(&with).await;
        }
        Err(data_key::unsettled())
    }

    /// Those that a record lies under.
    async fn still_needed(&self, former: &[Key]) -> Result<Vec<Key>, StoreError> {
        let mut needed = Vec::new();
        if former.is_empty() {
            return Ok(needed);
        }
        for Entry { name, .. } in self.blobs.list().await? {
            let Some(blob) = self.blobs.load(&name).await? else { continue };
            let Ok(id) = seal::key_id(&blob.sealed) else { continue };
            needed.extend(former.iter().filter(|key| key.id() == id).cloned());
        }
        needed.sort_by_key(|key| *key.id());
        needed.dedup_by_key(|key| *key.id());
        Ok(needed)
    }

    /// Seals a record with the new key; `None` if it does not open.
    async fn reseal(&self, name: &Name, new: &Key) -> Result<Option<bool>, StoreError> {
        for _ in 0..ROUNDS {
            let Some(Blob { mut entry, sealed }) = self.blobs.load(name).await? else {
                return Ok(Some(false));
            };
            if sealed.is_empty() {
                return Ok(Some(false));
            }
            let (_, keys) = self.stored_keys().await?;
            if keys.current.id() != new.id() {
                // Somebody else has begun another one, and comes to this record.
                return Ok(Some(false));
            }
            let Ok(plain) = keys.open(&entry, &sealed) else { return Ok(None) };
            if seal::key_id(&sealed).is_ok_and(|id| id == new.id()) {
                return Ok(Some(false));
            }
            let expected = Expected::Revision(entry.incarnation, entry.revision);
            entry.revision = vault::next(entry.revision)?;
            let sealed = seal::seal(new, &entry, b"", &plain)?;
            if let Saved::Done = self.blobs.save(&Blob { entry, sealed }, expected).await? {
                return Ok(Some(true));
            }
        }
        let what = "a record keeps changing while its key is changed: try again later";
        Err(StoreError::new(StoreFault::Unavailable, what))
    }

    async fn stored_keys(&self) -> Result<(u64, Keys), StoreError> {
        self.keys.entry().await?.ok_or_else(|| {
            let what = "the store has no key before the first save";
            StoreError::new(StoreFault::KeyMissing, what)
        })
    }
}
