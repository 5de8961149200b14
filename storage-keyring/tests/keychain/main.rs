//! The keychain ring against a real Secret Service, in sessions of its own.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "all of this is tests")]

mod child;
mod client;
mod keys;
mod prompts;
mod recovery;
mod service;
mod states;
mod stores;
