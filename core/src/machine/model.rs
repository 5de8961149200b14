//! For proofs: a machine without jitter, what a checker may look at, and the canonical form in
//! which two states that behave the same are one.

mod canonical;
mod facts;
mod server_words;
#[cfg(test)]
mod tests;

use core::time::Duration;

pub use canonical::Canonical;

use super::errands::{Lane, What};
use super::job::{Job, Lease};
use super::random::Random;
use super::view::{Blocked, Gate, View};
use super::{Candidate, Machine, OVERDUE, Output, Passage, Policy, Strange, Trouble, Unsaved};
use crate::grant::Grant;
use crate::id::Id;
use crate::record::{Record, StateKind};
use crate::time::Timestamp;

/// A grant that a machine holds and has not saved yet.
#[derive(Clone, Copy, Debug)]
pub struct GrantInHand<'a> {
    /// The grant.
    pub grant: &'a Grant,
    /// The login that it was redeemed for.
    pub incarnation: Id,
    /// The generation that it was redeemed from.
    pub generation: u64,
}

impl Machine {
    /// A machine whose waits are as short as their jitter allows and whose names are numbers:
    /// `number` and a counter. Unlike [`Machine::new`], for which the host has random bits.
    pub fn without_jitter(policy: Policy, number: u64, now: Timestamp) -> Self {
        let mut machine = Self::new(policy, [0; 32], now);
        machine.random = Random::without_jitter(number);
        machine.owner = machine.random.id();
        machine.spread = 0;
        machine
    }

    /// Whether anything is under way: a job, a load or save, or an errand that waits for one.
    pub fn is_working(&self) -> bool {
        self.job.is_open() || !matches!(self.lane, Lane::Idle) || !self.errands.is_empty()
    }

    /// Whether the machine believes that it holds the lease.
    pub fn holds_lease(&self) -> bool {
        matches!(self.lease, Lease::Held { .. })
    }

    /// Whether a refused refresh token is to be tried once more.
    pub fn is_reconsidering(&self) -> bool {
        self.reconsider
    }

    /// Whether the store is seen to hold an older copy of the record.
    pub fn is_rolled_back(&self) -> bool {
        self.rolled_back
    }

    /// What the save that is out changes: the trigger and the state that its record spells.
    pub fn pending_change(&self) -> Option<(&'static str, StateKind)> {
        match &self.lane {
            Lane::Busy { what: What::Save(candidate), .. } => {
                Some((candidate.trigger, candidate.record.state()))
            }
            Lane::Busy { what: What::Load, .. } | Lane::Idle => None,
        }
    }

    /// The grants that are not saved yet.
    pub fn grants_in_hand(&self) -> impl Iterator<Item = GrantInHand<'_>> {
        let unsaved = self.unsaved.iter().map(|unsaved| GrantInHand {
            grant: &unsaved.grant,
            incarnation: unsaved.asked.incarnation,
            generation: unsaved.asked.generation,
        });
        unsaved.chain(self.errands.iter().filter_map(super::errands::Errand::grant_in_hand))
    }
}

impl Canonical {
    /// Writes a machine. The clock that counts is the one of [`Canonical::clock`].
    pub fn machine(&mut self, machine: &Machine) {
        let Machine {
            // One for all machines of a model.
            policy: _,
            // Names are renamed, and there is no jitter.
            random: _,
            owner: _,
            spread: _,
            // One for all machines of a model.
            host: _,
            now,
            loaded,
            record,
            over,
            durable,
            claims,
            refused,
            before,
            accepted,
            claims_wanted,
            reconsider,
            unsaved,
            rolled_back,
            trouble,
            job,
            lease,
            lane,
            errands,
            late,
            revoking,
            revoked,
            holder,
            sighted,
            unlockable_told,
            quiet_until,
            reread_at,
            strange,
            stopping,
            stopped,
            login_told,
            due_at,
            // Told apart by which of them are out, below.
            next_id: _,
            out,
            view,
        } = machine;
        // The machine's own time matters only where it is ahead of the clock.
        self.moment(*now);
        self.flags(&[
            *loaded,
            *reconsider,
            *rolled_back,
            *unlockable_told,
            *stopping,
            *stopped,
            *login_told,
        ]);
        self.option(record.as_ref(), Self::record);
        self.over(over);
        self.generation(*durable);
        self.list(claims, Self::claim);
        let current = record.as_ref().map(Record::token_id);
        // Who rejected an older token is of no consequence any more.
        let (rejected, by) = refused;
        if current.is_none_or(|current| rejected.generation >= current.generation) && !by.is_empty()
        {
            self.token_id(*rejected);
            self.origins_in_any_order(by);
        }
        if !claims.is_empty() {
            self.number(*before as u64);
        }
        self.list(accepted, Self::origin);
        self.option(claims_wanted.as_ref(), |form, text| form.text(text));
        self.option(unsaved.as_ref(), |form, Unsaved { fault, asked, grant }| {
            form.number(*fault as u64);
            form.asked(asked);
            form.grant(grant);
        });
        self.option(trouble.as_ref(), |form, Trouble { fault, until, streak }| {
            form.number(*fault as u64);
            form.moment(*until);
            // The wait doubles five times.
            form.number(u64::from((*streak).min(6)));
        });
        self.job(job);
        self.number(match lease {
            Lease::None => 0,
            Lease::Held { proves_death: false } => 1,
            Lease::Held { proves_death: true } => 2,
            Lease::Unlockable => 3,
        });
        self.lane(lane);
        self.list(errands, Self::errand);
        self.late(late);
        self.list(revoking, |form, id| form.action(*id));
        self.flags(&[!revoking.is_empty() && *revoked]);
        // Who it is, is for people.
        self.flags(&[holder.is_some()]);
        let open = record.as_ref().and_then(|record| record.attempt.as_ref());
        if open.is_some_and(|intent| intent.nonce == sighted.0) {
            self.moment(sighted.1);
        }
        self.moment(*quiet_until);
        self.moment(*reread_at);
        self.moment(*due_at);
        self.list(strange, |form, Strange { raw, most, counts_as }| {
            form.moment(*raw);
            form.number(u64::try_from(most.as_millis()).unwrap_or(u64::MAX));
            form.moment(*counts_as);
        });
        self.list(out, |form, output| {
            let Output::Act { id, .. } = output else { return form.number(0) };
            form.action(*id);
        });
        self.view(view);
    }

