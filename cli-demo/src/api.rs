//! Requests to the API, through regrant's middleware.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap, Method};
use regrant::{Origin, Session};
use regrant_core::protocol::{ApiReading, Class};
use regrant_reqwest::{Judged, Middleware, NotReplayable, Rejected, RequestError, client_builder};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Next};
use url::Url;

use crate::error::Failure;
use crate::shell::quoted;

/// What this program calls itself.
pub(crate) const USER_AGENT: &str = concat!("regrant/", env!("CARGO_PKG_VERSION"));

/// How long a connection may take: 30 s, a caller's patience. An answer may take any time.
const CONNECT: Duration = Duration::from_secs(30);

/// What is sent.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) replayable: bool,
}

/// What comes back.
#[derive(Debug)]
pub(crate) struct Answered {
    response: reqwest::Response,
    replays: u32,
}

impl Answered {
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// How often the request was sent again.
    pub(crate) fn replays(&self) -> u32 {
        self.replays
    }

    /// What regrant has to say beside the answer.
    pub(crate) fn remark(&self) -> Option<Failure> {
        if let Some(Rejected { why, .. }) = self.response.extensions().get() {
            return Some(why.clone().into());
        }
        let reading = self.reading().filter(|reading| reading.class == Class::StepUp)?;
        Some(Failure::step_up(&reading.acr_values, reading.max_age))
    }

    /// The scope that the API misses in a token that is good; empty where it does not say which.
    pub(crate) fn missing_scope(&self) -> Option<&[String]> {
        let reading = self.reading().filter(|reading| reading.class == Class::InsufficientScope)?;
        Some(&reading.scope)
    }

    /// Whether the API wants fewer requests; if so, for how long, where it says that.
    pub(crate) fn rate_limit(&self) -> Option<Option<Duration>> {
        let limited = self.reading().filter(|reading| reading.class == Class::RateLimited)?;
        Some(limited.retry_after)
    }

    fn reading(&self) -> Option<&ApiReading<'static>> {
        let judged: &Judged = self.response.extensions().get()?;
        Some(&judged.reading)
    }

    pub(crate) fn into_body(self) -> reqwest::Response {
        self.response
    }
}

/// A client for one origin.
#[derive(Debug)]
pub(crate) struct Api {
    client: ClientWithMiddleware,
    origin: Origin,
}

impl Api {
    pub(crate) fn new(session: &Session, origin: &Origin) -> Result<Self, Failure> {
        let mut builder = client_builder().user_agent(USER_AGENT).connect_timeout(CONNECT);
        if origin.scheme() == "http" {
            // Loopback: a proxy would get the token in the clear.
            builder = builder.no_proxy();
        }
        let client = builder.build().map_err(|error| {
            Failure::other("internal", "the HTTP client cannot be made").because(&error)
        })?;
        let client =
            ClientBuilder::new(client).with(Middleware::new(session.clone())).with(Gate).build();
        Ok(Self { client, origin: origin.clone() })
    }

    pub(crate) async fn send(&self, request: &Request) -> Result<Answered, Failure> {
        let sent = Sent::default();
        let mut builder = self
            .client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .with_extension(sent.clone());
        if let Some(body) = &request.body {
            builder = builder.body(body.clone());
        }
        if !request.replayable {
            builder = builder.with_extension(NotReplayable);
        }
        match builder.send().await {
            Ok(response) => {
                let replays = sent.0.load(Ordering::Relaxed).saturating_sub(1);
                Ok(Answered { response, replays })
            }
            Err(error) => Err(self.failure(error)),
        }
    }

    fn failure(&self, error: reqwest_middleware::Error) -> Failure {
        match RequestError::of(&error) {
            Some(RequestError::Access(why)) => return why.clone().into(),
            Some(RequestError::ClaimsWanted { claims, source }) => {
                return Failure::from(source.clone()).remedy(format!(
                    "log in with the claims that the API asks for: regrant login --parameter \
                     claims={}",
                    quoted(claims)
                ));
            }
            Some(_) | None => {}
        }
        match error {
            reqwest_middleware::Error::Reqwest(error) => {
                // The URL can hold what is nobody's business.
                Failure::network("the API gave no answer").because(&error.without_url())
            }
            reqwest_middleware::Error::Middleware(error) if error.is::<Tokenless>() => {
                Failure::not_bound(&self.origin)
            }
            reqwest_middleware::Error::Middleware(error) => {
                Failure::other("internal", "the request was not sent").because(&*error)
            }
        }
    }
}

/// How often a request was sent.
#[derive(Clone, Debug, Default)]
struct Sent(Arc<AtomicU32>);

/// The last middleware: it counts what goes out, and lets nothing out without a token. Whether
/// the credential is bound to the origin was looked at before; another process can have changed
/// that since.
#[derive(Debug)]
struct Gate;

#[derive(Debug, thiserror::Error)]
#[error("the request has no token")]
struct Tokenless;

#[async_trait]
impl reqwest_middleware::Middleware for Gate {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        if !request.headers().contains_key(AUTHORIZATION) {
            return Err(reqwest_middleware::Error::middleware(Tokenless));
        }
        if let Some(Sent(count)) = extensions.get() {
            count.fetch_add(1, Ordering::Relaxed);
        }
        next.run(request, extensions).await
    }
}
