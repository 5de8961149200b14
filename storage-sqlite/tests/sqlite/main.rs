//! The store on a real file system, with other processes and with damage.
#![expect(clippy::unwrap_used, reason = "all of this is tests")]

mod aside;
mod child;
mod contention;
mod creation;
mod damage;
mod disk;
mod laws;
mod mid_save;
#[cfg(unix)]
mod modes;
mod privacy;
mod support;
