//! The form of a record's file.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic, `RGNF` |
//! | 1 | format, 1 |
//! | 16 | random, so that no two saves write the same bytes |
//! | 1 | kind of name: 1 an account, 2 the data key |
//! | 4 | length of the account name in bytes; 0 for the data key |
//! | so many | the account name, UTF-8 |
//! | 16 | incarnation |
//! | 8 | generation |
//! | 8 | revision |
//! | 1 | whether it is ever due, 0 or 1 |
//! | 8 | when, in milliseconds since 1970; 0 if never |
//! | 1 | whether it is live, 0 or 1 |
//! | 4 | length of the sealed part |
//! | so many | the sealed part |
//! | 32 | SHA-256 of all bytes before |
//!
//! Numbers are big-endian and have no sign. There is one way to write a record, and every other
//! is damage. The first five bytes and the last 32 mean the same in every format, so that damage
//! is told from a newer format, and both without a key. The checksum protects from accidents; who
//! changes a record on purpose meets the seal.

use regrant_core::{Id, Timestamp};
use regrant_storage::{Blob, Entry, Name};
use sha2::{Digest as _, Sha256};

const MAGIC: &[u8; 4] = b"RGNF";
const FORMAT: u8 = 1;
const CHECKSUM: usize = 32;

const ACCOUNT: u8 = 1;
const DATA_KEY: u8 = 2;

/// Bytes besides the account name and the sealed part.
const FIXED: usize = MAGIC.len() + 1 + 16 + 1 + 4 + 16 + 8 + 8 + 1 + 8 + 1 + 4 + CHECKSUM;

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undecoded {
    Damaged,
    /// Whole, and of a newer format.
    UnknownFormat,
}

/// A record's file. `random` must never be the same twice.
pub(crate) fn encode(blob: &Blob, random: [u8; 16]) -> Vec<u8> {
    let Blob { entry, sealed } = blob;
    let Entry { name, incarnation, generation, revision, due_at, live } = entry;
    let (kind, text) = match name {
        Name::Account(account) => (ACCOUNT, account.as_str()),
        Name::DataKey => (DATA_KEY, ""),
    };
    let mut bytes = Vec::with_capacity(FIXED + text.len() + sealed.len());
    bytes.extend_from_slice(MAGIC);
    bytes.push(FORMAT);
    bytes.extend_from_slice(&random);
    bytes.push(kind);
    put_sized(text.as_bytes(), &mut bytes);
    bytes.extend_from_slice(&incarnation.0);
    bytes.extend_from_slice(&generation.to_be_bytes());
    bytes.extend_from_slice(&revision.to_be_bytes());
    bytes.push(u8::from(due_at.is_some()));
    bytes.extend_from_slice(&due_at.map_or(0, Timestamp::as_millis).to_be_bytes());
    bytes.push(u8::from(*live));
    put_sized(sealed, &mut bytes);
    let checksum = Sha256::digest(&bytes);
    bytes.extend_from_slice(&checksum);
    bytes
}

fn put_sized(part: &[u8], bytes: &mut Vec<u8>) {
    // What is longer is longer than a file may be, and is refused before it is written.
    let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(part);
}

