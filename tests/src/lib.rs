//! Tests that cross crates: scenarios, processes, the certified provider. What needs the core alone
//! is in `regrant-world`, beside this.
//!
//! In here is what several of their binaries need.

mod no_locks;
#[cfg(doctest)]
mod readme;
mod saved_otherwise;

pub use no_locks::NoLocks;
pub use saved_otherwise::{SavedOtherwise, Saves};
