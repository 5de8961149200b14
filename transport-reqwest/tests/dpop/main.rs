//! Tokens that are bound to a key (RFC 9449), at servers that verify every proof.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod api;
mod bound;
#[path = "../common/captured.rs"]
mod captured;
mod guard;
mod logs;
mod signer;
mod token;
