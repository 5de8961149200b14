//! The host of a machine: it does what the machine asks for when the bytes say so, and as well as
//! they say.

use regrant_core::{
    Action, Answer, Applied, Cause, Failure, Holder, Input, Machine, Outcome, Output, Policy,
    Record, Refusal, RefusalKind, Rotation, Strength, Timestamp, TokenId,
};

use super::bytes::Bytes;
use super::operation::Operation;
use super::oracle::Oracle;
use super::others;
use super::world::{FAULTS, World, origin};

/// What the machine says after one input, at most: far more than it has to say, far less than
/// what goes round in a circle.
const OUTPUTS: usize = 64;

/// An action whose end was not told yet.
pub(super) struct Pending {
    pub(super) id: u64,
    pub(super) action: Action,
    pub(super) deadline: Timestamp,
    /// The machine has stopped waiting for it.
    pub(super) given_up: bool,
}

pub(super) struct Host {
    machine: Machine,
    policy: Policy,
    world: World,
    oracle: Oracle,
    pending: Vec<Pending>,
    now: Timestamp,
    wake: Timestamp,
    starts: u8,
    /// Inputs that are to be answered, and were not yet.
    unanswered: usize,
    stopped: bool,
}

impl Host {
    pub(super) fn new(bytes: &mut Bytes<'_>) -> Self {
        let now = Timestamp::from_millis(1_750_000_000_000);
        let mut world = World::default();
        match bytes.byte() % 4 {
            0 => {}
            1 => {
                let login = world.login(bytes, now);
                world.put(Record::login(&login, None));
            }
            _ => {
                let login = world.login(bytes, now);
                let record = Record::login(&login, None);
                let record = others::changed(record, &mut world, bytes, now);
                world.put(record);
            }
        }
        let policy = policy(bytes);
        let machine = Machine::new(policy.clone(), [0; 32], now);
        let mut host = Self {
            machine,
            policy,
            world,
            oracle: Oracle::default(),
            pending: Vec::new(),
            now,
            wake: now,
            starts: 0,
            unanswered: 0,
            stopped: false,
        };
        host.starts(now);
        host
    }

    /// What the machine was told of time, with all that came before.
    fn starts(&mut self, now: Timestamp) {
        self.oracle.starts(now);
        self.pending.clear();
        self.unanswered = 0;
        self.stopped = false;
        self.drains();
    }

    pub(super) fn does(&mut self, operation: Operation, bytes: &mut Bytes<'_>) {
        let origin_of = |bytes: &mut Bytes<'_>| origin(bytes.below(4));
        match operation {
            Operation::Wake => self.time_passes(self.wake),
            Operation::Pass => self.time_passes(self.now + bytes.length()),
            Operation::SetClock => self.time_passes(bytes.stamp(self.now)),
            Operation::GoBack => self.now = self.now - bytes.length(),
            Operation::Do => self.ends_well(0, bytes),
            Operation::End => self.ends(bytes),
            Operation::Lie => self.lies(bytes),
            Operation::Want => self.tells(Input::Wanted { origin: origin_of(bytes) }),
            Operation::Accept => {
                let (id, origin) = (self.token_id(bytes), origin_of(bytes));
                self.tells(Input::Accepted { id, origin });
            }
            Operation::Reject => {
                let (id, origin) = (self.token_id(bytes), origin_of(bytes));
                let strength = bytes.one_of(&[Strength::Strong, Strength::Weak]);
                let claims = (bytes.byte() % 8 == 7).then(|| "{}".to_owned());
                self.tells(Input::Rejected { id, origin, strength, claims });
            }
            Operation::Disown => {
                let (id, origin) = (self.token_id(bytes), origin_of(bytes));
                self.tells(Input::Disowned { id, origin });
            }
            Operation::LogIn => {
                let login = self.world.login(bytes, self.now);
                self.asks(Input::LoggedIn(Box::new(login)));
            }
            Operation::LogOut => self.asks(Input::LoggedOut),
            Operation::Reconsider => self.asks(Input::Reconsider),
            Operation::Configure => {
                let client = self.world.client(bytes);
                self.asks(Input::ConfigurationChanged(Box::new(client)));
            }
            Operation::Allow => self.asks(Input::OriginAllowed(origin_of(bytes))),
            Operation::Stop => self.tells(Input::Stop),
            Operation::Write => {
                let record = match &self.world.stored {
                    Some((record, _)) => record.clone(),
                    None => Record::login(&self.world.login(bytes, self.now), None),
                };
                let record = others::changed(record, &mut self.world, bytes, self.now);
                self.another_writes(record);
            }
            Operation::WriteRaw => {
                if let Ok(mut record) = Record::decode(bytes.text()) {
                    // Each token is given once.
                    for slot in record.slots.values_mut() {
                        slot.access_token = self.world.secret("at");
                    }
                    if record.refresh_token.is_some() {
                        record.refresh_token = Some(self.world.secret("rt"));
                    }
                    self.another_writes(record);
                }
            }
            Operation::Restore => {
                let at = bytes.below(self.world.backups.len());
                if let Some(record) = self.world.backups.get(at).cloned() {
                    self.another_writes(record);
                }
            }
            Operation::Delete => {
                self.world.stored = None;
                self.oracle.others_wrote();
            }
            Operation::Break => {
                let fault = bytes.one_of(&FAULTS);
                self.world.broken = bytes.bit().then_some(fault);
            }
            Operation::SetPolicy => {
                self.policy = policy(bytes);
                self.machine.set_policy(self.policy.clone());
                self.drains();
            }
            Operation::Restart => {
                self.starts = self.starts.wrapping_add(1);
                let seed = [self.starts; 32];
                self.machine = Machine::new(self.policy.clone(), seed, self.now);
                self.starts(self.now);
            }
            Operation::Settle => (0..12).for_each(|_| self.goes_on(bytes)),
        }
    }

