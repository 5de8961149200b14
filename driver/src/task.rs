//! The task that owns a machine: tells it what happens, does what it says, answers callers.

use std::sync::Arc;
use std::time::Duration;

use regrant_core::{
    Action, Event, Input, Machine, Origin, Output, StoreFault, Strength, Timestamp, TokenId, Use,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::change::{Change, Changes, Reply};
use crate::clock::monotonic;
use crate::error::{AccessError, NotSaved};
use crate::event::{Reader, log};
use crate::lease_lane::{LeaseLane, Op};
use crate::lending::Lending;
use crate::provider::Provider;
use crate::published::{Access, Shared};
use crate::status::Status;
use crate::trouble::Trouble;
use crate::waiters::Waiter;
use crate::worker::{Ask, Done, Worker};

/// The longest sleep: 30 s. Timers may stand still in a suspend; after this the clock is seen.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// A wake-up that comes this much later than it was set for is the end of a stop or a suspend: 1 s,
/// far more than a busy machine is late by.
const STOPPED: Duration = Duration::from_secs(1);

/// After a stop, how long what has ended meanwhile may take to be heard before anything is held
/// to be late: 1 s. An answer that waits in a socket is not a lost one.
const HEAR_OUT: Duration = Duration::from_secs(1);

/// How long the end of a session waits for an answer that the machine no longer waits for: 8 s,
/// which with an attempt's 20 s is less than a caller's patience.
const LISTEN_AT_END: Duration = Duration::from_secs(8);

/// How far ahead a timer is set that stands for no time at all: a year.
const NO_LIMIT: Duration = Duration::from_secs(365 * 86_400);

/// What a session's callers tell its task.
#[derive(Debug)]
pub(crate) enum Command {
    Access {
        origin: Origin,
        than: Option<TokenId>,
        reply: oneshot::Sender<Result<Access, AccessError>>,
    },
    Accepted {
        id: TokenId,
        origin: Origin,
    },
    Rejected {
        id: TokenId,
        origin: Origin,
        strength: Strength,
        /// The claims that are wanted of the next token.
        claims: Option<String>,
        /// Whether the mark on the published token was raised for it.
        marked: bool,
    },
    Disowned {
        id: TokenId,
        origin: Origin,
        marked: bool,
    },
    Change(Change, Reply),
    Status(oneshot::Sender<Status>),
    Watch(Reader),
    Close {
        within: Duration,
        reply: oneshot::Sender<Result<(), NotSaved>>,
    },
}

/// What ends the task's sleep.
#[derive(Debug)]
enum Happened {
    TimePassed,
    Done(Done),
    Told(Command),
    /// The last session was dropped.
    Dropped,
}

/// A process that goes on after it was stopped or suspended.
#[derive(Debug)]
struct Resumed {
    /// The wake-up that was missed: callers have waited until then, and not through the stop.
    since: Instant,
    until: Instant,
}

#[derive(Debug)]
pub(crate) struct Task {
    worker: Worker,
    machine: Machine,
    provider: Provider,
    patience: Duration,
    lending: Lending,
    commands: UnboundedReceiver<Command>,
    done: UnboundedReceiver<Done>,
    /// Actions of the machine that have not ended.
    under_way: usize,
    wake_at: Timestamp,
    /// After a stop: when it was noticed. For a moment, nobody is told how late it is.
    resumed: Option<Resumed>,
    lease: LeaseLane,
    changes: Changes,
    trouble: Trouble,
    readers: Vec<Reader>,
    asked_for_status: Vec<oneshot::Sender<Status>>,
    closing: Vec<(Instant, oneshot::Sender<Result<(), NotSaved>>)>,
    stopping: bool,
    stopped: bool,
    stopped_at: Option<Instant>,
}

impl Task {
    pub(crate) fn new(
        worker: Worker,
        machine: Machine,
        provider: Provider,
        patience: Duration,
        shared: Arc<Shared>,
        commands: UnboundedReceiver<Command>,
        done: UnboundedReceiver<Done>,
    ) -> Self {
        Self {
            worker,
            machine,
            provider,
            patience,
            lending: Lending::new(shared),
            commands,
            done,
            under_way: 0,
            wake_at: Timestamp::NEVER,
            resumed: None,
            lease: LeaseLane::default(),
            changes: Changes::default(),
            trouble: Trouble::default(),
            readers: Vec::new(),
            asked_for_status: Vec::new(),
            closing: Vec::new(),
            stopping: false,
            stopped: false,
            stopped_at: None,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut open = true;
        self.drain();
        self.settle();
        while !self.is_over() {
            let wake = self.next_wake();
            let happened = tokio::select! {
                // Time first, so that no flood of commands can hold it up; then what has ended.
                biased;
                () = sleep_until(wake) => Happened::TimePassed,
                Some(done) = self.done.recv() => Happened::Done(done),
                command = self.commands.recv(), if open => match command {
                    Some(command) => Happened::Told(command),
                    None => Happened::Dropped,
                },
            };
            self.notice_stop(wake);
            match happened {
                Happened::TimePassed => self.on_time(),
                Happened::Done(done) => self.on_done(done),
                Happened::Told(command) => self.on_command(command),
                Happened::Dropped => {
                    open = false;
                    self.stop();
                }
            }
            self.settle();
        }
        // Whoever spoke while the last thing ended is answered: a close, by that it is done.
        self.commands.close();
        while let Some(command) = self.commands.recv().await {
            self.on_command(command);
            self.settle();
        }
    }

    /// A token request that was given up may still bring a grant, and an unsaved token is still
    /// to be saved.
    fn is_over(&self) -> bool {
        self.stopped && self.under_way == 0 && self.machine.view().unsaved().is_none()
    }

    fn next_wake(&self) -> Instant {
        let machine = self.wake_at.since(self.worker.clock.now()).min(LONGEST_SLEEP);
        let listened = self.stopped_at.map(|at| at + LISTEN_AT_END);
        let listened = listened.filter(|at| !self.closing.is_empty() && *at > monotonic());
        let closing = self.closing.iter().map(|(deadline, _)| *deadline).chain(listened);
        match &self.resumed {
            Some(resumed) => closing.fold(resumed.until, Instant::min),
            None => closing
                .chain(self.lending.deadline())
                .chain(self.lease.renew_at())
                .fold(monotonic() + machine, Instant::min),
        }
    }

    /// A wake-up that was missed by far is the end of a stop. What has ended meanwhile is heard
    /// before anybody is told how late it is.
    fn notice_stop(&mut self, wake: Instant) {
        let time = monotonic();
        if self.resumed.is_none() && time > wake + STOPPED && self.under_way > 0 {
            self.resumed = Some(Resumed { since: wake, until: time + HEAR_OUT });
        }
        if self.resumed.as_ref().is_some_and(|r| time >= r.until || self.under_way == 0) {
            self.resumed = None;
        }
    }

    fn on_time(&mut self) {
        self.lease.renew_if_due(&self.worker);
        if self.resumed.is_none() {
            self.feed(Input::TimePassed);
        }
    }

    fn on_done(&mut self, done: Done) {
        let (answer, store) = match done {
            Done::Action { id, outcome, store } => (Some((id, outcome)), store),
            Done::Lease(done) => {
                let learnt = self.lease.done(done, &self.worker);
                (learnt.answer, Some(learnt.store))
            }
        };
        if let Some((side, error)) = store {
            if let Some(error) = &error {
                let account = &*self.worker.account;
                tracing::debug!(target: "regrant", account, ?side, %error, "the store failed");
            }
            self.trouble.note(side, error);
        }
        if let Some((id, outcome)) = answer {
            self.under_way = self.under_way.saturating_sub(1);
            self.feed(Input::Done { id, outcome });
            self.changes.done(id);
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Access { origin, than, reply } => self.on_access(origin, than, reply),
            Command::Accepted { id, origin } => self.feed(Input::Accepted { id, origin }),
            Command::Rejected { id, origin, strength, claims, marked } => {
                self.lending.hear(marked);
                self.feed(Input::Rejected { id, origin, strength, claims });
            }
            Command::Disowned { id, origin, marked } => {
                self.lending.hear(marked);
                self.feed(Input::Disowned { id, origin });
            }
            Command::Change(change, reply) => {
                if !self.stopping {
                    self.changes.push(change, reply);
                }
            }
            Command::Status(reply) => self.asked_for_status.push(reply),
            Command::Watch(reader) => self.readers.push(reader),
            Command::Close { within, reply } => {
                self.stop();
                self.closing.push((monotonic() + within.min(NO_LIMIT), reply));
            }
        }
    }

    fn on_access(
        &mut self,
        origin: Origin,
        than: Option<TokenId>,
        reply: oneshot::Sender<Result<Access, AccessError>>,
    ) {
        if self.stopping {
            let _ = reply.send(Err(AccessError::Closed));
            return;
        }
        let deadline = monotonic() + self.patience;
        let waiter = Waiter { origin, than, deadline, reply };
        if let Some(waiter) = self.lending.lend(waiter) {
            self.feed(Input::Wanted { origin: waiter.origin.clone() });
            self.lending.wait(waiter);
        }
    }

    fn stop(&mut self) {
        if !std::mem::replace(&mut self.stopping, true) {
            self.changes.abandon();
            self.feed(Input::Stop);
        }
    }

    fn feed(&mut self, input: Input) {
        self.machine.handle_input(input, self.worker.clock.now());
        // The record may name another profile now. What the machine has begun by the old one's
        // numbers, nothing has answered yet.
        let named = self.machine.record().and_then(|record| record.client.profile.as_deref());
        if let Some(policy) = self.provider.follow(named) {
            self.machine.set_policy(policy);
        }
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.machine.poll_output() {
                Output::Act { id, action, deadline } => self.act(id, action, deadline),
                Output::Event(event) => self.tell(&event),
                Output::Answered(result) => {
                    self.changes.answered(result, &self.machine, &self.trouble);
                }
                Output::Stopped => {
                    self.stopped = true;
                    self.stopped_at = Some(monotonic());
                    self.lending.withdraw();
                }
                Output::Timeout(at) => {
                    self.wake_at = at;
                    return;
                }
            }
        }
    }

    fn act(&mut self, id: u64, action: Action, deadline: Timestamp) {
        self.under_way += 1;
        let worker = &self.worker;
        match action {
            Action::Acquire => self.lease.push(Op::Acquire { id, deadline }, worker),
            Action::Release => self.lease.push(Op::Release { id, deadline }, worker),
            Action::Load => worker.load(id, deadline),
            Action::Save { record, over } => worker.save(id, record, over, deadline),
            Action::Ask { client, refresh_token, claims } => {
                let profile = self.provider.profile();
                worker.ask(id, Ask { client, refresh_token, claims, profile }, deadline);
            }
            Action::Revoke { client, token, hint } => {
                self.changes.revoking(id);
                worker.revoke(id, client, token, hint, deadline);
            }
        }
    }

    fn tell(&mut self, event: &Event) {
        if let Event::LoggedOut { revoked } = event {
            self.changes.logged_out(*revoked);
        }
        log(&self.worker.account, event);
        self.readers.retain_mut(|reader| reader.tell(event));
    }

    /// Publishes what has changed and answers those who can be answered now.
    fn settle(&mut self) {
        self.settle_callers();
        // However many changes end without the store, each ends here and now.
        while let Some(input) = self.changes.begin() {
            self.feed(input);
            self.settle_callers();
        }
        if self.machine.state().is_some() || self.trouble.is_unreadable() {
            for reply in std::mem::take(&mut self.asked_for_status) {
                let _ = reply.send(self.status());
            }
        }
        self.settle_closing();
    }

    fn settle_callers(&mut self) {
        // Each round tells the machine of somebody who waits on a new view; few are ever needed.
        for _ in 0..64 {
            let changed = self.lending.publish(&self.machine, self.provider.profile());
            let now = self.worker.clock.now();
            let time = self.resumed.as_ref().map_or_else(monotonic, |resumed| resumed.since);
            self.lending.serve(changed, &self.trouble, time, now);
            if !changed || !self.tell_who_waits() {
                return;
            }
        }
    }

    /// A new view may need to hear again that somebody waits.
    fn tell_who_waits(&mut self) -> bool {
        let mut told = false;
        for origin in self.lending.wanted() {
            if matches!(self.machine.view().access(&origin), Use::Wait) {
                self.feed(Input::Wanted { origin });
                told = true;
            }
        }
        told
    }

    fn settle_closing(&mut self) {
        let time = monotonic();
        for (deadline, reply) in std::mem::take(&mut self.closing) {
            if self.is_over() || self.has_listened(time) {
                let _ = reply.send(Ok(()));
            } else if deadline <= time {
                let _ = reply.send(Err(self.not_saved()));
            } else {
                self.closing.push((deadline, reply));
            }
        }
    }

    /// Whether all that is left is a late answer, and it was waited for.
    fn has_listened(&self, time: Instant) -> bool {
        let saved = self.machine.view().unsaved().is_none();
        saved && self.stopped_at.is_some_and(|at| time >= at + LISTEN_AT_END)
    }

    fn not_saved(&self) -> NotSaved {
        let store =
            |fault: StoreFault| NotSaved::Store { fault, source: self.trouble.behind(fault) };
        self.machine.view().unsaved().map_or(NotSaved::UnderWay, store)
    }

    fn status(&self) -> Status {
        let view = self.machine.view();
        Status {
            account: self.worker.account.to_string(),
            state: self.machine.state(),
            record: self.machine.record().cloned(),
            trouble: self.trouble.worst(),
            holder: view.holder().cloned(),
            unsaved: view.unsaved(),
            capabilities: self.worker.store.capabilities(),
            at: self.worker.clock.now(),
        }
    }
}

/// What a session's callers need to reach its task.
pub(crate) type Commands = UnboundedSender<Command>;
