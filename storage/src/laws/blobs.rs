//! What the laws of blobs are made of.

use std::sync::Arc;

use regrant_core::{Id, StoreFault, Timestamp};

use super::{CROWD, yield_now};
use crate::blob::{Blob, BlobStore, Entry, Expected, Name, Saved};
use crate::error::{SaveOutcome, StoreError};

/// How often each of a crowd saves.
pub(super) const SAVES: u8 = 20;

/// One of a crowd: reads, counts itself and saves, twenty times. So often at most it is told that
/// the place is locked, which is honest if nothing was changed.
pub(super) async fn saves_a_share(
    store: &Arc<dyn BlobStore>,
    name: &Name,
    index: u8,
    mut refusals: usize,
) {
    let mut found = loaded(store, name).await;
    let mut saves = 0;
    // A mismatch needs a save of another since the last look, so there are no more rounds than
    // saves.
    for _ in 0..CROWD * usize::from(SAVES) + refusals {
        yield_now().await;
        let old = found.unwrap_or_else(|| blob(name, 0, &[0; CROWD]));
        let expected = if old.entry.revision == 0 { Expected::Absent } else { now(&old) };
        let mut new = after(&old, &old.sealed);
        new.sealed[usize::from(index)] += 1;
        found = match store.save(&new, expected).await {
            Ok(Saved::Done) => {
                saves += 1;
                if saves == SAVES {
                    return;
                }
                loaded(store, name).await
            }
            Ok(Saved::Mismatch(found)) => found,
            Err(error) if refusals > 0 && is_refusal(&error) => {
                refusals -= 1;
                loaded(store, name).await
            }
            Err(error) => panic!("save {name:?}: {}", told(&error)),
        };
    }
    panic!("saver {index} was refused without a reason: {saves} of {SAVES} saves");
}

/// Whether nothing was done because others keep the place locked.
pub(super) fn is_refusal(error: &StoreError) -> bool {
    error.kind() == StoreFault::Locked && error.outcome() == SaveOutcome::NotApplied
}

/// Whether each of the crowd has saved its share.
pub(super) async fn assert_all_shares(store: &Arc<dyn BlobStore>, name: &Name) {
    let last = loaded(store, name).await.expect("something was saved");
    assert_eq!(last.sealed, [SAVES; CROWD], "saves were lost");
    assert_eq!(last.entry.revision, 1_000, "a save was counted twice, or not");
}

pub(super) fn account(text: &str) -> Name {
    Name::Account(text.to_owned())
}

pub(super) fn blob(name: &Name, revision: u64, sealed: &[u8]) -> Blob {
    let entry = Entry {
        name: name.clone(),
        incarnation: Id([0xa5; 16]),
        generation: 1,
        revision,
        due_at: Some(Timestamp::from_millis(1_700_000_000_000)),
        live: true,
    };
    Blob { entry, sealed: sealed.to_vec() }
}

pub(super) fn after(old: &Blob, sealed: &[u8]) -> Blob {
    let revision = old.entry.revision + 1;
    Blob { entry: Entry { revision, ..old.entry.clone() }, sealed: sealed.to_vec() }
}

pub(super) fn now(blob: &Blob) -> Expected {
    Expected::Revision(blob.entry.incarnation, blob.entry.revision)
}

pub(super) async fn loaded(store: &Arc<dyn BlobStore>, name: &Name) -> Option<Blob> {
    store.load(name).await.unwrap_or_else(|error| panic!("load {name:?}: {}", told(&error)))
}

pub(super) async fn save(store: &Arc<dyn BlobStore>, blob: &Blob, expected: Expected) -> Saved {
    let saved = store.save(blob, expected).await;
    saved.unwrap_or_else(|error| panic!("save {:?}: {}", blob.entry.name, told(&error)))
}

/// By name, since a store lists in its own order.
pub(super) async fn listed(store: &Arc<dyn BlobStore>) -> Vec<Entry> {
    let listed = store.list().await;
    let mut entries = listed.unwrap_or_else(|error| panic!("list: {}", told(&error)));
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    entries
}

#[track_caller]
pub(super) fn done(saved: Saved) {
    if let Saved::Mismatch(found) = saved {
        panic!("the save was refused, and what is there is {:?}", found.map(|blob| blob.entry));
    }
}

#[track_caller]
pub(super) fn mismatch(saved: Saved) -> Option<Blob> {
    match saved {
        Saved::Mismatch(found) => found,
        Saved::Done => panic!("the save was done over something else than it expected"),
    }
}

/// An error with all it came from.
pub(super) fn told(error: &StoreError) -> String {
    let mut told = format!("{} ({}, {:?})", error, error.kind(), error.outcome());
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        told.push_str(&format!(": {error}"));
        source = error.source();
    }
    told
}
