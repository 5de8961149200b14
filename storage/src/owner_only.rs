//! Files and folders that nobody but their owner may read, from their first byte on. For backends
//! that keep some.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::path::Path;

#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};

/// The bits of a mode that belong to others.
#[cfg(unix)]
const OTHERS: u32 = 0o077;

/// Makes the folder and those above it that are missing, for the owner alone.
pub fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(path)
}

/// Options under which a file that is created belongs to its owner alone, whatever the umask.
pub fn options() -> OpenOptions {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "there are no modes to set"))]
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    options.mode(0o600);
    options
}

/// Set on a folder that many use, such as `/tmp`.
#[cfg(unix)]
const STICKY: u32 = 0o1000;

/// Takes from others what they may do with an open file or folder; `true` if they could do
/// anything. A folder that is shared on purpose is left alone.
#[cfg(unix)]
pub fn repair(file: &File) -> io::Result<bool> {
    let mut permissions = file.metadata()?.permissions();
    let mode = permissions.mode();
    if mode & OTHERS == 0 || mode & STICKY != 0 {
        return Ok(false);
    }
    permissions.set_mode(mode & 0o7777 & !OTHERS);
    file.set_permissions(permissions)?;
    // Some file systems take the change and keep the mode.
    match file.metadata()?.permissions().mode() & OTHERS {
        0 => Ok(true),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

/// Where files have no modes, they inherit who may read them from the user's folder.
#[cfg(not(unix))]
pub fn repair(_file: &File) -> io::Result<bool> {
    Ok(false)
}

/// The same for a folder by its path.
#[cfg(unix)]
pub fn repair_folder(path: &Path) -> io::Result<bool> {
    repair(&File::open(path)?)
}

/// The same for a folder by its path.
#[cfg(not(unix))]
pub fn repair_folder(_path: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Makes the names in a folder survive a power loss.
#[cfg(unix)]
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// The file system does it by itself.
#[cfg(not(unix))]
pub fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn the_first_mode_is_the_last() {
        let folder = tempfile::tempdir().unwrap();
        // The whole process's; no test of this crate minds.
        rustix::process::umask(rustix::fs::Mode::empty());
        let file = options().write(true).create_new(true).open(folder.path().join("file")).unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o7777, 0o600);
        create_folder(&folder.path().join("above/below")).unwrap();
        for made in ["above", "above/below"] {
            let mode = std::fs::metadata(folder.path().join(made)).unwrap().mode();
            assert_eq!(mode & 0o7777, 0o700, "{made}");
        }
    }
}
