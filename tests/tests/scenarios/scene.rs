//! A session, the middleware of `regrant-reqwest`, and a network that is one value: everything
//! between a request and its answer is the product's, and time is virtual.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use regrant::{
    Cause, Client, Event, Events, Grant, LoginReason, Origin, RefreshLease, Secret, Session,
    Status, TimeSource as _, Timestamp, VirtualClocks,
};
use regrant_core::Record;
use regrant_reqwest::{Judged, Middleware, NotReplayable, Rejected, RequestError, RetryMark};
use regrant_storage::MemoryLease;
use reqwest::Body;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::task::JoinHandle;

pub(crate) use crate::shelf::Shelf;
pub(crate) use crate::wire::{Fate, Reply, challenge, expired, granted, html, refused, reply};
use crate::wire::{Network, Wire, pass};

pub(crate) const API: &str = "https://api.example/thing";
/// The host that a scene is on.
const HERE: &str = "here";

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

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

    /// Why a login is needed, as it is.
    #[track_caller]
    pub(crate) fn login_reason(&self) -> LoginReason {
        match self.error() {
            regrant::AccessError::NeedsLogin { reason, .. } => *reason,
            other => panic!("{other:?}"),
        }
    }

    /// Why there is no token for now.
    #[track_caller]
    pub(crate) fn delayed(&self) -> Cause {
        match self.error() {
            regrant::AccessError::Delayed { cause, .. } => *cause,
            other => panic!("{other:?}"),
        }
    }
}

/// One program that is logged in with `at-0` and `rt-0`, for an hour.
pub(crate) struct Scene {
    pub(crate) session: Session,
    pub(crate) clocks: Arc<VirtualClocks>,
    pub(crate) shelf: Shelf,
    pub(crate) lease: Arc<dyn RefreshLease>,
    wire: Wire,
    account: String,
    host: &'static str,
    caller: Caller,
}

/// Whoever sends requests in a scene. Clones are tasks of one program.
#[derive(Clone)]
pub(crate) struct Caller(ClientWithMiddleware);

