//! What happens in a run, and what must be true of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use regrant::{AccessError, Client, Origin, Session, Strength, Timestamp, Verdict};
use regrant_storage::{RefreshLease, Tried};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::process::{Host, Process};
use crate::random::Random;
use crate::{Faults, pause};

/// What a caller waits at most, and a second for the one who answers.
const ANSWERED: Duration = Duration::from_secs(31);

const PROCESSES: u64 = 3;
const LIVES: u64 = 3;
const CALLERS: u64 = 3;
const REQUESTS: u64 = 5;

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) granted: u64,
    pub(crate) logins: u64,
    pub(crate) answered: u64,
    pub(crate) gone: u64,
    pub(crate) log: Vec<String>,
    pub(crate) violations: Vec<String>,
}

#[derive(Debug, Default)]
struct Counts {
    processes: AtomicU64,
    logins: AtomicU64,
    answered: AtomicU64,
    gone: AtomicU64,
}

fn one_more(count: &AtomicU64) -> u64 {
    count.fetch_add(1, Ordering::Relaxed) + 1
}

fn origins() -> [Origin; 2] {
    ["https://api.example", "https://other.example"].map(|origin| Origin::parse(origin).unwrap())
}

#[derive(Clone, Debug)]
struct Run {
    host: Arc<Host>,
    user: Arc<Mutex<()>>,
    counts: Arc<Counts>,
}

