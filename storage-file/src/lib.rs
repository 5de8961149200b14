//! Sealed regrant credentials in files, one for each credential.
//!
//! A [`FileStore`] is a folder that its owner alone can use. It needs no database and no service,
//! and works with any async runtime or none: what waits for a disk does so on threads of its own.
//!
//! ```
//! use std::sync::Arc;
//!
//! use regrant_core::{Client, Grant, Id, Login, Record, Secret, Timestamp};
//! use regrant_storage::{FileLease, KeyFile, Kept, Over, TokenStore as _, Vault};
//! use regrant_storage_file::FileStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let home = tempfile::tempdir()?;
//! # let (data, config) = (home.path().join("data"), home.path().join("config"));
//! let files = FileStore::open(data).await?;
//! let lease = FileLease::new(files.lock_folder());
//! // Under another root than the data, so that a copy of the data is of no use.
//! let key = KeyFile::new(config.join("regrant.key"));
//! let store = Vault::new(Arc::new(files), Arc::new(key));
//!
//! let login = Login {
//!     incarnation: Id([7; 16]), // 128 random bits
//!     client: Client::new("https://as.example/token", "my-client"),
//!     origins: Vec::new(),
//!     grant: Grant::bearer(Secret::new("the access token".into())),
//!     obtained_at: Timestamp::from_millis(1_700_000_000_000),
//! };
//! let saved = store.save("default", &Record::login(&login, None), &Over::Absent).await?;
//! assert!(matches!(saved, Kept::Done(_)));
//! # drop(lease);
//! # Ok(())
//! # }
//! ```
//!
//! A [`JsonFile`] is something else: one credential in a JSON file of another program's shape,
//! which that program goes on reading and writing. Its tokens lie in the clear, as that file has
//! them.
//!
//! # What holds
//!
//! - A reader finds the record that was there or the one that was saved, whole, at any moment and
//!   after any crash. It waits for nobody.
//! - A save that is done survives a power loss: the file was synced before it got its name, and
//!   the folder after.
//! - Of many who save over one record, one succeeds, and the others are told what is there. Locks
//!   keep them from getting into each other's way, and exclusive hard links keep the record, also
//!   on mounts that grant one lock twice or have none.
//! - A file that is damaged, cut, or that of another account is told without a key, stays as it
//!   is, and is never taken for no login. The next login sets a copy aside.
//! - Everything is made with the modes 0600 and 0700, whatever the umask. If others could read
//!   what is found, that is taken from them, with one warning.
//! - What a killed process left is swept by later saves, and at the latest at the logout of its
//!   account. The copies that were set aside go then, too.
//! - A record that is a symbolic link stays one: what it leads to is replaced.
//!
//! # What does not
//!
//! - It is for the processes of one host. Where others write to the same folder, a lock of theirs
//!   is not seen, and a network file system may show what has passed.
//! - A list of accounts reads all files, and there is none as long as one of them is damaged: what
//!   cannot be read has no name that could be listed.
//! - A mount that knows neither hard links nor locks that exclude is refused.
//! - Names of accounts stand in the files in the clear, tokens never. What was replaced is
//!   removed, and not overwritten: the tokens in it are sealed.

mod claim;
mod digest;
mod fault;
mod folder;
mod json;
mod leftovers;
mod lock;
mod names;
mod owner;
mod privacy;
mod record;
mod save;
mod site;
mod store;

pub use json::{
    JsonAccount, JsonCredential, JsonEntry, JsonError, JsonField, JsonFile, JsonMap, JsonMapError,
    JsonPointer, JsonUnit,
};
pub use store::FileStore;
