//! The record at rest: the tokens and the facts about them, as every process reads them.

mod codec;
mod facts;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::{Deserialize, Serialize};

pub use codec::RecordError;
pub use facts::{Access, Budget, CoolDown, Intent, Mark, Refresh, StateKind};

use crate::client::{Client, Renewal};
use crate::grant::Grant;
use crate::id::{Id, TokenId};
use crate::origin::Origin;
use crate::reason::LoginReason;
use crate::secret::{Secret, at_rest, at_rest_option};
use crate::time::Timestamp;
use crate::unknown::Unknown;

/// How many superseded incarnations a record remembers, to know a restored backup by them.
const SUPERSEDED: usize = 8;

/// One credential: its tokens, and all that is known of them.
///
/// It serializes **in the clear**, tokens included: whoever keeps it seals it. Fields that this
/// version does not know are kept and written back: those of the record, of the client and of a
/// slot. An intent, a cool-down, a mark and the budget are written whole by whoever changes them, so
/// a later version puts what it adds to them beside them, or into another format.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The version of the format, 1.
    pub format: u32,
    /// New with every login.
    pub incarnation: Id,
    /// Rises by one with every grant and every login, and is never reset.
    pub generation: u64,
    /// The incarnations before this one, newest last, at most 8.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<Id>,
    /// Who asks, and where.
    pub client: Client,
    /// Whom the credential is for, where a server said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Where the token may go.
    #[serde(default)]
    pub origins: Vec<Origin>,
    /// The refresh token; a refused one is kept for seven days.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "at_rest_option")]
    pub refresh_token: Option<Secret>,
    /// The access tokens by slot. This release fills slot 0.
    #[serde(default)]
    pub slots: BTreeMap<u16, Slot>,
    /// What can be said of the refresh token.
    pub refresh: Refresh,
    /// The durable note that a refresh has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Intent>,
    /// Until when a token request that got no answer may still be acted upon: none is sent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_flight_until: Option<Timestamp>,
    /// Why the authorization server is left alone for a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cool_down: Option<CoolDown>,
    /// The origins that rejected a token, at most 16.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<Mark>,
    /// The bucket of token requests.
    #[serde(default)]
    pub budget: Budget,
    /// When the refresh token ends, as far as the server says: a hint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh_expires_at: Option<Timestamp>,
    /// When the last grant came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshed_at: Option<Timestamp>,
    /// Which host brought these tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written_by: Option<String>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// The place of one access token.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Slot {
    /// The access token.
    #[serde(with = "at_rest")]
    pub access_token: Secret,
    /// Its type as the server wrote it.
    pub token_type: String,
    /// The generation that brought it.
    pub generation: u64,
    /// Just before the request that brought it was sent.
    pub obtained_at: Timestamp,
    /// The announced lifetime in milliseconds; a hint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifetime_ms: Option<u64>,
    /// Its scope, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whether it was asked for with claims that an API wanted.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub with_claims: bool,
    /// What servers have said of it.
    pub access: Access,
    /// Fields of other versions.
    #[serde(flatten)]
    pub unknown: Unknown,
}

/// What a login brings (a grant, and where it may be used).
#[derive(Clone, Debug)]
pub struct Login {
    /// 128 random bits, new with every login.
    pub incarnation: Id,
    /// Who asks, and where.
    pub client: Client,
    /// Where the token may go.
    pub origins: Vec<Origin>,
    /// What the authorization server granted.
    pub grant: Grant,
    /// Just before the grant was asked for, or as near to it as is known.
    pub obtained_at: Timestamp,
}

impl Slot {
    /// The slot that a grant fills.
    fn filled(grant: &Grant, generation: u64, obtained_at: Timestamp, access: Access) -> Self {
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Self {
            access_token: grant.access_token.clone(),
            token_type: grant.token_type.clone(),
            generation,
            obtained_at,
            lifetime_ms: grant.expires_in.map(millis),
            scope: grant.scope.clone(),
            with_claims: false,
            access,
            unknown: Unknown::default(),
        }
    }

