//! The envelope: how plain text is sealed, and what is told of one that does not open.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic, `RGNT` |
//! | 1 | format, 1 |
//! | 1 | algorithm, 1: AES-256-GCM under a key derived by HKDF-SHA256 (RFC 5869) |
//! | 16 | id of the key |
//! | 32 | salt, random |
//! | 32 | key commitment, derived from key and salt |
//! | 12 | nonce, random |
//! | rest | cipher text, and 16 bytes of tag |
//!
//! The associated data is the header (the first 22 bytes), the entry, and what else the caller
//! binds. GCM commits to no key: one cipher text can be made to open under two. The commitment
//! closes that.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use regrant_core::{StoreFault, Timestamp};
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use crate::blob::{Entry, Name};
use crate::error::StoreError;
use crate::key::{self, Key};

const MAGIC: &[u8; 4] = b"RGNT";
const FORMAT: u8 = 1;
const ALGORITHM: u8 = 1;

const ID: usize = 16;
const SALT: usize = 32;
const COMMITMENT: usize = 32;
/// The one length for which GCM uses a nonce as it is (NIST SP 800-38D section 5.2.1.1).
const NONCE: usize = 12;
const TAG: usize = 16;
const HEADER: usize = MAGIC.len() + 2 + ID;
const OVERHEAD: usize = HEADER + SALT + COMMITMENT + NONCE + TAG;

/// Seals plain text for this entry. `bound` is further associated data, which opening must name
/// again.
pub(crate) fn seal(
    key: &Key,
    entry: &Entry,
    bound: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let mut salt = [0; SALT];
    let mut nonce = [0; NONCE];
    key::fill_random(&mut salt)?;
    key::fill_random(&mut nonce)?;
    Ok(seal_with(key, entry, bound, plain, &salt, &nonce))
}

/// The same with a given salt and nonce, which must never meet again under one key.
fn seal_with(
    key: &Key,
    entry: &Entry,
    bound: &[u8],
    plain: &[u8],
    salt: &[u8; SALT],
    nonce: &[u8; NONCE],
) -> Vec<u8> {
    let derived = Derived::new(key, salt);
    let mut envelope = Vec::with_capacity(OVERHEAD + plain.len());
    envelope.extend_from_slice(MAGIC);
    envelope.extend_from_slice(&[FORMAT, ALGORITHM]);
    envelope.extend_from_slice(key.id());
    let associated = associated(&envelope, entry, bound);
    envelope.extend_from_slice(salt);
    envelope.extend_from_slice(&derived.commitment);
    envelope.extend_from_slice(nonce);
    let start = envelope.len();
    // The capacity is there, so the plain text is never moved, and it is encrypted where it lies.
    envelope.extend_from_slice(plain);
    let tag = derived
        .cipher()
        .encrypt_inout_detached(nonce.into(), &associated, (&mut envelope[start..]).into())
        .expect("a record is shorter than the 64 GiB that GCM can seal");
    wipe_stack();
    envelope.extend_from_slice(&tag);
    envelope
}

/// Opens what [`seal`] made of the same entry and `bound`.
pub(crate) fn open(
    key: &Key,
    entry: &Entry,
    bound: &[u8],
    envelope: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Unopened> {
    let Parts { header, id, salt, commitment, nonce, sealed, tag } = Parts::of(envelope)?;
    let derived = Derived::new(key, salt);
    // One of the two alone can only be damage. Thus no flipped bit is ever taken for another key.
    match (id == key.id(), *commitment == derived.commitment) {
        (true, true) => {}
        (false, false) => return Err(Unopened::WrongKey),
        (true, false) | (false, true) => return Err(Unopened::Corrupt),
    }
    let associated = associated(header, entry, bound);
    let mut plain = Zeroizing::new(sealed.to_vec());
    let opened = derived.cipher().decrypt_inout_detached(
        nonce.into(),
        &associated,
        plain.as_mut_slice().into(),
        tag.into(),
    );
    wipe_stack();
    opened.map_err(|_| Unopened::Corrupt)?;
    Ok(plain)
}

/// Writes over what the functions called before have left on the stack: the cipher works on blocks
/// of plain text there, and wipes its keys and not those.
#[inline(never)]
fn wipe_stack() {
    /// Several times as deep as the cipher goes.
    const DEPTH: usize = 16 << 10;
    let mut below = [0_u8; DEPTH];
    below.zeroize();
}

/// The id of the key that an envelope says it was sealed with.
pub(crate) fn key_id(envelope: &[u8]) -> Result<&[u8; ID], Unopened> {
    Parts::of(envelope).map(|parts| parts.id)
}

/// Why an envelope does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unopened {
    #[error("it was sealed with another key")]
    WrongKey,
    #[error("it is damaged, or belongs to another entry")]
    Corrupt,
    #[error("a newer version sealed it")]
    UnknownFormat,
}

