//! What a step does.

use std::sync::Arc;

use regrant_core::{
    Answer, Applied, Cause, Client, Failure, Holder, Id, Input, Login, Machine, Outcome, Over,
    Record, Refusal, RefusalKind, StoreFault, Stored, Strength, Timestamp, Verdict,
};

use super::chance::Chance;
use super::run::{BEGINNING, Exclusion, JUMP, Run, TICK};
use super::server::{Reply, Server};
use super::state::{Ask, Clock, Held, Memory, Message, Process, State, What, origins, version};
use super::step::Step;
use super::visited::Visited;

/// How long a row of the database outlives its last renewal: two ticks, less than an intent.
const ROW: std::time::Duration = std::time::Duration::from_secs(2);

fn failure(cause: Cause, applied: Applied) -> Answer {
    Answer::Failed(Failure { cause, applied, retry_after: None, code: None })
}

/// A state that is being changed, by the rules of a run.
pub(super) struct World<'a> {
    pub(super) run: &'a Run,
    pub(super) visited: &'a Visited,
    pub(super) state: State,
    /// The grant that is arriving: its access token, and what it was redeemed for.
    pub(super) arriving: Option<(usize, Id, u64)>,
}

impl<'a> World<'a> {
    /// The state in which everybody has loaded the record of a login.
    pub(super) fn new(run: &'a Run, visited: &'a Visited) -> Self {
        let server = Arc::new(Server::new(run.kind, run.lifetime()));
        let state = State {
            now: BEGINNING,
            stored: None,
            revision: 1,
            lease: None,
            server,
            processes: Vec::new(),
            wire: Vec::new(),
            left: run.chances,
            starts: 0,
            logins: 0,
            memory: Memory {
                broken: None,
                family: Some(0),
                lost: run.ended,
                restored: false,
                full_at: Timestamp::EPOCH,
            },
            form: 0,
        };
        let mut world = Self { run, visited, state, arriving: None };
        let login = world.login();
        world.state.stored = Some(Arc::new(Record::login(&login, None)));
        let server = world.server();
        server.access[0].saved = true;
        server.access[0].live = run.good;
        if run.ended {
            server.kill(0);
        }
        for at in 0..run.processes {
            world.state.processes.push(Arc::new(Process {
                machine: None,
                start: 0,
                ops: Vec::new(),
                wake_at: Timestamp::NEVER,
                clock: Clock::default(),
                stopped: false,
                requests: Vec::new(),
                seen: Vec::new(),
                redeeming: None,
                outlived: Vec::new(),
                fresh: false,
                leaves: None,
            }));
            world.start(at);
            world.perform(at, 0);
        }
        world
    }

    pub(super) fn into_state(mut self) -> State {
        self.state.condense(self.run);
        self.state
    }

    pub(super) fn server(&mut self) -> &mut Server {
        Arc::make_mut(&mut self.state.server)
    }

    pub(super) fn process(&mut self, at: usize) -> &mut Process {
        Arc::make_mut(&mut self.state.processes[at])
    }

    /// What a login at the server brings.
    fn login(&mut self) -> Login {
        self.state.logins += 1;
        let mut client = Client::new("https://as.example/token", "client");
        client.revocation_endpoint = Some("https://as.example/revoke".into());
        let grant = self.server().login();
        Login {
            incarnation: Id([self.state.logins; 16]),
            client,
            origins: origins()[..2].to_vec(),
            grant,
            obtained_at: self.state.now,
        }
    }

    /// Does one step.
    pub(super) fn step(&mut self, step: Step) {
        self.notice(step);
        let before = self.before(step);
        self.apply(step);
        self.after(step, before);
    }

