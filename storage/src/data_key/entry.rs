//! What lies under [`Name::DataKey`]: the store's keys, wrapped, and in the clear what unwraps
//! them.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | magic, `RGNK` |
//! | 1 | format, 1 |
//! | 2 | length of the source's name, big-endian |
//! | so many | the source's name, UTF-8 |
//! | 2 | length of the parameters, big-endian |
//! | so many | the parameters of the key ring |
//! | rest | an envelope (see `seal`) under the key ring's key, which binds all of the above |
//!
//! In the envelope lie one to [`MOST`] keys of 32 bytes. The first one seals; the others sealed
//! before a rekey, and open what it has not come to yet. The entry's incarnation is the first
//! one's id.

use regrant_core::{Id, StoreFault};
use zeroize::Zeroizing;

use crate::blob::{Blob, Entry, Name};
use crate::error::StoreError;
use crate::key::{Key, KeySource, NewKey};
use crate::seal::{self, Unopened};

const MAGIC: &[u8; 4] = b"RGNK";
const FORMAT: u8 = 1;
const KEY: usize = 32;

/// How many keys an entry may hold. A rekey that ends leaves two, so this many means that
/// fourteen in a row were broken off, and that something else is wrong.
pub(crate) const MOST: usize = 16;

/// The keys of a store: the one that seals, and those that sealed before.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) current: Key,
    pub(crate) former: Vec<Key>,
}

impl Keys {
    /// The keys of a new store.
    pub(crate) fn new(current: Key) -> Self {
        Self { current, former: Vec::new() }
    }

    /// The one of this id.
    pub(crate) fn of(&self, id: &[u8; 16]) -> Option<&Key> {
        self.all().find(|key| key.id() == id)
    }

    /// Opens what one of them sealed.
    pub(crate) fn open(
        &self,
        entry: &Entry,
        envelope: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        if let Some(key) = self.of(seal::key_id(envelope)?) {
            return seal::open(key, entry, b"", envelope);
        }
        // Sealed with a key that is none of ours; or with one of ours, and the id is damaged.
        let reasons = self.all().filter_map(|key| seal::open(key, entry, b"", envelope).err());
        Err(reasons.fold(Unopened::WrongKey, |found, reason| match reason {
            Unopened::WrongKey => found,
            Unopened::Corrupt | Unopened::UnknownFormat => reason,
        }))
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.former)
    }
}

/// An entry with its parts told apart, and nothing opened.
pub(crate) struct Wrapped<'a> {
    pub(crate) source: KeySource,
    pub(crate) parameters: &'a [u8],
    entry: &'a Entry,
    /// All before the envelope.
    bound: &'a [u8],
    envelope: &'a [u8],
}

impl<'a> Wrapped<'a> {
    pub(crate) fn of(blob: &'a Blob) -> Result<Self, Unopened> {
        fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
            let (length, rest) = bytes.split_first_chunk()?;
            rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
        }
        let bytes = blob.sealed.as_slice();
        let (magic, rest) = bytes.split_first_chunk().ok_or(Unopened::Corrupt)?;
        let (format, rest) = rest.split_first().ok_or(Unopened::Corrupt)?;
        if magic != MAGIC || *format == 0 {
            return Err(Unopened::Corrupt);
        }
        if *format > FORMAT {
            return Err(Unopened::UnknownFormat);
        }
        let (source, rest) = sized(rest).ok_or(Unopened::Corrupt)?;
        let (parameters, envelope) = sized(rest).ok_or(Unopened::Corrupt)?;
        let source = std::str::from_utf8(source).map_err(|_| Unopened::Corrupt)?;
        let bound = &bytes[..bytes.len() - envelope.len()];
        let source = KeySource::new(source);
        Ok(Self { source, parameters, entry: &blob.entry, bound, envelope })
    }

    pub(crate) fn open(&self, wrapping: &Key) -> Result<Keys, Unopened> {
        let plain = seal::open(wrapping, self.entry, self.bound, self.envelope)?;
        let (keys, rest) = plain.as_chunks::<KEY>();
        let Some((current, former)) = keys.split_first() else { return Err(Unopened::Corrupt) };
        let keys =
            Keys { current: Key::new(current), former: former.iter().map(Key::new).collect() };
        let is_whole = rest.is_empty()
            && keys.former.len() < MOST
            && self.entry.name == Name::DataKey
            && self.entry.incarnation.0 == *keys.current.id();
        is_whole.then_some(keys).ok_or(Unopened::Corrupt)
    }
}

/// Wraps the keys for the entry of this revision.
pub(crate) fn wrap(keys: &Keys, with: &NewKey, revision: u64) -> Result<Blob, StoreError> {
    let entry = Entry {
        name: Name::DataKey,
        incarnation: Id(*keys.current.id()),
        generation: 1,
        revision,
        due_at: None,
        live: true,
    };
    let mut plain = Zeroizing::new(Vec::with_capacity(KEY * (1 + keys.former.len())));
    plain.extend_from_slice(keys.current.expose());
    keys.former.iter().for_each(|key| plain.extend_from_slice(key.expose()));
    let mut sealed = prefix(&with.source, &with.parameters)?;
    let envelope = seal::seal(&with.key, &entry, &sealed, &plain)?;
    sealed.extend_from_slice(&envelope);
    Ok(Blob { entry, sealed })
}

fn prefix(source: &KeySource, parameters: &[u8]) -> Result<Vec<u8>, StoreError> {
    let mut out = MAGIC.to_vec();
    out.push(FORMAT);
    for part in [source.as_str().as_bytes(), parameters] {
        let length = u16::try_from(part.len()).map_err(|error| {
            let what = "the parameters of the key ring are longer than 65,535 bytes";
            StoreError::new(StoreFault::Unavailable, what).because(error)
        })?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(part);
    }
    Ok(out)
}
