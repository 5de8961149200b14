//! The store on a real file system, with other processes and with damage.
#![expect(clippy::unwrap_used, reason = "all of this is tests")]

mod contention;
mod creation;
mod damage;
mod laws;
mod privacy;
mod support;
