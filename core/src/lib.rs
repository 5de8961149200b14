//! The pure state machine that keeps OAuth 2.0 credentials alive: **the server decides when a
//! token is dead**.
//!
//! A local expiry is a hint. When a server rejects a token that the local clock calls valid, the
//! machine refreshes, once for any number of requests, tasks and processes, and the requests are
//! replayed. It asks for a login only when the authorization server refuses the refresh.
//!
//! # What it does, and what it does not
//!
//! [`Machine`] decides. It never does I/O, reads no clock, rolls no dice, knows no runtime and
//! never waits: a host gives it [`Input`]s with the time, does what its [`Output`]s ask for, and
//! shows its [`View`] to those who want tokens. [`Passage`] says for one request whether it is
//! replayed. [`protocol`] reads and writes what goes over the wire, as pure functions of bytes.
//! The crate is `no_std` with `alloc`.
//!
//! Most programs want the crate `regrant`, which drives this one with tokio. Take this one to
//! drive it from blocking code, from another runtime, from C, from a game loop.
//!
//! # Driving it
//!
//! ```
//! use std::time::Duration;
//!
//! use regrant_core::{Action, Input, Machine, Outcome, Output, Policy, StateKind, Timestamp};
//!
//! let now = Timestamp::from_millis(1_750_000_000_000);
//! let seed = [7; 32]; // from the operating system, new for every start
//! let mut machine = Machine::new(Policy::default(), seed, now);
//!
//! // Drain the outputs until `Timeout`; only then give the next input.
//! loop {
//!     match machine.poll_output() {
//!         Output::Act { id, action: Action::Load, .. } => {
//!             // A store would be asked here; this one is empty.
//!             machine.handle_input(Input::Done { id, outcome: Outcome::Loaded(None) }, now);
//!         }
//!         Output::Act { .. } | Output::Event(_) | Output::Answered(_) | Output::Stopped => {}
//!         Output::Timeout(wake_at) => {
//!             assert!(wake_at > now);
//!             break;
//!         }
//!     }
//! }
//! assert_eq!(machine.state(), Some(StateKind::NeedsLogin));
//! ```
#![no_std]

extern crate alloc;

mod client;
mod fault;
mod grant;
mod holder;
mod id;
mod machine;
mod nonces;
mod origin;
pub mod protocol;
mod reason;
mod record;
mod secret;
mod server;
mod time;
mod unknown;
mod version;

pub use client::{Client, ClientAuthentication, Renewal};
pub use fault::StoreFault;
pub use grant::{Answer, Applied, Failure, Grant, Refusal, RefusalKind, Strength, Verdict};
pub use holder::Holder;
pub use id::{Id, TokenId};
pub use machine::{
    Action, Blocked, Edge, Event, Input, Machine, Next, Outcome, Output, Over, Passage, Policy,
    Stored, Use, View, edges,
};
#[cfg(feature = "model")]
pub use machine::{Canonical, GrantInHand};
pub use nonces::Nonces;
pub use origin::{Origin, OriginError};
pub use reason::{Cause, LoginReason};
pub use record::{
    Access, Budget, CoolDown, Intent, Login, Mark, Record, RecordError, Refresh, Slot, StateKind,
};
pub use secret::Secret;
pub use server::Rotation;
pub use time::Timestamp;
pub use unknown::Unknown;
pub use version::Version;
