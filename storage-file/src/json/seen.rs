//! Files as they were seen.

use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read as _};
use std::path::Path;
use std::time::SystemTime;

use regrant_core::StoreFault;
use regrant_storage::StoreError;
use zeroize::Zeroizing;

use crate::fault;

/// The longest file that is read: 16 MiB, more than any file of credentials has. What is longer
/// must not fill the memory.
const LONGEST: u64 = 16 << 20;

/// The content of a file, wiped when it is dropped: there are tokens in it.
pub(crate) type Bytes = Zeroizing<Vec<u8>>;

/// A file as it was once: which it is, and what was in it.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) id: FileId,
    pub(crate) bytes: Bytes,
    modified: Option<SystemTime>,
    /// As long as it is open, no other file gets its number.
    _open: Option<File>,
}

/// Two are the same if nothing was written in between.
impl PartialEq for Seen {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.bytes == other.bytes
    }
}

/// Tells a file from others, whatever their names: its device and its inode. Windows tells
/// neither, and does not change names in a way for which they would be needed.
pub(crate) type FileId = (u64, u64);

/// Tells whether a file was written since: which it is, how long, and what the file system says
/// of when, which is not precise. It is compared and no clock.
pub(crate) type Written = (FileId, usize, Option<SystemTime>);

impl Seen {
    /// What is under this name; `None` if nothing is.
    pub(crate) fn open(path: &Path) -> Result<Option<Self>, StoreError> {
        let failed = |error| fault::of_reading(path, error);
        let mut options = fs::OpenOptions::new();
        options.read(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt as _;
            // Opening a pipe would wait for its writer.
            options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
        }
        let mut file = match options.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(not_a_file(path));
        }
        if metadata.len() > LONGEST {
            let what = "the file is longer than 16 MiB, which no file of credentials is";
            return Err(fault::about(path, StoreFault::Unavailable, what));
        }
        // With room for all of it: a buffer that grows leaves its old self behind.
        let room = usize::try_from(metadata.len()).unwrap_or_default();
        let mut bytes = Zeroizing::new(Vec::with_capacity(room + 1));
        (&mut file).take(LONGEST).read_to_end(&mut bytes).map_err(failed)?;
        let modified = metadata.modified().ok();
        Ok(Some(Self { id: id(&metadata), bytes, modified, _open: Some(file) }))
    }

    /// The same, where it does not matter why it cannot be read.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        Self::open(path).ok().flatten()
    }

    pub(crate) fn written(&self) -> Written {
        (self.id, self.bytes.len(), self.modified)
    }

    /// For those that are files of a model alone.
    #[cfg(test)]
    pub(crate) fn imagined(number: u64, text: &str) -> Self {
        let bytes = Zeroizing::new(text.as_bytes().to_vec());
        Self { id: (0, number), bytes, modified: None, _open: None }
    }
}

#[cfg(unix)]
fn id(metadata: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt as _;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn id(_: &Metadata) -> FileId {
    (0, 0)
}

/// There is a folder, a pipe, or the root.
pub(crate) fn not_a_file(path: &Path) -> StoreError {
    let what = "there is something other than a file where the credential should be";
    fault::about(path, StoreFault::Unavailable, what)
}
