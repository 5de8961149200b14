//! The one refresh under way: lease, re-read, intent, token request, save.
//!
//! The file is long because a job is one thing that is read from top to bottom: each step says
//! what the next one is, and apart they would say it less clearly.

#[cfg(feature = "model")]
mod model;

use alloc::boxed::Box;
use alloc::string::String;
use core::time::Duration;

use super::errands::{Errand, Lane, What, Whose};
use super::states::{Begin, Current, End};
use super::watch::Need;
use super::{Action, Event, Machine, OVERDUE, Outcome, Over, Policy};
use crate::client::{Client, Renewal};
use crate::fault::StoreFault;
use crate::grant::{Answer, Applied, Failure, Grant, Refusal, RefusalKind};
use crate::id::Id;
use crate::reason::{Cause, LoginReason};
use crate::record::{CoolDown, Intent, Record, Refresh};
use crate::secret::Secret;
use crate::server::Rotation;
use crate::time::Timestamp;

/// How often a record is judged anew over what other processes left, before the job gives up: 32,
/// more than the processes that share one credential in practice.
const ROUNDS: u32 = 32;

/// What this process is doing about the credential.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone))]
pub(super) enum Job {
    Idle,
    /// The lease is asked for.
    Acquiring {
        id: u64,
        deadline: Timestamp,
        looks: u32,
    },
    /// Another holds the lease; look again then.
    Waiting {
        until: Timestamp,
        looks: u32,
    },
    /// The store is read between two tries for the lease.
    Looking {
        out: bool,
        looks: u32,
    },
    /// The store is read under the lease.
    Reading {
        out: bool,
    },
    /// What was read is judged as soon as the lane is free.
    Deciding {
        raised: bool,
        rounds: u32,
    },
    /// Somebody's open intent is waited for, under the lease.
    Holding {
        until: Timestamp,
    },
    /// Judged claims are being saved.
    Judging {
        rounds: u32,
    },
    /// The intent is being saved.
    Beginning {
        attempt: Box<Attempt>,
        rounds: u32,
    },
    /// The next try waits.
    Pausing {
        attempt: Box<Attempt>,
        until: Timestamp,
    },
    /// The token request is out.
    Asking {
        attempt: Box<Attempt>,
        id: u64,
    },
    /// What the attempt came to is being saved, by an errand that names it.
    Ending {
        nonce: Id,
    },
    /// The lease is being let go.
    Releasing {
        id: u64,
        deadline: Timestamp,
    },
}

/// What this process has of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lease {
    None,
    Held {
        proves_death: bool,
    },
    /// There are no leases at this place.
    Unlockable,
}

/// What a token request was made of.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) id: u64,
    pub(super) incarnation: Id,
    pub(super) generation: u64,
    pub(super) nonce: Id,
    /// None where the client asks with its own credentials: nothing is spent then, so nothing is
    /// ever in doubt.
    pub(super) sent: Option<Secret>,
    pub(super) claims: Option<String>,
    /// Whether it was begun with claims, sent or not.
    pub(super) for_claims: bool,
    pub(super) client: Box<Client>,
    pub(super) subject: Option<String>,
    /// Just before the last try was sent.
    pub(super) asked_at: Timestamp,
    /// Whether another host brought what it was made of.
    pub(super) is_copied: bool,
    /// Whether an earlier request with the same refresh token may have been applied, so that this
    /// one's grant is the newer of the two.
    pub(super) is_later: bool,
    /// Further tries, which the attempt's last save debits.
    pub(super) extra: u32,
    /// When the intent ends.
    pub(super) intent_deadline: Timestamp,
}

impl Asked {
    /// Whether a grant redeemed by this request belongs over this record (rule 7 of what must
    /// always hold): the same login, not logged out, and no later generation than the one it was
    /// redeemed from. Or the next one, if the grant that is there came of an earlier request: where
    /// each successor kills the one before, this is the live one.
    pub(super) fn applies_to(&self, record: &Record) -> bool {
        let newest = self.generation + u64::from(self.is_later);
        record.incarnation == self.incarnation
            && !record.is_logged_out()
            && record.generation <= newest
    }

