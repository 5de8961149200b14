//! The laws find what they are there to find: each store and lease here breaks a duty, and the
//! law of that duty panics.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use regrant_core::Timestamp;
use regrant_storage::laws::{BlobPlace, LeasePlace, blob_store, lease};
use regrant_storage::{
    Blob, BlobStore, Capabilities, Entry, Expected, HeldLease, Holder, MemoryBlobStore,
    MemoryLease, Name, RefreshLease, Saved, StoreError, Tried,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Keeps the laws: shows that the harness itself breaks none.
    None,
    /// Saves whatever is there.
    NoCompare,
    /// Compares, and saves after others had their turn.
    CompareThenSave,
    /// Compares the revision and not the incarnation.
    RevisionAlone,
    /// Says that nothing is there when something else is.
    SilentMismatch,
    /// Takes a tombstone for nothing.
    TombstoneIsAbsent,
    /// Takes names that differ in case for one.
    FoldsCase,
    /// Cuts names.
    CutsNames,
    /// Cuts records.
    CutsRecords,
    /// Raises the revision by itself.
    RaisesRevision,
    /// Numbers of 63 bits.
    SignedNumbers,
    /// Loses a save whose future is dropped after it took the old away.
    TornByDrop,
    /// Lists the key.
    ListsKey,
    /// Leaves tombstones out of lists.
    HidesTombstones,
    /// Saves into the handle.
    KeepsInHandle,
    /// Replaces what can be read.
    ReplacesReadable,
    /// Puts copies among the accounts.
    ListsCopies,
    /// Another name at each opening.
    NamelessPlace,
    /// Reads a list in two turns, and drops what changed in between.
    ListsInParts,
}

#[derive(Debug)]
struct Flawed {
    flaw: Flaw,
    inner: MemoryBlobStore,
    opened: usize,
}

impl Flawed {
    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }

    fn name(&self, name: &Name) -> Name {
        let Name::Account(text) = name else { return Name::DataKey };
        let mut text = text.clone();
        if self.is(Flaw::FoldsCase) {
            text = text.to_lowercase();
        }
        if self.is(Flaw::CutsNames) {
            text = text.chars().take(255).collect();
        }
        Name::Account(text)
    }

    /// What the backend makes of a blob on its way in.
    fn kept(&self, blob: &Blob) -> Blob {
        let mut kept = blob.clone();
        kept.entry.name = self.name(&blob.entry.name);
        if self.is(Flaw::CutsRecords) {
            kept.sealed.truncate(2_560);
        }
        if self.is(Flaw::RaisesRevision) {
            kept.entry.revision = kept.entry.revision.saturating_add(1);
        }
        if self.is(Flaw::SignedNumbers) {
            let most = Timestamp::from_millis(i64::MAX.unsigned_abs());
            kept.entry.due_at = kept.entry.due_at.map(|at| at.min(most));
        }
        kept
    }
}

/// What a save must expect to replace this.
fn over(found: Option<&Blob>) -> Expected {
    found.map_or(Expected::Absent, |found| {
        Expected::Revision(found.entry.incarnation, found.entry.revision)
    })
}

#[async_trait]
impl BlobStore for Flawed {
    async fn load(&self, name: &Name) -> Result<Option<Blob>, StoreError> {
        let found = self.inner.load(&self.name(name)).await?;
        Ok(found.map(|mut blob| {
            blob.entry.name = name.clone();
            blob
        }))
    }

