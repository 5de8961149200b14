//! Nobody else reads it, and what is deleted is gone.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use regrant_core::StoreFault;
use regrant_storage::{BlobStore, Expected, SaveOutcome};

use crate::support::*;

const CANARY: &[u8] = b"canary-canary-canary";

/// Who has no rights that are not given to everybody.
const NOBODY: u32 = 65_534;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Everything in the folder that others have rights to.
fn open_to_others(folder: &Path) -> Vec<PathBuf> {
    let mut open = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return open };
    for path in entries.map(|entry| entry.unwrap().path()) {
        // What was there when the folder was read may be gone.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.permissions().mode() & 0o077 != 0 {
            open.push(path.clone());
        }
        if metadata.is_dir() {
            open.extend(open_to_others(&path));
        }
    }
    open
}

/// Under a wide umask all it makes is the owner's.
#[test]
fn sh_05_file_modes() {
    let folder = folder();
    let path = folder.path().join("made/store");
    let again = child("privacy::child_makes_every_file", &path);
    let mut wide = Command::new("sh");
    wide.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(again.get_program());
    wide.args(again.get_args()).env(CHILD, &path).stdout(std::process::Stdio::null());
    let mut wide = wide.spawn().unwrap();
    // Looks all the time, so that also what is there only for a moment is seen.
    let mut wrong = Vec::new();
    let ended = loop {
        wrong.extend(open_to_others(folder.path()));
        if let Some(ended) = wide.try_wait().unwrap() {
            break ended;
        }
    };
    assert!(ended.success());
    assert_eq!(wrong, [] as [PathBuf; 0]);
    assert_eq!([mode(path.parent().unwrap()), mode(&path)], [0o700; 2]);
    assert!(names(&path).contains(&format!("{DEFAULT}.corrupt-1")));
    assert!(names(&path).iter().all(|name| mode(&path.join(name)) == 0o600));
}

#[tokio::test]
async fn child_makes_every_file() {
    let Some(path) = told() else { return };
    let mut there = with_one(&path, &[1; 100_000]).await;
    let store = store(&path).await;
    for _ in 0..50 {
        let before = at(&there);
        there.entry.revision += 1;
        done(store.save(&there, before).await);
    }
    fs::write(record(&path), "damage").unwrap();
    done(store.replace(&there).await);
}

#[test]
fn sh_05_b_rights_that_others_have_are_taken_away_with_one_warning() {
    let folder = folder();
    let path = inside(&folder);
    // By itself in a process, so that the warnings counted are its own.
    let again = child("privacy::child_counts_the_warnings", &path).status().unwrap();
    assert!(again.success());
}

#[tokio::test]
async fn child_counts_the_warnings() {
    let Some(path) = told() else { return };
    let old = with_one(&path, b"sealed").await;
    let lock = path.join(format!("{DEFAULT}.lock"));
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(record(&path), Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(&lock, Permissions::from_mode(0o666)).unwrap();
    let warnings = Warnings::count();
    let store = store(&path).await;
    for _ in 0..3 {
        assert!(store.load(&account("default")).await.unwrap().is_some());
    }
    assert_eq!([mode(&path), mode(&record(&path))], [0o700, 0o600]);
    done(store.save(&blob("default", 2, b"sealed"), at(&old)).await);
    assert_eq!([mode(&lock), mode(&record(&path))], [0o600; 2]);
    assert_eq!(warnings.counted(), 1);
}

#[test]
fn cp_05_where_nothing_may_be_written_it_reads_and_says_so() {
    let folder = folder();
    let path = inside(&folder);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(with_one(&path, b"sealed"));
    let mut again = child("privacy::child_may_only_read", &path);
    // Rights do not bind the superuser, so the child is nobody.
    if fs::metadata(&path).unwrap().uid() == 0 {
        for path in [folder.path(), &path, &record(&path), &path.join(format!("{DEFAULT}.lock"))] {
            chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        again.uid(NOBODY).gid(NOBODY);
    }
    fs::set_permissions(&path, Permissions::from_mode(0o500)).unwrap();
    let before = names(&path);
    let ended = again.status().unwrap();
    assert!(ended.success());
    assert_eq!(names(&path), before);
    fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
}

#[tokio::test]
async fn child_may_only_read() {
    let Some(path) = told() else { return };
    let here = store(&path).await;
    let there = here.load(&account("default")).await.unwrap().unwrap();
    assert_eq!(here.list().await.unwrap().len(), 1);
    let absent = store(&path.join("absent")).await;
    let errors = [
        here.save(&blob("default", 2, b"new"), at(&there)).await.unwrap_err(),
        here.save(&blob("other", 1, b"new"), Expected::Absent).await.unwrap_err(),
        here.set_aside(&there).await.unwrap_err(),
        absent.save(&there, Expected::Absent).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), StoreFault::ReadOnly, "{error:?}");
        assert_eq!(error.outcome(), SaveOutcome::NotApplied);
    }
    assert_eq!(here.load(&account("default")).await.unwrap(), Some(there));
}

