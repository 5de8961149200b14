//! Where the database lies, and the files beside it.
//!
//! Nothing here opens the database itself. On POSIX systems a process that closes a file loses
//! all its locks on it, also those that SQLite holds through another descriptor, and with them
//! what keeps two writers apart. So the file is looked at by name, and never copied.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use regrant_core::StoreFault;
use regrant_storage::{StoreError, owner_only, places};

use crate::fault;

/// The bytes of the smallest page, of which a database has one at least. SQLite itself takes a
/// file of one byte for a database without tables.
const LEAST: u64 = 512;

/// A database's real path. Nothing needs to be there.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    path: PathBuf,
    text: String,
}

/// Which file a path names now: its device and inode. A connection to another file is stale.
///
/// Windows tells neither, but does not rename a file that SQLite has open either.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId(u64, u64);

impl Place {
    /// The place of this path, with the symlinks in it resolved: SQLite names the journal after
    /// the path it was given, and two names for one database would make two journals.
    pub(crate) fn resolve(path: &Path) -> Result<Self, StoreError> {
        let real = places::real_path(path).map_err(|error| fault::of_looking(path, error))?;
        let Some(text) = real.to_str().map(str::to_owned) else {
            let what = "the path of the database is not UTF-8, and SQLite takes no other";
            return Err(StoreError::new(StoreFault::Unavailable, what));
        };
        Ok(Self { path: real, text })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The path with this at its end.
    pub(crate) fn beside(&self, end: &str) -> PathBuf {
        PathBuf::from(format!("{}{end}", self.text))
    }

    pub(crate) fn lock_folder(&self) -> PathBuf {
        self.beside(".locks")
    }

    /// Where a database is made, before it gets its name.
    pub(crate) fn draft(&self) -> PathBuf {
        self.beside(".regrant-new")
    }

    /// A file to ask the file system with, in the folder of locks, which must be there. Nothing
    /// of SQLite's is in it, so it may be closed.
    pub(crate) fn probe(&self) -> io::Result<Probe> {
        let path = self.lock_folder().join("probe");
        let mut options = owner_only::options();
        let file = options.write(true).create(true).truncate(false).open(&path)?;
        Ok(Probe { file, path })
    }

    /// The file that is there, if one is. An empty one is damage: nothing of ours is ever empty.
    pub(crate) fn look(&self) -> Result<Option<FileId>, StoreError> {
        let metadata = match fs::metadata(&self.path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fault::of_looking(&self.path, error)),
        };
        if !metadata.is_file() {
            let what = "there is something other than a file where the database should be";
            return Err(StoreError::new(StoreFault::Unavailable, what));
        }
        let what = match metadata.len() {
            0 => "the file is empty where a database should be",
            1..LEAST => "the file is too short to be a database",
            LEAST.. => return Ok(Some(file_id(&metadata))),
        };
        Err(StoreError::new(StoreFault::Corrupt, what))
    }

    /// Takes the rights of others to the database away, with a warning.
    pub(crate) fn make_private(&self) {
        for path in [self.path.clone(), self.beside("-journal")] {
            if let Ok(metadata) = fs::metadata(&path) {
                close_to_others(&path, &metadata, 0o600);
            }
        }
    }

    /// The folder of the database and the folder of its locks, made if they are missing.
    pub(crate) fn make_folders(&self) -> Result<(), StoreError> {
        let folder = self.lock_folder();
        make_folder(&folder).map_err(|error| fault::of_creating(&folder, error))?;
        if let Ok(metadata) = fs::metadata(&folder) {
            close_to_others(&folder, &metadata, 0o700);
        }
        Ok(())
    }

    /// An empty file for the draft, after what a creator that died has left was swept. Only for
    /// the one who holds the creation lock.
    pub(crate) fn start_draft(&self) -> Result<(), StoreError> {
        let draft = self.draft();
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => private_file().open(&draft).map(drop),
        }
        .map_err(|error| fault::of_creating(&draft, error))
    }

    /// Gives the draft its name, durably. Only for the one who holds the creation lock, after
    /// SQLite has closed the draft.
    pub(crate) fn publish(&self) -> Result<(), StoreError> {
        let draft = self.draft();
        // Windows syncs only what may be written.
        let file = OpenOptions::new().write(true).open(&draft);
        file.and_then(|file| file.sync_all())
            .and_then(|()| fs::rename(&draft, &self.path))
            .map_err(|error| fault::of_creating(&self.path, error))?;
        // It is there now; only whether it survives a power loss is not known.
        sync_folder_of(&self.path).map_err(|error| fault::of_creating(&self.path, error).unknown())
    }
}

/// A file that is gone when it is dropped.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) file: File,
    path: PathBuf,
}

impl Drop for Probe {
    fn drop(&mut self) {
        // Another process with the same question may have taken it away.
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes an empty file that only its owner can read, if there is none, and leaves it closed.
pub(crate) fn make_private_file(path: &Path) -> io::Result<()> {
    match private_file().open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Makes a folder and those above it, durably: the entry of a new folder is lost in a power loss
/// like that of a new file.
fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        make_folder(above)?;
    }
    match private_folder().create(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder_of(path),
    }
}

/// Whether two names are those of one file, as far as can be told.
#[cfg(unix)]
pub(crate) fn is_same_file(one: &Path, other: &Path) -> bool {
    let id = |path| fs::symlink_metadata(path).ok().map(|metadata| file_id(&metadata));
    id(one).is_some_and(|one| id(other) == Some(one))
}

#[cfg(not(unix))]
pub(crate) fn is_same_file(_: &Path, _: &Path) -> bool {
    false
}

#[cfg(unix)]
fn file_id(metadata: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt;
    FileId(metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn file_id(_: &Metadata) -> FileId {
    FileId(0, 0)
}

fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn private_folder() -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

#[cfg(unix)]
fn close_to_others(path: &Path, metadata: &Metadata, widest: u32) {
    use std::os::unix::fs::PermissionsExt;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return;
    }
    // Only the owner's bits are kept: who may not write may not write afterwards either.
    match fs::set_permissions(path, fs::Permissions::from_mode(mode & widest)) {
        Ok(()) => tracing::warn!(
            path = %path.display(),
            mode = format_args!("{mode:o}"),
            "others had rights to where credentials are kept; they have none now"
        ),
        Err(error) => tracing::warn!(
            path = %path.display(),
            mode = format_args!("{mode:o}"),
            %error,
            "others have rights to where credentials are kept, and they cannot be taken away"
        ),
    }
}

#[cfg(not(unix))]
fn close_to_others(_: &Path, _: &Metadata, _: u32) {}

#[cfg(unix)]
pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(not(unix))]
pub(crate) fn sync_folder_of(_: &Path) -> io::Result<()> {
    Ok(())
}
