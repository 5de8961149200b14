//! How a draft takes the place of a record, and of many drafts one.
//!
//! A rename does not ask what it replaces, and the save lock cannot be trusted everywhere: some
//! mounts grant one lock twice, some have none. So a draft must first claim its predecessor. A
//! claim is a second name of the draft, made of the digest of the record it shall replace and a
//! number; of those who make one name, the file system lets one succeed. Then the owner of the
//! claim looks whether the predecessor is still there, for a claim can come too late. If it is, he
//! publishes the draft: he renames it over the record.
//!
//! Who meets the claim of another gives that one a little time: where locks do not work, a crowd
//! would else undo the saves of one another for ever. Then he need not know whether it is slow or
//! dead: he discards its draft, whose name is never used again, and takes the next number. Either
//! the owner has renamed the draft before, or he never can. Other than that, drafts and claims are
//! removed by others only when their predecessor has passed; and since no two records have one
//! digest, it does not come back.
//!
//! So as long as a predecessor is in place, at most one draft that claims it can be published:
//! that of the first claim whose draft was not discarded. And nobody publishes for another, so
//! what was not done when its process died is not done later.

use std::io::{self, ErrorKind};

use regrant_core::StoreFault;
use regrant_storage::StoreError;

use crate::digest::Digest;

/// Claims on one record. Each that is passed over is a save that ended between its claim and its
/// publication, and none has succeeded since.
const CLAIMS: u32 = 10_000;

/// The steps on the files of one record and of the drafts made over one predecessor. Each happens
/// as a whole or not at all, and says `NotFound` if the file it is about is gone.
pub(crate) trait Steps {
    /// What is under the record's name now.
    fn current(&self) -> Result<Digest, StoreError>;

    /// Gives a draft a second name; `AlreadyExists` if that is taken.
    fn claim(&self, draft: Digest, number: u32) -> io::Result<()>;

    /// The draft that has this claim.
    fn claimed_by(&self, number: u32) -> io::Result<Digest>;

    /// Removes a claim that is not needed any more. If that fails, somebody else will.
    fn release(&self, number: u32);

    /// Waits until a draft is gone, but not for long.
    fn wait_for(&self, draft: Digest);

    /// Renames a draft over the record.
    fn publish(&self, draft: Digest) -> io::Result<()>;

    /// Removes a draft.
    fn discard(&self, draft: Digest) -> io::Result<()>;

    /// What is said of a step that failed.
    fn failed(&self, error: io::Error) -> StoreError;
}

/// How a draft ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Published,
    /// Others were faster. It was not published, and never will be.
    Passed,
    /// The file system gives no file two names. It was not published.
    Linkless,
}

/// Puts this draft in the place of the record that it was made over, if that is still there.
/// After an error it is not done, unless the error says that nobody knows.
pub(crate) fn commit(steps: &impl Steps, over: Digest, draft: Digest) -> Result<Ended, StoreError> {
    for number in 0..CLAIMS {
        match steps.claim(draft, number) {
            Ok(()) => return publish_claimed(steps, over, draft, number),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ended::Passed),
            Err(error) if is_linkless(&error) => return Ok(Ended::Linkless),
            Err(error) => return Err(steps.failed(error)),
        }
        let other = match steps.claimed_by(number) {
            Ok(other) => other,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Ended::Passed),
            Err(error) => return Err(steps.failed(error)),
        };
        steps.wait_for(other);
        match steps.discard(other) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // It was published, or else discarded before.
                if steps.current()? != over {
                    return Ok(Ended::Passed);
                }
            }
            Err(error) => return Err(steps.failed(error)),
        }
    }
    let what = "too many saves of this record have failed half-way: see to the file system";
    Err(StoreError::new(StoreFault::Unavailable, what))
}

/// Publishes a draft that has a claim, unless the claim came too late.
fn publish_claimed(
    steps: &impl Steps,
    over: Digest,
    draft: Digest,
    number: u32,
) -> Result<Ended, StoreError> {
    let is_in_time = steps.current()? == over;
    if is_in_time && !publish(steps, draft)? {
        // The claim is left: as long as the predecessor is there, it says that its number is
        // spent.
        return Ok(Ended::Passed);
    }
    steps.release(number);
    Ok(if is_in_time { Ended::Published } else { Ended::Passed })
}

/// Renames a draft over the record; `false` if it is gone.
pub(crate) fn publish(steps: &impl Steps, draft: Digest) -> Result<bool, StoreError> {
    match steps.publish(draft) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(match steps.discard(draft) {
            Ok(()) => steps.failed(error),
            // An answer that is an error need not mean that it was not done.
            Err(_) => steps.failed(error).unknown(),
        }),
    }
}

/// Whether the error says that files have one name here.
fn is_linkless(error: &io::Error) -> bool {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        // FAT answers PERM; others say that they do not support it, that there are too many
        // links, or that the two names are on different devices, though they are in one folder.
        let linkless =
            [Errno::PERM, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS, Errno::MLINK, Errno::XDEV];
        if Errno::from_io_error(error).is_some_and(|errno| linkless.contains(&errno)) {
            return true;
        }
    }
    // FAT on Windows answers ERROR_INVALID_FUNCTION.
    error.kind() == ErrorKind::Unsupported || (cfg!(windows) && error.raw_os_error() == Some(1))
}

#[cfg(test)]
#[path = "claim/schedules.rs"]
mod schedules;
