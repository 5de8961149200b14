//! Leases as locks of files: the operating system takes them back from the dead.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use regrant_core::{Holder, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::error::StoreError;
use crate::lease::{HeldLease, RefreshLease, Tried};
use crate::{owner_only, places};

/// A [`RefreshLease`] for the processes of one host: an exclusive lock on a file per account.
///
/// The files lie in one folder, are named by a hash of the account, and are never deleted: two
/// processes could otherwise hold locks on two files of one name. Beside each lies a second one
/// that says who holds it, for people, since a locked file cannot be read everywhere.
///
/// A lock dies with its process, however that ends, and outlives any sleep of the machine. A
/// holder that is stopped still holds. Each try is a few system calls on the caller's thread and
/// waits for nobody.
#[derive(Clone, Debug)]
pub struct FileLease {
    folder: PathBuf,
    /// Whether it was said that others can open the locks. Tries are many, and once is enough.
    warned: Arc<AtomicBool>,
}

impl FileLease {
    /// Leases whose files lie in this folder, which is made with the first try (0700). It should
    /// hold nothing else: if others may open it, that is taken from them, with a warning.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), warned: Arc::default() }
    }

    fn path(&self, account: &str) -> PathBuf {
        let hash = Sha256::digest(account.as_bytes());
        let mut name: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        name.push_str(".lease");
        self.folder.join(name)
    }

    fn lock(&self, account: &str, now: Timestamp) -> Result<Tried, StoreError> {
        let path = self.path(account);
        let file = self.opened(&path)?;
        let noted = path.with_extension("holder");
        match file.try_lock() {
            Ok(()) => {
                note(&noted, now);
                Ok(Tried::Held(Box::new(HeldFile { file, noted })))
            }
            Err(TryLockError::WouldBlock) => Ok(Tried::Busy(holder(&noted))),
            Err(TryLockError::Error(error)) if places::is_unlockable(&error) => {
                Ok(Tried::Unlockable)
            }
            Err(TryLockError::Error(error)) => {
                Err(StoreError::io("the lock file cannot be locked", error))
            }
        }
    }

    fn opened(&self, path: &Path) -> Result<File, StoreError> {
        let open = || owner_only::options().read(true).write(true).create(true).open(path);
        let file = match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                owner_only::create_folder(&self.folder)
                    .map_err(|error| StoreError::io("the folder of locks cannot be made", error))?;
                open()
            }
            result => result,
        };
        let file = file.map_err(|error| StoreError::io("the lock file cannot be opened", error))?;
        self.repair(&file);
        Ok(file)
    }

    /// There is no secret in here: what cannot be repaired is worth a warning and no failure.
    fn repair(&self, file: &File) {
        let repaired = owner_only::repair(file)
            .and_then(|file| Ok(owner_only::repair_folder(&self.folder)? || file));
        if matches!(repaired, Ok(false)) || self.warned.swap(true, Ordering::Relaxed) {
            return;
        }
        let path = self.folder.display();
        match repaired {
            Ok(_) => tracing::warn!(%path, "others could open the locks; now they cannot"),
            Err(error) => tracing::warn!(%path, %error, "others can open the locks"),
        }
    }
}

#[async_trait]
impl RefreshLease for FileLease {
    async fn try_acquire(&self, account: &str, now: Timestamp) -> Result<Tried, StoreError> {
        self.lock(account, now)
    }

    fn proves_death(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct HeldFile {
    file: File,
    noted: PathBuf,
}

#[async_trait]
impl HeldLease for HeldFile {
    async fn renew(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }

    fn time_left(&self) -> Option<Duration> {
        None
    }
}

impl Drop for HeldFile {
    fn drop(&mut self) {
        // As long as it is ours: the next holder's name must not be wiped.
        if let Ok(noted) = fs::OpenOptions::new().write(true).open(&self.noted) {
            let _ = noted.set_len(0);
        }
        // A child between its fork and its exec shares the lock; closing alone would leave it
        // to the child.
        let _ = self.file.unlock();
    }
}

/// Notes who holds. In one write of always the same length, so that who reads meanwhile finds
/// the old note, the new one, or nothing.
fn note(path: &Path, now: Timestamp) {
    let note = format!("pid {:010} since {:020}\n", std::process::id(), now.as_millis());
    let write = || -> io::Result<()> {
        let mut options = owner_only::options();
        let mut file = options.write(true).create(true).truncate(false).open(path)?;
        owner_only::repair(&file)?;
        file.write_all(note.as_bytes())?;
        file.set_len(note.len() as u64)
    };
    if let Err(error) = write() {
        tracing::debug!(%error, "who holds the lease could not be noted");
    }
}

/// Reads what [`note`] wrote. Whatever else stands there says nothing.
fn holder(path: &Path) -> Holder {
    /// More than any note has.
    const MOST: u64 = 100;
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text));
    let words: Vec<_> = text.split_ascii_whitespace().collect();
    let (pid, since) = match (read, words.as_slice()) {
        (Ok(_), ["pid", pid, "since", since]) if text.ends_with('\n') => {
            (pid.parse().ok(), since.parse().ok().map(Timestamp::from_millis))
        }
        (Ok(_) | Err(_), _) => (None, None),
    };
    Holder { pid, host: None, since }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_that_cannot_be_read_names_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.holder");
        let nobody = Holder { pid: None, host: None, since: None };
        assert_eq!(holder(&path), nobody);
        for garbage in [&b""[..], b"pid", b"pid 7 since 8", b"\xff\xfe", b"pid 7 until 8\n"] {
            fs::write(&path, garbage).unwrap();
            assert_eq!(holder(&path), nobody, "{garbage:?}");
        }
        fs::write(&path, vec![b'7'; 1 << 20]).unwrap();
        assert_eq!(holder(&path), nobody);
        note(&path, Timestamp::from_millis(9));
        assert_eq!(holder(&path).pid, Some(std::process::id()));
    }
}
