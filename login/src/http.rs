//! The HTTP client of a login.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method};
use regrant_core::Secret;
use reqwest::dns::Resolve;
use reqwest::{Body, Client, ClientBuilder, Request, Response, redirect, retry};
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::endpoint::Endpoint;
use crate::reach::{AddressRefused, Reach};
use crate::resolver::{Guard, SystemNames};

/// The most of an answer that is read: 1 MiB, and one byte by which its reader knows that there
/// was more. Metadata and token answers are a few kilobytes.
const CAP: usize = (1 << 20) + 1;

/// What is set aside for an answer at once: 16 KiB, more than nearly all have.
const USUAL: usize = 16 << 10;

/// How long a connection may take: 10 s, so that there is time for the answer.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a request may take, its answer read to the end: 30 s, a user's patience.
const WHOLE: Duration = Duration::from_secs(30);

/// The client that a login sends its requests with.
///
/// It follows no redirect, tries nothing twice, keeps no connection, reads no more than 1 MiB of
/// an answer, and goes only to `https`, or to `http` on loopback, within its [`Reach`]. For
/// `https`, switch on one of reqwest's TLS features in your own `Cargo.toml`; this crate brings
/// none.
#[derive(Clone, Debug)]
pub struct Http {
    reach: Reach,
    remote: Client,
    local: Client,
}

/// An [`Http`] with settings of one's own.
pub struct HttpBuilder {
    reach: Reach,
    names: Arc<dyn Resolve>,
    within: Duration,
}

/// Why a request got no answer that could be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address is out of [`Reach`]: the configuration, or a server that points elsewhere.
    #[error(transparent)]
    Address(#[from] AddressRefused),
    /// No connection, or it broke: the network.
    #[error("{host} cannot be reached: check the network and try again")]
    Unreachable {
        /// The host.
        host: String,
        /// What reqwest says, without the URL.
        source: reqwest::Error,
    },
    /// No whole answer in time: the network, or the operator of the server.
    #[error("{host} did not answer in time: try again later")]
    TimedOut {
        /// The host.
        host: String,
    },
    /// No request can be made for this URL: the configuration.
    #[error("no request can be made for the URL at {host}: whoever configured it must mend it")]
    Unsendable {
        /// The host.
        host: String,
    },
}

/// An answer, read to its end or to the cap.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Zeroizing<Vec<u8>>,
    /// The secrets of the form that was sent, by which an answer that quotes them is known.
    pub(crate) sent: Vec<Secret>,
}

/// The members of a form that nobody may see.
const SECRET: [&str; 5] =
    ["client_secret", "code", "code_verifier", "device_code", "refresh_token"];

impl Http {
    /// With reqwest's own settings for TLS and the system's resolver.
    ///
    /// # Errors
    ///
    /// [`reqwest::Error`], if TLS cannot be set up.
    pub fn new(reach: Reach) -> Result<Self, reqwest::Error> {
        Self::builder(reach).build(|builder| builder)
    }

    /// Begins settings of one's own.
    pub fn builder(reach: Reach) -> HttpBuilder {
        HttpBuilder { reach, names: Arc::new(SystemNames), within: WHOLE }
    }

    pub(crate) fn reach(&self) -> Reach {
        self.reach
    }

    /// Fetches what is there, to be read as JSON.
    pub(crate) async fn get(&self, url: &Endpoint) -> Result<Reply, HttpError> {
        let response = self.send(url, Request::new(Method::GET, url.url().clone())).await?;
        read(response).await.map_err(|error| failed(url, error))
    }

    /// Asks without reading the answer's body, which may be a stream that never ends.
    pub(crate) async fn probe(&self, url: &Endpoint) -> Result<(u16, HeaderMap), HttpError> {
        let mut response = self.send(url, Request::new(Method::GET, url.url().clone())).await?;
        Ok((response.status().as_u16(), std::mem::take(response.headers_mut())))
    }

    /// Sends a form that may hold secrets.
    pub(crate) async fn post(
        &self,
        url: &Endpoint,
        message: oauth2::HttpRequest,
    ) -> Result<Reply, HttpError> {
        let (mut parts, body) = message.into_parts();
        let mut request = Request::new(Method::POST, url.url().clone());
        if let Some(line) = parts.headers.get_mut(AUTHORIZATION) {
            line.set_sensitive(true);
        }
        *request.headers_mut() = parts.headers;
        let sent = form_urlencoded::parse(&body)
            .filter(|(name, _)| SECRET.contains(&&**name))
            .map(|(_, value)| Secret::new(value.into_owned()))
            .collect();
        *request.body_mut() = Some(Body::from(Bytes::from_owner(Zeroizing::new(body))));
        let response = self.send(url, request).await?;
        let reply = read(response).await.map_err(|error| failed(url, error))?;
        Ok(Reply { sent, ..reply })
    }

