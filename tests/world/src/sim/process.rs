//! One process: the real machine, and around it what the driver does, step by step the same.
//!
//! What it wants done outside is put in [`Process::wants`]; nothing here waits or performs.

use std::collections::VecDeque;
use std::time::Duration;

use regrant_core::{
    Action, Blocked, Event, Input, Login, LoginReason, Machine, Origin, Outcome, Output, Over,
    Policy, Record, Secret, StoreFault, Strength, Timestamp, TokenId, Use,
};

use crate::sim::books::{Who, number};
use crate::sim::clock::Clock;
use crate::sim::lease_lane::{LeaseDone, LeaseLane, LeaseOp};

/// A caller's patience: 30 s, the driver's default.
const PATIENCE: u64 = 30_000;
/// A wake-up later than this is the end of a stop: 1 s, as in the driver.
const STOPPED: u64 = 1_000;
/// How long what has ended in a stop may take to be heard: 1 s, as in the driver.
const HEAR_OUT: u64 = 1_000;
/// How long the end of a session waits for a late answer: 8 s, as in the driver.
const LISTEN_AT_END: u64 = 8_000;
/// How long a program waits at its end for what is to be saved: 30 s, more than an attempt takes.
const CLOSE_WITHIN: u64 = 30_000;

/// A token, lent to a caller.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lent {
    pub(super) id: TokenId,
    /// Its number in the books; none if it is no token of this world.
    pub(super) token: Option<usize>,
}

/// What a caller that waits is told.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    Token(Lent),
    Login(LoginReason),
    Blocked(Blocked),
    Impatient,
    Foreign,
    Closed,
}

/// What the process is told.
#[derive(Debug)]
pub(super) enum Happened {
    TimePassed,
    Done { id: u64, outcome: Outcome },
    Lease(LeaseDone),
    Access { call: usize, origin: usize, than: Option<TokenId> },
    Accepted { origin: usize, id: TokenId },
    Rejected { origin: usize, id: TokenId, strength: Strength },
    LogIn(Box<Login>),
    LogOut,
    Reconsider,
    Close,
}

/// What the process wants to be done.
#[derive(Debug)]
pub(super) enum Want {
    Load { id: u64, within: u64 },
    Save { id: u64, record: Box<Record>, over: Over, within: u64 },
    Ask { id: u64, token: Secret, within: u64 },
    Revoke { id: u64, token: Secret },
    Lease { op: LeaseOp, held: bool, within: u64 },
    Tell { call: usize, told: Told, waited: u64 },
    NeedsLogin(LoginReason),
    Refreshed,
    NotSaved,
}

#[derive(Debug)]
struct Waiter {
    call: usize,
    origin: usize,
    than: Option<TokenId>,
    since: u64,
}

#[derive(Debug)]
struct Resumed {
    since: u64,
    until: u64,
}

/// The places where tokens may go, and one where they may not.
#[derive(Debug)]
pub(super) struct Origins(pub(super) [Origin; 4]);

/// What a view says to everybody, to be compared with the next.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    state: Option<regrant_core::StateKind>,
    id: TokenId,
    unsaved: Option<StoreFault>,
    holder: bool,
    gates: [Gate; 4],
    heard: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Gate {
    Wait,
    Token { token: Option<usize>, id: TokenId, stale: bool, report: bool },
    Login(LoginReason),
    Blocked(Blocked, Timestamp),
    Foreign,
}

/// A running process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) who: Who,
    pub(super) clock: Clock,
    /// How far its host's wall clock is set ahead.
    pub(super) offset: i64,
    /// For how long its timers stood still.
    pub(super) slept: u64,
    machine: Machine,
    wake_at: Timestamp,
    /// The wake-up that the task waits for.
    pub(super) next_wake: u64,
    under_way: usize,
    resumed: Option<Resumed>,
    lane: LeaseLane,
    waiters: Vec<Waiter>,
    new: Vec<Waiter>,
    changes: VecDeque<Input>,
    change_out: bool,
    heard: u64,
    told: u64,
    shown: Shown,
    stopping: bool,
    stopped_at: Option<u64>,
    closing: Option<u64>,
    /// Whether the task has ended and the program with it.
    pub(super) over: bool,
    pub(super) wants: Vec<Want>,
}

