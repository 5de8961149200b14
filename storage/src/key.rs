//! Keys, where they come from, and what they protect.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use hkdf::Hkdf;
use regrant_core::StoreFault;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::error::StoreError;

/// 32 bytes that seal, and a name for them.
///
/// Clones share one buffer, which is wiped when the last of them is dropped. `Debug` prints the
/// name alone, which stands in every envelope and tells nothing of the bytes.
#[derive(Clone)]
pub struct Key {
    id: [u8; 16],
    bytes: Arc<Zeroizing<[u8; 32]>>,
}

impl Key {
    /// A key of these bytes, which must be as good as random. The caller's copy is the caller's
    /// to wipe.
    pub fn new(bytes: &[u8; 32]) -> Self {
        let mut id = [0; 16];
        Hkdf::<Sha256>::new(None, bytes)
            .expand(b"regrant key id 1", &mut id)
            .expect("HKDF-SHA256 gives up to 8,160 bytes");
        // Filled where it lies: a move would leave a copy behind that nobody wipes.
        let mut kept = Arc::new(Zeroizing::new([0; 32]));
        Arc::get_mut(&mut kept).expect("nobody else has it yet").copy_from_slice(bytes);
        Self { id, bytes: kept }
    }

    /// A new key.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of kind `Unavailable`, if the operating system gives no random bytes.
    pub fn random() -> Result<Self, StoreError> {
        let mut bytes = Zeroizing::new([0; 32]);
        fill_random(bytes.as_mut_slice())?;
        Ok(Self::new(&bytes))
    }

    /// Its name: follows from the bytes, and leads nowhere back.
    pub fn id(&self) -> &[u8; 16] {
        &self.id
    }

    /// The bytes themselves, for those who keep or derive.
    pub fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(")?;
        self.id.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// Random bytes of the operating system.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<(), StoreError> {
    getrandom::fill(bytes).map_err(|error| {
        let what = "the operating system gives no random bytes for a key";
        StoreError::new(StoreFault::Unavailable, what).because(error)
    })
}

/// Where a key comes from, in one line of text: `keychain`, `passphrase`, `file:PATH`.
///
/// A store names the source of its key in the clear, and is opened with that source alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeySource(String);

impl KeySource {
    /// A source of this name, at most 65,535 bytes of it.
    pub fn new(name: impl Into<String>) -> Self {
        let mut name = name.into();
        // The store has two bytes for its length.
        name.truncate(name.floor_char_boundary(usize::from(u16::MAX)));
        Self(name)
    }

    /// The key file at this path.
    ///
    /// A path that is not Unicode is named with replacement characters: it can be compared, and
    /// [`file_path`](Self::file_path) does not lead back to it.
    pub fn file(path: &Path) -> Self {
        Self::new(format!("file:{}", path.display()))
    }

    /// The path, if the source is a key file.
    pub fn file_path(&self) -> Option<&Path> {
        self.0.strip_prefix("file:").map(Path::new)
    }

    /// The name as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What keeps the key from somebody who has a copy of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protection {
    /// The keychain of the operating system.
    OsKeychain,
    /// A passphrase that somebody knows.
    Passphrase,
    /// Nothing but the permissions of a file: in the same backup it protects nothing.
    None,
}

impl Protection {
    /// The stable name: `os-keychain`, `passphrase` or `none`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OsKeychain => "os-keychain",
            Self::Passphrase => "passphrase",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A key that a [`KeyRing`] made, and what it must be told to find it again.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The key.
    pub key: Key,
    /// Where it comes from: kept in the store in the clear, and asked for by this name later.
    pub source: KeySource,
    /// Kept in the store in the clear, bound by the seal, at most 65,535 bytes: the salt and the
    /// costs of a passphrase, the name of a keychain's item. Empty where nothing is needed.
    pub parameters: Vec<u8>,
}

/// Where the key comes from that wraps a store's own key.
///
/// # Duties
///
/// - [`load`](Self::load) never makes a key, and *there is none* is an answer, not an error.
/// - [`create`](Self::create) is asked for a store that has no key yet, by any number of processes
///   at once, and for one whose key is to be wrapped anew. One of them stores what it got; to the
///   others, `load` with what is stored gives that one's key. So whoever keeps a key in a place of
///   a fixed name does so exclusively: who comes second returns the first one's.
/// - No key, and no part of one, in an error or a log.
#[async_trait]
pub trait KeyRing: Send + Sync + fmt::Debug {
    /// Whether a store that names this source is opened by this ring. A store is opened with the
    /// source that it names and with no other.
    fn opens(&self, source: &KeySource) -> bool;

    /// The key of a source that this ring opens, told by the parameters that the store kept; `None`
    /// if it is not there.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of kind `Locked` or `Unavailable`, if the place cannot be asked;
    /// `KeyMissing`, if what is there is no key; `UnknownFormat`, if the parameters are a newer
    /// version's.
    async fn load(&self, source: &KeySource, parameters: &[u8]) -> Result<Option<Key>, StoreError>;

    /// A key for a new store.
    ///
    /// # Errors
    ///
    /// [`StoreError`] of any kind that says why there is none.
    async fn create(&self) -> Result<NewKey, StoreError>;

    /// Takes back a key that [`create`](Self::create) gave and that no store will name, where
    /// nobody else can have been given the same.
    ///
    /// Written for those who keep nothing that is a single store's: it does nothing.
    async fn discard(&self, unused: &NewKey) {
        let _ = unused;
    }

    /// What a key of this source protects from.
    fn protection(&self, source: &KeySource) -> Protection;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_prints_no_byte_of_a_key() {
        let key = Key::new(&[0xc5; 32]);
        let printed = format!("{key:?} {key:#?}");
        assert!(!printed.contains("c5c5") && !printed.contains("197"), "{printed}");
    }

    #[test]
    fn random_keys_differ_and_so_do_their_names() {
        let (one, two) = (Key::random().unwrap(), Key::random().unwrap());
        assert_ne!(one.expose(), two.expose());
        assert_ne!(one.id(), two.id());
        assert_eq!(one.id(), Key::new(one.expose()).id());
    }

    #[test]
    fn a_file_source_leads_back_to_its_path() {
        let source = KeySource::file(Path::new("/keys/regrant.key"));
        assert_eq!(source.as_str(), "file:/keys/regrant.key");
        assert_eq!(source.file_path(), Some(Path::new("/keys/regrant.key")));
        assert_eq!(KeySource::new("keychain").file_path(), None);
    }

    #[test]
    fn an_overlong_name_is_cut_between_characters() {
        assert_eq!(KeySource::new("ü".repeat(40_000)).as_str().len(), 65_534);
    }
}