    async fn send(&self, url: &Endpoint, mut request: Request) -> Result<Response, HttpError> {
        url.within(self.reach)?;
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(ACCEPT, json);
        let client = if url.is_local() { &self.local } else { &self.remote };
        client.execute(request).await.map_err(|error| failed(url, error))
    }
}

impl HttpBuilder {
    /// Looks names up with this resolver. What it finds is still kept within reach.
    #[must_use]
    pub fn resolver(mut self, names: Arc<dyn Resolve>) -> Self {
        self.names = names;
        self
    }

    /// How long a request may take, its answer read to the end. 30 s if it is not set.
    #[must_use]
    pub fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// The client, with reqwest's settings as `configure` leaves them: certificates, a user agent,
    /// for [`Reach::Private`] a proxy. What a login needs is set after that. A name that is pinned
    /// to an address there goes to that address. `configure` is called once for loopback and
    /// once for all else.
    ///
    /// # Errors
    ///
    /// [`reqwest::Error`], if the settings cannot be had.
    pub fn build(
        self,
        configure: impl Fn(ClientBuilder) -> ClientBuilder,
    ) -> Result<Http, reqwest::Error> {
        let builder = || {
            configure(Client::builder())
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .referer(false)
                .pool_max_idle_per_host(0)
                .http1_only()
                .connect_timeout(CONNECT.min(self.within))
                .timeout(self.within)
                .dns_resolver(Guard::new(self.reach, Arc::clone(&self.names)))
                // The cap counts what came over the wire.
                .no_gzip()
                .no_brotli()
                .no_deflate()
                .no_zstd()
        };
        let remote = match self.reach {
            Reach::Public => builder().no_proxy(),
            Reach::Private => builder(),
        };
        Ok(Http {
            reach: self.reach,
            remote: remote.build()?,
            local: builder().no_proxy().build()?,
        })
    }
}

impl Reply {
    /// A header, where it is text.
    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether the body is longer than what is read.
    pub(crate) fn is_cut(&self) -> bool {
        self.body.len() == CAP
    }

    /// Whether the answer says that its body is JSON (RFC 6839 section 3.1 for the suffix).
    pub(crate) fn is_json(&self) -> bool {
        let line = self.header(CONTENT_TYPE).unwrap_or_default();
        let essence = line.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        essence == "application/json"
            || (essence.starts_with("application/") && essence.ends_with("+json"))
    }
}

/// What reqwest's error means. The resolver's own words stand at the end of its chain.
fn failed(url: &Endpoint, error: reqwest::Error) -> HttpError {
    let host = url.origin().host().to_owned();
    let mut source: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(cause) = source {
        if let Some(refused) = cause.downcast_ref::<AddressRefused>() {
            return HttpError::Address(refused.clone());
        }
        source = cause.source();
    }
    if error.is_timeout() {
        return HttpError::TimedOut { host };
    }
    HttpError::Unreachable { host, source: error.without_url() }
}

async fn read(mut response: Response) -> Result<Reply, reqwest::Error> {
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let announced = headers.get(CONTENT_LENGTH).and_then(|line| line.to_str().ok()?.parse().ok());
    let mut body = Zeroizing::new(Vec::with_capacity(announced.unwrap_or(USUAL).min(CAP)));
    while let Some(chunk) = response.chunk().await? {
        let chunk = &chunk[..chunk.len().min(CAP - body.len())];
        if body.capacity() - body.len() < chunk.len() {
            // Grown by hand, so that the old copy is wiped.
            let mut larger = Zeroizing::new(Vec::with_capacity(CAP));
            larger.extend_from_slice(&body);
            body = larger;
        }
        body.extend_from_slice(chunk);
        if body.len() == CAP {
            break;
        }
    }
    Ok(Reply { status, headers, body, sent: Vec::new() })
}

impl fmt::Debug for HttpBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBuilder")
            .field("reach", &self.reach)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("status", &self.status)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}
