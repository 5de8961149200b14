//! What can be wrong with a store, as far as the machine must know.

use core::fmt;

/// Why the store did not do what it was asked. The host keeps the error itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreFault {
    /// It cannot be reached, or did not answer in time.
    Unavailable,
    /// It is locked: a keychain that wants a password, a database that another holds.
    Locked,
    /// What is there is damaged.
    Corrupt,
    /// A newer version wrote it.
    UnknownFormat,
    /// It was sealed with another key.
    WrongKey,
    /// The key is gone.
    KeyMissing,
    /// The key comes from another source than the store names.
    WrongKeySource,
    /// It cannot be written.
    ReadOnly,
    /// There is no room.
    Full,
    /// An older copy was put in the place of the record.
    RolledBack,
}

impl StoreFault {
    /// The stable name, as the command's output writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unavailable => "store_unavailable",
            Self::Locked => "store_locked",
            Self::Corrupt => "store_corrupt",
            Self::UnknownFormat => "store_unknown_format",
            Self::WrongKey => "wrong_key",
            Self::KeyMissing => "key_missing",
            Self::WrongKeySource => "wrong_key_source",
            Self::ReadOnly => "store_read_only",
            Self::Full => "store_full",
            Self::RolledBack => "store_rolled_back",
        }
    }
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_fault_is_written_by_its_stable_name() {
        assert_eq!(StoreFault::Unavailable.to_string(), "store_unavailable");
        assert_eq!(StoreFault::WrongKey.as_str(), "wrong_key");
    }
}
