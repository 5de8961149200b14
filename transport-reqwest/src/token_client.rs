//! The token endpoint over reqwest, by a client of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use regrant::{
    Answer, Applied, Cause, Client, Failure, LATE, ProofSigner, Renewing, Secret, SystemClocks,
    TimeSource as _, TokenEndpoint,
};
use regrant_core::protocol::{
    TokenReading, TokenReply, TokenRequest, read_token_reply, revocation_request, token_request,
};
use reqwest::{Body, ClientBuilder, Response, redirect, retry};
use tokio::time::timeout;
use tracing::{debug, warn};
use zeroize::Zeroizing;

use crate::answer::{date, wait};
use crate::assertion::AssertionSigner;
use crate::body::Watched;
use crate::credentials::{Credentials, NoAnswer, Prepared};
use crate::proofs::{Proofs, Proven};
use crate::unsent::cause_of;

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
    credentials: Credentials,
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
        Ok(Self {
            https: builder().build()?,
            loopback: builder().no_proxy().build()?,
            credentials: Credentials::default(),
        })
    }

    /// With the signer for clients whose tokens are bound to a key ([`Client::dpop`], RFC 9449
    /// section 5). Without one, nothing is asked for them. Clones share the nonces of the
    /// authorization servers.
    #[must_use]
    pub fn with_proofs(mut self, signer: Arc<dyn ProofSigner>) -> Self {
        self.credentials.proofs = Some(Proofs::new(signer));
        self
    }

    /// With the signer for clients that authenticate by
    /// [`PrivateKeyJwt`](regrant::ClientAuthentication::PrivateKeyJwt) (RFC 7523 section 2.2).
    /// Without one, nothing is asked for them, unless the feature `private-key-jwt` is on and the
    /// key stands in the client's configuration.
    #[must_use]
    pub fn with_assertions(mut self, signer: Arc<dyn AssertionSigner>) -> Self {
        self.credentials.assertions = Some(signer);
        self
    }

    /// Sends a request and reads the answer. `within`: until when it may be sent; `listening`: for
    /// how long an answer is waited for; `proves`: whether it carries a proof of possession.
    async fn send(
        &self,
        endpoint: &str,
        client: &Client,
        message: TokenRequest,
        proves: bool,
        (within, listening): (Duration, Duration),
    ) -> Result<(Reply, Option<Proven>), NoAnswer> {
        let began = SystemClocks.steady();
        let preparing = self.credentials.prepare(endpoint, client, message, proves);
        let Ok(prepared) = timeout(within, preparing).await else {
            warn!(target: "regrant", "the program's signer did not answer in time");
            return Err(NoAnswer::UNSENT);
        };
        let Prepared { mut request, body, proven } = prepared?;
        let (body, taken) = Watched::new(body, began + within);
        *request.body_mut() = Some(Body::wrap(body));
        let spent = SystemClocks.steady().saturating_sub(began);
        *request.timeout_mut() = Some(listening.saturating_sub(spent));
        let failed = |error: &reqwest::Error| {
            if !taken.load(Ordering::Acquire) {
                // No byte of the body was handed over, so no token has left.
                return NoAnswer { cause: cause_of(error), applied: Applied::No };
            }
            let applied = if error.is_timeout() { Applied::PerhapsLater } else { Applied::Perhaps };
            NoAnswer { cause: Cause::NoAnswer, applied }
        };
        let over = if request.url().scheme() == "https" { &self.https } else { &self.loopback };
        let response = over.execute(request).await.map_err(|error| failed(&error))?;
        let reply = read(response).await.map_err(|error| failed(&error))?;
        Ok((reply, proven))
    }
}

#[async_trait]
impl TokenEndpoint for TokenClient {
    async fn renew(&self, with: Renewing<'_>, within: Duration) -> Answer {
        let Renewing { client, refresh_token, claims, profile, .. } = with;
        let message = token_request(client, refresh_token, claims, profile);
        let scope_sent = message.scope_sent;
        let times = (within, within + LATE);
        match self.send(&client.token_endpoint, client, message, client.dpop, times).await {
            Ok((reply, proven)) => {
                let reading = reply.read(&with, scope_sent);
                match proven {
                    Some(proven) => self.credentials.learned(&proven, &reply.headers, reading),
                    None => reading.answer,
                }
            }
            Err(NoAnswer { cause, applied }) => {
                debug!(target: "regrant", %cause, ?applied, "no answer of the token endpoint");
                Answer::Failed(Failure { cause, applied, retry_after: None, code: None })
            }
        }
    }

    async fn revoke(&self, client: &Client, token: &Secret, hint: &str, within: Duration) -> bool {
        let Some(endpoint) = &client.revocation_endpoint else { return false };
        let message = revocation_request(client, token, hint);
        // A revocation carries no proof: RFC 9449 knows them for tokens that are asked for.
        match self.send(endpoint, client, message, false, (within, within)).await {
            Ok((reply, _)) => {
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
    fn read<'p>(&self, with: &Renewing<'p>, scope_sent: bool) -> TokenReading<'p> {
        let lines: Vec<_> =
            self.headers.iter().map(|(name, line)| (name.as_str(), line.as_bytes())).collect();
        let secrets = [with.refresh_token, with.client.client_secret.as_ref()];
        let sent: Vec<_> = secrets.into_iter().flatten().collect();
        let reply = TokenReply {
            status: self.status,
            headers: &lines,
            retry_after: wait(&self.headers),
            date: date(&self.headers),
            body: &self.body,
            scope_sent,
            dpop_required: with.client.dpop,
            sent: &sent,
        };
        let reading = read_token_reply(&reply, with.profile);
        let (status, rule, reason) = (self.status, &*reading.rule, reading.reason.as_deref());
        debug!(target: "regrant", status, rule, reason, "the token endpoint answered");
        reading
    }
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
        let (client, times) =
            (Client::default(), (Duration::from_secs(10), Duration::from_millis(50)));
        let sent = TokenClient::new().unwrap();
        let sent = sent.send(&endpoint, &client, message, false, times).await;
        let Err(NoAnswer { cause, applied }) = sent else { panic!("who answered?") };
        assert_eq!((cause, applied), (Cause::NoAnswer, Applied::PerhapsLater));
    }
}
