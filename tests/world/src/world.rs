//! Processes, their store and lease, and the time they share.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use regrant_core::{
    Action, Answer, Client, Event, Failure, Holder, Id, Input, Login, Machine, Next, Origin,
    Outcome, Output, Over, Passage, Policy, Record, StoreFault, Stored, Strength, Timestamp,
    TokenId, Use, Verdict, Version,
};

use crate::server::{Kind, Server};

/// An origin of the tests.
///
/// # Panics
///
/// If `name` is no host name.
pub fn origin(name: &str) -> Origin {
    Origin::new("https", &format!("{name}.example"), 443).expect("a host name")
}

/// What a caller got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answered {
    /// The API's answer to a request with this token, and how often it was replayed.
    Accepted(TokenId, u8),
    /// The API rejected, and nothing better can be had from it.
    Rejected(TokenId),
    /// Only a login helps.
    Login(regrant_core::LoginReason),
    /// Not now.
    Blocked(regrant_core::Blocked),
    /// The caller's patience was over.
    TimedOut,
    /// The credential is not bound to the origin.
    Foreign,
}

/// Something a process asked its host to do.
#[derive(Debug)]
enum Op {
    Acquire,
    Release,
    Load,
    Save {
        record: Box<Record>,
        over: Over,
    },
    Ask {
        refresh_token: String,
        deadline: Timestamp,
    },
    /// The server has judged the request; its answer is on its way.
    Answering(Answer),
    Revoke {
        token: String,
    },
}

/// What a test can hold back, by its place in the life of a token request or a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Token requests do not reach the server.
    BeforeServer,
    /// The server has judged; its answers do not arrive.
    AfterServer,
    /// Saves do not reach the store.
    Saves,
    /// Nothing at all is done for this process: it is stopped.
    Everything,
}

#[derive(Debug)]
struct Process {
    machine: Option<Machine>,
    ops: BTreeMap<u64, Op>,
    wake_at: Timestamp,
    holds: Vec<Hold>,
    events: Vec<Event>,
    answers: VecDeque<Result<(), StoreFault>>,
    stopped: bool,
    save_faults: VecDeque<(StoreFault, bool, bool)>,
    load_faults: VecDeque<StoreFault>,
}

/// One store, one lease, one authorization server, and what uses them.
#[derive(Debug)]
pub struct World {
    now: Timestamp,
    /// The authorization server.
    pub server: Server,
    stored: Option<(Record, u64)>,
    lease: Option<(usize, Timestamp)>,
    /// Whether getting the lease proves that its last holder is gone.
    pub proves_death: bool,
    /// Whether the place can be locked at all.
    pub unlockable: bool,
    processes: Vec<Process>,
    /// Origins that reject every token, and how.
    pub rejecting: BTreeMap<Origin, Strength>,
    /// The claims that a rejecting origin wants of the next token.
    pub claims: Option<String>,
    /// Origins that accept every token.
    pub accepting: Vec<Origin>,
    /// What the APIs were sent: who, and which generation.
    pub sent: Vec<(Origin, TokenId)>,
    /// Saves that the store has applied.
    pub saves: u32,
    seed: u8,
}

impl World {
    /// A world in which somebody has logged in, bound to the origins `x` and `y`.
    pub fn new(kind: Kind) -> Self {
        let mut world = Self::empty(kind);
        let login = world.new_login();
        world.stored = Some((Record::login(&login, None), 1));
        world
    }

    /// A world in which nobody has logged in.
    pub fn empty(kind: Kind) -> Self {
        Self {
            now: Timestamp::from_millis(1_750_000_000_000),
            server: Server::new(kind),
            stored: None,
            lease: None,
            proves_death: true,
            unlockable: false,
            processes: Vec::new(),
            rejecting: BTreeMap::new(),
            claims: None,
            accepting: Vec::new(),
            sent: Vec::new(),
            saves: 0,
            seed: 0,
        }
    }

    /// What a login at the server brings.
    pub fn new_login(&mut self) -> Login {
        self.seed += 1;
        let mut client = Client::new("https://as.example/token", "client");
        client.revocation_endpoint = Some("https://as.example/revoke".into());
        Login {
            incarnation: Id([self.seed; 16]),
            client,
            origins: vec![origin("x"), origin("y")],
            grant: self.server.login(),
            obtained_at: self.now,
        }
    }

    /// Starts a process. It has loaded the record when this returns.
    pub fn start(&mut self, policy: Policy) -> usize {
        let process = self.processes.len();
        self.processes.push(Process {
            machine: None,
            ops: BTreeMap::new(),
            wake_at: Timestamp::NEVER,
            holds: Vec::new(),
            events: Vec::new(),
            answers: VecDeque::new(),
            stopped: false,
            save_faults: VecDeque::new(),
            load_faults: VecDeque::new(),
        });
        self.restart(process, policy);
        process
    }

