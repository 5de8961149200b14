//! The names of the files in the folder.
//!
//! | name | what |
//! |---|---|
//! | `STEM.rgnt` | the record |
//! | `STEM.lock` | locked by whoever saves; never deleted |
//! | `STEM.OVER.DIGEST.tmp` | a draft: what shall replace the record whose digest is OVER |
//! | `STEM.OVER.NUMBER.claim` | a claim: a second name of the one draft that may |
//! | `STEM.corrupt-NUMBER` | a copy of what could not be read |
//!
//! The stem is the SHA-256 of the account name, as it is in the names of leases, or `data-key`.

use std::fmt;

use regrant_storage::Name;

use crate::digest::{Digest, is_digit, sha256_hex};

/// No hash is called so.
const DATA_KEY: &str = "data-key";

/// What the names of all files of one record begin with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stem(String);

impl Stem {
    pub(crate) fn of(name: &Name) -> Self {
        match name {
            Name::Account(account) => Self(sha256_hex(account.as_bytes())),
            Name::DataKey => Self(DATA_KEY.to_owned()),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let is_hash = text.len() == 64 && text.bytes().all(is_digit);
        (is_hash || text == DATA_KEY).then(|| Self(text.to_owned()))
    }

    pub(crate) fn is_data_key(&self) -> bool {
        self.0 == DATA_KEY
    }

    pub(crate) fn record(&self) -> String {
        format!("{self}.rgnt")
    }

    pub(crate) fn lock(&self) -> String {
        format!("{self}.lock")
    }

    pub(crate) fn draft(&self, over: Digest, digest: Digest) -> String {
        format!("{self}.{over}.{digest}.tmp")
    }

    pub(crate) fn claim(&self, over: Digest, number: u32) -> String {
        format!("{self}.{over}.{number}.claim")
    }

    pub(crate) fn copy(&self, number: u32) -> String {
        format!("{self}.corrupt-{number}")
    }
}

impl fmt::Display for Stem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a file is, by the rest of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Record,
    Lock,
    /// A draft or a claim, to replace the record of this digest.
    Unfinished(Digest),
    Copy,
}

/// Reads a name; `None` if it is not one of ours.
pub(crate) fn parse(name: &str) -> Option<(Stem, Part)> {
    let parts: Vec<&str> = name.split('.').collect();
    let (stem, part) = match parts.as_slice() {
        [stem, "rgnt"] => (stem, Part::Record),
        [stem, "lock"] => (stem, Part::Lock),
        [stem, copy] => {
            let _: u32 = copy.strip_prefix("corrupt-")?.parse().ok()?;
            (stem, Part::Copy)
        }
        [stem, over, digest, "tmp"] => {
            Digest::parse(digest)?;
            (stem, Part::Unfinished(Digest::parse(over)?))
        }
        [stem, over, number, "claim"] => {
            let _: u32 = number.parse().ok()?;
            (stem, Part::Unfinished(Digest::parse(over)?))
        }
        _ => return None,
    };
    Some((Stem::parse(stem)?, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_that_is_made_is_read() {
        let (over, digest) = (Digest::of(b"old"), Digest::of(b"new"));
        let account = Stem::of(&Name::Account("a".to_owned()));
        for stem in [account, Stem::of(&Name::DataKey)] {
            let names = [
                (stem.record(), Part::Record),
                (stem.lock(), Part::Lock),
                (stem.copy(7), Part::Copy),
                (stem.draft(over, digest), Part::Unfinished(over)),
                (stem.draft(Digest::Absent, digest), Part::Unfinished(Digest::Absent)),
                (stem.claim(over, 0), Part::Unfinished(over)),
            ];
            for (name, part) in names {
                // What eCryptfs takes, the least of the file systems in use.
                assert!(name.len() <= 143, "{name}");
                assert_eq!(parse(&name), Some((stem.clone(), part)));
            }
        }
    }

    #[test]
    fn no_other_file_is_taken_for_ours() {
        let hash = Stem::of(&Name::Account("a".to_owned()));
        let digest = Digest::of(b"");
        for name in [
            format!("{hash}.lease"),
            format!("{hash}.holder"),
            format!("{hash}"),
            format!("{hash}.tmp"),
            format!("{hash}.{digest}.tmp"),
            format!("{hash}.corrupt-"),
            format!("{hash}.corrupt-x"),
            format!("{hash}.{digest}.x.claim"),
            format!("x{hash}.rgnt"),
            "regrant.key".to_owned(),
            "regrant.key.0123456789abcdef.tmp".to_owned(),
            "default.rgnt".to_owned(),
            "data-key.rgnt.bak".to_owned(),
            String::new(),
        ] {
            assert_eq!(parse(&name), None, "{name}");
        }
    }

    #[test]
    fn an_account_shares_its_hash_with_its_lease() {
        let name = Name::Account("ada@example.com".to_owned());
        let hash = "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72";
        assert_eq!(Stem::of(&name).record(), format!("{hash}.rgnt"));
    }
}
