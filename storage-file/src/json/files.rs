//! The files: the other program's own, and regrant's beside it.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use regrant_storage::{StoreError, owner_only, places};

use crate::digest::Digest;
use crate::json::seen::{self, Bytes, Seen};
use crate::{fault, owner};

/// Where everything lies.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    /// The other program's file, with the links to it resolved.
    pub(crate) file: PathBuf,
    pub(crate) folder: PathBuf,
    pub(crate) notes: PathBuf,
    pub(crate) lock: PathBuf,
}

impl Files {
    /// The files of this path. Nothing needs to be there.
    pub(crate) fn resolve(path: &Path) -> Result<Self, StoreError> {
        let file = places::real_path(path).map_err(|error| fault::of_reading(path, error))?;
        let Some(folder) = file.parent().map(Path::to_owned) else {
            return Err(seen::not_a_file(&file));
        };
        let (notes, lock) = (beside(&file, ".regrant"), beside(&file, ".regrant.lock"));
        Ok(Self { file, folder, notes, lock })
    }

    /// The other program's file; `None` if it is not there.
    pub(crate) fn read(&self) -> Result<Option<Seen>, StoreError> {
        Seen::open(&self.file)
    }

    pub(crate) fn read_notes(&self) -> Result<Option<Bytes>, StoreError> {
        Ok(Seen::open(&self.notes)?.map(|seen| seen.bytes))
    }

    /// Replaces the notes, durably.
    pub(crate) fn write_notes(&self, bytes: &[u8]) -> Result<(), StoreError> {
        // No two notes are the same, so no two savers have one draft.
        let path = beside(&self.notes, &format!(".{}.tmp", Digest::of(bytes)));
        let draft = Draft::write(&path, bytes, |file| {
            owner::as_of_predecessor(file, &self.file);
            Ok(())
        })?;
        let renamed = fs::rename(&draft.path, &self.notes);
        renamed.map_err(|error| fault::of_writing(&self.notes, error))?;
        self.sync()
    }

    /// A new content of the other program's file, synced, with the mode and the owner of the one
    /// that is there.
    pub(crate) fn draft(&self, over: Digest, bytes: &[u8]) -> Result<Draft, StoreError> {
        Draft::write(&self.draft_path(over, Digest::of(bytes)), bytes, |file| {
            match fs::metadata(&self.file) {
                Ok(original) => give(file, &original),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    owner::as_of_predecessor(file, &self.file);
                    Ok(())
                }
                Err(error) => Err(fault::of_reading(&self.file, error)),
            }
        })
    }

    fn draft_path(&self, over: Digest, bytes: Digest) -> PathBuf {
        beside(&self.notes, &format!(".{over}.{bytes}.tmp"))
    }

    /// Makes the names in the folder survive a power loss.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        owner_only::sync_folder(&self.folder)
            .map_err(|error| fault::of_syncing(&self.folder, error))
    }

    /// Keeps a copy of what cannot be read, under the first free number; the same content again
    /// adds nothing.
    pub(crate) fn set_aside(&self, original: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        for number in 1..=u32::MAX {
            let path = beside(original, &format!(".corrupt-{number}"));
            match Seen::open(&path)? {
                Some(copy) if copy.bytes[..] == *bytes => return Ok(()),
                Some(_) => {}
                None => {
                    Draft::write(&path, bytes, |_| Ok(()))?.keep();
                    let path = path.display();
                    tracing::warn!(%path, "a file that cannot be read is set aside for a login or a logout");
                    break;
                }
            }
        }
        self.sync()
    }

    /// The files beside the two whose names begin as theirs do, and how their names go on.
    pub(crate) fn companions(&self) -> io::Result<Vec<(PathBuf, Companion)>> {
        let Some(name) = self.file.file_name() else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let other = entry?.file_name();
            let rest = other.as_encoded_bytes().strip_prefix(name.as_encoded_bytes());
            let rest = rest.and_then(|rest| str::from_utf8(rest).ok());
            if let Some(companion) = rest.and_then(Companion::parse) {
                found.push((self.folder.join(other), companion));
            }
        }
        Ok(found)
    }
}

/// A file that saves leave behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Companion {
    /// A new content for the other program's file: what it was made over, and itself.
    Draft {
        over: Digest,
        bytes: Digest,
    },
    NotesDraft,
    Copy,
}

