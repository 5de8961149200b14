//! The steps of a [swap](crate::json::swap) on a real file system.

use std::fs;
use std::io;
use std::path::Path;

use regrant_storage::owner_only;

use crate::json::seen::Seen;
use crate::json::swap::Steps;

/// A file, and what shall replace it, in one folder.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    pub(crate) file: &'a Path,
    pub(crate) draft: &'a Path,
    pub(crate) folder: &'a Path,
}

impl Steps for Site<'_> {
    fn exchange(&self) -> io::Result<()> {
        rename::exchange(self.draft, self.file)
    }

    fn create(&self) -> io::Result<()> {
        rename::create(self.draft, self.file)
    }

    fn replace(&self) -> io::Result<()> {
        fs::rename(self.draft, self.file)
    }

    fn draft(&self) -> Option<Seen> {
        Seen::at(self.draft)
    }

    fn file(&self) -> Option<Seen> {
        Seen::at(self.file)
    }

    fn sync(&self) -> io::Result<()> {
        owner_only::sync_folder(self.folder)
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
mod rename {
    use std::io;
    use std::path::Path;

    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;

    pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
        rename(one, other, RenameFlags::EXCHANGE)
    }

    pub(super) fn create(from: &Path, to: &Path) -> io::Result<()> {
        rename(from, to, RenameFlags::NOREPLACE)
    }

    fn rename(from: &Path, to: &Path, flags: RenameFlags) -> io::Result<()> {
        renameat_with(CWD, from, CWD, to, flags).map_err(|errno| {
            // A file system that knows no flags calls them invalid.
            let unknown = [Errno::INVAL, Errno::NOSYS, Errno::NOTSUP, Errno::OPNOTSUPP];
            match unknown.contains(&errno) {
                true => io::ErrorKind::Unsupported.into(),
                false => errno.into(),
            }
        })
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
mod rename {
    use std::io;
    use std::path::Path;

    pub(super) fn exchange(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn create(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