/// As root alone, who may give files away; nobody else can get into the situation.
#[tokio::test]
async fn cp_02_b_what_the_superuser_saves_stays_the_users() {
    let folder = folder();
    let path = inside(&folder);
    let old = with_one(&path, b"sealed").await;
    if fs::metadata(&path).unwrap().uid() != 0 {
        return;
    }
    for path in [path.clone(), record(&path)] {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let store = store(&path).await;
    done(store.save(&blob("default", 2, b"new"), at(&old)).await);
    done(store.save(&blob("other", 1, b"new"), Expected::Absent).await);
    for name in names(&path) {
        let metadata = fs::metadata(path.join(&name)).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (NOBODY, NOBODY), "{name}");
    }
}

/// A record that is a link stays one, and what it leads to is replaced.
#[tokio::test]
async fn cp_02_replace_semantics() {
    let folder = folder();
    let (path, elsewhere) = (inside(&folder), folder.path().join("elsewhere"));
    let old = with_one(&path, b"sealed").await;
    fs::create_dir(&elsewhere).unwrap();
    let target = elsewhere.join("linked");
    fs::rename(record(&path), &target).unwrap();
    std::os::unix::fs::symlink("../elsewhere/linked", record(&path)).unwrap();
    let here = store(&path).await;
    assert_eq!(here.load(&account("default")).await.unwrap().as_ref(), Some(&old));
    let new = blob("default", 2, b"new");
    fs::write(elsewhere.join(format!("{DEFAULT}.absent.0.claim")), "left").unwrap();
    done(here.save(&new, at(&old)).await);
    assert!(fs::symlink_metadata(record(&path)).unwrap().is_symlink());
    assert!(fs::symlink_metadata(&target).unwrap().is_file());
    assert_eq!(here.load(&account("default")).await.unwrap().as_ref(), Some(&new));
    assert_eq!(here.list().await.unwrap(), std::slice::from_ref(&new.entry));

    // Damage is set aside where people look for it, and a logout reaches both folders.
    fs::write(&target, "damage").unwrap();
    done(here.replace(&new).await);
    let copy = path.join(format!("{DEFAULT}.corrupt-1"));
    assert_eq!(fs::read(&copy).unwrap(), b"damage");
    done(here.save(&tombstone(&new), at(&new)).await);
    assert!(!copy.exists());
    assert_eq!(names(&elsewhere), ["linked"]);

    // Where it leads is away, and that is not absence.
    fs::rename(&elsewhere, folder.path().join("away")).unwrap();
    for error in [
        here.load(&account("default")).await.unwrap_err(),
        here.list().await.unwrap_err(),
        here.save(&new, Expected::Absent).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreFault::Unavailable, "{error:?}");
    }
    assert!(fs::symlink_metadata(record(&path)).unwrap().is_symlink());
}

fn holds(folder: &Path, canary: &[u8]) -> bool {
    names(folder).iter().any(|name| {
        let bytes = fs::read(folder.join(name)).unwrap();
        bytes.windows(canary.len()).any(|window| window == canary)
    })
}

/// After a logout no token is left, not even by a save that was killed.
///
/// A process is killed in each of the steps of a save; then the user logs out.
#[cfg(target_os = "linux")]
#[test]
fn sh_04_remnants_after_delete() {
    if !crate::trace::is_there() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut left = Vec::new();
    for call in ["write", "fsync", "linkat", "rename", "unlink"] {
        let folder = folder();
        let path = inside(&folder);
        runtime.block_on(with_one(&path, b"sealed"));
        // By the fifth save of a thread; the thread of the test itself makes fewer calls.
        let fault = format!("inject={call}:signal=KILL:when=10");
        let test = ["--exact", "privacy::child_saves_canaries"];
        let options = ["-o", "/dev/null", "-e", &fault];
        let status = crate::trace::strace(options, &test, "", &path).status().unwrap();
        assert!(!status.success(), "{call} killed nobody");
        assert!(holds(&path, CANARY));
        left.push(unfinished(&path).len());
        runtime.block_on(async {
            let store = store(&path).await;
            let there = store.load(&account("default")).await.unwrap().unwrap();
            store.set_aside(&there).await.unwrap();
            let mut last = there.clone();
            last.entry.revision += 1;
            last.sealed = b"no token".to_vec();
            done(store.save(&last, at(&there)).await);
            done(store.save(&tombstone(&last), at(&last)).await);
        });
        assert!(!holds(&path, CANARY), "{call}: {:?}", names(&path));
        assert_eq!(unfinished(&path), [] as [&str; 0]);
    }
    // Or else the kills have missed the saves.
    assert!(left.iter().sum::<usize>() >= 4, "{left:?}");
}

#[test]
fn child_saves_canaries() {
    alone(saves_canaries());
}

async fn saves_canaries() {
    let Some(path) = told() else { return };
    let store = store(&path).await;
    let mut there = store.load(&account("default")).await.unwrap().unwrap();
    loop {
        let before = at(&there);
        there.entry.revision += 1;
        there.sealed = CANARY.to_vec();
        done(store.save(&there, before).await);
    }
}