    async fn save(&self, blob: &Blob, mut expected: Expected) -> Result<Saved, StoreError> {
        let kept = self.kept(blob);
        let found = self.inner.load(&kept.entry.name).await?;
        let is_there = expected == over(found.as_ref());
        if self.is(Flaw::NoCompare) {
            expected = over(found.as_ref());
        }
        if self.is(Flaw::RevisionAlone)
            && let (Expected::Revision(incarnation, _), Some(found)) = (&mut expected, &found)
        {
            *incarnation = found.entry.incarnation;
        }
        if self.is(Flaw::TombstoneIsAbsent)
            && expected == Expected::Absent
            && found.as_ref().is_some_and(|found| !found.entry.live)
        {
            expected = over(found.as_ref());
        }
        if self.is(Flaw::CompareThenSave) && is_there {
            tokio::task::yield_now().await;
            expected = over(self.inner.load(&kept.entry.name).await?.as_ref());
        }
        if self.is(Flaw::TornByDrop)
            && is_there
            && let Some(old) = &found
        {
            let torn = Blob { sealed: Vec::new(), ..old.clone() };
            self.inner.save(&torn, expected).await?;
            tokio::task::yield_now().await;
        }
        match self.inner.save(&kept, expected).await? {
            Saved::Mismatch(_) if self.is(Flaw::SilentMismatch) => Ok(Saved::Mismatch(None)),
            saved @ (Saved::Done | Saved::Mismatch(_)) => Ok(saved),
        }
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = self.inner.list().await?;
        if self.is(Flaw::ListsKey) {
            entries.extend(self.load(&Name::DataKey).await?.map(|key| key.entry));
        }
        if self.is(Flaw::HidesTombstones) {
            entries.retain(|entry| entry.live);
        }
        if self.is(Flaw::ListsInParts) {
            tokio::task::yield_now().await;
            let later = self.inner.list().await?;
            entries.retain(|entry| later.contains(entry));
        }
        Ok(entries)
    }

    async fn replace(&self, blob: &Blob) -> Result<Saved, StoreError> {
        if self.is(Flaw::ReplacesReadable) {
            let found = self.inner.load(&blob.entry.name).await?;
            return self.inner.save(blob, over(found.as_ref())).await;
        }
        self.inner.replace(blob).await
    }

    async fn set_aside(&self, blob: &Blob) -> Result<(), StoreError> {
        if self.is(Flaw::ListsCopies) {
            let mut copy = blob.clone();
            copy.entry.name = Name::Account("copy".to_owned());
            self.inner.save(&copy, Expected::Absent).await?;
        }
        Ok(())
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.inner.capabilities();
        if self.is(Flaw::NamelessPlace) {
            capabilities.identity = format!("handle {}", self.opened);
        }
        capabilities
    }
}

struct Flaws {
    flaw: Flaw,
    inner: MemoryBlobStore,
    opened: AtomicUsize,
}

#[async_trait]
impl BlobPlace for Flaws {
    async fn open(&self) -> Arc<dyn BlobStore> {
        let opened = self.opened.fetch_add(1, Ordering::SeqCst);
        let keeps_in_handle = self.flaw == Flaw::KeepsInHandle;
        let inner = if keeps_in_handle { MemoryBlobStore::new() } else { self.inner.clone() };
        Arc::new(Flawed { flaw: self.flaw, inner, opened })
    }
}

/// Whether the law holds for a store with this flaw. On one thread, so that it is the same each
/// time.
fn holds(flaw: Flaw, law: &str) -> bool {
    let law = law.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let run = runtime.spawn(async move {
        let place = Flaws { flaw, inner: MemoryBlobStore::new(), opened: 0.into() };
        macro_rules! run {
            ($($name:ident)+) => {
                match law.as_str() {
                    $(stringify!($name) => blob_store::$name(&place).await,)+
                    other => unreachable!("no law is called {other}"),
                }
            };
        }
        run! {
            absent_is_none create_needs_absence a_save_raises_nothing_by_itself
            a_mismatch_says_what_is_there_and_changes_nothing of_concurrent_creators_one_wins
            concurrent_savers_lose_nothing a_tombstone_is_not_resurrected_by_a_stale_writer
            accounts_are_isolated large_records_round_trip a_dropped_save_leaves_old_or_new
            list_names_every_account_and_not_the_data_key a_list_is_complete_while_others_write
            what_was_saved_is_there_after_reopening two_handles_see_each_others_saves
            replace_leaves_what_is_readable_alone what_is_set_aside_is_out_of_the_way
            capabilities_name_the_same_place
        }
    });
    match runtime.block_on(run) {
        Ok(()) => true,
        Err(error) => {
            assert!(error.is_panic());
            false
        }
    }
}

