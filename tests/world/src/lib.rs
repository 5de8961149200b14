//! A world in virtual time, in which machines are driven through schedules.
//!
//! Everything is a plain value and nothing waits: a [`World`] holds one store, one lease, one
//! authorization server, some APIs and any number of processes, each with a real
//! [`Machine`](regrant_core::Machine). A test says what happens, in which order.

pub mod model;
mod server;
pub mod sim;
mod world;

pub use server::{Kind, Server};
pub use world::{Answered, Hold, World, origin};
