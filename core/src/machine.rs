//! The machine: what to do about one credential, as a pure function of what it is told.
//!
//! The facts of the [`Record`] are the only truth, and the state is the name they spell. What
//! this process is doing about them is one [`Job`](job::Job) beside the facts, and a lane of
//! errands to the store. Every change of state goes through the table of [`edges`].

mod adopt;
mod edges;
mod errands;
mod event;
mod io;
mod job;
mod judge;
#[cfg(feature = "model")]
mod model;
mod passage;
mod policy;
mod random;
mod states;
mod view;
mod watch;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;

pub use edges::{Edge, edges};
pub use event::Event;
pub use io::{Action, Input, Outcome, Output, Over, Stored};
#[cfg(feature = "model")]
pub use model::{Canonical, GrantInHand};
pub use passage::{Next, Passage};
pub use policy::Policy;
pub use view::{Blocked, Use, View};

use edges::Step;
use errands::{Errand, Lane};
use job::{Asked, Job, Lease};
use judge::Claim;
use random::Random;
use states::Current;

use crate::fault::StoreFault;
use crate::grant::Grant;
use crate::holder::Holder;
use crate::id::{Id, TokenId};
use crate::origin::Origin;
use crate::reason::LoginReason;
use crate::record::{Access, Record, Refresh, StateKind};
use crate::time::Timestamp;

/// How long past its deadline an action's answer is waited for, before the machine takes it for
/// lost: a second, since the host answers by the deadline itself.
const OVERDUE: core::time::Duration = core::time::Duration::from_secs(1);

/// The latest reading that is taken: a hundred years before the end of time, so that whatever is
/// waited for lies ahead.
const LATEST: Timestamp = Timestamp::from_millis(u64::MAX - 100 * 365 * 86_400_000);

/// One credential, kept alive.
///
/// # How to drive it
///
/// > Drain [`poll_output`](Self::poll_output) until it says [`Output::Timeout`]; only then give
/// > the next input.
///
/// 1. Make it with [`Machine::new`]; its first output asks for a load.
/// 2. Drain the outputs. Do each [`Output::Act`], without waiting for it to end.
/// 3. Publish [`view`](Self::view) to those who want tokens.
/// 4. Wait for the end of an action, a caller, or the moment of the last [`Output::Timeout`],
///    and tell it with [`handle_input`](Self::handle_input). Go on with 2.
///
/// It never fails: input that is stale or makes no sense is ignored. `now` is the host's clock;
/// a reading before the last one counts as the last one, and one within a hundred years of the end
/// of time as the beginning of them.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone))]
pub struct Machine {
    policy: Policy,
    random: Random,
    owner: Id,
    /// The host's name, as the records say it that this process writes.
    host: Option<String>,
    /// This process's share of the leeway's jitter, in 1024ths.
    spread: u32,
    now: Timestamp,

    /// Whether the store was ever read.
    loaded: bool,
    /// The record as this process sees it: what was stored, and over it what is not saved yet.
    record: Option<Record>,
    /// What the store holds, for the next save.
    over: Over,
    /// The highest generation of this incarnation known to be stored.
    durable: u64,
    /// Rejections that are not judged and saved yet.
    claims: Vec<Claim>,
    /// The origins that rejected this token, as this process saw it, however many there are.
    refused: (TokenId, Vec<Origin>),
    /// What servers had said of the token before the claims.
    before: Access,
    /// Origins whose acceptance is not saved yet.
    accepted: Vec<Origin>,
    /// The claims that an API wants of the next token.
    claims_wanted: Option<String>,
    /// Whether a refused refresh token is to be tried once more.
    reconsider: bool,
    /// A grant in use that could not be saved yet.
    unsaved: Option<Unsaved>,
    /// Whether the store holds an older copy of the record.
    rolled_back: bool,
    /// What is wrong with the store.
    trouble: Option<Trouble>,

    job: Job,
    lease: Lease,
    lane: Lane,
    errands: VecDeque<Errand>,
    /// Token requests given up whose grant would still be taken.
    late: Vec<Asked>,
    /// Revocations of a logout that are out, and whether all so far were confirmed.
    revoking: Vec<u64>,
    revoked: bool,

    holder: Option<Holder>,
    /// The intent in the store that another process left, and until when this one, by its own
    /// clock alone, takes its holder for one that may go on.
    sighted: (Id, Timestamp),
    unlockable_told: bool,
    /// No refresh ahead of need before this.
    quiet_until: Timestamp,
    reread_at: Timestamp,
    /// Stored stamps of other clocks.
    strange: Vec<Strange>,
    stopping: bool,
    stopped: bool,
    login_told: bool,

