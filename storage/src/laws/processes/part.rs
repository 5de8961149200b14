//! What the processes of these laws do.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use regrant_core::Id;

use super::host::{REFUSED, asked, hears, said, told};
use super::strace::may_be_traced;
use super::{Making, ProcessPlace};
use crate::blob::{Blob, BlobStore, Expected, Name, Saved};
use crate::error::StoreError;
use crate::laws::blobs::{
    account, after, blob, done, is_refusal, listed, loaded, now, save, saves_a_share,
    told as told_error,
};
use crate::laws::{BlobPlace, CROWD};

/// Creates accounts and the data key.
pub(super) const CREATES: &str = "creates";
/// Saves its share of a thousand saves.
pub(super) const COUNTS: &str = "counts";
/// Saves until it is killed or told to stop.
pub(super) const SAVES: &str = "saves";
/// Saves once.
pub(super) const SAVES_ONCE: &str = "saves once";
/// Saves, looks what is there, and saves again.
pub(super) const SAVES_TWICE: &str = "saves twice";
/// Loads until it is told to stop.
pub(super) const READS: &str = "reads";
/// Lists until it is told to stop.
pub(super) const LISTS: &str = "lists";
/// Saves to an account of its own, and creates others.
pub(super) const WRITES: &str = "writes";

/// The account of all laws with one.
pub(super) const ACCOUNT: &str = "a";

/// Longer than a page of a file or a database, so that a save which is torn shows.
const LONG: usize = 5_000;

/// How often a process bears to hear that the place is locked. It is an honest answer, where a disk
/// stalls for longer than a backend waits; it is none that everybody gets all the time.
const REFUSALS: usize = 3;

/// The test that the processes of these laws run. It does nothing unless a law has started it.
pub async fn child_of_a_law<P: BlobPlace + ProcessPlace>(_: fn() -> Making<P>) {
    let Some((part, address, with)) = asked() else { return };
    let store = P::at(&address).open().await;
    match part.as_str() {
        CREATES => creates(&store, with.parse().expect("a creator has a number")).await,
        COUNTS => counts(&store, with.parse().expect("a saver has a number")).await,
        SAVES => saves(&store).await,
        SAVES_ONCE => saves_once(&store).await,
        SAVES_TWICE => saves_twice(&store).await,
        READS => reads(&store).await,
        LISTS => lists(&store).await,
        WRITES => writes(&store, &with).await,
        part => panic!("no law has a part called {part}"),
    }
}

/// Says that it is ready, and waits until all are.
fn waits_for_all() {
    may_be_traced();
    told("ready");
    assert_eq!(hears().as_deref(), Some("go"), "the law has ended before it began");
}

/// Set as soon as the law says so, or has gone.
fn stopped() -> Arc<AtomicBool> {
    let stopped = Arc::new(AtomicBool::new(false));
    let copy = Arc::clone(&stopped);
    thread::spawn(move || {
        hears();
        copy.store(true, Ordering::SeqCst);
    });
    stopped
}

async fn creates(store: &Arc<dyn BlobStore>, index: u8) {
    // Whatever is opened with the first call is open.
    loaded(store, &account("other")).await;
    waits_for_all();
    for name in created() {
        let mut mine = blob(&name, 1, &[index]);
        mine.entry.incarnation = Id([index; 16]);
        match save(store, &mine, Expected::Absent).await {
            Saved::Done => told("won"),
            Saved::Mismatch(Some(found)) => {
                assert_eq!(found.entry.incarnation, Id([found.sealed[0]; 16]));
                told(&format!("lost to {}", found.sealed[0]));
            }
            Saved::Mismatch(None) => panic!("who lost was told that there is nothing"),
        }
    }
}

/// What is created: enough names that at some of them the fifty, who did not start at the very same
/// moment, have caught up with each other.
pub(super) fn created() -> impl Iterator<Item = Name> {
    (0..10).map(|index| account(&index.to_string())).chain([Name::DataKey])
}

async fn counts(store: &Arc<dyn BlobStore>, index: u8) {
    loaded(store, &account("other")).await;
    waits_for_all();
    saves_a_share(store, &account(ACCOUNT), index, CROWD).await;
}

async fn saves(store: &Arc<dyn BlobStore>) {
    let mut last = loaded(store, &account(ACCOUNT)).await;
    waits_for_all();
    let stopped = stopped();
    while !stopped.load(Ordering::SeqCst) {
        let new = next(store, last.as_ref());
        let expected = last.as_ref().map_or(Expected::Absent, now);
        done(patiently(async || store.save(&new, expected).await).await);
        told(&format!("saved {}", new.entry.revision));
        last = Some(new);
    }
}

