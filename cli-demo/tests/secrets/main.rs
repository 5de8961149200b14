//! The command, searched for secrets: what it prints at its loudest, what it writes, and what its
//! children are started with.
//!
//! What may hold a token: the output of `token`, which is there for it; the answer that `call` got
//! from an API; what `classify --json` read on its standard input. What may hold the state of a login: its URL, which is printed and given to the
//! browser, and lets nobody in without the verifier that is in neither.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "all of this is tests")]

#[path = "../../../tests/tests/redaction/authority.rs"]
#[expect(dead_code, reason = "sessions in a process use all of it")]
mod authority;
#[path = "../../../tests/tests/redaction/canary.rs"]
#[expect(dead_code, reason = "sessions in a process use all of it")]
mod canary;
mod children;
#[cfg(target_os = "linux")]
mod keychain;
#[path = "../../../tests/tests/redaction/loopback.rs"]
mod loopback;
mod loudest;
mod mistakes;
mod user;
