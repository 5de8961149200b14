//! The steps of the model: which there are in a state, and their names.

use std::fmt;

use regrant_core::Timestamp;

use super::chance::Chance;
use super::run::Run;
use super::server::Reply;
use super::state::{State, What};

/// One step. Processes, operations, messages and requests are named by their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The oldest operation of its kind is done.
    Perform(usize, usize),
    /// A save changes nothing, and says so.
    FailSave(usize, usize),
    /// A save ends in nobody knows what, and was applied or not.
    UnknownSave(usize, usize, bool),
    /// A load fails.
    FailLoad(usize, usize),
    /// A load reads now, and its answer comes later.
    ReadEarly(usize, usize),
    /// An operation takes as long as the checker likes.
    Delay(usize, usize),
    /// The server judges a token request.
    Judge(usize),
    /// An answer arrives.
    Deliver(usize),
    /// A token request or its answer is lost, and its sender is told.
    Lose(usize),
    /// A message takes as long as the checker likes.
    DelayMessage(usize),
    /// A process that asked for it is woken.
    Wake(usize),
    /// Time passes, to the next moment at which something happens.
    Time(Timestamp),
    /// A caller of a process wants to send a request to an API.
    Request(usize, u8),
    /// An API answers a request as it should.
    Answer(usize, usize),
    /// An API rejects a request at will.
    Reject(usize, usize),
    /// An origin that is not bound says something about the token.
    Stray(usize, bool),
    /// A process is killed.
    Crash(usize),
    /// A process is started.
    Start(usize),
    /// A process does not run for a while.
    Stop(usize),
    /// It goes on.
    Resume(usize),
    /// A process's clock jumps ahead.
    Forward(usize),
    /// A process's clock jumps back.
    Backward(usize),
    /// A process is told of a login.
    LogIn(usize),
    /// A process is told to log out.
    LogOut(usize),
    /// A process is told to try the refused refresh token once more.
    Reconsider(usize),
    /// The authorization server goes away.
    GoAway,
    /// It comes back.
    ComeBack,
    /// The access tokens expire at the server.
    Expire,
    /// The server ends the grant.
    Revoke,
    /// The lease is taken from its holder.
    LoseLease,
    /// The first record is put back.
    Restore,
}

impl State {
    /// Whether nothing can go on by itself but the time.
    pub(super) fn is_quiet(&self) -> bool {
        let busy = self.processes.iter().any(|process| {
            process.is_due(self.now) || process.runs() && process.ops.iter().any(|op| !op.late)
        });
        let on_the_way = self.wire.iter().any(|message| {
            !message.late && (message.reply.is_none() || !self.processes[message.sender].stopped)
        });
        !busy && !on_the_way
    }

    /// The next moment at which something happens by itself.
    pub(super) fn next_moment(&self) -> Option<Timestamp> {
        let wakes = self.processes.iter().filter(|process| process.runs()).map(|process| {
            match process.wake_at {
                Timestamp::NEVER => Timestamp::NEVER,
                at => at + process.clock.behind - process.clock.ahead,
            }
        });
        // Somebody who is started then finds them over.
        let intent = self.stored.as_ref().and_then(|record| record.attempt.as_ref());
        let stamps =
            intent.into_iter().flat_map(|intent| [intent.at + super::run::TICK, intent.deadline]);
        let lease = self.lease.and_then(|held| held.until);
        // A request is not on its way for longer than its sender's connection lasts.
        let requests = self.wire.iter().filter(|message| message.reply.is_none());
        let all = wakes.chain(stamps).chain(lease).chain(requests.map(|m| m.ask.deadline));
        all.filter(|at| *at > self.now && *at != Timestamp::NEVER).min()
    }

    fn request_is_due(&self) -> bool {
        self.wire.iter().any(|message| message.reply.is_none() && message.ask.deadline <= self.now)
    }