#[test]
fn each_flaw_breaks_the_law_of_its_duty() {
    let broken = [
        (Flaw::NoCompare, "create_needs_absence"),
        (Flaw::NoCompare, "a_mismatch_says_what_is_there_and_changes_nothing"),
        (Flaw::NoCompare, "of_concurrent_creators_one_wins"),
        (Flaw::NoCompare, "concurrent_savers_lose_nothing"),
        (Flaw::NoCompare, "a_tombstone_is_not_resurrected_by_a_stale_writer"),
        (Flaw::NoCompare, "two_handles_see_each_others_saves"),
        (Flaw::CompareThenSave, "of_concurrent_creators_one_wins"),
        (Flaw::CompareThenSave, "concurrent_savers_lose_nothing"),
        (Flaw::RevisionAlone, "a_mismatch_says_what_is_there_and_changes_nothing"),
        (Flaw::SilentMismatch, "create_needs_absence"),
        (Flaw::SilentMismatch, "of_concurrent_creators_one_wins"),
        (Flaw::SilentMismatch, "concurrent_savers_lose_nothing"),
        (Flaw::TombstoneIsAbsent, "a_tombstone_is_not_resurrected_by_a_stale_writer"),
        (Flaw::FoldsCase, "accounts_are_isolated"),
        (Flaw::CutsNames, "accounts_are_isolated"),
        (Flaw::CutsRecords, "large_records_round_trip"),
        (Flaw::RaisesRevision, "a_save_raises_nothing_by_itself"),
        (Flaw::RaisesRevision, "concurrent_savers_lose_nothing"),
        (Flaw::SignedNumbers, "a_save_raises_nothing_by_itself"),
        (Flaw::TornByDrop, "a_dropped_save_leaves_old_or_new"),
        (Flaw::ListsKey, "list_names_every_account_and_not_the_data_key"),
        (Flaw::HidesTombstones, "list_names_every_account_and_not_the_data_key"),
        (Flaw::ListsInParts, "a_list_is_complete_while_others_write"),
        (Flaw::KeepsInHandle, "what_was_saved_is_there_after_reopening"),
        (Flaw::KeepsInHandle, "two_handles_see_each_others_saves"),
        (Flaw::ReplacesReadable, "replace_leaves_what_is_readable_alone"),
        (Flaw::ListsCopies, "what_is_set_aside_is_out_of_the_way"),
        (Flaw::NamelessPlace, "capabilities_name_the_same_place"),
    ];
    for (flaw, law) in broken {
        assert!(holds(Flaw::None, law), "{law} breaks without a flaw");
        assert!(!holds(flaw, law), "{law} does not find {flaw:?}");
    }
}

/// Two can hold it, nobody is named, or it is never free again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leak {
    None,
    Shared,
    NamesNobody,
    NeverReleased,
    OneForAll,
    LostByRenewal,
    HeldByATry,
}

#[derive(Clone, Debug)]
struct Leaky {
    leak: Leak,
    inner: MemoryLease,
}

#[derive(Debug)]
struct LeakyHeld {
    leak: Leak,
    inner: Option<Box<dyn HeldLease>>,
}

#[async_trait]
impl RefreshLease for Leaky {
    async fn try_acquire(&self, account: &str, now: Timestamp) -> Result<Tried, StoreError> {
        let account = if self.leak == Leak::OneForAll { "all" } else { account };
        let leak = self.leak;
        let inner = if leak == Leak::Shared { MemoryLease::new() } else { self.inner.clone() };
        let tried = match inner.try_acquire(account, now).await? {
            Tried::Held(held) => Tried::Held(Box::new(LeakyHeld { leak, inner: Some(held) })),
            Tried::Busy(_) if leak == Leak::NamesNobody => {
                Tried::Busy(Holder { pid: None, host: None, since: None })
            }
            Tried::Busy(holder) => Tried::Busy(holder),
            Tried::Unlockable => Tried::Unlockable,
        };
        if leak == Leak::HeldByATry {
            let kept = ManuallyDrop::new(tried);
            tokio::task::yield_now().await;
            return Ok(ManuallyDrop::into_inner(kept));
        }
        Ok(tried)
    }

    fn proves_death(&self) -> bool {
        true
    }
}

