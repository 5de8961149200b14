//! One machine, one store and one moment: what is asked of the host is done by hand, so that every
//! state in the middle of something can be stopped at.

use std::collections::BTreeMap;
use std::time::Duration;

use regrant_core::{
    Action, Answer, Client, Event, Grant, Holder, Id, Input, Intent, Login, Machine, Origin,
    Outcome, Output, Over, Policy, Record, Secret, StateKind, Stored, Strength, Timestamp, TokenId,
    Version,
};
use regrant_world::origin;

/// When every scene begins: long after the epoch, so that nothing saturates by accident.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_750_000_000_000);

/// The lifetime of every token: an hour, so that the hints are far from the other waits.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3_600);

/// The process that is not this one.
pub(crate) const ANOTHER: Id = Id([9; 16]);

/// What the machine said, and the host did, in order.
#[derive(Debug)]
pub(crate) enum Said {
    Act { action: Action, deadline: Timestamp },
    Told(Event),
    Answered(Result<(), regrant_core::StoreFault>),
    Stopped,
}

/// A machine with its host.
pub(crate) struct Scene {
    pub(crate) machine: Machine,
    pub(crate) now: Timestamp,
    pub(crate) wake: Timestamp,
    /// What the store holds, and its revision.
    pub(crate) stored: Option<(Record, u64)>,
    /// What is asked for and not answered.
    pub(crate) out: BTreeMap<u64, Action>,
    /// The action that was answered last.
    pub(crate) answered: u64,
    /// What was said since it was read last.
    pub(crate) said: Vec<Said>,
    grants: u32,
}

/// The grant of a login or a refresh: its tokens are told apart by `name`.
pub(crate) fn grant(name: &str) -> Grant {
    let mut grant = Grant::bearer(Secret::new(format!("access-{name}")));
    grant.refresh_token = Some(Secret::new(format!("refresh-{name}")));
    grant.expires_in = Some(LIFETIME);
    grant.scope = Some("read".into());
    grant.subject = Some("somebody".into());
    grant
}

pub(crate) fn client() -> Client {
    let mut client = Client::new("https://as.example/token", "client");
    client.revocation_endpoint = Some("https://as.example/revoke".into());
    client
}

/// The `n`-th login of the user.
pub(crate) fn login(n: u8) -> Login {
    Login {
        incarnation: Id([n; 16]),
        client: client(),
        origins: vec![origin("x"), origin("y")],
        grant: grant(&format!("login-{n}")),
        obtained_at: START,
    }
}

/// The record of the first login, over one that it superseded.
pub(crate) fn record() -> Record {
    let mut record = Record::login(&login(1), None);
    record.generation = 5;
    record.superseded = vec![Id([0xee; 16])];
    for slot in record.slots.values_mut() {
        slot.generation = 5;
    }
    record
}

/// Another process's intent.
pub(crate) fn intent(age: Duration, raised: bool) -> Intent {
    let at = START - age;
    let deadline = at + Policy::default().intent();
    Intent { nonce: Id([8; 16]), owner: ANOTHER, at, deadline, raised }
}

impl Scene {
    /// A process that has just started.
    pub(crate) fn started(policy: Policy, stored: Option<Record>) -> Self {
        let mut scene = Self {
            machine: Machine::new(policy, [7; 32], START),
            now: START,
            wake: START,
            stored: stored.map(|record| (record, 1)),
            out: BTreeMap::new(),
            answered: 0,
            said: Vec::new(),
            grants: 0,
        };
        scene.drain();
        scene
    }

    /// A process that has read this.
    pub(crate) fn loaded_by(policy: Policy, record: Record) -> Self {
        Self::started(policy, Some(record)).load()
    }

    pub(crate) fn loaded(record: Record) -> Self {
        Self::loaded_by(Policy::default(), record)
    }

    /// A process whose token is trusted.
    pub(crate) fn valid() -> Self {
        Self::loaded(record())
    }

    fn drain(&mut self) {
        loop {
            match self.machine.poll_output() {
                Output::Act { id, action, deadline } => {
                    self.out.insert(id, action.clone());
                    self.said.push(Said::Act { action, deadline });
                }
                Output::Event(event) => self.said.push(Said::Told(event)),
                Output::Answered(result) => self.said.push(Said::Answered(result)),
                Output::Stopped => self.said.push(Said::Stopped),
                Output::Timeout(at) => {
                    self.wake = at;
                    return;
                }
            }
        }
    }

    pub(crate) fn give(&mut self, input: Input, now: Timestamp) {
        if let Input::Done { id, .. } = &input
            && self.out.remove(id).is_some()
        {
            self.answered = *id;
        }
        self.now = self.now.max(now);
        self.machine.handle_input(input, now);
        self.drain();
    }

    /// Tells something now.
    pub(crate) fn tell(mut self, input: Input) -> Self {
        let now = self.now;
        self.give(input, now);
        self
    }

    /// Lets time pass, without the wakes on the way.
    pub(crate) fn pass(mut self, length: Duration) -> Self {
        let now = self.now + length;
        self.give(Input::TimePassed, now);
        self
    }

    /// Lets time pass to the next wake.
    pub(crate) fn woken(self) -> Self {
        let length = self.wake.since(self.now);
        self.pass(length)
    }