    /// The moment that was asked for last: what is due then is not done yet.
    due_at: Timestamp,
    next_id: u64,
    out: VecDeque<Output>,
    view: View,
}

/// A stored stamp that is further ahead than its own greatest length, and what it counts as since
/// it was first read.
#[derive(Clone, Copy, Debug)]
struct Strange {
    raw: Timestamp,
    most: core::time::Duration,
    counts_as: Timestamp,
}

/// A grant that is in use and not saved.
#[derive(Clone, Debug)]
struct Unsaved {
    fault: StoreFault,
    asked: Asked,
    grant: Grant,
}

/// The store did not do what it was asked.
#[derive(Clone, Copy, Debug)]
struct Trouble {
    fault: StoreFault,
    until: Timestamp,
    streak: u32,
}

impl Machine {
    /// A machine that knows nothing yet. `seed` is random, new for every start of the process:
    /// jitter, and the name by which this process knows its own intents, come from it.
    pub fn new(policy: Policy, seed: [u8; 32], now: Timestamp) -> Self {
        let now = now.min(LATEST);
        let mut random = Random::new(seed);
        let owner = random.id();
        let spread = u32::try_from(random.word() % 1024).unwrap_or(0);
        let reread_at = now + policy.reread;
        let mut machine = Self {
            policy,
            random,
            owner,
            host: None,
            spread,
            now,
            loaded: false,
            record: None,
            over: Over::Absent,
            durable: 0,
            claims: Vec::new(),
            refused: (TokenId::default(), Vec::new()),
            before: Access::None,
            accepted: Vec::new(),
            claims_wanted: None,
            reconsider: false,
            unsaved: None,
            rolled_back: false,
            trouble: None,
            job: Job::Idle,
            lease: Lease::None,
            lane: Lane::Idle,
            errands: VecDeque::new(),
            late: Vec::new(),
            revoking: Vec::new(),
            revoked: false,
            holder: None,
            sighted: (Id([0; 16]), Timestamp::EPOCH),
            unlockable_told: false,
            quiet_until: Timestamp::EPOCH,
            reread_at,
            strange: Vec::new(),
            stopping: false,
            stopped: false,
            login_told: false,
            due_at: Timestamp::EPOCH,
            next_id: 0,
            out: VecDeque::new(),
            view: View::default(),
        };
        machine.reread();
        machine.advance();
        machine
    }

    /// Tells the machine what happened, at `now`.
    pub fn handle_input(&mut self, input: Input, now: Timestamp) {
        self.now = self.now.max(now.min(LATEST));
        let idle = self.now < self.due_at;
        match input {
            Input::Accepted { id, origin } => {
                if !self.on_accepted(id, &origin) && idle {
                    return;
                }
            }
            Input::Rejected { id, origin, strength, claims } => {
                if !self.on_rejected(id, origin, strength, claims) && idle {
                    return;
                }
            }
            Input::Disowned { id, origin } => self.on_disowned(id, origin),
            Input::TimePassed => self.on_overdue(),
            Input::Done { id, outcome } => self.on_done(id, outcome),
            Input::Wanted { origin } => self.on_wanted(&origin),
            Input::LoggedIn(login) => self.errands.push_back(Errand::login(login)),
            Input::LoggedOut => self.errands.push_back(Errand::logout()),
            Input::Reconsider => self.errands.push_back(Errand::reconsider()),
            Input::ConfigurationChanged(client) => {
                self.errands.push_back(Errand::configure(client));
            }
            Input::OriginAllowed(origin) => self.errands.push_back(Errand::allow(origin)),
            Input::Stop => self.stopping = true,
        }
        self.advance();
    }

