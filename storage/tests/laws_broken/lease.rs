//! A lease as a file, with a leak or without.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use regrant_core::Timestamp;
use regrant_storage::laws::{LeasePlace, ProcessPlace};
use regrant_storage::{FileLease, HeldLease, Holder, RefreshLease, StoreError, Tried};
use tempfile::TempDir;

/// What is wrong with a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leak {
    /// Nothing: shows that the laws can be kept.
    None,
    /// Everybody has it.
    Shared,
    /// A file that exists: nobody removes it for the dead.
    Exists,
    /// A file that exists, and counts for nothing once it is old.
    Expires,
    /// Whoever holds it is not named.
    NamesNobody,
    /// Is handed on to every process that the holder starts.
    Inherited,
    /// Takes a place without locks for one where another holds them.
    BusyWithoutLocks,
    /// Takes a place that cannot be written for one without locks.
    UnlockableReadOnly,
}

const LEAKS: [Leak; 8] = [
    Leak::None,
    Leak::Shared,
    Leak::Exists,
    Leak::Expires,
    Leak::NamesNobody,
    Leak::Inherited,
    Leak::BusyWithoutLocks,
    Leak::UnlockableReadOnly,
];

/// How old a lease that expires may become.
const LIFE: Duration = Duration::from_millis(100);

/// A folder with a lease of this leak.
pub(crate) struct LockFile {
    leak: Leak,
    path: PathBuf,
    /// Of the one that was made new: it goes with it.
    _folder: Option<TempDir>,
}

impl LockFile {
    pub(crate) fn with(leak: Leak) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { leak, path: folder.path().to_owned(), _folder: Some(folder) }
    }
}

impl ProcessPlace for LockFile {
    fn address(&self) -> String {
        format!("{:?}:{}", self.leak, self.path.display())
    }

    fn at(address: &str) -> Self {
        let (leak, path) = address.split_once(':').unwrap();
        let leak = LEAKS.into_iter().find(|known| format!("{known:?}") == leak).unwrap();
        Self { leak, path: path.into(), _folder: None }
    }
}

#[async_trait]
impl LeasePlace for LockFile {
    async fn open(&self) -> Arc<dyn RefreshLease> {
        match self.leak {
            Leak::None => Arc::new(FileLease::new(self.path.join("locks"))),
            leak => Arc::new(Leaky { leak, path: self.path.join("lock") }),
        }
    }
}

#[derive(Debug)]
struct Leaky {
    leak: Leak,
    path: PathBuf,
}

#[async_trait]
impl RefreshLease for Leaky {
    async fn try_acquire(&self, _: &str, _: Timestamp) -> Result<Tried, StoreError> {
        let tried = match self.leak {
            Leak::Shared => Ok(Tried::Held(Box::new(HeldFile::Nothing))),
            Leak::Exists | Leak::Expires => by_existence(self.leak, &self.path),
            _ => by_lock(self.leak, &self.path),
        };
        match tried {
            Err(error) if self.leak == Leak::UnlockableReadOnly => {
                drop(error);
                Ok(Tried::Unlockable)
            }
            tried => tried.map_err(|error| StoreError::io("the lock cannot be taken", error)),
        }
    }

    fn proves_death(&self) -> bool {
        true
    }
}

fn by_existence(leak: Leak, path: &Path) -> io::Result<Tried> {
    let age = fs::metadata(path).and_then(|file| file.modified()).map(|since| since.elapsed());
    if leak == Leak::Expires && age.is_ok_and(|age| age.is_ok_and(|age| age > LIFE)) {
        let _ = fs::remove_file(path);
    }
    match File::create_new(path) {
        Ok(_) => {
            fs::write(path, std::process::id().to_string())?;
            Ok(Tried::Held(Box::new(HeldFile::Exists(path.to_owned()))))
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(busy(leak, path)),
        Err(error) => Err(error),
    }
}

fn by_lock(leak: Leak, path: &Path) -> io::Result<Tried> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => {
            if leak == Leak::Inherited {
                hand_on(&file)?;
            }
            fs::write(path, std::process::id().to_string())?;
            Ok(Tried::Held(Box::new(HeldFile::Locked(file))))
        }
        Err(TryLockError::WouldBlock) => Ok(busy(leak, path)),
        Err(TryLockError::Error(_)) if leak == Leak::BusyWithoutLocks => Ok(busy(leak, path)),
        Err(TryLockError::Error(_)) => Ok(Tried::Unlockable),
    }
}

fn busy(leak: Leak, path: &Path) -> Tried {
    let pid = fs::read_to_string(path).ok().and_then(|text| text.parse().ok());
    let pid = pid.filter(|_| leak != Leak::NamesNobody);
    Tried::Busy(Holder { pid, host: None, since: None })
}

#[cfg(unix)]
fn hand_on(file: &File) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(file, rustix::io::FdFlags::empty())?)
}

#[cfg(not(unix))]
fn hand_on(_: &File) -> io::Result<()> {
    Ok(())
}

#[derive(Debug)]
enum HeldFile {
    Nothing,
    Exists(PathBuf),
    Locked(#[expect(dead_code, reason = "it is held")] File),
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
        if let Self::Exists(path) = self {
            let _ = fs::remove_file(path);
        }
    }
}
