//! What SQLite and the file system report, as errors of a store.
//!
//! Of an SQLite error only the result code is kept. Its message can name what the file holds: a
//! damaged schema is quoted in it.

use std::io;
use std::path::{Path, PathBuf};

use libsqlite3_sys as sqlite;
use regrant_core::StoreFault;
use regrant_storage::StoreError;
use sqlx::error::DatabaseError;

/// The result code SQLite gave, with its extension.
#[derive(Debug, thiserror::Error)]
#[error("SQLite answered {name} ({code})", name = name(*.code))]
pub(crate) struct ResultCode {
    code: i32,
}

/// A step on a path that failed.
#[derive(Debug, thiserror::Error)]
#[error("{}", path.display())]
pub(crate) struct AtPath {
    path: PathBuf,
    source: io::Error,
}

/// SQLite did not do it, and nothing was changed.
pub(crate) fn of_sqlite(error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) => of_code(code(&*error)),
        // Without its source: that of a later sqlx might quote the value.
        error if is_form(&error) => damaged(),
        sqlx::Error::Io(error) => {
            StoreError::new(StoreFault::Unavailable, "the database cannot be opened").because(error)
        }
        // sqlx's enum is open. The rest is about its thread or its own use.
        _ => StoreError::new(StoreFault::Unavailable, "the database does not answer"),
    }
}

/// SQLite did not say that it did it. With a rollback journal, to delete the journal is to
/// commit, and an I/O error can be that of the deletion or of the sync after it; every other
/// answer comes before it, and SQLite rolls back.
pub(crate) fn of_save(error: sqlx::Error) -> StoreError {
    let is_known = match &error {
        sqlx::Error::Database(error) => !matches!(
            code(&**error) & 0xff,
            sqlite::SQLITE_IOERR | sqlite::SQLITE_INTERNAL | sqlite::SQLITE_NOMEM
        ),
        error => is_form(error),
    };
    let error = of_sqlite(error);
    if is_known { error } else { error.unknown() }
}

fn code(error: &dyn DatabaseError) -> i32 {
    error.code().and_then(|code| code.parse().ok()).unwrap_or(sqlite::SQLITE_INTERNAL)
}

/// The result code that the error came from.
pub(crate) fn code_of(error: &StoreError) -> Option<i32> {
    let source = std::error::Error::source(error)?;
    source.downcast_ref::<ResultCode>().map(|result| result.code)
}

/// Whether a row was read that is not of the form this crate writes.
pub(crate) fn is_form(error: &sqlx::Error) -> bool {
    matches!(
        error,
        sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::RowNotFound
            | sqlx::Error::TypeNotFound { .. }
    )
}

/// What is there is not what this crate wrote.
pub(crate) fn damaged() -> StoreError {
    StoreError::new(StoreFault::Corrupt, "the database is damaged")
}

/// What was there a moment ago is not there.
pub(crate) fn gone() -> StoreError {
    StoreError::new(StoreFault::Unavailable, "the database was removed")
}

/// The file system has no locks, or none that SQLite could use.
pub(crate) fn unlockable() -> StoreError {
    let what = "the file system cannot lock: keep the store on a local disk";
    StoreError::new(StoreFault::Unavailable, what)
}

/// The creation lock cannot be had. Whatever is wrong with its file says nothing of the database.
pub(crate) fn of_lock(error: sqlx::Error) -> StoreError {
    let error = of_sqlite(error);
    match error.kind() {
        StoreFault::Corrupt => {
            StoreError::new(StoreFault::Unavailable, "the creation lock cannot be used")
                .because(error)
        }
        _ => error,
    }
}

/// Reading or finding the database failed in the file system.
pub(crate) fn of_looking(path: &Path, error: io::Error) -> StoreError {
    StoreError::new(StoreFault::Unavailable, "the database cannot be reached")
        .because(AtPath { path: path.to_owned(), source: error })
}

/// Creating or replacing the database failed in the file system.
pub(crate) fn of_creating(path: &Path, error: io::Error) -> StoreError {
    let kind = error.kind();
    let at = AtPath { path: path.to_owned(), source: error };
    StoreError::io("the database cannot be created", io::Error::new(kind, at))
}

fn of_code(code: i32) -> StoreError {
    let (kind, what) = match code & 0xff {
        _ if is_of_locking(code) => return unlockable().because(ResultCode { code }),
        sqlite::SQLITE_BUSY | sqlite::SQLITE_LOCKED => {
            (StoreFault::Locked, "another process keeps the database locked")
        }
        sqlite::SQLITE_FULL | sqlite::SQLITE_TOOBIG => {
            (StoreFault::Full, "there is no room for the record")
        }
        _ if code == sqlite::SQLITE_READONLY_DBMOVED => {
            (StoreFault::Unavailable, "the database was moved while it was open")
        }
        sqlite::SQLITE_READONLY => (StoreFault::ReadOnly, "the database cannot be written"),
        sqlite::SQLITE_NOTADB => (StoreFault::Corrupt, "the file is not a database"),
        // A statement of ours that does not compile, or a rule of the table that it breaks, met
        // a schema that is not ours.
        sqlite::SQLITE_ERROR
        | sqlite::SQLITE_CONSTRAINT
        | sqlite::SQLITE_MISMATCH
        | sqlite::SQLITE_SCHEMA
        | sqlite::SQLITE_FORMAT => {
            (StoreFault::Corrupt, "the database does not have the tables it should have")
        }
        sqlite::SQLITE_CORRUPT => (StoreFault::Corrupt, "the database is damaged"),
        sqlite::SQLITE_CANTOPEN => (StoreFault::Unavailable, "the database cannot be opened"),
        _ => (StoreFault::Unavailable, "the database cannot be read or written"),
    };
    StoreError::new(kind, what).because(ResultCode { code })
}

