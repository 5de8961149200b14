//! A save, step by step.
//!
//! 1. What is there is read. If it is not what was expected, that is the answer.
//! 2. The save lock is taken. Whoever has waited for it reads again, since whoever had it has
//!    saved. Nothing was written so far: of a crowd that saves over one record, only one writes.
//! 3. The draft is written under a name of its own in the same folder, and synced.
//! 4. The draft [claims](crate::claim) its predecessor, and is renamed over it.
//! 5. The folder is synced. Only then is the save done.
//!
//! Readers open the one name, and find the old file or the new one, each whole. A crash leaves
//! the one or the other there, and beside it perhaps a draft or a claim: these are not read, and
//! swept later.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::Ordering;

use regrant_core::StoreFault;
use regrant_storage::{Blob, Expected, Saved, StoreError, owner_only};

use crate::claim::{self, Ended, Steps as _};
use crate::digest::Digest;
use crate::fault;
use crate::folder::{self, Folder};
use crate::leftovers;
use crate::lock::{self, Lock};
use crate::names::Stem;
use crate::owner;
use crate::record;
use crate::site::{Found, Held, LONGEST, Site};

/// How often a save is begun. Where locks work it is begun once. Where they do not, others can
/// discard a draft and then fail themselves; that this happens often in a row is most unlikely.
const ROUNDS: u32 = 20;

/// What a save may replace.
#[derive(Clone, Copy, Debug)]
enum Over {
    Expected(Expected),
    Unreadable,
}

impl Over {
    fn is(self, found: &Found) -> bool {
        match self {
            Self::Expected(expected) => found.is(expected),
            Self::Unreadable => matches!(found.held, Held::Unreadable(_)),
        }
    }
}

/// What is there is not what was to be replaced.
fn refused(found: Found) -> Result<Saved, StoreError> {
    match found.held {
        Held::Nothing => Ok(Saved::Mismatch(None)),
        Held::Record(blob) => Ok(Saved::Mismatch(Some(blob))),
        Held::Unreadable(error) => Err(error),
    }
}

impl Folder {
    pub(crate) fn save(&self, blob: &Blob, expected: Expected) -> Result<Saved, StoreError> {
        self.put(blob, Over::Expected(expected))
    }

    pub(crate) fn replace(&self, blob: &Blob) -> Result<Saved, StoreError> {
        self.put(blob, Over::Unreadable)
    }

    /// Keeps a copy of the record, if it is still this one. What is not there any more nobody
    /// saves over.
    pub(crate) fn set_aside(&self, blob: &Blob) -> Result<(), StoreError> {
        let site = self.site(Stem::of(&blob.entry.name))?;
        let found = site.read()?;
        if let Held::Nothing = found.held {
            let what = "there is no record to set aside: load again";
            return Err(fault::about(&site.file, StoreFault::Unavailable, what));
        }
        let _lock = self.lock(&site.stem)?;
        match site.read()?.held {
            Held::Record(current) if current == *blob => leftovers::keep_copy(&self.path, &site),
            Held::Record(_) | Held::Nothing => Ok(()),
            Held::Unreadable(error) => Err(error),
        }
    }

    fn put(&self, blob: &Blob, over: Over) -> Result<Saved, StoreError> {
        let site = self.site(Stem::of(&blob.entry.name))?;
        let bytes = record::encode(blob, random()?);
        if bytes.len() > LONGEST {
            let what = "the record is longer than 16 MiB, and a file of that length is not read";
            return Err(StoreError::new(StoreFault::Full, what));
        }
        let mut found = site.read()?;
        if !over.is(&found) {
            return refused(found);
        }
        let lock = self.lock(&site.stem)?;
        if lock.has_waited() {
            found = site.read()?;
        }
        for _ in 0..ROUNDS {
            if !over.is(&found) {
                return refused(found);
            }
            if let Over::Unreadable = over {
                leftovers::keep_copy(&self.path, &site)?;
            }
            let draft = Draft::write(&site, found.digest, &bytes)?;
            if draft.commit(&lock, &self.path.join(site.stem.lock()))? {
                self.end(&site, blob, found.digest)?;
                return Ok(Saved::Done);
            }
            found = site.read()?;
        }
        let what = "others save the same record without a pause: try again";
        Err(fault::about(&site.file, StoreFault::Locked, what))
    }

    /// Makes a save durable, and sweeps.
    fn end(&self, site: &Site<'_>, blob: &Blob, over: Digest) -> Result<(), StoreError> {
        let sync = || {
            owner_only::sync_folder(&site.folder)
                .map_err(|error| fault::of_syncing(&site.folder, error))
        };
        sync()?;
        if over == Digest::Absent {
            folder::sync_name(&site.folder);
        }
        if !blob.entry.live && leftovers::sweep_at_logout(&self.path, site, over) {
            sync()?;
        }
        if !self.is_swept.swap(true, Ordering::Relaxed) {
            leftovers::sweep(self);
        }
        Ok(())
    }

    fn lock(&self, stem: &Stem) -> Result<Lock, StoreError> {
        let path = self.path.join(stem.lock());
        if !self.path.is_dir() {
            folder::make(&self.path).map_err(|error| fault::of_making(&self.path, error))?;
        }
        let lock = lock::take(&path)?;
        if matches!(lock, Lock::Unlockable) && !self.is_known_lockless.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                path = %self.path.display(),
                "this file system has no locks: savers get into each other's way, and lose nothing"
            );
        }
        Ok(lock)
    }
}

/// A whole and synced file that shall replace the record. It goes when it is dropped, if it was
/// not published.
struct Draft<'a> {
    site: &'a Site<'a>,
    over: Digest,
    digest: Digest,
}

impl<'a> Draft<'a> {
    fn write(site: &'a Site<'a>, over: Digest, bytes: &[u8]) -> Result<Self, StoreError> {
        let digest = Digest::of(bytes);
        let path = site.draft(over, digest);
        let failed = |error| fault::of_writing(&path, error);
        let created = owner_only::options().write(true).create_new(true).open(&path);
        let mut file = created.map_err(failed)?;
        let draft = Self { site, over, digest };
        owner::as_of_predecessor(&file, &site.file);
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        Ok(draft)
    }

    /// Replaces the record it was made over; `false` if that is not there any more.
    fn commit(&self, lock: &Lock, path: &Path) -> Result<bool, StoreError> {
        let steps = self.site.over(self.over);
        match claim::commit(&steps, self.over, self.digest)? {
            Ended::Published => Ok(true),
            Ended::Passed => Ok(false),
            // Then the lock must do: from the last look on nobody else may rename.
            Ended::Linkless if lock.excludes_others(path) => {
                Ok(steps.current()? == self.over && claim::publish(&steps, self.digest)?)
            }
            Ended::Linkless => {
                let what = "this file system has neither hard links nor locks that keep others \
                            out: name a folder on another one";
                Err(fault::about(&self.site.folder, StoreFault::Unavailable, what))
            }
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // Of the one that was published this name is gone.
        let _ = fs::remove_file(self.site.draft(self.over, self.digest));
    }
}

pub(crate) fn random() -> Result<[u8; 16], StoreError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        let what = "the system gives no random bytes";
        StoreError::new(StoreFault::Unavailable, what).because(error)
    })?;
    Ok(random)
}
