//! Nobody but the owner may open what it makes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use regrant_core::StoreFault;
use regrant_storage::{BlobStore, Expected, SaveOutcome};
use sqlx::Connection;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata};

use crate::child::{strace_is_there, under_strace};
use crate::support::*;

/// Counts the warnings of this thread.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicU32>);

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Everything in the folder that others have rights to.
fn open_to_others(folder: &Path) -> Vec<PathBuf> {
    let mut open = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
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
    let path = folder.path().join("made/regrant.db");
    let mut wide = wide(&child("modes::child_makes_every_file", &path)).spawn().unwrap();
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
    assert_eq!(mode(path.parent().unwrap()), 0o700);
    assert_eq!(mode(&path), 0o600);
    assert!(names(path.parent().unwrap()).contains(&"regrant.db.corrupt-1".to_owned()));
}

#[test]
fn sh_05_b_under_a_wide_umask_each_is_made_so_by_its_first_system_call() {
    if !strace_is_there("the modes of system calls") {
        return;
    }
    let folder = folder();
    let path = folder.path().join("made/regrant.db");
    let log = folder.path().join("calls");
    let child = child("modes::child_makes_every_file", &path);
    let mut arguments = vec!["-o".into(), log.clone().into(), "-e".into()];
    arguments.push("trace=?open,openat,?creat,?mkdir,mkdirat,?mknod,mknodat".into());
    let traced = under_strace(&child, &arguments);
    assert!(wide(&traced).status().unwrap().success());

    let log = fs::read_to_string(log).unwrap();
    let makes = |line: &&str| {
        line.contains("/made") && (line.contains("O_CREAT") || line.contains("mkdir"))
    };
    let made: Vec<_> = log.lines().filter(makes).collect();
    for name in ["/made\"", ".locks\"", "create.lock\"", ".regrant-new\"", "-journal\""] {
        assert!(made.iter().any(|line| line.contains(name)), "{name} was not made: {log}");
    }
    for line in made {
        let mode = if line.contains("mkdir") { ", 0700" } else { ", 0600" };
        assert!(line.contains(mode), "{line}");
    }
}

/// The command under a umask that takes nothing away.
fn wide(command: &Command) -> Command {
    let mut wide = Command::new("sh");
    wide.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(command.get_program());
    wide.args(command.get_args()).stdout(std::process::Stdio::null());
    wide.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    wide
}

#[tokio::test]
async fn child_makes_every_file() {
    let Some(path) = told() else { return };
    let mut there = with_one(&path, b"sealed").await;
    let store = store(&path).await;
    let before = at(&there);
    there.entry.revision += 1;

    // While somebody reads, the save stops between writing its journal and its commit.
    let mut reader = raw(&path).await;
    let mut reading = reader.begin().await.unwrap();
    sqlx::query("SELECT count(*) FROM credential").fetch_one(&mut *reading).await.unwrap();
    let journal = PathBuf::from(format!("{}-journal", path.display()));
    let save = tokio::spawn(async move { store.save(&there, before).await });
    while !journal.exists() {
        assert!(!save.is_finished());
        tokio::task::yield_now().await;
    }
    assert_eq!(mode(&journal), 0o600);
    reading.rollback().await.unwrap();
    done(save.await.unwrap());
    reader.close().await.unwrap();

    // Without another O_CREAT than those of the store.
    let there = fs::OpenOptions::new().write(true).open(&path).unwrap();
    there.set_len(1).unwrap();
    done(crate::support::store(&path).await.replace(&blob("default", 1, b"sealed")).await);
}

#[tokio::test]
async fn sh_05_c_rights_that_others_have_are_taken_away_when_it_is_opened() {
    let folder = folder();
    let path = database(&folder);
    with_one(&path, b"sealed").await;
    let locks = store(&path).await.lock_folder();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&locks, Permissions::from_mode(0o755)).unwrap();
    let warnings = Warnings::default();
    let _listening = tracing::subscriber::set_default(warnings.clone());
    let store = store(&path).await;
    for _ in 0..3 {
        assert!(store.load(&account("default")).await.unwrap().is_some());
    }
    assert_eq!(mode(&path), 0o600);
    assert_eq!(warnings.0.load(Ordering::Relaxed), 1);
    fs::write(&path, "damage").unwrap();
    done(store.replace(&blob("default", 1, b"sealed")).await);
    assert_eq!(mode(&locks), 0o700);
    // Of the folder, and of the damage.
    assert_eq!(warnings.0.load(Ordering::Relaxed), 1);
}

#[test]
fn cp_05_where_nothing_may_be_written_it_reads_and_says_so() {
    let folder = folder();
    let path = database(&folder);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(with_one(&path, b"sealed"));
    let mut again = child("modes::child_may_only_read", &path);
    // Rights do not bind the superuser, so the child is nobody.
    if fs::metadata(&path).unwrap().uid() == 0 {
        const NOBODY: u32 = 65_534;
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        again.uid(NOBODY).gid(NOBODY);
    }
    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    let ended = again.spawn().unwrap().wait().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
    assert!(ended.success());
    assert_eq!(names(folder.path()), ["regrant.db", "regrant.db.locks"]);
}

#[tokio::test]
async fn child_may_only_read() {
    let Some(path) = told() else { return };
    let here = store(&path).await;
    let mut there = here.load(&account("default")).await.unwrap().unwrap();
    assert_eq!(here.list().await.unwrap().len(), 1);
    let before = at(&there);
    there.entry.revision += 1;
    let absent = store(&path.with_file_name("absent.db")).await;
    let errors = [
        here.save(&there, before).await.unwrap_err(),
        here.set_aside(&there).await.unwrap_err(),
        absent.save(&there, Expected::Absent).await.unwrap_err(),
        {
            // The file itself may not be written either.
            fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
            store(&path).await.save(&there, before).await.unwrap_err()
        },
    ];
    for error in errors {
        assert_eq!(error.kind(), StoreFault::ReadOnly, "{error:?}");
        assert_eq!(error.outcome(), SaveOutcome::NotApplied);
    }
    assert!(store(&path).await.load(&account("default")).await.unwrap().is_some());
}