    /// Whether the record still holds what the request was made of.
    pub(super) fn was_made_of(&self, record: &Record) -> bool {
        match (&self.sent, &record.refresh_token) {
            (Some(sent), Some(held)) => held.is(sent),
            (Some(_), None) => false,
            (None, _) => record.generation == self.generation,
        }
    }
}

/// One attempt: all tries under one intent.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone))]
pub(super) struct Attempt {
    asked: Asked,
    need: Need,
    deadline: Timestamp,
    tries: u32,
    malformed: u32,
    /// Replays that are left for a try that may have been applied.
    replays: u32,
    nonce_sent: bool,
    doubt: Option<Timestamp>,
    failed: bool,
}

/// How an attempt ended, other than by a grant.
#[derive(Clone, Debug)]
pub(super) enum Ending {
    Refused {
        reason: LoginReason,
        code: Option<String>,
    },
    /// `failure` is none where nothing was sent at all: then nothing was learnt either.
    Failed {
        failure: Option<Failure>,
        doubt: Option<Timestamp>,
        ahead: bool,
        successor: Option<Secret>,
        /// Whether the one replay of a try that may have been applied is still to come.
        replay_left: bool,
    },
}

impl Job {
    /// Whether the job needs the lane before any errand.
    pub(super) fn wants_lane(&self) -> bool {
        matches!(
            self,
            Self::Looking { out: false, .. } | Self::Reading { out: false } | Self::Deciding { .. }
        )
    }

    /// When the job goes on by itself.
    pub(super) fn wake_at(&self) -> Option<Timestamp> {
        if let Self::Waiting { until, .. } | Self::Holding { until } | Self::Pausing { until, .. } =
            self
        {
            return Some(*until);
        }
        let (_, deadline) = self.out()?;
        Some(deadline + OVERDUE + Duration::from_millis(1))
    }

    /// The action that is out, and when its answer is due.
    fn out(&self) -> Option<(u64, Timestamp)> {
        if let Self::Acquiring { id, deadline, .. } | Self::Releasing { id, deadline } = self {
            return Some((*id, *deadline));
        }
        if let Self::Asking { attempt, id } = self {
            return Some((*id, attempt.deadline));
        }
        None
    }

    /// The action whose answer did not come, and what that is taken for.
    pub(super) fn overdue(&self, now: Timestamp) -> Option<(u64, Outcome)> {
        let (id, _) = self.out().filter(|(_, deadline)| now > *deadline + OVERDUE)?;
        let outcome = if let Self::Asking { .. } = self {
            let failure = Failure::new(Cause::NoAnswer, Applied::PerhapsLater);
            Outcome::Answered(Answer::Failed(failure))
        } else {
            Outcome::Failed(StoreFault::Unavailable)
        };
        Some((id, outcome))
    }

    /// Whether an attempt of this process is under way whose first try has failed.
    pub(super) fn has_failed_once(&self) -> bool {
        if let Self::Pausing { attempt, .. } | Self::Asking { attempt, .. } = self {
            return attempt.failed;
        }
        false
    }

    /// Whether the outcome of this job is still open.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self, Self::Idle | Self::Releasing { .. })
    }
}

