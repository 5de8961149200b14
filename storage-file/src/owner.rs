//! Whose a file is. What the superuser saves must stay the user's, who could not read it any more.

use std::fs::File;
use std::path::Path;

/// Gives a new file to the owner of the one it shall replace, or else to that of their folder.
pub(crate) fn as_of_predecessor(file: &File, predecessor: &Path) {
    #[cfg(unix)]
    unix::give(file, &[Some(predecessor), predecessor.parent()]);
    #[cfg(not(unix))]
    let _ = (file, predecessor);
}

/// Gives a file at this path to the owner of its folder.
pub(crate) fn as_of_folder(file: &File, path: &Path) {
    #[cfg(unix)]
    unix::give(file, &[path.parent()]);
    #[cfg(not(unix))]
    let _ = (file, path);
}

#[cfg(unix)]
mod unix {
    use std::fs::{self, File};
    use std::os::unix::fs::{MetadataExt as _, fchown};
    use std::path::Path;

    /// Gives a file to whom the first of these that is there belongs.
    pub(super) fn give(file: &File, likes: &[Option<&Path>]) {
        // Nobody else can give files away.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let Some(like) = likes.iter().flatten().find_map(|like| fs::metadata(like).ok()) else {
            return;
        };
        let given = file.metadata().and_then(|now| {
            if (now.uid(), now.gid()) == (like.uid(), like.gid()) {
                return Ok(());
            }
            fchown(file, Some(like.uid()), Some(like.gid()))
        });
        // In a container some owners have no number that could be given.
        if let Err(error) = given {
            tracing::debug!(%error, "a file stays the superuser's");
        }
    }
}
