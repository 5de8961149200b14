//! A loopback OAuth 2.0 authorization server and its resource APIs, in one process.
//!
//! It is for tests of programs that hold OAuth credentials, and for demonstrations: it refreshes,
//! rotates, detects reuse, revokes, and fails on demand in the ways real servers do. Its clock,
//! the true lifetime of its tokens and what it announces about both can differ from each other and
//! from this machine's. It counts what comes, so that a test can say "exactly one request".
//!
//! It is **never for production**. It keeps everything in memory, gives tokens to whoever asks its
//! control endpoints, has no users, and listens only on 127.0.0.1. Its tokens begin with
//! `sandbox_`, so that a scanner knows them. It has no authorization endpoint: a login is a call of
//! [`Sandbox::issue`].
//!
//! ```
//! use regrant_sandbox::{Config, Fault, Sandbox};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::start(Config { access_ttl_ms: 60_000, ..Config::default() })?;
//! let tokens = sandbox.issue();
//! assert!(tokens["refresh_token"].as_str().unwrap().starts_with("sandbox_rt_"));
//!
//! sandbox.expire_access_tokens(); // whatever `expires_in` said
//! sandbox.inject(Fault::ResetAfterCommit); // the next refresh happens, its answer is lost
//! assert_eq!(sandbox.stats().token_requests, 0);
//! println!("{} {}", sandbox.token_endpoint(), sandbox.api_url("api"));
//! # Ok(())
//! # }
//! ```
//!
//! # From another process
//!
//! The authorization server also answers to scripts; bodies are JSON and must say so:
//!
//! ```sh
//! curl --json '{}' $ISSUER/_sandbox/issue                      # a login; "scope", "audience"
//! curl --json '{}' $ISSUER/_sandbox/expire                     # or {"api":"api"}
//! curl --json '{}' $ISSUER/_sandbox/revoke                     # or {"token":"..."} for its family
//! curl --json '{"add":["429:60","reset"]}' $ISSUER/_sandbox/faults   # "always", "clear", "endpoint"
//! curl --json '{"offset_ms":3600000}' $ISSUER/_sandbox/clock   # or {"advance_ms":1000}
//! curl --json '{"reuse_detection":false}' $ISSUER/_sandbox/config    # a merge patch (RFC 7396)
//! curl --json '{"at":"after_commit"}' $ISSUER/_sandbox/hold    # or {"release":true}
//! curl --json '{"name":"api","reject_all":true}' $ISSUER/_sandbox/api # "flip", "accept_only"
//! curl --json '{}' $ISSUER/_sandbox/reset-stats
//! curl $ISSUER/stats                                           # the counters, see Stats
//! curl $ISSUER/_sandbox/log                                    # the last requests
//! ```
//!
//! # The APIs
//!
//! Each has an origin of its own and answers any method on any path. Behind a good token, `/echo`
//! gives the body back, `/status/NNN` that status, `/redirect?to=URL` a redirect, and everything
//! else a JSON object that says what came and of which generation the token was.

mod answer;
mod api;
mod authorization_server;
mod clock;
mod config;
mod control;
mod controls;
mod event;
mod fault;
mod form;
mod judge;
mod sandbox;
mod server;
mod shared;
mod state;
mod stats;

pub use config::{AnnouncedExpiresIn, ApiConfig, Config, Grace, GraceKind, Rejection, Rotation};
pub use controls::{ConfigureError, Login};
pub use event::SandboxEvent;
pub use fault::{Endpoint, Fault, ParseFaultError};
pub use sandbox::{Sandbox, StartError, WaitError};
pub use shared::HoldPoint;
pub use stats::{ApiStats, RequestKind, RequestRecord, Stats};