    /// Every step that there is.
    pub(super) fn steps(&self, run: &Run, steps: &mut Vec<Step>) {
        if self.memory.broken.is_some() {
            return;
        }
        for at in 0..self.processes.len() {
            self.steps_of(run, at, steps);
        }
        for (at, message) in self.wire.iter().enumerate() {
            let receiver = &self.processes[message.sender];
            let (lives, runs) = (self.sender_lives(message), receiver.runs());
            match message.reply {
                None => {
                    steps.push(Step::Judge(at));
                    if lives && runs && self.left.has(Chance::LostRequest) {
                        steps.push(Step::Lose(at));
                    }
                }
                Some(reply) => {
                    if runs {
                        steps.push(Step::Deliver(at));
                    }
                    let grants = matches!(reply, Reply::Granted { .. } | Reply::Refused);
                    if runs && grants && self.left.has(Chance::LostAnswer) {
                        steps.push(Step::Lose(at));
                    }
                }
            }
            if !message.late && self.left.has(Chance::LateMessage) {
                steps.push(Step::DelayMessage(at));
            }
        }
        if self.is_quiet()
            && !self.request_is_due()
            && let Some(at) = self.next_moment()
            && at <= run.ends_at()
        {
            steps.push(Step::Time(at));
        }
        self.steps_of_the_world(steps);
    }

    fn steps_of(&self, run: &Run, at: usize, steps: &mut Vec<Step>) {
        let process = &self.processes[at];
        if process.machine.is_none() {
            steps.push(Step::Start(at));
            return;
        }
        if self.left.has(Chance::Crash) {
            steps.push(Step::Crash(at));
        }
        if process.stopped {
            steps.push(Step::Resume(at));
            return;
        }
        if self.left.has(Chance::Stop) {
            steps.push(Step::Stop(at));
        }
        for (place, op) in process.ops.iter().enumerate() {
            // Of one kind, the oldest first.
            if process.ops[..place].iter().any(|older| older.what.kind() == op.what.kind()) {
                continue;
            }
            steps.push(Step::Perform(at, place));
            match &op.what {
                What::Save { .. } => {
                    if self.left.has(Chance::FailedSave) {
                        steps.push(Step::FailSave(at, place));
                    }
                    if self.left.has(Chance::UnknownSave) {
                        steps.push(Step::UnknownSave(at, place, false));
                        steps.push(Step::UnknownSave(at, place, true));
                    }
                }
                What::Load => {
                    if self.left.has(Chance::FailedLoad) {
                        steps.push(Step::FailLoad(at, place));
                    }
                    if self.left.has(Chance::StaleLoad) {
                        steps.push(Step::ReadEarly(at, place));
                    }
                }
                What::Acquire { .. }
                | What::Release
                | What::Loaded(_)
                | What::Ask(_)
                | What::Revoke { .. } => {}
            }
            let storage = matches!(op.what, What::Save { .. } | What::Load | What::Loaded(_));
            if storage && !op.late && self.left.has(Chance::LateOperation) {
                steps.push(Step::Delay(at, place));
            }
        }
        if process.is_due(self.now) {
            steps.push(Step::Wake(at));
        }
        self.steps_of_callers(run, at, steps);
        for (chance, step) in [
            (Chance::Forward, Step::Forward(at)),
            (Chance::Backward, Step::Backward(at)),
            (Chance::Login, Step::LogIn(at)),
            (Chance::Logout, Step::LogOut(at)),
            (Chance::Reconsider, Step::Reconsider(at)),
            (Chance::Stray, Step::Stray(at, true)),
            (Chance::Stray, Step::Stray(at, false)),
        ] {
            if self.left.has(chance) {
                steps.push(step);
            }
        }
    }

