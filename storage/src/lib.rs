//! To be written.

mod blob;
mod error;
mod lease;
mod token;

pub use blob::{Blob, BlobStore, Capabilities, Entry, Expected, Name, Saved};
pub use error::{SaveOutcome, StoreError};
pub use lease::{HeldLease, Holder, RefreshLease, Tried};
pub use token::{Kept, Over, Stored, TokenStore};
