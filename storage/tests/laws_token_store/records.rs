//! A store of records with a flaw or without, as one may be that seals nothing and shares a file
//! with other programs.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use regrant_core::{Id, Record, Secret, StateKind, Timestamp, Version};
use regrant_storage::laws::{Task, TokenPlace};
use regrant_storage::{Capabilities, Entry, Kept, Name, Over, StoreError, Stored, TokenStore};

use crate::spawned;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing: shows that the laws can be kept.
    None,
    /// Says that nobody is logged in where nothing was ever saved.
    InventsTombstones,
    /// Saves whatever is there.
    NeverCompares,
    /// Compares, and saves after others had their turn.
    ComparesThenSaves,
    /// Says that nothing is there when something else is.
    HidesWhatIsThere,
    /// Names another version to those who save than to those who load.
    TwoVersions,
    /// Takes the incarnation for the version.
    VersionsThatRecur,
    /// Takes a tombstone for nothing.
    TombstoneIsAbsent,
    /// Forgets what a login took the place of.
    ForgetsLineage,
    /// Takes names that differ in case for one.
    FoldsCase,
    /// Keeps what a keychain takes.
    CutsTokens,
    /// Keeps what it knows.
    DropsUnknownFields,
    /// Believes whoever says that a record is damaged.
    BelievesInDamage,
    /// Takes the old away, and has not put the new there when its future is dropped.
    TornByDrop,
}

/// A record, and how often the place was saved to when it came.
type Records = BTreeMap<String, (Record, u64)>;

#[derive(Clone, Debug)]
pub(crate) struct Flawed {
    flaw: Flaw,
    records: Arc<Mutex<Records>>,
    saves: Arc<Mutex<u64>>,
}

impl Flawed {
    pub(crate) fn with(flaw: Flaw) -> Self {
        Self { flaw, records: Arc::default(), saves: Arc::default() }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn name(&self, account: &str) -> String {
        if self.is(Flaw::FoldsCase) { account.to_lowercase() } else { account.to_owned() }
    }

    fn version(&self, record: &Record, save: u64) -> Version {
        if self.is(Flaw::VersionsThatRecur) {
            return Version::new(record.incarnation.0);
        }
        Version::new(save.to_be_bytes())
    }

    fn stored(&self, account: &str) -> Option<Stored> {
        let records = self.records.lock().unwrap();
        let Some((record, save)) = records.get(&self.name(account)) else {
            let invented = Record::logged_out(Id([0; 16]), 0, Timestamp::EPOCH);
            let version = self.version(&invented, 0);
            let stored = Stored { record: invented, version };
            return self.is(Flaw::InventsTombstones).then_some(stored);
        };
        Some(Stored { record: record.clone(), version: self.version(record, *save) })
    }

    /// What the store makes of a record on its way in.
    fn kept(&self, record: &Record) -> Record {
        let mut kept = record.clone();
        if self.is(Flaw::ForgetsLineage) {
            kept.superseded.clear();
        }
        if self.is(Flaw::DropsUnknownFields) {
            kept.unknown.clear();
        }
        if let Some(slot) = kept.slots.get_mut(&0).filter(|_| self.is(Flaw::CutsTokens)) {
            let token = slot.access_token.expose().chars().take(2_560).collect();
            slot.access_token = Secret::new(token);
        }
        kept
    }

    fn is_over(&self, over: &Over, found: Option<&Stored>) -> bool {
        match over {
            Over::Absent => found.is_none_or(|found| {
                self.is(Flaw::TombstoneIsAbsent) && found.record.is_logged_out()
            }),
            Over::Version(version) => found.is_some_and(|found| found.version == *version),
            Over::Damaged => self.is(Flaw::BelievesInDamage) && found.is_some(),
        }
    }
}

#[async_trait]
impl TokenStore for Flawed {
    async fn load(&self, account: &str) -> Result<Option<Stored>, StoreError> {
        Ok(self.stored(account))
    }

    async fn save(&self, account: &str, record: &Record, over: &Over) -> Result<Kept, StoreError> {
        let record = self.kept(record);
        let compare = || {
            let found = self.stored(account);
            (self.is(Flaw::NeverCompares) || self.is_over(over, found.as_ref())).then_some(found)
        };
        let refused = |found| match self.flaw {
            Flaw::HidesWhatIsThere => Ok(Kept::Mismatch(None)),
            _ => Ok(Kept::Mismatch(found)),
        };
        if self.is(Flaw::ComparesThenSaves) || self.is(Flaw::TornByDrop) {
            if compare().is_none() {
                return refused(self.stored(account));
            }
            if self.is(Flaw::TornByDrop) {
                self.records.lock().unwrap().remove(&self.name(account));
            }
            tokio::task::yield_now().await;
        }
        // One lock around both, as every store needs it that is not one of those two.
        let mut saves = self.saves.lock().unwrap();
        if !self.is(Flaw::ComparesThenSaves) && !self.is(Flaw::TornByDrop) && compare().is_none() {
            return refused(self.stored(account));
        }
        *saves += 1;
        let told = self.version(&record, *saves + u64::from(self.is(Flaw::TwoVersions)) * 1_000);
        self.records.lock().unwrap().insert(self.name(account), (record, *saves));
        Ok(Kept::Done(told))
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let records = self.records.lock().unwrap();
        let entry = |(account, (record, save)): (&String, &(Record, u64))| Entry {
            name: Name::Account(account.clone()),
            incarnation: record.incarnation,
            generation: record.generation,
            revision: *save,
            due_at: record.due_at(),
            live: record.state() != StateKind::NeedsLogin,
        };
        Ok(records.iter().map(entry).collect())
    }

    fn capabilities(&self) -> Capabilities {
        let identity = "flawed".to_owned();
        Capabilities { identity, volatile: true, shared: false, size_limit: None }
    }
}

#[async_trait]
impl TokenPlace for Flawed {
    async fn open(&self) -> Arc<dyn TokenStore> {
        Arc::new(self.clone())
    }

    async fn together(&self, tasks: Vec<Task>) {
        spawned(tasks).await;
    }

    async fn back_up(&self) -> Option<Task> {
        let (copy, records) = (self.records.lock().unwrap().clone(), Arc::clone(&self.records));
        Some(Box::pin(async move { *records.lock().unwrap() = copy }))
    }
}

mod laws {
    mod token_store {
        use crate::records::{Flaw, Flawed};

        regrant_storage::token_store_laws! {
            #[tokio::test(flavor = "multi_thread")]
            Flawed::with(Flaw::None)
        }
    }
}