impl Caller {
    pub(crate) async fn call(&self) -> Got {
        send(self.0.get(API)).await
    }
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(|_, _| {}).await
    }

    /// With another client or another grant than usual.
    pub(crate) async fn with(change: impl FnOnce(&mut Client, &mut Grant)) -> Self {
        Self::at(Arc::new(MemoryLease::new()), change).await
    }

    /// The same by other dice: this many sessions later.
    pub(crate) async fn by_other_dice(sessions: u64) -> Self {
        let scene = Self::new().await;
        scene.wire.network().sessions += sessions;
        scene.another()
    }

    /// At a place with these leases.
    pub(crate) async fn at(
        lease: Arc<dyn RefreshLease>,
        change: impl FnOnce(&mut Client, &mut Grant),
    ) -> Self {
        let start = Timestamp::from_millis(1_750_000_000_000);
        let clocks = Arc::new(VirtualClocks::new(start));
        let wire = Wire::new(&clocks);
        let (shelf, account) = (Shelf::default(), "default");
        let scene = Self::opened(account, HERE, shelf, lease, wire, clocks);
        let mut client = Client::new("https://as.example/token", "app");
        let mut grant = grant("at-0", "rt-0");
        change(&mut client, &mut grant);
        let origin = Origin::parse("https://api.example").unwrap();
        scene.session.install(client, [origin], grant).await.unwrap();
        scene
    }

    fn opened(
        account: &str,
        host: &'static str,
        shelf: Shelf,
        lease: Arc<dyn RefreshLease>,
        wire: Wire,
        clocks: Arc<VirtualClocks>,
    ) -> Self {
        let endpoint = Arc::new(wire.clone());
        let session = Session::builder(Arc::new(shelf.clone()), Arc::clone(&lease), endpoint)
            .clocks(clocks.clone())
            .account(account)
            .host(host)
            .seed(wire.seed())
            .open()
            .unwrap();
        let caller = caller_of(&session, &wire);
        let account = account.to_owned();
        Self { session, clocks, shelf, lease, wire, account, host, caller }
    }

    /// A further session that somebody in the same program opens on the same store.
    pub(crate) fn opened_again(&self) -> Self {
        let (lease, wire) = (Arc::clone(&self.lease), self.wire.clone());
        let (shelf, clocks) = (self.shelf.clone(), self.clocks.clone());
        Self::opened(&self.account, self.host, shelf, lease, wire, clocks)
    }

    /// Another program on the same store, with the same servers.
    pub(crate) fn another(&self) -> Self {
        let (lease, wire) = (Arc::clone(&self.lease), self.wire.clone());
        let shelf = self.shelf.of_another_program();
        Self::opened(&self.account, self.host, shelf, lease, wire, self.clocks.clone())
    }

    /// A program on another host, to which the credential was copied.
    pub(crate) async fn copied(&self) -> Self {
        let shelf = self.shelf.copied(&self.account).await;
        let lease = Arc::new(MemoryLease::new());
        Self::opened(&self.account, "there", shelf, lease, self.wire.clone(), self.clocks.clone())
    }

    /// Another account of the same program in the same store, logged in with the same names of
    /// tokens at servers of its own.
    pub(crate) async fn account(&self, account: &str) -> Self {
        let wire = Wire::new(&self.clocks);
        // Seeds that no session of the other account has.
        wire.network().sessions = 1_000;
        let (lease, shelf) = (Arc::clone(&self.lease), self.shelf.clone());
        let scene = Self::opened(account, self.host, shelf, lease, wire, self.clocks.clone());
        let origin = Origin::parse("https://api.example").unwrap();
        let client = Client::new("https://other-as.example/token", "app");
        scene.session.install(client, [origin], grant("at-0", "rt-0")).await.unwrap();
        scene
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

    /// How long the API takes for a request with this token.
    pub(crate) fn api_takes(&self, latency: impl FnMut(&str) -> Duration + Send + 'static) {
        self.wire.network().latency = Box::new(latency);
    }

    /// Whether the next revocations are confirmed, and how long each takes.
    pub(crate) fn revocations(&self, takes: Duration, confirmed: impl IntoIterator<Item = bool>) {
        let mut network = self.wire.network();
        network.confirmations.extend(confirmed);
        network.revoking_takes = takes;
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

    /// The tokens that the authorization server was asked to revoke.
    pub(crate) fn revoked(&self) -> Vec<String> {
        self.network(|network| network.revoked.clone())
    }

    pub(crate) async fn call(&self) -> Got {
        self.caller.call().await
    }

    /// A call of its own, which goes on by itself.
    pub(crate) fn begin_call(&self) -> JoinHandle<Got> {
        let caller = self.caller.clone();
        tokio::spawn(async move { caller.call().await })
    }

    /// A call whose token is rejected and is being refreshed: the token request is out, and in half
    /// a second its answer brings `at-1` and `rt-1`.
    pub(crate) async fn call_in_mid_refresh(&self) -> JoinHandle<Got> {
        self.rejects("at-0", expired());
        self.next([Fate::After(SECOND, granted("at-1", "rt-1"))]);
        let call = self.begin_call();
        self.pass(SECOND / 2).await;
        assert_eq!(self.posts(), 1, "it is on the wire");
        call
    }

    /// So many calls at once, and what each got.
    pub(crate) async fn calls(&self, number: usize) -> Vec<Got> {
        let calls: Vec<_> = (0..number).map(|_| self.begin_call()).collect();
        let mut got = Vec::new();
        for call in calls {
            got.push(call.await.unwrap());
        }
        got
    }

    pub(crate) async fn post(&self, body: impl Into<Body>, replayable: bool) -> Got {
        let request = self.caller.0.post(API).body(body);
        send(if replayable { request } else { request.with_extension(NotReplayable) }).await
    }

    /// Lets virtual time go by, with everything in it that time alone does.
    pub(crate) async fn pass(&self, length: Duration) {
        pass(length).await;
    }

    /// How long it is since the scene began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.clocks.steady()
    }

    pub(crate) async fn record(&self) -> Record {
        self.shelf.record(&self.account).await
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
        *self = self.opened_again();
    }

    /// The same on a machine with these clocks.
    pub(crate) async fn restart_with(&mut self, clocks: VirtualClocks) {
        self.session.close(HOUR).await.unwrap();
        self.clocks = Arc::new(clocks);
        *self = self.opened_again();
    }

    /// A new login with these tokens.
    pub(crate) async fn log_in(&self, access: &str, refresh: &str) {
        let origin = Origin::parse("https://api.example").unwrap();
        let client = self.record().await.client;
        self.session.install(client, [origin], grant(access, refresh)).await.unwrap();
    }
}

/// These tokens, as [`Scene::stored`] gives them.
pub(crate) fn tokens(access: &str, refresh: &str) -> (Option<String>, Option<String>) {
    (Some(access.into()), Some(refresh.into()))
}

/// What has happened and was not read yet.
pub(crate) async fn happened(events: &mut Events) -> Vec<Event> {
    let mut happened = Vec::new();
    while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
        happened.push(event.expect("the reader keeps up"));
    }
    happened
}

/// A grant of these tokens for an hour.
fn grant(access: &str, refresh: &str) -> Grant {
    let mut grant = Grant::bearer(Secret::new(access.into()));
    grant.refresh_token = Some(Secret::new(refresh.into()));
    grant.expires_in = Some(HOUR);
    grant
}

fn caller_of(session: &Session, wire: &Wire) -> Caller {
    /// Nothing reaches it: the wire answers before.
    static CLIENT: LazyLock<reqwest::Client> = LazyLock::new(|| {
        // Installed already by another test of this process is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().build().unwrap()
    });
    let middleware = Middleware::new(session.clone());
    Caller(ClientBuilder::new(CLIENT.clone()).with(middleware).with(wire.clone()).build())
}

async fn send(request: reqwest_middleware::RequestBuilder) -> Got {
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
