//! Where one record lies, and the steps on its files.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use regrant_core::StoreFault;
use regrant_storage::{Blob, Expected, StoreError};

use crate::claim::Steps;
use crate::digest::Digest;
use crate::fault;
use crate::names::Stem;
use crate::privacy::Privacy;
use crate::record::{self, Undecoded};

/// The longest file that is read. A record has a few tokens of at most 64 KiB each; what is
/// longer was not written by us, and must not fill the memory.
pub(crate) const LONGEST: usize = 16 << 20;

/// How often, and after which pause, one looks whether another has come to the end of his save.
/// From claim to end there is no sync, only a look and a rename; so 50 ms are much for the living,
/// and little to wait for the dead.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(1);

/// The place of one record.
#[derive(Debug)]
pub(crate) struct Site<'a> {
    pub(crate) stem: Stem,
    /// The record's file, or what it leads to if it is a link.
    pub(crate) file: PathBuf,
    /// Where that file lies. What replaces it must come from the same folder.
    pub(crate) folder: PathBuf,
    privacy: &'a Privacy,
}

/// What is there.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) digest: Digest,
    pub(crate) held: Held,
}

#[derive(Debug)]
pub(crate) enum Held {
    Nothing,
    Record(Blob),
    /// It was read, and is not a record of this account and of a format we know.
    Unreadable(StoreError),
}

impl<'a> Site<'a> {
    /// Finds out where the record of this stem lies.
    pub(crate) fn find(
        folder: &Path,
        stem: Stem,
        privacy: &'a Privacy,
    ) -> Result<Self, StoreError> {
        let file = folder.join(stem.record());
        let of_reading = |error| fault::of_reading(&file, error);
        match fs::symlink_metadata(&file) {
            Ok(metadata) if metadata.is_symlink() => {}
            Ok(_) => return Ok(Self { stem, folder: folder.to_owned(), file, privacy }),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Self { stem, folder: folder.to_owned(), file, privacy });
            }
            Err(error) => return Err(of_reading(error)),
        }
        let real = fs::canonicalize(&file).map_err(|error| match error.kind() {
            // The record is where the link leads, and that place is away.
            ErrorKind::NotFound => {
                let what = "the record is a link that leads nowhere: see to what it leads to";
                fault::about(&file, StoreFault::Unavailable, what)
            }
            _ => of_reading(error),
        })?;
        let folder = real.parent().unwrap_or(folder).to_owned();
        Ok(Self { stem, folder, file: real, privacy })
    }

    /// What is there, for those who will not replace it.
    pub(crate) fn load(&self) -> Result<Held, StoreError> {
        Ok(self.bytes()?.map_or(Held::Nothing, |bytes| self.held(&bytes)))
    }

    /// What is there, with the digest that tells it from whatever was there before.
    pub(crate) fn read(&self) -> Result<Found, StoreError> {
        Ok(match self.bytes()? {
            Some(bytes) => Found { digest: Digest::of(&bytes), held: self.held(&bytes) },
            None => Found { digest: Digest::Absent, held: Held::Nothing },
        })
    }

    fn held(&self, bytes: &[u8]) -> Held {
        match record::decode(bytes) {
            Ok(blob) if Stem::of(&blob.entry.name) == self.stem => Held::Record(blob),
            Ok(_) => {
                let what = "the file of the record holds another one: restore it, or log in again";
                Held::Unreadable(fault::about(&self.file, StoreFault::Corrupt, what))
            }
            Err(Undecoded::Damaged) => {
                let what = "the record is damaged: restore its file, or log in again";
                Held::Unreadable(fault::about(&self.file, StoreFault::Corrupt, what))
            }
            Err(Undecoded::UnknownFormat) => {
                let what = "a newer version wrote the record: update regrant";
                Held::Unreadable(fault::about(&self.file, StoreFault::UnknownFormat, what))
            }
        }
    }

    /// The record's bytes; `None` if there is none.
    fn bytes(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let of_reading = |error| fault::of_reading(&self.file, error);
        let file = match open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(of_reading(error)),
        };
        let metadata = file.metadata().map_err(of_reading)?;
        if !metadata.is_file() {
            let what = "there is something other than a file where a record should be";
            return Err(fault::about(&self.file, StoreFault::Unavailable, what));
        }
        self.privacy.of_file(&file, &self.file);
        read(file, metadata.len()).map(Some).map_err(of_reading)
    }

    pub(crate) fn draft(&self, over: Digest, digest: Digest) -> PathBuf {
        self.folder.join(self.stem.draft(over, digest))
    }

    /// The steps of saves over the record of this digest.
    pub(crate) fn over(&self, over: Digest) -> Over<'_> {
        Over { site: self, over }
    }
}

impl Found {
    pub(crate) fn is(&self, expected: Expected) -> bool {
        match (&self.held, expected) {
            (Held::Nothing, Expected::Absent) => true,
            (Held::Record(blob), Expected::Revision(incarnation, revision)) => {
                (blob.entry.incarnation, blob.entry.revision) == (incarnation, revision)
            }
            (Held::Nothing | Held::Unreadable(_), Expected::Revision(..))
            | (Held::Record(_) | Held::Unreadable(_), Expected::Absent) => false,
        }
    }
}

/// A [`Site`] on which one record is to be replaced.
#[derive(Debug)]
pub(crate) struct Over<'a> {
    site: &'a Site<'a>,
    over: Digest,
}

impl Over<'_> {
    fn draft(&self, digest: Digest) -> PathBuf {
        self.site.draft(self.over, digest)
    }

    fn claimed(&self, number: u32) -> PathBuf {
        self.site.folder.join(self.site.stem.claim(self.over, number))
    }
}

impl Steps for Over<'_> {
    fn current(&self) -> Result<Digest, StoreError> {
        let bytes = self.site.bytes()?;
        Ok(bytes.map_or(Digest::Absent, |bytes| Digest::of(&bytes)))
    }

    fn claim(&self, draft: Digest, number: u32) -> io::Result<()> {
        fs::hard_link(self.draft(draft), self.claimed(number))
    }

    fn claimed_by(&self, number: u32) -> io::Result<Digest> {
        Ok(Digest::of(&content(&self.claimed(number))?))
    }

    fn release(&self, number: u32) {
        if let Err(error) = fs::remove_file(self.claimed(number)) {
            tracing::debug!(%error, "a claim that has passed is left");
        }
    }

    fn wait_for(&self, draft: Digest) {
        for _ in 0..LOOKS {
            if !self.draft(draft).exists() {
                return;
            }
            thread::park_timeout(PAUSE);
        }
    }

    fn publish(&self, draft: Digest) -> io::Result<()> {
        fs::rename(self.draft(draft), &self.site.file)
    }

    fn discard(&self, draft: Digest) -> io::Result<()> {
        fs::remove_file(self.draft(draft))
    }

    fn failed(&self, error: io::Error) -> StoreError {
        fault::of_writing(&self.site.file, error)
    }
}

/// Opens a file for reading, and waits for nobody: opening a pipe would wait for its writer.
fn open(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
    }
    options.open(path)
}

/// What is in the file at this path.
pub(crate) fn content(path: &Path) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let length = file.metadata()?.len();
    read(file, length)
}

/// What is in a file of about this length, up to one byte more than a record may have: that tells
/// a longer one, which is no record then.
fn read(file: File, length: u64) -> io::Result<Vec<u8>> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    // One byte more, so that the end is found without a larger buffer.
    let mut bytes = Vec::with_capacity(length.min(LONGEST) + 1);
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
