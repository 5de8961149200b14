//! The authorization server of one user, the APIs that ask it, and what it holds against its
//! clients.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use regrant::{Answer, Grant, Refusal, RefusalKind, Secret};
use regrant_core::Record;

use crate::random::Random;

/// What the server does with a spent refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It ends the login.
    Strict,
    /// It is refused, and nothing else happens.
    Refuse,
    /// The same successor again.
    GraceSame,
    /// Refresh tokens are never spent.
    NoRotation,
}

/// Twice the leeway in which a token is refreshed ahead of its expiry, and an attempt's 25 s.
const AHEAD: Duration = Duration::from_secs(2 * 60 + 25);

/// A request without an answer may be made once more after this, though it is still listened for: an
/// intent's 25 s without the 20 s in which its tries are sent, and a second for the steps between.
const GIVEN_UP: Duration = Duration::from_secs(4);

/// How long after a login somebody may still be told that one is needed: a minute, in which every
/// process has read the store.
const HEARD: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) kind: Kind,
    /// How long an access token lives, and how long the server says that it does.
    lifetime: Duration,
    announced: Option<Duration>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    issued: u64,
    /// The refresh token that is good.
    live: Option<String>,
    /// Spent refresh tokens, each with its successor.
    spent: BTreeMap<String, String>,
    access: BTreeMap<String, Access>,
    /// The access token that came with the live refresh token.
    current: String,
    asked: BTreeMap<String, Asked>,
    /// A grant that was made and may have got lost on its way.
    lost: bool,
    logged_in_at: Duration,
    /// Whether a local clock was set forward, so that hints come early.
    early: bool,
    granted: u64,
    /// What happened, for whoever looks into a seed.
    log: Vec<String>,
    violations: Vec<String>,
}

#[derive(Debug, Default)]
struct Access {
    issued_at: Duration,
    dead: bool,
    /// Whether an API said no to it.
    rejected: bool,
}

/// The token requests with one refresh token.
#[derive(Debug, Default)]
struct Asked {
    /// Those whose answer is waited for: by which process, and since when.
    under_way: BTreeMap<usize, (u64, Duration)>,
    sent: usize,
    /// Those that ended without an answer that counts.
    failed: usize,
    answered: usize,
}