    /// The world gets well, and then all that was promised must come.
    pub(super) fn recovers(mut self) {
        if !self.oracle.has_time() {
            return;
        }
        let bytes = &mut Bytes::new(b"");
        self.world.broken = None;
        // What the server has not answered yet it never will.
        self.pending.retain(|pending| !pending.given_up);
        // Each errand is a load and some saves, and each is put off at most for some seconds,
        // between which the machine looks at the store.
        let rounds = 200 + 20 * self.unanswered;
        let mut settled = false;
        for _ in 0..rounds {
            settled = self.unanswered == 0 && self.oracle.owes_nothing();
            if settled {
                break;
            }
            self.goes_on(bytes);
        }
        assert!(settled, "{} unanswered, {:?}", self.unanswered, self.oracle);
        for _ in 0..rounds {
            if !self.oracle.somebody_waits(&self.machine) || self.stopped {
                break;
            }
            (0..4).for_each(|number| self.tells(Input::Wanted { origin: origin(number) }));
            self.goes_on(bytes);
        }
        let waits = self.oracle.somebody_waits(&self.machine) && !self.oracle.is_stopping();
        assert!(!waits, "somebody waits for ever: {:?}", self.machine);
        self.tells(Input::Stop);
        for _ in 0..rounds {
            if self.stopped {
                return;
            }
            self.goes_on(bytes);
        }
        panic!("it does not stop: {:?}", self.machine);
    }

    /// Everything that is out ends well; or else time passes.
    fn goes_on(&mut self, bytes: &mut Bytes<'_>) {
        let out = self.pending.iter().filter(|pending| !pending.given_up).count();
        if out == 0 {
            return self.time_passes(self.wake.max(self.now));
        }
        for _ in 0..out {
            self.ends_well(0, bytes);
        }
    }

    fn token_id(&self, bytes: &mut Bytes<'_>) -> TokenId {
        let TokenId { slot, generation } = self.machine.view().token_id();
        match bytes.byte() % 8 {
            0 => TokenId { slot, generation: generation.saturating_sub(1) },
            1 => TokenId { slot, generation: generation.saturating_add(1) },
            2 => TokenId { slot: 1, generation },
            _ => TokenId { slot, generation },
        }
    }

    fn another_writes(&mut self, record: Record) {
        self.world.put(record);
        self.oracle.others_wrote();
    }

    /// One after the other is what a host is told to do; a few at once do no harm.
    fn asks(&mut self, input: Input) {
        if self.unanswered >= 8 {
            return;
        }
        self.unanswered += 1;
        self.tells(input);
    }

    fn time_passes(&mut self, now: Timestamp) {
        self.now = now;
        self.tells(Input::TimePassed);
        // The same moment again is nothing new.
        self.oracle.expects_nothing();
        self.tells(Input::TimePassed);
    }

    fn tells(&mut self, input: Input) {
        if matches!(input, Input::TimePassed) {
            self.oracle.gives_up(self.now, &mut self.pending);
        }
        self.oracle.before(&input, &self.machine, self.now);
        self.machine.handle_input(input, self.now);
        self.drains();
    }

    fn drains(&mut self) {
        for _ in 0..OUTPUTS {
            match self.machine.poll_output() {
                Output::Act { id, action, deadline } => {
                    self.oracle.acts(&action, deadline, &self.machine, &self.pending);
                    self.pending.push(Pending { id, action, deadline, given_up: false });
                }
                Output::Event(event) => self.oracle.event(&event),
                Output::Answered(_) => {
                    let left = self.unanswered.checked_sub(1);
                    self.unanswered = left.expect("one answer to one question");
                }
                Output::Stopped => {
                    assert!(!self.stopped, "stopped twice");
                    self.stopped = true;
                }
                Output::Timeout(wake) => {
                    self.wake = wake;
                    return self.oracle.after(&self.machine, wake);
                }
            }
        }
        panic!("no end of outputs");
    }

