//! Damaged databases that were set aside, under names with `.corrupt-1` and so on at their end.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use regrant_storage::StoreError;

use crate::fault;
use crate::place::{Place, is_same_file, sync_folder_of};

/// What the end of their names begins with.
const CORRUPT: &str = ".corrupt-";

/// The files that make a database, by the end of their names. The last two exist only if somebody
/// has changed the journal mode by hand.
const PARTS: [&str; 4] = ["", "-journal", "-wal", "-shm"];

/// Gives whatever is there another name beside the old one, and returns it. Only for the one who
/// holds the creation lock.
///
/// A database keeps its old name as well until [`publish`](Place::publish) takes it over: were it
/// gone in between, others would read *absent*. A journal must go: under its name SQLite would
/// play it back into the new database. One without a database goes the same way.
pub(crate) fn set_aside(place: &Place) -> Result<Option<PathBuf>, StoreError> {
    let found: Vec<_> = PARTS.iter().filter(|part| exists(place, part)).collect();
    if found.is_empty() {
        return Ok(None);
    }
    let end = free_end(place);
    for part in found {
        let (from, to) = (place.beside(part), place.beside(&format!("{end}{part}")));
        // Some file systems have no second names; there the old one is gone for a moment.
        let is_kept =
            part.is_empty() && (is_same_file(&from, &to) || fs::hard_link(&from, &to).is_ok());
        if !is_kept {
            fs::rename(&from, &to).map_err(|error| fault::of_creating(&from, error))?;
        }
    }
    sync_folder_of(place.path()).map_err(|error| fault::of_creating(place.path(), error))?;
    Ok(Some(place.beside(&end)))
}

/// Deletes what was set aside, and the draft of a creator that died. Only for the one who holds
/// the creation lock.
pub(crate) fn sweep(place: &Place) -> Result<(), StoreError> {
    for left in left_over(place)? {
        match fs::remove_file(&left) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(fault::of_creating(&left, error));
            }
            _ => {}
        }
    }
    sync_folder_of(place.path()).map_err(|error| fault::of_creating(place.path(), error))
}

/// The files beside the database that [`sweep`] deletes.
pub(crate) fn left_over(place: &Place) -> Result<Vec<PathBuf>, StoreError> {
    let (Some(folder), Some(name)) = (place.path().parent(), place.path().file_name()) else {
        return Ok(Vec::new());
    };
    let draft = place.draft();
    let is_left = |path: &PathBuf| {
        *path == draft || path.file_name().is_some_and(|file| is_aside(file, name))
    };
    let paths = fs::read_dir(folder)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>())
        .map_err(|error| fault::of_looking(folder, error))?;
    Ok(paths.into_iter().filter(is_left).collect())
}

/// Whether it is a name that [`set_aside`] gives, of the database with this name. What a person
/// has named alike is his.
fn is_aside(file: &OsStr, database: &OsStr) -> bool {
    let (Some(file), Some(database)) = (file.to_str(), database.to_str()) else { return false };
    let end = file.strip_prefix(database).and_then(|end| end.strip_prefix(CORRUPT));
    let Some(end) = end else { return false };
    let number = PARTS[1..].iter().find_map(|part| end.strip_suffix(part)).unwrap_or(end);
    number.parse::<u64>().is_ok_and(|n| n.to_string() == number)
}

/// The first end of a name that nothing has; or the one that a process that died in the middle
/// of this gave the same database.
fn free_end(place: &Place) -> String {
    let is_free = |end: &String| {
        is_same_file(place.path(), &place.beside(end))
            || !PARTS.iter().any(|part| exists(place, &format!("{end}{part}")))
    };
    let mut ends = (1u64..).map(|n| format!("{CORRUPT}{n}"));
    ends.find(is_free).expect("there are more numbers than files")
}

fn exists(place: &Place, end: &str) -> bool {
    fs::symlink_metadata(place.beside(end)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_were_given_here_are_swept() {
        let ours = ["a.db.corrupt-1", "a.db.corrupt-12-journal", "a.db.corrupt-3-wal"];
        let others = [
            "a.db",
            "a.db-journal",
            "a.db.corrupt-",
            "a.db.corrupt-01",
            "a.db.corrupt-+1",
            "a.db.corrupt-1.bak",
            "a.db.corrupt-1-old",
            "b.db.corrupt-1",
            "my-a.db.corrupt-1",
        ];
        let is_ours = |name: &&str| is_aside(OsStr::new(name), OsStr::new("a.db"));
        assert!(ours.iter().all(is_ours));
        assert!(!others.iter().any(is_ours));
    }
}