impl Process {
    pub(super) fn new(
        who: Who,
        policy: Policy,
        seed: [u8; 32],
        offset: i64,
        now: u64,
        origins: &Origins,
    ) -> Self {
        let mut clock = Clock::new(offset, now);
        let at = Timestamp::from_millis(clock.now(offset, now));
        let machine = Machine::new(policy, seed, at);
        let shown = Shown {
            state: None,
            id: TokenId::default(),
            unsaved: None,
            holder: false,
            gates: [Gate::Wait; 4],
            heard: 0,
        };
        let mut process = Self {
            who,
            clock,
            offset,
            slept: 0,
            machine,
            wake_at: Timestamp::NEVER,
            next_wake: u64::MAX,
            under_way: 0,
            resumed: None,
            lane: LeaseLane::default(),
            waiters: Vec::new(),
            new: Vec::new(),
            changes: VecDeque::new(),
            change_out: false,
            heard: 0,
            told: 0,
            shown,
            stopping: false,
            stopped_at: None,
            closing: None,
            over: false,
            wants: Vec::new(),
        };
        process.drain(now);
        process.settle(now, origins);
        process.next_wake = process.wake(now);
        process
    }

    /// The clock by which timers go: it stands still in a suspend.
    pub(super) fn timer(&self, now: u64) -> u64 {
        now - self.slept
    }

    /// A token at hand, without asking the task.
    pub(super) fn try_access(&self, origin: usize) -> Option<Lent> {
        if self.told != self.heard {
            return None;
        }
        self.lent(origin)
    }

    fn lent(&self, origin: usize) -> Option<Lent> {
        match self.shown.gates[origin] {
            Gate::Token { token, id, .. } => Some(Lent { id, token }),
            Gate::Wait | Gate::Login(_) | Gate::Blocked(..) | Gate::Foreign => None,
        }
    }

    /// Whether the acceptance of this token is news.
    pub(super) fn wants_acceptance(&self, origin: usize, accepted: TokenId) -> bool {
        match self.shown.gates[origin] {
            Gate::Token { id, report, .. } => report && id == accepted,
            Gate::Wait | Gate::Login(_) | Gate::Blocked(..) | Gate::Foreign => false,
        }
    }

    /// Raises the mark on the published token, before the task is told of its rejection.
    pub(super) fn mark(&mut self, id: TokenId) {
        self.told += u64::from(self.shown.id == id);
    }

    /// One round of the task's loop.
    pub(super) fn happens(&mut self, what: Happened, now: u64, origins: &Origins) {
        self.notice_stop(now);
        match what {
            Happened::TimePassed => self.on_time(now),
            Happened::Done { id, outcome } => self.on_done(id, outcome, now),
            Happened::Lease(done) => {
                let clock = self.clock.now(self.offset, now);
                let timer = self.timer(now);
                let learnt = self.lane.done(done, clock, timer);
                self.step_lane(now);
                if let Some((id, outcome)) = learnt {
                    self.on_done(id, outcome, now);
                }
            }
            Happened::Access { call, origin, than } => {
                self.on_access(Waiter { call, origin, than, since: self.timer(now) }, now, origins);
            }
            Happened::Accepted { origin, id } => {
                let origin = origins.0[origin].clone();
                self.feed(Input::Accepted { id, origin }, now);
            }
            Happened::Rejected { origin, id, strength } => {
                self.heard = self.told;
                let origin = origins.0[origin].clone();
                self.feed(Input::Rejected { id, origin, strength, claims: None }, now);
            }
            Happened::LogIn(login) => self.change(Input::LoggedIn(login)),
            Happened::LogOut => self.change(Input::LoggedOut),
            Happened::Reconsider => self.change(Input::Reconsider),
            Happened::Close => {
                if !std::mem::replace(&mut self.stopping, true) {
                    self.changes.clear();
                    self.feed(Input::Stop, now);
                }
                let deadline = self.timer(now) + CLOSE_WITHIN;
                self.closing.get_or_insert(deadline);
            }
        }
        self.settle(now, origins);
        self.next_wake = self.wake(now);
        self.over = self.is_over(now);
    }

    fn is_over(&self, now: u64) -> bool {
        let saved = self.machine.view().unsaved().is_none();
        let timer = self.timer(now);
        let done = self.stopped_at.is_some() && self.under_way == 0 && saved;
        let listened = saved && self.stopped_at.is_some_and(|at| timer >= at + LISTEN_AT_END);
        self.closing.is_some_and(|deadline| done || listened || deadline <= timer)
    }