/// What [`encode`] was given.
pub(crate) fn decode(bytes: &[u8]) -> Result<Blob, Undecoded> {
    let (content, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or(Undecoded::Damaged)?;
    if Sha256::digest(content)[..] != checksum[..] {
        return Err(Undecoded::Damaged);
    }
    let rest = content.strip_prefix(MAGIC).ok_or(Undecoded::Damaged)?;
    match rest.split_first() {
        Some((&FORMAT, rest)) => Fields(rest).blob().ok_or(Undecoded::Damaged),
        Some((&0, _)) | None => Err(Undecoded::Damaged),
        Some(_) => Err(Undecoded::UnknownFormat),
    }
}

/// What of a record's fields was not read yet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn blob(mut self) -> Option<Blob> {
        let _random: [u8; 16] = self.array()?;
        let [kind] = self.array()?;
        let text = str::from_utf8(self.sized()?).ok()?;
        let name = match kind {
            ACCOUNT => Name::Account(text.to_owned()),
            DATA_KEY if text.is_empty() => Name::DataKey,
            _ => return None,
        };
        let entry = Entry {
            name,
            incarnation: Id(self.array()?),
            generation: self.number()?,
            revision: self.number()?,
            due_at: match (self.flag()?, self.number()?) {
                (true, at) => Some(Timestamp::from_millis(at)),
                (false, 0) => None,
                (false, _) => return None,
            },
            live: self.flag()?,
        };
        let sealed = self.sized()?.to_vec();
        self.0.is_empty().then_some(Blob { entry, sealed })
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(u32::from_be_bytes(self.array()?)).ok()?;
        let (part, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(part)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.array()? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANDOM: [u8; 16] = [9; 16];

    fn blob() -> Blob {
        Blob {
            entry: Entry {
                name: Name::Account("default".into()),
                incarnation: Id([7; 16]),
                generation: 3,
                revision: 9,
                due_at: Some(Timestamp::from_millis(1_700_000_000_000)),
                live: true,
            },
            sealed: b"sealed".to_vec(),
        }
    }

    /// With a checksum that is right, whatever the content.
    fn whole(content: &[u8]) -> Vec<u8> {
        [content, &Sha256::digest(content)].concat()
    }

    /// A file of the first release: what was once saved must be read for ever.
    #[test]
    fn the_file_of_format_1_is_what_it_always_was() {
        let golden = include_str!("../tests/golden/record-1.hex");
        let found: String =
            encode(&blob(), RANDOM).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, golden.split_whitespace().collect::<String>());
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let mut blobs = vec![blob(); 4];
        blobs[1].entry.name = Name::DataKey;
        blobs[2].entry.name = Name::Account(String::new());
        blobs[2].entry.due_at = None;
        blobs[2].entry.live = false;
        blobs[2].sealed.clear();
        blobs[3].entry.name = Name::Account("日本\0".repeat(1_000));
        blobs[3].entry.due_at = Some(Timestamp::EPOCH);
        blobs[3].entry.revision = u64::MAX;
        blobs[3].sealed = vec![0xff; 100_000];
        for blob in blobs {
            let bytes = encode(&blob, RANDOM);
            let name = match &blob.entry.name {
                Name::Account(account) => account.len(),
                Name::DataKey => 0,
            };
            assert_eq!(bytes.len(), FIXED + name + blob.sealed.len());
            assert_eq!(decode(&bytes), Ok(blob));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_damage() {
        let bytes = encode(&blob(), RANDOM);
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped), Err(Undecoded::Damaged), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]), Err(Undecoded::Damaged), "{length} bytes");
        }
        assert_eq!(decode(&[&bytes[..], &[0]].concat()), Err(Undecoded::Damaged));
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let newer = whole(b"RGNF\x02whatever comes then");
        assert_eq!(decode(&newer), Err(Undecoded::UnknownFormat));
        assert_eq!(decode(&newer[..newer.len() - 1]), Err(Undecoded::Damaged));
        for content in [&b"RGNF\x00"[..], b"RGNF", b"RGNG\x02", b"", b"RGNF\x01"] {
            assert_eq!(decode(&whole(content)), Err(Undecoded::Damaged), "{content:?}");
        }
    }

    /// A program with a fault could write such a file, with a checksum that is right.
    #[test]
    fn there_is_one_way_to_write_a_record() {
        let bytes = encode(&blob(), RANDOM);
        let content = &bytes[..bytes.len() - CHECKSUM];
        // Where the name ends, the rest is at fixed places.
        let name = 26 + "default".len();
        let changes: [(usize, u8); 6] =
            [(21, 0), (21, 2), (25, 200), (26, 0xff), (name + 32, 0), (name + 41, 2)];
        for (at, byte) in changes {
            let mut other = content.to_vec();
            other[at] = byte;
            assert_eq!(decode(&whole(&other)), Err(Undecoded::Damaged), "byte {at}");
        }
        assert_eq!(decode(&whole(&[content, &[0]].concat())), Err(Undecoded::Damaged));
    }
}
