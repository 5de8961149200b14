//! The store on a real file system, with other processes, with crashes and with damage.
#![expect(clippy::unwrap_used, reason = "all of this is tests")]

mod contention;
#[cfg(target_os = "linux")]
mod crash;
mod creation;
mod damage;
#[cfg(target_os = "linux")]
mod disk;
#[cfg(target_os = "linux")]
mod faults;
mod laws;
mod mid_save;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(unix)]
mod privacy;
mod support;
#[cfg(target_os = "linux")]
mod trace;
