//! Who holds a lease.

use alloc::string::String;

use crate::time::Timestamp;

/// Who holds a lease, as far as it is known. For people: nothing is decided by it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// The process.
    pub pid: Option<u32>,
    /// The host it runs on, where several hosts share the lease.
    pub host: Option<String>,
    /// Since when it holds.
    pub since: Option<Timestamp>,
}
