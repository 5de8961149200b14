//! Which save of a record is meant.

use alloc::boxed::Box;

/// What a store calls the state of one record: opaque, compared by the store alone.
///
/// A save names the version it replaces; the store refuses it if that is no longer there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(Box<[u8]>);

impl Version {
    /// A version of these bytes. For stores.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// The bytes it was made of. For stores.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
