//! A session, the middleware of `regrant-reqwest`, and a network that is one value: everything
//! between a request and its answer is the product's, and time is virtual.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use regrant::{
    Answer, Applied, Cause, Client, Failure, Grant, Origin, Renewing, Secret, Session, Status,
    Timestamp, TokenEndpoint, VirtualClocks, http_date, retry_after,
};
use regrant_core::Record;
use regrant_core::protocol::{TokenReply, read_token_reply, token_request};
use regrant_reqwest::{Judged, Middleware, NotReplayable, Rejected, RequestError, RetryMark};
use regrant_storage::{MemoryLease, MemoryStore, TokenStore as _};
use reqwest::{Body, Request, Response, ResponseBuilderExt as _};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Next};

pub(crate) const API: &str = "https://api.example/thing";
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

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
    /// It was not sent.
    Unreachable,
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

/// The authorization server and the API, and all that they were sent.
pub(crate) struct Network {
    fates: VecDeque<Fate>,
    /// What every further token request meets; without it the n-th brings `at-n` and `rt-n`.
    always: Option<Fate>,
    /// The bodies of token requests.
    pub(crate) posts: Vec<String>,
    api: Api,
    /// What the API's requests carried: the `Authorization` line and the body.
    pub(crate) requests: Vec<(String, Vec<u8>)>,
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
}

#[derive(Clone)]
pub(crate) struct Wire(Arc<Mutex<Network>>);

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

impl Wire {
    fn network(&self) -> MutexGuard<'_, Network> {
        self.0.lock().unwrap()
    }
}

#[async_trait]
impl TokenEndpoint for Wire {
    async fn renew(&self, with: Renewing<'_>, within: Duration) -> Answer {
        let request = token_request(with.client, with.refresh_token, with.claims, with.profile);
        let fate = {
            let mut network = self.network();
            network.posts.push(request.body.expose().to_owned());
            let n = network.posts.len();
            let usual = || granted(&format!("at-{n}"), &format!("rt-{n}")).into();
            let always = network.always.clone();
            network.fates.pop_front().or(always).unwrap_or_else(usual)
        };
        let failed = |cause, applied| {
            Answer::Failed(Failure { cause, applied, retry_after: None, code: None })
        };
        match fate {
            Fate::Answered(reply) => {
                let lines: Vec<_> =
                    reply.headers.iter().map(|(name, line)| (*name, line.as_bytes())).collect();
                let line = |name| {
                    let found = reply.headers.iter().find(|(n, _)| *n == name);
                    found.map(|(_, line)| line.as_str())
                };
                let read = TokenReply {
                    status: reply.status,
                    headers: &lines,
                    retry_after: line("retry-after")
                        .and_then(|wait| retry_after(wait, line("date"))),
                    date: line("date").and_then(http_date),
                    body: reply.body.as_bytes(),
                    scope_sent: request.scope_sent,
                    dpop_required: with.client.dpop,
                };
                read_token_reply(&read, with.profile).answer
            }
            Fate::Unreachable => failed(Cause::Unreachable, Applied::No),
            Fate::Lost => failed(Cause::NoAnswer, Applied::Perhaps),
            Fate::Silent(length) => {
                let listened = within + regrant::LATE;
                tokio::time::timeout(length.min(listened), std::future::pending::<()>())
                    .await
                    .unwrap_err();
                failed(Cause::NoAnswer, Applied::PerhapsLater)
            }
        }
    }

    async fn revoke(&self, _: &Client, _: &Secret, _: &str, _: Duration) -> bool {
        true
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
        let reply = {
            let mut network = self.network();
            network.requests.push((line.clone(), body));
            let token = line.split_once(' ').map_or("", |(_, token)| token);
            (network.api)(token)
        };
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

/// What a caller got.
#[derive(Debug)]
pub(crate) enum Got {
    /// An answer, with what the middleware has to say beside it.
    Answer { status: u16, body: String, judged: Box<Judged>, rejected: bool, retry_mark: bool },
    /// No request, or none that could be answered.
    Error(Box<regrant::AccessError>),
    /// Only a login with these claims helps.
    ClaimsWanted(String, Box<regrant::AccessError>),
}

impl Got {
    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Answer { status, .. } => *status,
            Self::Error(error) | Self::ClaimsWanted(_, error) => panic!("no answer: {error}"),
        }
    }

    #[track_caller]
    pub(crate) fn error(&self) -> &regrant::AccessError {
        match self {
            Self::Error(error) | Self::ClaimsWanted(_, error) => error,
            Self::Answer { status, .. } => panic!("an answer: {status}"),
        }
    }
}