    /// When the task wakes up by itself. The driver never sleeps longer than 30 s at a stretch;
    /// here it sleeps on, because nothing comes of those looks at the clock unless the clock was
    /// set or the process stopped, which the fleet tells it.
    fn wake(&mut self, now: u64) -> u64 {
        let clock = self.clock.now(self.offset, now);
        let timer = self.timer(now);
        let machine = timer.saturating_add(self.wake_at.as_millis().saturating_sub(clock));
        let listened = self.stopped_at.map(|at| at + LISTEN_AT_END).filter(|at| *at > timer);
        let closing = self.closing.into_iter().chain(listened.filter(|_| self.closing.is_some()));
        match &self.resumed {
            Some(resumed) => closing.fold(resumed.until, u64::min),
            None => closing
                .chain(self.patience())
                .chain(self.lane.renew_at)
                .fold(machine, u64::min)
                .max(timer),
        }
    }

    fn patience(&self) -> Option<u64> {
        self.waiters.iter().chain(&self.new).next().map(|waiter| waiter.since + PATIENCE)
    }

    fn notice_stop(&mut self, now: u64) {
        let timer = self.timer(now);
        let missed = timer > self.next_wake.saturating_add(STOPPED);
        if self.resumed.is_none() && missed && self.under_way > 0 {
            self.resumed = Some(Resumed { since: self.next_wake, until: timer + HEAR_OUT });
        }
        if self.resumed.as_ref().is_some_and(|r| timer >= r.until || self.under_way == 0) {
            self.resumed = None;
        }
    }

    fn on_time(&mut self, now: u64) {
        if self.lane.renew_if_due(self.timer(now)) {
            self.step_lane(now);
        }
        if self.resumed.is_none() {
            self.feed(Input::TimePassed, now);
        }
    }

    fn on_done(&mut self, id: u64, outcome: Outcome, now: u64) {
        self.under_way = self.under_way.saturating_sub(1);
        self.feed(Input::Done { id, outcome }, now);
    }

    fn on_access(&mut self, waiter: Waiter, now: u64, origins: &Origins) {
        if self.stopping {
            self.wants.push(Want::Tell { call: waiter.call, told: Told::Closed, waited: 0 });
        } else if let Some(lent) = self.newer(&waiter) {
            self.wants.push(Want::Tell { call: waiter.call, told: Told::Token(lent), waited: 0 });
        } else {
            let origin = origins.0[waiter.origin].clone();
            self.feed(Input::Wanted { origin }, now);
            self.new.push(waiter);
        }
    }

    fn change(&mut self, input: Input) {
        if !self.stopping {
            self.changes.push_back(input);
        }
    }

    fn feed(&mut self, input: Input, now: u64) {
        let at = Timestamp::from_millis(self.clock.now(self.offset, now));
        self.machine.handle_input(input, at);
        self.drain(now);
    }

    fn drain(&mut self, now: u64) {
        loop {
            match self.machine.poll_output() {
                Output::Act { id, action, deadline } => self.act(id, action, deadline, now),
                Output::Event(Event::LoginNeeded { reason, .. }) => {
                    self.wants.push(Want::NeedsLogin(reason));
                }
                Output::Event(Event::Refreshed { .. } | Event::SavedAtLast { .. }) => {
                    self.wants.push(Want::Refreshed);
                }
                Output::Event(Event::NotSaved { .. }) => self.wants.push(Want::NotSaved),
                Output::Event(_) => {}
                Output::Answered(_) => self.change_out = false,
                Output::Stopped => self.stopped_at = Some(self.timer(now)),
                Output::Timeout(at) => {
                    self.wake_at = at;
                    return;
                }
            }
        }
    }

    fn act(&mut self, id: u64, action: Action, deadline: Timestamp, now: u64) {
        self.under_way += 1;
        let clock = self.clock.now(self.offset, now);
        let within = deadline.as_millis().saturating_sub(clock);
        match action {
            Action::Acquire => {
                self.lane.push(LeaseOp::Acquire { id, deadline: deadline.as_millis() });
                self.step_lane(now);
            }
            Action::Release => {
                self.lane.push(LeaseOp::Release { id });
                self.step_lane(now);
            }
            Action::Load => self.wants.push(Want::Load { id, within }),
            Action::Save { record, over } => {
                self.wants.push(Want::Save { id, record, over, within });
            }
            Action::Ask { refresh_token, .. } => {
                let token = refresh_token.expect("every client here renews by refresh token");
                self.wants.push(Want::Ask { id, token, within });
            }
            Action::Revoke { token, .. } => self.wants.push(Want::Revoke { id, token }),
        }
    }