    /// Kills the process, if it runs, and starts it anew.
    pub fn restart(&mut self, process: usize, policy: Policy) {
        self.kill(process);
        self.seed += 1;
        let machine = Machine::new(policy, [self.seed; 32], self.now);
        self.processes[process].machine = Some(machine);
        self.drain(process);
        self.settle();
    }

    /// Kills the process: what it asked for and was not done yet is not done; its lock is free.
    /// A token request that reached the server stays judged, and one under way still arrives.
    pub fn kill(&mut self, process: usize) {
        let victim = &mut self.processes[process];
        victim.machine = None;
        victim.ops.clear();
        victim.holds.clear();
        victim.wake_at = Timestamp::NEVER;
        if self.lease.is_some_and(|(holder, _)| holder == process) {
            self.lease = None;
        }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The process's machine.
    ///
    /// # Panics
    ///
    /// If the process was killed.
    pub fn machine(&self, process: usize) -> &Machine {
        self.processes[process].machine.as_ref().expect("a process that runs")
    }

    /// What the process has told since it started, oldest first.
    pub fn events(&self, process: usize) -> &[Event] {
        &self.processes[process].events
    }

    /// How the logins, logouts and the like of the process ended, oldest first.
    pub fn answers(&mut self, process: usize) -> Vec<Result<(), StoreFault>> {
        self.processes[process].answers.drain(..).collect()
    }

    /// Whether the process has ended what was under way after it was told to stop.
    pub fn has_stopped(&self, process: usize) -> bool {
        self.processes[process].stopped
    }

    /// The record in the store.
    pub fn stored(&self) -> Option<&Record> {
        self.stored.as_ref().map(|(record, _)| record)
    }

    /// Puts an older copy of the record back.
    pub fn restore(&mut self, record: Record) {
        let revision = self.stored.as_ref().map_or(1, |(_, revision)| revision + 1);
        self.stored = Some((record, revision));
    }

    /// Whether the stored refresh token is good at the server.
    pub fn stored_is_live(&self) -> bool {
        let token = self.stored().and_then(|record| record.refresh_token.clone());
        token.is_some_and(|token| self.server.is_live(token.expose()))
    }

    /// Takes the lease away from whoever holds it, as a lease that runs out does.
    pub fn lose_lease(&mut self) {
        self.lease = None;
    }

    /// No load or save fails any more.
    pub fn mend_store(&mut self) {
        for process in &mut self.processes {
            process.load_faults.clear();
            process.save_faults.clear();
        }
    }

    /// Holds something back.
    pub fn hold(&mut self, process: usize, hold: Hold) {
        self.processes[process].holds.push(hold);
    }

    /// Lets it go on.
    pub fn unhold(&mut self, process: usize, hold: Hold) {
        self.processes[process].holds.retain(|held| *held != hold);
        self.drain_timers(process);
        self.settle();
    }

    /// The process's next saves fail: with what, whether they are applied all the same, and
    /// whether the process is told that nobody knows.
    pub fn fail_saves(&mut self, process: usize, fault: StoreFault, applied: bool, unknown: bool) {
        self.processes[process].save_faults.push_back((fault, applied, unknown));
    }

    /// The process's next load fails.
    pub fn fail_load(&mut self, process: usize, fault: StoreFault) {
        self.processes[process].load_faults.push_back(fault);
    }

    /// Token requests that are on their way to the server are lost.
    pub fn lose_requests(&mut self, process: usize, failure: &Failure) {
        let ids: Vec<u64> = self.processes[process]
            .ops
            .iter()
            .filter(|(_, op)| matches!(op, Op::Ask { .. } | Op::Answering(_)))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.processes[process].ops.remove(&id);
            let outcome = Outcome::Answered(Answer::Failed(failure.clone()));
            self.input(process, Input::Done { id, outcome });
        }
        self.settle();
    }

    /// A token request of a process that was killed arrives at the server all the same.
    pub fn late_request(&mut self, refresh_token: &str) -> Answer {
        self.server.redeem(refresh_token)
    }

    /// Tells the machine something.
    pub fn tell(&mut self, process: usize, input: Input) {
        self.input(process, input);
        self.settle();
    }

    fn input(&mut self, process: usize, input: Input) {
        let now = self.now;
        if let Some(machine) = self.processes[process].machine.as_mut() {
            machine.handle_input(input, now);
        }
        self.drain(process);
    }