impl Server {
    pub(crate) fn new(random: &Random) -> Self {
        let kinds = [Kind::Strict, Kind::Refuse, Kind::GraceSame, Kind::NoRotation];
        let kind = kinds[usize::try_from(random.below(4)).unwrap()];
        // Longer than the minute for which an API is left alone that rejects twice in a row.
        let lifetime = random.millis(180_000..900_000);
        let announced = [None, Some(lifetime), Some(4 * lifetime), Some(lifetime / 4)];
        let announced = announced[usize::try_from(random.below(4)).unwrap()];
        Self { kind, lifetime, announced, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn violated(&self, what: impl Into<String>) {
        let mut state = self.state();
        let what = what.into();
        state.log.push(format!("violated: {what}"));
        state.violations.push(what);
    }

    pub(crate) fn noted(&self, now: Duration, what: &str) {
        self.state().log.push(format!("{} ms: {what}", now.as_millis()));
    }

    /// A login begins a new family.
    pub(crate) fn log_in(&self, now: Duration) -> Grant {
        let mut state = self.state();
        state.lost = false;
        state.logged_in_at = now;
        self.grant(&mut state, now)
    }

    fn grant(&self, state: &mut State, now: Duration) -> Grant {
        state.issued += 1;
        let n = state.issued;
        let refresh = match (&state.live, self.kind) {
            (Some(live), Kind::NoRotation) => live.clone(),
            _ => format!("rt-{n}"),
        };
        let access = format!("at-{n}");
        state.access.insert(access.clone(), Access { issued_at: now, ..Access::default() });
        state.live = Some(refresh.clone());
        state.current.clone_from(&access);
        let mut grant = Grant::bearer(Secret::new(access));
        grant.refresh_token = Some(Secret::new(refresh));
        grant.expires_in = self.announced;
        grant
    }

    /// A process sends a token request. Is there any need for it, and is it the only one? Gives
    /// what [`ended`](Self::ended) is to name.
    pub(crate) fn asked(
        &self,
        process: u64,
        refresh_token: &str,
        now: Duration,
    ) -> (String, usize) {
        let mut state = self.state();
        let state = &mut *state;
        state.log.push(format!("{} ms: {process} sends {refresh_token}", now.as_millis()));
        let is_first = state.live.as_deref() == Some(refresh_token);
        // Where refresh tokens are not spent, a generation is known by its access token.
        let rotates = self.kind != Kind::NoRotation;
        let key = if rotates { refresh_token } else { &state.current }.to_owned();
        let asked = state.asked.entry(key.clone()).or_default();
        let mut wrong = Vec::new();
        let at_once = asked.under_way.values().any(|(_, since)| now < *since + GIVEN_UP);
        if at_once && !state.early {
            wrong.push(format!("{refresh_token} is sent twice at once"));
        }
        if asked.sent > asked.failed + asked.under_way.len() {
            wrong.push(format!("{refresh_token} is sent again after it was answered"));
        }
        if let Some(access) = state.access.get(&state.current).filter(|_| is_first) {
            let due = self.announced.is_some_and(|announced| {
                now + AHEAD.min(announced / 5 + Duration::from_secs(25))
                    >= access.issued_at + announced
            });
            let dead = access.dead || now >= access.issued_at + self.lifetime;
            if asked.failed == 0 && !(due || dead || access.rejected || state.early) {
                wrong.push(format!("{refresh_token} is sent and nobody needs it"));
            }
        }
        state.log.extend(wrong.iter().map(|what| format!("violated: {what}")));
        asked.sent += 1;
        asked.under_way.insert(asked.sent, (process, now));
        let number = asked.sent;
        state.violations.extend(wrong);
        (key, number)
    }

    /// The token request ended: by an answer, or by none that counts.
    pub(crate) fn ended(&self, (key, number): (String, usize), answered: bool) {
        let mut state = self.state();
        let asked = state.asked.get_mut(&key).unwrap();
        // A process that died was counted then.
        let is_waited_for = asked.under_way.remove(&number).is_some();
        asked.failed += usize::from(is_waited_for && !answered);
        asked.answered += usize::from(is_waited_for && answered);
    }

    /// The process died: what it asked for, nobody waits for; and what it was answered and has not
    /// stored is lost.
    pub(crate) fn died(&self, process: u64, is_stored: bool) {
        for asked in self.state().asked.values_mut() {
            asked.under_way.retain(|_, (one, _)| *one != process);
            let answered = if is_stored { asked.answered } else { 0 };
            asked.failed = asked.sent - asked.under_way.len() - answered;
        }
        if !is_stored {
            self.lost();
        }
    }

    /// Judges a token request.
    pub(crate) fn redeem(&self, refresh_token: &str, now: Duration) -> Answer {
        let mut state = self.state();
        if state.live.as_deref() == Some(refresh_token) {
            state.granted += 1;
            let grant = self.grant(&mut state, now);
            if self.kind != Kind::NoRotation {
                let successor = state.live.clone().unwrap();
                state.spent.insert(refresh_token.to_owned(), successor);
            }
            return Answer::Granted(grant);
        }
        let successor = state.spent.get(refresh_token).cloned();
        if self.kind == Kind::GraceSame && successor.is_some() && successor == state.live {
            state.live = None;
            let mut grant = self.grant(&mut state, now);
            state.live.clone_from(&successor);
            grant.refresh_token = successor.map(Secret::new);
            return Answer::Granted(grant);
        }
        if self.kind == Kind::Strict && successor.is_some() {
            // Whether it had to be sent again was judged when it was.
            state.lost = true;
            state.live = None;
            state.access.values_mut().for_each(|access| access.dead = true);
        }
        Answer::Refused(Refusal { code: "invalid_grant".into(), kind: RefusalKind::Dead })
    }

    /// An API asks whether this access token is good.
    pub(crate) fn accepts(&self, access_token: &str, now: Duration) -> bool {
        let state = self.state();
        let access = state.access.get(access_token);
        access.is_some_and(|access| !access.dead && now < access.issued_at + self.lifetime)
    }

    /// An API says no, whatever the server says.
    pub(crate) fn rejected(&self, access_token: &str) {
        if let Some(access) = self.state().access.get_mut(access_token) {
            access.rejected = true;
        }
    }

    /// A grant may not reach the store of its client, and no client can help that.
    pub(crate) fn lost(&self) {
        let mut state = self.state();
        state.lost = true;
        // Nobody has this token, so there is need for another.
        let current = state.current.clone();
        state.access.entry(current).or_default().rejected = true;
    }

    /// What is stored now, is it what the server takes for the last? Then nothing is lost.
    pub(crate) fn is_stored(&self, record: &Record) -> bool {
        let mut state = self.state();
        let refresh_token = record.refresh_token.as_ref().map(Secret::expose);
        let access_token = record.slot().map(|slot| slot.access_token.expose());
        let is_last =
            refresh_token == state.live.as_deref() && access_token == Some(state.current.as_str());
        state.lost &= !is_last;
        is_last
    }

    pub(crate) fn may_have_lost(&self) -> bool {
        self.state().lost
    }

    /// Whether a login that ends now is excused: there is no grace, and a grant was lost. Those who
    /// heard of it before the next login are still to be heard.
    pub(crate) fn excuses_a_login(&self, now: Duration) -> bool {
        let state = self.state();
        let lost = state.lost || now < state.logged_in_at + HEARD;
        matches!(self.kind, Kind::Strict | Kind::Refuse) && lost
    }

    /// Local clocks were set forward, or stood still in a request.
    pub(crate) fn clocks_were_set(&self) {
        self.state().early = true;
    }

    /// What was counted: grants, what happened, what was wrong.
    pub(crate) fn counted(&self) -> (u64, Vec<String>, Vec<String>) {
        let state = self.state();
        (state.granted, state.log.clone(), state.violations.clone())
    }
}
