//! Others at the same database.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::task::Poll;
use std::time::Duration;

use regrant_core::StoreFault;
use regrant_storage::{BlobStore, Expected, SaveOutcome, Saved};

use crate::support::*;

#[tokio::test]
async fn a_database_that_stays_locked_is_locked_and_not_damaged() {
    let folder = folder();
    let path = database(&folder);
    let mut there = with_one(&path, b"sealed").await;
    let (reader, writer) = (store(&path).await, store(&path).await);
    assert!(writer.load(&account("default")).await.unwrap().is_some());
    let before = at(&there);
    there.entry.revision += 1;
    let mut other = raw(&path).await;
    run(&mut other, "BEGIN EXCLUSIVE").await;

    let name = account("default");
    let (loaded, saved) = tokio::join!(reader.load(&name), writer.save(&there, before));
    let saved = saved.unwrap_err();
    assert_eq!(loaded.unwrap_err().kind(), StoreFault::Locked);
    assert_eq!(saved.kind(), StoreFault::Locked);
    assert_eq!(saved.outcome(), SaveOutcome::NotApplied);

    run(&mut other, "ROLLBACK").await;
    assert_eq!(reader.load(&name).await.unwrap().unwrap().entry.revision, 1);
    done(writer.save(&there, before).await);
}

/// Long enough to see that something waits, and well within what SQLite waits.
const A_WHILE: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_load_and_a_save_wait_for_a_lock_that_is_let_go() {
    let folder = folder();
    let path = database(&folder);
    let mut there = with_one(&path, b"sealed").await;
    let (reader, writer) = (store(&path).await, store(&path).await);
    let mut other = raw(&path).await;
    for lock in ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"] {
        let before = at(&there);
        there.entry.revision += 1;
        run(&mut other, lock).await;
        let name = account("default");
        let mut both = Box::pin(async {
            if lock == "BEGIN EXCLUSIVE" {
                assert!(reader.load(&name).await.unwrap().is_some());
            }
            writer.save(&there, before).await
        });
        assert!(tokio::time::timeout(A_WHILE, &mut both).await.is_err(), "refused, or not locked");
        run(&mut other, "ROLLBACK").await;
        done(both.await);
    }
}

