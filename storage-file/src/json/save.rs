//! A load and a save, step by step.
//!
//! 1. Both files are read. If they do not say what was expected, that is the answer.
//! 2. The save lock is taken, and they are read again. It keeps regrant's processes apart; the
//!    other program does not know it.
//! 3. If the tokens stay, only the notes are written. That is the whole save.
//! 4. The notes are written with both records, the one that is there and the one to come.
//! 5. The new content of the file [takes the place](crate::json::swap) of the old, if that is
//!    still what was read. This is the moment of the save: the tokens in the file tell which of
//!    the two records counts, so a crash before it has changed nothing, and one after it nothing
//!    can undo.
//! 6. If another program was faster, the notes get their old records back, and what it wrote is
//!    the answer.
//!
//! A logout is saved the other way round, the file first: whoever finds no tokens there is logged
//! out already.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use regrant_core::{Over, Record, Refresh, StoreFault, Stored, Version};
use regrant_storage::{Kept, SaveOutcome, StoreError};
use zeroize::Zeroizing;

use crate::digest::Digest;
use crate::json::JsonAccount;
use crate::json::credential::JsonCredential;
use crate::json::files::Files;
use crate::json::leftovers;
use crate::json::look::Look;
use crate::json::map::JsonMap;
use crate::json::notes::{Entry, Notes};
use crate::json::seen::Bytes;
use crate::json::site::Site;
use crate::json::standing::{Found, Standing, fill_secret, version_of};
use crate::json::swap::{self, Ended, Failed};
use crate::json::text;
use crate::json::tokens::Tokens;
use crate::lock::{self, Lock};
use crate::{fault, folder};

/// How often a save is begun. It is begun again only if another program has changed something
/// else in the file meanwhile.
const ROUNDS: u32 = 20;

/// One file, as one handle knows it. All of this waits for the disk.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) path: PathBuf,
    pub(crate) map: JsonMap,
    pub(crate) account: JsonAccount,
    /// Whether it was said that no lock keeps others out here.
    pub(crate) is_known_lockless: AtomicBool,
}

impl Shared {
    /// What is there, and how often regrant has saved it.
    pub(crate) fn load(&self) -> Result<Option<(Stored, u64)>, StoreError> {
        let files = Files::resolve(&self.path)?;
        let look = Look::at(&files, &self.map)?;
        let revision = look.known().map_or(0, |notes| notes.revision);
        let standing = self.standing(&look, &files)?;
        Ok(standing.map(|standing| (standing.stored, revision)))
    }

