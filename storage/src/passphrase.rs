//! A key that somebody knows by heart.

use std::fmt;
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use async_trait::async_trait;
use regrant_core::{Secret, StoreFault};
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::key::{self, Key, KeyRing, KeySource, NewKey, Protection};

/// The form of the parameters: Argon2id, version 0x13.
const FORM: u8 = 1;
/// RFC 9106 section 3.1 calls 128 bits sufficient for all applications.
const SALT: usize = 16;

/// A [`KeyRing`] of one key: derived from a passphrase by Argon2id (RFC 9106).
///
/// The store keeps salt and costs, and neither the passphrase nor a hash of it: a wrong one is
/// told by the seal, as `WrongKey`. A passphrase is taken byte for byte as it is given; whoever
/// reads one from a terminal or a file takes the end of the line off.
///
/// Deriving takes a few tenths of a second and 64 MiB, on a thread that may wait, once for each
/// opening of a store.
///
/// ```
/// use std::sync::Arc;
///
/// use regrant_core::Secret;
/// use regrant_storage::{MemoryBlobStore, Passphrase, Vault};
///
/// let ring = Passphrase::new(Secret::new("correct horse battery staple".into()));
/// let store = Vault::new(Arc::new(MemoryBlobStore::new()), Arc::new(ring));
/// ```
#[derive(Clone)]
pub struct Passphrase {
    text: Arc<Secret>,
    costs: Costs,
}

/// What a guess costs: memory, rounds over it, and lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    kib: u32,
    rounds: u32,
    lanes: u32,
}

impl Costs {
    /// What is read from a store is refused above this: 1 GiB, 16 rounds, 16 lanes. Whoever could
    /// write a store could otherwise have its readers run out of memory, or never finish.
    pub const MOST: Self = Self { kib: 1 << 20, rounds: 16, lanes: 16 };

    /// These costs: memory in KiB, rounds, lanes.
    ///
    /// `None` outside of what RFC 9106 section 3.1 allows (at least one round, one lane, and 8 KiB
    /// for each lane), and above [`MOST`](Self::MOST).
    pub fn new(kib: u32, rounds: u32, lanes: u32) -> Option<Self> {
        let costs = Self { kib, rounds, lanes };
        let least = lanes.checked_mul(8)?;
        let is_allowed = (least.max(8)..=Self::MOST.kib).contains(&kib)
            && (1..=Self::MOST.rounds).contains(&rounds)
            && (1..=Self::MOST.lanes).contains(&lanes);
        is_allowed.then_some(costs)
    }
}

/// 64 MiB, 3 rounds, 4 lanes: the second recommended option of RFC 9106 section 4.
impl Default for Costs {
    fn default() -> Self {
        Self { kib: 64 << 10, rounds: 3, lanes: 4 }
    }
}

impl Passphrase {
    /// The key of this passphrase; a new store gets the default [`Costs`].
    pub fn new(text: Secret) -> Self {
        Self { text: Arc::new(text), costs: Costs::default() }
    }

    /// The same; a new store gets these costs. A store that is there keeps its own.
    #[must_use]
    pub fn with_costs(self, costs: Costs) -> Self {
        Self { costs, ..self }
    }

    /// The name under which a store records it: `passphrase`.
    pub fn source() -> KeySource {
        KeySource::new("passphrase")
    }

    async fn key(&self, parameters: Parameters) -> Result<Key, StoreError> {
        let text = Arc::clone(&self.text);
        blocking::unblock(move || parameters.derive(&text)).await
    }
}

#[async_trait]
impl KeyRing for Passphrase {
    fn opens(&self, source: &KeySource) -> bool {
        *source == Self::source()
    }

    async fn load(
        &self,
        _source: &KeySource,
        parameters: &[u8],
    ) -> Result<Option<Key>, StoreError> {
        let parameters = Parameters::decode(parameters)?;
        Ok(Some(self.key(parameters).await?))
    }

    async fn create(&self) -> Result<NewKey, StoreError> {
        let mut salt = [0; SALT];
        key::fill_random(&mut salt)?;
        let parameters = Parameters { costs: self.costs, salt };
        let encoded = parameters.encode();
        Ok(NewKey { key: self.key(parameters).await?, source: Self::source(), parameters: encoded })
    }

    fn protection(&self, _source: &KeySource) -> Protection {
        Protection::Passphrase
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passphrase").field("costs", &self.costs).finish_non_exhaustive()
    }
}

/// What the store keeps: one byte of form, memory in KiB, rounds and lanes in four bytes each,
/// big-endian, and the salt.
struct Parameters {
    costs: Costs,
    salt: [u8; SALT],
}

impl Parameters {
    fn encode(&self) -> Vec<u8> {
        let Costs { kib, rounds, lanes } = self.costs;
        let mut out = vec![FORM];
        [kib, rounds, lanes].iter().for_each(|cost| out.extend_from_slice(&cost.to_be_bytes()));
        out.extend_from_slice(&self.salt);
        out
    }

    fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        let damaged = || {
            let what = "what the store keeps of its passphrase is damaged: restore the store";
            StoreError::new(StoreFault::Corrupt, what)
        };
        let newer = |what| StoreError::new(StoreFault::UnknownFormat, what);
        let (form, rest) = bytes.split_first().ok_or_else(damaged)?;
        if *form > FORM {
            return Err(newer("a newer version made the store's passphrase: update regrant"));
        }
        let (costs, salt) = rest.as_chunks::<4>().0.split_at_checked(3).ok_or_else(damaged)?;
        let [kib, rounds, lanes] = [0, 1, 2].map(|at: usize| u32::from_be_bytes(costs[at]));
        let salt = salt.as_flattened().try_into().map_err(|_| damaged())?;
        if *form == 0 || rest.len() != 3 * 4 + SALT {
            return Err(damaged());
        }
        let costs = Costs::new(kib, rounds, lanes).ok_or_else(|| {
            newer(
                "the store asks for a costlier passphrase than this version takes on: it was \
                   tampered with, or is a newer version's",
            )
        })?;
        Ok(Self { costs, salt })
    }

    fn derive(&self, text: &Secret) -> Result<Key, StoreError> {
        let Costs { kib, rounds, lanes } = self.costs;
        let mut key = Zeroizing::new([0; 32]);
        let params = Params::new(kib, rounds, lanes, Some(key.len()))
            .expect("costs are checked as they are made");
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        let mut memory = Vec::new();
        memory.try_reserve_exact(params.block_count()).map_err(|error| {
            let what = "there is no memory for a key from a passphrase";
            StoreError::new(StoreFault::Unavailable, what).because(error)
        })?;
        memory.resize(params.block_count(), Block::default());
        let derived = argon2.hash_password_into_with_memory(
            text.expose().as_bytes(),
            &self.salt,
            key.as_mut_slice(),
            &mut memory,
        );
        memory.iter_mut().for_each(zeroize::Zeroize::zeroize);
        derived.map_err(|error| {
            let what = "no key can be made of this passphrase: it is longer than 4 GiB";
            StoreError::new(StoreFault::Unavailable, what).because(error.to_string())
        })?;
        Ok(Key::new(&key))
    }
}
