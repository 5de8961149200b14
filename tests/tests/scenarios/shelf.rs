//! The store that the programs of a scene share, as one of them sees it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use regrant::{Capabilities, Origin, StoreError, StoreFault, TokenStore};
use regrant_core::Record;
use regrant_storage::{Entry, Kept, MemoryStore, Over, Stored};

/// One program's way to the store. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    inner: MemoryStore,
    /// Tells the programs apart: to the driver, one store is one session in a process.
    program: usize,
    seen: Arc<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    loads: AtomicUsize,
    saves: AtomicUsize,
    load_fault: Mutex<Option<StoreFault>>,
    save_fault: Mutex<Option<StoreFault>>,
    contended: AtomicUsize,
}

impl Shelf {
    /// The same store, as another program sees it.
    pub(crate) fn of_another_program(&self) -> Self {
        static PROGRAMS: AtomicUsize = AtomicUsize::new(1);
        let program = PROGRAMS.fetch_add(1, Ordering::Relaxed);
        Self { inner: self.inner.clone(), program, seen: Arc::default() }
    }

    /// A store elsewhere that holds a copy of this account.
    pub(crate) async fn copied(&self, account: &str) -> Self {
        let copy = Self::default();
        let record = self.record(account).await;
        let saved = copy.inner.save(account, &record, &Over::Absent).await.unwrap();
        assert!(matches!(saved, Kept::Done(_)));
        copy
    }

    pub(crate) async fn record(&self, account: &str) -> Record {
        self.inner.load(account).await.unwrap().unwrap().record
    }

    /// How often this program has read the store.
    pub(crate) fn loads(&self) -> usize {
        self.seen.loads.load(Ordering::Relaxed)
    }

    /// How often this program has changed the store.
    pub(crate) fn saves(&self) -> usize {
        self.seen.saves.load(Ordering::Relaxed)
    }

    /// From now on, loads of this program fail like this, or do not.
    pub(crate) fn fail_loads(&self, fault: Option<StoreFault>) {
        *self.seen.load_fault.lock().unwrap() = fault;
    }

    /// From now on, saves of this program fail like this, or do not.
    pub(crate) fn fail_saves(&self, fault: Option<StoreFault>) {
        *self.seen.save_fault.lock().unwrap() = fault;
    }

    /// So many of the next saves find that another program was a moment faster.
    pub(crate) fn contend(&self, times: usize) {
        self.seen.contended.store(times, Ordering::Relaxed);
    }

    /// An older copy of the record is put back.
    pub(crate) async fn put_back(&self, account: &str, backup: &Record) {
        let Stored { version, .. } = self.inner.load(account).await.unwrap().unwrap();
        let saved = self.inner.save(account, backup, &Over::Version(version)).await.unwrap();
        assert!(matches!(saved, Kept::Done(_)));
    }

    /// Another program lets the token go to one more origin.
    async fn changed_elsewhere(&self, account: &str, n: usize) {
        let Stored { mut record, version } = self.inner.load(account).await.unwrap().unwrap();
        record.origins.push(Origin::parse(&format!("https://api-{n}.example")).unwrap());
        let saved = self.inner.save(account, &record, &Over::Version(version)).await.unwrap();
        assert!(matches!(saved, Kept::Done(_)));
    }
}

#[async_trait]
impl TokenStore for Shelf {
    async fn load(&self, account: &str) -> Result<Option<Stored>, StoreError> {
        self.seen.loads.fetch_add(1, Ordering::Relaxed);
        let fault = *self.seen.load_fault.lock().unwrap();
        if let Some(fault) = fault {
            return Err(StoreError::new(fault, "as the scene wants"));
        }
        self.inner.load(account).await
    }

    async fn save(&self, account: &str, record: &Record, over: &Over) -> Result<Kept, StoreError> {
        if let Some(fault) = *self.seen.save_fault.lock().unwrap() {
            return Err(StoreError::new(fault, "as the scene wants"));
        }
        let contended = self.seen.contended.load(Ordering::Relaxed);
        if contended > 0 {
            self.seen.contended.store(contended - 1, Ordering::Relaxed);
            self.changed_elsewhere(account, contended).await;
        }
        let kept = self.inner.save(account, record, over).await?;
        if let Kept::Done(_) = kept {
            self.seen.saves.fetch_add(1, Ordering::Relaxed);
        }
        Ok(kept)
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.inner.list().await
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        capabilities.identity += &format!(", program {}", self.program);
        capabilities
    }
}
