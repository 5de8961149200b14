//! What the store holds becomes what this process knows.

use alloc::boxed::Box;
use core::time::Duration;

use super::states::Current;
use super::{Action, Event, Machine, Over, Stored, Strange, Unsaved};
use crate::grant::Grant;
use crate::machine::job::Asked;
use crate::record::{Record, Refresh};
use crate::secret::Secret;
use crate::time::Timestamp;

/// What the stored record is to the one this process has.
enum Kin {
    /// An older copy that was put back.
    Restored,
    /// The same login.
    Same,
    /// A login that this process has not seen.
    Login,
}

impl Machine {
    /// Takes over what the store holds. Not believed is only a copy that was restored.
    pub(super) fn take(&mut self, stored: Option<Box<Stored>>) {
        let from = self.state();
        let first = !self.loaded;
        self.loaded = true;
        // The store can be read again; whether it can be written, the next save shows.
        if let Some(trouble) = &mut self.trouble {
            trouble.until = self.now;
        }
        self.reread_at = self.now + self.policy.reread;
        let Some(stored) = stored else {
            self.over = Over::Absent;
            self.rolled_back = false;
            if self.record.take().is_some() {
                self.forget_reports();
                self.drop_unsaved(true);
            }
            return self.tell_change(from, if first { "Loaded" } else { "Adopted" });
        };
        let Stored { mut record, version } = *stored;
        self.over = Over::Version(version);
        self.sanitize(&mut record);
        if let Some(intent) = &record.attempt
            && intent.nonce != self.sighted.0
        {
            self.sighted = (intent.nonce, self.now + self.policy.intent());
        }
        let Some(ours) = self.record.as_ref() else {
            self.durable = record.generation;
            self.record = Some(record);
            self.overlay();
            return self.tell_change(from, if first { "Loaded" } else { "Adopted" });
        };
        match kin(ours, &record, self.durable) {
            Kin::Restored => {
                if !self.rolled_back {
                    self.rolled_back = true;
                    self.tell(Event::StoreRolledBack { generation: record.generation });
                }
                return;
            }
            Kin::Login => {
                let old = ours.incarnation;
                record.supersede(old);
            }
            Kin::Same => {}
        }
        self.rolled_back = false;
        let known = ours.token_id();
        let shown = ours.slot().map(|slot| slot.access_token.clone());
        let same_login = ours.incarnation == record.incarnation;
        self.durable = record.generation;
        let news = match self.unsaved.take() {
            Some(unsaved) => self.with_unsaved(unsaved, record),
            None => record,
        };
        // Two processes that redeem one refresh token bring two tokens of one generation.
        let held = news.slot().map(|slot| &slot.access_token);
        let same = held.zip(shown.as_ref()).is_some_and(|(held, shown)| held.is(shown));
        if !same {
            self.forget_reports();
            self.refused.1.clear();
        }
        let newer = !same_login || news.token_id() != known || (held.is_some() && !same);
        let generation = news.generation;
        if let Some(record) = self.record.as_mut() {
            Current::of(record).adopted(news);
        }
        self.overlay();
        if newer {
            self.tell(Event::Adopted { generation });
        }
        self.tell_change(from, "Adopted");
    }

    /// The stored record with the grant that is in use and not saved, if it still belongs there.
    fn with_unsaved(&mut self, unsaved: Unsaved, mut record: Record) -> Record {
        let Unsaved { asked, grant, .. } = &unsaved;
        let saved = record.slot().is_some_and(|slot| slot.access_token.is(&grant.access_token));
        if saved {
            let generation = record.generation;
            self.tell(Event::SavedAtLast { generation });
            return record;
        }
        if !asked.applies_to(&record) {
            let revocable = record.incarnation != asked.incarnation || record.is_logged_out();
            self.drop_grant(asked, grant, revocable, Some(&record));
            return record;
        }
        self.grant_onto(&mut record, asked, grant);
        self.unsaved = Some(unsaved);
        record
    }

    /// Lays a grant over the record it was redeemed from.
    pub(super) fn grant_onto(
        &self,
        record: &mut Record,
        asked: &Asked,
        grant: &Grant,
    ) -> super::Step {
        record.generation = record.generation.max(asked.generation);
        for _ in 0..asked.extra {
            let policy = &self.policy;
            record.budget = record.budget.debited(policy.burst, policy.refill, self.now);
        }
        let step = Current::of(record).granted(grant, asked.asked_at, self.now);
        if let Some(slot) = record.slots.get_mut(&0) {
            slot.with_claims = asked.for_claims;
        }
        record.written_by.clone_from(&self.host);
        step
    }

