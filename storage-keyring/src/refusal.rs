//! Why the keychain does not do what it is asked, and who must act.

use regrant_core::StoreFault;
use regrant_storage::StoreError;

use crate::lane::Unanswered;
use crate::platform;

/// What keeps the keychain from doing what it is asked.
///
/// The errors of the libraries are left behind where they arise: some of them quote what they
/// could not read.
#[derive(Debug)]
#[cfg_attr(
    any(windows, target_os = "macos"),
    expect(dead_code, reason = "each system refuses in ways of its own")
)]
pub(crate) enum Refusal {
    /// No session bus, where the keychain would be found.
    NoSession(Cause),
    /// Nothing on the session bus is a keychain.
    NoService(Cause),
    /// The keychain has no place for new items.
    NoCollection,
    /// It is locked, and nobody was to be asked.
    Locked,
    /// It is locked, and whoever was asked declined.
    Dismissed,
    /// It did not answer in time.
    Late,
    /// It does not let this program in.
    Denied(Cause),
    /// What is there is not the key of this name.
    NotTheKey,
    /// More than one item has the name.
    Several,
    /// What was stored is not there.
    Dropped,
    /// Anything else.
    Failed(Cause),
    /// No key could be made.
    NoKey(StoreError),
}

/// The name or number that a platform has for a fault, which quotes nothing.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Cause(String);

impl Cause {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    #[cfg_attr(
        any(windows, target_os = "macos"),
        expect(dead_code, reason = "faults have numbers there")
    )]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<keyring::Error> for Refusal {
    fn from(error: keyring::Error) -> Self {
        use keyring::Error;
        match error {
            Error::PlatformFailure(error) | Error::NoStorageAccess(error) => {
                platform::refusal(&*error)
            }
            Error::BadEncoding(_) | Error::BadDataFormat(..) => Self::NotTheKey,
            Error::Ambiguous(_) => Self::Several,
            // What a call can be wrong about, and we are not; and the enum may grow.
            _ => Self::Failed(Cause::new("it does not take the item")),
        }
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        let unavailable = |what| Self::new(StoreFault::Unavailable, what);
        let locked = |what| Self::new(StoreFault::Locked, what);
        let no_key = |what| Self::new(StoreFault::KeyMissing, what);
        match refusal {
            Refusal::NoSession(cause) => unavailable(
                "there is no D-Bus session, where a keychain would be: log in to a desktop, or \
                 keep the key in a file",
            )
            .because(cause),
            Refusal::NoService(cause) => unavailable(
                "no keychain answers in this D-Bus session: start one, or keep the key in a file",
            )
            .because(cause),
            Refusal::NoCollection => unavailable(
                "the keychain has no default collection: make one in its settings, or keep the \
                 key in a file",
            ),
            Refusal::Locked => locked("the keychain is locked: unlock it and try again"),
            Refusal::Dismissed => {
                locked("the keychain is locked and its prompt was closed: unlock it and try again")
            }
            Refusal::Late => locked(
                "the keychain did not answer in time: unlock it, or answer what it asks, and try \
                 again",
            ),
            Refusal::Denied(cause) => {
                unavailable("the keychain denies access: allow it to this program").because(cause)
            }
            Refusal::NotTheKey => no_key(
                "the keychain's item of this store does not hold its key: restore the keychain, \
                 or move the store away",
            ),
            Refusal::Several => {
                no_key("the keychain has several items of this store: remove all but the right one")
            }
            Refusal::Dropped => unavailable(
                "the keychain did not keep what was stored in it: repair it, or keep the key in a \
                 file",
            ),
            Refusal::Failed(cause) => {
                unavailable("the keychain failed: see whether it works for other programs")
                    .because(cause)
            }
            Refusal::NoKey(error) => error,
        }
    }
}

impl From<Unanswered> for Refusal {
    fn from(unanswered: Unanswered) -> Self {
        match unanswered {
            Unanswered::Late => Self::Late,
            Unanswered::Panicked => Self::Failed(Cause::new("the call panicked")),
            Unanswered::NoThread(error) => Self::Failed(Cause::new(error.kind().to_string())),
        }
    }
}