    /// The local expiry, a hint. Never further from `now` than the whole lifetime, whatever
    /// clock wrote it.
    pub fn expires_at(&self, now: Timestamp) -> Option<Timestamp> {
        let lifetime = Duration::from_millis(self.lifetime_ms?);
        Some((self.obtained_at + lifetime).clamped(now, lifetime))
    }
}

impl Record {
    /// The record of a login. `over` is what the store held before, whose generation and
    /// incarnations it carries on.
    pub fn login(login: &Login, over: Option<&Self>) -> Self {
        let generation = over.map_or(0, |old| old.generation) + 1;
        let refresh = match (&login.grant.refresh_token, login.client.renewal) {
            (Some(_), _) | (None, Renewal::ClientCredentials) => Refresh::Usable,
            (None, Renewal::RefreshToken) => Refresh::Absent,
        };
        let slot = Slot::filled(&login.grant, generation, login.obtained_at, Access::Trusted);
        let mut record = Self {
            format: codec::FORMAT,
            incarnation: login.incarnation,
            generation,
            superseded: over.map(|old| old.superseded.clone()).unwrap_or_default(),
            client: login.client.clone(),
            subject: login.grant.subject.clone(),
            origins: login.origins.clone(),
            refresh_token: login.grant.refresh_token.clone(),
            slots: BTreeMap::from([(0, slot)]),
            refresh,
            attempt: None,
            in_flight_until: None,
            cool_down: None,
            marks: Vec::new(),
            budget: Budget::default(),
            refresh_expires_at: login.grant.refresh_expires_in.map(|l| login.obtained_at + l),
            refreshed_at: None,
            written_by: None,
            unknown: over.map(|old| old.unknown.clone()).unwrap_or_default(),
        };
        if let Some(old) = over {
            record.supersede(old.incarnation);
        }
        record
    }

    /// What a logout leaves: no token, no secret, and the lineage's name, so that a refresh in
    /// flight and a restored backup are both recognised.
    pub fn logged_out(incarnation: Id, generation: u64, at: Timestamp) -> Self {
        Self {
            format: codec::FORMAT,
            incarnation,
            generation,
            superseded: Vec::new(),
            client: Client::default(),
            subject: None,
            origins: Vec::new(),
            refresh_token: None,
            slots: BTreeMap::new(),
            refresh: Refresh::Dead { reason: LoginReason::LoggedOut, code: None, at },
            attempt: None,
            in_flight_until: None,
            cool_down: None,
            marks: Vec::new(),
            budget: Budget::default(),
            refresh_expires_at: None,
            refreshed_at: None,
            written_by: None,
            unknown: Unknown::default(),
        }
    }

    /// Remembers an incarnation that this record took the place of.
    pub(crate) fn supersede(&mut self, old: Id) {
        if old == self.incarnation || self.superseded.contains(&old) {
            return;
        }
        if self.superseded.len() >= SUPERSEDED {
            self.superseded.remove(0);
        }
        self.superseded.push(old);
    }

    /// The slot this release fills.
    pub fn slot(&self) -> Option<&Slot> {
        self.slots.get(&0)
    }

    /// The name of the current access token.
    pub fn token_id(&self) -> TokenId {
        TokenId { slot: 0, generation: self.slot().map_or(self.generation, |s| s.generation) }
    }

    /// What servers have said of the current access token.
    pub fn access(&self) -> Access {
        self.slot().map_or(Access::None, |slot| slot.access)
    }

    /// The name of the facts: the first row that fits, without a clock, the same in every
    /// process that reads the record.
    pub fn state(&self) -> StateKind {
        match (self.access(), &self.attempt) {
            (Access::Trusted, _) => StateKind::Valid,
            (Access::Probation, _) => StateKind::Retrying,
            // Also where what is called usable is not there.
            _ if !self.is_renewable() => StateKind::NeedsLogin,
            (_, Some(_)) => StateKind::Refreshing,
            (_, None) => StateKind::ServerRejected,
        }
    }

