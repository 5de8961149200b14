//! A loopback OAuth 2.0 authorization server and its resource APIs, in one process.
//!
//! It is for tests of programs that hold OAuth credentials, and for demonstrations: it logs in by
//! browser and by device, refreshes, rotates, detects reuse, revokes, and fails on demand in the
//! ways real servers do. Its clock, the true lifetime of its tokens and what it announces about
//! both can differ from each other and from this machine's. It counts what comes, so that a test
//! can say "exactly one request".
//!
//! It is **never for production**. It keeps everything in memory, gives tokens to whoever asks its
//! control endpoints, has no users, and listens only on 127.0.0.1. Its tokens begin with
//! `sandbox_`, so that a scanner knows them. A test that is not about logins gets its tokens from
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
//! curl --json '{}' $ISSUER/_sandbox/issue          # a login; "scope", "audience", "acr_values"
//! curl --json '{"user_code":"BCDF-GHJK","approve":true}' $ISSUER/_sandbox/device
//! curl --json '{}' $ISSUER/_sandbox/expire                     # or {"api":"api"}
//! curl --json '{}' $ISSUER/_sandbox/revoke                     # or {"token":"..."} for its family
//! curl --json '{"add":["429:60","reset"]}' $ISSUER/_sandbox/faults   # "always", "clear", "endpoint"
//! curl --json '{"offset_ms":3600000}' $ISSUER/_sandbox/clock   # or {"advance_ms":1000}
//! curl --json '{"reuse_detection":false}' $ISSUER/_sandbox/config    # a merge patch (RFC 7396)
//! curl --json '{"at":"after_commit"}' $ISSUER/_sandbox/hold    # or {"release":true}
//! curl --json '{"name":"api","reject_all":true}' $ISSUER/_sandbox/api # "flip", "accept_only"
//! curl --json '{"name":"api","demand":{"scope":{"scope":"admin"}}}' $ISSUER/_sandbox/api
//! curl --json '{}' $ISSUER/_sandbox/reset-stats
//! curl $ISSUER/stats                                           # the counters, see Stats
//! curl $ISSUER/_sandbox/log                                    # the last requests
//! ```
//!
//! At `_sandbox/api` an API is told, by its `name`, any of: `reject_all` (a boolean), `flip` (so
//! many good requests are taken, as many are not), `accept_only` (a list of tokens) or
//! `accept_any`, `demand` (a [`Demand`]) or `demand_nothing`, `minimum_age_ms`, and `rejection` (a
//! [`Rejection`]).
//!
//! # Logins
//!
//! The metadata (RFC 8414, also where OpenID Connect Discovery looks) names all endpoints.
//!
//! - `GET /authorize` takes PKCE with S256, which a public client must use, `scope`, `resource`,
//!   `state`, `claims` and `acr_values`. [`Config::login`] says whether it redirects at once with a
//!   code, shows a page with two buttons, or denies. A code is good once and for a minute; a second
//!   use revokes what the first brought. Every redirect names the issuer (RFC 9207), and none goes
//!   to a place that is not the client's.
//! - `POST /device_authorization` begins a login on a device (RFC 8628), and `/device` is the page
//!   where a person enters the code; [`Sandbox::decide_device`] does the same for a test.
//! - `POST /token` takes codes of both, refresh tokens, and the credentials of a client with a
//!   secret. `scope` and `resource` narrow what an access token is for, `claims` are noted with it.
//!
//! # The APIs
//!
//! Each has an origin of its own and answers any method on any path. Behind a good token, `/echo`
//! gives the body back, `/status/NNN` that status, `/redirect?to=URL` a redirect, and everything
//! else a JSON object that says what came and of which generation the token was.
//!
//! What an API answers to a dead token is its [`Rejection`], what it wants besides a good one its
//! [`Demand`]. Its metadata (RFC 9728) is at `/.well-known/oauth-protected-resource`, and under that
//! path for each of its paths; challenges name it where [`ApiConfig::resource_metadata`] is set.

mod answer;
mod api;
mod api_config;
mod authorization;
mod authorization_server;
mod authorize;
mod challenge;
mod clock;
mod codes;
mod config;
mod control;
mod controls;
mod device_login;
mod devices;
mod dpop;
mod event;
mod fault;
mod form;
mod grants;
mod judge;
mod metadata;
mod mint;
mod pages;
mod refusal;
mod sandbox;
mod server;
mod shared;
mod state;
mod stats;

pub use api_config::{ApiConfig, Demand, Rejection};
pub use config::{AnnouncedExpiresIn, Config, Consent, Grace, GraceKind, Rotation};
pub use controls::{ConfigureError, Login};
pub use event::SandboxEvent;
pub use fault::{Endpoint, Fault, ParseFaultError};
pub use sandbox::{Sandbox, StartError, WaitError};
pub use shared::HoldPoint;
pub use stats::{ApiStats, GrantStats, GrantType, RequestKind, RequestRecord, Stats};