/// SQLite lets nobody new read while a save waits for those who do.
#[tokio::test]
async fn a_save_is_not_kept_waiting_by_those_who_come_after_it() {
    let folder = folder();
    let path = database(&folder);
    let mut there = with_one(&path, b"sealed").await;
    let before = at(&there);
    there.entry.revision += 1;
    let mut other = raw(&path).await;
    run(&mut other, "BEGIN; SELECT * FROM credential").await;
    let writer = store(&path).await;
    let mut save = Box::pin(writer.save(&there, before));
    assert!(tokio::time::timeout(A_WHILE, &mut save).await.is_err(), "somebody is reading");

    let reader = store(&path).await;
    let name = account("default");
    let mut load = Box::pin(reader.load(&name));
    assert!(tokio::time::timeout(A_WHILE, &mut load).await.is_err(), "it came after the save");
    run(&mut other, "COMMIT").await;
    done(save.await);
    assert_eq!(load.await.unwrap(), Some(there));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_saves_over_one_revision_one_is_done() {
    let folder = folder();
    let path = database(&folder);
    let before = at(&with_one(&path, b"sealed").await);
    let mut saves = tokio::task::JoinSet::new();
    for n in 0..16u8 {
        let path = path.clone();
        saves.spawn(async move {
            store(&path).await.save(&blob("default", 2, &[n]), before).await.unwrap()
        });
    }
    let ended = saves.join_all().await;
    let there = store(&path).await.load(&account("default")).await.unwrap();
    let done = ended.iter().filter(|saved| match saved {
        Saved::Done => true,
        Saved::Mismatch(found) => {
            assert_eq!(*found, there);
            false
        }
    });
    assert_eq!(done.count(), 1);
}

/// As many as the agents of one developer, with what they start.
const READERS: usize = 128;

/// How often the one saves, and so what the others read last.
const LAST: u64 = 100;

/// While one process saves, many that read see whole records and no lock.
#[tokio::test]
async fn sk_07_sqlite_busy_and_network_fs() {
    let folder = folder();
    let path = database(&folder);
    let mut there = with_one(&path, &[1; 10_000]).await;
    let readers =
        (0..READERS).map(|_| child("contention::child_reads", &path).spawn().unwrap()).collect();
    let mut readers = Crowd(readers);
    let has_read = |reader: &Child| reading(&path, reader.id()).exists();
    while !readers.0.iter().all(has_read) {
        let ended: Vec<_> =
            readers.0.iter_mut().filter_map(|reader| reader.try_wait().unwrap()).collect();
        assert!(ended.is_empty(), "{ended:?}");
        tokio::task::yield_now().await;
    }
    let store = store(&path).await;
    for revision in 2..=LAST {
        let before = at(&there);
        there.entry.revision = revision;
        there.sealed = vec![revision as u8; 10_000];
        done(store.save(&there, before).await);
    }
    for reader in &mut readers.0 {
        assert!(reader.wait().unwrap().success());
    }
}

/// Ends all of them when the test ends, also if it fails.
struct Crowd(Vec<Child>);

impl Drop for Crowd {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// What a reader leaves when it has read once.
fn reading(path: &Path, reader: u32) -> PathBuf {
    path.with_file_name(format!("{reader}-reads"))
}

#[tokio::test]
async fn child_reads() {
    let Some(path) = told() else { return };
    let store = store(&path).await;
    let mut last = 0;
    while last < LAST {
        let there = store.load(&account("default")).await.unwrap().unwrap();
        assert!(there.entry.revision >= last);
        if last == 0 {
            fs::write(reading(&path, std::process::id()), []).unwrap();
        }
        last = there.entry.revision;
        assert_eq!(there.sealed, [last as u8; 10_000]);
        assert_eq!(store.list().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn after_a_dropped_save_a_load_tells_how_it_ended() {
    let folder = folder();
    let path = database(&folder);
    // The first of them creates the database.
    let store = store(&path).await;
    let mut there: Option<regrant_storage::Blob> = None;
    let mut applied = 0;
    for polls in 0..60 {
        let revision = there.as_ref().map_or(1, |there| there.entry.revision + 1);
        let next = blob("default", revision, &[polls; 5_000]);
        let expected = there.as_ref().map_or(Expected::Absent, at);
        {
            let mut save = Box::pin(store.save(&next, expected));
            for _ in 0..polls {
                if let Poll::Ready(saved) = futures_poll(&mut save).await {
                    done(saved);
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        let found = store.load(&account("default")).await.unwrap();
        // It happened as a whole or not at all, and it does not happen later.
        if found.as_ref() == Some(&next) {
            applied += 1;
        } else {
            assert_eq!(found, there);
        }
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        assert_eq!(store.load(&account("default")).await.unwrap(), found);
        there = found;
    }
    assert!(applied > 0);
}

/// One poll.
async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    std::future::poll_fn(|context| Poll::Ready(std::pin::Pin::new(&mut *future).poll(context)))
        .await
}

#[tokio::test]
async fn cp_01_b_a_process_killed_while_it_saves_leaves_the_old_or_the_new() {
    let folder = folder();
    let path = database(&folder);
    with_one(&path, &[1; 20_000]).await;
    let journal = PathBuf::from(format!("{}-journal", path.display()));
    let mut interrupted = 0;
    for round in 0..24 {
        let mut child = child("contention::child_saves", &path).spawn().unwrap();
        let mut until = |is_so: &dyn Fn() -> bool| {
            while !is_so() {
                assert!(child.try_wait().unwrap().is_none(), "it saves without a journal");
            }
        };
        // In the first transaction, the second or the third; and there when its journal is begun, or
        // when the pages are being written.
        for _ in 0..round % 3 {
            until(&|| journal.exists());
            until(&|| !journal.exists());
        }
        until(&|| journal.exists());
        let before = changes(&path);
        if round % 2 == 1 {
            until(&|| changes(&path) != before);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        interrupted += u32::from(journal.exists());
        let store = store(&path).await;
        let mut there = store.load(&account("default")).await.unwrap().unwrap();
        let revision = there.entry.revision;
        assert_eq!(there.sealed, [revision as u8; 20_000]);
        let before = at(&there);
        there.entry.revision += 1;
        there.sealed = vec![there.entry.revision as u8; 20_000];
        done(store.save(&there, before).await);
    }
    assert!(interrupted > 0);
}

/// The counter that each transaction raises with the first page it writes (SQLite's file format,
/// 1.3.8), as it lies in the file.
fn changes(database: &Path) -> [u8; 4] {
    let mut header = [0; 28];
    fs::File::open(database).unwrap().read_exact(&mut header).unwrap();
    header[24..].try_into().unwrap()
}

#[tokio::test]
async fn child_saves() {
    /// Whoever wants to kill it in a save has had the time by then.
    const SAVES: u32 = 10_000;
    let Some(path) = told() else { return };
    let store = store(&path).await;
    let mut there = store.load(&account("default")).await.unwrap().unwrap();
    for _ in 0..SAVES {
        let before = at(&there);
        there.entry.revision += 1;
        there.sealed = vec![there.entry.revision as u8; 20_000];
        done(store.save(&there, before).await);
    }
}
