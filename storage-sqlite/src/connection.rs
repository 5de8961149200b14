//! A connection to the database, after a look at whose it is.

use std::path::Path;
use std::time::Duration;

use regrant_core::StoreFault;
use regrant_storage::StoreError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, SqliteConnection};

use crate::place::{FileId, Place};
use crate::{fault, second_look};

/// "RGNT", in the header of every database of this crate.
const APPLICATION: i64 = 0x5247_4E54;

/// The form of the tables, in the header too.
const FORMAT: i64 = 1;

/// How long SQLite waits for a lock. A save holds one for a few syncs of the disk: 1 ms on an
/// idle disk, 20 ms on a busy one. SQLite does not queue those who wait, so in a crowd some wait
/// much longer than their turn. A second less than the five that a session gives one operation:
/// its caller is to learn that the database is locked, and not only that it took too long.
const PATIENCE: Duration = Duration::from_secs(4);

/// Rows between SQLite's thread and the task. SQLite keeps its read lock until the last row is
/// handed over, so the buffer takes all there will ever be: a task that is not polled must not
/// lock others out. It grows as it is filled.
const ROWS: usize = 1 << 20;

/// An open database, and which file that is.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) sqlite: SqliteConnection,
    pub(crate) file: FileId,
}

impl Connection {
    /// Opens what lies there, after a [`look`](Place::look) at which file that is. In this order:
    /// if it is replaced in between, the next look finds another file, and it is opened again.
    pub(crate) async fn open(place: &Place, file: FileId) -> Result<Self, StoreError> {
        place.make_private();
        let opened = match options(place.path()).connect().await.map_err(fault::of_sqlite) {
            Ok(mut sqlite) => match check_owner(&mut sqlite).await {
                Ok(()) => Ok(Self { sqlite, file }),
                Err(error) => {
                    close(sqlite).await;
                    Err(error)
                }
            },
            Err(error) => Err(error),
        };
        match opened {
            Ok(connection) => Ok(connection),
            Err(error) => Err(second_look::settle(place, file, error).await),
        }
    }

    /// See [`close`].
    pub(crate) async fn close(self) {
        close(self.sqlite).await;
    }
}

/// Closes it before anything else is done: SQLite takes its files away with the last connection,
/// and a connection that is only dropped is closed some time later.
pub(crate) async fn close(sqlite: SqliteConnection) {
    if let Err(error) = sqlite.close().await {
        let error = fault::of_sqlite(error);
        tracing::debug!(%error, "a connection was not closed in good order");
    }
}

/// A connection to the draft of a database, which nobody else has open.
pub(crate) async fn to_draft(draft: &Path) -> sqlx::Result<SqliteConnection> {
    options(draft)
        // A draft that is not finished is thrown away, so its journal needs no file.
        .journal_mode(SqliteJournalMode::Memory)
        .connect()
        .await
}

/// A connection to an empty file that is used for its locks only.
pub(crate) async fn to_lock(file: &Path) -> sqlx::Result<SqliteConnection> {
    // To lock an empty file, SQLite begins a database in it; that is thrown away, so in memory.
    bare(file).journal_mode(SqliteJournalMode::Memory).connect().await
}

/// How every connection is opened, and nothing that reads or writes.
pub(crate) fn bare(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(PATIENCE)
        .row_buffer_size(ROWS)
        .disable_statement_logging()
}

fn options(path: &Path) -> SqliteConnectOptions {
    bare(path)
        // Also the folder is synced after the journal is gone, so that a save that was answered
        // cannot be rolled back by a journal that a power loss brings back.
        .synchronous(SqliteSynchronous::Extra)
        // What is deleted or replaced is overwritten with zeros.
        .pragma("secure_delete", "ON")
        // On macOS fsync stops at the drive's cache.
        .pragma("fullfsync", "ON")
        .pragma("checkpoint_fullfsync", "ON")
        // A schema that somebody has planted calls no functions.
        .pragma("trusted_schema", "OFF")
        // Damage is looked for when a page is read.
        .pragma("cell_size_check", "ON")
        .pragma("temp_store", "MEMORY")
        // A file that is cut while it is mapped kills the process.
        .pragma("mmap_size", "0")
}

/// Whether the file is a database of this crate, in a form this release knows; and then in the
/// journal mode it is made with. Only then, because to change the mode is to write.
async fn check_owner(sqlite: &mut SqliteConnection) -> Result<(), StoreError> {
    let application: i64 = number(sqlite, "PRAGMA application_id").await?;
    if application != APPLICATION {
        let what = "the file is a database, but not one of credentials";
        return Err(StoreError::new(StoreFault::Corrupt, what));
    }
    match number(sqlite, "PRAGMA user_version").await? {
        FORMAT => {}
        // Every database gets its name after its format was written.
        0 => return Err(fault::damaged()),
        _ => {
            let what = "a newer version of regrant wrote the database";
            return Err(StoreError::new(StoreFault::UnknownFormat, what));
        }
    }
    let mode = sqlx::query("PRAGMA journal_mode = DELETE").execute(sqlite).await;
    mode.map(drop).map_err(fault::of_sqlite)
}

async fn number(sqlite: &mut SqliteConnection, pragma: &'static str) -> Result<i64, StoreError> {
    sqlx::query_scalar(pragma).fetch_one(sqlite).await.map_err(fault::of_sqlite)
}
