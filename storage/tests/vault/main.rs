//! The vault: what it saves, what it makes of keys, and what it makes of damage.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

mod damage;
mod golden;
mod keys;
mod parts;
mod rekey;
mod saves;
