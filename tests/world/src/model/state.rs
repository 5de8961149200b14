//! A state of the model, and its canonical form.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use regrant_core::{
    Canonical, Id, Machine, Origin, Over, Passage, Record, Timestamp, TokenId, Version,
};

use super::chance::Chances;
use super::run::{JUMP, Run};
use super::server::{Reply, Server, Standing, is_refresh, number};
use crate::origin;

/// A state: processes, what is between them, and what the rules remember.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) now: Timestamp,
    pub(super) stored: Option<Arc<Record>>,
    pub(super) revision: u64,
    pub(super) lease: Option<Held>,
    pub(super) server: Arc<Server>,
    pub(super) processes: Vec<Arc<Process>>,
    pub(super) wire: Vec<Message>,
    pub(super) left: Chances,
    /// How many processes were started so far: each start has its own number.
    pub(super) starts: u64,
    pub(super) logins: u8,
    pub(super) memory: Memory,
    /// The canonical form, condensed.
    pub(super) form: u64,
}

/// What the rules remember of the past.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    /// The rule that was broken first, and how.
    pub(super) broken: Option<(usize, Arc<str>)>,
    /// The family of the last login, if nobody has logged out.
    pub(super) family: Option<usize>,
    /// Whether that family was lost to something that no client can mend.
    pub(super) lost: bool,
    /// Whether a backup was put back.
    pub(super) restored: bool,
    /// Our own bucket of attempts.
    pub(super) full_at: Timestamp,
}

/// Who has the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) by: usize,
    /// The number of its start: a row outlives whoever wrote it.
    pub(super) start: u64,
    /// When it runs out, if nobody renews it.
    pub(super) until: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(super) struct Process {
    pub(super) machine: Option<Machine>,
    /// The number of this start.
    pub(super) start: u64,
    pub(super) ops: Vec<Op>,
    pub(super) wake_at: Timestamp,
    pub(super) clock: Clock,
    /// Whether it does not run for now.
    pub(super) stopped: bool,
    pub(super) requests: Vec<Request>,
    /// The rejections that it saw of its current access token, and whether it has written them.
    pub(super) seen: Vec<Seen>,
    /// The access token whose grant came under the lease and is not stored yet.
    pub(super) redeeming: Option<usize>,
    /// Logins that a login of its own took the place of.
    pub(super) outlived: Vec<Id>,
    /// Whether it has read the store since it last asked for the lease.
    pub(super) fresh: bool,
    /// The family that it was told to log out of.
    pub(super) leaves: Option<usize>,
}

/// How a process's clock differs from the true time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Clock {
    pub(super) ahead: Duration,
    pub(super) behind: Duration,
    /// Whether the clock on the wall has jumped ahead, and back.
    pub(super) wall_ahead: bool,
    pub(super) wall_behind: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) token: usize,
    pub(super) origin: u8,
    pub(super) written: bool,
}

/// Something that a process asked its host to do.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) id: u64,
    pub(super) what: What,
    /// Whether it takes as long as the checker likes.
    pub(super) late: bool,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Acquire {
        deadline: Timestamp,
    },
    Release,
    Load,
    /// A load that has read, and whose answer is on its way.
    Loaded(Option<(Arc<Record>, u64)>),
    Save {
        record: Arc<Record>,
        over: Over,
    },
    Ask(Ask),
    Revoke {
        token: regrant_core::Secret,
    },
}

/// A token request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask {
    /// The refresh token it carries.
    pub(super) token: usize,
    /// The access token that is to be replaced.
    pub(super) replaces: usize,
    pub(super) incarnation: Id,
    pub(super) generation: u64,
    pub(super) nonce: Id,
    pub(super) deadline: Timestamp,
    pub(super) intent_deadline: Timestamp,
    /// Whether it is the first of its attempt.
    pub(super) first: bool,
    /// Whether the local expiry was reason enough.
    pub(super) hinted: bool,
}

/// A token request on its way to the server, or its answer on the way back.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) sender: usize,
    pub(super) start: u64,
    pub(super) id: u64,
    pub(super) ask: Ask,
    pub(super) reply: Option<Reply>,
    pub(super) late: bool,
}

/// A caller's request to an API.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) origin: u8,
    pub(super) passage: Passage,
    /// Whether the machine was told that a token is wanted.
    pub(super) wanted: bool,
    /// The token that it carries, once it is sent.
    pub(super) sent: Option<(usize, TokenId)>,
    pub(super) sendings: u8,
    pub(super) last: Option<TokenId>,
}

/// The origins of the model: two APIs, and one that the credential is not bound to.
pub(super) fn origins() -> &'static [Origin; 3] {
    static ORIGINS: std::sync::OnceLock<[Origin; 3]> = std::sync::OnceLock::new();
    ORIGINS.get_or_init(|| [origin("x"), origin("y"), origin("z")])
}

pub(super) fn version(revision: u64) -> Version {
    Version::new(revision.to_le_bytes().to_vec())
}

