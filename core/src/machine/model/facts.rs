//! The record in its canonical form.

use core::time::Duration;

use super::Canonical;
use crate::record::{CoolDown, Intent, Mark, Record, Refresh, Slot};

impl Canonical {
    /// Writes a record.
    pub fn record(&mut self, record: &Record) {
        let Record {
            // The same in all.
            format: _,
            incarnation,
            generation,
            superseded,
            client,
            subject,
            origins,
            refresh_token,
            slots,
            refresh,
            attempt,
            in_flight_until,
            cool_down,
            marks,
            budget,
            refresh_expires_at,
            // Counts beside the end of the refresh token alone.
            refreshed_at,
            // One host for all machines of a model.
            written_by: _,
            // Of other versions, only carried along.
            unknown: _,
        } = record;
        self.id(*incarnation);
        self.generation(*generation);
        self.list(superseded, |form, id| form.id(*id));
        self.client(client);
        self.option(subject.as_ref(), |form, subject| form.text(subject));
        self.list(origins, Self::origin);
        self.option(refresh_token.as_ref(), Self::token);
        self.number(slots.len() as u64);
        for (slot, filled) in slots {
            self.number(u64::from(*slot));
            self.slot(filled);
        }
        self.refresh(refresh);
        self.option(attempt.as_ref(), Self::intent);
        self.option(in_flight_until.as_ref(), |form, until| form.moment(*until));
        self.option(refresh_expires_at.as_ref(), |form, at| {
            form.moment(*at);
            form.option(refreshed_at.as_ref(), |form, at| form.moment(*at));
        });
        self.option(cool_down.as_ref(), Self::cool_down);
        self.list(marks, Self::mark);
        self.moment(budget.full_at);
    }

    fn slot(&mut self, slot: &Slot) {
        let Slot {
            access_token,
            token_type,
            generation,
            obtained_at,
            lifetime_ms,
            scope,
            with_claims,
            access,
            // Of other versions, only carried along.
            unknown: _,
        } = slot;
        self.token(access_token);
        self.text(token_type);
        self.generation(*generation);
        self.option(lifetime_ms.as_ref(), |form, lifetime| {
            form.number(*lifetime);
            form.moment(*obtained_at + Duration::from_millis(*lifetime));
        });
        self.option(scope.as_ref(), |form, scope| form.text(scope));
        self.flags(&[*with_claims]);
        self.number(*access as u64);
    }

    fn refresh(&mut self, refresh: &Refresh) {
        match refresh {
            Refresh::Usable => self.number(0),
            // Since when is for people.
            Refresh::InDoubt { since: _ } => self.number(1),
            Refresh::Dead { reason, code: _, at } => {
                self.number(2);
                self.number(*reason as u64);
                self.moment(*at + self.policy.refused_kept);
            }
            Refresh::Absent => self.number(3),
        }
    }

    fn intent(&mut self, intent: &Intent) {
        // The owner is for people: an own intent is known by its nonce.
        let Intent { nonce, owner: _, at, deadline, raised } = intent;
        self.id(*nonce);
        self.moment(*at + self.policy.crash_pause);
        self.moment(*deadline);
        self.flags(&[*raised]);
    }

    fn cool_down(&mut self, cool_down: &CoolDown) {
        // The server's code is for people.
        let CoolDown { until, cause, code: _, streak, ahead_only } = cool_down;
        self.moment(*until);
        self.number(*cause as u64);
        self.streak(*streak, self.policy.cool_down);
        self.flags(&[*ahead_only]);
    }

    fn mark(&mut self, mark: &Mark) {
        let Mark { origin, rejected, until, streak, still, weak } = mark;
        self.origin(origin);
        self.token_id(*rejected);
        self.moment(*until);
        let first = if *weak { self.policy.weak_cool_down } else { self.policy.cool_down };
        self.streak(*streak, first);
        self.flags(&[*still, *weak]);
    }

    /// Writes a streak, as far as it still lengthens a cool-down.
    fn streak(&mut self, streak: u32, first: Duration) {
        let most = self.policy.cool_down_cap.max(first);
        let grown = |streak: &u32| self.policy.cool_down_after(first, *streak) == most;
        // The first of a mark's streak does not count, so it ends one later. Doublings end at 16.
        let grows = if grown(&0) { 0 } else { (0..=17).find(grown).unwrap_or(17) + 1 };
        self.number(u64::from(streak.min(grows)));
    }
}
