//! What tells one content of a file from every other.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// Bytes of SHA-256 that are kept. Half of it: what it has to tell apart are the few files that
/// one record was, and nobody who can write them needs a collision to do harm.
const KEPT: usize = 16;

/// Stands for a file that is not there.
const ABSENT: &str = "absent";

/// The content of a file, or that there is none. No two saves write the same bytes, so what
/// has passed never comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Digest {
    Absent,
    Of([u8; KEPT]),
}

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let whole = Sha256::digest(bytes);
        let kept = whole.first_chunk().expect("SHA-256 has 32 bytes");
        Self::Of(*kept)
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text == ABSENT {
            return Some(Self::Absent);
        }
        let digits = text.as_bytes();
        if digits.len() != 2 * KEPT || !digits.iter().all(|digit| is_digit(*digit)) {
            return None;
        }
        let number = u128::from_str_radix(text, 16).ok()?;
        Some(Self::Of(number.to_be_bytes()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str(ABSENT),
            Self::Of(bytes) => write!(f, "{:032x}", u128::from_be_bytes(*bytes)),
        }
    }
}

/// All of SHA-256 as text, as the lease names its files.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a byte is a digit of such a text.
pub(crate) fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_read_as_it_was_written_and_nothing_else_is() {
        for digest in [Digest::Absent, Digest::of(b""), Digest::of(b"a"), Digest::Of([0; KEPT])] {
            assert_eq!(Digest::parse(&digest.to_string()), Some(digest));
        }
        let hex = Digest::of(b"").to_string();
        let upper = hex.to_uppercase();
        let sign = format!("+{}", &hex[1..]);
        for text in ["", "Absent", &hex[1..], &format!("{hex}0"), &upper, &sign] {
            assert_eq!(Digest::parse(text), None, "{text}");
        }
    }
}
