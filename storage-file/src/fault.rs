//! What the file system reports, as errors of a store.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use regrant_core::StoreFault;
use regrant_storage::StoreError;

/// A step on a path that failed.
#[derive(Debug, thiserror::Error)]
#[error("{}", path.display())]
struct AtPath {
    path: PathBuf,
    source: io::Error,
}

/// Which file it is about, where no system call failed.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.display())]
struct This(PathBuf);

/// An error about this file.
pub(crate) fn about(path: &Path, kind: StoreFault, what: &'static str) -> StoreError {
    StoreError::new(kind, what).because(This(path.to_owned()))
}

/// Looking for the folder or listing it failed.
pub(crate) fn of_looking(path: &Path, error: io::Error) -> StoreError {
    let what = "the folder of the store cannot be read";
    StoreError::new(StoreFault::Unavailable, what).because(at(path, error))
}

/// Making the folder failed.
pub(crate) fn of_making(path: &Path, error: io::Error) -> StoreError {
    let kind = error.kind();
    StoreError::io("the folder of the store cannot be made", io::Error::new(kind, at(path, error)))
}

/// Looking for a record or reading it failed. A file that must not be read is not one that must
/// not be written, so no error of reading says `ReadOnly`.
pub(crate) fn of_reading(path: &Path, error: io::Error) -> StoreError {
    StoreError::new(StoreFault::Unavailable, "the record cannot be read").because(at(path, error))
}

/// Writing a record failed.
pub(crate) fn of_writing(path: &Path, error: io::Error) -> StoreError {
    let what = match error.kind() {
        ErrorKind::ResourceBusy => {
            "the file of the record cannot be replaced: if it is a mount of its own, mount its \
             folder instead"
        }
        _ => "the record cannot be written",
    };
    let kind = error.kind();
    StoreError::io(what, io::Error::new(kind, at(path, error)))
}

/// The lock that puts savers in a row cannot be had.
pub(crate) fn of_locking(path: &Path, error: io::Error) -> StoreError {
    let kind = error.kind();
    StoreError::io("the save lock cannot be used", io::Error::new(kind, at(path, error)))
}

/// The record is in its place, and the folder did not say that it is there for good.
pub(crate) fn of_syncing(folder: &Path, error: io::Error) -> StoreError {
    let kind = error.kind();
    let what = "the record was saved, but may not survive a power loss";
    StoreError::io(what, io::Error::new(kind, at(folder, error))).unknown()
}

fn at(path: &Path, source: io::Error) -> AtPath {
    AtPath { path: path.to_owned(), source }
}
