//! A world that moves by turns of the scheduler and by nothing else, so that a future can be
//! dropped between any two of them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use regrant::{
    Answer, Capabilities, Client, RefreshLease, Renewing, Secret, Session, SessionBuilder,
    StoreError, Timestamp, TokenEndpoint, TokenStore, VirtualClocks,
};
use regrant_core::Record;
use regrant_storage::{Entry, HeldLease, Kept, MemoryLease, MemoryStore, Over, Stored, Tried};
use tokio::task::yield_now;

use crate::common::{HOUR, Scripted, api, client, grant, other};

/// How many turns a call into the world takes before its effect, and how many after: two, so that
/// there is one in which nothing else happens.
const TURNS: usize = 2;

/// More turns than anything here takes: who is not there by then hangs.
const NEVER: usize = 1_000;

/// A store, a lease and a token endpoint that take their time. All three count their calls as one,
/// and one call can be told to panic.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) lease: MemoryLease,
    pub(crate) endpoint: Arc<Scripted>,
    calls: Arc<AtomicUsize>,
    panics_at: usize,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::that_panics_at(usize::MAX)
    }

    /// The call of this number panics, counted from 0: half of them before they have had an effect
    /// and half of them after.
    pub(crate) fn that_panics_at(panics_at: usize) -> Self {
        Self {
            store: MemoryStore::new(),
            lease: MemoryLease::new(),
            endpoint: Scripted::new(),
            calls: Arc::default(),
            panics_at,
        }
    }

    /// How often the store, the lease and the endpoint were called.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    pub(crate) fn builder(&self) -> SessionBuilder {
        let part = Arc::new(self.clone());
        Session::builder(part.clone(), part.clone(), part)
            .clocks(Arc::new(VirtualClocks::new(Timestamp::from_millis(1_700_000_000_000))))
    }

    pub(crate) fn open(&self) -> Session {
        self.builder().open().unwrap()
    }

    /// A session that is logged in with `at-0` and `rt-0`, for [`api`] and [`other`].
    pub(crate) async fn logged_in(&self) -> Session {
        let session = self.open();
        session.install(client(), [api(), other()], grant("at-0", "rt-0")).await.unwrap();
        session
    }

    pub(crate) async fn record(&self) -> Option<Record> {
        self.store.load("default").await.unwrap().map(|stored| stored.record)
    }

    /// The stored refresh token; empty if there is none.
    pub(crate) async fn refresh_token(&self) -> String {
        let token = self.record().await.and_then(|record| record.refresh_token);
        token.map_or_else(String::new, |token| token.expose().to_owned())
    }

    /// Ends the session, and nothing is left behind.
    pub(crate) async fn is_left_clean(&self, session: &Session) {
        session.close(HOUR).await.unwrap();
        self.has_no_holder().await;
    }

    pub(crate) async fn has_no_holder(&self) {
        let tried = self.lease.try_acquire("default", Timestamp::EPOCH).await.unwrap();
        assert!(matches!(tried, Tried::Held(_)), "the lease was left held");
    }

    async fn call<F: Future>(&self, effect: F) -> F::Output {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let panics = number == self.panics_at;
        assert!(!panics || number % 2 == 1, "as the test wants it");
        turns().await;
        let result = effect.await;
        assert!(!panics, "as the test wants it");
        turns().await;
        result
    }
}

async fn turns() {
    for _ in 0..TURNS {
        yield_now().await;
    }
}

#[async_trait]
impl TokenStore for World {
    async fn load(&self, account: &str) -> Result<Option<Stored>, StoreError> {
        self.call(self.store.load(account)).await
    }

    async fn save(&self, account: &str, record: &Record, over: &Over) -> Result<Kept, StoreError> {
        self.call(self.store.save(account, record, over)).await
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.store.list().await
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
}

#[async_trait]
impl RefreshLease for World {
    async fn try_acquire(&self, account: &str, now: Timestamp) -> Result<Tried, StoreError> {
        let tried = self.call(self.lease.try_acquire(account, now)).await?;
        Ok(match tried {
            Tried::Held(held) => Tried::Held(Box::new(Held { world: self.clone(), held })),
            Tried::Busy(holder) => Tried::Busy(holder),
            Tried::Unlockable => Tried::Unlockable,
        })
    }

    fn proves_death(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Held {
    world: World,
    held: Box<dyn HeldLease>,
}

#[async_trait]
impl HeldLease for Held {
    async fn renew(&mut self) -> Result<(), StoreError> {
        self.held.renew().await
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        let Self { world, held } = *self;
        world.call(held.release()).await
    }

    fn time_left(&self) -> Option<Duration> {
        self.held.time_left()
    }
}

#[async_trait]
impl TokenEndpoint for World {
    async fn renew(&self, with: Renewing<'_>, within: Duration) -> Answer {
        self.call(self.endpoint.renew(with, within)).await
    }

    async fn revoke(&self, client: &Client, token: &Secret, hint: &str, within: Duration) -> bool {
        self.call(self.endpoint.revoke(client, token, hint, within)).await
    }
}

/// Polls a future so many times, with a turn of everybody else after each, and then drops it. True
/// if it was there before that.
pub(crate) async fn polled<F: Future>(future: F, times: usize) -> bool {
    let mut future = pin!(future);
    for _ in 0..times {
        if poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await.is_ready() {
            return true;
        }
        yield_now().await;
    }
    false
}

/// Runs a case for every number of turns after which something is dropped, until the case says that
/// there was nothing left to drop.
pub(crate) async fn at_every_turn(case: impl AsyncFn(usize) -> bool) {
    let mut turn = 0;
    while !case(turn).await {
        turn += 1;
        assert!(turn < NEVER, "it never ends");
    }
    assert!(turn > 1, "it was there before it could be dropped");
}
