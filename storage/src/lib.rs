//! Where regrant keeps credentials: the storage traits, the vault that seals records, the
//! lock-file lease, and the laws that every backend keeps.
//!
//! A credential at rest is one [`Record`](regrant_core::Record) per account. Many programs may
//! read and save it at once; nobody may lose what another saved, and nobody may read it without
//! the key. That takes three things, each a trait:
//!
//! | trait | what it does | who implements it |
//! |---|---|---|
//! | [`BlobStore`] | keeps sealed bytes under a name, replaces them by compare-and-swap | a backend |
//! | [`TokenStore`] | keeps records | [`Vault`], over any `BlobStore` |
//! | [`RefreshLease`] | lets one process at a time refresh a credential | [`FileLease`], [`MemoryLease`] |
//!
//! # Two layers
//!
//! A backend sees an [`Entry`] in the clear and bytes that mean nothing to it. Sealing exists
//! once, in the [`Vault`]: AES-256-GCM under a key derived for each save from the store's own key,
//! with the entry bound to it. The store's own key is random, made with the first record, and lies
//! in the store, wrapped under the key of a [`KeyRing`]: a [`KeyFile`], or what a host brings.
//!
//! ```
//! use std::sync::Arc;
//!
//! use regrant_core::{Client, Grant, Id, Login, Record, Secret, Timestamp};
//! use regrant_storage::{Kept, KeyFile, MemoryBlobStore, Over, TokenStore as _, Vault};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let place = Arc::new(MemoryBlobStore::new());
//! let key = KeyFile::new(folder.path().join("regrant.key"));
//! let store = Vault::new(place.clone(), Arc::new(key.clone()));
//!
//! // What a login brought.
//! let login = Login {
//!     incarnation: Id([7; 16]), // 128 random bits
//!     client: Client::new("https://as.example/token", "my-client"),
//!     origins: Vec::new(),
//!     grant: Grant::bearer(Secret::new("the access token".into())),
//!     obtained_at: Timestamp::from_millis(1_700_000_000_000),
//! };
//! let saved = store.save("default", &Record::login(&login, None), &Over::Absent).await?;
//! assert!(matches!(saved, Kept::Done(_)));
//!
//! // Another process, with the same key file.
//! let store = Vault::new(place, Arc::new(key));
//! let stored = store.load("default").await?.expect("it was saved");
//! assert_eq!(stored.record.incarnation, Id([7; 16]));
//! # Ok(())
//! # }
//! ```
//!
//! # What a save says
//!
//! A save names what it replaces. It is *done* and durable; or something *else is there*, which it
//! gives, and nothing was changed; or it *failed*, and the error says whether nothing was changed
//! or nobody knows ([`SaveOutcome`]). A future that is dropped may have saved: load again.
//!
//! ```
//! # use regrant_core::{Id, Record, Timestamp};
//! use regrant_storage::{Kept, MemoryStore, Over, TokenStore as _};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), regrant_storage::StoreError> {
//! # let record = Record::logged_out(Id([7; 16]), 1, Timestamp::EPOCH);
//! let store = MemoryStore::new();
//! let Kept::Done(first) = store.save("default", &record, &Over::Absent).await? else {
//!     unreachable!("nobody else has this store")
//! };
//! store.save("default", &record, &Over::Version(first.clone())).await?;
//!
//! // Whoever still has the first version is told what is there now.
//! let late = store.save("default", &record, &Over::Version(first)).await?;
//! let Kept::Mismatch(Some(current)) = late else { unreachable!("the version has passed") };
//! store.save("default", &record, &Over::Version(current.version)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What cannot be read
//!
//! *Absent* is an answer. Everything else that keeps a record from being read is a [`StoreError`]
//! whose [`kind`](StoreError::kind) says who must act, is never taken for absent, and changes
//! nothing in the store. Only a login or a logout saves over it ([`Over::Damaged`]), after a copy
//! was set aside. A key that is gone is never replaced by a new one.
//!
//! # What it does not do
//!
//! - It has no runtime, no timer and no clock: whoever waits, waits above.
//! - A lease does not protect the data, the compare-and-swap does. A lease only keeps the number
//!   of token requests at one.
//! - It does not tell a store from an older copy of all of it. Incarnation and generation do, and
//!   the machine of `regrant-core` compares them.
//! - A key file protects a store from those who get the store without the file, and from nobody
//!   else ([`Protection::None`]).
//! - Keys and plain text are wiped when they are dropped; what the compiler or the system copied
//!   meanwhile is beyond its reach.
//!
//! # Features
//!
//! - `passphrase`: keys from a passphrase, by Argon2id (`Passphrase`).
//! - `conformance`: the laws of a backend as tests (`laws`), and a store that fails on demand
//!   (`Faulty`). For the tests of those who implement or use a store.

mod blob;
mod data_key;
mod error;
#[cfg(feature = "conformance")]
mod faulty;
mod file_lease;
mod fingerprint;
mod key;
mod key_file;
#[cfg(feature = "conformance")]
pub mod laws;
mod lease;
mod memory;
pub mod owner_only;
#[cfg(feature = "passphrase")]
mod passphrase;
pub mod places;
mod rekey;
mod seal;
mod token;
mod vault;

pub use blob::{Blob, BlobStore, Capabilities, Entry, Expected, Name, Saved};
pub use error::{SaveOutcome, StoreError};
#[cfg(feature = "conformance")]
pub use faulty::{Faulty, SaveFault};
pub use file_lease::FileLease;
pub use fingerprint::Fingerprinter;
pub use key::{Key, KeyRing, KeySource, NewKey, Protection};
pub use key_file::KeyFile;
pub use lease::{HeldLease, RefreshLease, Tried};
pub use memory::{MemoryBlobStore, MemoryLease, MemoryStore};
#[cfg(feature = "passphrase")]
pub use passphrase::{Costs, Passphrase};
pub use regrant_core::{Holder, Over, Stored};
pub use rekey::Rekeyed;
pub use token::{Kept, TokenStore};
pub use vault::Vault;
