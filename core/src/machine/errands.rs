//! The lane to the store: one load or save at a time, for the job or for an errand.
//!
//! The file is long because every kind of errand meets every end of a save, and that table is
//! read as one.
//!
//! An errand is a change of the record that needs no lease: it is tried over the version that is
//! known, and where another process was faster, over what that process left.

#[cfg(feature = "model")]
mod model;

use alloc::boxed::Box;
use core::time::Duration;

use super::edges::Step;
use super::job::{Asked, Ending, Job};
use super::states::{Current, Death, log_in, log_out};
use super::{Action, Candidate, Event, Machine, Outcome, Output, Over, Unsaved};
use crate::client::Client;
use crate::fault::StoreFault;
use crate::grant::Grant;
use crate::id::Id;
use crate::origin::Origin;
use crate::record::{CoolDown, Login, Record, Refresh};
use crate::secret::Secret;
use crate::time::Timestamp;

/// How often one errand is tried over what other processes left, before it gives up: 64, more
/// than the processes that share one credential in practice.
const ROUNDS: u32 = 64;

/// How often a logout is tried again that could not be read or saved: 5 times, 15.5 s in all at
/// the usual backoff, since somebody waits for it.
const LOGOUT_TRIES: u32 = 5;

/// The one load or save that is out.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone))]
pub(super) enum Lane {
    Idle,
    Busy { id: u64, deadline: Timestamp, whose: Whose, what: What },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Job,
    Errand,
}

#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone))]
pub(super) enum What {
    Load,
    Save(Candidate),
}

/// A change of the record that somebody wants.
#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone))]
pub(super) struct Errand {
    kind: Kind,
    /// Whether the host waits for an answer.
    asked: bool,
    /// Whether the store must be read first.
    read: bool,
    /// What the store holds is unreadable, and this may take its place.
    over_damage: bool,
    not_before: Timestamp,
    rounds: u32,
    /// Of a logout whose save may have been applied: what is to be revoked then.
    taken: Option<(Box<Client>, Tokens)>,
}

#[derive(Debug)]
#[cfg_attr(feature = "model", derive(Clone))]
enum Kind {
    Reread,
    Login(Box<Login>),
    Logout,
    Reconsider,
    Configure(Box<Client>),
    Allow(Origin),
    Trust,
    Keep {
        asked: Asked,
        grant: Grant,
        /// Whether the grant is in use already, as the unsaved one.
        exposed: bool,
    },
    Finish {
        asked: Asked,
        ending: Ending,
    },
}

