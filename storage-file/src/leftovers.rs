//! What saves leave behind: drafts and claims of the dead, and copies of what could not be read.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read as _};
use std::path::Path;

use regrant_storage::{StoreError, owner_only};

use crate::claim::Steps as _;
use crate::digest::Digest;
use crate::fault;
use crate::folder::{self, Folder, OurFile};
use crate::names::{Part, Stem};
use crate::site::{self, Site};

/// Sweeps the drafts and claims of all accounts whose predecessor has passed.
pub(crate) fn sweep(folder: &Folder) {
    let swept = folder::files(&folder.path).map(|files| {
        let mut files: Vec<OurFile> =
            files.into_iter().filter(|file| matches!(file.part, Part::Unfinished(_))).collect();
        files.sort_by(|one, other| one.stem.cmp(&other.stem));
        for of_one in files.chunk_by(|one, other| one.stem == other.stem) {
            // What cannot be looked at is left for a better time.
            let current = folder.site(of_one[0].stem.clone()).and_then(|site| current(&site));
            if let Ok(current) = current {
                remove_passed(of_one, current);
            }
        }
    });
    if let Err(error) = swept {
        tracing::debug!(%error, "leftovers were not looked for");
    }
}

/// After a logout: sweeps whatever may hold a token of the account. Of the copies stays that of
/// what the logout itself has replaced, if there is one. `true` if anything was removed.
pub(crate) fn sweep_at_logout(folder: &Path, site: &Site<'_>, over: Digest) -> bool {
    let swept = || -> io::Result<bool> {
        let unfinished = files_of(&site.stem, &site.folder)?;
        let mut is_swept = current(site).is_ok_and(|current| remove_passed(&unfinished, current));
        for file in files_of(&site.stem, folder)? {
            // What cannot be read is not what was just read.
            let is_kept = || site::content(&file.path).is_ok_and(|copy| Digest::of(&copy) == over);
            if file.part == Part::Copy && !is_kept() {
                is_swept |= remove(&file.path);
            }
        }
        Ok(is_swept)
    };
    swept().unwrap_or_else(|error| {
        tracing::warn!(%error, "after the logout, files that hold a token may be left");
        true
    })
}

/// Keeps a copy of what is there now, byte for byte, under the first free number; the same
/// content again adds nothing. Only for the one who holds the save lock.
pub(crate) fn keep_copy(folder: &Path, site: &Site<'_>) -> Result<(), StoreError> {
    let failed = |error| fault::of_writing(&site.file, error);
    for number in 1..=u32::MAX {
        let path = folder.join(site.stem.copy(number));
        match link_or_copy(&site.file, &path) {
            Ok(()) => {
                tracing::warn!(path = %path.display(), "a record that cannot be read is set aside");
                break;
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if is_same(&site.file, &path).map_err(failed)? {
                    break;
                }
            }
            Err(error) => return Err(failed(error)),
        }
    }
    // It must be there for good before the original goes.
    owner_only::sync_folder(folder).map_err(failed)
}

/// A second name for the file costs no room on a full disk.
fn link_or_copy(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {}
        linked => return linked,
    }
    let mut copy = owner_only::options().write(true).create_new(true).open(to)?;
    let copied = File::open(from)
        .and_then(|mut original| io::copy(&mut original, &mut copy))
        .and_then(|_| copy.sync_all());
    if copied.is_err() {
        remove(to);
    }
    copied
}

/// Compares without holding either: nobody knows how long what is damaged is.
fn is_same(one: &Path, other: &Path) -> io::Result<bool> {
    let (one, other) = (File::open(one)?, File::open(other)?);
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let mut bytes = BufReader::new(one).bytes().zip(BufReader::new(other).bytes());
    bytes.try_fold(true, |is_same, (one, other)| Ok(is_same && one? == other?))
}

fn files_of(stem: &Stem, folder: &Path) -> io::Result<Vec<OurFile>> {
    let mut files = folder::files(folder)?;
    files.retain(|file| file.stem == *stem);
    Ok(files)
}

fn current(site: &Site<'_>) -> Result<Digest, StoreError> {
    site.over(Digest::Absent).current()
}

/// Removes those that were made over another record than the one that is there. They must have
/// been listed before that one was looked at: what is made later may be over a later one.
fn remove_passed(listed: &[OurFile], current: Digest) -> bool {
    let passed = listed.iter().filter(|file| match file.part {
        Part::Unfinished(over) => over != current,
        Part::Record | Part::Lock | Part::Copy => false,
    });
    passed.fold(false, |is_swept, file| remove(&file.path) | is_swept)
}

fn remove(path: &Path) -> bool {
    match fs::remove_file(path) {
        Ok(()) => true,
        Err(error) => {
            if error.kind() != ErrorKind::NotFound {
                tracing::debug!(%error, path = %path.display(), "a leftover cannot be removed");
            }
            false
        }
    }
}