impl Machine {
    /// Goes on with the job. False if there is nothing to go on with.
    pub(super) fn step_job(&mut self) -> bool {
        let free = matches!(self.lane, Lane::Idle);
        let due = |until: Timestamp| self.stopping || until <= self.now;
        match core::mem::replace(&mut self.job, Job::Idle) {
            Job::Idle if !self.stopping && self.need(self.now).is_some() => self.acquire(0),
            Job::Waiting { until, .. } if due(until) && self.stopping => {}
            Job::Waiting { until, looks } if due(until) => {
                self.job = Job::Looking { out: false, looks };
            }
            Job::Holding { until } if due(until) && self.stopping => self.release(),
            Job::Holding { until } if due(until) => self.job = Job::Reading { out: false },
            Job::Looking { out: false, looks } if free => {
                self.job = Job::Looking { out: true, looks };
                self.load(Whose::Job);
            }
            Job::Reading { out: false } if free => {
                self.job = Job::Reading { out: true };
                self.load(Whose::Job);
            }
            Job::Deciding { raised, rounds } => self.decide(raised, rounds),
            Job::Pausing { attempt, until } if due(until) => self.ask(attempt),
            unchanged => {
                self.job = unchanged;
                return false;
            }
        }
        true
    }

    fn acquire(&mut self, looks: u32) {
        let deadline = self.now + self.policy.store;
        let id = self.act(Action::Acquire, deadline);
        self.job = Job::Acquiring { id, deadline, looks };
    }

    /// Lets the lease go and the job end. With a grant that is still to be saved it is kept: the
    /// grant's errand ends the job then.
    fn release(&mut self) {
        self.holder = None;
        match (self.lease, self.keeping()) {
            (Lease::Held { .. }, Some(nonce)) => self.job = Job::Ending { nonce },
            (Lease::Held { .. }, None) => {
                self.lease = Lease::None;
                let deadline = self.now + self.policy.store;
                let id = self.act(Action::Release, deadline);
                self.job = Job::Releasing { id, deadline };
            }
            (Lease::None | Lease::Unlockable, _) => {
                self.lease = Lease::None;
                self.job = Job::Idle;
            }
        }
    }

    /// The attempt's outcome is saved, or there was nothing to save.
    pub(super) fn job_ended(&mut self, ended: Id) {
        if matches!(self.job, Job::Ending { nonce } if nonce == ended) {
            self.release();
        }
    }

    /// After a login or a logout of this process its older attempt is dropped; a grant that still
    /// comes is not forgotten.
    pub(super) fn abandon_job(&mut self) {
        match core::mem::replace(&mut self.job, Job::Idle) {
            Job::Asking { attempt, .. } => {
                self.remember_late(attempt.asked);
                self.release();
            }
            Job::Pausing { .. } | Job::Holding { .. } => self.release(),
            other => self.job = other,
        }
    }

    fn remember_late(&mut self, asked: Asked) {
        if self.late.len() >= 4 {
            self.late.remove(0);
        }
        self.late.push(asked);
    }

    /// An action of the job has ended.
    pub(super) fn job_done(&mut self, id: u64, outcome: Outcome) {
        if self.job.out().is_none_or(|(out, _)| out != id) {
            return self.answered_late(id, outcome);
        }
        match (core::mem::replace(&mut self.job, Job::Idle), outcome) {
            (Job::Acquiring { looks, .. }, outcome) => self.acquired(outcome, looks),
            (Job::Asking { attempt, .. }, Outcome::Answered(answer)) => {
                self.answered(attempt, answer);
            }
            // Whatever the host meant, it was no answer.
            (Job::Asking { .. }, _) => self.release(),
            // Released, or something that is never out.
            (_, _) => {}
        }
    }

    /// A grant that comes after its request was given up is taken all the same.
    fn answered_late(&mut self, id: u64, outcome: Outcome) {
        let Some(at) = self.late.iter().position(|asked| asked.id == id) else { return };
        let asked = self.late.remove(at);
        if let Outcome::Answered(Answer::Granted(grant)) = outcome {
            self.granted(asked, grant);
        }
    }

