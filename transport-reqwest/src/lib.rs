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
//! # Tokens that are bound to a key
//!
//! With DPoP (RFC 9449) a token is of use only beside a proof, signed for each request with a key
//! of the program's. The key stays where it is: the program has a
//! [`ProofSigner`](regrant::ProofSigner), and gives it to both halves.
//!
//! ```
//! use std::sync::Arc;
//!
//! use regrant::{ProofSigner, Session};
//! use regrant_reqwest::{Middleware, TokenClient};
//! # use regrant_storage::{MemoryLease, MemoryStore};
//!
//! # fn bound(signer: Arc<dyn ProofSigner>) -> Result<(), Box<dyn std::error::Error>> {
//! # let (store, lease) = (Arc::new(MemoryStore::new()), Arc::new(MemoryLease::new()));
//! let endpoint = TokenClient::new()?.with_proofs(Arc::clone(&signer));
//! let session = Session::builder(store, lease, Arc::new(endpoint)).open()?;
//! let client = reqwest_middleware::ClientBuilder::new(regrant_reqwest::client_builder().build()?)
//!     .with(Middleware::new(session).with_proofs(signer))
//!     .build();
//! # Ok(())
//! # }
//! ```
//!
//! The nonces that servers give, on any answer, are in the next proof. A request that is refused
//! for want of one is sent again at once, and so is one whose proof was made by a wrong clock.
//!
//! # Clients that have a key
//!
//! A client that authenticates by `private_key_jwt` (RFC 7523) has an [`AssertionSigner`]:
//! [`TokenClient::with_assertions`]. With the feature `private-key-jwt`, a key in PKCS #8 PEM that
//! stands in the client's configuration in the place of its secret signs without one.
//!
//! # TLS
//!
//! This crate switches on none of reqwest's features. For `https`, add one of its TLS features to
//! your own `Cargo.toml`.

mod answer;
mod assertion;
mod body;
#[cfg(feature = "private-key-jwt")]
mod client_key;
mod credentials;
mod error;
mod marks;
mod middleware;
mod origin;
mod proofs;
mod token_client;
mod unsent;

pub use assertion::{Assertion, AssertionError, AssertionSigner};
pub use error::RequestError;
pub use marks::{Judged, NotReplayable, Rejected, RetryMark};
pub use middleware::{Middleware, client, client_builder};
pub use token_client::TokenClient;
