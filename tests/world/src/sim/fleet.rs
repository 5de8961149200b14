//! The fleet: processes, what they share, and the order in which things happen.
//!
//! Virtual time, event driven: a heap of what is due, and nothing else moves the clock. What
//! happens is a function of the script alone.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use regrant_core::{
    Answer, Client, Id, Login, Origin, Outcome, Over, Record, Secret, Timestamp, Verdict,
};

use crate::sim::books::{Books, Kept, Who};
use crate::sim::calls::Call;
use crate::sim::clock::wall;
use crate::sim::dice::Dice;
use crate::sim::lease_lane::{LeaseDone, LeaseOp};
use crate::sim::ops::{ApiFault, Lease, Op, Outage, Point, Script, Setup, Wire};
use crate::sim::process::{Happened, Origins, Process};
use crate::sim::reference::{Reference, Rule};
use crate::sim::report::Counters;
use crate::sim::store::Store;
use crate::sim::wire::Flight;

/// What can happen at one moment before the machines are held to run in circles: 20,000, far more
/// than eight processes and all their callers need.
const AT_ONCE: u32 = 20_000;

/// Something that is due.
#[derive(Debug)]
pub(super) enum Due {
    Op(usize),
    Wake(usize),
    Resume(Who),
    Load {
        who: Who,
        id: u64,
    },
    Save {
        who: Who,
        id: u64,
        record: Box<Record>,
        over: Over,
    },
    Lease {
        who: Who,
        op: LeaseOp,
        held: bool,
    },
    /// A token request is at the server.
    Arrive {
        flight: usize,
    },
    /// Its answer is at the process.
    Answer {
        flight: usize,
        answer: Box<Answer>,
    },
    Revoke {
        who: Who,
        id: u64,
        token: Secret,
    },
    /// The store's answer is at the process; the store was so at that time.
    Done {
        who: Who,
        id: u64,
        outcome: Outcome,
        at: u64,
        load: bool,
    },
    LeaseDone {
        who: Who,
        done: LeaseDone,
    },
    /// The driver waits no longer, by the process's timer.
    Overdue {
        who: Who,
        id: u64,
        timer: u64,
        outcome: Outcome,
    },
    Begin {
        by: usize,
        to: usize,
        replayable: bool,
    },
    /// The user logs in, who was told to.
    LogIn {
        by: usize,
    },
    Api {
        call: usize,
    },
    ApiAnswer {
        call: usize,
        verdict: Verdict,
    },
}

struct Item {
    at: u64,
    number: u64,
    // In a heap things are moved all the time, and some of these are large.
    due: Box<Due>,
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Item {}

impl PartialOrd for Item {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Item {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// What is to happen to a process at a point.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trap {
    Kill(Point),
    Stop(Point, u64),
}

/// A process that is stopped or whose machine sleeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frozen {
    pub(super) since: u64,
    pub(super) asleep: bool,
}

/// The place of one process.
#[derive(Debug, Default)]
pub(super) struct Seat {
    pub(super) process: Option<Process>,
    pub(super) frozen: Option<Frozen>,
    /// What came while it was frozen.
    pub(super) inbox: Vec<Due>,
    /// Actions that have not been answered.
    pub(super) jobs: Vec<u64>,
    /// What waits for it, and until when.
    pub(super) trap: Option<(Trap, u64)>,
    /// What becomes of its next token requests, if they come before that.
    pub(super) wires: VecDeque<(Wire, u64)>,
    /// How slow the next one is, if it comes before that.
    pub(super) slow: Option<((u64, u64), u64)>,
    pub(super) offset: i64,
    pub(super) wake_set: Option<u64>,
}

/// An API.
#[derive(Debug, Default)]
pub(super) struct ApiState {
    pub(super) fault: Option<(ApiFault, u64)>,
    pub(super) turn: bool,
}

/// The fleet and its world.
pub(super) struct Fleet<'s> {
    pub(super) script: &'s Script,
    pub(super) now: u64,
    heap: BinaryHeap<Reverse<Item>>,
    number: u64,
    at_once: u32,
    pub(super) seats: Vec<Seat>,
    pub(super) store: Store,
    pub(super) reference: Reference,
    pub(super) apis: [ApiState; 3],
    pub(super) outage: Option<(Outage, u64)>,
    pub(super) stranger: bool,
    pub(super) flights: Vec<Flight>,
    pub(super) calls: Vec<Call>,
    pub(super) counters: Counters,
    pub(super) dice: Dice,
    /// What happens, in words, if somebody wants to read it.
    pub(super) log: Option<Vec<String>>,
    pub(super) origins: Origins,
    client: Client,
    logins: u64,
    /// Whether the user is about to log in.
    pub(super) returning: bool,
}

