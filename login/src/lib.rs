//! Logging people in: from an issuer, or from the URL of an API, to what a session of regrant
//! takes in.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use regrant_login::{BrowserLogin, Http, LoginRequest, Reach, ServerMetadata, open_browser};
//!
//! # async fn log_in() -> Result<(), Box<dyn std::error::Error>> {
//! let http = Http::new(Reach::Public)?;
//! let server = ServerMetadata::discover(&http, "https://as.example").await?;
//! let login = BrowserLogin::begin(&http, &server, &LoginRequest::new("my-app"), None).await?;
//! println!("Log in at {}", login.authorization_url());
//! // Whether or not a browser opens: the user has the URL.
//! let _ = open_browser(login.authorization_url().as_str());
//! let logged_in = login.wait(Duration::from_secs(300)).await?;
//! // session.install(logged_in.client, origins, logged_in.grant).await?;
//! # let _ = logged_in;
//! # Ok(())
//! # }
//! ```
//!
//! # The ways to log in
//!
//! | way | for | standard |
//! |---|---|---|
//! | [`BrowserLogin`] | a user with a browser on this machine | RFC 8252, PKCE (RFC 7636), RFC 9207 |
//! | [`DeviceLogin`] | a user elsewhere: a terminal far away, a television | RFC 8628 |
//! | [`client_credentials`] | the program itself | RFC 6749 section 4.4 |
//!
//! Each begins with a [`ServerMetadata`]: discovered (RFC 8414, OpenID Connect Discovery), or
//! given by hand. Of an API whose authorization server is not known, [`ResourceMetadata`] tells it
//! (RFC 9728). Each ends with a [`LoggedIn`].
//!
//! # What servers cannot make it do
//!
//! A login goes where documents on servers say. So every URL is checked before it is used or
//! shown ([`Endpoint`]), no redirect is followed, answers are cut and have a deadline, and
//! [`Reach`] says which networks may be contacted, also by names that resolve to another address
//! the second time. A server elsewhere can name nothing on this machine. Of what it writes only
//! text without control characters is shown.
//!
//! # TLS
//!
//! This crate switches on none of reqwest's features. For `https`, add one of its TLS features to
//! your own `Cargo.toml`.

mod browser;
mod client_credentials;
mod device;
mod device_poll;
mod document;
mod endpoint;
mod http;
mod id_token;
mod open;
mod reach;
mod redirect;
mod request;
mod resolver;
mod resource_metadata;
mod server_metadata;
mod text;
mod token;

pub use browser::{BrowserError, BrowserLogin};
pub use client_credentials::{ClientCredentialsError, client_credentials};
pub use device::{DeviceError, DeviceLogin};
pub use document::DocumentError;
pub use endpoint::{Endpoint, EndpointError};
pub use http::{Http, HttpBuilder, HttpError};
pub use open::{OpenError, open_browser};
pub use reach::{AddressRefused, Network, Reach};
pub use request::{LoginRequest, RequestError};
pub use resource_metadata::{ResourceMetadata, ResourceMetadataError};
pub use server_metadata::{Endpoints, ServerMetadata, ServerMetadataError};
pub use token::{LoggedIn, TokenError};