    /// A grant is saved, unless it is for somebody else.
    fn granted(&mut self, asked: Asked, grant: Grant) {
        self.claims_wanted = None;
        let stranger = match (&asked.subject, &grant.subject) {
            (Some(ours), Some(theirs)) => ours != theirs,
            (None, _) | (_, None) => false,
        };
        if stranger {
            let stored = self.record.clone();
            self.drop_grant(&asked, &grant, true, stored.as_ref());
            let ending = Ending::Refused { reason: LoginReason::AccountMismatch, code: None };
            self.enqueue_first(Errand::finish(asked, ending));
        } else {
            self.enqueue_first(Errand::keep(asked, grant));
        }
    }

    fn acquired(&mut self, outcome: Outcome, looks: u32) {
        match outcome {
            Outcome::Acquired { proves_death } => {
                self.lease = Lease::Held { proves_death };
                self.holder = None;
                self.job = Job::Reading { out: false };
            }
            Outcome::Unlockable => {
                self.lease = Lease::Unlockable;
                self.holder = None;
                if !core::mem::replace(&mut self.unlockable_told, true) {
                    self.tell(Event::Unlockable);
                }
                self.job = Job::Reading { out: false };
            }
            Outcome::Busy(holder) => {
                if self.holder.as_ref() != Some(&holder) {
                    self.tell(Event::Waiting { holder: holder.clone() });
                }
                self.holder = Some(holder);
                self.wait(looks);
            }
            Outcome::Failed(fault) | Outcome::Unknown(fault) => self.fail_store(fault),
            // Whatever the host meant, it was no answer.
            Outcome::Released
            | Outcome::Loaded(_)
            | Outcome::Saved(_)
            | Outcome::Mismatch(_)
            | Outcome::Answered(_)
            | Outcome::Revoked { .. } => self.fail_store(StoreFault::Unavailable),
        }
    }

    /// Waits before the next look at the store and the lease. Storage has no timer: waiting is
    /// the machine's. A holder that outlasts every caller's patience is looked at once a second.
    fn wait(&mut self, looks: u32) {
        const PATIENT: u32 = 1_000;
        let first = self.policy.lease_poll;
        let most = (first * (1 << looks.min(4))).min(first * 10);
        let delay = if looks < PATIENT {
            first.max(self.random.within(most))
        } else {
            Duration::from_secs(1)
        };
        self.job = Job::Waiting { until: self.now + delay, looks: looks.saturating_add(1) };
    }

    /// The load or save of the job has ended.
    pub(super) fn job_lane_done(&mut self, what: What, outcome: Outcome) {
        let job = core::mem::replace(&mut self.job, Job::Idle);
        match (job, what, outcome) {
            (Job::Looking { looks, .. }, What::Load, Outcome::Loaded(stored)) => {
                self.take(stored);
                self.looked(looks);
            }
            (Job::Reading { .. }, What::Load, Outcome::Loaded(stored)) => {
                self.take(stored);
                // What was waited for without the lease is still without it.
                let raised = self.lease == Lease::None;
                self.job = Job::Deciding { raised, rounds: 0 };
            }
            (Job::Judging { .. }, What::Save(candidate), Outcome::Saved(version)) => {
                self.over = Over::Version(version);
                self.install(candidate);
                self.release();
            }
            (Job::Beginning { attempt, .. }, What::Save(candidate), Outcome::Saved(version)) => {
                self.over = Over::Version(version);
                self.install(candidate);
                self.ask(attempt);
            }
            (
                Job::Beginning { rounds, .. } | Job::Judging { rounds },
                What::Save(_),
                Outcome::Mismatch(stored),
            ) => {
                self.take(stored);
                if rounds >= ROUNDS {
                    self.release();
                    return self.fail_store(StoreFault::Unavailable);
                }
                let raised = self.lease == Lease::None;
                self.job = Job::Deciding { raised, rounds: rounds + 1 };
            }
            (Job::Beginning { attempt, rounds }, What::Save(_), Outcome::Unknown(_)) => {
                // Read back: one's own intent is known by its nonce.
                self.job = Job::Beginning { attempt, rounds };
                self.load(Whose::Job);
            }
            (Job::Beginning { attempt, rounds }, What::Load, Outcome::Loaded(stored)) => {
                self.take(stored);
                let nonce = attempt.asked.nonce;
                let ours = self.record.as_ref().and_then(|record| record.attempt.as_ref());
                if ours.is_some_and(|intent| intent.nonce == nonce) {
                    self.ask(attempt);
                } else if rounds >= ROUNDS {
                    self.release();
                    self.fail_store(StoreFault::Unavailable);
                } else {
                    let raised = self.lease == Lease::None;
                    self.job = Job::Deciding { raised, rounds: rounds + 1 };
                }
            }
            (_, _, Outcome::Failed(fault) | Outcome::Unknown(fault)) => {
                self.release();
                self.fail_store(fault);
            }
            (_, _, _) => {
                self.release();
                self.fail_store(StoreFault::Unavailable);
            }
        }
    }