    pub(super) fn take(&mut self, chance: Chance) {
        if self.state.left.take(chance) {
            self.visited.take(chance);
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Perform(p, at) => self.perform(p, at),
            Step::FailSave(p, at) => {
                self.take(Chance::FailedSave);
                self.done(p, at, Outcome::Failed(StoreFault::Full));
            }
            Step::UnknownSave(p, at, applied) => {
                self.take(Chance::UnknownSave);
                if applied
                    && let What::Save { record, over } =
                        self.state.processes[p].ops[at].what.clone()
                {
                    self.save(p, record, &over);
                }
                self.done(p, at, Outcome::Unknown(StoreFault::Unavailable));
            }
            Step::FailLoad(p, at) => {
                self.take(Chance::FailedLoad);
                self.done(p, at, Outcome::Failed(StoreFault::Unavailable));
            }
            Step::ReadEarly(p, at) => {
                self.take(Chance::StaleLoad);
                let stored = self.state.stored.clone().map(|record| (record, self.state.revision));
                self.process(p).ops[at].what = What::Loaded(stored);
            }
            Step::Delay(p, at) => {
                self.take(Chance::LateOperation);
                self.process(p).ops[at].late = true;
            }
            Step::Judge(at) => self.judge(at),
            Step::Deliver(at) => self.deliver(at),
            Step::Lose(at) => self.lose(at),
            Step::DelayMessage(at) => {
                self.take(Chance::LateMessage);
                self.state.wire[at].late = true;
            }
            Step::Wake(p) => {
                self.gives_up_what_is_overdue(p);
                self.tell(p, Input::TimePassed);
            }
            Step::Time(at) => {
                self.state.now = at;
                if self.state.lease.is_some_and(|held| held.until.is_some_and(|until| until <= at))
                {
                    self.lease_is_lost();
                }
                self.requests_are_overdue();
            }
            Step::Request(p, origin) => self.request(p, origin),
            Step::Answer(p, at) => self.answer(p, at),
            Step::Reject(p, at) => {
                self.take(Chance::Rejection);
                self.report(p, at, Verdict::Rejected(Strength::Strong));
            }
            Step::Stray(p, accepts) => self.stray(p, accepts),
            Step::Crash(p) => self.crash(p),
            Step::Start(p) => self.start(p),
            Step::Stop(p) => {
                self.take(Chance::Stop);
                self.process(p).stopped = true;
                self.row_runs_out(p);
            }
            Step::Resume(p) => {
                self.process(p).stopped = false;
                let holds = self.state.holds_lease(p);
                if let Some(held) = self.state.lease.as_mut().filter(|_| holds) {
                    held.until = None;
                }
            }
            Step::Forward(p) => {
                self.take(Chance::Forward);
                let clock = &mut self.process(p).clock;
                clock.ahead += JUMP;
                clock.wall_ahead = true;
                self.forgive();
            }
            Step::Backward(p) => {
                self.take(Chance::Backward);
                // A process that runs ignores steps back; one that is started does not know of them.
                let running = self.state.processes[p].machine.is_some();
                let clock = &mut self.process(p).clock;
                clock.wall_behind = true;
                if !running {
                    clock.set();
                }
                self.forgive();
            }
            Step::LogIn(p) => {
                self.take(Chance::Login);
                let login = self.login();
                self.tell(p, Input::LoggedIn(Box::new(login)));
            }
            Step::LogOut(p) => {
                self.take(Chance::Logout);
                self.process(p).leaves = self.state.memory.family;
                self.tell(p, Input::LoggedOut);
            }
            Step::Reconsider(p) => {
                self.take(Chance::Reconsider);
                self.forgive();
                self.tell(p, Input::Reconsider);
            }
            Step::GoAway => {
                self.take(Chance::Outage);
                self.server().down = true;
            }
            Step::ComeBack => self.server().down = false,
            Step::Expire => {
                self.take(Chance::Expiry);
                self.server().expire();
            }
            Step::Revoke => {
                self.take(Chance::Revocation);
                if let Some(family) = self.state.memory.family {
                    self.server().kill(family);
                }
            }
            Step::LoseLease => {
                self.take(Chance::LostLease);
                self.lease_is_lost();
            }
            Step::Restore => {
                self.take(Chance::Restore);
                self.state.memory.restored = true;
                self.forgive();
                let login = Login {
                    incarnation: Id([1; 16]),
                    client: Client::new("https://as.example/token", "client"),
                    origins: origins()[..2].to_vec(),
                    grant: self.state.server.grant(0, Some(0)),
                    obtained_at: BEGINNING,
                };
                self.state.stored = Some(Arc::new(Record::login(&login, None)));
                self.state.revision += 1;
            }
        }
    }

    fn lease_is_lost(&mut self) {
        if let Some(held) = self.state.lease.take() {
            self.process(held.by).redeeming = None;
        }
    }

    fn lets_go(&mut self, p: usize) {
        if self.state.holds_lease(p) {
            self.state.lease = None;
        }
    }

    /// The row of an owner that does not run is not renewed.
    fn row_runs_out(&mut self, p: usize) {
        let until = self.state.now + ROW;
        let holds = self.state.holds_lease(p);
        if self.run.exclusion == Exclusion::Row
            && let Some(held) = self.state.lease.as_mut().filter(|_| holds)
        {
            held.until = Some(until);
        }
    }

    /// Kills a process. A request on its way still arrives.
    fn crash(&mut self, p: usize) {
        self.take(Chance::Crash);
        self.intent_is_orphaned(p);
        let start = self.state.processes[p].start;
        self.state.wire.retain(|m| m.sender != p || m.start != start || m.reply.is_none());
        match self.run.exclusion {
            Exclusion::Lock => self.lets_go(p),
            Exclusion::Row => self.row_runs_out(p),
        }
        let process = self.process(p);
        process.machine = None;
        process.ops.clear();
        process.requests.clear();
        process.seen.clear();
        process.outlived.clear();
        process.fresh = false;
        process.leaves = None;
        process.redeeming = None;
        process.stopped = false;
        process.wake_at = Timestamp::NEVER;
    }

    pub(super) fn start(&mut self, p: usize) {
        self.state.starts += 1;
        let (start, now) = (self.state.starts, self.state.now);
        let policy = self.run.policy();
        let process = self.process(p);
        process.start = start;
        process.clock.set();
        process.machine = Some(Machine::without_jitter(policy, start, process.now(now)));
        self.drain(p);
    }