impl Unopened {
    pub(crate) fn fault(self) -> StoreFault {
        match self {
            Self::WrongKey => StoreFault::WrongKey,
            Self::Corrupt => StoreFault::Corrupt,
            Self::UnknownFormat => StoreFault::UnknownFormat,
        }
    }
}

/// What one salt makes of a key.
struct Derived {
    key: Box<Zeroizing<[u8; 32]>>,
    commitment: [u8; COMMITMENT],
}

impl Derived {
    fn new(key: &Key, salt: &[u8; SALT]) -> Self {
        let hkdf = Hkdf::<Sha256>::new(Some(salt), key.expose());
        let mut derived = Self { key: Box::default(), commitment: [0; COMMITMENT] };
        hkdf.expand(b"regrant envelope 1 key", derived.key.as_mut_slice())
            .expect("HKDF-SHA256 gives up to 8,160 bytes");
        hkdf.expand(b"regrant envelope 1 commitment", &mut derived.commitment)
            .expect("HKDF-SHA256 gives up to 8,160 bytes");
        derived
    }

    fn cipher(&self) -> Aes256Gcm {
        let key: &[u8; 32] = &self.key;
        Aes256Gcm::new(key.into())
    }
}

struct Parts<'a> {
    header: &'a [u8],
    id: &'a [u8; ID],
    salt: &'a [u8; SALT],
    commitment: &'a [u8; COMMITMENT],
    nonce: &'a [u8; NONCE],
    sealed: &'a [u8],
    tag: &'a [u8; TAG],
}

impl<'a> Parts<'a> {
    fn of(envelope: &'a [u8]) -> Result<Self, Unopened> {
        let (magic, rest) = envelope.split_first_chunk().ok_or(Unopened::Corrupt)?;
        let ([format, algorithm], rest) = rest.split_first_chunk().ok_or(Unopened::Corrupt)?;
        if magic != MAGIC || *format == 0 || *algorithm == 0 {
            return Err(Unopened::Corrupt);
        }
        if *format > FORMAT || *algorithm > ALGORITHM {
            return Err(Unopened::UnknownFormat);
        }
        let (id, rest) = rest.split_first_chunk().ok_or(Unopened::Corrupt)?;
        let (salt, rest) = rest.split_first_chunk().ok_or(Unopened::Corrupt)?;
        let (commitment, rest) = rest.split_first_chunk().ok_or(Unopened::Corrupt)?;
        let (nonce, rest) = rest.split_first_chunk().ok_or(Unopened::Corrupt)?;
        let (sealed, tag) = rest.split_last_chunk().ok_or(Unopened::Corrupt)?;
        Ok(Self { header: &envelope[..HEADER], id, salt, commitment, nonce, sealed, tag })
    }
}