impl Companion {
    /// Reads what follows the file's own name.
    fn parse(rest: &str) -> Option<Self> {
        let parts: Vec<&str> = rest.split('.').collect();
        match parts.as_slice() {
            ["", "regrant", over, bytes, "tmp"] => {
                Some(Self::Draft { over: Digest::parse(over)?, bytes: Digest::parse(bytes)? })
            }
            ["", "regrant", bytes, "tmp"] => Digest::parse(bytes).map(|_| Self::NotesDraft),
            ["", copy] | ["", "regrant", copy] => {
                let _: u32 = copy.strip_prefix("corrupt-")?.parse().ok()?;
                Some(Self::Copy)
            }
            _ => None,
        }
    }
}

/// A whole file under a name of its own, which goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) path: PathBuf,
    is_kept: bool,
}

impl Draft {
    /// Writes it, at first for its owner alone, and syncs it once it is given to whom it belongs.
    fn write(
        path: &Path,
        bytes: &[u8],
        give: impl FnOnce(&File) -> Result<(), StoreError>,
    ) -> Result<Self, StoreError> {
        let failed = |error| fault::of_writing(path, error);
        // One of the same content can only have been left by a saver that died.
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let created = owner_only::options().write(true).create_new(true).open(path);
        let mut file = created.map_err(failed)?;
        let draft = Self { path: path.to_owned(), is_kept: false };
        file.write_all(bytes).map_err(failed)?;
        give(&file)?;
        file.sync_all().map_err(failed)?;
        Ok(draft)
    }

    /// Leaves the file where it is.
    pub(crate) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept {
            // Of one that was renamed this name is gone.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(end);
    name.into()
}

/// Gives a new file the owner and the mode of the one that it shall replace.
#[cfg(unix)]
fn give(file: &File, original: &Metadata) -> Result<(), StoreError> {
    use std::os::unix::fs::{MetadataExt as _, fchown};

    let given = file.metadata().and_then(|now| {
        if (now.uid(), now.gid()) != (original.uid(), original.gid()) {
            fchown(file, Some(original.uid()), Some(original.gid()))?;
        }
        file.set_permissions(original.permissions())
    });
    given.map_err(|error| {
        let what = "the file is another user's or group's, and would not be theirs any more if it \
                    was replaced: run as its owner";
        StoreError::io(what, error)
    })
}

/// Where files have no modes, they inherit who may read them from their folder.
#[cfg(not(unix))]
fn give(_: &File, _: &Metadata) -> Result<(), StoreError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_of_another_program_is_taken_for_ours() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::resolve(&folder.path().join("c.json")).unwrap();
        let digest = Digest::of(b"");
        let draft = Companion::Draft { over: Digest::Absent, bytes: digest };
        for (rest, companion) in [
            ("", None),
            (".bak", None),
            (".regrant", None),
            (".regrant.lock", None),
            (".regrant.tmp", None),
            (".tmp", None),
            (".corrupt-", None),
            (".corrupt-x", None),
            (".corrupt-1.bak", None),
            (".corrupt-1", Some(Companion::Copy)),
            (".regrant.corrupt-2", Some(Companion::Copy)),
            (&format!(".regrant.{digest}.tmp"), Some(Companion::NotesDraft)),
            (&format!(".regrant.absent.{digest}.tmp"), Some(draft)),
        ] {
            assert_eq!(Companion::parse(rest), companion, "{rest}");
            fs::write(beside(&files.file, rest), "x").unwrap();
        }
        fs::write(folder.path().join("other.json.corrupt-1"), "x").unwrap();
        assert_eq!(files.companions().unwrap().len(), 4);
        // As long as eCryptfs takes, the least of the file systems in use.
        let name = files.draft_path(digest, digest);
        assert!(name.file_name().unwrap().len() - "c.json".len() < 100, "{}", name.display());
    }

    #[test]
    fn a_path_that_leads_nowhere_yet_leads_where_its_links_do() {
        let folder = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(folder.path()).unwrap().join("real.json");
        let resolved = |path: &Path| Files::resolve(path).unwrap().file;
        assert_eq!(resolved(&folder.path().join("real.json")), real);
        #[cfg(unix)]
        {
            let link = folder.path().join("link.json");
            std::os::unix::fs::symlink("real.json", &link).unwrap();
            assert_eq!(resolved(&link), real);
            fs::write(&real, "{}").unwrap();
            assert_eq!(resolved(&link), real);
        }
    }
}