    fn steps_of_callers(&self, run: &Run, at: usize, steps: &mut Vec<Step>) {
        let process = &self.processes[at];
        for (place, request) in process.requests.iter().enumerate() {
            let Some((token, _)) = request.sent else { continue };
            steps.push(Step::Answer(at, place));
            if self.server.access[token].live && self.left.has(Chance::Rejection) {
                steps.push(Step::Reject(at, place));
            }
        }
        if process.requests.len() < run.at_a_time && self.left.has(Chance::Request) {
            // The third is not bound; a request to it is only of interest with stray answers.
            let foreign = if run.chances.has(Chance::Stray) { 2..3 } else { 0..0 };
            steps.extend((0..run.apis).chain(foreign).map(|origin| Step::Request(at, origin)));
        }
    }

    fn steps_of_the_world(&self, steps: &mut Vec<Step>) {
        if self.server.down {
            steps.push(Step::ComeBack);
        } else if self.left.has(Chance::Outage) {
            steps.push(Step::GoAway);
        }
        if self.left.has(Chance::Expiry) && self.server.access.iter().any(|token| token.live) {
            steps.push(Step::Expire);
        }
        if self.left.has(Chance::Revocation) && self.memory.family.is_some() {
            steps.push(Step::Revoke);
        }
        if self.left.has(Chance::LostLease) && self.lease.is_some() {
            steps.push(Step::LoseLease);
        }
        if self.left.has(Chance::Restore) && self.revision > 1 {
            steps.push(Step::Restore);
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let api = |origin: &u8| ["X", "Y", "Z"][usize::from(*origin)];
        match self {
            Self::Perform(p, _) => write!(f, "P{p}: done"),
            Self::FailSave(p, _) => write!(f, "P{p}: the save fails"),
            Self::UnknownSave(p, _, true) => write!(f, "P{p}: save unknown, and applied"),
            Self::UnknownSave(p, _, false) => write!(f, "P{p}: save unknown, not applied"),
            Self::FailLoad(p, _) => write!(f, "P{p}: the load fails"),
            Self::ReadEarly(p, _) => write!(f, "P{p}: the load has read, its answer comes later"),
            Self::Delay(p, _) => write!(f, "P{p}: an operation is slow"),
            Self::Judge(at) => write!(f, "the server judges message {at}"),
            Self::Deliver(at) => write!(f, "answer {at} arrives"),
            Self::Lose(at) => write!(f, "message {at} is lost"),
            Self::DelayMessage(at) => write!(f, "message {at} is slow"),
            Self::Wake(p) => write!(f, "P{p}: woken"),
            Self::Time(_) => write!(f, "time passes"),
            Self::Request(p, o) => write!(f, "P{p}: a caller has a request for {}", api(o)),
            Self::Answer(p, _) => write!(f, "P{p}: the API answers as it should"),
            Self::Reject(p, _) => write!(f, "P{p}: the API rejects at will"),
            Self::Stray(p, true) => write!(f, "P{p}: Z accepts, which is not bound"),
            Self::Stray(p, false) => write!(f, "P{p}: Z rejects, which is not bound"),
            Self::Crash(p) => write!(f, "P{p}: killed"),
            Self::Start(p) => write!(f, "P{p}: started"),
            Self::Stop(p) => write!(f, "P{p}: stopped"),
            Self::Resume(p) => write!(f, "P{p}: goes on"),
            Self::Forward(p) => write!(f, "P{p}: its clock jumps ahead"),
            Self::Backward(p) => write!(f, "P{p}: its clock jumps back"),
            Self::LogIn(p) => write!(f, "P{p}: a login"),
            Self::LogOut(p) => write!(f, "P{p}: a logout"),
            Self::Reconsider(p) => write!(f, "P{p}: reconsider"),
            Self::GoAway => write!(f, "the server goes away"),
            Self::ComeBack => write!(f, "the server comes back"),
            Self::Expire => write!(f, "the access tokens expire at the server"),
            Self::Revoke => write!(f, "the server ends the grant"),
            Self::LoseLease => write!(f, "the lease is taken from its holder"),
            Self::Restore => write!(f, "a backup is put back"),
        }
    }
}
