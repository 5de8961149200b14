//! To be written.
#![no_std]

extern crate alloc;

mod client;
mod fault;
mod grant;
mod id;
mod machine;
mod origin;
mod record;
mod secret;
mod time;
mod version;

pub use client::{Client, ClientAuthentication};
pub use fault::StoreFault;
pub use grant::{Answer, Applied, Failure, Grant, Refusal, RefusalKind, Strength, Verdict};
pub use id::{Id, Incarnation, TokenId};
pub use machine::{
    Action, Blocked, Edge, Event, Holder, Input, Machine, Next, Outcome, Output, Over, Passage,
    Policy, Rotation, Stored, Use, View, edges,
};
pub use origin::{Origin, OriginError};
pub use record::{
    Access, Budget, Cause, CoolDown, Intent, Login, LoginReason, Mark, Record, RecordError,
    Refresh, Slot, StateKind,
};
pub use secret::Secret;
pub use time::Timestamp;
pub use version::Version;