impl<'s> Fleet<'s> {
    /// Everybody runs, and somebody has logged in.
    pub(super) fn new(script: &'s Script) -> Self {
        let setup = &script.setup;
        let origin = |name| Origin::new("https", name, 443).expect("a host name");
        let names = ["x.example", "y.example", "z.example", "elsewhere.example"];
        let mut client = Client::new("https://as.example/token", "client");
        client.revocation_endpoint = Some("https://as.example/revoke".into());
        let mut fleet = Self {
            script,
            now: 0,
            heap: BinaryHeap::new(),
            number: 0,
            at_once: 0,
            seats: (0..setup.processes).map(|_| Seat::default()).collect(),
            store: Store::new(setup.lease),
            reference: Reference::new(Books::new(setup)),
            apis: Default::default(),
            outage: None,
            stranger: false,
            flights: Vec::new(),
            calls: Vec::new(),
            counters: Counters::default(),
            dice: Dice::new(setup.jitter),
            log: None,
            origins: Origins(names.map(origin)),
            client,
            logins: 0,
            returning: false,
        };
        let login = fleet.log_in_at_server(0);
        let record = Record::login(&login, None);
        fleet.reference.books.stored(Kept::of(&record), false, 0);
        fleet.store.put(record);
        for process in 0..fleet.seats.len() {
            fleet.start(process);
        }
        fleet
    }

    pub(super) fn setup(&self) -> &Setup {
        &self.script.setup
    }

    /// Plays what is due until `end`, or until a rule is broken.
    pub(super) fn play_until(&mut self, end: u64) {
        while self.reference.broken.is_none() {
            match self.heap.peek() {
                Some(Reverse(item)) if item.at <= end => {}
                Some(_) | None => break,
            }
            let Some(Reverse(item)) = self.heap.pop() else { break };
            self.at_once = if item.at > self.now { 0 } else { self.at_once + 1 };
            self.now = self.now.max(item.at);
            let circles = self.at_once > AT_ONCE;
            self.reference.demand(!circles, Rule::Circles, self.now, || "no time passes".into());
            self.dispatch(*item.due);
        }
        self.now = self.now.max(end);
    }