    /// Whether a new token may be asked for.
    pub fn is_renewable(&self) -> bool {
        matches!(self.refresh, Refresh::Usable | Refresh::InDoubt { .. }) && self.has_means()
    }

    /// Whether there is something to ask with, refused or not.
    pub(crate) fn has_means(&self) -> bool {
        self.client.renewal == Renewal::ClientCredentials || self.refresh_token.is_some()
    }

    /// Fills the slot with a grant that no server has accepted yet, as the next generation.
    pub(crate) fn fill(&mut self, grant: &Grant, at: Timestamp) {
        self.generation += 1;
        let mut slot = Slot::filled(grant, self.generation, at, Access::Probation);
        if let Some(old) = self.slots.remove(&0) {
            // RFC 6749 section 5.1: a scope that is not stated is the one before.
            slot.scope = slot.scope.or(old.scope);
            slot.unknown = old.unknown;
        }
        self.slots.insert(0, slot);
        self.subject = grant.subject.clone().or(self.subject.take());
    }

    /// Whether a logout left this.
    pub fn is_logged_out(&self) -> bool {
        matches!(&self.refresh, Refresh::Dead { reason: LoginReason::LoggedOut, .. })
    }

    /// Whether an intent stands open that was written past another's, without the lease.
    pub fn intent_is_raised(&self) -> bool {
        self.attempt.as_ref().is_some_and(|intent| intent.raised)
    }

    /// When somebody who sweeps over many records should look at this one: its local expiry.
    pub fn due_at(&self) -> Option<Timestamp> {
        let slot = self.slot()?;
        Some(slot.obtained_at + Duration::from_millis(slot.lifetime_ms?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);

    fn login(incarnation: u8) -> Login {
        let mut grant = Grant::bearer(Secret::new("at".into()));
        grant.refresh_token = Some(Secret::new("rt".into()));
        grant.expires_in = Some(Duration::from_secs(3_600));
        grant.refresh_expires_in = Some(Duration::from_secs(86_400));
        Login {
            incarnation: Id([incarnation; 16]),
            client: Client::new("https://as.example/token", "client"),
            origins: Vec::new(),
            grant,
            obtained_at: NOW,
        }
    }

    #[test]
    fn what_a_login_brought_ends_when_its_server_said() {
        let record = Record::login(&login(1), None);
        assert_eq!(record.refresh_expires_at, Some(NOW + Duration::from_secs(86_400)));
        assert_eq!(record.due_at(), Some(NOW + Duration::from_secs(3_600)));
    }

    #[test]
    fn the_last_eight_logins_before_are_remembered_each_once() {
        let mut record = Record::login(&login(1), None);
        for incarnation in 2..=10 {
            record = Record::login(&login(incarnation), Some(&record));
            let known = record.superseded.clone();
            record.supersede(record.incarnation);
            record.supersede(Id([incarnation - 1; 16]));
            assert_eq!(record.superseded, known);
        }
        let last: Vec<Id> = (2..=9).map(|incarnation| Id([incarnation; 16])).collect();
        assert_eq!(record.superseded, last);
        assert_eq!(record.generation, 10);
    }

    #[test]
    fn a_refresh_token_that_is_not_there_renews_nothing() {
        let mut record = Record::login(&login(1), None);
        record.slots.values_mut().for_each(|slot| slot.access = Access::Rejected);
        assert_eq!((record.is_renewable(), record.state()), (true, StateKind::ServerRejected));
        record.refresh_token = None;
        assert_eq!((record.is_renewable(), record.state()), (false, StateKind::NeedsLogin));
    }

    #[test]
    fn an_intent_is_raised_only_if_it_says_so() {
        let mut record = Record::login(&login(1), None);
        let (nonce, owner, at, deadline) = (Id([1; 16]), Id([2; 16]), NOW, NOW);
        for raised in [false, true] {
            record.attempt = Some(Intent { nonce, owner, at, deadline, raised });
            assert_eq!(record.intent_is_raised(), raised);
        }
    }
}
