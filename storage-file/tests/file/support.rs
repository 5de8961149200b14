//! What the tests share.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use regrant_core::{Id, Timestamp};
use regrant_storage::{Blob, BlobStore, Entry, Expected, Name, Saved, StoreError};
use regrant_storage_file::FileStore;
use tempfile::TempDir;
use tracing::span::{self, Attributes, Record};
use tracing::{Event, Level, Metadata};

/// What a child process is told to work on.
pub(crate) const CHILD: &str = "REGRANT_TEST_CHILD";

/// What it is told to do there.
pub(crate) const WHAT: &str = "REGRANT_TEST_WHAT";

/// The SHA-256 of `default`.
pub(crate) const DEFAULT: &str = "37a8eec1ce19687d132fe29051dca629d164e2c4958ba141d5f4133a33f0688f";

pub(crate) fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// Where the store lies in such a folder.
pub(crate) fn inside(folder: &TempDir) -> PathBuf {
    folder.path().canonicalize().unwrap().join("store")
}

/// The file of the account `default`.
pub(crate) fn record(path: &Path) -> PathBuf {
    path.join(format!("{DEFAULT}.rgnt"))
}

pub(crate) async fn store(path: &Path) -> FileStore {
    FileStore::open(path).await.unwrap()
}

pub(crate) fn account(name: &str) -> Name {
    Name::Account(name.to_owned())
}

pub(crate) fn blob(name: &str, revision: u64, sealed: &[u8]) -> Blob {
    Blob {
        entry: Entry {
            name: account(name),
            incarnation: Id([7; 16]),
            generation: revision,
            revision,
            due_at: Some(Timestamp::from_millis(1_700_000_000_000)),
            live: true,
        },
        sealed: sealed.to_vec(),
    }
}

pub(crate) fn at(blob: &Blob) -> Expected {
    Expected::Revision(blob.entry.incarnation, blob.entry.revision)
}

/// What a logout leaves of it.
pub(crate) fn tombstone(blob: &Blob) -> Blob {
    let revision = blob.entry.revision + 1;
    let entry = Entry { revision, live: false, due_at: None, ..blob.entry.clone() };
    Blob { entry, sealed: Vec::new() }
}

#[track_caller]
pub(crate) fn done(saved: Result<Saved, StoreError>) {
    match saved {
        Ok(Saved::Done) => {}
        other => panic!("the save was not done: {other:?}"),
    }
}

#[track_caller]
pub(crate) fn mismatch(saved: Result<Saved, StoreError>) -> Option<Blob> {
    match saved {
        Ok(Saved::Mismatch(found)) => found,
        other => panic!("this should not be what was expected: {other:?}"),
    }
}

/// A store with one account, `default` at revision 1, closed again.
pub(crate) async fn with_one(path: &Path, sealed: &[u8]) -> Blob {
    let blob = blob("default", 1, sealed);
    done(store(path).await.save(&blob, Expected::Absent).await);
    blob
}

/// Runs this where nothing but the store makes system calls that a fault could hit: a runtime with
/// an I/O driver is woken by writes.
pub(crate) fn alone(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work);
}

/// This test binary again, to run only the test of this name, with this to work on.
pub(crate) fn child(test: &str, on: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, on);
    command.stdout(Stdio::null());
    command
}

/// In a child process, what it was told to work on. Elsewhere nothing: the test has no part.
pub(crate) fn told() -> Option<PathBuf> {
    std::env::var_os(CHILD).map(PathBuf::from)
}

/// The names in a folder, in order.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The names of files that saves have left unfinished.
pub(crate) fn unfinished(folder: &Path) -> Vec<String> {
    let mut names = names(folder);
    names.retain(|name| [".tmp", ".claim"].iter().any(|end| name.ends_with(end)));
    names
}

/// Counts the warnings of a whole process, which must be a child: the store works on threads of
/// its own.
#[derive(Clone)]
pub(crate) struct Warnings(Arc<AtomicU32>);

impl Warnings {
    pub(crate) fn count() -> Self {
        let warnings = Self(Arc::default());
        tracing::subscriber::set_global_default(warnings.clone()).unwrap();
        warnings
    }

    pub(crate) fn counted(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl tracing::Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn event(&self, _: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