    /// Between two tries for the lease: is there still a need, and may another's intent be passed
    /// over?
    fn looked(&mut self, looks: u32) {
        let need = self.need(self.now);
        if need.is_none_or(|need| need == Need::Ahead) {
            if need.is_some() {
                // Somebody else is at it; nobody waits for this.
                self.quiet_until = self.now + self.policy.reread.max(Duration::from_secs(1));
            }
            self.holder = None;
            self.job = Job::Idle;
            return;
        }
        let passable = self.policy.rotation.survives_two_requests();
        let over = self
            .record
            .as_ref()
            .and_then(|record| record.attempt.as_ref())
            .is_some_and(|intent| self.open_until(intent, true) <= self.now);
        if passable && over {
            self.job = Job::Deciding { raised: true, rounds: 0 };
            return;
        }
        // A try for the lease after every look; the looks come further and further apart.
        self.acquire(looks);
    }

    /// What to do about the record that was just read.
    fn decide(&mut self, raised: bool, rounds: u32) {
        let Some((mut candidate, events)) = self.judged() else {
            return self.release();
        };
        let now = self.now;
        let need = self.need_of(&candidate.record, now);
        let open = candidate.record.attempt.clone();
        let renewable = need.filter(|need| {
            candidate.record.is_renewable() && self.delay(&candidate.record, *need, now).is_none()
        });
        // With a grant in hand, nothing is asked for: what it was made of is spent.
        if self.keeping().is_some() {
            return self.release();
        }
        let go_on = !self.stopping && !self.is_being_replaced();
        let Some(need) = renewable.filter(|_| go_on) else {
            if candidate.claims > 0 || self.rolled_back {
                for event in events {
                    self.tell(event);
                }
                self.job = Job::Judging { rounds };
                let over = self.over.clone();
                return self.save(candidate, over, Whose::Job);
            }
            return self.release();
        };
        if let Some(intent) = &open {
            let until = self.open_until(intent, raised);
            if until > now {
                // Its owner may live, and end it sooner.
                let until = until.min(now + Duration::from_secs(1));
                self.job = Job::Holding { until };
                return;
            }
        }
        let by_token = candidate.record.client.renewal == Renewal::RefreshToken;
        let sent = candidate.record.refresh_token.clone().filter(|_| by_token);
        let claims = self.claims.iter().rev().find_map(|claim| claim.claims.clone());
        self.claims_wanted = claims.or(self.claims_wanted.take());
        let crash = open.is_some();
        let in_doubt = match candidate.record.refresh {
            Refresh::InDoubt { since } => Some(since),
            Refresh::Usable | Refresh::Dead { .. } | Refresh::Absent => None,
        };
        let doubt = in_doubt.or(open.map(|intent| intent.at)).filter(|_| by_token);
        let nonce = self.random.id();
        let intent = Intent {
            nonce,
            owner: self.owner,
            at: now,
            deadline: now + self.policy.intent(),
            raised,
        };
        let asked = Asked {
            id: 0,
            incarnation: candidate.record.incarnation,
            generation: candidate.record.generation,
            nonce,
            sent,
            claims: self.claims_wanted.clone(),
            for_claims: self.claims_wanted.is_some(),
            client: Box::new(candidate.record.client.clone()),
            subject: candidate.record.subject.clone(),
            asked_at: now,
            is_copied: self.is_foreign(&candidate.record),
            is_later: false,
            extra: 0,
            intent_deadline: intent.deadline,
        };
        let attempt = Box::new(Attempt {
            asked,
            need,
            deadline: now + self.policy.attempt,
            tries: 0,
            malformed: 0,
            // In doubt, or after a crash, this attempt's first send is the replay already.
            replays: u32::from(doubt.is_none()),
            nonce_sent: false,
            doubt,
            failed: false,
        });
        let budget = candidate.record.budget.debited(self.policy.burst, self.policy.refill, now);
        let begin = Begin { intent, doubt: doubt.filter(|_| crash), budget };
        let Some(step) = Current::of(&mut candidate.record).begun(begin) else {
            return self.release();
        };
        candidate.trigger = step.trigger;
        for event in events {
            self.tell(event);
        }
        self.job = Job::Beginning { attempt, rounds };
        let over = self.over.clone();
        self.save(candidate, over, Whose::Job);
    }

