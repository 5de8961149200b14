//! The token endpoint over reqwest, by a client of its own.

use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue};
use http::{HeaderMap, Method};
use regrant::{
    Answer, Applied, Cause, Client, Failure, LATE, Renewing, Secret, TokenEndpoint, http_date,
};
use regrant_core::protocol::{
    TokenReply, TokenRequest, read_token_reply, revocation_request, token_request,
};
use reqwest::{Body, ClientBuilder, Request, Response, redirect, retry};
use tracing::debug;
use url::Url;
use zeroize::Zeroizing;

use crate::answer::wait;
use crate::body::Watched;
use crate::origin::origin_of;

/// The most of an answer that is read: 1 MiB and one byte, by which the reader knows that there
/// was more.
const CAP: usize = (1 << 20) + 1;

/// What is set aside for an answer at once: 16 KiB, more than nearly all have.
const USUAL: usize = 16 << 10;

/// How long a connection may take: 10 s, half an attempt, so that a second try can find another
/// address.
const CONNECT: Duration = Duration::from_secs(10);

/// Sends token requests and revocations: one connection each, no redirects, no retries, no pool,
/// a deadline, a cap, and never through an authenticated client.
///
/// It goes to `https`, and to `http` on loopback, where it uses no proxy. For `https`, switch on
/// one of reqwest's TLS features in your own `Cargo.toml`; this crate brings none.
#[derive(Clone, Debug)]
pub struct TokenClient {
    https: reqwest::Client,
    loopback: reqwest::Client,
}

/// A request that got no answer that could be read to its end.
#[derive(Debug)]
struct NoAnswer {
    cause: Cause,
    applied: Applied,
}

/// An answer, read to its end or to the cap.
struct Reply {
    status: u16,
    headers: HeaderMap,
    body: Zeroizing<Vec<u8>>,
}

impl TokenClient {
    /// With reqwest's own settings for TLS, proxies and DNS.
    ///
    /// # Errors
    ///
    /// [`reqwest::Error`], if TLS cannot be set up.
    pub fn new() -> Result<Self, reqwest::Error> {
        Self::with(|builder| builder)
    }

    /// With settings of your own: certificates, a proxy, a user agent. What the duties of a
    /// [`TokenEndpoint`] ask for is set after them. `configure` is called once for `https` and
    /// once for loopback.
    ///
    /// # Errors
    ///
    /// [`reqwest::Error`], if the settings cannot be had.
    pub fn with(
        configure: impl Fn(ClientBuilder) -> ClientBuilder,
    ) -> Result<Self, reqwest::Error> {
        let dutiful = |builder: ClientBuilder| {
            builder
                .redirect(redirect::Policy::none())
                .retry(retry::never())
                .referer(false)
                .pool_max_idle_per_host(0)
                .http1_only()
                .connect_timeout(CONNECT)
                // A token answer is small, and the cap counts what came over the wire.
                .no_gzip()
                .no_brotli()
                .no_deflate()
                .no_zstd()
        };
        let builder = || dutiful(configure(reqwest::Client::builder()));
        Ok(Self { https: builder().build()?, loopback: builder().no_proxy().build()? })
    }

    /// Sends a request and reads the answer. `within`: until when it may be sent; `listening`:
    /// for how long an answer is waited for.
    async fn send(
        &self,
        endpoint: &str,
        message: &TokenRequest,
        within: Duration,
        listening: Duration,
    ) -> Result<Reply, NoAnswer> {
        let misconfigured = || NoAnswer { cause: Cause::ClientMisconfigured, applied: Applied::No };
        let url = endpoint_url(endpoint).ok_or_else(misconfigured)?;
        let client = if url.scheme() == "https" { &self.https } else { &self.loopback };
        let bytes = Bytes::copy_from_slice(message.body.expose().as_bytes());
        let (body, taken) = Watched::new(bytes, within);
        let mut request = Request::new(Method::POST, url);
        *request.body_mut() = Some(Body::wrap(body));
        *request.timeout_mut() = Some(listening);
        let headers = request.headers_mut();
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some((user, password)) = &message.basic {
            headers.insert(AUTHORIZATION, basic(user, password).ok_or_else(misconfigured)?);
        }
        let failed = |error: &reqwest::Error| {
            if !taken.load(Ordering::Acquire) {
                // No byte of the body was handed over, so no token has left.
                return NoAnswer { cause: Cause::Unreachable, applied: Applied::No };
            }
            let applied = if error.is_timeout() { Applied::PerhapsLater } else { Applied::Perhaps };
            NoAnswer { cause: Cause::NoAnswer, applied }
        };
        let response = client.execute(request).await.map_err(|error| failed(&error))?;
        read(response).await.map_err(|error| failed(&error))
    }
}

