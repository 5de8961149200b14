//! What all servers of a sandbox share: one lock over the state, never held across an await.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use serde::{Deserialize, Serialize};
use tokio::sync::{broadcast, oneshot, watch};

use crate::{
    clock::Clock,
    codes::Codes,
    config::Config,
    devices::Devices,
    dpop::Proofs,
    event::SandboxEvent,
    fault::FaultScript,
    state::State,
    stats::{RequestKind, RequestLog, RequestRecord, Stats, token_suffix},
};

/// Where in a token request the gate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldPoint {
    /// Before the request is judged: nothing has changed at the server.
    BeforeCommit,
    /// After it is judged and before it is answered: a rotation has happened.
    AfterCommit,
}

/// How many events a slow listener may be behind before it misses some.
const EVENT_BACKLOG: usize = 1_024;

/// The URLs of the servers, without a trailing slash.
#[derive(Debug)]
pub(crate) struct Addresses {
    pub(crate) issuer: String,
    pub(crate) token_endpoint: String,
    pub(crate) revocation_endpoint: String,
    pub(crate) introspection_endpoint: String,
    pub(crate) authorization_endpoint: String,
    pub(crate) device_authorization_endpoint: String,
    /// Where people enter the code of a device.
    pub(crate) verification_uri: String,
    pub(crate) apis: BTreeMap<String, String>,
}

/// What one API was told to do besides its configuration.
#[derive(Debug, Default)]
pub(crate) struct ApiControls {
    pub(crate) reject_all: bool,
    pub(crate) flip: Option<Flip>,
    pub(crate) accept_only: Option<BTreeSet<String>>,
}

/// Runs of `every` accepted requests between runs of `every` rejected ones.
#[derive(Debug)]
pub(crate) struct Flip {
    pub(crate) every: u64,
    pub(crate) judged: u64,
}

impl Flip {
    /// Whether the next request falls into a run of rejections.
    pub(crate) fn next_rejects(&mut self) -> bool {
        let rejects = (self.judged / self.every) % 2 == 1;
        self.judged += 1;
        rejects
    }
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) config: Config,
    pub(crate) state: State,
    pub(crate) codes: Codes,
    pub(crate) devices: Devices,
    pub(crate) proofs: Proofs,
    pub(crate) stats: Stats,
    pub(crate) log: RequestLog,
    pub(crate) token_faults: FaultScript,
    pub(crate) revocation_faults: FaultScript,
    pub(crate) armed: VecDeque<HoldPoint>,
    pub(crate) held: Vec<oneshot::Sender<()>>,
    pub(crate) apis: BTreeMap<String, ApiControls>,
    pub(crate) open_token_requests: u64,
    events: broadcast::Sender<SandboxEvent>,
}

impl Inner {
    pub(crate) fn emit(&self, event: SandboxEvent) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    pub(crate) fn family_revoked(&mut self, was_live: bool) {
        if was_live {
            self.stats.families_revoked += 1;
            self.emit(SandboxEvent::FamilyRevoked);
        }
    }

    pub(crate) fn snapshot(&self) -> Stats {
        let mut stats = self.stats.clone();
        stats.live_families = self.state.live_families();
        stats.held = self.held.len() as u64;
        stats
    }

    /// Starts counting anew; what is open now stays counted as open.
    pub(crate) fn reset_stats(&mut self) {
        self.stats = Stats::default();
        self.stats.max_concurrent_token_requests = self.open_token_requests;
        for name in self.apis.keys() {
            self.stats.apis.insert(name.clone(), Default::default());
        }
        self.log.clear();
    }
}

#[derive(Debug)]
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    changed: watch::Sender<()>,
    pub(crate) clock: Clock,
    pub(crate) addresses: Addresses,
}

impl Shared {
    pub(crate) fn new(mut config: Config, addresses: Addresses) -> Self {
        let token_faults = FaultScript {
            queue: std::mem::take(&mut config.faults).into(),
            always: config.always_fault.clone(),
        };
        let names = config.apis.iter().map(|api| (api.name.clone(), ApiControls::default()));
        let mut inner = Inner {
            apis: names.collect(),
            state: State::default(),
            codes: Codes::default(),
            devices: Devices::default(),
            proofs: Proofs::default(),
            stats: Stats::default(),
            log: RequestLog::default(),
            token_faults,
            revocation_faults: FaultScript::default(),
            armed: VecDeque::new(),
            held: Vec::new(),
            open_token_requests: 0,
            events: broadcast::Sender::new(EVENT_BACKLOG),
            config,
        };
        inner.reset_stats();
        let clock = Clock::new(inner.config.clock_offset_ms);
        Self { inner: Mutex::new(inner), changed: watch::Sender::new(()), clock, addresses }
    }

    /// Looks at the state.
    pub(crate) fn read<R>(&self, look: impl FnOnce(&Inner) -> R) -> R {
        look(&self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state, and wakes whoever waits for a change.
    pub(crate) fn update<R>(&self, change: impl FnOnce(&mut Inner) -> R) -> R {
        let result = change(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_replace(());
        result
    }

    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<SandboxEvent> {
        self.read(|inner| inner.events.subscribe())
    }

    pub(crate) fn record(&self, kind: RequestKind, token: Option<&str>, status: Option<u16>) {
        let token_suffix = token.and_then(token_suffix);
        let record = RequestRecord { kind, at_ms: self.clock.now_ms(), token_suffix, status };
        self.update(|inner| inner.log.push(record));
    }

    /// Waits at the gate until it is released.
    pub(crate) async fn hold(&self) {
        let (release, released) = oneshot::channel();
        self.update(|inner| {
            inner.held.push(release);
            inner.emit(SandboxEvent::Held);
        });
        // An error is a release too: the gate is gone.
        let _ = released.await;
    }
}

/// Counts a token request as open until it is dropped.
#[derive(Debug)]
pub(crate) struct OpenTokenRequest(Arc<Shared>);

impl OpenTokenRequest {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        shared.update(|inner| {
            inner.open_token_requests += 1;
            let most = &mut inner.stats.max_concurrent_token_requests;
            *most = inner.open_token_requests.max(*most);
        });
        Self(Arc::clone(shared))
    }
}

impl Drop for OpenTokenRequest {
    fn drop(&mut self) {
        self.0.update(|inner| inner.open_token_requests -= 1);
    }
}
