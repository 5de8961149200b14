//! regrant against a certified OpenID provider: `oidc-provider` of npm, in a process of its own,
//! with an API that introspects each token there. The server is in `tests/oidc-provider`.
//!
//! Run with `--nocapture` and one test at a time, this is a log of what the provider, the API and
//! the session say to each other.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]
#![expect(clippy::print_stderr, reason = "what happened or was left out is said there")]

#[path = "../processes/backend.rs"]
mod backend;
mod bound;
mod code_flow;
mod endings;
mod keys;
mod logins;
mod outages;
mod processes;
mod provider;
mod refreshing;
mod user;
mod words;