    /// Writes the passage of a request.
    pub fn passage(&mut self, passage: &Passage) {
        passage.write(self);
    }

    fn lane(&mut self, lane: &Lane) {
        let Lane::Busy { id, deadline, whose, what } = lane else { return self.number(0) };
        self.number(1 + *whose as u64);
        self.action(*id);
        self.overdue(*deadline);
        match what {
            What::Load => self.number(0),
            What::Save(Candidate { record, trigger, claims, accepted }) => {
                self.number(1);
                self.record(record);
                self.text(trigger);
                self.number(*claims as u64);
                self.number(*accepted as u64);
            }
        }
    }

    fn job(&mut self, job: &Job) {
        // How often was looked lengthens the wait by jitter, which there is none of, and after a
        // thousand times, which no model reaches.
        match job {
            Job::Idle => self.number(0),
            Job::Acquiring { id, deadline, looks: _ } => {
                self.number(1);
                self.action(*id);
                self.overdue(*deadline);
            }
            Job::Waiting { until, looks: _ } => {
                self.number(2);
                self.moment(*until);
            }
            Job::Looking { out, looks: _ } => self.flags(&[true, false, *out]),
            Job::Reading { out } => self.flags(&[true, true, *out]),
            Job::Deciding { raised, rounds } => {
                self.number(5);
                self.flags(&[*raised]);
                self.number(u64::from(*rounds));
            }
            Job::Holding { until } => {
                self.number(6);
                self.moment(*until);
            }
            Job::Judging { rounds } => {
                self.number(7);
                self.number(u64::from(*rounds));
            }
            Job::Beginning { attempt, rounds } => {
                self.number(8);
                self.attempt(attempt);
                self.number(u64::from(*rounds));
            }
            Job::Pausing { attempt, until } => {
                self.number(9);
                self.attempt(attempt);
                self.moment(*until);
            }
            Job::Asking { attempt, id } => {
                self.number(10);
                self.attempt(attempt);
                self.action(*id);
            }
            Job::Ending { nonce } => {
                self.number(11);
                self.id(*nonce);
            }
            Job::Releasing { id, deadline } => {
                self.number(12);
                self.action(*id);
                self.overdue(*deadline);
            }
        }
    }

    fn view(&mut self, view: &View) {
        let View {
            state,
            token,
            // Of the record, which is written.
            token_type: _,
            id,
            origins,
            elsewhere,
            holder,
            unsaved,
            // For people.
            code: _,
            source: _,
        } = view;
        self.option(state.as_ref(), |form, state| form.number(*state as u64));
        self.flags(&[token.is_some(), holder.is_some()]);
        self.token_id(*id);
        self.list(origins, |form, (origin, gate)| {
            form.origin(origin);
            form.gate(gate);
        });
        self.gate(elsewhere);
        self.option(unsaved.as_ref(), |form, fault| form.number(*fault as u64));
    }

    fn gate(&mut self, gate: &Gate) {
        match gate {
            Gate::Wait => self.number(0),
            Gate::Open { stale, report } => self.flags(&[true, false, *stale, *report]),
            Gate::Login(reason) => {
                self.number(2);
                self.number(*reason as u64);
            }
            Gate::Blocked(why, retry_at) => {
                self.number(3);
                match why {
                    Blocked::StillRejected => self.number(0),
                    Blocked::CoolDown(cause) => self.number(0x100 + *cause as u64),
                    Blocked::Budget => self.number(1),
                    Blocked::Store(fault) => self.number(0x200 + *fault as u64),
                }
                self.moment(*retry_at);
            }
            Gate::Foreign => self.number(4),
        }
    }

    /// Writes from when on an answer that is due then is taken for lost.
    pub(super) fn overdue(&mut self, deadline: Timestamp) {
        self.moment(deadline + OVERDUE + Duration::from_millis(1));
    }
}
