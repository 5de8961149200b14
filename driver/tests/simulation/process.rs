//! One process: its way to the store, the lease and the token endpoint, which ends when it dies.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use regrant::{
    Answer, Applied, Capabilities, Cause, Client, Failure, LATE, RefreshLease, Renewing, Secret,
    Session, StoreError, StoreFault, TimeSource, Timestamp, TokenEndpoint, TokenStore,
    VirtualClocks,
};
use regrant_core::Record;
use regrant_storage::{Entry, HeldLease, Kept, MemoryLease, MemoryStore, Over, Stored, Tried};

use crate::random::Random;
use crate::server::Server;
use crate::{Faults, pause};

/// What all processes of a run share.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) store: MemoryStore,
    pub(crate) lease: MemoryLease,
    pub(crate) server: Server,
    pub(crate) clocks: Arc<VirtualClocks>,
    pub(crate) random: Random,
    faults: Mutex<Faults>,
}

impl Host {
    pub(crate) fn new(seed: u64, faults: Faults) -> Arc<Self> {
        let random = Random::new(seed);
        Arc::new(Self {
            store: MemoryStore::new(),
            lease: MemoryLease::new(),
            server: Server::new(&random),
            clocks: Arc::new(VirtualClocks::new(Timestamp::from_millis(1_700_000_000_000))),
            random,
            faults: Mutex::new(faults),
        })
    }

    pub(crate) fn faults(&self) -> Faults {
        *self.faults.lock().unwrap()
    }

    /// From now on, this may go wrong.
    pub(crate) fn begin(&self, faults: Faults) {
        *self.faults.lock().unwrap() = faults;
    }

    /// From now on, nothing goes wrong.
    pub(crate) fn heal(&self) {
        self.begin(Faults::default());
    }

    /// The server's own clock, which counts a suspend of its clients.
    pub(crate) fn now(&self) -> Duration {
        self.clocks.steady()
    }

    /// Whether the store holds what the server granted last.
    pub(crate) async fn holds_the_last_grant(&self) -> bool {
        let stored = self.store.load("default").await.unwrap();
        stored.is_some_and(|stored| self.server.is_stored(&stored.record))
    }

    pub(crate) fn noted(&self, what: &str) {
        self.server.noted(self.now(), what);
    }
}

/// A process, with the one session that it has.
#[derive(Debug)]
pub(crate) struct Process {
    number: u64,
    host: Arc<Host>,
    random: Random,
    dead: AtomicBool,
    /// A dead process's lease is let go by the system, whatever its session does.
    held: Arc<Mutex<Option<Box<dyn HeldLease>>>>,
}

impl Process {
    pub(crate) fn new(number: u64, host: &Arc<Host>) -> Arc<Self> {
        let (random, dead) = (host.random.split(), AtomicBool::new(false));
        Arc::new(Self { number, host: Arc::clone(host), random, dead, held: Arc::default() })
    }

    pub(crate) fn open(self: &Arc<Self>) -> Session {
        Session::builder(self.clone(), self.clone(), self.clone())
            .clocks(self.host.clocks.clone())
            .seed(self.random.bytes())
            .open()
            .unwrap()
    }