impl Clock {
    pub(super) fn read(self, now: Timestamp) -> Timestamp {
        now + self.ahead - self.behind
    }

    /// A process that is started goes by the clock on the wall.
    pub(super) fn set(&mut self) {
        let jump = |jumped| if jumped { JUMP } else { Duration::ZERO };
        (self.ahead, self.behind) = (jump(self.wall_ahead), jump(self.wall_behind));
    }
}

impl Process {
    /// What its clock shows.
    pub(super) fn now(&self, now: Timestamp) -> Timestamp {
        self.clock.read(now)
    }

    /// Whether it runs now.
    pub(super) fn runs(&self) -> bool {
        self.machine.is_some() && !self.stopped
    }

    /// Whether its machine has asked to be woken by now.
    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        self.runs() && self.wake_at <= self.now(now)
    }
}

impl State {
    /// Whether whoever sent the message still waits for anything.
    pub(super) fn sender_lives(&self, message: &Message) -> bool {
        let process = &self.processes[message.sender];
        process.machine.is_some() && process.start == message.start
    }

    /// Whether the lease was given to this process, since it was started.
    pub(super) fn holds_lease(&self, p: usize) -> bool {
        let start = self.processes[p].start;
        self.lease.is_some_and(|held| held.by == p && held.start == start)
    }

    /// Works the canonical form out, and keeps it condensed.
    pub(super) fn condense(&mut self, run: &Run) {
        let mut hasher = DefaultHasher::new();
        self.canonical(run).hash(&mut hasher);
        self.form = hasher.finish();
    }

    /// The canonical form: whichever process is which is of no consequence.
    pub(super) fn canonical(&self, run: &Run) -> Vec<u64> {
        let mut form = self.blank(run);
        self.write_shared(&mut form, run);
        let mut order: Vec<(Vec<u64>, usize)> = (0..self.processes.len())
            .map(|at| {
                let mut own = self.blank(run);
                self.write_process(&mut own, at);
                (own.into_numbers(), at)
            })
            .collect();
        order.sort();
        for (_, at) in order {
            self.write_process(&mut form, at);
        }
        form.clock(self.now);
        for message in self.wire.iter().filter(|message| !self.sender_lives(message)) {
            self.write_message(&mut form, message);
        }
        self.write_tokens(&mut form);
        form.into_numbers()
    }

    /// The machine of one process alone.
    pub(super) fn form_of_machine(&self, run: &Run, at: usize) -> Vec<u64> {
        let mut form = self.blank(run);
        let process = &self.processes[at];
        form.clock(process.now(self.now));
        form.actions(process.ops.iter().map(|op| op.id));
        if let Some(machine) = &process.machine {
            form.machine(machine);
        }
        form.into_numbers()
    }

    fn blank(&self, run: &Run) -> Canonical {
        let generation = self.stored.as_ref().map_or(0, |record| record.generation);
        let lifetime = run.lifetime().unwrap_or_default();
        Canonical::new(run.policy(), generation, Some(version(self.revision)), lifetime)
    }

    fn write_shared(&self, form: &mut Canonical, run: &Run) {
        form.clock(self.now);
        form.moment(run.ends_at());
        for known in origins() {
            form.origin(known);
        }
        form.option(self.stored.as_deref(), Canonical::record);
        form.flags(&[
            self.server.down,
            self.memory.lost,
            self.memory.restored,
            self.lease.is_some(),
        ]);
        let orphan = self.lease.filter(|held| !self.holds_lease(held.by));
        form.option(orphan.and_then(|held| held.until), Canonical::moment);
        self.left.numbers().for_each(|left| form.number(left));
        form.moment(self.memory.full_at);
        form.option(self.memory.broken.as_ref(), |form, (rule, _)| form.number(*rule as u64));
    }

    fn write_process(&self, form: &mut Canonical, at: usize) {
        let process = &self.processes[at];
        let Process {
            machine,
            start,
            ops,
            wake_at,
            clock,
            stopped,
            requests,
            seen,
            redeeming,
            outlived,
            fresh,
            leaves,
        } = &**process;
        let holds = self.lease.filter(|_| self.holds_lease(at));
        form.clock(self.now);
        form.flags(&[machine.is_some(), *stopped, holds.is_some(), process.is_due(self.now)]);
        form.option(holds.and_then(|held| held.until), Canonical::moment);
        form.number(clock.ahead.as_secs());
        form.number(clock.behind.as_secs());
        form.flags(&[clock.wall_ahead, clock.wall_behind]);
        let Some(machine) = machine else { return };
        let own = |message: &&Message| message.sender == at && message.start == *start;
        let messages = || self.wire.iter().filter(own);
        form.clock(process.now(self.now));
        form.actions(ops.iter().map(|op| op.id).chain(messages().map(|message| message.id)));
        form.machine(machine);
        form.moment(*wake_at);
        form.list(ops, |form, op| self.write_op(form, op));
        form.clock(self.now);
        messages().for_each(|message| self.write_message(form, message));
        let mut order: Vec<_> = requests.iter().collect();
        order.sort_by_key(|request| {
            (request.origin, request.sent.map(|(_, id)| id), request.wanted)
        });
        form.list(order.iter(), |form, request| write_request(form, request));
        form.list(seen, |form, seen| {
            form.token(&self.server.access[seen.token].text);
            form.number(u64::from(seen.origin));
            form.flags(&[seen.written]);
        });
        form.option(*redeeming, |form, at| form.token(&self.server.access[at].text));
        form.list(outlived, |form, id| form.id(*id));
        form.flags(&[*fresh, leaves.is_some() && *leaves == self.memory.family]);
    }

