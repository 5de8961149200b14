//! The canonical form: names and clocks are not in it, and everything else is.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::Canonical;
use crate::client::Client;
use crate::grant::{Grant, Strength};
use crate::id::{Id, TokenId};
use crate::machine::{Action, Input, Machine, Outcome, Output, Policy, Stored};
use crate::origin::Origin;
use crate::reason::{Cause, LoginReason};
use crate::record::{Access, CoolDown, Intent, Login, Mark, Record, Refresh};
use crate::secret::Secret;
use crate::time::Timestamp;
use crate::version::Version;

const SECOND: Duration = Duration::from_secs(1);
const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn x() -> Origin {
    Origin::new("https", "x.example", 443).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::new(text.into())
}

/// A record whose names all begin alike.
fn record(name: u8, at: Timestamp) -> Record {
    let mut grant = Grant::bearer(secret(&alloc::format!("access {name}")));
    grant.refresh_token = Some(secret(&alloc::format!("refresh {name}")));
    grant.expires_in = Some(60 * SECOND);
    let login = Login {
        incarnation: Id([name; 16]),
        client: Client::new("https://as.example/token", "client"),
        origins: [x()].into(),
        grant,
        obtained_at: at,
    };
    Record::login(&login, None)
}

/// A process alone with its store.
struct Host {
    machine: Machine,
    now: Timestamp,
    stored: Record,
    revision: u8,
    out: Vec<(u64, Action)>,
}

impl Host {
    fn new(name: u8, now: Timestamp) -> Self {
        let machine = Machine::without_jitter(Policy::default(), u64::from(name), now);
        let stored = record(name, now);
        let mut host = Self { machine, now, stored, revision: name, out: Vec::new() };
        host.drain();
        host
    }

    fn version(&self) -> Version {
        Version::new(alloc::vec![self.revision])
    }

    fn drain(&mut self) {
        loop {
            match self.machine.poll_output() {
                Output::Act { id, action, .. } => self.out.push((id, action)),
                Output::Event(_) | Output::Answered(_) | Output::Stopped => {}
                Output::Timeout(_) => return,
            }
        }
    }

    fn tell(&mut self, input: Input) {
        self.machine.handle_input(input, self.now);
        self.drain();
    }

    /// Does the oldest action. False if it is a token request, which nobody answers here.
    fn perform(&mut self) -> bool {
        if matches!(self.out[0].1, Action::Ask { .. }) {
            return false;
        }
        let (id, action) = self.out.remove(0);
        let outcome = match action {
            Action::Acquire => Outcome::Acquired { proves_death: true },
            Action::Load => {
                let (record, version) = (self.stored.clone(), self.version());
                Outcome::Loaded(Some(Box::new(Stored { record, version })))
            }
            Action::Save { record, .. } => {
                self.stored = *record;
                self.revision += 1;
                Outcome::Saved(self.version())
            }
            Action::Release | Action::Ask { .. } | Action::Revoke { .. } => Outcome::Released,
        };
        self.tell(Input::Done { id, outcome });
        true
    }

    fn form(&self) -> Vec<u64> {
        let mut form = Canonical::new(
            Policy::default(),
            self.stored.generation,
            Some(self.version()),
            60 * SECOND,
        );
        form.clock(self.now);
        form.actions(self.out.iter().map(|(id, _)| *id));
        form.record(&self.stored);
        form.machine(&self.machine);
        form.into_numbers()
    }
}

#[test]
fn machines_that_differ_by_their_names_and_clocks_have_one_form() {
    let mut ours = Host::new(1, NOW);
    let mut theirs = Host::new(77, NOW + 1_000_000 * SECOND);
    let mut forms = Vec::new();
    let mut compare = |ours: &Host, theirs: &Host| {
        assert_eq!(ours.form(), theirs.form());
        assert!(!forms.contains(&ours.form()), "a step changes something");
        forms.push(ours.form());
    };
    compare(&ours, &theirs);
    assert!(ours.perform() && theirs.perform());
    compare(&ours, &theirs);
    for host in [&mut ours, &mut theirs] {
        let id = host.stored.token_id();
        let strength = Strength::Strong;
        host.tell(Input::Rejected { id, origin: x(), strength, claims: None });
    }
    compare(&ours, &theirs);
    while ours.perform() {
        assert!(theirs.perform());
        compare(&ours, &theirs);
    }
    assert!(!theirs.perform());
}

#[test]
fn an_action_that_is_out_is_told_from_one_that_is_not() {
    let mut host = Host::new(1, NOW);
    let with = host.form();
    host.out.clear();
    assert_ne!(host.form(), with);
}

fn form_of(record: &Record) -> Vec<u64> {
    let mut form = Canonical::new(Policy::default(), 1, None, Duration::ZERO);
    form.clock(NOW);
    // The first names are known before, so that another name is seen to be another.
    form.record(&full());
    form.record(record);
    form.into_numbers()
}

fn intent() -> Intent {
    let (at, deadline) = (NOW, NOW + 25 * SECOND);
    Intent { nonce: Id([2; 16]), owner: Id([3; 16]), at, deadline, raised: false }
}

fn mark() -> Mark {
    let (until, rejected) = (NOW + SECOND, TokenId { slot: 0, generation: 1 });
    Mark { origin: x(), rejected, until, streak: 1, still: false, weak: false }
}