    fn step_lane(&mut self, now: u64) {
        if let Some((op, held)) = self.lane.step() {
            let clock = self.clock.now(self.offset, now);
            let within = match op {
                LeaseOp::Acquire { deadline, .. } => deadline.saturating_sub(clock),
                LeaseOp::Release { .. } | LeaseOp::LetGo | LeaseOp::Renew => u64::MAX,
            };
            self.wants.push(Want::Lease { op, held, within });
        }
    }

    /// Publishes what has changed and answers those who can be answered now.
    fn settle(&mut self, now: u64, origins: &Origins) {
        // As in the driver: each round begins a change or tells of somebody who waits.
        for _ in 0..64 {
            let changed = self.publish(origins);
            self.serve(now);
            let mut told = false;
            for origin in 0..origins.0.len() {
                let waits = self.waiters.iter().any(|waiter| waiter.origin == origin);
                if changed && waits && matches!(gate(&self.machine, origin, origins), Gate::Wait) {
                    self.feed(Input::Wanted { origin: origins.0[origin].clone() }, now);
                    told = true;
                }
            }
            let next = if self.change_out { None } else { self.changes.pop_front() };
            let begun = next.is_some();
            if let Some(input) = next {
                self.change_out = true;
                self.feed(input, now);
            }
            if !told && !begun {
                break;
            }
        }
    }

    fn publish(&mut self, origins: &Origins) -> bool {
        let view = self.machine.view();
        let shown = Shown {
            state: view.state(),
            id: view.token_id(),
            unsaved: view.unsaved(),
            holder: view.holder().is_some(),
            gates: std::array::from_fn(|origin| gate(&self.machine, origin, origins)),
            heard: self.heard,
        };
        let changed = shown != self.shown;
        self.shown = shown;
        changed
    }

    fn serve(&mut self, now: u64) {
        let time = self.resumed.as_ref().map_or_else(|| self.timer(now), |resumed| resumed.since);
        let mut waiters = std::mem::take(&mut self.waiters);
        waiters.append(&mut self.new);
        for waiter in waiters {
            let over = (waiter.since + PATIENCE <= time).then_some(Told::Impatient);
            match self.answer(&waiter).or(over) {
                Some(told) => {
                    let waited = self.timer(now).min(time) - waiter.since.min(time);
                    self.wants.push(Want::Tell { call: waiter.call, told, waited });
                }
                None => self.waiters.push(waiter),
            }
        }
    }

    fn answer(&self, waiter: &Waiter) -> Option<Told> {
        match self.shown.gates[waiter.origin] {
            Gate::Token { .. } => self.newer(waiter).map(Told::Token),
            Gate::Wait => None,
            Gate::Login(reason) => Some(Told::Login(reason)),
            Gate::Blocked(why, _) => Some(Told::Blocked(why)),
            Gate::Foreign => Some(Told::Foreign),
        }
    }

    fn newer(&self, waiter: &Waiter) -> Option<Lent> {
        let lent = self.lent(waiter.origin)?;
        waiter.than.is_none_or(|than| lent.id.generation > than.generation).then_some(lent)
    }

    /// After a suspend or with a clock that was set, the task looks within 30 s.
    pub(super) fn look_within(&mut self, delay: Duration, now: u64) {
        let delay = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.next_wake = self.next_wake.min(self.timer(now).saturating_add(delay));
    }

    /// For reports.
    pub(super) fn record(&self) -> Option<&Record> {
        self.machine.record()
    }
}

fn gate(machine: &Machine, origin: usize, origins: &Origins) -> Gate {
    match machine.view().access(&origins.0[origin]) {
        Use::Token { token, id, stale, report, .. } => {
            Gate::Token { token: number(token.expose()), id, stale, report }
        }
        Use::Wait => Gate::Wait,
        Use::Login(reason) => Gate::Login(reason),
        Use::Blocked { why, retry_at } => Gate::Blocked(why, retry_at),
        Use::Foreign => Gate::Foreign,
    }
}
