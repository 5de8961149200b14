//! Others at the same record.

use std::fs;
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use regrant_core::StoreFault;
use regrant_storage::{BlobStore, Expected, SaveOutcome, owner_only};

use crate::support::*;

fn lock(path: &Path) -> PathBuf {
    path.join(format!("{DEFAULT}.lock"))
}

/// A process that was stopped in mid-save, for one.
#[tokio::test]
async fn a_record_that_stays_locked_is_locked_and_can_be_read() {
    let folder = folder();
    let path = inside(&folder);
    let old = with_one(&path, b"sealed").await;
    let held = owner_only::options().write(true).open(lock(&path)).unwrap();
    held.lock().unwrap();
    let store = store(&path).await;
    let new = blob("default", 2, b"new");
    let saved = store.save(&new, at(&old));
    // What the driver gives a save before it takes it for lost.
    let error = tokio::time::timeout(Duration::from_secs(5), saved).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), StoreFault::Locked);
    assert_eq!(error.outcome(), SaveOutcome::NotApplied);
    assert_eq!(store.load(&account("default")).await.unwrap().as_ref(), Some(&old));
    // Other accounts are not concerned, and who expects something else is told so at once.
    done(store.save(&blob("other", 1, b"sealed"), Expected::Absent).await);
    assert_eq!(mismatch(store.save(&new, Expected::Absent).await).as_ref(), Some(&old));
    assert_eq!(unfinished(&path), [] as [&str; 0]);
    drop(held);
    done(store.save(&new, at(&old)).await);
}

#[tokio::test]
async fn a_save_waits_for_the_one_before_it() {
    let folder = folder();
    let path = inside(&folder);
    let old = with_one(&path, b"sealed").await;
    let held = owner_only::options().write(true).open(lock(&path)).unwrap();
    held.lock().unwrap();
    let store = store(&path).await;
    let mut save = Box::pin(async { store.save(&blob("default", 2, b"new"), at(&old)).await });
    for _ in 0..1_000 {
        assert!(one_poll(&mut save).await.is_pending());
        tokio::task::yield_now().await;
    }
    assert_eq!(unfinished(&path), [] as [&str; 0], "nothing is written before it has the lock");
    drop(held);
    done(save.await);
}

/// One poll.
async fn one_poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *future).poll(context)))
        .await
}

/// A caller that gives up after the token request has no other copy of what it was saving.
#[tokio::test]
async fn a_save_that_nobody_waits_for_comes_to_its_end() {
    let folder = folder();
    let path = inside(&folder);
    let mut there = with_one(&path, b"sealed").await;
    let store = store(&path).await;
    for revision in 2..20 {
        let before = at(&there);
        there.entry.revision = revision;
        {
            let mut save = Box::pin(store.save(&there, before));
            if let Poll::Ready(saved) = one_poll(&mut save).await {
                done(saved);
            }
        }
        let comes = async {
            while store.load(&account("default")).await.unwrap().as_ref() != Some(&there) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), comes).await.unwrap();
    }
}

#[tokio::test]
async fn the_first_save_of_a_handle_sweeps_what_the_dead_have_left() {
    let folder = folder();
    let path = inside(&folder);
    with_one(&path, b"sealed").await;
    let here = store(&path).await;
    let mut other = blob("other", 1, b"sealed");
    done(here.save(&other, Expected::Absent).await);
    let old = "0123456789abcdef".repeat(2);
    let passed = [
        format!("{DEFAULT}.{old}.{old}.tmp"),
        format!("{DEFAULT}.absent.{old}.tmp"),
        format!("{DEFAULT}.absent.0.claim"),
        format!("data-key.{old}.7.claim"),
    ];
    // Somebody may be about to create the data key.
    let in_use = [format!("data-key.absent.{old}.tmp"), "data-key.absent.0.claim".to_owned()];
    for name in passed.iter().chain(&in_use) {
        fs::write(path.join(name), "left").unwrap();
    }
    let mut save = async |store: &regrant_storage_file::FileStore| {
        let before = at(&other);
        other.entry.revision += 1;
        done(store.save(&other, before).await);
    };
    save(&here).await;
    assert_eq!(unfinished(&path).len(), 6, "it has swept before");
    save(&store(&path).await).await;
    assert_eq!(unfinished(&path), {
        let mut in_use = in_use.clone();
        in_use.sort();
        in_use
    });
    // Whoever it was is dead.
    let mut key = blob("default", 1, b"key");
    key.entry.name = regrant_storage::Name::DataKey;
    done(store(&path).await.save(&key, Expected::Absent).await);
    assert_eq!(unfinished(&path), [] as [&str; 0]);
    assert_eq!(here.load(&key.entry.name).await.unwrap(), Some(key));
}