    /// Ends an operation.
    fn done(&mut self, p: usize, at: usize, outcome: Outcome) {
        let op = self.process(p).ops.remove(at);
        self.finish(p, op.id, outcome);
    }

    fn finish(&mut self, p: usize, id: u64, outcome: Outcome) {
        self.tell(p, Input::Done { id, outcome });
    }

    fn read(&self) -> Option<Box<Stored>> {
        let record = self.state.stored.as_deref()?.clone();
        Some(Box::new(Stored { record, version: version(self.state.revision) }))
    }

    fn perform(&mut self, p: usize, at: usize) {
        let op = self.process(p).ops.remove(at);
        let outcome = match op.what {
            // A lease that comes too late for the machine is let go at once.
            What::Acquire { deadline }
                if self.state.processes[p].now(self.state.now) >= deadline =>
            {
                Outcome::Failed(StoreFault::Unavailable)
            }
            What::Acquire { .. } => match self.state.lease {
                Some(held) if !self.state.holds_lease(p) => {
                    let pid = u32::try_from(held.by).ok();
                    Outcome::Busy(Holder { pid, host: None, since: None })
                }
                _ => {
                    let start = self.state.processes[p].start;
                    self.state.lease = Some(Held { by: p, start, until: None });
                    Outcome::Acquired { proves_death: self.run.exclusion == Exclusion::Lock }
                }
            },
            What::Release => {
                self.lets_go(p);
                Outcome::Released
            }
            What::Load => Outcome::Loaded(self.read()),
            What::Loaded(stored) => Outcome::Loaded(stored.map(|(record, revision)| {
                Box::new(Stored { record: (*record).clone(), version: version(revision) })
            })),
            What::Save { record, over } => self.save(p, record, &over),
            What::Ask(ask) => {
                if self.state.processes[p].now(self.state.now) > ask.deadline {
                    Outcome::Answered(failure(Cause::Unreachable, Applied::No))
                } else {
                    return self.send(p, op.id, ask);
                }
            }
            What::Revoke { token } => {
                self.server().revoke(&token);
                Outcome::Revoked { confirmed: true }
            }
        };
        self.finish(p, op.id, outcome);
    }

    fn save(&mut self, p: usize, record: Arc<Record>, over: &Over) -> Outcome {
        let there = self.read();
        let fits = match (over, &there) {
            (Over::Absent, None) | (Over::Damaged, _) => true,
            (Over::Version(version), Some(stored)) => *version == stored.version,
            (Over::Absent, Some(_)) | (Over::Version(_), None) => false,
        };
        if !fits {
            return Outcome::Mismatch(there);
        }
        self.save_applied(p, &record);
        self.state.stored = Some(record);
        self.state.revision += 1;
        Outcome::Saved(version(self.state.revision))
    }

    fn send(&mut self, sender: usize, id: u64, ask: Ask) {
        self.request_sent(sender, &ask);
        let start = self.state.processes[sender].start;
        self.state.wire.push(Message { sender, start, id, ask, reply: None, late: false });
    }

    fn judge(&mut self, at: usize) {
        let message = self.state.wire[at].clone();
        let reply = self.server().redeem(message.ask.token);
        self.state.wire[at].reply = Some(reply);
        if !self.state.sender_lives(&message) {
            self.state.wire.remove(at);
        }
    }

    fn deliver(&mut self, at: usize) {
        let message = self.state.wire.remove(at);
        let Some(reply) = message.reply else { return };
        let answer = match reply {
            Reply::Granted { access, refresh } => {
                // One that comes when the lease was let go is saved without it.
                let holds = self.state.holds_lease(message.sender);
                let process = self.process(message.sender);
                if holds && process.machine.as_ref().is_some_and(Machine::holds_lease) {
                    process.redeeming = Some(access);
                }
                self.arriving = Some((access, message.ask.incarnation, message.ask.generation));
                Answer::Granted(self.state.server.grant(access, refresh))
            }
            Reply::Refused => {
                self.refusal_arrived(&message.ask);
                Answer::Refused(Refusal { code: "invalid_grant".into(), kind: RefusalKind::Dead })
            }
            Reply::Unavailable => {
                self.nothing_was_done(&message.ask);
                // It asks for a tick of patience, so that there is a wait between tries.
                let retry_after = Some(TICK);
                let (cause, applied) = (Cause::Unavailable, Applied::No);
                Answer::Failed(Failure { cause, applied, retry_after, code: None })
            }
        };
        self.finish(message.sender, message.id, Outcome::Answered(answer));
    }

    fn lose(&mut self, at: usize) {
        let message = self.state.wire.remove(at);
        let answered = message.reply.is_some();
        self.take(if answered { Chance::LostAnswer } else { Chance::LostRequest });
        self.outcome_is_unknown(&message.ask);
        let answer = failure(Cause::NoAnswer, Applied::Perhaps);
        self.finish(message.sender, message.id, Outcome::Answered(answer));
    }
}