    fn drain(&mut self, process: usize) {
        let Process { machine, ops, wake_at, events, answers, stopped, .. } =
            &mut self.processes[process];
        let Some(machine) = machine else { return };
        loop {
            match machine.poll_output() {
                Output::Act { id, action, deadline } => {
                    let op = match action {
                        Action::Acquire => Op::Acquire,
                        Action::Release => Op::Release,
                        Action::Load => Op::Load,
                        Action::Save { record, over } => Op::Save { record, over },
                        Action::Ask { refresh_token, .. } => {
                            let refresh_token = refresh_token.expect("of a refresh");
                            Op::Ask { refresh_token: refresh_token.expose().to_owned(), deadline }
                        }
                        Action::Revoke { token, .. } => {
                            Op::Revoke { token: token.expose().to_owned() }
                        }
                    };
                    ops.insert(id, op);
                }
                Output::Event(event) => events.push(event),
                Output::Answered(result) => answers.push_back(result),
                Output::Stopped => *stopped = true,
                Output::Timeout(at) => {
                    *wake_at = at;
                    break;
                }
            }
        }
    }

    /// Does everything that is asked for and not held back, without time passing.
    ///
    /// # Panics
    ///
    /// If that does not end: a machine that runs in circles is a failed test.
    pub fn settle(&mut self) {
        for _ in 0..10_000 {
            let next = (0..self.processes.len()).find_map(|process| {
                let ready = self.processes[process]
                    .ops
                    .iter()
                    .find(|(_, op)| !self.is_held(process, op))
                    .map(|(id, _)| *id);
                ready.map(|id| (process, id))
            });
            let Some((process, id)) = next else { return };
            self.perform(process, id);
        }
        panic!("the machines run in circles without time passing");
    }

    fn is_held(&self, process: usize, op: &Op) -> bool {
        self.processes[process].holds.iter().any(|hold| match hold {
            Hold::BeforeServer => matches!(op, Op::Ask { .. }),
            Hold::AfterServer => matches!(op, Op::Answering(_)),
            Hold::Saves => matches!(op, Op::Save { .. }),
            Hold::Everything => true,
        })
    }

    fn perform(&mut self, process: usize, id: u64) {
        let Some(op) = self.processes[process].ops.remove(&id) else { return };
        let outcome = match op {
            Op::Acquire if self.unlockable => Outcome::Unlockable,
            Op::Acquire => match self.lease {
                Some((holder, since)) if holder != process => {
                    let pid = u32::try_from(holder).ok();
                    Outcome::Busy(Holder { pid, host: None, since: Some(since) })
                }
                _ => {
                    self.lease = Some((process, self.now));
                    Outcome::Acquired { proves_death: self.proves_death }
                }
            },
            Op::Release => {
                if self.lease.is_some_and(|(holder, _)| holder == process) {
                    self.lease = None;
                }
                Outcome::Released
            }
            Op::Load => match self.processes[process].load_faults.pop_front() {
                Some(fault) => Outcome::Failed(fault),
                None => Outcome::Loaded(self.read()),
            },
            Op::Save { record, over } => self.save(process, *record, &over),
            Op::Ask { refresh_token, deadline } => {
                let answer = if self.now > deadline {
                    Answer::Failed(Server::unreachable())
                } else {
                    self.server.redeem(&refresh_token)
                };
                self.processes[process].ops.insert(id, Op::Answering(answer));
                return;
            }
            Op::Answering(answer) => Outcome::Answered(answer),
            Op::Revoke { token } => {
                self.server.revoke(&token);
                Outcome::Revoked { confirmed: true }
            }
        };
        self.input(process, Input::Done { id, outcome });
    }

    fn read(&self) -> Option<Box<Stored>> {
        self.stored.as_ref().map(|(record, revision)| {
            let record = record.clone();
            Box::new(Stored { record, version: Version::new(revision.to_le_bytes().to_vec()) })
        })
    }

    fn save(&mut self, process: usize, record: Record, over: &Over) -> Outcome {
        let fault = self.processes[process].save_faults.pop_front();
        if let Some((fault, false, unknown)) = fault {
            return if unknown { Outcome::Unknown(fault) } else { Outcome::Failed(fault) };
        }
        let there = self.read();
        let fits = match (over, &there) {
            (Over::Absent, None) | (Over::Damaged, _) => true,
            (Over::Version(version), Some(stored)) => *version == stored.version,
            (Over::Absent, Some(_)) | (Over::Version(_), None) => false,
        };
        if !fits {
            return Outcome::Mismatch(there);
        }
        let revision = self.stored.as_ref().map_or(1, |(_, revision)| revision + 1);
        self.stored = Some((record, revision));
        self.saves += 1;
        match fault {
            Some((fault, _, _)) => Outcome::Unknown(fault),
            None => Outcome::Saved(Version::new(revision.to_le_bytes().to_vec())),
        }
    }

