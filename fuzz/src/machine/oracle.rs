//! What must hold, whatever happens. It knows what the machine was told, and judges what it says.

use std::collections::BTreeSet;

use regrant_core::{
    Action, Answer, Edge, Event, Id, Input, Machine, Origin, Outcome, Over, Record, Renewal,
    StateKind, Timestamp, Use, edges,
};

use super::host::Pending;
use super::world::{CANARY, ORIGINS, origin};

/// How long past its deadline an answer is waited for.
const OVERDUE: std::time::Duration = std::time::Duration::from_secs(1);

/// The latest reading that the machine takes, a hundred years before the end of time.
const LATEST: Timestamp = Timestamp::from_millis(u64::MAX - 100 * 365 * 86_400_000);

#[derive(Debug)]
pub(super) struct Oracle {
    /// The latest moment that the machine knows.
    high: Timestamp,
    /// The intents that the machine knows to be stored.
    intents: BTreeSet<[u8; 16]>,
    /// Whether the lease is held, or cannot be had.
    leased: bool,
    /// Whether the store was read since.
    read: bool,
    /// What the machine knows to be stored.
    over: Over,
    /// Which token was rejected by whom, since the last login.
    rejected: Vec<(String, Origin)>,
    lineage: Option<(Id, u64)>,
    /// The token that the machine holds, or held last.
    held: Option<(u64, String)>,
    /// The generation that the last input loaded.
    loaded: Option<u64>,
    /// Whether a login may be needed: somebody refused, logged out, or has nothing to renew with.
    excused: bool,
    /// Access tokens that were granted, and neither stored nor dropped aloud yet.
    owed: Vec<String>,
    /// The one of them that the lease is kept for.
    keeps_lease: Option<String>,
    stopping: bool,
    configured: bool,
    silent: bool,
}

impl Default for Oracle {
    fn default() -> Self {
        Self {
            high: Timestamp::EPOCH,
            intents: BTreeSet::new(),
            leased: false,
            read: false,
            over: Over::Absent,
            rejected: Vec::new(),
            lineage: None,
            held: None,
            loaded: None,
            excused: false,
            owed: Vec::new(),
            keeps_lease: None,
            stopping: false,
            configured: false,
            silent: false,
        }
    }
}

impl Oracle {
    /// A process starts that knows nothing.
    pub(super) fn starts(&mut self, now: Timestamp) {
        *self = Self { high: now.min(LATEST), ..Self::default() };
    }

    pub(super) fn owes_nothing(&self) -> bool {
        self.owed.is_empty()
    }