    /// Notes what happens, if somebody wants to read it.
    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(format!("{:>12} {}", self.now, what()));
        }
    }

    pub(super) fn push(&mut self, at: u64, due: Due) {
        self.number += 1;
        self.heap.push(Reverse(Item { at, number: self.number, due: Box::new(due) }));
    }

    pub(super) fn push_in(&mut self, delay: u64, due: Due) {
        self.push(self.now + delay, due);
    }

    pub(super) fn dispatch(&mut self, due: Due) {
        let Some(due) = self.defer(due) else { return };
        match due {
            Due::Op(at) => self.perform(self.script.ops[at].1),
            Due::Wake(process) => self.wake(process),
            Due::Resume(who) => self.resume(who),
            Due::Load { who, id } => {
                let outcome = self.store.load(who.process, self.now);
                let delay = self.dice.between(0, 10);
                self.push_in(delay, Due::Done { who, id, outcome, at: self.now, load: true });
            }
            Due::Save { who, id, record, over } => self.save(who, id, *record, &over),
            Due::Lease { who, op, held } => self.lease(who, op, held),
            Due::Arrive { flight } => self.arrive(flight),
            Due::Answer { flight, answer } => self.hear(flight, *answer),
            Due::Revoke { who, id, token } => self.revoke(who, id, &token),
            Due::Done { who, id, outcome, at, load } => self.done(who, id, outcome, at, load),
            Due::LeaseDone { who, done } => self.lease_done(who, done),
            Due::Overdue { who, id, timer, outcome } => self.overdue(who, id, timer, outcome),
            Due::Begin { by, to, replayable } => self.begin(by, to, replayable),
            Due::LogIn { by } => self.log_in(by),
            Due::Api { call } => self.api(call),
            Due::ApiAnswer { call, verdict } => self.api_answer(call, verdict),
        }
    }

    /// What comes to a frozen process waits for it, and what it does itself does not happen. What
    /// it has sent to a database goes on there.
    fn defer(&mut self, due: Due) -> Option<Due> {
        let local = self.setup().lease == Lease::Lock;
        let who = match &due {
            Due::Done { who, .. } | Due::LeaseDone { who, .. } | Due::Overdue { who, .. } => *who,
            Due::Load { who, .. } | Due::Save { who, .. } | Due::Lease { who, .. } if local => *who,
            Due::Answer { flight, .. } => self.flights[*flight].who,
            Due::ApiAnswer { call, .. } => self.calls[*call].who,
            Due::Op(_)
            | Due::Wake(_)
            | Due::Resume(_)
            | Due::Load { .. }
            | Due::Save { .. }
            | Due::Lease { .. }
            | Due::Arrive { .. }
            | Due::Revoke { .. }
            | Due::Begin { .. }
            | Due::LogIn { .. }
            | Due::Api { .. } => return Some(due),
        };
        let seat = &mut self.seats[who.process];
        let here = seat.process.as_ref().is_some_and(|process| process.who == who);
        match seat.frozen {
            Some(frozen) if here => {
                let due = match due {
                    // The server has given up on a connection whose other end sleeps.
                    Due::Answer { flight, .. } if frozen.asleep => {
                        Due::Answer { flight, answer: Box::new(super::wire::reset()) }
                    }
                    due => due,
                };
                seat.inbox.push(due);
                None
            }
            Some(_) | None => Some(due),
        }
    }

    /// The user logs in at the server, and has the grant in hand.
    pub(super) fn log_in_at_server(&mut self, process: usize) -> Login {
        let now = self.now;
        let (access, refresh) = self.reference.books.authority.login(now);
        self.logins += 1;
        self.reference.books.upsets += 1;
        self.reference.books.refresh(refresh);
        let mut incarnation = [0; 16];
        incarnation[..8].copy_from_slice(&self.logins.to_le_bytes());
        let offset = self.seats[process].offset;
        let clock = self.seats[process].process.as_mut().map(|p| p.clock.now(offset, now));
        Login {
            incarnation: Id(incarnation),
            client: self.client.clone(),
            origins: self.origins.0[..3].to_vec(),
            grant: self.grant(access, Some(refresh)),
            obtained_at: Timestamp::from_millis(clock.unwrap_or_else(|| wall(offset, now))),
        }
    }

    /// The user logs in at this process, if it runs.
    pub(super) fn log_in(&mut self, by: usize) {
        self.returning = false;
        if self.runs(by) {
            let login = self.log_in_at_server(by);
            self.tell(by, Happened::LogIn(Box::new(login)));
        }
    }

    /// Reads the ops of the script into the heap.
    pub(super) fn read_script(&mut self) {
        for at in 0..self.script.ops.len() {
            self.push(self.script.ops[at].0, Due::Op(at));
        }
    }

    fn perform(&mut self, op: Op) {
        super::run::perform(self, op);
    }
}
