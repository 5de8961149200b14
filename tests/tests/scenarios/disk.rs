//! Sessions over real stores on a disk, and other processes on them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use regrant::{Client, Grant, Origin, Secret, Session, Timestamp, TokenEndpoint, VirtualClocks};
use regrant_storage::{BlobStore, FileLease, KeyFile, TokenStore, Vault};
use regrant_storage_file::FileStore;
use regrant_storage_sqlite::SqliteStore;
use tempfile::TempDir;
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use crate::wire::Wire;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Sqlite,
}

pub(crate) const KINDS: [Kind; 2] = [Kind::File, Kind::Sqlite];

/// The store in this folder, and where its leases come from.
pub(crate) async fn blobs_in(folder: &Path, kind: Kind) -> (Arc<dyn BlobStore>, FileLease) {
    match kind {
        Kind::File => {
            let store = FileStore::open(folder.join("data")).await.unwrap();
            let lease = FileLease::new(store.lock_folder());
            (Arc::new(store), lease)
        }
        Kind::Sqlite => {
            let store = SqliteStore::open(folder.join("data/store.db")).await.unwrap();
            let lease = FileLease::new(store.lock_folder());
            (Arc::new(store), lease)
        }
    }
}

/// The key of the store in this folder.
pub(crate) fn key_in(folder: &Path) -> KeyFile {
    KeyFile::new(folder.join("keys/regrant.key"))
}

/// A folder with a store and a key, and the servers of the credential in it.
pub(crate) struct Place {
    folder: TempDir,
    kind: Kind,
    pub(crate) wire: Wire,
}

impl Place {
    pub(crate) fn new(kind: Kind) -> Self {
        let start = Timestamp::from_millis(1_750_000_000_000);
        let wire = Wire::new(&Arc::new(VirtualClocks::new(start)));
        Self { folder: tempfile::tempdir().unwrap(), kind, wire }
    }

    /// With `at-0` and `rt-0` in it.
    pub(crate) async fn logged_in(kind: Kind) -> Self {
        let place = Self::new(kind);
        let session = place.session().await;
        log_in(&session, "at-0", "rt-0").await;
        session.close(crate::scene::HOUR).await.unwrap();
        place
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.folder().join("data")
    }

    /// The file that the credential lies in.
    pub(crate) fn file(&self) -> PathBuf {
        let names = std::fs::read_dir(self.data()).unwrap().map(|entry| entry.unwrap().path());
        let is_it = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name == "store.db" || name.ends_with(".rgnt") && !name.starts_with("data-key")
        };
        let found: Vec<_> = names.filter(is_it).collect();
        let [file] = found.as_slice() else { panic!("{found:?}") };
        file.clone()
    }

    /// What lies beside it that was set aside.
    pub(crate) fn copies(&self) -> Vec<PathBuf> {
        let paths = std::fs::read_dir(self.data()).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| path.to_str().unwrap().contains(".corrupt-")).collect()
    }

    /// Another program on it.
    pub(crate) async fn session(&self) -> Session {
        let (blobs, lease) = blobs_in(self.folder(), self.kind).await;
        let vault = Vault::new(blobs, Arc::new(key_in(self.folder())));
        open(Arc::new(vault), lease, Arc::new(self.wire.clone()))
    }

    pub(crate) fn posts(&self) -> usize {
        self.wire.network().posts.len()
    }
}

pub(crate) fn open(
    store: Arc<dyn TokenStore>,
    lease: FileLease,
    endpoint: Arc<dyn TokenEndpoint>,
) -> Session {
    Session::builder(store, Arc::new(lease), endpoint).open().unwrap()
}

pub(crate) fn api() -> Origin {
    Origin::parse("https://api.example").unwrap()
}

pub(crate) async fn log_in(session: &Session, access: &str, refresh: &str) {
    let mut grant = Grant::bearer(Secret::new(access.to_owned()));
    grant.refresh_token = Some(Secret::new(refresh.to_owned()));
    let client = Client::new("https://as.example/token", "app");
    session.install(client, [api()], grant).await.unwrap();
}

/// This test binary again, to run only the test of this name.
pub(crate) fn child(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]);
    command
}

/// Counts the warnings and errors that are logged.
#[derive(Clone, Default)]
pub(crate) struct Warnings(Arc<AtomicUsize>);

impl Warnings {
    /// Counts what this thread logs until the guard is dropped.
    pub(crate) fn listening(&self) -> DefaultGuard {
        tracing::subscriber::set_default(tracing_subscriber::registry().with(self.clone()))
    }

    pub(crate) fn counted(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl<S: Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let is_warning = *event.metadata().level() <= Level::WARN;
        self.0.fetch_add(usize::from(is_warning), Ordering::Relaxed);
    }
}