#[async_trait]
impl HeldLease for LeakyHeld {
    async fn renew(&mut self) -> Result<(), StoreError> {
        if self.leak == Leak::LostByRenewal {
            self.inner = None;
        }
        Ok(())
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }

    fn time_left(&self) -> Option<std::time::Duration> {
        None
    }
}

impl Drop for LeakyHeld {
    fn drop(&mut self) {
        if self.leak == Leak::NeverReleased {
            let _never_dropped = self.inner.take().map(ManuallyDrop::new);
        }
    }
}

struct Leaks(Leaky);

#[async_trait]
impl LeasePlace for Leaks {
    async fn open(&self) -> Arc<dyn RefreshLease> {
        Arc::new(self.0.clone())
    }
}

fn lease_holds(leak: Leak, law: &str) -> bool {
    let law = law.to_owned();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let run = runtime.spawn(async move {
        let place = Leaks(Leaky { leak, inner: MemoryLease::new() });
        match law.as_str() {
            "one_holder_at_a_time" => lease::one_holder_at_a_time(&place).await,
            "busy_names_its_holder" => lease::busy_names_its_holder(&place).await,
            "a_released_lease_can_be_taken" => lease::a_released_lease_can_be_taken(&place).await,
            "a_dropped_lease_can_be_taken" => lease::a_dropped_lease_can_be_taken(&place).await,
            "a_dropped_try_holds_nothing" => lease::a_dropped_try_holds_nothing(&place).await,
            "a_renewed_lease_is_still_held" => lease::a_renewed_lease_is_still_held(&place).await,
            "accounts_have_leases_of_their_own" => {
                lease::accounts_have_leases_of_their_own(&place).await;
            }
            other => unreachable!("no law is called {other}"),
        }
    });
    runtime.block_on(run).is_ok()
}

#[test]
fn each_leak_breaks_the_law_of_its_duty() {
    let broken = [
        (Leak::Shared, "one_holder_at_a_time"),
        (Leak::Shared, "busy_names_its_holder"),
        (Leak::Shared, "accounts_have_leases_of_their_own"),
        (Leak::NamesNobody, "busy_names_its_holder"),
        (Leak::NeverReleased, "a_released_lease_can_be_taken"),
        (Leak::NeverReleased, "a_dropped_lease_can_be_taken"),
        (Leak::HeldByATry, "a_dropped_try_holds_nothing"),
        (Leak::OneForAll, "accounts_have_leases_of_their_own"),
        (Leak::LostByRenewal, "a_renewed_lease_is_still_held"),
    ];
    for (leak, law) in broken {
        assert!(lease_holds(Leak::None, law), "{law} breaks without a leak");
        assert!(!lease_holds(leak, law), "{law} does not find {leak:?}");
    }
}

/// A law that no backend runs is none, and a law of processes that no flaw breaks is none either:
/// those of one process are in the tables above.
#[test]
fn every_law_is_in_its_suite_and_has_a_flaw() {
    let suites = include_str!("../src/laws/suites.rs");
    let broken = [
        include_str!("laws_have_teeth.rs"),
        include_str!("laws_broken/broken.rs"),
        include_str!("laws_token_store/broken.rs"),
    ];
    let sources = [
        (include_str!("../src/laws/blob_store.rs"), 17),
        (include_str!("../src/laws/lease.rs"), 7),
        (include_str!("../src/laws/token_store.rs"), 13),
        (include_str!("../src/laws/processes/crowds.rs"), 4),
        (include_str!("../src/laws/processes/kills.rs"), 2),
        (include_str!("../src/laws/processes/calls.rs"), 3),
        (include_str!("../src/laws/lease_processes.rs"), 4),
        (include_str!("../src/laws/lease_processes/faults.rs"), 2),
    ];
    for (source, count) in sources {
        let laws = source.lines().filter_map(|line| line.strip_prefix("pub async fn "));
        let laws: Vec<_> = laws.filter_map(|line| line.split(['(', '<']).next()).collect();
        for law in &laws {
            assert!(suites.lines().any(|line| line.trim() == *law), "{law} is in no suite");
            assert!(broken.iter().any(|text| text.contains(law)), "{law} is broken by no flaw");
        }
        assert_eq!(laws.len(), count, "{laws:?}");
    }
}
