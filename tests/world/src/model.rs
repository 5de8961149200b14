//! The model check: every schedule of small worlds of real machines.
//!
//! A [`State`] holds two or three processes with their [`Machine`](regrant_core::Machine)s, what
//! they asked of their hosts, their callers' requests, one record in a store with compare-and-swap,
//! the lease, an authorization server, and the messages between them. A [`Step`] is one choice: an
//! operation is done or fails, a message is judged, arrives or is lost, time passes, a process is
//! killed. What may go wrong is a [`Chance`] that a [`Run`] allows so many times. [`check`] searches
//! a run to its end for a schedule that breaks one of the [`RULES`].
//!
//! Time has ticks of a second, and a run's policy has lengths of a few. Two states that differ only
//! by names, by the past, or by which process is which are one.

mod apply;
mod attempts;
mod chance;
mod check;
mod fair;
mod host;
mod rows;
mod rules;
mod run;
mod runs;
mod server;
mod state;
mod step;

pub use chance::{Chance, Chances};
pub use check::{Bound, Found, check};
pub use rows::Rows;
pub use rules::RULES;
pub use run::{Exclusion, Run};
pub use runs::{SMALL, large};
pub use state::State;
pub use step::Step;
