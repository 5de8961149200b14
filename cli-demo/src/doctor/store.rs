//! Whether the store can be read and written, by whom, and what lies about in it.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use regrant::{StoreError, StoreFault, TokenStore as _};
use regrant_storage::Entry;

use super::Check;
use crate::error::Failure;
use crate::store::{Location, Rights, Store};

/// What is written to see whether there is room: 4 KiB, a block of most file systems, and more
/// than a record is long.
const ROOM: [u8; 4096] = [0; 4096];

/// What the store says of its content, and the checks of it.
pub(crate) async fn examine(store: &Store) -> (Result<Vec<Entry>, StoreError>, Vec<Check>) {
    let entries = store.list().await;
    let mut checks = Vec::new();
    match &entries {
        Err(error) => checks.push(Check::failed("store", &Failure::of_store(error))),
        Ok(_) if store.is_new() => {
            checks.push(Check::fine("store", format!("{} is not there yet", store.url())));
        }
        Ok(entries) => {
            let some = if entries.len() == 1 { "credential" } else { "credentials" };
            let what = format!("{} holds {} {some}", store.url(), entries.len());
            checks.push(Check::fine("store", what));
        }
    }
    checks.push(writable(store.location()));
    let files = store.files();
    checks.extend(permissions(&files.rights()));
    let copies = files.copies();
    if !copies.is_empty() {
        let names: Vec<_> = copies.iter().map(|path| path.display().to_string()).collect();
        checks.push(Check::warning(
            "leftovers",
            format!("copies of what was damaged were set aside: {}", names.join(", ")),
            "delete them once nobody needs them; a logout deletes those of its account",
        ));
    }
    if store.vault().capabilities().volatile {
        checks.push(Check::warning(
            "persistence",
            "a restart of this machine loses the store",
            "name a place on a disk with --store",
        ));
    }
    (entries, checks)
}

fn permissions(rights: &Rights) -> Option<Check> {
    match rights {
        Rights::Nothing => None,
        Rights::OwnerOnly => Some(Check::fine("permissions", "owner-only")),
        Rights::Inherited => Some(Check::fine("permissions", "those of the user's folder")),
        Rights::Wrong(what) => Some(Check::warning(
            "permissions",
            what,
            "give it to the user who runs this, with the mode 0600, or 0700 for a folder",
        )),
    }
}

/// Writes a file without a name, which nobody sees and nothing is left of.
fn writable(location: &Location) -> Check {
    let folder = match location {
        Location::Sqlite(database) => {
            if let Err(error) = may_write(database) {
                return unwritable("the database cannot be written", error);
            }
            database.parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
        }
        Location::Folder(folder) | Location::Keyring(folder) => folder.clone(),
    };
    // What is missing will be made.
    let there = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(&folder);
    let written = tempfile::tempfile_in(there).and_then(|mut file| {
        file.write_all(&ROOM)?;
        file.sync_all()
    });
    match written {
        Ok(()) => Check::fine("writable", format!("{} takes what is written", there.display())),
        Err(error) => unwritable("the folder of the store cannot be written", error),
    }
}

fn unwritable(what: &'static str, error: io::Error) -> Check {
    let error = match StoreError::io(what, error) {
        // Whatever else it is, a refresh cannot be noted there.
        error if error.kind() == StoreFault::Unavailable => {
            StoreError::new(StoreFault::ReadOnly, what).because(error)
        }
        error => error,
    };
    Check::failed("writable", &Failure::of_store(&error))
}

/// The database is asked about, and not opened: to close it would take SQLite its locks.
#[cfg(unix)]
fn may_write(file: &Path) -> io::Result<()> {
    match rustix::fs::access(file, rustix::fs::Access::WRITE_OK) {
        Err(rustix::io::Errno::NOENT) => Ok(()),
        may => may.map_err(Into::into),
    }
}

#[cfg(not(unix))]
fn may_write(file: &Path) -> io::Result<()> {
    match std::fs::metadata(file) {
        Ok(metadata) if metadata.permissions().readonly() => {
            Err(io::ErrorKind::PermissionDenied.into())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outcome;
    use super::*;

    #[test]
    fn what_can_be_written_is_left_without_a_trace() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("not/there/yet");
        for location in [Location::Folder(below.clone()), Location::Sqlite(below.join("a.db"))] {
            assert_eq!(writable(&location).outcome, Outcome::Fine);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_place_that_takes_no_files_is_a_failure() {
        let check = writable(&Location::Folder("/proc/self".into()));
        assert_eq!(check.outcome, Outcome::Failed(crate::error::Exit::Store), "{check:?}");
    }
}
