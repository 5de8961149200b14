//! reqwest with regrant: requests carry a live access token, and one that is rejected is
//! refreshed and the request sent again, whatever the local clock says.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use regrant::Session;
//! use regrant_reqwest::TokenClient;
//! # use regrant_storage::{MemoryLease, MemoryStore};
//!
//! # async fn five_lines() -> Result<(), Box<dyn std::error::Error>> {
//! # let (store, lease) = (Arc::new(MemoryStore::new()), Arc::new(MemoryLease::new()));
//! let session = Session::builder(store, lease, Arc::new(TokenClient::new()?)).open()?;
//! let client = regrant_reqwest::client(session)?;
//! let answer = client.get("https://api.example/me").send().await?;
//! # let _ = answer;
//! # Ok(())
//! # }
//! ```
//!
//! The two halves can be used apart: [`TokenClient`] is how a session reaches the token endpoint,
//! whatever sends the requests; [`Middleware`] is for a `reqwest-middleware` client, whatever the
//! session's endpoint is.
//!
//! # When there is no token
//!
//! No request leaves without one, and the error says who must act:
//!
//! ```no_run
//! use regrant::AccessError;
//! use regrant_reqwest::{Rejected, RequestError};
//!
//! # async fn call(client: reqwest_middleware::ClientWithMiddleware) {
//! match client.get("https://api.example/me").send().await {
//!     Ok(answer) => match answer.extensions().get::<Rejected>() {
//!         Some(_) => println!("a new token is rejected too: ask for another scope or audience"),
//!         None => println!("{}", answer.status()),
//!     },
//!     Err(error) => match RequestError::of(&error) {
//!         Some(RequestError::Access(AccessError::NeedsLogin { .. })) => println!("log in"),
//!         Some(other) => println!("not now: {other}"),
//!         None => println!("the request itself failed: {error}"),
//!     },
//! }
//! # }
//! ```
//!
//! # TLS
//!
//! This crate switches on none of reqwest's features. For `https`, add one of its TLS features to
//! your own `Cargo.toml`.

mod answer;
mod body;
mod error;
mod marks;
mod middleware;
mod origin;
mod token_client;

pub use error::RequestError;
pub use marks::{Judged, NotReplayable, Rejected, RetryMark};
pub use middleware::{Middleware, client, client_builder};
pub use token_client::TokenClient;