#[async_trait]
impl TokenEndpoint for TokenClient {
    async fn renew(&self, with: Renewing<'_>, within: Duration) -> Answer {
        let Renewing { client, refresh_token, claims, profile, .. } = with;
        let message = token_request(client, refresh_token, claims, profile);
        let listening = within + LATE;
        match self.send(&client.token_endpoint, &message, within, listening).await {
            Ok(reply) => reply.answer(&with, message.scope_sent),
            Err(NoAnswer { cause, applied }) => {
                debug!(target: "regrant", %cause, ?applied, "no answer of the token endpoint");
                Answer::Failed(Failure { cause, applied, retry_after: None, code: None })
            }
        }
    }

    async fn revoke(&self, client: &Client, token: &Secret, hint: &str, within: Duration) -> bool {
        let Some(endpoint) = &client.revocation_endpoint else { return false };
        let message = revocation_request(client, token, hint);
        match self.send(endpoint, &message, within, within).await {
            Ok(reply) => {
                let status = reply.status;
                debug!(target: "regrant", status, hint, "the revocation endpoint answered");
                // RFC 7009 section 2.2: 200 also for a token that was no longer known.
                status == 200
            }
            Err(NoAnswer { cause, applied }) => {
                debug!(target: "regrant", %cause, ?applied, hint, "no answer to a revocation");
                false
            }
        }
    }
}

impl Reply {
    fn answer(&self, with: &Renewing<'_>, scope_sent: bool) -> Answer {
        let lines: Vec<_> =
            self.headers.iter().map(|(name, line)| (name.as_str(), line.as_bytes())).collect();
        let date = self.headers.get(DATE).and_then(|line| http_date(line.to_str().ok()?));
        let reply = TokenReply {
            status: self.status,
            headers: &lines,
            retry_after: wait(&self.headers),
            date,
            body: &self.body,
            scope_sent,
            dpop_required: with.client.dpop,
        };
        let reading = read_token_reply(&reply, with.profile);
        let (status, rule, reason) = (self.status, &*reading.rule, reading.reason.as_deref());
        debug!(target: "regrant", status, rule, reason, "the token endpoint answered");
        reading.answer
    }
}

/// An endpoint that may be sent secrets: `https`, or `http` on loopback, and no password in the
/// URL, which reqwest would make a header of.
fn endpoint_url(endpoint: &str) -> Option<Url> {
    let url = Url::parse(endpoint).ok()?;
    let plain = url.username().is_empty() && url.password().is_none();
    (plain && origin_of(&url).is_some()).then_some(url)
}

/// RFC 6749 section 2.3.1; both parts are encoded already.
fn basic(user: &str, password: &Secret) -> Option<HeaderValue> {
    let pair = Zeroizing::new(format!("{user}:{}", password.expose()));
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(pair.as_bytes()));
    let line = Zeroizing::new(format!("Basic {}", *encoded));
    let mut value = HeaderValue::from_str(&line).ok()?;
    value.set_sensitive(true);
    Some(value)
}

async fn read(mut response: Response) -> Result<Reply, reqwest::Error> {
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    let mut body = Zeroizing::new(Vec::with_capacity(USUAL));
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
    Ok(Reply { status, headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_never_answers_may_still_be_at_it() {
        // Installed already by another test of this process is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // The system takes the connection and the request, and nobody ever reads it.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/token", listener.local_addr().unwrap());
        let token = Secret::new("rt".into());
        let message = token_request(&Client::default(), Some(&token), None, None);
        let (within, listening) = (Duration::from_secs(10), Duration::from_millis(50));
        let sent = TokenClient::new().unwrap().send(&endpoint, &message, within, listening).await;
        let Err(NoAnswer { cause, applied }) = sent else { panic!("who answered?") };
        assert_eq!((cause, applied), (Cause::NoAnswer, Applied::PerhapsLater));
    }

    #[test]
    fn secrets_go_to_https_and_to_loopback_only() {
        for good in ["https://as.example/token", "http://127.0.0.1:1/t", "http://localhost/t"] {
            assert!(endpoint_url(good).is_some(), "{good}");
        }
        for bad in [
            "http://as.example/token",
            "ftp://as.example/token",
            "https://user:secret@as.example/token",
            "as.example/token",
            "",
        ] {
            assert!(endpoint_url(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn basic_is_sensitive() {
        let value = basic("app", &Secret::new("s3cret".into())).unwrap();
        assert!(value.is_sensitive());
        assert_eq!(value.as_bytes(), b"Basic YXBwOnMzY3JldA==");
        assert_eq!(format!("{value:?}"), "Sensitive");
    }
}