    /// Until when somebody's open intent is left alone. Its request may still be under way.
    ///
    /// Its deadline is a reading of the holder's clock. A holder that still has the lease lives, so
    /// it also has an intent's length from when this process first saw the intent: otherwise one
    /// whose clock is ahead would pass every holder over at once.
    fn open_until(&self, intent: &Intent, raised: bool) -> Timestamp {
        if raised {
            let (nonce, until) = self.sighted;
            return intent.deadline.max(if nonce == intent.nonce { until } else { self.now });
        }
        let proven = matches!(self.lease, Lease::Held { proves_death: true });
        let kills = self.policy.rotation == Rotation::GraceKillsEarlier;
        if intent.raised || !proven || kills {
            intent.deadline
        } else {
            intent.at + self.policy.crash_pause
        }
    }

    /// Sends the token request, if the attempt may still send.
    fn ask(&mut self, mut attempt: Box<Attempt>) {
        let ours = self.record.as_ref().is_some_and(|record| {
            record.attempt.as_ref().is_some_and(|intent| intent.nonce == attempt.asked.nonce)
        });
        if !ours {
            return self.release();
        }
        let unwanted = self.stopping || self.is_being_replaced();
        if (attempt.tries == 0 && unwanted) || self.keeping().is_some() {
            return self.finish(*attempt, None, None);
        }
        if self.stopping || self.now >= attempt.deadline {
            // No send past one's own deadline.
            let failure = Failure::new(Cause::Unreachable, Applied::No);
            return self.finish(*attempt, Some(failure), None);
        }
        attempt.tries += 1;
        attempt.asked.asked_at = self.now;
        let event = Event::Asked { generation: attempt.asked.generation, attempt: attempt.tries };
        self.tell(event);
        let action = Action::Ask {
            client: attempt.asked.client.clone(),
            refresh_token: attempt.asked.sent.clone(),
            claims: attempt.asked.claims.clone(),
        };
        let id = self.act(action, attempt.deadline);
        attempt.asked.id = id;
        self.job = Job::Asking { attempt, id };
    }

