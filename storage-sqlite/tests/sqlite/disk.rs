//! A disk that is full, that does not read, that does not lock: each is told from the others, and
//! none is taken for damage.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::slice;

use regrant_storage::{BlobStore, Expected};

use crate::child::{disturbed, doing, every_file, said, strace_is_there};
use crate::support::*;

/// The database with one record, closed, in a folder of its own.
async fn made(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name).join("regrant.db");
    with_one(&path, b"sealed").await;
    path
}

/// What it says under this disturbance of all files that are ever there.
fn said_under(how: &str, does: &str, path: &Path) -> String {
    let said = said(&mut disturbed(&doing(does, path), &every_file(path), how));
    said.unwrap_or_else(|| panic!("{does} under {how} has said nothing"))
}

/// The record is what it was, or what was saved if nobody knows; and all is well again.
async fn assert_well(path: &Path, said: &str) {
    let there = store(path).await.load(&account("default")).await.unwrap().unwrap();
    match there.entry.revision {
        1 => assert_eq!(there.sealed, b"sealed", "{said}"),
        revision => assert!(revision == 2 && said.contains("Unknown"), "{said}: {revision}"),
    }
    assert_eq!(super::child::said(&mut doing("login", path)).unwrap(), "done");
    assert_eq!(names(path.parent().unwrap()), ["regrant.db", "regrant.db.locks"], "{said}");
    assert_eq!(names(&path.with_file_name("regrant.db.locks")), ["create.lock"], "{said}");
}

#[tokio::test]
async fn cp_01_c_a_save_on_a_disk_that_stays_full_is_full() {
    if !strace_is_there("a full disk") {
        return;
    }
    let folder = folder();
    for (calls, outcome) in [
        ("pwrite64,write", "NotApplied"),
        // Where a file system finds out late, SQLite does not say what it was.
        ("fsync,fdatasync", "Unknown"),
        ("openat", "NotApplied"),
    ] {
        for error in ["ENOSPC", "EDQUOT"] {
            // Only what is new needs room: the database itself can be opened.
            let how = format!("{calls}:error={error}");
            let path = made(folder.path(), &how).await;
            let mut files = every_file(&path);
            if calls == "openat" {
                files.retain(|file| *file != path && *file != *path.parent().unwrap());
            }
            let said = said(&mut disturbed(&doing("login", &path), &files, &how)).unwrap();
            let outcome =
                if error == "EDQUOT" && calls.contains("write") { "Unknown" } else { outcome };
            assert!(
                said.starts_with(&format!("store_full {outcome}: there is no room")),
                "{how}: {said}"
            );
            assert_well(&path, &said).await;
        }
    }
}

