//! What the driver uses: records, whatever seals them.

use async_trait::async_trait;
use regrant_core::{Over, Record, Stored, Version};

use crate::blob::{Capabilities, Entry};
use crate::error::StoreError;

/// How a save of a record ended, when the store knows.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "one for each save, which costs more than a move")]
pub enum Kept {
    /// It is durable, under this version.
    Done(Version),
    /// What was expected is not there; nothing was changed. This is what is there.
    Mismatch(Option<Stored>),
}

/// A place for one account's record after another, with the duties of
/// [`BlobStore`](crate::BlobStore) one layer up.
///
/// `Vault` makes one of any `BlobStore`. Implement it directly only to share a
/// credential file with programs that know nothing of regrant.
#[async_trait]
pub trait TokenStore: Send + Sync + std::fmt::Debug {
    /// The record of this account.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; *absent* is `None` and no error.
    async fn load(&self, account: &str) -> Result<Option<Stored>, StoreError>;

    /// Saves the record if `over` is what is there.
    ///
    /// # Errors
    ///
    /// [`StoreError`], with the outcome of the save.
    async fn save(&self, account: &str, record: &Record, over: &Over) -> Result<Kept, StoreError>;

    /// The accounts, tombstones too.
    ///
    /// # Errors
    ///
    /// [`StoreError`], if they cannot be read.
    async fn list(&self) -> Result<Vec<Entry>, StoreError>;

    /// What this store is.
    fn capabilities(&self) -> Capabilities;
}
