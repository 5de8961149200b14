//! Rejections: whose matter they are, judged on the re-read record.

#[cfg(feature = "model")]
mod model;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::edges::{Trigger as _, on};
use super::states::Current;
use super::{Candidate, Event, Machine};
use crate::grant::Strength;
use crate::id::TokenId;
use crate::origin::Origin;
use crate::record::{Access, Mark, Record, StateKind};

/// Marks in one record: 16, more origins than one token is bound to in practice.
const MARKS: usize = 16;

/// A rejection of the current token that is not judged yet.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    origin: Origin,
    id: TokenId,
    strength: Strength,
    ground: Ground,
    pub(super) claims: Option<String>,
}

/// What a claim rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ground {
    /// The origin's answer.
    Seen,
    /// No new rejection: the origin's cool-down is over, and it wants another token than the one
    /// it rejected.
    Again,
    /// The word of somebody outside, whose accepted requests nobody sees here. It says nothing
    /// about the next token.
    Heard,
}

impl Machine {
    /// A server rejected the token. False if that is nothing new.
    pub(super) fn on_rejected(
        &mut self,
        id: TokenId,
        origin: Origin,
        strength: Strength,
        claims: Option<String>,
    ) -> bool {
        let Some(record) = self.record.as_ref() else { return false };
        let gone = record.slot().is_none();
        if gone || id != record.token_id() || !record.origins.contains(&origin) {
            return false;
        }
        if self.refused_at(&origin) {
            self.note_refused(id, &origin);
            return false;
        }
        self.tell(Event::Rejected { id, origin: origin.clone(), strength });
        self.claim(Claim { origin, id, strength, ground: Ground::Seen, claims });
        true
    }

    /// Somebody outside says that this origin rejected the token.
    pub(super) fn on_disowned(&mut self, id: TokenId, origin: Origin) {
        let Some(record) = self.record.as_ref() else { return };
        if record.slot().is_none() || id != record.token_id() || !record.origins.contains(&origin) {
            return;
        }
        if self.refused_at(&origin) {
            return self.note_refused(id, &origin);
        }
        let strength = Strength::Strong;
        self.claim(Claim { origin, id, strength, ground: Ground::Heard, claims: None });
    }

    /// An origin whose cool-down is over wants a token that it has not rejected.
    pub(super) fn demand(&mut self, origin: &Origin) {
        let Some(record) = self.record.as_ref() else { return };
        let id = record.token_id();
        let weak = record.marks.iter().any(|mark| mark.origin == *origin && mark.weak);
        let strength = if weak { Strength::Weak } else { Strength::Strong };
        let (origin, ground) = (origin.clone(), Ground::Again);
        self.claim(Claim { origin, id, strength, ground, claims: None });
    }

    fn claim(&mut self, claim: Claim) {
        let from = self.state();
        let again = claim.ground == Ground::Again;
        self.note_refused(claim.id, &claim.origin);
        let Some(record) = self.record.as_mut() else { return };
        if self.claims.is_empty() {
            self.before = record.access();
        }
        if self.claims.len() < MARKS {
            self.claims.push(claim);
        }
        let current = Current::of(record);
        let step = if again { current.demanded() } else { current.rejected() };
        if let Some(step) = step {
            self.tell_change(from, step.trigger);
        }
    }

    /// This process saw it, whatever becomes of the mark.
    fn note_refused(&mut self, id: TokenId, origin: &Origin) {
        if self.refused.0 != id {
            self.refused = (id, Vec::new());
        }
        if !self.refused.1.contains(origin) {
            self.refused.1.push(origin.clone());
        }
    }

    /// Whether this origin rejected the current token, as far as this process knows.
    pub(super) fn refused_at(&self, origin: &Origin) -> bool {
        let Some(record) = self.record.as_ref() else { return false };
        let id = record.token_id();
        (self.refused.0 == id && self.refused.1.contains(origin))
            || record.marks.iter().any(|mark| mark.origin == *origin && mark.rejected == id)
    }

    /// Whether this origin rejected the current token, has cooled down, and a new one may be
    /// asked for.
    pub(super) fn wants_another(&self, origin: &Origin) -> bool {
        let Some(record) = self.record.as_ref() else { return false };
        let good = matches!(record.access(), Access::Trusted | Access::Probation);
        let cooling = |mark: &Mark| mark.origin == *origin && mark.until > self.now;
        let cooled = self.refused_at(origin) && !record.marks.iter().any(cooling);
        good && record.is_renewable() && cooled
    }

    /// The record with the claims judged: either the token is rejected, or each claim is its own
    /// origin's matter and the token stays as it was. Says of each origin that stays rejected.
    pub(super) fn judged(&self) -> Option<(Candidate, Vec<Event>)> {
        let mut candidate = self.candidate()?;
        let mut events = Vec::new();
        if self.claims.is_empty() {
            return Some((candidate, events));
        }
        let record = &mut *candidate.record;
        let mut genuine = !matches!(self.before, Access::Trusted | Access::Probation);
        for claim in &self.claims {
            match self.judge(record, claim) {
                Some(event) => events.push(event),
                None => genuine = true,
            }
        }
        if !genuine && let Some(step) = Current::of(record).still_rejected(self.before) {
            candidate.trigger = step.trigger;
        }
        Some((candidate, events))
    }

