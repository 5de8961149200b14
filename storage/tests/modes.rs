//! Nothing is ever readable by others, whatever the umask.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use regrant_core::Timestamp;
use regrant_storage::{FileLease, KeyFile, KeyRing as _, RefreshLease as _, Tried};
use rustix::fs::Mode;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Counts what is taken from others: each time is a warning.
#[derive(Clone, Default)]
struct Warnings(Arc<AtomicUsize>);

impl Warnings {
    /// Since it was last asked.
    fn counted(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

impl Subscriber for Warnings {
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

/// All in this folder that others may touch.
fn open_to_others(folder: &Path) -> Vec<(PathBuf, u32)> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for path in fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let mode = fs::symlink_metadata(&path).unwrap().mode() & 0o777;
            if mode & 0o077 != 0 {
                found.push((path.clone(), mode));
            }
            if path.is_dir() {
                left.push(path);
            }
        }
    }
    found
}

/// Under an open umask all that is made belongs to its owner alone.
///
/// One test for all, since the umask is the whole process's.
#[tokio::test]
async fn sh_05_file_modes() {
    let folder = tempfile::tempdir().unwrap();
    let warnings = Warnings::default();
    let _listening = tracing::subscriber::set_default(warnings.clone());
    rustix::process::umask(Mode::empty());
    let key = KeyFile::new(folder.path().join("keys/deep/regrant.key"));
    key.create().await.unwrap();
    let leases = FileLease::new(folder.path().join("data/deep/locks"));
    let tried = leases.try_acquire("a", Timestamp::EPOCH).await.unwrap();
    assert!(matches!(tried, Tried::Held(_)), "{tried:?}");
    assert_eq!(open_to_others(folder.path()), []);
    assert_eq!(warnings.counted(), 0, "something was made for others too, and closed afterwards");
    drop(tried);

    // What an older program or a copy left open is closed by the next use.
    let mut left = vec![folder.path().join("data/deep/locks"), key.path().to_owned()];
    left.extend(fs::read_dir(&left[0]).unwrap().map(|entry| entry.unwrap().path()));
    assert_eq!(left.len(), 4);
    for path in &left {
        let mode = if path.is_dir() { 0o777 } else { 0o666 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    key.load(&key.source(), b"").await.unwrap().unwrap();
    drop(leases.try_acquire("a", Timestamp::EPOCH).await.unwrap());
    assert_eq!(open_to_others(folder.path()), []);
    assert_eq!(warnings.counted(), 2, "one for the key, one for the locks");

    // A folder like `/tmp` is shared on purpose, and not ours to close.
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    let leases = FileLease::new(&shared);
    drop(leases.try_acquire("a", Timestamp::EPOCH).await.unwrap());
    assert_eq!(open_to_others(folder.path()), [(shared, 0o777)]);
}
