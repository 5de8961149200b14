//! A store, a lease and a token endpoint that do what a test tells them, in virtual time.
#![expect(dead_code, reason = "each test file uses a part of this")]
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use regrant::{
    Answer, Capabilities, Client, Grant, Origin, Renewing, Secret, Session, SessionBuilder,
    StoreError, StoreFault, Timestamp, TokenEndpoint, TokenStore, VirtualClocks,
};
use regrant_core::Record;
use regrant_storage::{Entry, Kept, MemoryLease, MemoryStore, Over, Stored};
use tokio::sync::watch;

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// A token endpoint. Without a script, the n-th request is granted `at-n` and `rt-n`, an hour.
#[derive(Debug)]
pub(crate) struct Scripted {
    script: Mutex<VecDeque<Answer>>,
    /// The refresh tokens that were sent.
    sent: watch::Sender<Vec<String>>,
    revoked: Mutex<Vec<String>>,
    held: watch::Sender<bool>,
}

impl Scripted {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            script: Mutex::default(),
            sent: watch::Sender::new(Vec::new()),
            revoked: Mutex::default(),
            held: watch::Sender::new(false),
        })
    }

    pub(crate) fn next(&self, answer: Answer) {
        self.script.lock().unwrap().push_back(answer);
    }

    /// Answers wait from now on.
    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }

    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }

    pub(crate) fn sent(&self) -> Vec<String> {
        self.sent.borrow().clone()
    }

    pub(crate) fn revoked(&self) -> Vec<String> {
        self.revoked.lock().unwrap().clone()
    }

    /// Waits until so many requests have come.
    pub(crate) async fn asked(&self, times: usize) {
        self.sent.subscribe().wait_for(|sent| sent.len() >= times).await.unwrap();
    }
}

#[async_trait]
impl TokenEndpoint for Scripted {
    async fn renew(&self, with: Renewing<'_>, _: Duration) -> Answer {
        let token = with.refresh_token.map_or("", Secret::expose).to_owned();
        self.sent.send_modify(|sent| sent.push(token));
        let n = self.sent.borrow().len();
        self.held.subscribe().wait_for(|held| !held).await.unwrap();
        let scripted = self.script.lock().unwrap().pop_front();
        scripted.unwrap_or_else(|| Answer::Granted(grant(&format!("at-{n}"), &format!("rt-{n}"))))
    }

    async fn revoke(&self, _: &Client, token: &Secret, _: &str, _: Duration) -> bool {
        self.revoked.lock().unwrap().push(token.expose().to_owned());
        true
    }
}

pub(crate) fn grant(access: &str, refresh: &str) -> Grant {
    let mut grant = Grant::bearer(Secret::new(access.into()));
    grant.refresh_token = Some(Secret::new(refresh.into()));
    grant.expires_in = Some(HOUR);
    grant
}

/// A store in memory that can be slow and can fail.
#[derive(Debug, Default)]
pub(crate) struct Moody {
    inner: MemoryStore,
    pub(crate) load_fault: Mutex<Option<StoreFault>>,
    pub(crate) save_fault: Mutex<Option<StoreFault>>,
    pub(crate) save_time: Mutex<Duration>,
    pub(crate) saves: AtomicUsize,
}

impl Moody {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) async fn record(&self) -> Option<Record> {
        self.inner.load("default").await.unwrap().map(|stored| stored.record)
    }

    /// The stored refresh token.
    pub(crate) async fn refresh_token(&self) -> Option<String> {
        self.record().await?.refresh_token.map(|token| token.expose().to_owned())
    }
}

#[async_trait]
impl TokenStore for Moody {
    async fn load(&self, account: &str) -> Result<Option<Stored>, StoreError> {
        let fault = *self.load_fault.lock().unwrap();
        match fault {
            Some(fault) => Err(StoreError::new(fault, "as the test wants it")),
            None => self.inner.load(account).await,
        }
    }

    async fn save(&self, account: &str, record: &Record, over: &Over) -> Result<Kept, StoreError> {
        let time = *self.save_time.lock().unwrap();
        // A clock that has nowhere to go: what a slow disk does to the one who waits for it.
        tokio::time::timeout(time, std::future::pending::<()>()).await.unwrap_err();
        self.saves.fetch_add(1, Ordering::Relaxed);
        let fault = *self.save_fault.lock().unwrap();
        match fault {
            Some(fault) => Err(StoreError::new(fault, "as the test wants it")),
            None => self.inner.save(account, record, over).await,
        }
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.inner.list().await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

/// A session's surroundings.
pub(crate) struct World {
    pub(crate) store: Arc<Moody>,
    pub(crate) lease: MemoryLease,
    pub(crate) endpoint: Arc<Scripted>,
    pub(crate) clocks: Arc<VirtualClocks>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            store: Moody::new(),
            lease: MemoryLease::new(),
            endpoint: Scripted::new(),
            clocks: Arc::new(VirtualClocks::new(Timestamp::from_millis(1_700_000_000_000))),
        }
    }

    pub(crate) fn builder(&self) -> SessionBuilder {
        Session::builder(self.store.clone(), Arc::new(self.lease.clone()), self.endpoint.clone())
            .clocks(self.clocks.clone())
    }

    /// A session that is logged in with `at-0` and `rt-0`, an hour, for [`api`] and [`other`].
    pub(crate) async fn logged_in(&self) -> Session {
        let session = self.builder().open().unwrap();
        session.install(client(), [api(), other()], grant("at-0", "rt-0")).await.unwrap();
        session
    }
}

pub(crate) fn client() -> Client {
    let mut client = Client::new("https://as.example/token", "client");
    client.revocation_endpoint = Some("https://as.example/revoke".to_owned());
    client
}

pub(crate) fn api() -> Origin {
    Origin::parse("https://api.example").unwrap()
}

pub(crate) fn other() -> Origin {
    Origin::parse("https://other.example").unwrap()
}

/// The token that a caller gets.
pub(crate) async fn token(session: &Session, origin: &Origin) -> String {
    session.access(origin).await.unwrap().token().expose().to_owned()
}
