//! The network as one value: the authorization server, the API, and all that they were sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use regrant::{
    Answer, Applied, Cause, Client, Failure, Renewing, Secret, TimeSource as _, TokenEndpoint,
    VirtualClocks, http_date, retry_after,
};
use regrant_core::protocol::{TokenReply, read_token_reply, token_request};
use reqwest::{Body, Request, Response, ResponseBuilderExt as _};
use reqwest_middleware::Next;

/// An HTTP answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

pub(crate) fn reply(status: u16, body: &str) -> Reply {
    let headers = vec![("content-type", "application/json".to_owned())];
    Reply { status, headers, body: body.to_owned() }
}

pub(crate) fn html(status: u16) -> Reply {
    let headers = vec![("content-type", "text/html".to_owned())];
    Reply { status, headers, body: "<!DOCTYPE html><title>Blocked</title>".to_owned() }
}

/// A 401 or another status with this challenge.
pub(crate) fn challenge(status: u16, line: &str) -> Reply {
    reply(status, "").with("www-authenticate", line)
}

/// How an API says that the token has expired, whatever the clock here says.
pub(crate) fn expired() -> Reply {
    challenge(401, r#"Bearer error="invalid_token", error_description="token expired""#)
}

/// A grant of these tokens for an hour.
pub(crate) fn granted(access: &str, refresh: &str) -> Reply {
    let body = format!(
        r#"{{"access_token":"{access}","token_type":"Bearer","expires_in":3600,"refresh_token":"{refresh}"}}"#
    );
    reply(200, &body)
}

pub(crate) fn refused(code: &str) -> Reply {
    reply(400, &format!(r#"{{"error":"{code}"}}"#))
}

impl Reply {
    pub(crate) fn with(mut self, name: &'static str, line: &str) -> Self {
        self.headers.push((name, line.to_owned()));
        self
    }
}

/// What becomes of a token request.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Answered(Reply),
    /// The answer takes this long.
    After(Duration, Reply),
    /// It was not sent, for this reason.
    Unsent(Cause),
    /// It was acted upon, and the answer is lost.
    Lost,
    /// It takes this long, and then nobody has answered.
    Silent(Duration),
}

impl From<Reply> for Fate {
    fn from(reply: Reply) -> Self {
        Self::Answered(reply)
    }
}

type Api = Box<dyn FnMut(&str) -> Reply + Send>;
type Latency = Box<dyn FnMut(&str) -> Duration + Send>;

/// The authorization server and the API, and all that they were sent.
pub(crate) struct Network {
    pub(super) fates: VecDeque<Fate>,
    /// What every further token request meets; without it the n-th brings `at-n` and `rt-n`.
    pub(super) always: Option<Fate>,
    /// The bodies of token requests.
    pub(crate) posts: Vec<String>,
    /// When each was sent, since the scene began.
    pub(crate) posted_at: Vec<Duration>,
    under_way: usize,
    /// How many were under way at once, at most.
    pub(crate) most_at_once: usize,
    /// The tokens that were to be revoked, in the order they were sent.
    pub(crate) revoked: Vec<String>,
    /// Whether the next revocations are confirmed; the further ones are.
    pub(super) confirmations: VecDeque<bool>,
    pub(super) revoking_takes: Duration,
    pub(super) api: Api,
    pub(super) latency: Latency,
    /// What the API's requests carried: the `Authorization` line and the body.
    pub(crate) requests: Vec<(String, Vec<u8>)>,
    /// How many sessions were opened on it, each with a seed of its own.
    pub(super) sessions: u64,
    clocks: Arc<VirtualClocks>,
}

impl Network {
    /// Refresh tokens, in the order they were sent.
    pub(crate) fn refresh_tokens(&self) -> Vec<String> {
        let sent = |body: &String| {
            let (_, rest) = body.split_once("&refresh_token=").unwrap();
            rest.split('&').next().unwrap().to_owned()
        };
        self.posts.iter().map(sent).collect()
    }

    fn posted(&mut self, body: String) {
        self.posts.push(body);
        self.posted_at.push(self.clocks.steady());
        self.under_way += 1;
        self.most_at_once = self.most_at_once.max(self.under_way);
    }
}

#[derive(Clone)]
pub(crate) struct Wire(Arc<Mutex<Network>>);

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    pub(crate) fn new(clocks: &Arc<VirtualClocks>) -> Self {
        Self(Arc::new(Mutex::new(Network {
            fates: VecDeque::new(),
            always: None,
            posts: Vec::new(),
            posted_at: Vec::new(),
            under_way: 0,
            most_at_once: 0,
            revoked: Vec::new(),
            confirmations: VecDeque::new(),
            revoking_takes: Duration::ZERO,
            api: Box::new(|_| reply(200, "{}")),
            latency: Box::new(|_| Duration::ZERO),
            requests: Vec::new(),
            sessions: 0,
            clocks: Arc::clone(clocks),
        })))
    }

    /// The seed of the next session: the same in each run of a test, and for no two sessions.
    pub(super) fn seed(&self) -> [u8; 32] {
        let mut network = self.network();
        network.sessions += 1;
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&network.sessions.to_le_bytes());
        seed
    }

    pub(crate) fn network(&self) -> MutexGuard<'_, Network> {
        self.0.lock().unwrap()
    }
}

