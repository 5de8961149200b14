//! The save lock, which puts the savers of one record in a row.
//!
//! It saves them work and is no more than a courtesy where files can have two names: the claims
//! keep the data, with or without it. It dies with its process.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use regrant_core::StoreFault;
use regrant_storage::{StoreError, owner_only, places};

use crate::fault;
use crate::owner;

/// The pause between two tries: longer than a save holds the lock on an idle disk, and short
/// enough that of a crowd everybody gets some hundred tries.
const PAUSE: Duration = Duration::from_millis(5);

/// How long one waits. A save has 5 s before its caller gives it up, and must have an answer by
/// then.
const PATIENCE: Duration = Duration::from_secs(4);

/// The right to save, as far as this place has locks.
#[derive(Debug)]
pub(crate) enum Lock {
    Held(Held),
    /// The file system has no locks.
    Unlockable,
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    file: File,
    has_waited: bool,
}

impl Drop for Held {
    fn drop(&mut self) {
        // A child between its fork and its exec shares the lock; closing alone would leave it to
        // the child.
        let _ = self.file.unlock();
    }
}

/// Waits for the lock in this file, which is made if it is missing.
pub(crate) fn take(path: &Path) -> Result<Lock, StoreError> {
    let of_locking = |error| fault::of_locking(path, error);
    let file = open(path).map_err(of_locking)?;
    let mut timer = None;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Lock::Held(Held { file, has_waited: timer.is_some() })),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) if places::is_unlockable(&error) => {
                return Ok(Lock::Unlockable);
            }
            Err(TryLockError::Error(error)) => return Err(of_locking(error)),
        }
        let timer = match &mut timer {
            Some(timer) => timer,
            none => none.insert(Timer::start().map_err(of_locking)?),
        };
        if timer.is_over_after(PAUSE) {
            let what = "another process keeps the record locked: see whether it is stopped";
            return Err(fault::about(path, StoreFault::Locked, what));
        }
    }
}

/// Runs out after [`PATIENCE`]. Pauses that are counted take longer than they should on a busy
/// machine, and a lock that becomes free tells nobody.
struct Timer {
    /// Nothing is sent: it ends with the thread that keeps the time.
    end: Receiver<()>,
    /// And that thread ends with this.
    _stop: Sender<()>,
}

impl Timer {
    fn start() -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let (ends, end) = mpsc::channel();
        thread::Builder::new().name("regrant-lock".to_owned()).spawn(move || {
            let _ = stopped.recv_timeout(PATIENCE);
            drop::<Sender<()>>(ends);
        })?;
        Ok(Self { end, _stop: stop })
    }

    fn is_over_after(&self, pause: Duration) -> bool {
        self.end.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected)
    }
}

impl Lock {
    /// Whether somebody else had it first.
    pub(crate) fn has_waited(&self) -> bool {
        match self {
            Self::Held(held) => held.has_waited,
            Self::Unlockable => false,
        }
    }

    /// Whether nobody else can have it: a second try for the lock in this file must fail.
    pub(crate) fn excludes_others(&self, path: &Path) -> bool {
        match self {
            Self::Held(_) => {
                let second = open(path).map(|file| file.try_lock());
                matches!(second, Ok(Err(TryLockError::WouldBlock)))
            }
            Self::Unlockable => false,
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let file = owner_only::options().read(true).write(true).create(true).open(path)?;
    // There is no secret in it, and who can open it can only make others wait.
    if let Err(error) = owner_only::repair(&file) {
        tracing::debug!(%error, "others can open the save lock");
    }
    owner::as_of_folder(&file, path);
    Ok(file)
}