    /// Goes by other numbers from now on: those of the profile that the record names, for one.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
        self.rebuild_view();
    }

    /// Names the host: whoever finds the record of a grant or a login elsewhere can tell a copy by
    /// it.
    pub fn set_host(&mut self, name: String) {
        self.host = Some(name);
    }

    /// The next thing the machine wants. Drain it until [`Output::Timeout`].
    pub fn poll_output(&mut self) -> Output {
        self.out.pop_front().unwrap_or_else(|| {
            self.due_at = self.wake_at();
            Output::Timeout(self.due_at)
        })
    }

    /// What callers may do now.
    pub fn view(&self) -> &View {
        &self.view
    }

    /// The record as this process sees it, unsaved changes included; none if nobody is logged
    /// in. For people who look, not for tokens: those are in the [`view`](Self::view).
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// The name of the state; none before the first load.
    pub fn state(&self) -> Option<StateKind> {
        self.loaded.then(|| self.record.as_ref().map_or(StateKind::NeedsLogin, Record::state))
    }

    /// Goes on with everything that can go on, and then works the view out anew.
    fn advance(&mut self) {
        // Each round starts an action, ends a wait or ends an errand, so few are ever needed.
        for _ in 0..256 {
            if !(self.step_lane() || self.step_job() || self.step_reread()) {
                break;
            }
        }
        self.tell_login_needed();
        if self.stopping && !self.stopped && self.is_idle() {
            self.stopped = true;
            self.out.push_back(Output::Stopped);
        }
        self.rebuild_view();
    }

    fn is_idle(&self) -> bool {
        matches!((&self.job, &self.lane), (Job::Idle, Lane::Idle))
            && self.errands.is_empty()
            && self.revoking.is_empty()
    }

    fn act(&mut self, action: Action, deadline: Timestamp) -> u64 {
        self.next_id += 1;
        self.out.push_back(Output::Act { id: self.next_id, action, deadline });
        self.next_id
    }

    fn tell(&mut self, event: Event) {
        self.out.push_back(Output::Event(event));
    }

    /// Tells of a change of state, if there was one.
    fn tell_change(&mut self, from: Option<StateKind>, trigger: &'static str) {
        let Some(to) = self.state() else { return };
        if from == Some(to) {
            return;
        }
        let generation = self.record.as_ref().map_or(0, |record| record.generation);
        self.tell(Event::StateChanged { from, to, trigger, generation });
    }

    /// Says that a login is needed once nothing is left that could show otherwise.
    fn tell_login_needed(&mut self) {
        if self.state() != Some(StateKind::NeedsLogin) {
            self.login_told = false;
            return;
        }
        if self.login_told || !self.claims.is_empty() || self.rereading() || self.may_end_login() {
            return;
        }
        self.login_told = true;
        let (reason, code) = self.login_reason();
        self.tell(Event::LoginNeeded { reason, code });
    }

    /// Why a login is needed, as far as the facts say.
    fn login_reason(&self) -> (LoginReason, Option<String>) {
        match self.record.as_ref().map(|record| &record.refresh) {
            None => (LoginReason::NotLoggedIn, None),
            Some(Refresh::Dead { reason, code, .. }) => (*reason, code.clone()),
            Some(Refresh::Absent | Refresh::Usable | Refresh::InDoubt { .. }) => {
                (LoginReason::NoRefreshToken, None)
            }
        }
    }

    /// A server accepted the token. False if that is nothing new.
    fn on_accepted(&mut self, id: TokenId, origin: &Origin) -> bool {
        let from = self.state();
        let Some(record) = self.record.as_mut() else { return false };
        let news = record.access() == Access::Probation
            || record.marks.iter().any(|mark| mark.origin == *origin);
        if id != record.token_id() || !record.origins.contains(origin) || !news {
            return false;
        }
        let Some(step) = Current::of(record).accepted(origin) else { return false };
        if !self.accepted.contains(origin) {
            self.accepted.push(origin.clone());
        }
        self.trust();
        self.tell_change(from, step.trigger);
        true
    }

    /// Somebody wants a token that the view does not give.
    fn on_wanted(&mut self, origin: &Origin) {
        match self.view.access(origin) {
            Use::Token { .. } | Use::Foreign => {}
            Use::Login(_) | Use::Blocked { .. } => self.reread(),
            Use::Wait => {
                if self.wants_another(origin) {
                    self.demand(origin);
                }
            }
        }
    }

    /// Answers that did not come are taken for lost.
    fn on_overdue(&mut self) {
        if let Lane::Busy { id, deadline, .. } = self.lane
            && self.now > deadline + OVERDUE
        {
            self.on_done(id, Outcome::Unknown(StoreFault::Unavailable));
        }
        if let Some((id, outcome)) = self.job.overdue(self.now) {
            self.on_done(id, outcome);
        }
    }

    fn on_done(&mut self, id: u64, outcome: Outcome) {
        if matches!(&self.lane, Lane::Busy { id: busy, .. } if *busy == id) {
            self.lane_done(outcome);
        } else if !self.on_revoked(id, &outcome) {
            self.job_done(id, outcome);
        }
    }
}

/// A record to be saved, what made it differ, and how many of the reports that were not saved yet
/// are in it.
#[derive(Clone, Debug)]
struct Candidate {
    record: Box<Record>,
    trigger: &'static str,
    claims: usize,
    accepted: usize,
}