fn cool_down() -> CoolDown {
    let until = NOW + SECOND;
    CoolDown { until, cause: Cause::NoAnswer, code: None, streak: 1, ahead_only: false }
}

/// A record that has everything.
fn full() -> Record {
    let mut record = record(1, NOW);
    record.attempt = Some(intent());
    record.marks = [mark()].into();
    record.cool_down = Some(cool_down());
    record.budget.full_at = NOW + SECOND;
    record
}

fn slot(record: &mut Record) -> &mut crate::record::Slot {
    record.slots.get_mut(&0).unwrap()
}

type Change = (&'static str, fn(&mut Record));

#[test]
fn every_fact_is_in_the_form() {
    let changes: &[Change] = &[
        ("incarnation", |r| r.incarnation = Id([9; 16])),
        ("generation", |r| r.generation = 2),
        ("superseded", |r| r.superseded.push(Id([1; 16]))),
        ("client", |r| r.client.client_id = "another".into()),
        ("client's endpoint", |r| {
            r.client.revocation_endpoint = Some("https://as.example/r".into());
        }),
        ("subject", |r| r.subject = Some("somebody".into())),
        ("origins", |r| r.origins.clear()),
        ("refresh token", |r| r.refresh_token = Some(secret("another"))),
        ("no refresh token", |r| r.refresh_token = None),
        ("no slot", |r| r.slots.clear()),
        ("access token", |r| slot(r).access_token = secret("another")),
        ("type", |r| slot(r).token_type = "DPoP".into()),
        ("slot's generation", |r| slot(r).generation = 2),
        ("obtained", |r| slot(r).obtained_at = NOW + SECOND),
        ("lifetime", |r| slot(r).lifetime_ms = None),
        ("scope", |r| slot(r).scope = Some("all".into())),
        ("claims", |r| slot(r).with_claims = true),
        ("access", |r| slot(r).access = Access::Rejected),
        ("doubt", |r| r.refresh = Refresh::InDoubt { since: NOW }),
        ("absent", |r| r.refresh = Refresh::Absent),
        ("dead", |r| {
            r.refresh = Refresh::Dead { reason: LoginReason::Refused, code: None, at: NOW };
        }),
        ("no intent", |r| r.attempt = None),
        ("nonce", |r| r.attempt.as_mut().unwrap().nonce = Id([9; 16])),
        ("intent's beginning", |r| r.attempt.as_mut().unwrap().at = NOW + SECOND),
        ("intent's end", |r| r.attempt.as_mut().unwrap().deadline = NOW),
        ("raised", |r| r.attempt.as_mut().unwrap().raised = true),
        ("no cool-down", |r| r.cool_down = None),
        ("cool-down's end", |r| r.cool_down.as_mut().unwrap().until = NOW + 2 * SECOND),
        ("cause", |r| r.cool_down.as_mut().unwrap().cause = Cause::RateLimited),
        ("streak", |r| r.cool_down.as_mut().unwrap().streak = 2),
        ("ahead", |r| r.cool_down.as_mut().unwrap().ahead_only = true),
        ("no mark", |r| r.marks.clear()),
        ("mark's token", |r| r.marks[0].rejected.generation = 2),
        ("mark's end", |r| r.marks[0].until = NOW),
        ("mark's streak", |r| r.marks[0].streak = 2),
        ("still", |r| r.marks[0].still = true),
        ("weak", |r| r.marks[0].weak = true),
        ("budget", |r| r.budget.full_at = NOW + 2 * SECOND),
    ];
    let plain = form_of(&full());
    for (what, change) in changes {
        let mut record = full();
        change(&mut record);
        assert_ne!(form_of(&record), plain, "{what}");
    }
}

#[test]
fn what_decides_nothing_is_not_in_the_form() {
    let changes: &[Change] = &[
        ("host", |r| r.written_by = Some(String::from("host"))),
        ("owner", |r| r.attempt.as_mut().unwrap().owner = Id([9; 16])),
        ("code", |r| r.cool_down.as_mut().unwrap().code = Some("busy".into())),
    ];
    let plain = form_of(&full());
    for (what, change) in changes {
        let mut record = full();
        change(&mut record);
        assert_eq!(form_of(&record), plain, "{what}");
    }
}

#[test]
fn all_of_the_past_is_one() {
    let old = |ago: Duration| {
        let mut record = full();
        let intent = record.attempt.as_mut().unwrap();
        (intent.at, intent.deadline) = (NOW - ago, NOW - ago + 25 * SECOND);
        record.cool_down.as_mut().unwrap().until = NOW - ago;
        record.marks[0].until = NOW - ago;
        record.budget.full_at = NOW - ago;
        slot(&mut record).obtained_at = NOW - ago;
        form_of(&record)
    };
    assert_eq!(old(100 * SECOND), old(200 * SECOND));
    assert_ne!(old(10 * SECOND), old(20 * SECOND), "the intent's end is ahead");
}

#[test]
fn a_streak_counts_for_as_long_as_it_lengthens_a_cool_down() {
    let streak = |streak| {
        let mut record = full();
        record.cool_down.as_mut().unwrap().streak = streak;
        record.marks[0].streak = streak;
        form_of(&record)
    };
    // From a minute to an hour it doubles six times.
    assert_ne!(streak(5), streak(6));
    assert_eq!(streak(40), streak(80));
}
