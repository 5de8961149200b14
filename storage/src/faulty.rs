//! Faults on demand, for the tests of those who use a store.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use regrant_core::{Over, Record, StoreFault, Stored};

use crate::blob::{Capabilities, Entry};
use crate::error::StoreError;
use crate::token::{Kept, TokenStore};

/// What becomes of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaveFault {
    /// It fails, and has changed nothing.
    NotApplied(StoreFault),
    /// It fails, and nobody knows; it has changed nothing.
    Lost(StoreFault),
    /// It fails, and nobody knows; it was applied.
    Applied(StoreFault),
}

/// A store that fails when a test says so, and does what the inner one does otherwise. Clones
/// share the script.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use regrant_core::StoreFault;
/// use regrant_storage::{Faulty, MemoryStore, TokenStore as _};
///
/// let store = Faulty::new(MemoryStore::new());
/// store.fail_loads(1, StoreFault::Locked);
/// assert_eq!(store.load("default").await.unwrap_err().kind(), StoreFault::Locked);
/// assert!(store.load("default").await.unwrap().is_none());
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Faulty<S> {
    inner: S,
    script: Arc<Mutex<Script>>,
}

#[derive(Debug, Default)]
struct Script {
    loads: VecDeque<StoreFault>,
    saves: VecDeque<SaveFault>,
    loaded: usize,
    saved: usize,
}

impl<S> Faulty<S> {
    /// A wrapper with an empty script.
    pub fn new(inner: S) -> Self {
        Self { inner, script: Arc::default() }
    }

    /// The store within, which never fails.
    pub fn inner(&self) -> &S {
        &self.inner
    }

    /// After what is scripted already, the next `times` loads and lists fail.
    pub fn fail_loads(&self, times: usize, fault: StoreFault) {
        self.script().loads.extend(std::iter::repeat_n(fault, times));
    }

    /// After what is scripted already, the next `times` saves fail.
    pub fn fail_saves(&self, times: usize, fault: SaveFault) {
        self.script().saves.extend(std::iter::repeat_n(fault, times));
    }

    /// From the next call on, nothing fails.
    pub fn heal(&self) {
        let mut script = self.script();
        script.loads.clear();
        script.saves.clear();
    }

    /// How many loads and lists were asked for, the failed ones too.
    pub fn loads(&self) -> usize {
        self.script().loaded
    }

    /// How many saves were asked for, the failed ones too.
    pub fn saves(&self) -> usize {
        self.script().saved
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_load(&self) -> Result<(), StoreError> {
        let mut script = self.script();
        script.loaded += 1;
        script.loads.pop_front().map_or(Ok(()), |fault| Err(StoreError::new(fault, LOAD)))
    }

    fn next_save(&self) -> Option<SaveFault> {
        let mut script = self.script();
        script.saved += 1;
        script.saves.pop_front()
    }
}

const LOAD: &str = "the load failed, as the test wanted";
const SAVE: &str = "the save failed, as the test wanted";

#[async_trait]
impl<S: TokenStore> TokenStore for Faulty<S> {
    async fn load(&self, account: &str) -> Result<Option<Stored>, StoreError> {
        self.next_load()?;
        self.inner.load(account).await
    }

    async fn save(&self, account: &str, record: &Record, over: &Over) -> Result<Kept, StoreError> {
        match self.next_save() {
            None => self.inner.save(account, record, over).await,
            Some(SaveFault::NotApplied(fault)) => Err(StoreError::new(fault, SAVE)),
            Some(SaveFault::Lost(fault)) => Err(StoreError::new(fault, SAVE).unknown()),
            Some(SaveFault::Applied(fault)) => {
                self.inner.save(account, record, over).await?;
                Err(StoreError::new(fault, SAVE).unknown())
            }
        }
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.next_load()?;
        self.inner.list().await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SaveOutcome;
    use crate::memory::MemoryStore;
    use regrant_core::{Id, Timestamp};

    #[tokio::test]
    async fn a_fault_says_what_became_of_the_save() {
        let full = StoreFault::Full;
        let record = Record::logged_out(Id([1; 16]), 1, Timestamp::EPOCH);
        for (fault, outcome, is_there) in [
            (SaveFault::NotApplied(full), SaveOutcome::NotApplied, false),
            (SaveFault::Lost(full), SaveOutcome::Unknown, false),
            (SaveFault::Applied(full), SaveOutcome::Unknown, true),
        ] {
            let store = Faulty::new(MemoryStore::new());
            store.fail_saves(1, fault);
            let error = store.save("a", &record, &Over::Absent).await.unwrap_err();
            assert_eq!((error.kind(), error.outcome()), (full, outcome));
            assert_eq!(store.load("a").await.unwrap().is_some(), is_there, "{fault:?}");
            let again = store.save("a", &record, &Over::Absent).await.unwrap();
            assert_eq!(matches!(again, Kept::Mismatch(_)), is_there, "{fault:?}");
            assert_eq!((store.loads(), store.saves()), (1, 2));
        }
    }

    #[tokio::test]
    async fn a_script_is_played_in_order_until_it_is_over_or_healed() {
        let store = Faulty::new(MemoryStore::new());
        store.fail_loads(1, StoreFault::Locked);
        store.fail_loads(1, StoreFault::Corrupt);
        assert_eq!(store.load("a").await.unwrap_err().kind(), StoreFault::Locked);
        assert_eq!(store.list().await.unwrap_err().kind(), StoreFault::Corrupt);
        store.load("a").await.unwrap();
        store.fail_loads(9, StoreFault::Locked);
        store.heal();
        store.load("a").await.unwrap();
    }
}
