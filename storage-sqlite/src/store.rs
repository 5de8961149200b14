//! The store.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use regrant_core::StoreFault;
use regrant_storage::{Blob, BlobStore, Capabilities, Entry, Expected, Name, Saved, StoreError};
use sqlx::SqliteConnection;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::spawn_blocking;

use crate::connection::Connection;
use crate::place::{FileId, Place};
use crate::{create, fault, row, second_look};

type Open = Arc<Mutex<Option<Connection>>>;

/// Sealed credentials in an SQLite database, which the first save creates.
#[derive(Debug)]
pub struct SqliteStore {
    place: Place,
    /// The open database, once it was needed. One connection is enough: a process reads and
    /// writes a few times an hour.
    open: Open,
}

impl SqliteStore {
    /// The store in this file. Finds out where the path leads, through symlinks, and touches
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`StoreFault::Unavailable`], if the path cannot be followed, or is not UTF-8.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let place = blocking(move || Place::resolve(&path)).await?;
        Ok(Self { place, open: Open::default() })
    }

    /// The database's real path. There may be no file yet.
    pub fn path(&self) -> &Path {
        self.place.path()
    }

    /// Where the lock files of a lease belong: a folder beside the database, the same for every
    /// process that opens it. It may not be there yet.
    pub fn lock_folder(&self) -> PathBuf {
        self.place.lock_folder()
    }

    /// A turn at the database.
    async fn turn(&self) -> Result<Turn, StoreError> {
        let mut open = Arc::clone(&self.open).lock_owned().await;
        let Some(file) = self.look().await? else {
            *open = None;
            return Ok(Turn::Absent(open));
        };
        if open.as_ref().is_none_or(|connection| connection.file != file) {
            *open = Some(Connection::open(&self.place, file).await?);
        }
        Ok(Turn::Present(Present(open)))
    }

    /// Leaves nothing in the files of what is not in the tables any more, after a logout. The
    /// logout is done: that this fails is worth a warning, and the next one tries again.
    async fn forget(&self) {
        let written_anew = match self.turn().await {
            Ok(Turn::Present(mut database)) => {
                let written = row::write_anew(database.sqlite()).await;
                database.end(&self.place, written).await
            }
            Ok(Turn::Absent(_)) => Ok(()),
            Err(error) => Err(error),
        };
        let swept = create::sweep(&self.place).await;
        if let Err(error) = written_anew.and(swept) {
            tracing::warn!(
                path = %self.place.path().display(),
                %error,
                "a logout is done, but may have left sealed remains in the folder of the database"
            );
        }
    }

    async fn save_row(&self, blob: &Blob, expected: Expected) -> Result<Saved, StoreError> {
        let mut database = match (self.turn().await?, expected) {
            (Turn::Present(database), _) => database,
            (Turn::Absent(_), Expected::Revision(..)) => return Ok(Saved::Mismatch(None)),
            (Turn::Absent(turn), Expected::Absent) => {
                if create::create(&self.place, blob, turn).await? {
                    return Ok(Saved::Done);
                }
                // Another process was first.
                match self.turn().await? {
                    Turn::Present(database) => database,
                    Turn::Absent(_) => return Err(fault::gone()),
                }
            }
        };
        let saved = row::save(database.sqlite(), blob, expected).await;
        database.end(&self.place, saved).await
    }

    async fn look(&self) -> Result<Option<FileId>, StoreError> {
        let place = self.place.clone();
        blocking(move || place.look()).await
    }
}

#[async_trait]
impl BlobStore for SqliteStore {
    async fn load(&self, name: &Name) -> Result<Option<Blob>, StoreError> {
        match self.turn().await? {
            Turn::Absent(_) => Ok(None),
            Turn::Present(mut database) => {
                let loaded = row::load(database.sqlite(), name).await;
                database.end(&self.place, loaded).await
            }
        }
    }

    async fn save(&self, blob: &Blob, expected: Expected) -> Result<Saved, StoreError> {
        let saved = self.save_row(blob, expected).await?;
        if matches!(saved, Saved::Done) && !blob.entry.live {
            self.forget().await;
        }
        Ok(saved)
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        match self.turn().await? {
            Turn::Absent(_) => Ok(Vec::new()),
            Turn::Present(mut database) => {
                let listed = row::list(database.sqlite()).await;
                database.end(&self.place, listed).await
            }
        }
    }

    async fn replace(&self, blob: &Blob) -> Result<Saved, StoreError> {
        let replaced = match self.turn().await {
            Ok(Turn::Absent(_)) => return Ok(Saved::Mismatch(None)),
            Ok(Turn::Present(mut database)) => {
                let replaced = row::replace(database.sqlite(), blob).await;
                database.end(&self.place, replaced).await
            }
            Err(error) => Err(error),
        };
        match replaced {
            Err(error) if error.kind() == StoreFault::Corrupt => {
                let mut turn = Arc::clone(&self.open).lock_owned().await;
                *turn = None;
                create::replace(&self.place, blob, turn).await
            }
            replaced => replaced,
        }
    }

    async fn set_aside(&self, blob: &Blob) -> Result<(), StoreError> {
        match self.turn().await? {
            Turn::Absent(_) => Err(fault::gone()),
            Turn::Present(mut database) => {
                let kept = row::set_aside(database.sqlite(), blob).await;
                database.end(&self.place, kept).await
            }
        }
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            identity: format!("sqlite:{}", self.place.text()),
            volatile: false,
            shared: false,
            size_limit: None,
        }
    }
}

/// One turn. The next one begins when it ends; if the future that had it is dropped, when SQLite
/// is done with what it was given: so whoever reloads then sees how that ended.
enum Turn {
    Absent(OwnedMutexGuard<Option<Connection>>),
    Present(Present),
}

/// A turn at a database that is there.
struct Present(OwnedMutexGuard<Option<Connection>>);

impl Present {
    fn sqlite(&mut self) -> &mut SqliteConnection {
        &mut self.0.as_mut().expect("a turn has a connection until it ends").sqlite
    }

    /// Ends the turn. After an error the next one begins with a new connection.
    async fn end<T>(
        mut self,
        place: &Place,
        result: Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        match result {
            Ok(answer) => Ok(answer),
            Err(error) => {
                let connection = self.0.take();
                let file = connection.as_ref().map(|connection| connection.file);
                if let Some(connection) = connection {
                    connection.close().await;
                }
                Err(second_look::settle(place, file, fault::of_save(error)).await)
            }
        }
    }
}

/// Runs this where it may wait for a disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    spawn_blocking(work).await.unwrap_or_else(|error| {
        let what = "the runtime is shutting down";
        Err(StoreError::new(StoreFault::Unavailable, what).because(error))
    })
}
