//! Reading two files that others write, as if they were one.

use std::path::Path;
use std::thread;
use std::time::Duration;

use regrant_core::StoreFault;
use regrant_storage::StoreError;

use crate::fault;
use crate::json::credential::{JsonCredential, JsonError};
use crate::json::files::Files;
use crate::json::map::JsonMap;
use crate::json::notes::{Notes, Undecoded};
use crate::json::seen::{Bytes, Seen, Written};
use crate::json::standing::Found;

/// The first pause before what is half-written is read again, less than a write takes. It doubles
/// as long as nothing changes.
const SHORTEST: Duration = Duration::from_millis(1);

/// How long nothing may have changed in a half-written file until it is damaged: half a second, in
/// which a program that is interrupted in the middle of writing goes on.
const STILL: Duration = Duration::from_millis(500);

/// The same for a file that is away: 30 ms, in which a program writes it anew that removes it
/// first.
const AWAY: Duration = Duration::from_millis(30);

/// All pauses together. A load has 5 s before its caller gives it up, and must have an answer by
/// then.
const PATIENCE: Duration = Duration::from_secs(3);

/// The two files as they were at one moment.
#[derive(Debug)]
pub(crate) struct Look {
    /// The other program's file; `None` if it is not there.
    pub(crate) file: Option<Bytes>,
    pub(crate) notes: Option<Bytes>,
    pub(crate) read: Result<Found, Unreadable>,
}

/// What is the matter with the one file or the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    File(JsonError),
    Notes(Undecoded),
}

impl Look {
    /// Looks again for as long as somebody seems to be writing.
    pub(crate) fn at(files: &Files, map: &JsonMap) -> Result<Self, StoreError> {
        let mut waited = Duration::ZERO;
        let (mut pause, mut still) = (SHORTEST, Duration::ZERO);
        let mut last = None;
        loop {
            let (written, look) = Self::once(files, map)?;
            if written != last {
                (pause, still) = (SHORTEST, Duration::ZERO);
                last = written;
            }
            let wanted = match look.as_ref().map(|look| &look.read) {
                Some(Ok(found)) if found.seems_logged_out() => AWAY,
                Some(Err(Unreadable::File(JsonError::Malformed))) | None => STILL,
                Some(Ok(_) | Err(Unreadable::File(_) | Unreadable::Notes(_))) => Duration::ZERO,
            };
            if let Some(look) = look
                && still >= wanted
            {
                return Ok(look);
            }
            if waited >= PATIENCE {
                let what = "others write the same file without a pause: try again";
                return Err(fault::about(&files.file, StoreFault::Locked, what));
            }
            // Nobody is told when a file is written. Whoever is woken early looks early.
            thread::park_timeout(pause);
            (waited, still) = (waited + pause, still + pause);
            pause *= 2;
        }
    }

    /// When the file was written last, and both as they are; `None` if the notes changed
    /// meanwhile. As long as they do not, regrant writes no tokens but those that are in them: so
    /// tokens that are not are somebody else's.
    fn once(files: &Files, map: &JsonMap) -> Result<(Option<Written>, Option<Self>), StoreError> {
        let notes = files.read_notes()?;
        let file = files.read()?;
        let written = file.as_ref().map(Seen::written);
        if files.read_notes()? != notes {
            return Ok((written, None));
        }
        let file = file.map(|file| file.bytes);
        let credential = match &file {
            Some(bytes) => map.read(bytes),
            None => Ok(JsonCredential::default()),
        };
        let known = notes.as_ref().map(|bytes| Notes::decode(bytes)).transpose();
        let read = match (credential, known) {
            (Err(error), _) => Err(Unreadable::File(error)),
            (Ok(_), Err(undecoded)) => Err(Unreadable::Notes(undecoded)),
            (Ok(credential), Ok(notes)) => Ok(Found { credential, notes }),
        };
        Ok((written, Some(Self { file, notes, read })))
    }

    /// The notes, if there are any that can be read.
    pub(crate) fn known(&self) -> Option<Notes> {
        Notes::decode(self.notes.as_ref()?).ok()
    }
}

impl Unreadable {
    /// Whether a login may be saved over it. What a map does not fit is whole.
    pub(crate) fn is_damage(self) -> bool {
        match self {
            Self::File(JsonError::Malformed) | Self::Notes(_) => true,
            Self::File(JsonError::Shape(_) | JsonError::Unit) => false,
        }
    }

    pub(crate) fn error(self, files: &Files) -> StoreError {
        let (kind, what) = match self {
            Self::File(JsonError::Malformed) => {
                (StoreFault::Corrupt, "the file is not JSON: restore it, or log in again")
            }
            Self::File(JsonError::Shape(_) | JsonError::Unit) => {
                (StoreFault::Unavailable, "the file is not as its map says: correct the map")
            }
            Self::Notes(Undecoded::Damaged) => (
                StoreFault::Corrupt,
                "the notes beside the file are damaged: restore them, or log in again",
            ),
            Self::Notes(Undecoded::UnknownFormat) => {
                (StoreFault::UnknownFormat, "a newer version wrote the notes: update regrant")
            }
        };
        match self {
            Self::File(error) => StoreError::new(kind, what).because(error),
            Self::Notes(_) => fault::about(Path::new(&files.notes), kind, what),
        }
    }
}
