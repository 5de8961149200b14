//! What is deleted is gone from every file.

use std::fs;
use std::path::{Path, PathBuf};

use regrant_storage::{BlobStore, Expected};

use crate::child::{TOKEN, disturbed, doing, said, strace_is_there};
use crate::support::*;

/// What was replaced is not in the file any more.
#[tokio::test]
async fn sh_04_remnants_after_delete() {
    const CANARY: &[u8] = b"canary-canary-canary";
    let folder = folder();
    let path = database(&folder);
    let store = store(&path).await;
    // In its row, and over several pages.
    for (name, times) in [("short", 1), ("long", 1000)] {
        let first = blob(name, 1, &CANARY.repeat(times));
        done(store.save(&first, Expected::Absent).await);
        assert!(holds(folder.path(), CANARY));
        let mut next = blob(name, 2, b"another");
        done(store.save(&next, at(&first)).await);
        assert!(!holds(folder.path(), CANARY), "{name}");

        store.set_aside(&first).await.unwrap();
        assert!(holds(folder.path(), CANARY));
        let before = at(&next);
        next.entry.revision += 1;
        next.entry.live = false;
        next.sealed.clear();
        done(store.save(&next, before).await);
        assert!(!holds(folder.path(), CANARY), "{name}");
        assert!(!holds(folder.path(), b"another"), "{name}");
    }
}

/// Whether any file in the folder, or in one below it, has these bytes.
fn holds(folder: &Path, canary: &[u8]) -> bool {
    let mut entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.any(|path| {
        if path.is_dir() {
            return holds(&path, canary);
        }
        let bytes = fs::read(path).unwrap();
        bytes.windows(canary.len()).any(|window| window == canary)
    })
}

/// A killed save may have filled pages that were free before, and no journal has those.
#[tokio::test]
async fn sh_04_b_what_a_killed_save_has_written_goes_with_the_next_logout() {
    if !strace_is_there("a kill in the middle of a save") {
        return;
    }
    const BEFORE: &[u8] = b"token-of-before ";
    let folder = folder();
    let (mut kills, mut left) = (0, 0);
    for (does, file, call) in [
        ("login", "", "pwrite64"),
        ("login", "", "fsync,fdatasync"),
        ("login", "-journal", "openat"),
        ("login", "-journal", "pwrite64"),
        ("login", "-journal", "fsync,fdatasync"),
        ("login", "-journal", "unlink"),
        ("logout", "", "pwrite64"),
        ("logout", "-journal", "fsync,fdatasync"),
        ("logout", "-journal", "unlink"),
    ] {
        for nth in 1.. {
            let path = folder.path().join(format!("{does}{call}{file}{nth}/regrant.db"));
            let database = path.parent().unwrap();
            let mut there = with_one(&path, &BEFORE.repeat(2_000)).await;
            // Of two accounts one is logged out, so that pages are free.
            let store = store(&path).await;
            done(store.save(&blob("other", 1, &BEFORE.repeat(2_000)), Expected::Absent).await);
            let before = at(&there);
            there.entry.revision += 1;
            there.entry.live = nth % 2 == 0;
            there.sealed.clear();
            done(store.save(&there, before).await);
            drop(store);
            if does == "logout" {
                assert_eq!(said(&mut doing("login", &path)).unwrap(), "done");
            }

            let file = PathBuf::from(format!("{}{file}", path.display()));
            let how = format!("{call}:signal=KILL:when={nth}");
            let ended = said(&mut disturbed(&doing(does, &path), &[file], &how));
            left += usize::from(holds(database, TOKEN));
            assert_eq!(said(&mut doing("logout", &path)).unwrap(), "done");
            assert!(!holds(database, TOKEN), "{how}");
            assert_eq!(names(database), ["regrant.db", "regrant.db.locks"], "{how}");
            fs::remove_dir_all(database).unwrap();
            if ended.is_some() {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills >= 25 && left >= 15, "{kills} kills, {left} of them left something");
}