    /// Nothing that its session does from now on has any effect.
    pub(crate) async fn die(&self) {
        self.dead.store(true, Ordering::Relaxed);
        drop(self.held.lock().unwrap().take());
        self.host.noted(&format!("{} dies", self.number));
        self.host.server.died(self.number, self.host.holds_the_last_grant().await);
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// What a dead process waits for.
    async fn outlive(&self) {
        if self.is_dead() {
            pending::<()>().await;
        }
    }

    /// One use of the store: how long it takes, and how it fails.
    async fn disk(&self) -> Result<(), StoreFault> {
        pause(self.random.millis(0..20)).await;
        self.outlive().await;
        if !self.host.faults().store {
            return Ok(());
        }
        match self.random.below(100) {
            0..5 => Err(StoreFault::Unavailable),
            5..8 => Err(StoreFault::Full),
            8..12 => {
                // Longer than a save may take.
                pause(self.random.millis(3_000..8_000)).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn fails(fault: StoreFault) -> StoreError {
    StoreError::new(fault, "as the seed wants it")
}

#[async_trait]
impl TokenStore for Process {
    async fn load(&self, account: &str) -> Result<Option<Stored>, StoreError> {
        self.disk().await.map_err(fails)?;
        self.outlive().await;
        self.host.store.load(account).await
    }

    async fn save(&self, account: &str, record: &Record, over: &Over) -> Result<Kept, StoreError> {
        let fault = self.disk().await.err();
        self.outlive().await;
        let unknown = self.random.percent(50);
        if let Some(fault) = fault.filter(|_| !unknown || self.random.percent(50)) {
            let error = fails(fault);
            self.host.noted(&format!("{} cannot save", self.number));
            return Err(if unknown { error.unknown() } else { error });
        }
        let kept = self.host.store.save(account, record, over).await;
        if matches!(kept, Ok(Kept::Done(_))) {
            self.host.server.is_stored(record);
        }
        pause(self.random.millis(0..20)).await;
        self.outlive().await;
        match fault {
            // It was applied, and nobody knows.
            Some(fault) => Err(fails(fault).unknown()),
            None => kept,
        }
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.host.store.list().await
    }

    /// Another process is another session, so it is another place.
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = self.host.store.capabilities();
        capabilities.identity = format!("{}, process {}", capabilities.identity, self.number);
        capabilities
    }
}

#[async_trait]
impl RefreshLease for Process {
    async fn try_acquire(&self, account: &str, now: Timestamp) -> Result<Tried, StoreError> {
        self.disk().await.map_err(fails)?;
        self.outlive().await;
        Ok(match self.host.lease.try_acquire(account, now).await? {
            Tried::Held(held) => {
                *self.held.lock().unwrap() = Some(held);
                Tried::Held(Box::new(Held(Arc::clone(&self.held))))
            }
            Tried::Busy(holder) => Tried::Busy(holder),
            Tried::Unlockable => Tried::Unlockable,
        })
    }

    fn proves_death(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Held(Arc<Mutex<Option<Box<dyn HeldLease>>>>);

#[async_trait]
impl HeldLease for Held {
    async fn renew(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }

    fn time_left(&self) -> Option<Duration> {
        None
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.0.lock().unwrap().take());
    }
}

/// What the network does to a token request.
#[derive(Clone, Copy, Debug)]
enum Network {
    Works,
    Unreachable,
    Unavailable,
    LosesTheAnswer,
    /// The answer comes after the attempt is over, in time for those who listen.
    IsLate,
    /// It does not come at all.
    Stalls,
}

impl Process {
    fn network(&self) -> Network {
        if !self.host.faults().network {
            return Network::Works;
        }
        match self.random.below(100) {
            0..15 => Network::Unreachable,
            15..25 => Network::Unavailable,
            25..35 => Network::LosesTheAnswer,
            35..40 => Network::IsLate,
            40..45 => Network::Stalls,
            _ => Network::Works,
        }
    }

    async fn request(&self, refresh_token: &str, within: Duration) -> Answer {
        let network = self.network();
        let number = self.number;
        self.host.noted(&format!("{number}: the network {network:?}"));
        // Less than the 2 s for which a dead process's request is taken to be under way.
        pause(self.random.millis(10..1_500)).await;
        if self.is_dead() && self.random.percent(50) {
            pending::<()>().await;
        }
        match network {
            Network::Unreachable => return failed(Cause::Unreachable, Applied::No),
            Network::Unavailable => return failed(Cause::Unavailable, Applied::No),
            Network::Works | Network::LosesTheAnswer | Network::IsLate | Network::Stalls => {}
        }
        let answer = self.host.server.redeem(refresh_token, self.host.now());
        let is_granted = matches!(answer, Answer::Granted(_));
        if is_granted && self.is_dead() {
            self.host.server.lost();
        }
        match network {
            Network::Works => pause(self.random.millis(10..500)).await,
            Network::IsLate => {
                // By then the request was perhaps made once more, which a strict server resents.
                self.host.server.lost();
                pause(within + self.random.millis(0..10_000)).await;
            }
            Network::LosesTheAnswer => {
                self.host.server.lost();
                return failed(Cause::NoAnswer, Applied::Perhaps);
            }
            Network::Stalls => {
                self.host.server.lost();
                pause(within + LATE).await;
                return failed(Cause::NoAnswer, Applied::PerhapsLater);
            }
            Network::Unreachable | Network::Unavailable => unreachable!("it did not get here"),
        }
        answer
    }
}

#[async_trait]
impl TokenEndpoint for Process {
    async fn renew(&self, with: Renewing<'_>, within: Duration) -> Answer {
        self.outlive().await;
        let refresh_token = with.refresh_token.unwrap().expose().to_owned();
        let server = &self.host.server;
        let asked_at = self.host.now();
        let sent = server.asked(self.number, &refresh_token, asked_at);
        let answer = self.request(&refresh_token, within).await;
        self.outlive().await;
        let said = match &answer {
            Answer::Granted(grant) => grant.access_token.expose(),
            Answer::Refused(_) => "a refusal",
            _ => "nothing that counts",
        };
        self.host.noted(&format!("{} gets {said} for {refresh_token}", self.number));
        // An answer that comes after its attempt was given up is taken if it is a grant. Whether
        // anybody asks once more before it is stored, is chance.
        let is_in_time = self.host.now() <= asked_at + within;
        let counts = is_in_time && matches!(answer, Answer::Granted(_) | Answer::Refused(_));
        server.ended(sent, counts);
        answer
    }

    async fn revoke(&self, _: &Client, _: &Secret, _: &str, _: Duration) -> bool {
        self.outlive().await;
        true
    }
}

fn failed(cause: Cause, applied: Applied) -> Answer {
    Answer::Failed(Failure { cause, applied, retry_after: None, code: None })
}