/// Lives through one run.
pub(crate) async fn live(seed: u64, faults: Faults) -> Report {
    let run = Run { host: Host::new(seed, faults), user: Arc::default(), counts: Arc::default() };
    let first = run.process();
    // The user logs in before anything goes wrong.
    run.host.heal();
    let session = first.open();
    run.log_in(&session).await;
    drop(session);
    run.host.begin(faults);

    let mut tasks = JoinSet::new();
    for _ in 0..PROCESSES {
        tasks.spawn(run.clone().lives());
    }
    if faults.clocks {
        tasks.spawn(run.clone().weather());
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    run.host.heal();
    run.ends_well().await;

    let (granted, log, violations) = run.host.server.counted();
    let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
    let Counts { logins, answered, gone, .. } = &*run.counts;
    let (logins, answered, gone) = (count(logins), count(answered), count(gone));
    Report { granted, logins, answered, gone, log, violations }
}

impl Run {
    fn process(&self) -> Arc<Process> {
        Process::new(one_more(&self.counts.processes), &self.host)
    }

    fn violated(&self, what: impl Into<String>) {
        self.host.server.violated(what);
    }

    async fn log_in(&self, session: &Session) {
        let grant = self.host.server.log_in(self.host.now());
        self.host.noted("the user logs in");
        let client = Client::new("https://as.example/token", "client");
        if session.install(client, origins(), grant).await.is_err() {
            // The next one who meets a refusal logs in again.
            self.host.server.lost();
        }
    }

    /// One place where processes run, one after the other.
    async fn lives(self) {
        let random = self.host.random.split();
        let mut process = self.process();
        for _ in 0..LIVES {
            let session = process.open();
            let mut callers = JoinSet::new();
            for _ in 0..CALLERS {
                let (run, session, random) = (self.clone(), session.clone(), random.split());
                callers.spawn(async move { run.calls(&session, &random).await });
            }
            let dies = self.host.faults().crashes && random.percent(60);
            if dies {
                pause(random.millis(0..400_000)).await;
                process.die().await;
                callers.shutdown().await;
            }
            while let Some(ended) = callers.join_next().await {
                ended.unwrap();
            }
            if dies {
                process = self.process();
            } else if random.percent(50) {
                self.closes(&session).await;
            }
            // Else it is dropped, and the next one is opened while it still ends.
        }
    }

    async fn closes(&self, session: &Session) {
        let within = Duration::from_secs(30);
        let Faults { network, store, clocks, .. } = self.host.faults();
        match tokio::time::timeout(ANSWERED, session.close(within)).await {
            Ok(Ok(())) => {}
            // Something may still be under way then.
            Ok(Err(_)) if network || store || clocks => {}
            Ok(Err(error)) => self.violated(format!("not closed: {error}")),
            Err(_) => self.violated("a close was not answered in time"),
        }
    }

    /// A caller, with some requests that it cares for and some that it gives up.
    async fn calls(&self, session: &Session, random: &Random) {
        for _ in 0..REQUESTS {
            pause(random.millis(0..200_000)).await;
            let origin = &origins()[usize::from(random.percent(50))];
            let request = self.request(session, random, origin);
            if random.percent(20) {
                let patience = random.millis(0..2_000);
                if tokio::time::timeout(patience, request).await.is_err() {
                    one_more(&self.counts.gone);
                }
            } else if let Err(error) = request.await {
                self.met(session, &error).await;
            }
        }
    }

    /// A request, replayed as a transport does it.
    async fn request(
        &self,
        session: &Session,
        random: &Random,
        origin: &Origin,
    ) -> Result<(), AccessError> {
        let mut than = None;
        for _ in 0..3 {
            let wanted = async {
                match than {
                    None => session.access(origin).await,
                    Some(than) => session.access_newer(origin, than).await,
                }
            };
            let Ok(answer) = tokio::time::timeout(ANSWERED, wanted).await else {
                self.violated("a caller was not answered in time");
                return Ok(());
            };
            one_more(&self.counts.answered);
            let access = answer?;
            let (id, token) = (access.id(), access.token().expose().to_owned());
            drop(access);
            if than.is_some_and(|than| id.generation <= than.generation) {
                self.violated("lent again after it was rejected");
            }
            pause(random.millis(1..300)).await;
            let good = self.host.server.accepts(&token, self.host.now());
            if good && !(self.host.faults().api && random.percent(5)) {
                session.report(id, origin, Verdict::Accepted);
                return Ok(());
            }
            self.host.noted(&format!("{origin} rejects {token}"));
            self.host.server.rejected(&token);
            session.report(id, origin, Verdict::Rejected(Strength::Strong));
            than = Some(id);
        }
        Ok(())
    }

    /// Is this error one that this run can explain?
    async fn met(&self, session: &Session, error: &AccessError) {
        let Faults { network, store, crashes, api, clocks } = self.host.faults();
        let explained = match error {
            AccessError::NeedsLogin { .. } => {
                // The user logs in anew where no client could have helped it.
                let excused = self.host.server.excuses_a_login(self.host.now());
                // One user, who logs in once, whoever asks for it.
                let _user = self.user.lock().await;
                let again = session.access(&origins()[0]).await;
                if matches!(again, Err(AccessError::NeedsLogin { .. })) {
                    one_more(&self.counts.logins);
                    self.log_in(session).await;
                }
                excused
            }
            // A login that has ended is rejected everywhere, before it is refused.
            AccessError::StillRejected { .. } => api || network || crashes,
            // A stamp of another clock makes it one a minute.
            AccessError::Budget { .. } => api || clocks,
            AccessError::Delayed { .. } => network || clocks || crashes,
            AccessError::Store { .. } => store,
            AccessError::Busy { .. } | AccessError::TimedOut => network || store || crashes,
            // Its process died under it.
            AccessError::Closed => crashes,
            AccessError::Foreign { .. } => false,
            _ => false,
        };
        if !explained {
            self.violated(format!("a caller met: {error}"));
        }
    }

    /// Suspends, and a wall clock that is set.
    async fn weather(self) {
        let random = self.host.random.split();
        for _ in 0..4 {
            pause(random.millis(60_000..300_000)).await;
            self.host.server.clocks_were_set();
            match random.below(3) {
                0 => self.host.clocks.suspend(random.millis(1_000..7_200_000)),
                1 => self.host.clocks.step_wall(7_200_000),
                _ => self.host.clocks.step_wall(-7_200_000),
            }
        }
    }

    /// When nothing goes wrong any more, there is a token, or a reason that excuses its want.
    async fn ends_well(&self) {
        let process = self.process();
        let session = process.open();
        for origin in origins() {
            if !self.is_taken(&session, &origin).await {
                self.violated(format!("at the end: no token for {origin}"));
            }
        }
        if let Err(error) = session.close(Duration::from_secs(60)).await {
            self.violated(format!("at the end: {error}"));
        }
        if !self.host.holds_the_last_grant().await && !self.host.server.may_have_lost() {
            self.violated("at the end: the store does not hold the live token");
        }
        // A session that was dropped may have had something to end.
        pause(ANSWERED).await;
        let tried = self.host.lease.try_acquire("default", Timestamp::EPOCH).await.unwrap();
        if !matches!(tried, Tried::Held(_)) {
            self.violated("at the end: somebody holds the lease");
        }
    }
    /// Whether a token for this origin is taken there, sooner or later.
    async fn is_taken(&self, session: &Session, origin: &Origin) -> bool {
        // Cool-downs last an hour at most, and end; a store is asked again at once.
        for _ in 0..8 {
            match session.access(origin).await {
                Ok(access) => {
                    let (id, token) = (access.id(), access.token().expose().to_owned());
                    drop(access);
                    if self.host.server.accepts(&token, self.host.now()) {
                        return true;
                    }
                    self.host.server.rejected(&token);
                    session.report(id, origin, Verdict::Rejected(Strength::Strong));
                }
                Err(AccessError::NeedsLogin { reason, .. }) => {
                    if !self.host.server.excuses_a_login(self.host.now()) {
                        self.violated(format!("at the end: a login is needed, {reason}"));
                    }
                    self.log_in(session).await;
                }
                Err(error) => {
                    let now = session.status().await.unwrap().at;
                    let wait = error.retry_at().map_or(ANSWERED, |at| at.since(now));
                    pause(wait + Duration::from_secs(1)).await;
                }
            }
        }
        false
    }
}
