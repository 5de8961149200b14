//! The laws of processes find what they are there to find.
//!
//! `sound` is the smallest store in files that keeps them, and a lock file for a lease. `broken` are
//! the same with one flaw each, of the kind that stores in files have had; each test of it is a law
//! that must be red, and for the reason that stands beside it.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

mod broken;
mod lease;
mod sound;
mod store;
