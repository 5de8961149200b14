//! What saves leave behind: drafts of the dead, and copies of what could not be read.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::digest::Digest;
use crate::json::files::{Companion, Files};
use crate::json::look::Look;
use crate::json::seen::Seen;
use crate::json::site::Site;
use crate::json::swap;

/// Sweeps what savers that died have left. Only for the one who holds the save lock.
///
/// One that died between changing draft and file and looking at what came out may have left there
/// what another program wrote in that moment. It goes back, unless something newer is in the file.
pub(crate) fn recover(files: &Files) {
    for (path, companion) in listed(files) {
        match companion {
            Companion::Draft { over, bytes } => {
                let (current, left) = (Seen::at(&files.file), Seen::at(&path));
                let digest =
                    |seen: &Option<Seen>| seen.as_ref().map(|seen| Digest::of(&seen.bytes));
                let is_ours = digest(&current) == Some(bytes);
                let is_foreign = digest(&left).is_some_and(|left| left != over && left != bytes);
                if is_ours && is_foreign {
                    let site = Site { file: &files.file, draft: &path, folder: &files.folder };
                    if let Err(error) = swap::put_back(&site, current, left) {
                        tracing::warn!(?error, "what another program wrote is not in its file");
                        continue;
                    }
                    tracing::debug!("what another program wrote while a saver died is back");
                }
                remove(&path);
            }
            Companion::NotesDraft => remove(&path),
            Companion::Copy => {}
        }
    }
}

/// After a logout: removes the copies that may hold a token. Of them stays that of what the logout
/// itself has replaced, if there is one.
pub(crate) fn sweep_at_logout(files: &Files, look: &Look) {
    for (path, companion) in listed(files) {
        if companion != Companion::Copy {
            continue;
        }
        let copy = Seen::at(&path).map(|seen| seen.bytes);
        let is_own = look.read.is_err() && [&look.file, &look.notes].contains(&&copy);
        if !is_own {
            remove(&path);
        }
    }
}

fn listed(files: &Files) -> Vec<(std::path::PathBuf, Companion)> {
    files.companions().unwrap_or_else(|error| {
        tracing::debug!(%error, "leftovers were not looked for");
        Vec::new()
    })
}

fn remove(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(%error, path = %path.display(), "a leftover cannot be removed");
    }
}
