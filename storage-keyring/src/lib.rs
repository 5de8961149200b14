//! The key of a [`regrant`](https://docs.rs/regrant) store in the keychain of the operating
//! system: the Secret Service of Linux, the login keychain of macOS, the Credential Manager of
//! Windows.
//!
//! A keychain holds one key for each store, 32 bytes that are written once. The records lie
//! sealed in files, or wherever a [`BlobStore`](regrant_storage::BlobStore) keeps them: a
//! keychain has no compare-and-swap, Windows takes no more than 2,560 bytes, and macOS may ask
//! its user again after each time that an item is written.
//!
//! | type | what it is |
//! |---|---|
//! | [`Keychain`] | the keychain as a [`KeyRing`](regrant_storage::KeyRing) |
//! | [`Auto`] | the keychain where it can be used unasked, else a key file; decided once, when a store is made |
//! | [`KeyringStore`] | a folder of sealed records with their key in the keychain |
//!
//! ```no_run
//! use regrant_storage::{StoreError, TokenStore as _};
//! use regrant_storage_keyring::KeyringStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), StoreError> {
//! let store = KeyringStore::open("credentials").await?;
//! // Asks the keychain for the key, if there is a store with one.
//! let stored = store.vault().load("default").await?;
//! # let _ = stored;
//! # Ok(())
//! # }
//! ```
//!
//! # What it says of a keychain that cannot be used
//!
//! None of it reads as "no key", and none of it makes another one.
//!
//! | what is the matter | [`StoreFault`](regrant_core::StoreFault) |
//! |---|---|
//! | no session bus, no keychain on it, no default collection, access denied | `Unavailable` |
//! | locked, and nobody can be asked; the prompt was closed, or not answered in time | `Locked` |
//! | the item is there, and does not hold the key of its name | `KeyMissing` |
//! | the keychain answers, and has no such item | none: [`load`](regrant_storage::KeyRing::load) answers `None` |
//!
//! # Decisions
//!
//! - **Every call has a deadline**, 10 s where nothing else is said, and runs in a thread that
//!   nobody joins. A keychain that is locked may wait for a user who is not there, and one that
//!   hangs answers nobody. A process ends whatever its keychain does. Calls need no runtime and
//!   block none.
//! - **A key has an item of its own, named after it.** Who creates at the same time as others
//!   overwrites nothing; the store names the item of the one who was first, and the others' items
//!   are left over, used by nobody. What an item holds is known for the right key or another.
//! - **Nothing is kept between calls**: neither a connection, which may break, nor the store of a
//!   process, which [`keyring::Entry::new`] would fix at its first use and never look at again.
//!   There are few calls: a store asks once for each process that opens it.
//! - **The Secret Service is unlocked first**, on a connection of our own. The libraries alone
//!   prompt whether or not anybody may be asked, and wait for an answer for ever, also if the
//!   keychain has ended meanwhile.
//! - **No error of the libraries is passed on**, since some of them quote what they read. What
//!   remains is the name or number that the system has for the fault.
//! - **Text, not bytes**: the key is stored in base64, since the wallet of KDE takes text alone.
//! - **On Windows it stays on the machine**: an item is made with local persistence, and does not
//!   roam with the profile, as the records do not.
//!
//! The suite runs against a real Secret Service on Linux. What is for macOS and Windows is
//! type-checked, and was not run by it.

mod auto;
mod item;
mod keychain;
mod lane;
mod platform;
mod refusal;
mod store;

pub use auto::Auto;
pub use keychain::Keychain;
pub use store::KeyringStore;
