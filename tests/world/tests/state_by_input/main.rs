//! Every state with every input, as a table that people review: what the machine does about each
//! pair is in `snapshots/`, one file a state.
//!
//! A state stands there in all its flavours. Above each block are its facts and what callers may
//! do; below, the inputs that are ignored, and then the others with all that came of them: changes
//! of state, actions and events in their order, what callers may do now and when the machine wants
//! to be woken, both only if that is another answer than before. Times count from the moment before
//! the input. Inputs with one effect stand on one line.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

mod flavours;
mod outcomes;
mod rows;
mod scene;
mod sentences;
mod table;
mod words;

use flavours::{NEEDS_LOGIN, REFRESHING, RETRYING, SERVER_REJECTED, UNLOADED, VALID};
use regrant_core::StateKind;

#[test]
fn a_process_that_has_read_nothing() {
    insta::assert_snapshot!("not_loaded", table::of(None, UNLOADED));
}

#[test]
fn valid() {
    insta::assert_snapshot!("valid", table::of(Some(StateKind::Valid), VALID));
}

#[test]
fn server_rejected() {
    let table = table::of(Some(StateKind::ServerRejected), SERVER_REJECTED);
    insta::assert_snapshot!("server_rejected", table);
}

#[test]
fn refreshing() {
    insta::assert_snapshot!("refreshing", table::of(Some(StateKind::Refreshing), REFRESHING));
}

#[test]
fn retrying() {
    insta::assert_snapshot!("retrying", table::of(Some(StateKind::Retrying), RETRYING));
}

#[test]
fn needs_login() {
    insta::assert_snapshot!("needs_login", table::of(Some(StateKind::NeedsLogin), NEEDS_LOGIN));
}