    fn answered(&mut self, mut attempt: Box<Attempt>, answer: Answer) {
        match answer {
            Answer::Granted(grant) => {
                attempt.asked.is_later = attempt.doubt.is_some();
                self.job = Job::Ending { nonce: attempt.asked.nonce };
                self.granted(attempt.asked, grant);
            }
            Answer::Refused(Refusal { code, kind }) => {
                let reason = match kind {
                    RefusalKind::Interaction => LoginReason::InteractionRequired,
                    _ if attempt.doubt.is_some() => LoginReason::RotationLost,
                    _ if attempt.asked.is_copied => LoginReason::LineageForked,
                    RefusalKind::Reused => LoginReason::ReuseDetected,
                    RefusalKind::Dead => LoginReason::Refused,
                };
                self.job = Job::Ending { nonce: attempt.asked.nonce };
                let ending = Ending::Refused { reason, code: Some(code) };
                self.enqueue_first(Errand::finish(attempt.asked, ending));
            }
            Answer::NonceWanted if !attempt.nonce_sent => {
                attempt.nonce_sent = true;
                attempt.asked.extra += 1;
                self.ask(attempt);
            }
            Answer::NonceWanted => {
                let mut failure = Failure::new(Cause::UnknownError, Applied::No);
                failure.code = Some("use_dpop_nonce".into());
                self.finish(*attempt, Some(failure), None);
            }
            Answer::Failed(failure) => self.failed(attempt, failure),
            Answer::Unusable { refresh_token, failure } => {
                let (cause, code) = (failure.cause, failure.code.clone());
                self.tell(Event::TryFailed { cause, code, next_try_at: None });
                attempt.doubt = None;
                self.finish(*attempt, Some(failure), Some(refresh_token));
            }
        }
    }

    /// A try brought neither a grant nor a refusal: again, or not?
    fn failed(&mut self, mut attempt: Box<Attempt>, failure: Failure) {
        attempt.failed = true;
        let now = self.now;
        let spends = attempt.asked.sent.is_some();
        if failure.applied == Applied::PerhapsLater {
            self.remember_late(attempt.asked.clone());
        }
        // Claims that the server does not take are one API's matter, and no other's.
        let not_taken = matches!(failure.cause, Cause::ClientMisconfigured | Cause::UnknownError)
            && attempt.asked.claims.take().is_some();
        let delay = match failure.applied {
            Applied::No if not_taken => Some(Duration::ZERO),
            Applied::Perhaps | Applied::PerhapsLater if !spends => {
                self.delay_of_next_try(&mut attempt, &failure)
            }
            Applied::No => self.delay_of_next_try(&mut attempt, &failure),
            Applied::Perhaps | Applied::PerhapsLater => {
                // What was sent in doubt was the replay. One that never left is not spent.
                let spent = u32::from(attempt.doubt.is_some());
                attempt.replays = attempt.replays.saturating_sub(spent);
                attempt.doubt.get_or_insert(now);
                let at_once = failure.applied == Applied::Perhaps
                    && attempt.replays > 0
                    && self.may_replay_now(attempt.need);
                at_once.then_some(Duration::ZERO)
            }
        };
        let next_try_at =
            delay.map(|delay| now + delay).filter(|at| *at < attempt.deadline && !self.stopping);
        self.tell(Event::TryFailed {
            cause: failure.cause,
            code: failure.code.clone(),
            next_try_at,
        });
        match next_try_at {
            Some(until) => {
                attempt.asked.extra += 1;
                self.job = Job::Pausing { attempt, until };
            }
            None => self.finish(*attempt, Some(failure), None),
        }
    }

    fn may_replay_now(&self, need: Need) -> bool {
        match self.policy.rotation {
            Rotation::GraceKillsEarlier => false,
            Rotation::WithoutGrace => need == Need::Forced,
            Rotation::Unknown | Rotation::Never | Rotation::GraceKeepsEarlier => true,
        }
    }

