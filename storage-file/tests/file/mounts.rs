//! Mounts that do not lock as they should, or give no file two names. strace plays them: it
//! answers a system call without doing it.

use std::path::Path;
use std::process::{Command, Stdio};

use regrant_core::StoreFault;
use regrant_storage::{BlobStore, Expected, SaveOutcome};

use crate::faults::{self, Report};
use crate::support::*;
use crate::trace;

/// Every try for a lock succeeds, whoever else has it.
const GRANTED_TO_ALL: &str = "inject=flock:retval=0";

/// There are no locks at all.
const NO_LOCKS: &str = "inject=flock:error=ENOLCK";

/// FAT gives a file one name.
const NO_LINKS: &str = "inject=link,linkat:error=EPERM";

/// Runs the laws whose names contain this, on a mount like that.
fn laws_hold_on(mount: &[&str], laws: &str) {
    if !trace::is_there() {
        return;
    }
    let mut options = vec!["-o", "/dev/null", "-e", "trace=flock,link,linkat,rename"];
    options.extend(mount.iter().flat_map(|option| ["-e", option]));
    let folder = folder();
    let mut again = trace::strace(options, &[laws], "", folder.path());
    // It is no child that is told what to do, but the test binary as people start it.
    again.env_remove(CHILD).env_remove(WHAT).stdout(Stdio::piped());
    let output = again.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    let passed = said.lines().filter(|line| line.ends_with("... ok")).count();
    assert!(passed > 0, "no law was run: {said}");
}

#[test]
fn all_laws_hold_where_a_lock_is_granted_to_all_who_ask() {
    laws_hold_on(&[GRANTED_TO_ALL], "laws::blob_store::");
}

#[test]
fn a_crowd_loses_nothing_where_there_are_no_locks() {
    laws_hold_on(&[NO_LOCKS], "laws::blob_store::concurrent_savers_lose_nothing");
    laws_hold_on(&[NO_LOCKS], "laws::processes::of_fifty_processes_that_create_one_name_one_wins");
}

/// Between the claim and the rename lies what the claims protect. Here all are slow in there, and
/// some stop for longer than anybody waits for them.
#[test]
fn savers_without_locks_that_stop_in_mid_save_lose_nothing() {
    let slow = ["inject=rename:delay_enter=3ms", "inject=linkat:delay_exit=60ms:when=3+15"];
    laws_hold_on(&[&[GRANTED_TO_ALL], &slow[..]].concat(), "concurrent_savers_lose_nothing");
}

#[test]
fn all_laws_hold_where_files_have_one_name_and_locks_work() {
    laws_hold_on(&[NO_LINKS], "laws::blob_store::");
}

#[test]
fn a_mount_with_neither_links_nor_locks_that_exclude_is_refused() {
    for locks in [GRANTED_TO_ALL, NO_LOCKS] {
        let Some(report) = report(&[NO_LINKS, locks]) else { return };
        assert_eq!(report.error, Some((StoreFault::Unavailable, SaveOutcome::NotApplied)));
        assert!(report.text.contains("neither hard links nor locks"), "{report:?}");
    }
}

#[test]
fn that_there_are_no_locks_is_said_once() {
    if !trace::is_there() {
        return;
    }
    let folder = folder();
    let inject = ["-o", "/dev/null", "-e", NO_LOCKS];
    let test = ["--exact", "mounts::child_is_warned_once"];
    let child = trace::strace(inject, &test, "", &inside(&folder)).status().unwrap();
    assert!(child.success());
}

#[tokio::test]
async fn child_is_warned_once() {
    let Some(path) = told() else { return };
    let warnings = Warnings::count();
    let store = store(&path).await;
    for name in ["one", "other", "third"] {
        done(store.save(&blob(name, 1, b"sealed"), Expected::Absent).await);
    }
    assert_eq!(warnings.counted(), 1);
}

/// A lock that cannot be had for another reason is not one that is not there.
#[test]
fn a_lock_that_fails_is_an_error() {
    let Some(report) = report(&["inject=flock:error=EIO"]) else { return };
    assert_eq!(report.error, Some((StoreFault::Unavailable, SaveOutcome::NotApplied)));
}

fn report(mount: &[&str]) -> Option<Report> {
    faults::report(mount, async |path: &Path| drop(with_one(path, b"old").await))
}

/// The file of a record is a mount of its own, as containers like to have it: it cannot be
/// replaced, and it is not written into either, since a crash would leave half of it.
#[test]
fn cp_02_d_a_record_that_is_a_mount_of_its_own_is_told_and_kept() {
    // As root a mount needs a name space of its own alone; another user gets one to be root in.
    let is_root = rustix::process::geteuid().is_root();
    let unshare: &[&str] = if is_root { &["--mount"] } else { &["--map-root-user", "--mount"] };
    let mounts = ["mount", "-t", "tmpfs", "tmpfs", "/mnt"];
    let tried = Command::new("unshare").args(unshare).args(mounts).stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        trace::left_out("a record that is a mount takes `unshare` and the right to mount");
        return;
    }
    let folder = folder();
    let path = inside(&folder);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(with_one(&path, b"sealed"));
    let elsewhere = folder.path().join("elsewhere");
    std::fs::copy(record(&path), &elsewhere).unwrap();
    let again = child("mounts::child_cannot_replace", &path);
    let mut mounted = Command::new("unshare");
    mounted.args(unshare).args([
        "sh",
        "-c",
        "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"",
    ]);
    mounted.arg("sh").args([&elsewhere, &record(&path)]);
    mounted.arg(again.get_program()).args(again.get_args()).env(CHILD, &path);
    assert!(mounted.stdout(Stdio::null()).status().unwrap().success());
    assert_eq!(std::fs::read(&elsewhere).unwrap(), std::fs::read(record(&path)).unwrap());
}

#[tokio::test]
async fn child_cannot_replace() {
    let Some(path) = told() else { return };
    let here = store(&path).await;
    let there = here.load(&account("default")).await.unwrap().unwrap();
    let error = here.save(&blob("default", 2, b"new"), at(&there)).await.unwrap_err();
    assert_eq!(error.kind(), StoreFault::Unavailable, "{error:?}");
    assert_eq!(error.outcome(), SaveOutcome::NotApplied);
    assert!(error.to_string().contains("mount its folder instead"), "{error}");
    assert_eq!(here.load(&account("default")).await.unwrap(), Some(there));
    assert!(unfinished(&path).iter().all(|name| name.ends_with(".claim")));
}
