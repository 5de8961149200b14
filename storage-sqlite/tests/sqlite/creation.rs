//! How a database comes to be.

use std::path::{Path, PathBuf};

use crate::support::*;
use regrant_core::{Id, StoreFault, Timestamp};
use regrant_storage::{Blob, BlobStore, Entry, Expected, Name, SaveOutcome, Saved};
use tokio::task::JoinSet;

#[tokio::test]
async fn a_missing_database_reads_as_absent_and_reading_leaves_nothing_behind() {
    let folder = folder();
    let path = folder.path().join("not/there/yet/regrant.db");
    let store = store(&path).await;
    assert_eq!(store.load(&account("default")).await.unwrap(), None);
    assert_eq!(store.load(&Name::DataKey).await.unwrap(), None);
    assert_eq!(store.list().await.unwrap(), []);
    let blob = blob("default", 2, b"sealed");
    assert_eq!(mismatch(store.save(&blob, at(&blob)).await), None);
    assert_eq!(mismatch(store.replace(&blob).await), None);
    assert_eq!(store.set_aside(&blob).await.unwrap_err().kind(), StoreFault::Unavailable);
    assert_eq!(names(folder.path()), [] as [&str; 0]);
}

#[tokio::test]
async fn the_first_save_makes_the_database_and_its_folders() {
    let folder = folder();
    let path = folder.path().join("not/there/yet/regrant.db");
    let store = store(&path).await;
    let blob = blob("default", 1, b"sealed");
    done(store.save(&blob, Expected::Absent).await);
    assert_eq!(store.load(&account("default")).await.unwrap(), Some(blob));
    assert_eq!(names(path.parent().unwrap()), ["regrant.db", "regrant.db.locks"]);
    assert_eq!(names(&store.lock_folder()), ["create.lock"]);
    let lock = store.lock_folder().join("create.lock");
    assert_eq!(std::fs::metadata(lock).unwrap().len(), 0);
}