    /// Lets time pass: every wake-up on the way is given at its moment.
    pub fn pass(&mut self, length: Duration) {
        let end = self.now + length;
        for _ in 0..1_000_000 {
            let next = self
                .processes
                .iter()
                .enumerate()
                .filter(|(_, p)| p.machine.is_some() && !p.holds.contains(&Hold::Everything))
                .map(|(at, p)| (p.wake_at, at))
                .min();
            match next {
                Some((at, process)) if at <= end => {
                    self.now = self.now.max(at);
                    self.tell(process, Input::TimePassed);
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("the machines ask to be woken without end");
    }

    fn drain_timers(&mut self, process: usize) {
        if self.processes[process].wake_at <= self.now
            && !self.processes[process].holds.contains(&Hold::Everything)
        {
            self.input(process, Input::TimePassed);
        }
    }

    /// What an API makes of a token.
    fn judge(&mut self, to: &Origin, token: &str, id: TokenId) -> Verdict {
        self.sent.push((to.clone(), id));
        if let Some(strength) = self.rejecting.get(to) {
            return Verdict::Rejected(*strength);
        }
        if self.accepting.contains(to) || self.server.accepts(token) {
            return Verdict::Accepted;
        }
        Verdict::Rejected(Strength::Strong)
    }

    /// Sends one request without telling the machine what came of it.
    pub fn send(&mut self, process: usize, to: &Origin) -> Option<(TokenId, Verdict)> {
        let (token, id) = match self.machine(process).view().access(to) {
            Use::Token { token, id, .. } => (token.expose().to_owned(), id),
            Use::Wait | Use::Login(_) | Use::Blocked { .. } | Use::Foreign => return None,
        };
        let verdict = self.judge(to, &token, id);
        Some((id, verdict))
    }

    /// Reports what came of a request.
    pub fn report(&mut self, process: usize, to: &Origin, id: TokenId, verdict: Verdict) {
        let origin = to.clone();
        match verdict {
            Verdict::Accepted => self.tell(process, Input::Accepted { id, origin }),
            Verdict::Rejected(strength) => {
                let claims = self.claims.clone();
                self.tell(process, Input::Rejected { id, origin, strength, claims });
            }
            Verdict::Silent => {}
        }
    }

    /// Sends one request and reports what came of it, if there is a token to send it with.
    pub fn try_out(&mut self, process: usize, to: &Origin) {
        if let Some((id, verdict)) = self.send(process, to) {
            self.report(process, to, id, verdict);
        }
    }

    /// One caller's request, as a transport makes it: waits at most 30 s for a token, reports,
    /// replays. Time passes while it waits.
    pub fn request(&mut self, process: usize, to: &Origin) -> Answered {
        let mut passage = Passage::new(true);
        let patience = self.now + Duration::from_secs(30);
        let mut last = None;
        let mut wanted = false;
        loop {
            let (token, id) = match self.machine(process).view().access(to) {
                Use::Token { token, id, .. } => (token.expose().to_owned(), id),
                Use::Foreign => return Answered::Foreign,
                _ if !wanted => {
                    wanted = true;
                    self.tell(process, Input::Wanted { origin: to.clone() });
                    continue;
                }
                Use::Login(reason) => return Answered::Login(reason),
                Use::Blocked { why: regrant_core::Blocked::StillRejected, .. }
                    if last.is_some() =>
                {
                    return last.map_or(Answered::TimedOut, Answered::Rejected);
                }
                Use::Blocked { why, .. } => return Answered::Blocked(why),
                Use::Wait => {
                    if self.now >= patience {
                        return Answered::TimedOut;
                    }
                    self.wait_a_little(patience);
                    continue;
                }
            };
            if !passage.may_send(id) {
                return Answered::Rejected(id);
            }
            let verdict = self.judge(to, &token, id);
            self.report(process, to, id, verdict);
            match passage.answered(id, verdict) {
                Next::Deliver => return Answered::Accepted(id, passage.replays()),
                Next::Replay => {
                    last = Some(id);
                    wanted = true;
                }
                Next::DeliverAfterRefresh => return Answered::Rejected(id),
            }
        }
    }

    /// To the next wake-up of any process, but not past `end`.
    fn wait_a_little(&mut self, end: Timestamp) {
        let next = self.processes.iter().filter(|p| p.machine.is_some()).map(|p| p.wake_at).min();
        let until = next.unwrap_or(end).clamp(self.now + Duration::from_millis(1), end);
        self.pass(until.since(self.now).max(Duration::from_millis(1)));
    }
}