/// Lets virtual time go by, with everything in it that time alone does.
pub(crate) async fn pass(length: Duration) {
    if !length.is_zero() {
        tokio::time::timeout(length, std::future::pending::<()>()).await.unwrap_err();
    }
}

#[async_trait]
impl TokenEndpoint for Wire {
    async fn renew(&self, with: Renewing<'_>, within: Duration) -> Answer {
        let request = token_request(with.client, with.refresh_token, with.claims, with.profile);
        let fate = {
            let mut network = self.network();
            network.posted(request.body.expose().to_owned());
            let n = network.posts.len();
            let usual = || granted(&format!("at-{n}"), &format!("rt-{n}")).into();
            let always = network.always.clone();
            network.fates.pop_front().or(always).unwrap_or_else(usual)
        };
        let failed = |cause, applied| {
            Answer::Failed(Failure { cause, applied, retry_after: None, code: None })
        };
        let read = |reply: Reply| {
            let lines: Vec<_> =
                reply.headers.iter().map(|(name, line)| (*name, line.as_bytes())).collect();
            let line = |name| {
                let found = reply.headers.iter().find(|(n, _)| *n == name);
                found.map(|(_, line)| line.as_str())
            };
            let read = TokenReply {
                status: reply.status,
                headers: &lines,
                retry_after: line("retry-after").and_then(|wait| retry_after(wait, line("date"))),
                date: line("date").and_then(http_date),
                body: reply.body.as_bytes(),
                scope_sent: request.scope_sent,
                dpop_required: with.client.dpop,
                sent: &[],
            };
            read_token_reply(&read, with.profile).answer
        };
        let answer = match fate {
            Fate::Answered(reply) => read(reply),
            Fate::After(length, reply) => {
                pass(length).await;
                read(reply)
            }
            Fate::Unsent(cause) => failed(cause, Applied::No),
            Fate::Lost => failed(Cause::NoAnswer, Applied::Perhaps),
            Fate::Silent(length) => {
                pass(length.min(within + regrant::LATE)).await;
                failed(Cause::NoAnswer, Applied::PerhapsLater)
            }
        };
        self.network().under_way -= 1;
        answer
    }

    async fn revoke(&self, _: &Client, token: &Secret, _: &str, _: Duration) -> bool {
        let (confirmed, takes) = {
            let mut network = self.network();
            network.revoked.push(token.expose().to_owned());
            (network.confirmations.pop_front().unwrap_or(true), network.revoking_takes)
        };
        pass(takes).await;
        confirmed
    }
}

#[async_trait]
impl reqwest_middleware::Middleware for Wire {
    async fn handle(
        &self,
        request: Request,
        _: &mut Extensions,
        _: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let line = request.headers().get("authorization").map(|line| line.to_str().unwrap());
        let line = line.unwrap_or_default().to_owned();
        let body = request.body().and_then(Body::as_bytes).unwrap_or_default().to_vec();
        let (reply, latency) = {
            let mut network = self.network();
            network.requests.push((line.clone(), body));
            let token = line.split_once(' ').map_or("", |(_, token)| token);
            ((network.api)(token), (network.latency)(token))
        };
        pass(latency).await;
        let mut response = http::Response::builder()
            .status(reply.status)
            .url(request.url().clone())
            .body(reply.body)
            .unwrap();
        for (name, line) in reply.headers {
            response.headers_mut().append(name, line.parse().unwrap());
        }
        Ok(response.into())
    }
}
