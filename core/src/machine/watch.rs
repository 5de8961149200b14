//! What is needed, what delays it, what callers may do meanwhile, and when to look again.

use core::time::Duration;

use super::Machine;
use super::job::Job;
use super::view::{Blocked, Gate, View};
use crate::origin::Origin;
use crate::record::{Access, Mark, Record, Refresh, Slot, StateKind};
use crate::server::Rotation;
use crate::time::Timestamp;

/// Why a refresh is needed, the weakest reason first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// The local expiry is near. A hint: one try, and nobody waits.
    Ahead,
    /// The local expiry has passed. A hint too, but worth all tries.
    Expired,
    /// The token was rejected, or there is none.
    Forced,
}

impl Machine {
    /// Whether there is something to do that needs the lease, and nothing delays it.
    pub(super) fn need(&self, now: Timestamp) -> Option<Need> {
        let record = self.record.as_ref()?;
        if self.trouble.is_some_and(|trouble| trouble.until > now) || self.is_being_replaced() {
            return None;
        }
        if !self.claims.is_empty() || self.rolled_back {
            return Some(Need::Forced);
        }
        let need = self.need_of(record, now)?;
        (record.is_renewable() && self.delay(record, need, now).is_none()).then_some(need)
    }

    /// Whether the access token of this record wants a successor.
    pub(super) fn need_of(&self, record: &Record, now: Timestamp) -> Option<Need> {
        match record.access() {
            Access::None | Access::Rejected => Some(Need::Forced),
            Access::Trusted | Access::Probation => {
                let slot = record.slot()?;
                if slot.expires_at(now).is_some_and(|at| at <= now) {
                    return Some(Need::Expired);
                }
                let hints = [self.refresh_at(slot, now), self.keep_alive_at(record, slot, now)];
                hints.into_iter().flatten().min().filter(|at| *at <= now).map(|_| Need::Ahead)
            }
        }
    }

    /// When this process refreshes ahead of need: between one and two leeways before the expiry,
    /// by the seed. After the token was obtained, and before it expires, for every lifetime.
    fn refresh_at(&self, slot: &Slot, now: Timestamp) -> Option<Timestamp> {
        let lifetime = Duration::from_millis(slot.lifetime_ms?);
        let leeway = self.policy.leeway.min(lifetime / 10);
        let spread = leeway * self.spread / 1024;
        Some(slot.expires_at(now)? - leeway - spread)
    }

    /// When this process refreshes to keep the refresh token: at half of the life that the server
    /// announced for it, or a little sooner by the seed. A window that slides with each use is
    /// held open so, and a life as short as the access token's is not run to its end. An end that
    /// does not slide is asked about a few times at most, for what is left of it halves.
    fn keep_alive_at(&self, record: &Record, slot: &Slot, now: Timestamp) -> Option<Timestamp> {
        /// Lives shorter than this are left to the access token: 10 min, below which the halves of
        /// an end that does not slide would be one request after the other.
        const SHORTEST: Duration = Duration::from_secs(600);
        let ends = record.refresh_expires_at.filter(|at| *at > now)?;
        let from = record.refreshed_at.unwrap_or(slot.obtained_at).min(now);
        let life = ends.since(from);
        (life >= SHORTEST).then(|| from + life / 2 - life / 20 * self.spread / 1024)
    }