#[tokio::test]
async fn every_name_and_every_number_comes_back_as_it_was() {
    let folder = folder();
    let store = store(&database(&folder)).await;
    let names = ["", "default", "Default", "default ", "ä", "a\u{308}", "a\0b", "'; DROP", "../x"];
    let names = names.map(account).into_iter().chain([Name::DataKey]);
    let blobs: Vec<Blob> = names
        .enumerate()
        .map(|(n, name)| Blob {
            entry: Entry {
                name,
                incarnation: Id([n as u8; 16]),
                generation: u64::MAX,
                revision: u64::MAX - n as u64,
                due_at: [None, Some(Timestamp::NEVER), Some(Timestamp::EPOCH)][n % 3],
                live: n % 2 == 0,
            },
            sealed: vec![0; n * 1000],
        })
        .collect();
    for blob in &blobs {
        done(store.save(blob, Expected::Absent).await);
    }
    for blob in &blobs {
        assert_eq!(store.load(&blob.entry.name).await.unwrap().as_ref(), Some(blob));
        done(store.save(blob, at(blob)).await);
    }
    let mut accounts: Vec<_> = blobs.into_iter().map(|blob| blob.entry).collect();
    accounts.retain(|entry| entry.name != Name::DataKey);
    accounts.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(store.list().await.unwrap(), accounts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_fifty_first_saves_in_one_process_one_is_done() {
    let folder = folder();
    let path = database(&folder);
    let mut saves = JoinSet::new();
    for n in 0..50u8 {
        let path = path.clone();
        saves.spawn(async move {
            let store = store(&path).await;
            (n, store.save(&blob("default", 1, &[n]), Expected::Absent).await.unwrap())
        });
    }
    let ended = saves.join_all().await;
    let found = store(&path).await.load(&account("default")).await.unwrap().unwrap();
    for (n, saved) in ended {
        match saved {
            Saved::Done => assert_eq!(found.sealed, [n]),
            Saved::Mismatch(there) => assert_eq!(there.as_ref(), Some(&found)),
        }
    }
    assert_eq!(names(folder.path()), ["regrant.db", "regrant.db.locks"]);
}

#[tokio::test]
async fn of_fifty_processes_that_create_it_each_saves_its_own() {
    let folder = folder();
    let path = database(&folder);
    let mut children: Vec<_> = (0..50)
        .map(|_| child("creation::child_saves_one_of_its_own", &path).spawn().unwrap())
        .collect();
    let mut pids: Vec<_> = children.iter().map(|child| child.id().to_string()).collect();
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    pids.sort();
    let listed = store(&path).await.list().await.unwrap();
    assert_eq!(listed.into_iter().map(|entry| entry.name).collect::<Vec<_>>(), {
        pids.iter().map(|pid| account(pid)).collect::<Vec<_>>()
    });
    assert_eq!(names(folder.path()), ["regrant.db", "regrant.db.locks"]);
}

#[tokio::test]
async fn child_saves_one_of_its_own() {
    let Some(path) = told() else { return };
    let blob = blob(&std::process::id().to_string(), 1, b"sealed");
    done(store(&path).await.save(&blob, Expected::Absent).await);
}

#[tokio::test]
async fn a_process_killed_while_it_creates_stops_nobody() {
    let folder = folder();
    for kill in 0..60 {
        let path = folder.path().join(format!("{kill}.db"));
        let mut child = child("creation::child_saves_one_of_its_own", &path).spawn().unwrap();
        // Kills spread over what a creation leaves in the folder, and a bit beyond.
        let seen = ["", ".locks", ".locks/create.lock", ".regrant-new"][kill % 4];
        let seen = PathBuf::from(format!("{}{seen}", path.display()));
        while !seen.exists() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        for _ in 0..(kill / 4) * 20 {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();

        let store = store(&path).await;
        let blob = blob("after", 1, b"sealed");
        done(store.save(&blob, Expected::Absent).await);
        assert_eq!(store.load(&account("after")).await.unwrap(), Some(blob));
        assert!(store.list().await.unwrap().len() <= 2);
        assert!(!PathBuf::from(format!("{}.regrant-new", path.display())).exists());
    }
}

#[tokio::test]
async fn a_draft_that_was_left_is_swept_and_a_journal_without_database_is_set_aside() {
    let folder = folder();
    let path = database(&folder);
    let left = |end: &str| PathBuf::from(format!("{}{end}", path.display()));
    std::fs::write(left(".regrant-new"), "half a draft").unwrap();
    std::fs::write(left("-journal"), "of a database that is gone").unwrap();
    with_one(&path, b"sealed").await;
    assert_eq!(
        names(folder.path()),
        ["regrant.db", "regrant.db.corrupt-1-journal", "regrant.db.locks"]
    );
}

#[cfg(unix)]
#[tokio::test]
async fn every_path_to_it_is_the_same_place() {
    let folder = folder();
    let real = folder.path().canonicalize().unwrap().join("real");
    std::fs::create_dir(&real).unwrap();
    let link = |to: &Path, name: &str| {
        let link = folder.path().join(name);
        std::os::unix::fs::symlink(to, &link).unwrap();
        link
    };
    let to_folder = link(Path::new("real"), "folder").join("regrant.db");
    // It leads nowhere as long as there is no database.
    let to_file = link(Path::new("real/regrant.db"), "file");
    let to_link = link(&to_file, "link");
    let paths = [real.join("regrant.db"), to_folder, to_file.clone(), to_link];
    let identity = format!("sqlite:{}", real.join("regrant.db").display());
    for path in &paths {
        assert_eq!(store(path).await.capabilities().identity, identity);
    }
    with_one(&to_file, b"sealed").await;
    assert_eq!(names(&real), ["regrant.db", "regrant.db.locks"]);
    for path in &paths {
        let store = store(path).await;
        assert_eq!(store.capabilities().identity, identity);
        assert_eq!(store.lock_folder(), real.join("regrant.db.locks"));
        assert!(store.load(&account("default")).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_folder_in_its_place_is_not_damage() {
    let folder = folder();
    let path = database(&folder);
    std::fs::create_dir(&path).unwrap();
    let store = store(&path).await;
    let error = store.save(&blob("default", 1, b"sealed"), Expected::Absent).await.unwrap_err();
    assert_eq!(error.kind(), StoreFault::Unavailable);
    assert_eq!(error.outcome(), SaveOutcome::NotApplied);
}
