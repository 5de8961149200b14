//! One process with a clock that reads what it likes, an honest store and an authorization server
//! that answers as it is told.

use std::collections::VecDeque;
use std::time::Duration;

use regrant_core::{
    Action, Answer, Blocked, Input, Machine, Origin, Outcome, Output, Over, Policy, Record,
    StateKind, StoreFault, Stored, Timestamp, TokenId, Use, Version,
};
use regrant_world::origin;

use crate::stamps::grant;

/// The longest trouble with a store that is waited out at one go: a second, doubled five times.
const STORE_TROUBLE: Duration = Duration::from_secs(32);

/// What a later reading counts as: a hundred years before the end of time.
pub(crate) const LATEST: Timestamp = Timestamp::from_millis(u64::MAX - 100 * 365 * 86_400_000);

/// A process and its surroundings.
pub(crate) struct Host {
    pub(crate) machine: Machine,
    pub(crate) policy: Policy,
    /// What the clock reads.
    pub(crate) reading: Timestamp,
    /// The highest reading so far that counts, which is what the machine goes by.
    pub(crate) now: Timestamp,
    pub(crate) wake: Timestamp,
    pub(crate) stored: Option<(Record, u64)>,
    out: Vec<(u64, Action)>,
    /// Token requests so far.
    pub(crate) asked: u32,
    /// Everything that was said, where somebody compares it.
    pub(crate) said: Option<Vec<String>>,
    /// Logins so far.
    pub(crate) logins: u32,
    /// What the authorization server answers next; a grant when nothing is left.
    pub(crate) answers: VecDeque<Answer>,
    /// What the store answers next; the truth when nothing is left.
    pub(crate) faults: VecDeque<StoreFault>,
    /// The lifetime of what is granted.
    pub(crate) lifetime: Option<Duration>,
    /// Who rejected which token, and whether this process saw it.
    rejected: Vec<(Origin, String, bool)>,
}

impl Host {
    pub(crate) fn start(policy: Policy, stored: Option<Record>, reading: Timestamp) -> Self {
        let machine = Machine::new(policy.clone(), [7; 32], reading);
        let mut host = Self {
            machine,
            policy,
            reading,
            now: reading.min(LATEST),
            wake: reading,
            stored: stored.map(|record| (record, 1)),
            out: Vec::new(),
            asked: 0,
            said: None,
            logins: 0,
            answers: VecDeque::new(),
            faults: VecDeque::new(),
            lifetime: Some(Duration::from_secs(3_600)),
            rejected: Vec::new(),
        };
        host.drain();
        host.settle();
        host
    }

    /// The process starts anew; what only it knew is gone.
    pub(crate) fn restart(&mut self) {
        self.machine = Machine::new(self.policy.clone(), [8; 32], self.reading);
        self.now = self.reading.min(LATEST);
        self.out.clear();
        let Self { rejected, stored, .. } = self;
        let record = stored.as_ref().map(|(record, _)| record);
        rejected.retain_mut(|(origin, token, seen)| {
            *seen = false;
            record.is_some_and(|record| {
                let id = record.token_id();
                let held = record.slot().is_some_and(|slot| slot.access_token.expose() == token);
                let marks = &record.marks;
                held && marks.iter().any(|mark| mark.origin == *origin && mark.rejected == id)
            })
        });
        self.drain();
        self.settle();
    }

    pub(crate) fn tell(&mut self, input: Input) {
        self.now = self.now.max(self.reading.min(LATEST));
        self.machine.handle_input(input, self.reading);
        self.drain();
        self.settle();
    }

    fn drain(&mut self) {
        // Far more than one input ever brings.
        for _ in 0..1_000 {
            let output = self.machine.poll_output();
            if let Some(said) = &mut self.said {
                said.push(format!("{output:?}"));
            }
            match output {
                Output::Act { id, action, .. } => {
                    self.asked += u32::from(matches!(action, Action::Ask { .. }));
                    self.out.push((id, action));
                }
                Output::Event(_) | Output::Answered(_) | Output::Stopped => {}
                Output::Timeout(at) => {
                    self.wake = at;
                    return self.holds();
                }
            }
        }
        panic!("the outputs of one input never end");
    }

    /// Does all that is asked for, in no time.
    fn settle(&mut self) {
        // A burst of 30 token requests, each with its lease and saves, and as much again.
        for _ in 0..500 {
            if self.out.is_empty() {
                return;
            }
            let (id, action) = self.out.remove(0);
            let outcome = self.perform(action);
            self.now = self.now.max(self.reading.min(LATEST));
            self.machine.handle_input(Input::Done { id, outcome }, self.reading);
            self.drain();
        }
        panic!("the machine runs in circles without time passing");
    }

