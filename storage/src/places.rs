//! What a path leads to, and what a place cannot do. For backends that keep files.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// How many dangling links are followed, one to the next: as many as Linux follows.
const LINKS: u32 = 40;

/// Where a path leads, through symbolic links, also if there is nothing yet: one name for one
/// place, whichever way one comes to it. Touches nothing.
///
/// # Errors
///
/// That of the system if a link on the way cannot be followed, and `NotFound` if links lead in a
/// circle.
pub fn real_path(path: &Path) -> io::Result<PathBuf> {
    followed(path, LINKS)
}

fn followed(path: &Path, links: u32) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        real => return real,
    }
    // It is missing, or it is a link to what is missing.
    let path = std::path::absolute(path)?;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(ErrorKind::NotFound.into());
    };
    match fs::read_link(&path) {
        Ok(_) if links == 0 => Err(ErrorKind::NotFound.into()),
        Ok(target) => followed(&folder.join(target), links - 1),
        Err(_) => Ok(followed(folder, links)?.join(name)),
    }
}

/// Whether the error of a lock says that this place knows no locks.
pub fn is_unlockable(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        // A network file system whose lock service is away answers NOLCK; some that know no locks
        // say that an open file is none.
        let unlockable = [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::BADF];
        if Errno::from_io_error(error).is_some_and(|errno| unlockable.contains(&errno)) {
            return true;
        }
    }
    error.kind() == ErrorKind::Unsupported
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_without_locks_is_told_from_one_that_fails() {
        assert!(is_unlockable(&ErrorKind::Unsupported.into()));
        assert!(!is_unlockable(&ErrorKind::PermissionDenied.into()));
        #[cfg(unix)]
        for errno in [rustix::io::Errno::NOLCK, rustix::io::Errno::NOSYS, rustix::io::Errno::BADF] {
            assert!(is_unlockable(&errno.into()), "{errno:?}");
        }
    }
}
