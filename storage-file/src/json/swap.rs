//! How a draft takes the place of a file that others write without a lock.
//!
//! Comparing first and renaming then would lose what is written in between. So draft and file
//! change places in one step, and it is what came out that is compared: nothing is gone that was
//! not seen. If it is not what was expected, it is put back; and if meanwhile something newer
//! came, that is put back in its turn.
//!
//! 1. The draft and the file change places.
//! 2. What came out is looked at: at once, and again when the folder is synced. A program that
//!    writes in place empties the file when it opens it, so it shows then at the latest.
//! 3. What was not expected goes back where it was, and the draft comes out. If it was written
//!    into, or another file comes out, that is newer than what went back, and changes places with
//!    it. If another file lies there already, that is newer than both.
//!
//! # What is lost all the same
//!
//! - Where files cannot change places (Windows, some network file systems), the file is compared
//!   and then renamed over: what another program writes within these few microseconds.
//! - What a program writes that has the file open during all of this, and writes into it later
//!   without having emptied it: the file has no name any more.
//! - Of a program that writes in place, the last of three writes that fall between these few
//!   steps, one into each gap.

use std::io::{self, ErrorKind};

use crate::json::seen::{Bytes, Seen};

/// How often something newer is put back. Each round takes another program that writes within
/// microseconds of the last.
const ROUNDS: u32 = 1024;

/// The steps on the file and the draft. Each happens as a whole or not at all.
pub(crate) trait Steps {
    /// The two change places: `Unsupported` where they cannot, `NotFound` if there is no file.
    fn exchange(&self) -> io::Result<()>;

    /// Renames the draft to where no file is: `AlreadyExists` if there is one, `Unsupported`
    /// where that cannot be told in one step.
    fn create(&self) -> io::Result<()>;

    /// Renames the draft over whatever is there.
    fn replace(&self) -> io::Result<()>;

    /// What is under the name of the draft now; `None` if it cannot be read.
    fn draft(&self) -> Option<Seen>;

    /// What is under the name of the file now; `None` if it cannot be read.
    fn file(&self) -> Option<Seen>;

    /// Makes the names survive a power loss.
    fn sync(&self) -> io::Result<()>;
}

/// How a draft ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It is in its place, and what was expected is gone.
    Replaced,
    /// Something else was there, and is there again.
    Other,
}

/// What failed.
#[derive(Debug)]
pub(crate) enum Failed {
    /// Nothing was changed.
    Before(io::Error),
    /// It is in its place; whether it survives a power loss is not known.
    Syncing(io::Error),
    /// What another program wrote lies under the name of the draft, and must stay there.
    PuttingBack(io::Error),
}

/// Puts the draft in the place of the file if its content is `expected`.
pub(crate) fn commit(steps: &impl Steps, expected: Option<&Bytes>) -> Result<Ended, Failed> {
    let Some(expected) = expected else { return create(steps) };
    let new = steps.draft();
    match steps.exchange() {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ended::Other),
        Err(error) if error.kind() == ErrorKind::Unsupported => {
            return compare_and_replace(steps, Some(expected));
        }
        Err(error) => return Err(Failed::Before(error)),
    }
    let is_expected = |out: &Option<Seen>| out.as_ref().is_some_and(|out| out.bytes == *expected);
    let mut out = steps.draft();
    if is_expected(&out) {
        let synced = steps.sync();
        out = steps.draft();
        if is_expected(&out) {
            return synced.map(|()| Ended::Replaced).map_err(Failed::Syncing);
        }
    }
    put_back(steps, new, out)
}

/// Puts what was seen under the name of the draft back into the file, where `below` was put
/// before.
pub(crate) fn put_back(
    steps: &impl Steps,
    mut below: Option<Seen>,
    mut newest: Option<Seen>,
) -> Result<Ended, Failed> {
    let id = |seen: &Option<Seen>| seen.as_ref().map(|seen| seen.id);
    for _ in 0..ROUNDS {
        match steps.exchange() {
            Ok(()) => {}
            // It was removed, which is newer than anything that was in it.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ended::Other),
            Err(error) => return Err(Failed::PuttingBack(error)),
        }
        let (there, out) = (steps.file(), steps.draft());
        if id(&there) != id(&newest) || out == below {
            // The other program did not ask for more than it did itself.
            let _ = steps.sync();
            return Ok(Ended::Other);
        }
        (below, newest) = (there, out);
    }
    Err(Failed::PuttingBack(ErrorKind::ResourceBusy.into()))
}

fn create(steps: &impl Steps) -> Result<Ended, Failed> {
    match steps.create() {
        Ok(()) => steps.sync().map(|()| Ended::Replaced).map_err(Failed::Syncing),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(Ended::Other),
        Err(error) if error.kind() == ErrorKind::Unsupported => compare_and_replace(steps, None),
        Err(error) => Err(Failed::Before(error)),
    }
}

fn compare_and_replace(steps: &impl Steps, expected: Option<&Bytes>) -> Result<Ended, Failed> {
    if steps.file().map(|there| there.bytes).as_ref() != expected {
        return Ok(Ended::Other);
    }
    steps.replace().map_err(Failed::Before)?;
    steps.sync().map(|()| Ended::Replaced).map_err(Failed::Syncing)
}

#[cfg(test)]
mod schedules;