/// The tokens of a record and their `token_type_hint`s.
type Tokens = [Option<(Secret, &'static str)>; 2];

/// What an errand does next.
enum Plan {
    Save(Candidate, Over),
    Done(Result<(), StoreFault>),
    Wait,
}

impl Errand {
    fn new(kind: Kind, read: bool) -> Self {
        let not_before = Timestamp::EPOCH;
        Self { kind, asked: false, read, over_damage: false, not_before, rounds: 0, taken: None }
    }

    fn asked(kind: Kind, read: bool) -> Self {
        Self { asked: true, ..Self::new(kind, read) }
    }

    pub(super) fn login(login: Box<Login>) -> Self {
        Self::asked(Kind::Login(login), false)
    }

    pub(super) fn logout() -> Self {
        Self::asked(Kind::Logout, true)
    }

    pub(super) fn reconsider() -> Self {
        Self::asked(Kind::Reconsider, true)
    }

    pub(super) fn configure(client: Box<Client>) -> Self {
        Self::asked(Kind::Configure(client), false)
    }

    pub(super) fn allow(origin: Origin) -> Self {
        Self::asked(Kind::Allow(origin), false)
    }

    pub(super) fn keep(asked: Asked, grant: Grant) -> Self {
        Self::new(Kind::Keep { asked, grant, exposed: false }, false)
    }

    pub(super) fn finish(asked: Asked, ending: Ending) -> Self {
        Self::new(Kind::Finish { asked, ending }, false)
    }

    fn is_reread(&self) -> bool {
        matches!(self.kind, Kind::Reread)
    }

    fn keeps_unsaved(&self) -> bool {
        matches!(self.kind, Kind::Keep { exposed: true, .. })
    }
}

impl Machine {
    /// Reads the store at the next opportunity.
    pub(super) fn reread(&mut self) {
        if !self.rereading() {
            self.enqueue_first(Errand::new(Kind::Reread, true));
        }
    }

    /// Puts an errand before those that wait. The one that is out stays the first.
    pub(super) fn enqueue_first(&mut self, errand: Errand) {
        self.errands.insert(usize::from(self.errand_is_out()), errand);
    }

    /// Saves the acceptances at the next opportunity.
    pub(super) fn trust(&mut self) {
        let out = usize::from(self.errand_is_out());
        if !self.errands.iter().skip(out).any(|errand| matches!(errand.kind, Kind::Trust)) {
            self.errands.push_back(Errand::new(Kind::Trust, false));
        }
    }

    fn errand_is_out(&self) -> bool {
        matches!(self.lane, Lane::Busy { whose: Whose::Errand, .. })
    }

    pub(super) fn rereading(&self) -> bool {
        self.errands.iter().any(Errand::is_reread)
    }

    /// When the answer to the load or save that is out is taken for lost.
    pub(super) fn lane_overdue_at(&self) -> Option<Timestamp> {
        match self.lane {
            Lane::Busy { deadline, .. } => {
                Some(deadline + super::OVERDUE + Duration::from_millis(1))
            }
            Lane::Idle => None,
        }
    }

    /// When the grant that could not be saved is tried again.
    pub(super) fn saved_again_at(&self) -> Timestamp {
        let due = self.errands.iter().find(|errand| errand.keeps_unsaved()).map(|e| e.not_before);
        let due = due.filter(|at| *at > self.now).or(self.lane_overdue_at());
        due.unwrap_or(self.now + self.policy.store)
    }

    /// The attempt whose grant waits to be saved.
    pub(super) fn keeping(&self) -> Option<Id> {
        self.errands.iter().find_map(|errand| {
            if let Kind::Keep { asked, .. } = &errand.kind { Some(asked.nonce) } else { None }
        })
    }

    /// Whether something is on its way to the store after which nobody needs to log in.
    pub(super) fn may_end_login(&self) -> bool {
        let ends =
            |kind: &Kind| matches!(kind, Kind::Keep { .. } | Kind::Login(_) | Kind::Reconsider);
        self.errands.iter().any(|errand| ends(&errand.kind))
    }

    /// When the next errand wants to go on.
    pub(super) fn errands_at(&self) -> Option<Timestamp> {
        self.errands.iter().map(|errand| errand.not_before).filter(|at| *at > self.now).min()
    }

    /// Looks for another process's login or logout now and then.
    pub(super) fn step_reread(&mut self) -> bool {
        let idle = matches!((&self.job, &self.lane), (Job::Idle, Lane::Idle));
        if self.stopping || !idle || self.now < self.reread_at || self.rereading() {
            return false;
        }
        self.reread_at = self.now + self.policy.reread;
        self.reread();
        true
    }

    /// Goes on with the errand that is next. False if there is nothing to go on with.
    pub(super) fn step_lane(&mut self) -> bool {
        if matches!(self.lane, Lane::Busy { .. }) || self.job.wants_lane() {
            return false;
        }
        if self.stopping {
            self.errands.retain(|errand| !errand.is_reread());
        }
        let Some(at) = self.errands.iter().position(|errand| errand.not_before <= self.now) else {
            return false;
        };
        // The errand that is out is the first one.
        if let Some(errand) = self.errands.remove(at) {
            let read = errand.read || !self.loaded && !errand.over_damage;
            self.errands.push_front(errand);
            if read {
                self.load(Whose::Errand);
                return true;
            }
        }
        match self.plan() {
            Plan::Save(candidate, over) => self.save(candidate, over, Whose::Errand),
            Plan::Done(result) => self.end_errand(result),
            Plan::Wait => return false,
        }
        true
    }

    pub(super) fn load(&mut self, whose: Whose) {
        let deadline = self.now + self.policy.store;
        let id = self.act(Action::Load, deadline);
        self.lane = Lane::Busy { id, deadline, whose, what: What::Load };
    }

    pub(super) fn save(&mut self, candidate: Candidate, over: Over, whose: Whose) {
        let deadline = self.now + self.policy.store;
        let record = candidate.record.clone();
        let id = self.act(Action::Save { record, over }, deadline);
        self.lane = Lane::Busy { id, deadline, whose, what: What::Save(candidate) };
    }

    /// The load or save that was out has ended.
    pub(super) fn lane_done(&mut self, outcome: Outcome) {
        let Lane::Busy { whose, what, .. } = core::mem::replace(&mut self.lane, Lane::Idle) else {
            return;
        };
        match whose {
            Whose::Job => self.job_lane_done(what, outcome),
            Whose::Errand => self.errand_lane_done(what, outcome),
        }
    }

    fn errand_lane_done(&mut self, what: What, outcome: Outcome) {
        match (what, outcome) {
            (What::Load, Outcome::Loaded(stored)) => {
                self.take(stored);
                if let Some(errand) = self.errands.front_mut() {
                    errand.read = false;
                    errand.over_damage = false;
                }
            }
            (What::Load, Outcome::Failed(fault) | Outcome::Unknown(fault)) => {
                self.errand_unread(fault);
            }
            (What::Save(candidate), Outcome::Saved(version)) => {
                self.over = Over::Version(version);
                self.loaded = true;
                self.errand_saved(candidate);
            }
            (What::Save(_), Outcome::Mismatch(stored)) => {
                self.take(stored);
                let mut spent = false;
                if let Some(errand) = self.errands.front_mut() {
                    errand.over_damage = false;
                    errand.rounds += 1;
                    spent = errand.rounds > ROUNDS;
                }
                if spent {
                    self.errand_unsaved(None, StoreFault::Unavailable, false);
                }
            }
            (What::Save(candidate), Outcome::Failed(fault)) => {
                self.errand_unsaved(Some(candidate), fault, false);
            }
            (What::Save(candidate), Outcome::Unknown(fault)) => {
                self.errand_unsaved(Some(candidate), fault, true);
            }
            (What::Load | What::Save(_), _) => {
                // The host answered something else than it was asked; ask again.
                self.errand_unsaved(None, StoreFault::Unavailable, true);
            }
        }
    }

    /// The store could not be read for the first errand.
    fn errand_unread(&mut self, fault: StoreFault) {
        let damaged =
            matches!(fault, StoreFault::Corrupt | StoreFault::UnknownFormat | StoreFault::WrongKey);
        let sealed_off = matches!(fault, StoreFault::KeyMissing | StoreFault::WrongKeySource);
        let Some(errand) = self.errands.front_mut() else { return };
        let replaceable = match errand.kind {
            Kind::Login(_) => damaged,
            Kind::Logout => damaged || sealed_off,
            Kind::Keep { .. } | Kind::Finish { .. } => return self.put_off(),
            Kind::Reread | Kind::Reconsider | Kind::Configure(_) | Kind::Allow(_) | Kind::Trust => {
                false
            }
        };
        if replaceable {
            (errand.read, errand.over_damage) = (false, true);
            return;
        }
        // What nobody can mend passes by itself, perhaps.
        let logout = matches!(errand.kind, Kind::Logout) && errand.rounds < LOGOUT_TRIES;
        if logout && fault == StoreFault::Unavailable {
            return self.put_off();
        }
        if errand.is_reread() {
            self.fail_store(fault);
        }
        self.end_errand(Err(fault));
    }

    /// Tries the first errand again later, from a fresh reading.
    fn put_off(&mut self) {
        if let Some(mut errand) = self.errands.pop_front() {
            let delay = self.policy.backoff * (1 << errand.rounds.min(8));
            errand.rounds = errand.rounds.saturating_add(1);
            errand.read = true;
            errand.not_before = self.now + delay.min(self.policy.backoff_cap);
            self.errands.push_back(errand);
        }
    }

    /// What the first errand makes of the record, over what the store is known to hold.
    fn plan(&mut self) -> Plan {
        let Some(errand) = self.errands.front() else { return Plan::Wait };
        let over = if errand.over_damage { Over::Damaged } else { self.over.clone() };
        match &errand.kind {
            Kind::Reread => Plan::Done(Ok(())),
            Kind::Login(login) => {
                if self.record.as_ref().is_some_and(|r| r.incarnation == login.incarnation) {
                    return Plan::Done(Ok(()));
                }
                let mut record = Record::login(login, self.record.as_ref());
                record.written_by.clone_from(&self.host);
                Plan::Save(self.replacing(record, log_in), over)
            }
            Kind::Logout => self.plan_logout(over),
            Kind::Reconsider => self.plan_reconsider(),
            Kind::Configure(client) => {
                let client = client.clone();
                self.plan_change(over, |record| {
                    let same = record.client.is(&client);
                    // A cool-down over the old configuration says nothing about the new one.
                    record.cool_down = record.cool_down.take().filter(|_| same);
                    record.client = *client;
                })
            }
            Kind::Allow(origin) => {
                let origin = origin.clone();
                if self.record.as_ref().is_some_and(|r| r.origins.contains(&origin)) {
                    return Plan::Done(Ok(()));
                }
                self.plan_change(over, |record| record.origins.push(origin))
            }
            Kind::Trust => {
                // A rejection that came meanwhile says more than the acceptance.
                if self.accepted.is_empty() || !self.claims.is_empty() {
                    return Plan::Done(Ok(()));
                }
                self.plan_change(over, |_| {})
            }
            Kind::Keep { .. } => self.plan_keep(over),
            Kind::Finish { .. } => self.plan_finish(over),
        }
    }

    /// Whether a login or logout waits, after which nothing that is begun now is worth anything.
    pub(super) fn is_being_replaced(&self) -> bool {
        self.errands.iter().any(|errand| matches!(errand.kind, Kind::Login(_) | Kind::Logout))
    }

    /// Saves the record with one change, if there is a record.
    fn plan_change(&self, over: Over, change: impl FnOnce(&mut Record)) -> Plan {
        match self.settled() {
            Some(mut candidate) => {
                change(&mut candidate.record);
                Plan::Save(candidate, over)
            }
            None => Plan::Done(Ok(())),
        }
    }

    fn plan_logout(&mut self, over: Over) -> Plan {
        if over == Over::Damaged {
            // Whose record it was cannot be read, and may be a login that was never seen here.
            let mut end = Record::logged_out(Id([0; 16]), 0, self.now);
            if let Some(old) = &self.record {
                end.superseded.clone_from(&old.superseded);
                end.supersede(old.incarnation);
            }
            return Plan::Save(self.replacing(end, log_out), over);
        }
        let Some(old) = self.record.as_ref() else { return Plan::Done(Ok(())) };
        if old.is_logged_out() && !self.rolled_back {
            let taken = self.errands.front_mut().and_then(|errand| errand.taken.take());
            if let Some((client, tokens)) = taken {
                // The save whose outcome nobody knew was applied.
                self.abandon_job();
                self.revoke(Some(client), tokens.into_iter().flatten());
            }
            return Plan::Done(Ok(()));
        }
        let mut end = Record::logged_out(old.incarnation, old.generation, self.now);
        end.superseded.clone_from(&old.superseded);
        end.origins.clone_from(&old.origins);
        end.client = old.client.clone();
        end.client.client_secret = None;
        end.unknown.clone_from(&old.unknown);
        Plan::Save(self.replacing(end, log_out), over)
    }

    /// A record that takes the place of all there was.
    fn replacing(
        &self,
        record: Record,
        turn: impl for<'r> FnOnce(Current<'r>, Record) -> Step,
    ) -> Candidate {
        let mut whole = Box::new(self.record.clone().unwrap_or_else(|| record.clone()));
        let trigger = turn(Current::of(&mut whole), record).trigger;
        Candidate { record: whole, trigger, claims: usize::MAX, accepted: usize::MAX }
    }

    /// The change itself is saved with the intent that follows from it.
    fn plan_reconsider(&mut self) -> Plan {
        let from = self.state();
        let refused = |record: &&mut Record| matches!(record.refresh, Refresh::Dead { .. });
        let record = self.record.as_mut().filter(refused);
        let step = record.and_then(|record| Current::of(record).reconsidered());
        if let Some(step) = step {
            self.reconsider = true;
            self.tell_change(from, step.trigger);
        }
        Plan::Done(Ok(()))
    }

    fn plan_keep(&mut self, over: Over) -> Plan {
        let Some(Errand { kind: Kind::Keep { asked, grant, exposed }, .. }) = self.errands.front()
        else {
            return Plan::Done(Ok(()));
        };
        if *exposed {
            // It is in the record already, in use; only the save is missing. Or it was dropped.
            return match self.settled().filter(|_| self.unsaved.is_some()) {
                Some(candidate) => Plan::Save(candidate, over),
                None => Plan::Done(Ok(())),
            };
        }
        let (asked, grant) = (asked.clone(), grant.clone());
        let Some((mut candidate, _)) = self.judged() else {
            self.drop_grant(&asked, &grant, true, None);
            return Plan::Done(Ok(()));
        };
        if !asked.applies_to(&candidate.record) {
            let record = candidate.record;
            let same = record.slot().is_some_and(|s| s.access_token.is(&grant.access_token));
            if !same {
                let revocable = record.incarnation != asked.incarnation || record.is_logged_out();
                self.drop_grant(&asked, &grant, revocable, Some(&record));
            }
            return Plan::Done(Ok(()));
        }
        let step = self.grant_onto(&mut candidate.record, &asked, &grant);
        candidate.trigger = step.trigger;
        Plan::Save(candidate, over)
    }

    fn plan_finish(&mut self, over: Over) -> Plan {
        let Some(Errand { kind: Kind::Finish { asked, ending }, .. }) = self.errands.front() else {
            return Plan::Done(Ok(()));
        };
        let Some((mut candidate, _)) = self.judged() else { return Plan::Done(Ok(())) };
        let record = &mut *candidate.record;
        let applies = match ending {
            // The authorization server refused the refresh token that the store holds now.
            Ending::Refused { .. } => {
                record.incarnation == asked.incarnation && asked.was_made_of(record)
            }
            Ending::Failed { .. } => {
                record.attempt.as_ref().is_some_and(|intent| intent.nonce == asked.nonce)
            }
        };
        if !applies {
            return Plan::Done(Ok(()));
        }
        let (policy, now) = (&self.policy, self.now);
        for _ in 0..asked.extra {
            record.budget = record.budget.debited(policy.burst, policy.refill, now);
        }
        let step = match ending {
            Ending::Refused { reason, code } => {
                let death = Death { reason: *reason, code: code.clone(), at: now };
                Current::of(record).refused(death)
            }
            Ending::Failed { .. } => super::job::end_of(policy, record, asked, ending, now)
                .and_then(|end| Current::of(record).failed(end)),
        };
        match step {
            Some(step) => {
                candidate.trigger = step.trigger;
                Plan::Save(candidate, over)
            }
            None => Plan::Done(Ok(())),
        }
    }

    /// The first errand's save is durable.
    fn errand_saved(&mut self, candidate: Candidate) {
        let late = self.unsaved.take().is_some();
        let generation = candidate.record.generation;
        let before = self.record.as_ref().map(tokens);
        let old_scope = self.record.as_ref().and_then(|r| r.slot()?.scope.clone());
        let client = self.record.as_ref().map(|record| Box::new(record.client.clone()));
        let ends = candidate.record.cool_down.clone();
        let Some(errand) = self.errands.front() else { return };
        let whole = matches!(errand.kind, Kind::Login(_) | Kind::Logout);
        if whole {
            self.forget_reports();
        }
        self.install(candidate);
        if whole {
            self.abandon_job();
        }
        if late && !whole {
            self.tell(Event::SavedAtLast { generation });
        }
        match self.errands.front().map(|errand| &errand.kind) {
            Some(Kind::Login(_)) => self.tell(Event::LoggedIn { generation }),
            Some(Kind::Logout) => self.revoke(client, before.into_iter().flatten().flatten()),
            Some(Kind::Keep { .. }) => {
                if !late {
                    self.tell(Event::Refreshed { generation });
                }
                let scope = self.record.as_ref().and_then(|r| r.slot()?.scope.clone());
                if scope != old_scope {
                    self.tell(Event::ScopeChanged { scope });
                }
            }
            Some(Kind::Finish { ending: Ending::Failed { failure: Some(_), .. }, .. }) => {
                if let Some(CoolDown { cause, code, until, .. }) = ends {
                    self.tell(Event::Delayed { cause, code, retry_at: until });
                }
            }
            Some(
                Kind::Finish { ending: Ending::Refused { .. }, .. }
                | Kind::Finish { ending: Ending::Failed { failure: None, .. }, .. }
                | Kind::Configure(_)
                | Kind::Allow(_)
                | Kind::Trust
                | Kind::Reread
                | Kind::Reconsider,
            )
            | None => {}
        }
        self.end_errand(Ok(()));
    }

    /// Revokes what a logout took away, from memory: the tombstone is saved.
    fn revoke(
        &mut self,
        client: Option<Box<Client>>,
        tokens: impl Iterator<Item = (Secret, &'static str)>,
    ) {
        let client = client.filter(|client| client.revocation_endpoint.is_some());
        let deadline = self.now + self.policy.store;
        self.revoked = true;
        for (token, hint) in tokens {
            match client.clone() {
                Some(client) => {
                    let id = self.act(Action::Revoke { client, token, hint }, deadline);
                    self.revoking.push(id);
                }
                None => self.revoked = false,
            }
        }
        self.tell_logged_out();
    }

    fn tell_logged_out(&mut self) {
        if self.revoking.is_empty() {
            self.tell(Event::LoggedOut { revoked: self.revoked });
        }
    }

    /// A revocation has ended. False if it was none of a logout.
    pub(super) fn on_revoked(&mut self, id: u64, outcome: &Outcome) -> bool {
        let Some(at) = self.revoking.iter().position(|out| *out == id) else { return false };
        self.revoking.remove(at);
        self.revoked &= matches!(outcome, Outcome::Revoked { confirmed: true });
        self.tell_logged_out();
        true
    }

    /// The first errand's save failed, or nobody knows.
    fn errand_unsaved(&mut self, candidate: Option<Candidate>, fault: StoreFault, unknown: bool) {
        let Some(errand) = self.errands.front_mut() else { return };
        match &mut errand.kind {
            Kind::Keep { asked, grant, exposed } => {
                let unsaved = Unsaved { fault, asked: asked.clone(), grant: grant.clone() };
                let first = !*exposed && self.unsaved.is_none();
                if let (true, Some(candidate)) = (first, candidate) {
                    *exposed = true;
                    self.unsaved = Some(unsaved);
                    self.expose(candidate);
                    self.tell(Event::NotSaved { fault });
                }
                self.put_off();
            }
            Kind::Finish { ending, .. } => {
                // A refresh token that nobody else has is kept for as long as it takes.
                let worth = matches!(ending, Ending::Failed { successor: Some(_), .. });
                if let Some(candidate) = candidate {
                    self.expose(candidate);
                }
                self.fail_store(fault);
                // What an attempt came to is worth a few tries; the open intent says the rest.
                let tries_left = self.errands.front().is_some_and(|errand| errand.rounds < 3);
                if worth || (tries_left && !self.stopping) {
                    self.put_off();
                } else {
                    self.end_errand(Err(fault));
                }
            }
            Kind::Logout => {
                if unknown && let Some(record) = &self.record {
                    errand.taken = Some((Box::new(record.client.clone()), tokens(record)));
                }
                // Nobody else would end what a logout leaves behind.
                if errand.rounds < LOGOUT_TRIES {
                    self.put_off();
                } else {
                    self.end_errand(Err(fault));
                }
            }
            // Read back what came of it.
            Kind::Login(_) | Kind::Reconsider | Kind::Configure(_) | Kind::Allow(_)
                if unknown && errand.rounds < 2 =>
            {
                errand.rounds += 1;
                errand.read = true;
            }
            Kind::Login(_)
            | Kind::Reconsider
            | Kind::Configure(_)
            | Kind::Allow(_)
            | Kind::Reread
            | Kind::Trust => self.end_errand(Err(fault)),
        }
    }

    /// The candidate is in use, though the store does not hold it. What servers said stays to be
    /// saved.
    fn expose(&mut self, mut candidate: Candidate) {
        let (durable, rolled_back) = (self.durable, self.rolled_back);
        (candidate.claims, candidate.accepted) = (0, 0);
        self.install(candidate);
        (self.durable, self.rolled_back) = (durable, rolled_back);
    }

    /// The first errand is over.
    fn end_errand(&mut self, result: Result<(), StoreFault>) {
        let Some(errand) = self.errands.pop_front() else { return };
        match errand.kind {
            Kind::Keep { asked, .. } | Kind::Finish { asked, .. } => self.job_ended(asked.nonce),
            Kind::Trust => self.accepted.clear(),
            Kind::Reread
            | Kind::Login(_)
            | Kind::Logout
            | Kind::Reconsider
            | Kind::Configure(_)
            | Kind::Allow(_) => {}
        }
        if errand.asked {
            self.out.push_back(Output::Answered(result));
        }
    }

    /// The store did not do what it was asked.
    pub(super) fn fail_store(&mut self, fault: StoreFault) {
        let streak = self.trouble.map_or(0, |trouble| trouble.streak).saturating_add(1);
        let delay = Duration::from_secs(1) * (1 << (streak - 1).min(5));
        let until = self.now + delay;
        let news = self.trouble.is_none_or(|trouble| trouble.fault != fault);
        self.trouble = Some(super::Trouble { fault, until, streak });
        if news {
            self.tell(Event::StoreFailed { fault, retry_at: until });
        }
    }
}

/// The tokens of a record, the refresh token first, as RFC 7009 section 2.1 names them.
fn tokens(record: &Record) -> Tokens {
    [
        record.refresh_token.clone().map(|token| (token, "refresh_token")),
        record.slot().map(|slot| (slot.access_token.clone(), "access_token")),
    ]
}
