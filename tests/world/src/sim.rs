//! Deterministic simulation: fleets of processes in virtual time, with faults in everything.
//!
//! A seed makes a [`Script`](ops::Script): a world, and a list of operations, plain data with a
//! text form. A script plays the same every time. The [`reference`](reference::Reference) says what
//! must be true whatever happened, from the authorization server's books, the store and the
//! callers' answers alone. A script that breaks one of its rules is shrunk and printed as a file
//! to be kept.
//!
//! The processes are real [`Machine`](regrant_core::Machine)s, and around each what the driver
//! does, step by step the same: callers with their patience, passages, the order in which a task
//! hears of things after a stop, the lease's lane, the clock.

pub mod authority;
pub mod books;
mod calls;
mod clock;
pub mod dice;
mod fleet;
pub mod generate;
mod jobs;
mod lease_lane;
pub mod loss;
pub mod ops;
mod process;
mod recovery;
pub mod reference;
pub mod report;
pub mod run;
mod seats;
pub mod shrink;
mod store;
mod wire;
pub mod years;
