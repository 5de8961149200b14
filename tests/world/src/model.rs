//! The model check: every schedule of small worlds of real machines.
//!
//! A [`State`] holds up to three processes with their [`Machine`](regrant_core::Machine)s, what
//! they asked of their hosts, their callers' requests, one record in a store with compare-and-swap,
//! the lease, an authorization server, and the messages between them. A [`Step`] is one choice: an
//! operation is done or fails, a message is judged, arrives or is lost, time passes, a process is
//! killed. What may go wrong is a [`Chance`] that a [`Run`] allows so many times. [`check`] searches
//! a run to its end for a schedule that breaks one of the [`RULES`].
//!
//! Time has ticks of a second, and a run's policy has lengths of a few. Two states that differ only
//! by names, by the past, or by which process is which are one.
//!
//! The small bound ([`SMALL`]) is searched to its end by `cargo test`. Together its runs walk every
//! row of the table of edges, take every chance that they allow, and come upon every [`Schedule`]
//! that once broke a rule; the test fails where one of these is left out. The large bound
//! ([`large`]) puts every trouble before every kind of server; which of its runs came to their end
//! and which were cut is said run by run, and none that was cut counts as complete. What a run that
//! has a last tick shows is shown until that tick.
//!
//! Why these bounds: with each chance that a run has left the number of its states grows several
//! times, so a run allows few kinds of faults together, each once or twice. What needs more company
//! than that is left to the simulation. Two processes race; three are searched where a third could
//! do harm to two that wait.
//!
//! Not here: that no secret is seen anywhere is no matter of schedules, and proven by canaries; an
//! origin is named in full here, so what an address may look like is the transport's to prove; a
//! caller that goes away is the driver's.
#![doc = include_str!("model/runs.md")]

mod apply;
mod attempts;
mod chance;
mod check;
mod fair;
mod host;
mod rules;
mod run;
mod runs;
mod schedules;
mod server;
mod state;
mod step;
mod visited;

pub use chance::{Chance, Chances};
pub use check::{Bound, Found, check};
pub use rules::RULES;
pub use run::{Exclusion, Run};
pub use runs::{SMALL, large, table};
pub use schedules::Schedule;
pub use state::State;
pub use step::Step;
pub use visited::Visited;