    /// Whether time can still pass as far as the longest wait needs it.
    pub(super) fn has_time(&self) -> bool {
        LATEST.since(self.high) > std::time::Duration::from_secs(30 * 86_400)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// The next input must bring no output.
    pub(super) fn expects_nothing(&mut self) {
        self.silent = true;
    }

    pub(super) fn somebody_waits(&self, machine: &Machine) -> bool {
        (0..ORIGINS).any(|number| matches!(machine.view().access(&origin(number)), Use::Wait))
    }

    /// Another process wrote, so that what was granted may be worth nothing any more.
    pub(super) fn others_wrote(&mut self) {
        self.owed.clear();
        self.keeps_lease = None;
    }

    /// The machine takes for lost what is overdue.
    pub(super) fn gives_up(&mut self, now: Timestamp, pending: &mut [Pending]) {
        let now = self.high.max(now.min(LATEST));
        for pending in pending.iter_mut().filter(|pending| now > pending.deadline + OVERDUE) {
            let revokes = matches!(pending.action, Action::Revoke { .. });
            pending.given_up |= !revokes;
        }
    }

    pub(super) fn before(&mut self, input: &Input, machine: &Machine, now: Timestamp) {
        self.high = self.high.max(now.min(LATEST));
        match input {
            Input::Rejected { id, origin, .. } | Input::Disowned { id, origin } => {
                let record = machine.record().filter(|record| record.token_id() == *id);
                let bound = record.filter(|record| record.origins.contains(origin));
                if let Some(slot) = bound.and_then(Record::slot) {
                    let token = slot.access_token.expose().to_owned();
                    self.rejected.push((token, origin.clone()));
                }
            }
            Input::LoggedIn(login) => {
                let renewed = login.client.renewal == Renewal::ClientCredentials;
                self.excused |= login.grant.refresh_token.is_none() && !renewed;
            }
            Input::LoggedOut => self.excused = true,
            // A client that asks by refresh token need not have one.
            Input::ConfigurationChanged(_) => (self.excused, self.configured) = (true, true),
            Input::Stop => self.stopping = true,
            Input::TimePassed
            | Input::Done { .. }
            | Input::Wanted { .. }
            | Input::Accepted { .. }
            | Input::Reconsider
            | Input::OriginAllowed(_) => {}
        }
    }

    /// A save was applied, told or not.
    pub(super) fn stored(&mut self, record: &Record) {
        if let Some(slot) = record.slot() {
            let token = slot.access_token.expose();
            self.owed.retain(|owed| owed != token);
        }
    }

    /// The end of an action is about to be told.
    pub(super) fn learns(&mut self, ended: &Pending, outcome: &Outcome, others: &[Pending]) {
        match (&ended.action, outcome) {
            (Action::Ask { .. }, Outcome::Answered(Answer::Granted(grant))) => {
                self.excused |= grant.subject.is_some();
                // Of requests that were given up, four are remembered.
                let late =
                    |other: &&Pending| other.given_up && matches!(other.action, Action::Ask { .. });
                if others.iter().filter(late).count() < 4 {
                    let token = grant.access_token.expose().to_owned();
                    self.owed.push(token.clone());
                    self.keeps_lease = Some(token).filter(|_| !ended.given_up && self.leased);
                }
            }
            (Action::Ask { .. }, Outcome::Answered(Answer::Refused(_))) => self.excused = true,
            _ if ended.given_up => {}
            (Action::Load, Outcome::Loaded(stored))
            | (Action::Save { .. }, Outcome::Mismatch(stored)) => {
                self.read = true;
                self.over = match stored {
                    Some(stored) => Over::Version(stored.version.clone()),
                    None => Over::Absent,
                };
                let record = stored.as_ref().map(|stored| &stored.record);
                self.loaded = Some(record.map_or(0, |record| record.generation));
                self.excused |= record.is_none_or(|record| {
                    !record.is_renewable() || record.state() == StateKind::NeedsLogin
                });
                let intent = record.and_then(|record| record.attempt.as_ref());
                self.intents.extend(intent.map(|intent| intent.nonce.0));
                if let Some(slot) = record.and_then(Record::slot) {
                    let token = slot.access_token.expose();
                    self.keeps_lease.take_if(|kept| kept == token);
                }
            }
            (Action::Save { record, .. }, Outcome::Saved(version)) => {
                self.over = Over::Version(version.clone());
                self.intents.extend(record.attempt.as_ref().map(|intent| intent.nonce.0));
                if let Some(slot) = record.slot() {
                    let token = slot.access_token.expose();
                    self.keeps_lease.take_if(|kept| kept == token);
                }
            }
            (Action::Acquire, Outcome::Acquired { .. } | Outcome::Unlockable) => {
                (self.leased, self.read) = (true, false);
            }
            _ => {}
        }
    }

    pub(super) fn acts(
        &mut self,
        action: &Action,
        deadline: Timestamp,
        machine: &Machine,
        pending: &[Pending],
    ) {
        assert!(!self.silent, "the same moment again brought {action:?}");
        assert!(deadline >= self.high, "{action:?} by {deadline:?}, at {:?}", self.high);
        match action {
            Action::Release => {
                assert!(self.keeps_lease.is_none(), "let go before the grant was saved");
                self.leased = false;
            }
            Action::Acquire | Action::Load => {}
            Action::Save { record, over } => {
                if *over != Over::Damaged {
                    assert_eq!(*over, self.over, "a save over what is not known to be there");
                }
                let encoded = record.encode();
                let again = Record::decode(&encoded).expect("what is saved can be loaded");
                assert_eq!(again.state(), record.state());
            }
            Action::Ask { refresh_token, .. } => {
                assert!(!self.stopping, "nothing is asked after a stop");
                assert!(deadline > self.high, "asked past its own deadline");
                let record = machine.record().expect("somebody asks for something");
                let intent = record.attempt.as_ref().expect("who asks has an intent");
                assert!(self.intents.contains(&intent.nonce.0), "asked before it was durable");
                assert!(self.leased || intent.raised, "asked without the lease");
                assert!(self.read || intent.raised, "asked without reading the store again");
                let held = record.refresh_token.as_ref();
                if let Some(sent) = refresh_token {
                    assert!(held.is_some_and(|held| held.is(sent)), "asked with another token");
                }
                let same = |other: &&Pending| {
                    let Action::Ask { refresh_token: sent, .. } = &other.action else {
                        return false;
                    };
                    !other.given_up
                        && refresh_token.as_ref().zip(sent.as_ref()).is_some_and(|(a, b)| a.is(b))
                };
                assert!(pending.iter().find(same).is_none(), "asked twice at once");
            }
            Action::Revoke { token, .. } => {
                let live = machine.record().is_some_and(|record| {
                    let access = record.slot().map(|slot| &slot.access_token);
                    record.refresh_token.iter().chain(access).any(|stored| stored.is(token))
                });
                assert!(!live, "a stored token is revoked");
            }
        }
    }

    pub(super) fn event(&mut self, event: &Event) {
        assert!(!self.silent, "the same moment again brought {event:?}");
        let shown = format!("{event:?}");
        assert!(!shown.contains(CANARY), "{shown}");
        match event {
            Event::StateChanged { from, to, trigger, .. } => {
                let leads = |from: Option<StateKind>| {
                    let fits = |edge: &&Edge| edge.from == from && edge.trigger == *trigger;
                    edges().iter().filter(fits).any(|edge| edge.to == *to)
                };
                // The save that begins an attempt may have judged a rejection before.
                let still = |edge: &&Edge| edge.from == *from && edge.trigger == "StillRejected";
                let judged = edges().iter().filter(still).any(|edge| leads(Some(edge.to)));
                let row = leads(*from) || judged;
                // A configuration may bring the means to renew or take them away, for which the
                // table has no row.
                let configured = self.configured && *trigger == "Saved";
                assert!(row || configured, "no row of the table: {shown}");
            }
            // A login or a logout of one's own ends all that was there, saved or not.
            Event::GrantDropped { .. } | Event::LoggedIn { .. } | Event::LoggedOut { .. } => {
                self.owed.clear();
                self.keeps_lease = None;
            }
            _ => {}
        }
    }

    /// All outputs are drained.
    pub(super) fn after(&mut self, machine: &Machine, wake: Timestamp) {
        self.silent = false;
        assert!(wake > self.high || wake == Timestamp::NEVER, "a moment that has passed");
        let view = machine.view();
        assert_eq!(view.state(), machine.state());
        let lineage = machine.record().map(|record| (record.incarnation, record.generation));
        self.same_or_newer(lineage);
        self.forgets_twins(machine.record());
        let loaded_nothing = machine.state().is_some() && machine.record().is_none();
        if machine.state() == Some(StateKind::NeedsLogin) && !loaded_nothing {
            assert!(self.excused, "a login is asked for, and nobody refused: {machine:?}");
        }
        for number in 0..ORIGINS {
            let origin = origin(number);
            match view.access(&origin) {
                Use::Token { token, stale, .. } => {
                    let record = machine.record().expect("a token has a record");
                    assert!(record.origins.contains(&origin), "a token for a stranger");
                    let slot = record.slot().expect("a token has a slot");
                    assert!(slot.access_token.is(token));
                    assert!(stale || machine.state() != Some(StateKind::NeedsLogin));
                    let rejected = self
                        .rejected
                        .iter()
                        .any(|(text, by)| text == token.expose() && *by == origin);
                    assert!(!rejected, "a token goes back to where it was rejected");
                }
                Use::Blocked { retry_at, .. } => {
                    let overslept = retry_at > self.high && wake > retry_at;
                    assert!(!overslept, "asleep until {wake:?}, blocked until {retry_at:?}");
                }
                Use::Login(_) => assert!(machine.state().is_some()),
                Use::Wait | Use::Foreign => {}
            }
        }
    }

    /// Of two tokens of one generation, the machine knows only of the later one who rejected it.
    fn forgets_twins(&mut self, record: Option<&Record>) {
        let held = record.and_then(|record| {
            Some((record.generation, record.slot()?.access_token.expose().to_owned()))
        });
        let twins = held.as_ref().zip(self.held.as_ref());
        if twins.is_some_and(|(now, before)| now.0 == before.0 && now.1 != before.1) {
            self.rejected.clear();
        }
        if held.is_some() {
            self.held = held;
        }
    }

    /// A generation falls only where a lower one was loaded.
    fn same_or_newer(&mut self, lineage: Option<(Id, u64)>) {
        let loaded = self.loaded.take();
        // What a logout leaves over damage has no lineage.
        let named = lineage.filter(|(id, _)| *id != Id([0; 16]));
        if let (Some((_, before)), Some((_, now))) = (self.lineage, named) {
            let fell = now < before && loaded.is_none_or(|loaded| now < loaded);
            assert!(!fell, "generation {before} became {now}");
        }
        if self.lineage.map(|(id, _)| id) != lineage.map(|(id, _)| id) {
            self.rejected.clear();
        }
        self.lineage = lineage;
    }
}