    /// Marks the claim's origin. Some if it rejects fresh tokens too: then it alone cools down.
    fn judge(&self, record: &mut Record, claim: &Claim) -> Option<Event> {
        let now = self.now;
        let weak = claim.strength == Strength::Weak;
        let first = if weak { self.policy.weak_cool_down } else { self.policy.cool_down };
        let at = record.marks.iter().position(|mark| mark.origin == claim.origin);
        let old = at.map(|at| record.marks.remove(at));
        let active = old.as_ref().filter(|mark| mark.until > now);
        let seen = claim.ground == Ground::Seen;
        // Claims that the current token was not asked for are no matter of audience or scope.
        let asked = record.slot().is_some_and(|slot| slot.with_claims);
        let unasked = claim.claims.is_some() && !asked;
        // Another process may have judged the same generation already.
        let before = |mark: &&Mark| {
            let (marked, claimed) = (mark.rejected.generation, claim.id.generation);
            marked < claimed || (mark.still && marked == claimed)
        };
        let still = seen && !unasked && active.filter(before).is_some();
        let cooling_until = active.filter(|mark| mark.still).map(|mark| mark.until);
        let streak = old.as_ref().map_or(0, |mark| mark.streak).saturating_add(u32::from(seen));
        let rejections_in_a_row = streak.saturating_sub(1).max(1);
        let until = match claim.ground {
            // A demand renews the mark, so that a rejection of the next token is the origin's own
            // matter again, and counts for nothing else.
            Ground::Seen | Ground::Again => {
                now + self.policy.cool_down_after(first, rejections_in_a_row)
            }
            Ground::Heard => cooling_until.unwrap_or(now),
        };
        if record.marks.len() >= MARKS {
            let oldest = (0..MARKS).min_by_key(|at| record.marks[*at].until).unwrap_or(0);
            record.marks.remove(oldest);
        }
        let origin = claim.origin.clone();
        let left_alone = still || cooling_until.is_some_and(|_| !seen);
        record.marks.push(Mark {
            origin: origin.clone(),
            rejected: claim.id,
            until,
            streak,
            still: left_alone,
            weak,
        });
        still.then_some(Event::StillRejected { origin, retry_at: until })
    }

    /// The record as it is, with nothing judged: the token stands as it did before the claims.
    pub(super) fn settled(&self) -> Option<Candidate> {
        let mut candidate = self.candidate()?;
        candidate.claims = 0;
        if !self.claims.is_empty()
            && let Some(slot) = candidate.record.slots.get_mut(&0)
        {
            slot.access = self.before;
        }
        Some(candidate)
    }

    /// The record as this process sees it, to be saved whole.
    fn candidate(&self) -> Option<Candidate> {
        let mut record = Box::new(self.record.clone()?);
        record.prune(self.policy.refused_kept, self.now);
        Some(Candidate {
            record,
            trigger: "Saved",
            claims: self.claims.len(),
            accepted: self.accepted.len(),
        })
    }

    /// Lays what is not saved yet over a record that was just read or saved.
    pub(super) fn overlay(&mut self) {
        let Some(record) = self.record.as_mut() else {
            self.claims.clear();
            self.accepted.clear();
            self.reconsider = false;
            return;
        };
        let id = record.token_id();
        // Of no token, nothing is left to judge.
        let tokens = record.slot().is_some();
        self.claims.retain(|claim| tokens && claim.id == id);
        for origin in &self.accepted {
            if self.claims.is_empty() {
                Current::of(record).accepted(origin);
            }
        }
        if self.reconsider && Current::of(record).reconsidered().is_none() {
            self.reconsider = false;
        }
        if !self.claims.is_empty() {
            self.before = record.access();
            Current::of(record).rejected();
        }
    }

    /// Forgets what was seen of a token that is no longer current.
    pub(super) fn forget_reports(&mut self) {
        self.claims.clear();
        self.accepted.clear();
        self.claims_wanted = None;
        self.reconsider = false;
    }

    /// The candidate is what the store holds now.
    pub(super) fn install(&mut self, candidate: Candidate) {
        let from = self.state();
        self.claims.drain(..candidate.claims.min(self.claims.len()));
        self.accepted.drain(..candidate.accepted.min(self.accepted.len()));
        self.durable = candidate.record.generation;
        // What was said of the token before says nothing of this one.
        let tokens = [self.record.as_ref(), Some(&*candidate.record)];
        let [old, new] = tokens.map(|record| Some(&record?.slot()?.access_token));
        if !old.zip(new).is_some_and(|(old, new)| old.is(new)) {
            self.accepted.clear();
        }
        self.record = Some(*candidate.record);
        self.rolled_back = false;
        self.trouble = None;
        self.reread_at = self.now + self.policy.reread;
        if self.state() != Some(StateKind::NeedsLogin) {
            self.reconsider = false;
        }
        self.overlay();
        let to = self.state();
        // The row was named when the save began; a rejection that came meanwhile has made it late.
        let late = matches!(from, Some(StateKind::ServerRejected | StateKind::NeedsLogin));
        // One save can say two things: of a rejection that it stays its origin's own matter, and
        // what became of an attempt ahead of need. The state changes by the first.
        let stays = !matches!(from, Some(StateKind::Valid | StateKind::Retrying))
            && matches!(to, Some(StateKind::Valid | StateKind::Retrying));
        let trigger = match candidate.trigger {
            on::Granted::NAME if late => on::GrantedLate::NAME,
            on::Begun::NAME | on::Failed::NAME | on::Refused::NAME if stays => {
                on::StillRejected::NAME
            }
            other => other,
        };
        self.tell_change(from, trigger);
    }
}