    fn perform(&mut self, action: Action) -> Outcome {
        match action {
            Action::Acquire => Outcome::Acquired { proves_death: true },
            Action::Release => Outcome::Released,
            Action::Load => match self.faults.pop_front() {
                Some(fault) => Outcome::Failed(fault),
                None => Outcome::Loaded(self.read()),
            },
            Action::Save { record, over } => match self.faults.pop_front() {
                Some(fault) => Outcome::Failed(fault),
                None => self.save(*record, &over),
            },
            Action::Ask { .. } => {
                Outcome::Answered(self.answers.pop_front().unwrap_or_else(|| {
                    Answer::Granted(grant(&self.asked.to_string(), self.lifetime))
                }))
            }
            Action::Revoke { .. } => Outcome::Revoked { confirmed: true },
        }
    }

    fn read(&self) -> Option<Box<Stored>> {
        let (record, revision) = self.stored.as_ref()?;
        let version = Version::new(revision.to_le_bytes());
        Some(Box::new(Stored { record: record.clone(), version }))
    }

    fn save(&mut self, record: Record, over: &Over) -> Outcome {
        let there = self.read();
        let version = there.as_ref().map(|stored| &stored.version);
        let fits = match over {
            Over::Absent => version.is_none(),
            Over::Version(expected) => version == Some(expected),
            Over::Damaged => true,
        };
        if !fits {
            return Outcome::Mismatch(there);
        }
        let revision = self.stored.as_ref().map_or(1, |(_, revision)| revision + 1);
        self.stored = Some((record, revision));
        Outcome::Saved(Version::new(revision.to_le_bytes()))
    }

    /// This origin rejects the current token.
    pub(crate) fn reject(&mut self, by: &Origin, strength: regrant_core::Strength) {
        let Some(record) = self.machine.record() else { return };
        let Some(slot) = record.slot() else { return };
        let (id, token) = (record.token_id(), slot.access_token.expose().to_owned());
        if record.origins.contains(by) {
            self.rejected.push((by.clone(), token, true));
        }
        self.tell(Input::Rejected { id, origin: by.clone(), strength, claims: None });
    }

    /// This origin accepts the current token. Where only a record says that it was rejected there,
    /// that is the later word.
    pub(crate) fn accept(&mut self, by: Origin) {
        self.rejected.retain(|(origin, _, seen)| *seen || *origin != by);
        self.tell(Input::Accepted { id: self.id(), origin: by });
    }

    /// The current token's name.
    pub(crate) fn id(&self) -> TokenId {
        self.machine.view().token_id()
    }

    /// What holds at every moment, whatever any clock reads.
    fn holds(&self) {
        let (now, view) = (self.now, self.machine.view());
        assert!(
            self.wake > now || self.wake == Timestamp::NEVER,
            "wake {:?} at {now:?}",
            self.wake
        );
        assert!(
            !matches!(view.access(&origin("z")), Use::Token { .. }),
            "a stranger got the token"
        );
        for name in ["x", "y"] {
            match view.access(&origin(name)) {
                Use::Token { token, .. } => {
                    let again = |(by, rejected, _): &(Origin, String, bool)| {
                        *by == origin(name) && rejected == token.expose()
                    };
                    assert!(
                        !self.rejected.iter().any(again),
                        "{name} is offered the token that it rejected"
                    );
                }
                Use::Blocked { why, retry_at } => {
                    let most = self.longest(why);
                    assert!(retry_at <= now + most, "{why:?} until {retry_at:?} at {now:?}");
                }
                Use::Wait | Use::Login(_) | Use::Foreign => {}
            }
        }
    }

    /// The greatest length of what blocks.
    fn longest(&self, why: Blocked) -> Duration {
        let policy = &self.policy;
        match why {
            Blocked::StillRejected => policy.weak_cool_down.max(policy.cool_down_cap),
            Blocked::CoolDown(_) => policy.retry_after_cap.max(policy.cool_down_cap),
            Blocked::Budget => policy.refill,
            Blocked::Store(_) => STORE_TROUBLE,
            other => panic!("{other:?} has no greatest length here"),
        }
    }

    /// Whether a login is needed.
    pub(crate) fn needs_login(&self) -> bool {
        self.machine.state() == Some(StateKind::NeedsLogin)
    }

    /// To the next wake, but in steps of at least `least`, and at most to `end`.
    pub(crate) fn step(&mut self, least: Duration, end: Timestamp) {
        self.reading = self.wake.max(self.now + least).min(end).max(self.now);
        self.tell(Input::TimePassed);
    }
}
