//! What a backend implements: sealed bytes under a name, replaced by compare-and-swap.

use async_trait::async_trait;
use regrant_core::{Id, Timestamp};

use crate::error::StoreError;

/// Sealed bytes and what may be read of them without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// What stands in the clear. The seal binds it, so a backend cannot change it unnoticed.
    pub entry: Entry,
    /// The sealed part. Empty in a tombstone that was written without a key.
    pub sealed: Vec<u8>,
}

/// The part of a stored record that stands in the clear. None of it is secret but the account
/// name, which is the user's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which record.
    pub name: Name,
    /// The lineage of this login.
    pub incarnation: Id,
    /// Rises with every grant and every login.
    pub generation: u64,
    /// Rises by one with every save, whatever it saved. The vault chooses it.
    pub revision: u64,
    /// When somebody who sweeps over many records should look at this one.
    pub due_at: Option<Timestamp>,
    /// Whether there is a credential to use; `false` for a tombstone.
    pub live: bool,
}

/// What a record is called. Any text: a backend that makes file names or keys of it hashes or
/// escapes it, so that no two names share a place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Name {
    /// A credential, by the account name that the user gave it.
    Account(String),
    /// The wrapped key of the vault.
    DataKey,
}

/// What a save expects to replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing may be there.
    Absent,
    /// This incarnation at this revision must be there.
    Revision(Id, u64),
}

/// How a save ended, when the backend knows.
#[derive(Clone, Debug)]
pub enum Saved {
    /// It is durable.
    Done,
    /// What was expected is not there; nothing was changed. This is what is there, `None` for
    /// nothing.
    Mismatch(Option<Blob>),
}

/// What a backend is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Names the place, the same for every process that opens it: the real path of a file, a
    /// database's name. One session per place and account in a process.
    pub identity: String,
    /// Whether a restart of the machine loses it.
    pub volatile: bool,
    /// Whether other hosts see it.
    pub shared: bool,
    /// The largest sealed part in bytes, if there is a limit.
    pub size_limit: Option<usize>,
}

/// A place for sealed records.
///
/// # Duties
///
/// - A save is one atomic step: compare, then replace. Readers see the old or the new, never a
///   part, also across a crash.
/// - When [`save`](Self::save) answers [`Saved::Done`], it survives a power loss.
/// - *Absent* is an answer, not an error. What cannot be read is an error, and never absent.
/// - A save that fails says whether it changed nothing or whether nobody knows
///   ([`StoreError::outcome`]). A future that is dropped may have saved.
/// - Damage is [`StoreError`] of kind `Corrupt` and stays as it is; only [`replace`](Self::replace)
///   removes it, after a copy was set aside.
#[async_trait]
pub trait BlobStore: Send + Sync + std::fmt::Debug {
    /// What is stored under this name.
    ///
    /// # Errors
    ///
    /// [`StoreError`], if it cannot be read.
    async fn load(&self, name: &Name) -> Result<Option<Blob>, StoreError>;

    /// Stores `blob` under `blob.entry.name` if `expected` is what is there.
    ///
    /// # Errors
    ///
    /// [`StoreError`], with the outcome of the save.
    async fn save(&self, blob: &Blob, expected: Expected) -> Result<Saved, StoreError>;

    /// The entries of all accounts, tombstones too, without the data key. Complete also while
    /// others write.
    ///
    /// # Errors
    ///
    /// [`StoreError`], if it cannot be read.
    async fn list(&self) -> Result<Vec<Entry>, StoreError>;

    /// Stores `blob` in the place of something damaged, after setting a copy of that aside. Only
    /// for a login or a logout. If the whole place is damaged, the whole place is set aside.
    /// What turns out to be readable is not replaced: `Mismatch`.
    ///
    /// # Errors
    ///
    /// [`StoreError`], with the outcome of the save.
    async fn replace(&self, blob: &Blob) -> Result<Saved, StoreError>;

    /// Keeps a copy of a blob that no key opens, where people and not programs find it, before a
    /// login or a logout saves over it. The same blob again adds nothing.
    ///
    /// Written for those who have no place for copies: it keeps none.
    ///
    /// # Errors
    ///
    /// [`StoreError`], if there is no copy; then nothing is saved over the blob.
    async fn set_aside(&self, blob: &Blob) -> Result<(), StoreError> {
        let _ = blob;
        Ok(())
    }

    /// What this backend is.
    fn capabilities(&self) -> Capabilities;
}
