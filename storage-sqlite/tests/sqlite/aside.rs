//! What is set aside is whole, stays as long as somebody may need it, and no longer.

use std::fs;
use std::path::{Path, PathBuf};

use regrant_storage::{BlobStore, Expected};

use crate::child::{disturbed, doing, every_file, said, strace_is_there};
use crate::support::*;

/// The folder of a database that was damaged and replaced by a login, with the draft of a creator
/// that died in it and with files that are somebody's own.
async fn replaced(folder: &Path) -> PathBuf {
    let path = folder.join("regrant.db");
    let beside = |end: &str| PathBuf::from(format!("{}{end}", path.display()));
    for damage in ["damage", "more damage"] {
        fs::write(&path, damage).unwrap();
        fs::write(beside("-journal"), "of the damaged one").unwrap();
        done(store(&path).await.replace(&blob("default", 1, b"a new login")).await);
    }
    fs::write(beside(".regrant-new"), "half a draft").unwrap();
    fs::write(beside(".corrupt-1.mine"), "not ours").unwrap();
    path
}

async fn log_out(path: &Path, name: &str) {
    let store = store(path).await;
    let mut there = store.load(&account(name)).await.unwrap().unwrap();
    let before = at(&there);
    there.entry.revision += 1;
    there.entry.live = false;
    there.sealed.clear();
    done(store.save(&there, before).await);
}

#[tokio::test]
async fn the_logout_of_the_last_account_takes_along_what_was_set_aside() {
    let folder = folder();
    let path = replaced(folder.path()).await;
    done(store(&path).await.save(&blob("other", 1, b"sealed"), Expected::Absent).await);
    let all = names(folder.path());
    assert_eq!(all.iter().filter(|name| name.contains("corrupt-")).count(), 5);

    // Something of the other one may be in there.
    log_out(&path, "default").await;
    assert_eq!(names(folder.path()), all);
    log_out(&path, "other").await;
    let left = ["regrant.db", "regrant.db.corrupt-1.mine", "regrant.db.locks"];
    assert_eq!(names(folder.path()), left);
    assert_eq!(store(&path).await.list().await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_logout_over_damage_keeps_the_copy_until_the_next_one() {
    let folder = folder();
    let path = replaced(folder.path()).await;
    fs::write(&path, "damage of three accounts").unwrap();
    let mut logout = blob("default", 1, b"");
    logout.entry.live = false;
    done(store(&path).await.replace(&logout).await);
    let copy = folder.path().join("regrant.db.corrupt-3");
    assert_eq!(fs::read(&copy).unwrap(), b"damage of three accounts");
    log_out(&path, "default").await;
    assert!(!copy.exists());
}

#[cfg(unix)]
#[tokio::test]
async fn a_logout_is_done_also_where_nothing_can_be_swept() {
    let folder = folder();
    let path = replaced(folder.path()).await;
    let stuck = folder.path().join("regrant.db.corrupt-3");
    fs::create_dir(&stuck).unwrap();
    log_out(&path, "default").await;
    assert!(stuck.exists());
    assert!(!store(&path).await.load(&account("default")).await.unwrap().unwrap().entry.live);
}

/// A link to the database stays one.
#[cfg(unix)]
#[tokio::test]
async fn cp_02_replace_semantics() {
    let folder = folder();
    let real = folder.path().join("real/regrant.db");
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink("real/regrant.db", &link).unwrap();
    with_one(&link, b"sealed").await;
    fs::write(&real, "damage").unwrap();
    done(store(&link).await.replace(&blob("default", 1, b"a new login")).await);
    log_out(&link, "default").await;
    assert_eq!(fs::read_link(&link).unwrap(), Path::new("real/regrant.db"));
    assert!(fs::symlink_metadata(&real).unwrap().is_file());
    assert_eq!(names(folder.path()), ["link.db", "real"]);
}

/// A process that is killed while it replaces a damaged database leaves the damage or the login,
/// and the next login leaves one copy, whole.
#[tokio::test]
async fn a_kill_in_the_middle_of_a_login_over_damage_loses_no_copy() {
    if !strace_is_there("a kill in the middle of a login over damage") {
        return;
    }
    let folder = folder();
    let damage = b"damage".repeat(1_000);
    let (mut kills, mut in_between) = (0, 0);
    let calls = [
        "mkdir",
        "openat",
        "pwrite64",
        "fsync,fdatasync",
        "link,linkat",
        "rename,renameat,renameat2",
        "unlink",
    ];
    for calls in calls {
        for nth in 1.. {
            let path = folder.path().join(format!("{calls}{nth}/regrant.db"));
            let copy = PathBuf::from(format!("{}.corrupt-1", path.display()));
            fs::create_dir(path.parent().unwrap()).unwrap();
            fs::write(&path, &damage).unwrap();
            let how = format!("{calls}:signal=KILL:when={nth}");
            let login = doing("login over damage", &path);
            if said(&mut disturbed(&login, &every_file(&path), &how)).is_some() {
                break;
            }
            kills += 1;
            if store(&path).await.load(&account("default")).await.is_err() {
                in_between += usize::from(copy.exists());
                assert!(fs::read(&path).unwrap() == damage, "{how}");
                done(store(&path).await.replace(&blob("default", 1, b"a new login")).await);
            }
            assert!(fs::read(copy).unwrap() == damage, "{how}");
            let left = names(path.parent().unwrap());
            assert_eq!(left, ["regrant.db", "regrant.db.corrupt-1", "regrant.db.locks"], "{how}");
        }
    }
    assert!(kills > 20 && in_between > 0, "{kills} kills, {in_between} between copy and login");
}