    /// After a failure that cannot have been applied: how long until the next try, if there is one.
    fn delay_of_next_try(&mut self, attempt: &mut Attempt, failure: &Failure) -> Option<Duration> {
        let most = match failure.cause {
            Cause::ClientMisconfigured | Cause::EndpointMoved => return None,
            Cause::NotOauth | Cause::UnknownError => {
                attempt.malformed += 1;
                if attempt.malformed >= self.policy.malformed_tries {
                    return None;
                }
                self.policy.tries
            }
            Cause::Unreachable
            | Cause::NameUnresolved
            | Cause::TlsFailed
            | Cause::Unavailable
            | Cause::RateLimited
            | Cause::NoAnswer
            | Cause::Unrecognised => self.policy.tries,
        };
        // A rejection that came meanwhile has made a try ahead of need a needed one.
        let need = self.record.as_ref().and_then(|record| self.need_of(record, self.now));
        attempt.need = need.unwrap_or(attempt.need).max(attempt.need);
        if attempt.need == Need::Ahead || attempt.tries >= most {
            return None;
        }
        if let Some(asked) = failure.retry_after {
            return Some(asked);
        }
        let doublings = attempt.tries.saturating_sub(1).min(8);
        let cap = (self.policy.backoff * (1 << doublings)).min(self.policy.backoff_cap);
        Some(self.random.within(cap))
    }

    /// The attempt ends without an answer.
    fn finish(&mut self, attempt: Attempt, failure: Option<Failure>, successor: Option<Secret>) {
        let replay_left = attempt.replays > 0;
        let ahead = attempt.need == Need::Ahead;
        let doubt = attempt.doubt;
        let ending = Ending::Failed { failure, doubt, ahead, successor, replay_left };
        self.job = Job::Ending { nonce: attempt.asked.nonce };
        self.enqueue_first(Errand::finish(attempt.asked, ending));
    }
}

/// What an attempt writes that ended without an answer.
pub(super) fn end_of(
    policy: &Policy,
    record: &Record,
    asked: &Asked,
    ending: &Ending,
    now: Timestamp,
) -> Option<End> {
    let Ending::Failed { failure, doubt, ahead, successor, replay_left } = ending else {
        return None;
    };
    let (doubt, budget) = (*doubt, record.budget);
    let Some(failure) = failure else {
        let (cool_down, in_flight_until) = (record.cool_down.clone(), record.in_flight_until);
        return Some(End { cool_down, successor: None, doubt, in_flight_until, budget });
    };
    let streak = record.cool_down.as_ref().map_or(0, |old| old.streak);
    // A replay that had to wait is due when the intent ends.
    let replay_due = doubt.is_some() && *replay_left && asked.intent_deadline > now;
    let kills = policy.rotation == Rotation::GraceKillsEarlier;
    let slow = failure.applied == Applied::PerhapsLater || (kills && doubt.is_some());
    let in_flight_until = slow.then_some(asked.intent_deadline).filter(|until| *until > now);
    let streak = if replay_due { streak } else { streak.saturating_add(1) };
    let until = match (failure.retry_after, failure.cause) {
        // A server that always says "at once" is left alone for longer all the same.
        (Some(length), _) if *ahead => now + length.min(policy.retry_after_cap),
        (Some(length), _) => {
            let own = policy.cool_down_after(policy.cool_down, streak);
            now + length.min(policy.retry_after_cap).max(own)
        }
        // A code that nobody knows means nothing that passes soon.
        (None, Cause::ClientMisconfigured | Cause::EndpointMoved | Cause::UnknownError) => {
            now + policy.cool_down_cap
        }
        (None, _) if replay_due => asked.intent_deadline,
        (None, _) => now + policy.cool_down_after(policy.cool_down, streak),
    };
    // What the server asks for shortens nothing: its own request may still be under way.
    let until = if replay_due { until.max(asked.intent_deadline) } else { until };
    let cool_down = CoolDown {
        until,
        cause: failure.cause,
        code: failure.code.clone(),
        streak,
        // A Retry-After delays both.
        ahead_only: *ahead && failure.retry_after.is_none(),
    };
    let (cool_down, successor) = (Some(cool_down), successor.clone());
    Some(End { cool_down, successor, doubt, in_flight_until, budget })
}
