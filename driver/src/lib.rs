//! Keeps OAuth 2.0 credentials alive inside other programs: the server decides when a token is
//! dead.
//!
//! A local expiry is a hint. When a server rejects a token that the local clock holds for good,
//! the session refreshes it, once for any number of requests, tasks and processes, and hands out
//! the new one. A login is asked for only when the authorization server itself refuses.
//!
//! This crate is the part that runs: a [`Session`] owns the pure machine of `regrant-core`, a
//! store and a lease of `regrant-storage`, and a [`TokenEndpoint`] of a transport. Most programs
//! use it through a transport such as `regrant-reqwest`, which does the rest.
//!
//! # By hand
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use regrant::{Client, Grant, Origin, Secret, Session, Strength, TokenEndpoint, Verdict};
//! use regrant_storage::{MemoryLease, MemoryStore};
//!
//! # #[derive(Debug)]
//! # struct Endpoint;
//! # #[async_trait::async_trait]
//! # impl TokenEndpoint for Endpoint {
//! #     async fn renew(&self, _: regrant::Renewing<'_>, _: Duration) -> regrant::Answer {
//! #         regrant::Answer::Granted(Grant::bearer(Secret::new("second".into())))
//! #     }
//! #     async fn revoke(&self, _: &Client, _: &Secret, _: &str, _: Duration) -> bool { true }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let endpoint = Endpoint;
//! let session = Session::builder(
//!     Arc::new(MemoryStore::new()),
//!     Arc::new(MemoryLease::new()),
//!     Arc::new(endpoint),
//! )
//! .open()?;
//!
//! // After a login, by whatever library:
//! let api = Origin::parse("https://api.example")?;
//! let mut grant = Grant::bearer(Secret::new("first".into()));
//! grant.refresh_token = Some(Secret::new("refresh".into()));
//! session.install(Client::new("https://as.example/token", "id"), [api.clone()], grant).await?;
//!
//! // For each request, and after each answer:
//! let access = session.access(&api).await?;
//! let sent = access.id();
//! assert_eq!(access.token().expose(), "first");
//! session.report(sent, &api, Verdict::Rejected(Strength::Strong)); // it said 401
//! let access = session.access_newer(&api, sent).await?;
//! assert_eq!(access.token().expose(), "second");
//! # drop(access);
//! # session.close(Duration::from_secs(5)).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What to rely on
//!
//! - [`Session::try_access`] takes no lock, allocates nothing and reads no clock.
//! - A caller that goes away cancels no refresh. A new refresh token is in the store before its
//!   access token is handed out, or an event says that it could not be.
//! - One store and account is one session in a process, whoever opens it.
//! - Waiting ends: after 30 s, if nothing else was said, with an [`AccessError`] that says who
//!   must act. An unreadable store is never "not logged in".
//! - Nothing logs a token. The refresh log is in `tracing`, under the target `regrant`.

mod change;
mod clock;
mod endpoint;
mod error;
mod event;
mod http_date;
mod lease_lane;
mod lending;
mod open;
mod proof;
mod provider;
mod published;
mod registry;
mod session;
mod status;
mod sync;
mod task;
mod trouble;
mod waiters;
mod worker;

pub use change::LoggedOut;
pub use clock::{SystemClocks, TimeSource, VirtualClocks};
pub use endpoint::{LATE, Renewing, TokenEndpoint};
pub use error::{AccessError, ChangeError, NotSaved, OpenError};
pub use event::{Events, Lagged};
pub use http_date::{http_date, retry_after};
pub use open::SessionBuilder;
pub use proof::{Proof, ProofError, ProofSigner};
pub use published::Access;
pub use session::Session;
pub use status::Status;

pub use regrant_core::protocol::{Profile, ProfileError};
pub use regrant_core::{
    Answer, Applied, Cause, Client, ClientAuthentication, Event, Failure, Grant, Holder,
    LoginReason, Origin, OriginError, Policy, Refusal, RefusalKind, Renewal, Rotation, Secret,
    StateKind, StoreFault, Strength, Timestamp, TokenId, Verdict,
};
pub use regrant_storage::{Capabilities, RefreshLease, StoreError, TokenStore};