    /// What delays a refresh that is needed, and until when.
    pub(super) fn delay(
        &self,
        record: &Record,
        need: Need,
        now: Timestamp,
    ) -> Option<(Blocked, Timestamp)> {
        if let Some(cool_down) = &record.cool_down
            && cool_down.until > now
            && (need == Need::Ahead || !cool_down.ahead_only)
        {
            return Some((Blocked::CoolDown(cool_down.cause), cool_down.until));
        }
        if let Some(until) = record.in_flight_until.filter(|until| *until > now) {
            return Some((Blocked::CoolDown(crate::reason::Cause::NoAnswer), until));
        }
        // A replay would kill the grant; the access token is kept until it is rejected.
        let in_doubt =
            matches!(record.refresh, Refresh::InDoubt { .. }) || record.attempt.is_some();
        let deadly = self.policy.rotation == Rotation::WithoutGrace;
        if need < Need::Forced && in_doubt && deadly {
            return Some((Blocked::CoolDown(crate::reason::Cause::NoAnswer), Timestamp::NEVER));
        }
        if need == Need::Ahead && self.quiet_until > now {
            return Some((Blocked::CoolDown(crate::reason::Cause::Unavailable), self.quiet_until));
        }
        let ready_at = record.budget.ready_at(self.policy.burst, self.policy.refill, now);
        (ready_at > now).then_some((Blocked::Budget, ready_at))
    }

    /// The moment at which time alone changes something.
    pub(super) fn wake_at(&self) -> Timestamp {
        let now = self.now;
        let record = self.record.as_ref();
        let slot = record.and_then(Record::slot);
        let keep_alive = record.zip(slot).and_then(|(r, slot)| self.keep_alive_at(r, slot, now));
        let hints = slot.map(|s| [self.refresh_at(s, now), s.expires_at(now), keep_alive]);
        let bucket =
            record.map(|record| record.budget.ready_at(self.policy.burst, self.policy.refill, now));
        let cool_down = record.and_then(|record| Some(record.cool_down.as_ref()?.until));
        let marks = record.into_iter().flat_map(|record| &record.marks).map(|mark| mark.until);
        let single = [
            self.lane_overdue_at(),
            self.job.wake_at(),
            self.errands_at(),
            self.trouble.map(|trouble| trouble.until),
            bucket,
            cool_down,
            record.and_then(|record| record.in_flight_until),
            Some(self.quiet_until),
            (!self.stopping).then_some(self.reread_at),
        ];
        single
            .into_iter()
            .chain(hints.into_iter().flatten())
            .flatten()
            .chain(marks)
            .filter(|at| *at > now)
            .min()
            .unwrap_or(Timestamp::NEVER)
    }

    /// Works out anew what callers may do.
    pub(super) fn rebuild_view(&mut self) {
        let state = self.state();
        let view = match &self.record {
            None => View { state, elsewhere: self.gate_without_record(), ..View::default() },
            Some(record) => {
                let slot = record.slot();
                let origins =
                    record.origins.iter().map(|o| (o.clone(), self.gate(record, o))).collect();
                let code = match &record.refresh {
                    Refresh::Dead { code, .. } => code.clone(),
                    Refresh::Usable | Refresh::InDoubt { .. } | Refresh::Absent => {
                        record.cool_down.as_ref().and_then(|cool_down| cool_down.code.clone())
                    }
                };
                // A logout without the key leaves no origin to be bound to.
                let unbound = record.origins.is_empty() && state == Some(StateKind::NeedsLogin);
                let elsewhere = if unbound { self.gate_of_login() } else { Gate::Foreign };
                View {
                    state,
                    token: slot.map(|slot| slot.access_token.clone()),
                    token_type: slot.map(|slot| slot.token_type.clone()).unwrap_or_default(),
                    id: record.token_id(),
                    origins,
                    elsewhere,
                    holder: self.holder.clone(),
                    unsaved: self.unsaved.as_ref().map(|unsaved| unsaved.fault),
                    code,
                    source: record.client.source.clone(),
                }
            }
        };
        self.view = view;
    }

    fn gate_without_record(&self) -> Gate {
        if self.rereading() {
            return Gate::Wait;
        }
        match self.trouble {
            Some(trouble) if trouble.until > self.now || !self.loaded => {
                Gate::Blocked(Blocked::Store(trouble.fault), trouble.until)
            }
            _ if self.loaded => self.gate_of_login(),
            _ => Gate::Wait,
        }
    }

    fn gate_of_login(&self) -> Gate {
        if self.rereading() || self.job.is_open() {
            return Gate::Wait;
        }
        Gate::Login(self.login_reason().0)
    }

