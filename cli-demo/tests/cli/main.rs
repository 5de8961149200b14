//! The command as a user runs it: the built binary against real servers on loopback.
#![expect(clippy::unwrap_used, reason = "all of this is tests")]

mod damage;
mod input;
mod killed;
mod outages;
mod privacy;
mod processes;
mod rejections;
mod support;
mod tokens;
