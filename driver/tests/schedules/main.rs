//! Every schedule of the threads that share a session.
//!
//! The driver's own sources are compiled here a second time, over the atomics and locks of loom
//! (`sync.rs`), which runs each test under every interleaving and every value that the memory model
//! lets a load see. The task of the model has a real machine, whose store and lease answer at once,
//! and whose token endpoint answers when somebody waits for it.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

mod one_of_a_kind;
mod sync;
mod task;
mod told;

#[expect(dead_code, unreachable_pub, reason = "the model needs a part of the source")]
#[path = "../../src/error.rs"]
mod error;
#[path = "../../src/lending.rs"]
mod lending;
#[expect(dead_code, unreachable_pub, reason = "the model needs a part of the source")]
#[path = "../../src/published.rs"]
mod published;
#[path = "../../src/registry.rs"]
mod registry;
#[expect(dead_code, reason = "the model needs a part of the source")]
#[path = "../../src/trouble.rs"]
mod trouble;
#[path = "../../src/waiters.rs"]
mod waiters;