    /// The end of a pending action is told.
    fn delivers(&mut self, at: usize, outcome: Outcome) {
        let pending = self.pending.remove(at);
        // Nobody answered in time: the answer may still come.
        let late = matches!(
            (&pending.action, &outcome),
            (
                Action::Ask { .. },
                Outcome::Answered(Answer::Failed(Failure { applied: Applied::PerhapsLater, .. }))
            )
        );
        self.oracle.learns(&pending, &outcome, &self.pending);
        let id = pending.id;
        if late && !pending.given_up {
            self.pending.push(Pending { given_up: true, ..pending });
        }
        self.tells(Input::Done { id, outcome });
    }

    fn ends_well(&mut self, at: usize, bytes: &mut Bytes<'_>) {
        let Some(pending) = self.pending.get(at) else { return };
        let outcome = match pending.action.clone() {
            Action::Acquire => Outcome::Acquired { proves_death: true },
            Action::Release => Outcome::Released,
            Action::Load => match self.world.broken {
                Some(fault) => Outcome::Failed(fault),
                None => Outcome::Loaded(self.world.load()),
            },
            Action::Save { record, over } => match self.world.swap(&record, &over) {
                Some(version) => {
                    self.oracle.stored(&record);
                    Outcome::Saved(version)
                }
                None => match self.world.broken {
                    Some(fault) => Outcome::Failed(fault),
                    None => Outcome::Mismatch(self.world.load()),
                },
            },
            Action::Ask { .. } => Outcome::Answered(Answer::Granted(self.world.grant(bytes))),
            Action::Revoke { .. } => Outcome::Revoked { confirmed: true },
        };
        self.delivers(at, outcome);
    }

    /// One of the actions that are out ends, in one of the ways in which it can.
    fn ends(&mut self, bytes: &mut Bytes<'_>) {
        let at = bytes.below(self.pending.len());
        let how = bytes.byte();
        let Some(pending) = self.pending.get(at) else { return };
        let fault = FAULTS[usize::from(how >> 4) % FAULTS.len()];
        let outcome = match (pending.action.clone(), how % 8) {
            (Action::Acquire, 1) => {
                let holder = Holder { pid: Some(7), ..Holder::default() };
                Outcome::Busy(holder)
            }
            (Action::Acquire, 2) => Outcome::Unlockable,
            (Action::Acquire, 3) => Outcome::Acquired { proves_death: false },
            (Action::Acquire | Action::Load | Action::Save { .. } | Action::Release, 4) => {
                Outcome::Failed(fault)
            }
            (Action::Load, 5) => Outcome::Unknown(fault),
            (Action::Save { record, over }, 5) => {
                if self.world.swap(&record, &over).is_some() {
                    self.oracle.stored(&record);
                }
                Outcome::Unknown(fault)
            }
            (Action::Save { .. }, 6) => Outcome::Unknown(fault),
            (Action::Ask { .. }, 1..) => Outcome::Answered(self.answer(bytes)),
            (Action::Revoke { .. }, 1) => Outcome::Revoked { confirmed: false },
            _ => return self.ends_well(at, bytes),
        };
        self.delivers(at, outcome);
    }

    fn answer(&mut self, bytes: &mut Bytes<'_>) -> Answer {
        let failure = Failure {
            cause: bytes.one_of(Cause::ALL),
            applied: bytes.one_of(&[Applied::No, Applied::Perhaps, Applied::PerhapsLater]),
            retry_after: bytes.bit().then(|| bytes.length()),
            code: None,
        };
        match bytes.byte() % 8 {
            0 => Answer::Granted(self.world.grant(bytes)),
            1 => Answer::Refused(Refusal { code: "invalid_grant".into(), kind: RefusalKind::Dead }),
            2 => {
                let kind = bytes.one_of(&[RefusalKind::Reused, RefusalKind::Interaction]);
                Answer::Refused(Refusal { code: "no".into(), kind })
            }
            3 => Answer::NonceWanted,
            4 => Answer::Unusable { refresh_token: self.world.secret("rt"), failure },
            _ => Answer::Failed(failure),
        }
    }

    /// An answer that fits nothing, or nobody asked for.
    fn lies(&mut self, bytes: &mut Bytes<'_>) {
        let outcome = match bytes.byte() % 8 {
            0 => Outcome::Released,
            1 => Outcome::Acquired { proves_death: true },
            2 => Outcome::Unlockable,
            3 => Outcome::Revoked { confirmed: true },
            4 => Outcome::Failed(FAULTS[0]),
            5 => Outcome::Unknown(FAULTS[0]),
            6 => Outcome::Answered(Answer::NonceWanted),
            _ => Outcome::Busy(Holder::default()),
        };
        let id = bytes.byte();
        match self.pending.get(usize::from(id)) {
            Some(_) => self.delivers(usize::from(id), outcome),
            None => self.tells(Input::Done { id: u64::from(id), outcome }),
        }
    }
}

fn policy(bytes: &mut Bytes<'_>) -> Policy {
    let mut policy = Policy::default();
    let what = bytes.byte();
    policy.rotation = [
        Rotation::Unknown,
        Rotation::Never,
        Rotation::WithoutGrace,
        Rotation::GraceKeepsEarlier,
        Rotation::GraceKillsEarlier,
    ][usize::from(what % 5)];
    policy.revokes_token_alone = what & 0x80 != 0;
    policy
}