    fn gate(&self, record: &Record, origin: &Origin) -> Gate {
        let good = matches!(record.access(), Access::Trusted | Access::Probation);
        let refused = self.refused_at(origin);
        if (good || record.is_renewable())
            && let Some(until) = self.left_alone_until(record, origin)
        {
            if self.rereading() {
                return Gate::Wait;
            }
            return Gate::Blocked(Blocked::StillRejected, until);
        }
        if good && !refused {
            return self.gate_of_good_token(record, origin);
        }
        if good {
            return self.gate_of_refused_origin(record, origin);
        }
        if !record.is_renewable() && self.claims.is_empty() {
            return self.gate_of_login();
        }
        // A refresh is needed. While it cannot end, origins that did not reject go on.
        let stuck = self.stuck(record);
        if record.access() == Access::Rejected && !refused && stuck.is_some() {
            return Gate::Open { stale: true, report: true };
        }
        match stuck {
            Some(Some((why, retry_at))) if !self.rereading() => Gate::Blocked(why, retry_at),
            Some(_) | None => Gate::Wait,
        }
    }

    fn gate_of_good_token(&self, record: &Record, origin: &Origin) -> Gate {
        let marked = record.marks.iter().any(|mark| mark.origin == *origin);
        let report = record.access() == Access::Probation || marked;
        let expired = self.need_of(record, self.now) == Some(Need::Expired);
        if !expired || !record.is_renewable() {
            return Gate::Open { stale: expired, report };
        }
        // Refresh first; if that cannot be had, the server decides.
        let delayed = self.delay(record, Need::Expired, self.now).is_some();
        if delayed && !self.job.is_open() || self.stuck(record).is_some() || self.stopping {
            return Gate::Open { stale: true, report };
        }
        Gate::Wait
    }

    /// Until when this origin is left alone, because it rejects fresh tokens too.
    fn left_alone_until(&self, record: &Record, origin: &Origin) -> Option<Timestamp> {
        let cooling = |mark: &&Mark| mark.origin == *origin && mark.still && mark.until > self.now;
        record.marks.iter().find(cooling).map(|mark| mark.until)
    }

    /// The token is good elsewhere, and this origin rejected it.
    fn gate_of_refused_origin(&self, record: &Record, origin: &Origin) -> Gate {
        let mark = record.marks.iter().find(|mark| mark.origin == *origin);
        let until = mark.map_or(self.now, |mark| mark.until);
        if until > self.now {
            if self.rereading() {
                return Gate::Wait;
            }
            return Gate::Blocked(Blocked::StillRejected, until);
        }
        if !record.is_renewable() {
            return self.gate_of_login();
        }
        match self.delay(record, Need::Forced, self.now) {
            Some((why, retry_at)) if !self.rereading() => Gate::Blocked(why, retry_at),
            _ => Gate::Wait,
        }
    }

    /// Whether a refresh that is needed cannot end now. Some of none: nobody knows until when, so
    /// whoever needs it waits.
    fn stuck(&self, record: &Record) -> Option<Option<(Blocked, Timestamp)>> {
        let now = self.now;
        if let Some(unsaved) = &self.unsaved {
            return Some(Some((Blocked::Store(unsaved.fault), self.saved_again_at())));
        }
        if let Some(trouble) = self.trouble.filter(|trouble| trouble.until > now) {
            return Some(Some((Blocked::Store(trouble.fault), trouble.until)));
        }
        if self.job.has_failed_once() {
            return Some(None);
        }
        if let Job::Waiting { .. } | Job::Looking { .. } | Job::Acquiring { .. } = &self.job {
            // Its holder has had all the time that a live one needs.
            let over = record.attempt.as_ref().is_some_and(|intent| intent.deadline <= now);
            return (over && self.holder.is_some()).then_some(None);
        }
        if self.job.is_open() {
            return None;
        }
        self.delay(record, Need::Forced, now).map(Some)
    }
}
