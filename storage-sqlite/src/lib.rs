//! Sealed [`regrant`](https://docs.rs/regrant) credentials in an SQLite database.
//!
//! [`SqliteStore`] is a [`BlobStore`](regrant_storage::BlobStore) for one host: one file, any
//! number of accounts, any number of processes. What it stores was sealed before; it holds no
//! key. It needs a tokio runtime.
//!
//! ```
//! use regrant_core::Id;
//! use regrant_storage::{Blob, BlobStore, Entry, Expected, Name, Saved, StoreError};
//! use regrant_storage_sqlite::SqliteStore;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), StoreError> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let folder = folder.path();
//! let store = SqliteStore::open(folder.join("regrant.db")).await?;
//! let name = Name::Account("default".into());
//! // Reading makes no file.
//! assert_eq!(store.load(&name).await?, None);
//! assert!(!store.path().exists());
//!
//! let entry = Entry {
//!     name: name.clone(),
//!     incarnation: Id([7; 16]),
//!     generation: 1,
//!     revision: 1,
//!     due_at: None,
//!     live: true,
//! };
//! let blob = Blob { entry, sealed: b"what a vault has sealed".to_vec() };
//! // The first save does; it is durable when it is answered.
//! assert!(matches!(store.save(&blob, Expected::Absent).await?, Saved::Done));
//! assert_eq!(store.load(&name).await?, Some(blob.clone()));
//! // Whoever expects something else is told what is there.
//! let saved = store.save(&blob, Expected::Absent).await?;
//! assert!(matches!(saved, Saved::Mismatch(Some(there)) if there == blob));
//! # Ok(())
//! # }
//! ```
//!
//! # The files
//!
//! | name | what it is |
//! |---|---|
//! | `regrant.db` | the database, under its real path |
//! | `regrant.db-journal` | SQLite's rollback journal, while something is saved |
//! | `regrant.db.locks/` | the lock of those who create it, and those of a lease ([`SqliteStore::lock_folder`]); after a failure for a moment `probe`, to find out what is wrong |
//! | `regrant.db.regrant-new` | a database that is being made |
//! | `regrant.db.corrupt-1` | a damaged database that was set aside by a login or a logout, until nobody is logged in any more |
//!
//! Files are made with mode 0600 and folders with 0700; a database that others have rights to is
//! taken from them when it is opened, with a warning. Symlinks are followed first, so that all
//! names of one file mean one store. A second hard link is another name that SQLite cannot know
//! of: do not make one.
//!
//! # Decisions
//!
//! - **A save is one statement**, `UPDATE … WHERE incarnation = … AND revision = …`, and the number
//!   of rows it changed is the answer. A transaction that reads first and writes later can be
//!   refused in between, however long one waits.
//! - **A rollback journal**, not a write-ahead log. A log is faster for those who save often; this
//!   is a few saves an hour, and a command that opens, saves and closes is no faster with one. It
//!   would leave two more files beside the database, need shared memory, which network file
//!   systems lack, and could not even be read on a full disk or in a folder that is read only.
//!   `synchronous=EXTRA` syncs the folder too once the journal is gone. A save costs five syncs
//!   (1 ms on an idle virtual disk, 30 ms on a busy one), a logout ten. A load takes 0.1 ms.
//! - **One connection**, opened when it is needed and kept. SQLite works in a thread of its own
//!   and in the order it is asked, so a save whose future was dropped is over, one way or the
//!   other, before the next call on the same store is answered. Before each call the file is
//!   looked at: if it was replaced or removed, the connection is to a file that nobody sees any
//!   more.
//! - **Created whole.** A database is made under another name, under a lock, with its first
//!   record in it, and then renamed. A process that is killed meanwhile leaves nothing that
//!   could be taken for a database.
//! - **Damage is not absence.** An empty file, a file that is no database, somebody else's
//!   database, a page that does not fit: each is
//!   [`Corrupt`](regrant_core::StoreFault::Corrupt), and stays as it is. Only
//!   [`replace`](regrant_storage::BlobStore::replace) sets it aside. Rows that can still be read
//!   are taken over, so the other accounts need no login. A single damaged row is kept in a
//!   table of the same database instead.
//! - **Damage is looked at twice.** SQLite says *damaged* also of a page that the disk does not
//!   read, *locked* also of a file system that has no locks, and of a used up quota only that
//!   something went wrong. Each is found out by a second look, in the folder of the database:
//!   [`Unavailable`](regrant_core::StoreFault::Unavailable) in the first two cases,
//!   [`Full`](regrant_core::StoreFault::Full) in the third.
//! - **What is gone is gone.** `secure_delete` overwrites what is deleted with zeros. A logout
//!   writes the database anew besides: a killed save may have left something in pages that were
//!   free. The copies of damaged rows go with the logout of their account. Files that were set
//!   aside belong to all their accounts, and go with the logout of the last one. A logout that
//!   sets a damaged database aside keeps the copy, for what others have in it, until the next.
//!   All of that is sealed.
//! - **Locked is not damaged.** SQLite waits four seconds for others, then the answer is
//!   [`Locked`](regrant_core::StoreFault::Locked), and nothing was changed. While 128 processes
//!   read without a pause on two processors, a save waited half a second at most.

mod aside;
mod connection;
mod create;
mod fault;
mod place;
mod row;
mod second_look;
mod store;

pub use store::SqliteStore;
