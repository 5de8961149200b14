//! No token, passphrase, client secret or key in a log, a `Debug`, an error or a panic: secrets
//! that are known again are put through every flow, and all that is said is searched for them.
//!
//! What may hold them: the requests to the servers they are for, what a program asks for by
//! `expose`, and JSON files that are shared with other programs, which are in the clear by their
//! nature. The words of a host's own signer stand behind its error and are the host's to mind.
//!
//! The command is searched in its own package, memory in `memory.rs`.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

mod authority;
mod canary;
mod errors;
mod heard;
mod hosts;
mod logins;
mod loopback;
mod program;
mod searching;
mod sessions;
mod shown;
mod source;
mod stores;
mod values;