    fn write_op(&self, form: &mut Canonical, op: &Op) {
        form.flags(&[op.late]);
        match &op.what {
            What::Acquire { deadline } => {
                form.number(0);
                form.moment(*deadline);
            }
            What::Release => form.number(1),
            What::Load => form.number(2),
            What::Loaded(stored) => {
                form.number(3);
                form.option(stored.as_ref(), |form, (record, revision)| {
                    form.record(record);
                    form.flags(&[*revision == self.revision]);
                });
            }
            What::Save { record, over } => {
                form.number(4);
                form.record(record);
                form.over(over);
            }
            What::Ask(ask) => {
                form.number(5);
                self.write_ask(form, ask);
            }
            What::Revoke { token } => {
                form.number(6);
                form.token(token);
            }
        }
    }

    fn write_ask(&self, form: &mut Canonical, ask: &Ask) {
        let Ask {
            token,
            replaces,
            incarnation,
            generation,
            nonce,
            deadline,
            intent_deadline,
            first,
            hinted,
        } = ask;
        form.token(&self.server.refresh[*token].text);
        form.token(&self.server.access[*replaces].text);
        form.id(*incarnation);
        form.generation(*generation);
        form.id(*nonce);
        form.moment(*deadline);
        form.moment(*intent_deadline);
        form.flags(&[*first, *hinted]);
    }

    fn write_message(&self, form: &mut Canonical, message: &Message) {
        let Message { sender: _, start: _, id: _, ask, reply, late } = message;
        self.write_ask(form, ask);
        form.flags(&[*late]);
        form.option(*reply, |form, reply| match reply {
            Reply::Granted { access, refresh } => {
                form.number(0);
                form.token(&self.server.access[access].text);
                form.option(refresh, |form, at| form.token(&self.server.refresh[at].text));
            }
            Reply::Refused => form.number(1),
            Reply::Unavailable => form.number(2),
        });
    }

    /// What the server knows of the tokens that are still named anywhere.
    fn write_tokens(&self, form: &mut Canonical) {
        let mut at = 0;
        while let Some(token) = form.tokens().get(at).cloned() {
            at += 1;
            let number = number(&token);
            if is_refresh(&token) {
                let token = &self.server.refresh[number];
                form.flags(&[self.memory.family == Some(token.family)]);
                form.number(token.family as u64 - self.server.refresh[0].family as u64);
                form.number(u64::from(token.refusals));
                match token.standing {
                    Standing::Live => form.number(0),
                    Standing::Dead => form.number(1),
                    Standing::Spent { successor } => {
                        form.number(2);
                        form.token(&self.server.refresh[successor].text);
                    }
                }
            } else {
                let token = &self.server.access[number];
                let renewal = &token.renewal;
                form.flags(&[
                    token.live,
                    token.saved,
                    token.rejected,
                    renewal.replayed,
                    renewal.overdue,
                ]);
                form.number(u64::from(token.accepted));
                form.number(u64::from(token.renewal.allowed));
                form.token(&self.server.refresh[token.refresh].text);
                form.option(token.renewal.last, |form, (at, until)| {
                    form.moment(at + super::rules::SPACING);
                    form.moment(until);
                });
            }
        }
    }
}

fn write_request(form: &mut Canonical, request: &Request) {
    let Request { origin, passage, wanted, sent, sendings, last } = request;
    form.number(u64::from(*origin));
    form.passage(passage);
    form.flags(&[*wanted]);
    form.option(sent.map(|(_, id)| id), Canonical::token_id);
    form.number(u64::from(*sendings));
    form.option(*last, Canonical::token_id);
}

impl PartialEq for State {
    fn eq(&self, other: &Self) -> bool {
        self.form == other.form
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.form);
    }
}

impl What {
    /// Operations of one kind are done in their order.
    pub(super) fn kind(&self) -> u8 {
        match self {
            Self::Acquire { .. } | Self::Release => 0,
            Self::Load | Self::Loaded(_) => 1,
            Self::Save { .. } => 2,
            Self::Ask(_) => 3,
            Self::Revoke { .. } => 4,
        }
    }

    /// A word for it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Acquire { .. } => "acquire",
            Self::Release => "release",
            Self::Load => "load",
            Self::Loaded(_) => "loaded",
            Self::Save { .. } => "save",
            Self::Ask(_) => "ask",
            Self::Revoke { .. } => "revoke",
        }
    }
}