    /// Whether the tokens of this record were brought by another host.
    pub(super) fn is_foreign(&self, record: &Record) -> bool {
        matches!((&record.written_by, &self.host), (Some(theirs), Some(ours)) if theirs != ours)
    }

    /// Drops the grant that is in use and not saved.
    fn drop_unsaved(&mut self, revocable: bool) {
        if let Some(Unsaved { asked, grant, .. }) = self.unsaved.take() {
            self.drop_grant(&asked, &grant, revocable, None);
        }
    }

    /// Drops a grant. It is revoked only where that ends nothing else: at a server where
    /// revoking has the radius of the token, after a logout, a login or another subject
    /// (`revocable`), and never a token that equals a stored one.
    pub(super) fn drop_grant(
        &mut self,
        asked: &Asked,
        grant: &Grant,
        revocable: bool,
        stored: Option<&Record>,
    ) {
        let stored_tokens = [
            stored.and_then(|record| record.refresh_token.clone()),
            stored.and_then(|record| record.slot().map(|slot| slot.access_token.clone())),
        ];
        let live = |token: &Secret| stored_tokens.iter().flatten().any(|s| s.is(token));
        let revoked = revocable
            && self.policy.revokes_token_alone
            && asked.client.revocation_endpoint.is_some();
        if revoked {
            let refresh = grant.refresh_token.clone().map(|token| (token, "refresh_token"));
            let access = Some((grant.access_token.clone(), "access_token"));
            for (token, hint) in [refresh, access].into_iter().flatten() {
                if !live(&token) {
                    let client = asked.client.clone();
                    self.act(Action::Revoke { client, token, hint }, self.now + self.policy.store);
                }
            }
        }
        self.tell(Event::GrantDropped { revoked });
    }

    /// Stamps that another clock wrote count from now, so that none can delay anything for longer
    /// than its own greatest length.
    fn sanitize(&mut self, record: &mut Record) {
        let (now, policy) = (self.now, &self.policy);
        let known = core::mem::take(&mut self.strange);
        let strange = &mut self.strange;
        // From the first reading on: a stamp that is read again must not start anew, also once the
        // clock has come near it. What it counts as depends on its greatest length too.
        let mut counted = |stamp: &mut Timestamp, most: Duration| {
            let same = |old: &&Strange| old.raw == *stamp && old.most == most;
            let first = known.iter().find(same).map(|old| old.counts_as);
            if first.is_none() && *stamp <= now + most {
                return;
            }
            let counts_as = first.unwrap_or(now + most);
            strange.push(Strange { raw: *stamp, most, counts_as });
            *stamp = counts_as;
        };
        if let Some(slot) = record.slots.get_mut(&0) {
            counted(&mut slot.obtained_at, Duration::ZERO);
        }
        if let Some(intent) = &mut record.attempt {
            counted(&mut intent.at, Duration::ZERO);
            counted(&mut intent.deadline, policy.intent());
        }
        if let Some(until) = &mut record.in_flight_until {
            counted(until, policy.intent());
        }
        if let Some(cool_down) = &mut record.cool_down {
            counted(&mut cool_down.until, policy.retry_after_cap.max(policy.cool_down_cap));
        }
        for mark in &mut record.marks {
            counted(&mut mark.until, policy.weak_cool_down.max(policy.cool_down_cap));
        }
        if let Refresh::Dead { at, .. } | Refresh::InDoubt { since: at } = &mut record.refresh {
            counted(at, Duration::ZERO);
        }
    }
}

/// A stored incarnation that is superseded, or the same one with a lower generation than was
/// saved, was restored from a backup. A logout of the same incarnation is believed.
fn kin(ours: &Record, stored: &Record, durable: u64) -> Kin {
    if stored.incarnation == ours.incarnation {
        // Nothing but a new login comes after a logout.
        let older =
            (stored.generation < durable || ours.is_logged_out()) && !stored.is_logged_out();
        return if older { Kin::Restored } else { Kin::Same };
    }
    // What a logout leaves over damage has no name of its own, so it cannot be known again.
    let nameless = stored.is_logged_out() && stored.incarnation == crate::id::Id([0; 16]);
    let restored = ours.superseded.contains(&stored.incarnation) && !nameless;
    if restored { Kin::Restored } else { Kin::Login }
}