async fn saves_once(store: &Arc<dyn BlobStore>) {
    let last = loaded(store, &account(ACCOUNT)).await;
    waits_for_all();
    let new = next(store, last.as_ref());
    match store.save(&new, last.as_ref().map_or(Expected::Absent, now)).await {
        Ok(saved) => {
            done(saved);
            told("saved");
        }
        Err(error) => told(&failed(&error)),
    }
}

async fn saves_twice(store: &Arc<dyn BlobStore>) {
    saves_once(store).await;
    assert_eq!(hears().as_deref(), Some("again"), "the law has ended before it was over");
    let found = loaded(store, &account(ACCOUNT)).await;
    told(&found.as_ref().map_or(0, |found| found.entry.revision).to_string());
    let further = next(store, found.as_ref());
    done(save(store, &further, found.as_ref().map_or(Expected::Absent, now)).await);
    told("saved");
}

/// A failure in words that a law can tell apart: the outcome, the kind, and the rest for people.
fn failed(error: &StoreError) -> String {
    format!("failed {:?} {} {}", error.outcome(), error.kind(), told_error(error))
}

async fn reads(store: &Arc<dyn BlobStore>) {
    let name = account(ACCOUNT);
    let mut last = loaded(store, &name).await.expect("it was saved before");
    waits_for_all();
    let stopped = stopped();
    while !stopped.load(Ordering::SeqCst) {
        let found = patiently(async || store.load(&name).await).await;
        let found = found.expect("what was there before is never absent");
        let (old, new) = (last.entry.revision, found.entry.revision);
        assert!(new >= old, "a reader was thrown back from {old} to {new}");
        assert_whole(store, &found);
        last = found;
    }
}

async fn lists(store: &Arc<dyn BlobStore>) {
    let mut last = listed(store).await;
    waits_for_all();
    let stopped = stopped();
    while !stopped.load(Ordering::SeqCst) {
        let mut found = patiently(async || store.list().await).await;
        found.sort_by(|one, other| one.name.cmp(&other.name));
        for pair in found.windows(2) {
            assert_ne!(pair[0].name, pair[1].name, "one account is in a list twice");
        }
        for old in &last {
            let new = found.iter().find(|entry| entry.name == old.name);
            let new = new.unwrap_or_else(|| panic!("{:?} is missing in a list", old.name));
            assert!(new.revision >= old.revision, "{:?} was thrown back", old.name);
        }
        last = found;
    }
}

async fn writes(store: &Arc<dyn BlobStore>, own: &str) {
    let name = account(own);
    let mut last = loaded(store, &name).await.expect("it was saved before");
    waits_for_all();
    // Enough that lists meet saves and creations: a list takes as long as a few of them.
    for round in 0..20 {
        let new = next(store, Some(&last));
        done(patiently(async || store.save(&new, now(&last)).await).await);
        last = new;
        if round % 4 == 0 {
            let other = blob(&account(&format!("{own}, {round}")), 1, b"new");
            done(patiently(async || store.save(&other, Expected::Absent).await).await);
        }
    }
}

/// Does this until it is done, and says how often the place was locked.
async fn patiently<T>(mut work: impl AsyncFnMut() -> Result<T, StoreError>) -> T {
    for _ in 0..REFUSALS {
        match work().await {
            Err(error) if is_refusal(&error) => said(REFUSED),
            result => return result.unwrap_or_else(|error| panic!("{}", told_error(&error))),
        }
    }
    panic!("the place was locked {REFUSALS} times in a row")
}

/// What is saved over this, or first.
pub(super) fn next(store: &Arc<dyn BlobStore>, last: Option<&Blob>) -> Blob {
    let revision = last.map_or(0, |last| last.entry.revision) + 1;
    let sealed = sealed(store, revision);
    match last {
        Some(last) => after(last, &sealed),
        None => blob(&account(ACCOUNT), revision, &sealed),
    }
}

/// Whether this is all of what [`next`] made.
#[track_caller]
pub(super) fn assert_whole(store: &Arc<dyn BlobStore>, found: &Blob) {
    let revision = found.entry.revision;
    let is_whole = found.sealed == sealed(store, revision);
    assert!(is_whole, "what is there as revision {revision} is a part of a save, or of two");
}

/// Each revision has bytes of its own, and another length than the one before.
fn sealed(store: &Arc<dyn BlobStore>, revision: u64) -> Vec<u8> {
    let most = store.capabilities().size_limit.unwrap_or(LONG);
    let byte = revision.to_le_bytes()[0];
    vec![byte; LONG.min(most) - usize::from(byte % 7)]
}