/// Header, entry and `bound` as one text that no two of them share: what varies in length says
/// how long it is.
fn associated(header: &[u8], entry: &Entry, bound: &[u8]) -> Vec<u8> {
    fn sized(bytes: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
        out.extend_from_slice(bytes);
    }
    let Entry { name, incarnation, generation, revision, due_at, live } = entry;
    let mut out = header.to_vec();
    let (kind, text) = match name {
        Name::Account(account) => (1, account.as_str()),
        Name::DataKey => (2, ""),
    };
    out.push(kind);
    sized(text.as_bytes(), &mut out);
    out.extend_from_slice(&incarnation.0);
    out.extend_from_slice(&generation.to_be_bytes());
    out.extend_from_slice(&revision.to_be_bytes());
    out.push(u8::from(due_at.is_some()));
    out.extend_from_slice(&due_at.map_or(0, Timestamp::as_millis).to_be_bytes());
    out.push(u8::from(*live));
    sized(bound, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use regrant_core::Id;

    const PLAIN: &[u8] = br#"{"format":1,"access_token":"canary"}"#;

    fn key(byte: u8) -> Key {
        Key::new(&[byte; 32])
    }

    fn entry() -> Entry {
        Entry {
            name: Name::Account("default".into()),
            incarnation: Id([7; 16]),
            generation: 3,
            revision: 9,
            due_at: Some(Timestamp::from_millis(1_700_000_000_000)),
            live: true,
        }
    }

    fn sealed() -> Vec<u8> {
        seal_with(&key(1), &entry(), b"", PLAIN, &[2; SALT], &[3; NONCE])
    }

    #[test]
    fn what_was_sealed_opens() {
        let envelope = seal(&key(1), &entry(), b"bound", PLAIN).unwrap();
        assert_eq!(envelope.len(), PLAIN.len() + OVERHEAD);
        assert_eq!(*open(&key(1), &entry(), b"bound", &envelope).unwrap(), PLAIN);
        assert!(!envelope.windows(6).any(|window| window == b"canary"));
    }

    #[test]
    fn no_two_envelopes_share_salt_or_nonce() {
        let [one, two] = [(); 2].map(|()| seal(&key(1), &entry(), b"", PLAIN).unwrap());
        let nonce = HEADER + SALT + COMMITMENT..OVERHEAD - TAG;
        assert_ne!(one[HEADER..HEADER + SALT], two[HEADER..HEADER + SALT]);
        assert_ne!(one[nonce.clone()], two[nonce]);
    }

    /// The envelope of the first release: what was once sealed must open for ever. Checked
    /// against another implementation of HKDF and AES-GCM, too.
    #[test]
    fn the_envelope_of_format_1_is_what_it_always_was() {
        let golden = include_str!("../tests/golden/envelope-1.hex");
        let found: String = sealed().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, golden.split_whitespace().collect::<String>());
    }

    #[test]
    fn every_flipped_bit_is_damage_and_none_is_another_key() {
        let envelope = sealed();
        for bit in 0..envelope.len() * 8 {
            let mut flipped = envelope.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                // Format and algorithm: a higher number is a newer version's.
                at @ 4..=5 if flipped[at] != 0 => Unopened::UnknownFormat,
                _ => Unopened::Corrupt,
            };
            let found = open(&key(1), &entry(), b"", &flipped).unwrap_err();
            assert_eq!(found, expected, "bit {bit}");
        }
    }

    #[test]
    fn every_truncation_is_damage() {
        let envelope = sealed();
        for length in 0..envelope.len() {
            let found = open(&key(1), &entry(), b"", &envelope[..length]).unwrap_err();
            assert_eq!(found, Unopened::Corrupt, "{length} bytes");
        }
        let longer = [envelope, vec![0]].concat();
        assert_eq!(open(&key(1), &entry(), b"", &longer).unwrap_err(), Unopened::Corrupt);
    }

    #[test]
    fn a_wrong_key_is_told_from_damage() {
        let found = open(&key(2), &entry(), b"", &sealed()).unwrap_err();
        assert_eq!(found, Unopened::WrongKey);
    }

    #[test]
    fn every_part_of_the_entry_is_bound() {
        let changes: [fn(&mut Entry); 8] = [
            |entry| entry.name = Name::Account("other".into()),
            |entry| entry.name = Name::DataKey,
            |entry| entry.incarnation = Id([8; 16]),
            |entry| entry.generation = 2,
            |entry| entry.revision = 8,
            |entry| entry.due_at = None,
            |entry| entry.due_at = Some(Timestamp::EPOCH),
            |entry| entry.live = false,
        ];
        for (index, change) in changes.iter().enumerate() {
            let mut other = entry();
            change(&mut other);
            let found = open(&key(1), &other, b"", &sealed()).unwrap_err();
            assert_eq!(found, Unopened::Corrupt, "change {index}");
        }
        assert_eq!(open(&key(1), &entry(), b"x", &sealed()).unwrap_err(), Unopened::Corrupt);
    }

    #[test]
    fn no_two_entries_share_their_associated_data() {
        let none = Entry { due_at: None, ..entry() };
        let epoch = Entry { due_at: Some(Timestamp::EPOCH), ..entry() };
        assert_ne!(associated(b"", &none, b""), associated(b"", &epoch, b""));
        let empty = Entry { name: Name::Account(String::new()), ..entry() };
        let data_key = Entry { name: Name::DataKey, ..entry() };
        assert_ne!(associated(b"", &empty, b""), associated(b"", &data_key, b""));
    }
}
