//! How a database comes to be: made under another name, whole, and then renamed.
//!
//! Nobody sees a database without its tables, so a process that is killed at its first save
//! leaves nothing that the next one could stumble over; what it leaves is swept. One process at a
//! time creates: a rename would write over what another has just made.
//!
//! The lock is SQLite's own, on an empty file. It dies with its process like the lock of any
//! file, it works wherever the database will work, and waiting for it ends: a lock of the
//! standard library waits for a stopped process for ever, or needs a timer.
//!
//! A later form of the tables is to be brought in the same way, by a new file: then a process of
//! an older release, which has the old file open, sees that it has to look again.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use regrant_core::StoreFault;
use regrant_storage::{Blob, Expected, Saved, StoreError};
use sqlx::{Connection as _, SqliteConnection};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;

use crate::connection::{self, Connection};
use crate::place::{self, Place};
use crate::{aside, fault, row, second_look};

/// Makes the database with its first row, if there is none; `false` if there is one by now. The
/// turn ends with the work.
pub(crate) async fn create(
    place: &Place,
    first: &Blob,
    turn: impl Send + 'static,
) -> Result<bool, StoreError> {
    let (place, first) = (place.clone(), first.clone());
    to_the_end(async move {
        let _turn = turn;
        let lock = Lock::take(&place).await?;
        if place.look()?.is_some() {
            return Ok(false);
        }
        publish(&place, &[first]).await?;
        lock.release().await;
        Ok(true)
    })
    .await
}

/// Makes the database anew, with this row, in the place of one that cannot be read. Its files are
/// set aside; the rows in it that can be read are taken over, for the key of all of them may be
/// there. The turn ends with the work.
pub(crate) async fn replace(
    place: &Place,
    blob: &Blob,
    turn: impl Send + 'static,
) -> Result<Saved, StoreError> {
    let (place, blob) = (place.clone(), blob.clone());
    to_the_end(async move {
        let _turn = turn;
        let lock = Lock::take(&place).await?;
        // Whoever had the lock before may have done it.
        let mut rows = Vec::new();
        let damaged = match open(&place).await {
            Ok(None) => return Ok(Saved::Mismatch(None)),
            Ok(Some(mut damaged)) => {
                match row::replace(&mut damaged.sqlite, &blob).await.map_err(fault::of_save) {
                    Ok(saved) => return Ok(saved),
                    Err(error) => match second_look::settle(&place, damaged.file, error).await {
                        error if error.kind() == StoreFault::Corrupt => {}
                        error => return Err(error),
                    },
                }
                shut_out(&mut damaged.sqlite).await?;
                rows = row::salvage(&mut damaged.sqlite).await;
                Some(damaged)
            }
            Err(error) if error.kind() == StoreFault::Corrupt => None,
            Err(error) => return Err(error),
        };
        rows.retain(|row| row.entry.name != blob.entry.name);
        rows.push(blob);
        publish(&place, &rows).await?;
        if let Some(damaged) = damaged {
            damaged.close().await;
        }
        lock.release().await;
        Ok(Saved::Done)
    })
    .await
}

/// Deletes what was set aside, and a draft that was left, unless somebody is still logged in: what
/// he has lost may be in it.
pub(crate) async fn sweep(place: &Place) -> Result<(), StoreError> {
    let place = place.clone();
    to_the_end(async move {
        if aside::left_over(&place)?.is_empty() {
            return Ok(());
        }
        let lock = Lock::take(&place).await?;
        if let Some(mut database) = open(&place).await? {
            let is_live = row::is_anybody_live(&mut database.sqlite).await;
            database.close().await;
            if !is_live.map_err(fault::of_sqlite)? {
                aside::sweep(&place)?;
            }
        }
        lock.release().await;
        Ok(())
    })
    .await
}

async fn open(place: &Place) -> Result<Option<Connection>, StoreError> {
    match place.look()? {
        Some(file) => Connection::open(place, file).await.map(Some),
        None => Ok(None),
    }
}

/// Of a database that is damaged in part: nobody may save to it while it is replaced. Those who
/// come later find that it was moved, and look again.
async fn shut_out(damaged: &mut SqliteConnection) -> Result<(), StoreError> {
    match sqlx::raw_sql("BEGIN EXCLUSIVE").execute(damaged).await.map_err(fault::of_sqlite) {
        Err(error) if error.kind() != StoreFault::Corrupt => Err(error),
        _ => Ok(()),
    }
}

async fn publish(place: &Place, rows: &[Blob]) -> Result<(), StoreError> {
    place.start_draft()?;
    let draft = place.draft();
    if let Err(error) = write_draft(&draft, rows).await.map_err(fault::of_sqlite) {
        return Err(second_look::settle(place, None, error).await);
    }
    if let Some(aside) = aside::set_aside(place)? {
        tracing::warn!(
            path = %place.path().display(),
            aside = %aside.display(),
            "a damaged database was set aside, and a new one made"
        );
    }
    place.publish()
}

async fn write_draft(draft: &Path, rows: &[Blob]) -> Result<(), sqlx::Error> {
    let mut sqlite = connection::to_draft(draft).await?;
    row::make_tables(&mut sqlite).await?;
    for row in rows {
        row::save(&mut sqlite, row, Expected::Absent).await?;
    }
    sqlite.close().await
}

/// Runs this to its end, also if the future that waits for it is dropped: half-way, with its lock
/// gone, it could name the draft of another. The end is near: it waits for locks alone, and for
/// those with SQLite's patience.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let runtime = Handle::current();
    let done = spawn_blocking(move || runtime.block_on(work)).await;
    done.unwrap_or_else(|error| {
        let what = "the database was not created to the end";
        Err(StoreError::new(StoreFault::Unavailable, what).because(error).unknown())
    })
}

/// The right to create. Released when dropped, too, only not at once.
struct Lock(SqliteConnection);

impl Lock {
    async fn take(place: &Place) -> Result<Self, StoreError> {
        place.make_folders()?;
        let file = place.lock_folder().join("create.lock");
        {
            // Closing a file takes all locks of the process on it away (POSIX), also those that
            // SQLite holds. So it is made and closed before any thread can have locked it.
            static MAKING: Mutex<()> = Mutex::new(());
            let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
            place::make_private_file(&file).map_err(|error| fault::of_creating(&file, error))?;
        }
        match Self::take_on(&file).await {
            Ok(held) => Ok(Self(held)),
            Err(error) => Err(second_look::settle(place, None, fault::of_lock(error)).await),
        }
    }

    async fn take_on(file: &Path) -> sqlx::Result<SqliteConnection> {
        let mut held = connection::to_lock(file).await?;
        sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut held).await?;
        Ok(held)
    }

    async fn release(self) {
        if let Err(error) = self.0.close().await {
            tracing::debug!(%error, "the creation lock was not released in good order");
        }
    }
}