    /// Lets this much time pass with every wake on the way, while the store answers.
    pub(crate) fn live(mut self, length: Duration) -> Self {
        let end = self.now + length;
        while self.wake <= end {
            self = self.woken();
            while self.is_out(|action| matches!(action, Action::Load)) {
                self = self.load();
            }
        }
        let rest = end.since(self.now);
        self.pass(rest)
    }

    pub(crate) fn is_out(&self, wanted: fn(&Action) -> bool) -> bool {
        self.out.values().any(wanted)
    }

    /// Answers the one action of this kind that is out.
    fn done(mut self, wanted: fn(&Action) -> bool, outcome: Outcome) -> Self {
        let found = self.out.iter().find(|(_, action)| wanted(action));
        let id = *found.expect("such an action is out").0;
        let now = self.now;
        self.give(Input::Done { id, outcome }, now);
        self
    }

    pub(crate) fn loads(self, outcome: Outcome) -> Self {
        self.done(|action| matches!(action, Action::Load), outcome)
    }

    pub(crate) fn saves(self, outcome: Outcome) -> Self {
        self.done(|action| matches!(action, Action::Save { .. }), outcome)
    }

    pub(crate) fn acquires(self, outcome: Outcome) -> Self {
        self.done(|action| matches!(action, Action::Acquire), outcome)
    }

    pub(crate) fn answers(self, answer: Answer) -> Self {
        self.done(|action| matches!(action, Action::Ask { .. }), Outcome::Answered(answer))
    }

    /// What the store would answer to a load.
    pub(crate) fn read(&self) -> Option<Box<Stored>> {
        let (record, revision) = self.stored.as_ref()?;
        let version = Version::new(revision.to_le_bytes());
        Some(Box::new(Stored { record: record.clone(), version }))
    }

    /// The load that is out reads what is there.
    pub(crate) fn load(self) -> Self {
        let outcome = Outcome::Loaded(self.read());
        self.loads(outcome)
    }

    /// The lease is had.
    pub(crate) fn acquire(self) -> Self {
        self.acquires(Outcome::Acquired { proves_death: true })
    }

    /// Another has the lease.
    pub(crate) fn busy(self) -> Self {
        let holder = Holder { pid: Some(41), host: None, since: Some(START) };
        self.acquires(Outcome::Busy(holder))
    }

    /// The save that is out is applied, if what it is over is there.
    pub(crate) fn save(mut self) -> Self {
        let outcome = self.apply();
        self.saves(outcome)
    }

    /// What the store makes of the save that is out.
    fn apply(&mut self) -> Outcome {
        let save = self.out.values().find_map(|action| match action {
            Action::Save { record, over } => Some((record.clone(), over.clone())),
            Action::Acquire
            | Action::Release
            | Action::Load
            | Action::Ask { .. }
            | Action::Revoke { .. } => None,
        });
        let (record, over) = save.expect("a save is out");
        let there = self.read();
        let fits = match (over, &there) {
            (Over::Absent, None) | (Over::Damaged, _) => true,
            (Over::Version(version), Some(stored)) => version == stored.version,
            (Over::Absent, Some(_)) | (Over::Version(_), None) => false,
        };
        if !fits {
            return Outcome::Mismatch(there);
        }
        let revision = self.stored.as_ref().map_or(1, |(_, revision)| revision + 1);
        self.stored = Some((*record, revision));
        Outcome::Saved(Version::new(revision.to_le_bytes()))
    }

    pub(crate) fn release(self) -> Self {
        self.done(|action| matches!(action, Action::Release), Outcome::Released)
    }

    /// The next grant of the authorization server.
    pub(crate) fn next_grant(&mut self) -> Grant {
        self.grants += 1;
        grant(&self.grants.to_string())
    }

    /// The token request is granted.
    pub(crate) fn granted(mut self) -> Self {
        let grant = self.next_grant();
        self.answers(Answer::Granted(grant))
    }

    /// The current token is rejected.
    pub(crate) fn rejected(self, by: Origin) -> Self {
        let id = self.id();
        let strength = Strength::Strong;
        self.tell(Input::Rejected { id, origin: by, strength, claims: None })
    }

    pub(crate) fn accepted(self, by: Origin) -> Self {
        let id = self.id();
        self.tell(Input::Accepted { id, origin: by })
    }

    pub(crate) fn wanted(self, by: Origin) -> Self {
        self.tell(Input::Wanted { origin: by })
    }

    pub(crate) fn id(&self) -> TokenId {
        self.machine.view().token_id()
    }

    /// From the wish for a refresh to its token request.
    pub(crate) fn asking(self) -> Self {
        self.acquire().load().save()
    }

    /// A host without faults does all that is asked for, in no time, until nothing is out.
    pub(crate) fn settled(mut self) -> Self {
        // Enough for every errand of one login, refresh and logout.
        for _ in 0..64 {
            let Some((&id, action)) = self.out.iter().next() else { return self };
            let outcome = match action {
                Action::Acquire => Outcome::Acquired { proves_death: true },
                Action::Release => Outcome::Released,
                Action::Load => Outcome::Loaded(self.read()),
                Action::Save { .. } => self.apply(),
                Action::Ask { .. } => Outcome::Answered(Answer::Granted(self.next_grant())),
                Action::Revoke { .. } => Outcome::Revoked { confirmed: true },
            };
            let now = self.now;
            self.give(Input::Done { id, outcome }, now);
        }
        panic!("the machine and a host without faults never come to rest");
    }

    pub(crate) fn state(&self) -> Option<StateKind> {
        self.machine.state()
    }
}
