//! What an answer of SQLite leaves open, found out by a second look.
//!
//! SQLite keeps the error number of the file system to itself, and takes some for what they are
//! not: a page that the disk does not read for a damaged one, a file system without locks for
//! somebody's lock, a quota that is used up for a broken disk. Each has another remedy, and the
//! first one would let a login set a whole database aside.

use std::fs;
use std::io::{Seek as _, SeekFrom, Write as _};

use libsqlite3_sys as sqlite;
use regrant_core::StoreFault;
use regrant_storage::{SaveOutcome, StoreError};
use sqlx::ConnectOptions as _;
use sqlx::sqlite::SqliteLockingMode;
use tokio::task::spawn_blocking;

use crate::place::{FileId, Place};
use crate::{connection, fault};

/// More than the save of a record needs: its pages, and the same ones in the journal.
const ROOM: usize = 1 << 16;

/// The error as it is, or one that says what was found out. Its outcome stays. The file is the one
/// that the error is about, if it is about a database with a name.
pub(crate) async fn settle(
    place: &Place,
    file: impl Into<Option<FileId>>,
    error: StoreError,
) -> StoreError {
    let Some(code) = fault::code_of(&error) else { return error };
    let found = match (code & 0xff, file.into()) {
        (sqlite::SQLITE_CORRUPT, Some(file)) => unread(place, file).await,
        (sqlite::SQLITE_BUSY, _) => asked(place, no_locks).await,
        (sqlite::SQLITE_CANTOPEN, _) => asked(place, no_room).await,
        (sqlite::SQLITE_IOERR, _) if is_writing(code) => asked(place, no_room).await,
        _ => None,
    };
    match (found, error.outcome()) {
        (None, _) => error,
        (Some(found), SaveOutcome::NotApplied) => found.because(error),
        (Some(found), SaveOutcome::Unknown) => found.because(error).unknown(),
    }
}

/// Whether a step failed that makes a file longer, or is where a file system says at last that
/// it had no room.
fn is_writing(code: i32) -> bool {
    matches!(
        code,
        sqlite::SQLITE_IOERR_WRITE
            | sqlite::SQLITE_IOERR_FSYNC
            | sqlite::SQLITE_IOERR_DIR_FSYNC
            | sqlite::SQLITE_IOERR_TRUNCATE
            | sqlite::SQLITE_IOERR_CLOSE
    )
}

/// Reads the whole database again, since a page that is not read counts as damaged inside SQLite.
/// Its own check is the one thing in it that still tells the two apart.
async fn unread(place: &Place, file: FileId) -> Option<StoreError> {
    // In this mode SQLite begins to read while it still tells a failed read from damage, before
    // the statement runs, and goes on from there.
    let options = connection::bare(place.path()).locking_mode(SqliteLockingMode::Exclusive);
    let mut sqlite = match options.connect().await {
        Ok(sqlite) => sqlite,
        Err(error) => return unless_damage(error),
    };
    let check = sqlx::query_scalar("PRAGMA integrity_check");
    // The first row has all that is wrong with pages; rows about records follow.
    let checked: Result<Option<String>, _> = check.fetch_optional(&mut sqlite).await;
    connection::close(sqlite).await;
    // Another process may have put a new one in the place of a database that is damaged indeed.
    if asked(place, |place| place.look().ok().flatten()).await != Some(file) {
        return None;
    }
    match checked {
        Err(error) => unless_damage(error),
        Ok(Some(found)) if is_whole(&found) || names_failed_read(&found) => {
            let what = "the disk does not read the database: find out what is wrong with the disk";
            Some(StoreError::new(StoreFault::Unavailable, what))
        }
        Ok(_) => None,
    }
}

fn unless_damage(error: sqlx::Error) -> Option<StoreError> {
    let again = fault::of_sqlite(error);
    (again.kind() != StoreFault::Corrupt).then_some(again)
}

/// Whether the check found nothing: then what was not read before is read now.
fn is_whole(found: &str) -> bool {
    found == "ok"
}

/// Whether the check met a page that it could not read. SQLite's own words, which a test holds:
/// a release that words it otherwise is noticed.
fn names_failed_read(found: &str) -> bool {
    let mut codes = found.split("unable to get the page. error code=").skip(1);
    let is_io = |rest: &str| {
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
        digits.parse().is_ok_and(|code: i32| code & 0xff == sqlite::SQLITE_IOERR)
    };
    codes.any(is_io) || found.contains("failed to get page")
}

/// Asks the file system, where that may wait for a disk.
async fn asked<T: Send + 'static>(place: &Place, question: fn(&Place) -> Option<T>) -> Option<T> {
    let place = place.clone();
    spawn_blocking(move || question(&place)).await.unwrap_or(None)
}

/// Whether a file as long as the database may become cannot be written beside it.
fn no_room(place: &Place) -> Option<StoreError> {
    let written = place.probe().and_then(|mut probe| {
        let length = fs::metadata(place.path()).map_or(0, |metadata| metadata.len());
        probe.file.seek(SeekFrom::Start(length))?;
        probe.file.write_all(&[0; ROOM])?;
        probe.file.sync_all()
    });
    let error = StoreError::io("there is no room for the record", written.err()?);
    (error.kind() == StoreFault::Full).then_some(error)
}

/// Whether a file that nobody else has cannot be locked either, in the way SQLite locks.
#[cfg(unix)]
fn no_locks(place: &Place) -> Option<StoreError> {
    use rustix::fs::{FlockOperation, fcntl_lock};
    use rustix::io::Errno;
    let probe = place.probe().ok()?;
    match fcntl_lock(&probe.file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP) => Some(fault::unlockable()),
        Ok(()) | Err(_) => None,
    }
}

/// Elsewhere SQLite's answer is clear.
#[cfg(not(unix))]
fn no_locks(_: &Place) -> Option<StoreError> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_was_not_read_is_told_from_one_that_is_damaged() {
        let unread = [
            "*** in database main ***\nTree 4 page 5: unable to get the page. error code=8458",
            "*** in database main ***\nTree 2 page 2 cell 0: failed to get page 7",
            "Tree 4 page 5: unable to get the page. error code=11\n\
            Tree 4 page 6: unable to get the page. error code=266",
        ];
        assert!(unread.iter().all(|found| names_failed_read(found)));
        let damaged = [
            "*** in database main ***\nTree 4 page 5: btreeInitPage() returns error code 11",
            "Tree 4 page 5: unable to get the page. error code=11",
            "wrong # of entries in index sqlite_autoindex_credential_1",
        ];
        assert!(!damaged.iter().any(|found| names_failed_read(found)));
    }
}
