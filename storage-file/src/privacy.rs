//! Takes from others what they may do with what is found. What is made is private from the start.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use regrant_storage::owner_only;

/// What was seen to already. Records are sealed, so what cannot be closed is worth a warning and
/// no failure.
#[derive(Debug, Default)]
pub(crate) struct Privacy {
    has_folder: AtomicBool,
    has_warned: AtomicBool,
}

impl Privacy {
    /// Sees to the folder, if it is there, the first time it is used.
    pub(crate) fn of_folder(&self, path: &Path) {
        if self.has_folder.load(Ordering::Relaxed) {
            return;
        }
        // Anything else in its place is not ours.
        if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
            self.warn(path, owner_only::repair_folder(path));
            self.has_folder.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn of_file(&self, file: &File, path: &Path) {
        self.warn(path, owner_only::repair(file));
    }

    /// Says it once: whoever left one file open left more.
    fn warn(&self, path: &Path, repaired: io::Result<bool>) {
        if matches!(repaired, Ok(false)) || self.has_warned.swap(true, Ordering::Relaxed) {
            return;
        }
        let path = path.display();
        match repaired {
            Ok(_) => tracing::warn!(
                %path,
                "others had rights to where credentials are kept; they have none now"
            ),
            Err(error) => tracing::warn!(
                %path,
                %error,
                "others have rights to where credentials are kept, and they cannot be taken away"
            ),
        }
    }
}