/// Whether a lock was neither given nor refused.
fn is_of_locking(code: i32) -> bool {
    matches!(
        code,
        sqlite::SQLITE_IOERR_LOCK
            | sqlite::SQLITE_IOERR_RDLOCK
            | sqlite::SQLITE_IOERR_UNLOCK
            | sqlite::SQLITE_IOERR_CHECKRESERVEDLOCK
            | sqlite::SQLITE_PERM
            | sqlite::SQLITE_PROTOCOL
    )
}

fn name(code: i32) -> &'static str {
    match code & 0xff {
        sqlite::SQLITE_ERROR => "SQLITE_ERROR",
        sqlite::SQLITE_BUSY => "SQLITE_BUSY",
        sqlite::SQLITE_LOCKED => "SQLITE_LOCKED",
        sqlite::SQLITE_READONLY => "SQLITE_READONLY",
        sqlite::SQLITE_IOERR => "SQLITE_IOERR",
        sqlite::SQLITE_CORRUPT => "SQLITE_CORRUPT",
        sqlite::SQLITE_FULL => "SQLITE_FULL",
        sqlite::SQLITE_CANTOPEN => "SQLITE_CANTOPEN",
        sqlite::SQLITE_PROTOCOL => "SQLITE_PROTOCOL",
        sqlite::SQLITE_CONSTRAINT => "SQLITE_CONSTRAINT",
        sqlite::SQLITE_NOTADB => "SQLITE_NOTADB",
        _ => "a result code",
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use regrant_storage::SaveOutcome;
    use sqlx::{Connection as _, SqliteConnection};

    use super::*;

    #[tokio::test]
    async fn no_room_changes_nothing() {
        let mut sqlite = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let filled = sqlx::raw_sql(
            "PRAGMA max_page_count = 2; CREATE TABLE a (b);
            INSERT INTO a VALUES (zeroblob(100000))",
        );
        let error = of_save(filled.execute(&mut sqlite).await.unwrap_err());
        assert_eq!(error.kind(), StoreFault::Full);
        assert_eq!(error.outcome(), SaveOutcome::NotApplied);
        let source = error.source().unwrap().to_string();
        assert_eq!(source, "SQLite answered SQLITE_FULL (13)");
    }

    #[test]
    fn every_code_says_who_must_act() {
        let kinds = [
            (sqlite::SQLITE_BUSY, StoreFault::Locked),
            (sqlite::SQLITE_BUSY_RECOVERY, StoreFault::Locked),
            (sqlite::SQLITE_LOCKED, StoreFault::Locked),
            (sqlite::SQLITE_READONLY_DIRECTORY, StoreFault::ReadOnly),
            (sqlite::SQLITE_READONLY_ROLLBACK, StoreFault::ReadOnly),
            (sqlite::SQLITE_READONLY_DBMOVED, StoreFault::Unavailable),
            (sqlite::SQLITE_CANTOPEN, StoreFault::Unavailable),
            (sqlite::SQLITE_IOERR_FSYNC, StoreFault::Unavailable),
            (sqlite::SQLITE_PROTOCOL, StoreFault::Unavailable),
            (sqlite::SQLITE_CORRUPT_INDEX, StoreFault::Corrupt),
            (sqlite::SQLITE_NOTADB, StoreFault::Corrupt),
            (sqlite::SQLITE_ERROR, StoreFault::Corrupt),
        ];
        for (code, kind) in kinds {
            assert_eq!(of_code(code).kind(), kind, "{code}");
        }
    }

    #[test]
    fn a_lock_that_cannot_be_had_is_not_one_that_another_has() {
        let codes = [sqlite::SQLITE_IOERR_RDLOCK, sqlite::SQLITE_IOERR_LOCK, sqlite::SQLITE_PERM];
        for code in codes {
            let error = of_code(code);
            assert_eq!(error.kind(), StoreFault::Unavailable, "{code}");
            assert_eq!(error.to_string(), unlockable().to_string(), "{code}");
            assert_eq!(code_of(&error), Some(code));
        }
    }

    #[test]
    fn a_thread_that_died_may_have_saved() {
        assert_eq!(of_save(sqlx::Error::WorkerCrashed).outcome(), SaveOutcome::Unknown);
        assert_eq!(of_sqlite(sqlx::Error::WorkerCrashed).outcome(), SaveOutcome::NotApplied);
    }
}