#[tokio::test]
async fn a_first_save_on_a_full_disk_is_full_and_leaves_no_database() {
    if !strace_is_there("a full disk") {
        return;
    }
    let folder = folder();
    for calls in ["pwrite64,write", "fsync,fdatasync", "openat", "mkdir,mkdirat"] {
        let how = format!("{calls}:error=ENOSPC");
        let path = folder.path().join(calls).join("regrant.db");
        if calls != "mkdir,mkdirat" {
            fs::create_dir(path.parent().unwrap()).unwrap();
        }
        let answer = said_under(&how, "login", &path);
        assert!(answer.starts_with("store_full NotApplied: "), "{how}: {answer}");
        assert!(!path.exists(), "{how}");
        assert_eq!(said(&mut doing("login", &path)).unwrap(), "done");
        assert_eq!(names(path.parent().unwrap()), ["regrant.db", "regrant.db.locks"], "{how}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_limit_on_the_length_of_files_is_no_room() {
    let folder = folder();
    let path = made(folder.path(), "limited").await;
    let login = doing("login", &path);
    // 32 blocks of 512 bytes, or of 1,024: the database has 16 KiB, and 36 with the login.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 32; exec \"$0\" \"$@\""]);
    limited.arg(login.get_program()).args(login.get_args());
    for (name, value) in login.get_envs() {
        limited.env(name, value.unwrap());
    }
    let said = said(&mut limited).unwrap();
    assert!(said.starts_with("store_full "), "{said}");
    assert_well(&path, &said).await;
}

/// SQLite itself says *damaged* of a page that the disk does not read.
#[tokio::test]
async fn what_the_disk_does_not_read_is_unavailable_and_not_damaged() {
    if !strace_is_there("a disk that does not read") {
        return;
    }
    let folder = folder();
    let path = made(folder.path(), "unread").await;
    for name in ["a", "b", "c"] {
        let blob = blob(name, 1, &[1; 20_000]);
        done(store(&path).await.save(&blob, Expected::Absent).await);
    }
    for does in ["load", "list", "login", "login over damage"] {
        let whole = fs::read(&path).unwrap();
        let always = said_under("pread64:error=EIO", does, &path);
        assert!(always.starts_with("store_unavailable NotApplied: "), "{does}: {always}");
        // From each of its reads on, and each alone.
        for nth in 1.. {
            let answer = said_under(&format!("pread64:error=EIO:when={nth}+"), does, &path);
            if !answer.starts_with("store_unavailable ") {
                assert!(["1", "4", "done", "mismatch"].contains(&answer.as_str()), "{answer}");
                assert!(nth > 3, "{does}: the reads were not reached");
                break;
            }
        }
        let is_changed = fs::read(&path).unwrap() != whole;
        assert_eq!(is_changed, does == "login", "{does}");
        for nth in 1..12 {
            let how = format!("pread64:error=EIO:when={nth}");
            let answer = said_under(&how, does, &path);
            assert!(!answer.contains("corrupt"), "{does}, {how}: {answer}");
        }
    }
    // Far behind what the second look reads, so that it meets no failure.
    let once = said_under("pread64:error=EIO:when=50", "load often", &path);
    assert!(once.starts_with("store_unavailable NotApplied: "), "{once}");
    assert_eq!(names(path.parent().unwrap()), ["regrant.db", "regrant.db.locks"]);
}

#[tokio::test]
async fn a_journal_that_the_disk_does_not_read_is_unavailable_and_played_back_later() {
    if !strace_is_there("a disk that does not read") {
        return;
    }
    let folder = folder();
    let path = made(folder.path(), "interrupted").await;
    let journal = PathBuf::from(format!("{}-journal", path.display()));
    // Its second write to the database, when the journal is whole.
    let kill =
        disturbed(&doing("login", &path), slice::from_ref(&path), "pwrite64:signal=KILL:when=2")
            .status();
    kill.unwrap();
    assert!(journal.exists());
    for does in ["load", "login over damage"] {
        let how = "pread64:error=EIO";
        let said =
            said(&mut disturbed(&doing(does, &path), slice::from_ref(&journal), how)).unwrap();
        assert!(said.starts_with("store_unavailable "), "{does}: {said}");
        assert!(journal.exists());
    }
    assert_well(&path, "NotApplied").await;
}

#[tokio::test]
async fn sk_07_b_a_file_system_without_locks_is_told_from_a_lock() {
    if !strace_is_there("a file system without locks") {
        return;
    }
    let folder = folder();
    // Side by side, for SQLite waits for ENOLCK to pass as for a lock.
    let mut asked = Vec::new();
    for error in ["ENOLCK", "EOPNOTSUPP", "EINVAL"] {
        for does in ["load", "list", "login", "login over damage", "first login"] {
            let path = made(folder.path(), &format!("{error} {does}")).await;
            let does = does.strip_prefix("first ").map_or(does, |login| {
                fs::remove_file(&path).unwrap();
                login
            });
            let how = format!("fcntl:error={error}");
            let mut command = disturbed(&doing(does, &path), &every_file(&path), &how);
            asked.push((how, path, std::thread::spawn(move || said(&mut command))));
        }
    }
    for (how, path, asked) in asked {
        let said = asked.join().unwrap().unwrap();
        let expected = "store_unavailable NotApplied: the file system cannot lock";
        assert!(said.starts_with(expected), "{how}, {}: {said}", path.display());
        let left = names(path.parent().unwrap());
        assert!(left.iter().all(|name| !name.contains("corrupt")), "{left:?}");
    }
}
