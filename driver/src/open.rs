//! How a session begins: one for each store and account in a process, whoever opens it.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use regrant_core::{Machine, Policy};
use regrant_storage::{RefreshLease, TokenStore};
use tokio::runtime::{self, Handle};
use tokio::sync::mpsc;
use tracing::warn;

use crate::clock::{Clock, SystemClocks, TimeSource};
use crate::endpoint::TokenEndpoint;
use crate::error::OpenError;
use crate::provider::Provider;
use crate::published::Shared;
use crate::registry::Registry;
use crate::session::{Session, Tie};
use crate::task::Task;
use crate::worker::Worker;

/// How long a caller waits: 30 s, longer than an attempt with all its tries.
const PATIENCE: Duration = Duration::from_secs(30);

/// The sessions that are open, by the identity of their store and their account.
static OPEN: LazyLock<Registry<(String, String), Tie>> = LazyLock::new(Registry::default);

/// What a session is to be like. See [`Session::builder`].
#[derive(Debug)]
#[must_use = "a builder opens nothing until `open` is called"]
pub struct SessionBuilder {
    store: Arc<dyn TokenStore>,
    lease: Arc<dyn RefreshLease>,
    endpoint: Arc<dyn TokenEndpoint>,
    account: String,
    policy: Policy,
    patience: Duration,
    clocks: Arc<dyn TimeSource>,
    seed: Option<[u8; 32]>,
    host: Option<String>,
}

impl SessionBuilder {
    pub(crate) fn new(
        store: Arc<dyn TokenStore>,
        lease: Arc<dyn RefreshLease>,
        endpoint: Arc<dyn TokenEndpoint>,
    ) -> Self {
        Self {
            store,
            lease,
            endpoint,
            account: "default".to_owned(),
            policy: Policy::default(),
            patience: PATIENCE,
            clocks: Arc::new(SystemClocks),
            seed: None,
            host: None,
        }
    }

    /// Which of the store's credentials; `default` if nothing is said.
    pub fn account(mut self, name: impl Into<String>) -> Self {
        self.account = name.into();
        self
    }

    /// The machine's numbers, and what is known of the authorization server. What the profile
    /// states that the credential's [`Client::profile`](regrant_core::Client) names counts for more.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// How long a caller waits for a token at most; 30 s if nothing is said.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Other clocks than the system's; for tests.
    pub fn clocks(mut self, clocks: Arc<dyn TimeSource>) -> Self {
        self.clocks = clocks;
        self
    }

    /// A seed in place of random bits from the system; for tests, which a seed lets happen again.
    ///
    /// A session's jitter comes from it, and the name by which it knows its own refresh after a
    /// save whose outcome is unknown: no two sessions on one store may have the same.
    pub fn seed(mut self, seed: [u8; 32]) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The name of this host, which the records say that are written here. A credential that was
    /// copied to another host, and is refused there, is then told as that
    /// ([`LineageForked`](regrant_core::LoginReason::LineageForked)). A name that changes with each
    /// start, as that of a container may, makes every refusal after one look like a copy: give
    /// none there.
    pub fn host(mut self, name: impl Into<String>) -> Self {
        self.host = Some(name.into());
        self
    }

    /// Opens the session, or gives the one that is open already for this account of this store;
    /// that one keeps the settings it was opened with.
    ///
    /// Nothing is waited for: the store is read in the background. From then on, the session
    /// refreshes ahead of expiry by itself, for as long as it is open.
    ///
    /// It runs on the tokio runtime that it is opened on, which must have its timer enabled and
    /// goes on only while that runtime is driven; without a runtime, on a thread of its own.
    ///
    /// # Errors
    ///
    /// [`OpenError`], if the system has no random numbers or no thread to give.
    pub fn open(self) -> Result<Session, OpenError> {
        let capabilities = self.store.capabilities();
        let key = (capabilities.identity, self.account.clone());
        let start = || {
            if capabilities.volatile {
                let account = &*self.account;
                warn!(target: "regrant", account, "this store forgets its credentials at a restart");
            }
            self.start()
        };
        OPEN.open(key, start).map(Session::of)
    }

    fn start(self) -> Result<Tie, OpenError> {
        let seed = match self.seed {
            Some(seed) => seed,
            None => random()?,
        };
        let clock = Arc::new(Clock::new(self.clocks));
        let provider = Provider::new(self.policy.clone());
        let mut machine = Machine::new(self.policy, seed, clock.now());
        if let Some(host) = self.host {
            machine.set_host(host);
        }
        let shared = Arc::new(Shared::new());
        let (commands, to_do) = mpsc::unbounded_channel();
        let (ended, done) = mpsc::unbounded_channel();
        let worker = Worker {
            account: self.account.as_str().into(),
            store: self.store,
            lease: self.lease,
            endpoint: self.endpoint,
            clock: Arc::clone(&clock),
            done: ended,
        };
        let (patience, seen) = (self.patience, Arc::clone(&shared));
        let task = Task::new(worker, machine, provider, patience, seen, to_do, done);
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn(task.run())),
            Err(_) => on_a_thread_of_its_own(task)?,
        }
        Ok(Tie::new(self.account, commands, shared, clock))
    }
}

fn random() -> Result<[u8; 32], OpenError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(OpenError::Random)?;
    Ok(seed)
}

fn on_a_thread_of_its_own(task: Task) -> Result<(), OpenError> {
    let runtime =
        runtime::Builder::new_current_thread().enable_all().build().map_err(OpenError::Thread)?;
    let run = move || {
        runtime.block_on(task.run());
        // A store that hangs on a blocking thread holds nobody up.
        runtime.shutdown_background();
    };
    let thread = std::thread::Builder::new().name("regrant".to_owned());
    thread.spawn(run).map(drop).map_err(OpenError::Thread)
}