    pub(crate) fn save(&self, record: &Record, over: &Over) -> Result<Kept, StoreError> {
        self.refuse(record)?;
        let files = Files::resolve(&self.path)?;
        let look = Look::at(&files, &self.map)?;
        if let Some(refusal) = self.refusal(&look, &files, over) {
            return refusal;
        }
        let lock = self.lock(&files)?;
        if lock.excludes_others(&files.lock) {
            leftovers::recover(&files);
        } else if !self.is_known_lockless.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                path = %files.folder.display(),
                "no lock keeps others out here: use the credential from one process at a time"
            );
        }
        let kept = self.save_locked(record, over, &files);
        drop(lock);
        kept
    }

    fn save_locked(&self, record: &Record, over: &Over, files: &Files) -> Result<Kept, StoreError> {
        for _ in 0..ROUNDS {
            let look = Look::at(files, &self.map)?;
            if let Some(refusal) = self.refusal(&look, files, over) {
                return refusal;
            }
            if let Some(version) = self.put(record, &look, files)? {
                if record.is_logged_out() {
                    leftovers::sweep_at_logout(files, &look);
                }
                return Ok(Kept::Done(version));
            }
        }
        let what = "another program writes the file without a pause: try again";
        Err(fault::about(&files.file, StoreFault::Locked, what))
    }

    /// What this store cannot keep.
    fn refuse(&self, record: &Record) -> Result<(), StoreError> {
        let is_dead = matches!(record.refresh, Refresh::Dead { .. });
        if Tokens::of_record(record).is_none() && !is_dead {
            let what = "the record has no token and does not say why, so it is not saved";
            return Err(StoreError::new(StoreFault::Corrupt, what));
        }
        let mut known = record.client.clone();
        known.client_secret = None;
        fill_secret(&mut known, &self.account.client);
        if record.client.client_secret.is_some() && !known.is(&record.client) {
            let what = "this store keeps no client secret: open it with the same client";
            return Err(StoreError::new(StoreFault::ReadOnly, what));
        }
        Ok(())
    }

    /// Why what is there is not to be replaced; `None` if it is.
    fn refusal(&self, look: &Look, files: &Files, over: &Over) -> Option<Result<Kept, StoreError>> {
        let found = match self.standing(look, files) {
            Ok(found) => found.map(|standing| standing.stored),
            Err(error) => {
                let is_damage = look.read.as_ref().is_err_and(|unreadable| unreadable.is_damage());
                return (*over != Over::Damaged || !is_damage).then_some(Err(error));
            }
        };
        let is_meant = match (over, &found) {
            (Over::Absent, None) => true,
            (Over::Version(version), Some(found)) => found.version == *version,
            (Over::Absent, Some(_)) | (Over::Version(_), None) | (Over::Damaged, _) => false,
        };
        (!is_meant).then_some(Ok(Kept::Mismatch(found)))
    }

    fn standing(&self, look: &Look, files: &Files) -> Result<Option<Standing>, StoreError> {
        match &look.read {
            Ok(Found { notes: Some(notes), .. }) if notes.account != self.account.name => {
                let what = "the notes beside the file are about another account: one file holds \
                            one";
                Err(fault::about(&files.notes, StoreFault::Unavailable, what))
            }
            Ok(found) => Ok(found.standing(&self.map, &self.account)),
            Err(unreadable) => Err(unreadable.error(files)),
        }
    }

    /// Saves over what was seen; `None` if another program was faster.
    fn put(
        &self,
        record: &Record,
        look: &Look,
        files: &Files,
    ) -> Result<Option<Version>, StoreError> {
        let before = match look.known() {
            Some(notes) => notes,
            None => Notes::new(&self.account.name)?,
        };
        let new = before.new_entry(record)?;
        let version = version_of(&new);
        let tokens = Tokens::of_record(record);
        let found = look.read.as_ref().ok();
        let is_done = if found.is_some_and(|found| Tokens::of(&found.credential).is(&tokens)) {
            files.write_notes(&before.then(Some(new), None).encode())?;
            true
        } else if tokens.is_none() {
            self.put_end(record, look, files, || before.then(Some(new), None))?
        } else {
            let both = before.then(self.entry(look, &before)?, Some(new));
            self.put_tokens(record, look, files, before, &both)?
        };
        Ok(is_done.then_some(version))
    }

    /// Saves a record that has tokens: the notes, and then the file. `false` if another program
    /// was faster.
    fn put_tokens(
        &self,
        record: &Record,
        look: &Look,
        files: &Files,
        before: Notes,
        both: &Notes,
    ) -> Result<bool, StoreError> {
        let content = self.content(record, look, files)?;
        set_aside(look, files)?;
        // Whatever comes of it, the notes are not yet the save.
        let noted = files.write_notes(&both.encode()).map_err(|error| {
            let what = "the notes beside the file cannot be written";
            StoreError::new(error.kind(), what).because(error)
        });
        let ended = noted.and_then(|()| replace(files, look.file.as_ref(), &content));
        let is_undone = match &ended {
            Ok(Ended::Replaced) => false,
            Ok(Ended::Other) => true,
            Err(error) => error.outcome() == SaveOutcome::NotApplied,
        };
        if is_undone && let Err(error) = files.write_notes(&before.again(both).encode()) {
            tracing::debug!(%error, "a save that was not done is still in the notes");
        }
        Ok(ended? == Ended::Replaced)
    }

    /// Saves a record that has none: the file, and then the notes.
    fn put_end(
        &self,
        record: &Record,
        look: &Look,
        files: &Files,
        after: impl FnOnce() -> Notes,
    ) -> Result<bool, StoreError> {
        let content = self.content(record, look, files)?;
        set_aside(look, files)?;
        if replace(files, look.file.as_ref(), &content)? == Ended::Other {
            return Ok(false);
        }
        files.write_notes(&after().encode()).map_err(StoreError::unknown)?;
        Ok(true)
    }

    /// The entry of what is there now.
    fn entry(&self, look: &Look, notes: &Notes) -> Result<Option<Entry>, StoreError> {
        let standing = look.read.as_ref().ok();
        match standing.and_then(|found| found.standing(&self.map, &self.account)) {
            Some(Standing { entry: Some(entry), .. }) => Ok(Some(entry)),
            Some(Standing { stored, entry: None }) => notes.new_entry(&stored.record).map(Some),
            None => Ok(None),
        }
    }

    /// The new content of the file: the old one, with the tokens of this record.
    fn content(&self, record: &Record, look: &Look, files: &Files) -> Result<Bytes, StoreError> {
        let old = look.file.as_ref().and_then(|bytes| str::from_utf8(bytes).ok());
        let old = old.filter(|old| text::is_whole(old)).unwrap_or(text::EMPTY);
        let new = self.map.write(old, &JsonCredential::of(record)).map_err(|error| {
            let what = "the file has no place where its map says: correct the map";
            fault::about(&files.file, StoreFault::Unavailable, what).because(error)
        })?;
        Ok(Zeroizing::new(new.as_bytes().to_vec()))
    }

    fn lock(&self, files: &Files) -> Result<Lock, StoreError> {
        if !files.folder.is_dir() {
            folder::make(&files.folder).map_err(|error| fault::of_writing(&files.folder, error))?;
        }
        lock::take(&files.lock)
    }
}

/// Puts this content in the place of the one that was seen.
fn replace(files: &Files, expected: Option<&Bytes>, content: &Bytes) -> Result<Ended, StoreError> {
    let over = expected.map_or(Digest::Absent, |bytes| Digest::of(bytes));
    let draft = files.draft(over, content)?;
    let site = Site { file: &files.file, draft: &draft.path, folder: &files.folder };
    match swap::commit(&site, expected) {
        Ok(ended) => Ok(ended),
        Err(Failed::Before(error)) => Err(fault::of_writing(&files.file, error)),
        Err(Failed::Syncing(error)) => Err(fault::of_syncing(&files.folder, error)),
        Err(Failed::PuttingBack(error)) => {
            draft.keep();
            let what = "what another program wrote meanwhile was not put back: save again";
            Err(StoreError::io(what, error).unknown())
        }
    }
}

/// Keeps copies of what cannot be read, before it is replaced.
fn set_aside(look: &Look, files: &Files) -> Result<(), StoreError> {
    if look.read.is_ok() {
        return Ok(());
    }
    let is_whole = |bytes: &[u8]| str::from_utf8(bytes).is_ok_and(text::is_whole);
    let file = look.file.as_ref().filter(|bytes| !is_whole(bytes));
    let notes = look.notes.as_ref().filter(|bytes| Notes::decode(bytes).is_err());
    let both: [(Option<&Bytes>, &Path); 2] = [(file, &files.file), (notes, &files.notes)];
    for (bytes, path) in both {
        if let Some(bytes) = bytes {
            files.set_aside(path, bytes)?;
        }
    }
    Ok(())
}