/// One program that is logged in with `at-0` and `rt-0`, for an hour.
pub(crate) struct Scene {
    pub(crate) session: Session,
    pub(crate) clocks: Arc<VirtualClocks>,
    wire: Wire,
    store: MemoryStore,
    lease: MemoryLease,
    client: ClientWithMiddleware,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(|_, _| {}).await
    }

    /// With another client or another grant than usual.
    pub(crate) async fn with(change: impl FnOnce(&mut Client, &mut Grant)) -> Self {
        let mut client = Client::new("https://as.example/token", "app");
        let mut grant = Grant::bearer(Secret::new("at-0".into()));
        grant.refresh_token = Some(Secret::new("rt-0".into()));
        grant.expires_in = Some(HOUR);
        change(&mut client, &mut grant);
        let wire = Wire(Arc::new(Mutex::new(Network {
            fates: VecDeque::new(),
            always: None,
            posts: Vec::new(),
            api: Box::new(|_| reply(200, "{}")),
            requests: Vec::new(),
        })));
        let start = Timestamp::from_millis(1_750_000_000_000);
        let clocks = Arc::new(VirtualClocks::new(start));
        let (store, lease) = (MemoryStore::new(), MemoryLease::new());
        let session = open(&store, &lease, &wire, &clocks);
        let origin = Origin::parse("https://api.example").unwrap();
        session.install(client, [origin], grant).await.unwrap();
        let client = client_of(&session, &wire);
        Self { session, clocks, wire, store, lease, client }
    }

    /// The next token requests meet this.
    pub(crate) fn next(&self, fates: impl IntoIterator<Item = impl Into<Fate>>) {
        self.wire.network().fates.extend(fates.into_iter().map(Into::into));
    }

    /// Every further token request meets this, once what was told to come next is over.
    pub(crate) fn always(&self, fate: impl Into<Fate>) {
        self.wire.network().always = Some(fate.into());
    }

    /// Every further token request is granted.
    pub(crate) fn mended(&self) {
        self.wire.network().always = None;
    }

    /// How the API answers a request with this token.
    pub(crate) fn api(&self, api: impl FnMut(&str) -> Reply + Send + 'static) {
        self.wire.network().api = Box::new(api);
    }

    /// The API answers like this to `token`, and 200 to any other.
    pub(crate) fn rejects(&self, token: &'static str, with: Reply) {
        self.api(move |sent| if sent == token { with.clone() } else { reply(200, "{}") });
    }

    pub(crate) fn posts(&self) -> usize {
        self.wire.network().posts.len()
    }

    pub(crate) fn requests(&self) -> usize {
        self.wire.network().requests.len()
    }

    pub(crate) fn network<T>(&self, look: impl FnOnce(&Network) -> T) -> T {
        look(&self.wire.network())
    }

    /// The refresh tokens that the authorization server was sent.
    pub(crate) fn refresh_tokens(&self) -> Vec<String> {
        self.network(Network::refresh_tokens)
    }

    /// The tokens that the API was sent.
    pub(crate) fn tokens(&self) -> Vec<String> {
        let token = |(line, _): &(String, Vec<u8>)| line.replace("Bearer ", "");
        self.wire.network().requests.iter().map(token).collect()
    }

    pub(crate) async fn call(&self) -> Got {
        self.send(self.client.get(API)).await
    }

    pub(crate) async fn post(&self, body: impl Into<Body>, replayable: bool) -> Got {
        let request = self.client.post(API).body(body);
        let request = if replayable { request } else { request.with_extension(NotReplayable) };
        self.send(request).await
    }

    async fn send(&self, request: reqwest_middleware::RequestBuilder) -> Got {
        match request.send().await {
            Ok(answer) => {
                let extensions = answer.extensions();
                let judged = extensions.get::<Judged>().unwrap().clone();
                let rejected = extensions.get::<Rejected>().is_some();
                let retry_mark = extensions.get::<RetryMark>().is_some();
                let (status, judged) = (answer.status().as_u16(), Box::new(judged));
                let body = answer.text().await.unwrap();
                Got::Answer { status, body, judged, rejected, retry_mark }
            }
            Err(error) => match RequestError::of(&error) {
                Some(RequestError::Access(error)) => Got::Error(Box::new(error.clone())),
                Some(RequestError::ClaimsWanted { claims, source }) => {
                    Got::ClaimsWanted(claims.clone(), Box::new(source.clone()))
                }
                _ => panic!("{error:?}"),
            },
        }
    }

    /// Lets virtual time go by, with everything in it that time alone does.
    pub(crate) async fn pass(&self, length: Duration) {
        tokio::time::timeout(length, std::future::pending::<()>()).await.unwrap_err();
    }

    pub(crate) async fn record(&self) -> Record {
        self.store.load("default").await.unwrap().unwrap().record
    }

    /// The stored tokens.
    pub(crate) async fn stored(&self) -> (Option<String>, Option<String>) {
        let record = self.record().await;
        let access = record.slot().map(|slot| slot.access_token.expose().to_owned());
        (access, record.refresh_token.map(|token| token.expose().to_owned()))
    }

    pub(crate) async fn status(&self) -> Status {
        self.session.status().await.unwrap()
    }

    /// The process ends, and another one begins.
    pub(crate) async fn restart(&mut self) {
        self.session.close(HOUR).await.unwrap();
        self.session = open(&self.store, &self.lease, &self.wire, &self.clocks);
        self.client = client_of(&self.session, &self.wire);
    }

    /// A new login with these tokens.
    pub(crate) async fn log_in(&self, access: &str, refresh: &str) {
        let mut grant = Grant::bearer(Secret::new(access.into()));
        grant.refresh_token = Some(Secret::new(refresh.into()));
        grant.expires_in = Some(HOUR);
        let origin = Origin::parse("https://api.example").unwrap();
        let client = self.record().await.client;
        self.session.install(client, [origin], grant).await.unwrap();
    }
}

fn open(
    store: &MemoryStore,
    lease: &MemoryLease,
    wire: &Wire,
    clocks: &Arc<VirtualClocks>,
) -> Session {
    Session::builder(Arc::new(store.clone()), Arc::new(lease.clone()), Arc::new(wire.clone()))
        .clocks(clocks.clone())
        .open()
        .unwrap()
}

fn client_of(session: &Session, wire: &Wire) -> ClientWithMiddleware {
    // Installed already by another test of this process is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().build().unwrap();
    ClientBuilder::new(client).with(Middleware::new(session.clone())).with(wire.clone()).build()
}
