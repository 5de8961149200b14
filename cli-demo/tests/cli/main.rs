//! The command as a user runs it: the built binary against real servers on loopback.
#![expect(clippy::unwrap_used, reason = "all of this is tests")]

mod classify;
mod client;
mod damage;
mod demands;
mod doctor;
mod full_disk;
mod input;
mod key_kills;
mod keychain;
mod keys;
mod killed;
mod login;
mod machines;
mod outages;
mod passphrases;
mod privacy;
mod processes;
mod rejections;
mod relogin;
mod sandbox_flags;
mod support;
mod takeover;
mod terminal;
mod tokens;
mod ux;
