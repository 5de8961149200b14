//! What was seen of a fleet from outside: at the authorization server, in the store, on the wire,
//! and by the callers. Nothing here knows what a machine thinks.

use std::collections::BTreeSet;

use regrant_core::{Access, Id, Record, Refresh};

use crate::sim::authority::{AccessToken, Authority, Judgement, RefreshToken};
use crate::sim::ops::Setup;

/// One start of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Who {
    /// Which process.
    pub process: usize,
    /// The how many-th start.
    pub start: u32,
}

/// What the store holds, as anybody can read it.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    /// The login's name; none for nothing.
    pub incarnation: Option<Id>,
    /// The generation.
    pub generation: u64,
    /// The refresh token.
    pub refresh: Option<RefreshToken>,
    /// The refused refresh token that was kept there long enough, by somebody's clock.
    pub forgotten: Option<RefreshToken>,
    /// The access token.
    pub access: Option<AccessToken>,
    /// The announced expiry, by the clock of whoever got the token. None where none is known.
    pub expires_at: Option<u64>,
    /// The announced lifetime.
    pub lifetime: u64,
    /// Whether a logout left it.
    pub logged_out: bool,
    /// Whether the refresh token counts as dead.
    pub dead: bool,
    /// Whether the access token counts as good.
    pub good: bool,
    /// The name of the refresh that has begun, if one has, and when it ends by its clock.
    pub begun: Option<(Id, u64)>,
}

impl Kept {
    /// What this record says.
    pub fn of(record: &Record) -> Self {
        let slot = record.slot();
        let lifetime = slot.and_then(|slot| slot.lifetime_ms);
        let expires_at = slot
            .zip(lifetime)
            .map(|(slot, lifetime)| slot.obtained_at.as_millis().saturating_add(lifetime));
        Self {
            incarnation: Some(record.incarnation),
            generation: record.generation,
            refresh: record.refresh_token.as_ref().and_then(|token| number(token.expose())),
            forgotten: None,
            access: slot.and_then(|slot| number(slot.access_token.expose())),
            expires_at,
            lifetime: lifetime.unwrap_or_default(),
            logged_out: record.is_logged_out(),
            dead: matches!(record.refresh, Refresh::Dead { .. }),
            good: matches!(record.access(), Access::Trusted | Access::Probation),
            begun: record.attempt.as_ref().map(|i| (i.nonce, i.deadline.as_millis())),
        }
    }
}

impl Kept {
    /// Whether the token has expired by this clock reading, as far as it says itself. No expiry
    /// is further away than the whole lifetime, whatever clock it was written by.
    pub fn expired(&self, clock: u64, leeways: u64) -> bool {
        // A minute or a tenth of the lifetime.
        let early = leeways * (self.lifetime / 10).min(60_000);
        let at = |at: u64| at.min(clock.saturating_add(self.lifetime)).saturating_sub(early);
        self.expires_at.is_some_and(|expires_at| at(expires_at) <= clock)
    }
}

/// The place in the books of a token with this text.
pub fn number(text: &str) -> Option<usize> {
    text.get(1..)?.parse().ok()
}

/// What its sender knows of a token request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Nothing yet.
    Out,
    /// The server did not act on it.
    NotApplied,
    /// The server may have acted on it.
    Perhaps,
    /// It brought a grant.
    Granted,
    /// It was refused.
    Refused,
}

/// One token request.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// Who sent it.
    pub who: Who,
    /// What with.
    pub token: RefreshToken,
    /// The generation it was to replace.
    pub generation: u64,
    /// When its sender's intent was in the store.
    pub begun_at: u64,
    /// When its sender's intent ends, by its sender's clock.
    pub ends_by_clock: u64,
    /// Whether the access token was neither rejected nor expired when it began.
    pub ahead: bool,
    /// When it was sent.
    pub sent_at: u64,
    /// The same by its sender's clock.
    pub sent_by_clock: u64,
    /// What the server made of it.
    pub judged: Option<Judgement>,
    /// What its sender knows, and since when.
    pub known: (Known, u64),
}

/// What was seen of one refresh token.
#[derive(Clone, Copy, Debug, Default)]
pub struct RefreshSeen {
    /// The request that brought it first; none for a login.
    pub minted: Option<usize>,
    /// When it was first in the store.
    pub saved: Option<u64>,
    /// Whether the server refused it.
    pub refused: bool,
    /// Whether the store says that it is dead.
    pub known_dead: bool,
    /// Whether it was killed in favour of what an older request brought, which came after its own.
    pub overtaken: bool,
    /// Whether it was redeemed for somebody else.
    pub stranger: bool,
    /// The last request with it, and whether one was the replay that doubt allows.
    pub last: Option<usize>,
    /// See `last`.
    pub replayed: bool,
}

/// What was seen of one access token.
#[derive(Clone, Copy, Debug, Default)]
pub struct AccessSeen {
    /// Whether it was ever in the store.
    pub saved: bool,
    /// Whether somebody was told of its rejection.
    pub rejected: bool,
}

/// What was seen of one process.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// The how many-th start.
    pub start: u32,
    /// Whether it runs or is stopped.
    pub alive: bool,
    /// When it last heard that a save had failed, or that nobody knew.
    pub unsaved_at: Option<u64>,
    /// When it last heard that a load had failed.
    pub unread_at: Option<u64>,
    /// The state of the store that it last learnt, by the time at which it was that.
    pub read_at: u64,
    /// When it learnt it.
    pub heard_at: u64,
    /// Whether its lease may be somebody else's without its doing.
    pub lease_unsure: bool,
    /// When it was last stopped or asleep.
    pub stopped_at: Option<u64>,
    /// Its last save that began a refresh.
    pub intent: Option<(u64, Kept)>,
    /// How often somebody there wanted refused refresh tokens to be tried once more.
    pub reconsiders: u32,
    /// Token requests since.
    pub tries: u32,
    /// Whether they are ahead of need.
    pub ahead: bool,
    /// What it was told: which API rejected which token.
    pub told: BTreeSet<(u8, AccessToken)>,
}

/// All that was seen.
#[derive(Clone, Debug)]
pub struct Books {
    /// The world.
    pub setup: Setup,
    /// The server's own.
    pub authority: Authority,
    /// Token requests, oldest first.
    pub asks: Vec<Ask>,
    /// Refresh tokens by their number.
    pub refresh: Vec<RefreshSeen>,
    /// Access tokens by their number.
    pub access: Vec<AccessSeen>,
    /// Processes.
    pub hosts: Vec<Host>,
    /// What the store held, from when on.
    pub history: Vec<(u64, Kept)>,
    /// The logins that a logout has ended.
    pub buried: Vec<Id>,
    /// When a copy of the store was last put back.
    pub restored_at: Option<u64>,
    /// The names of all logins that were ever stored.
    pub incarnations: Vec<Id>,
    /// Whether the clocks of two processes differ, or one was ever set.
    pub skewed: bool,
    /// Whether the place could not be locked at some time.
    pub lockless: bool,
    /// When somebody last wanted a refused refresh token to be tried once more.
    pub reconsidered_at: Option<u64>,
    /// Starts, ends, failed saves and logins: each can cost tries that no bucket has counted.
    pub upsets: u64,
}

impl Books {
    /// Nothing was seen yet.
    pub fn new(setup: &Setup) -> Self {
        Self {
            setup: *setup,
            authority: Authority::new(setup),
            asks: Vec::new(),
            refresh: Vec::new(),
            access: Vec::new(),
            hosts: vec![Host::default(); usize::from(setup.processes)],
            history: vec![(0, Kept::default())],
            buried: Vec::new(),
            restored_at: None,
            incarnations: Vec::new(),
            skewed: false,
            lockless: false,
            reconsidered_at: None,
            upsets: 0,
        }
    }

    /// A process has started.
    pub fn started(&mut self, process: usize, now: u64) -> Who {
        let host = &mut self.hosts[process];
        let start = host.start + 1;
        *host = Host { start, alive: true, read_at: now, heard_at: now, ..Host::default() };
        Who { process, start }
    }

    /// Whether this start of the process has not ended.
    pub fn lives(&self, who: Who) -> bool {
        let host = &self.hosts[who.process];
        host.alive && host.start == who.start
    }

    /// The process, if this start of it has not ended.
    pub fn host(&mut self, who: Who) -> Option<&mut Host> {
        let host = &mut self.hosts[who.process];
        (host.alive && host.start == who.start).then_some(host)
    }

    /// What the store holds.
    pub fn kept(&self) -> &Kept {
        &self.history.last().expect("the history begins with nothing").1
    }

    /// What the store held at some time from then on.
    pub fn kept_since(&self, from: u64) -> impl Iterator<Item = &Kept> {
        // What it held at `from` began to be there before.
        let first = self.history.iter().rposition(|(at, _)| *at < from).unwrap_or(0);
        self.history[first..].iter().map(|(_, kept)| kept)
    }

    /// Somebody wants refused refresh tokens to be tried once more, as if nothing had been.
    pub fn reconsiders(&mut self, process: usize, now: u64) {
        self.hosts[process].reconsiders += 1;
        self.reconsidered_at = Some(now);
        for seen in &mut self.refresh {
            seen.replayed = false;
        }
    }

    /// The books of a refresh token.
    pub fn refresh(&mut self, token: RefreshToken) -> &mut RefreshSeen {
        if self.refresh.len() <= token {
            self.refresh.resize(token + 1, RefreshSeen::default());
        }
        &mut self.refresh[token]
    }

    /// The books of an access token.
    pub fn access(&mut self, token: AccessToken) -> &mut AccessSeen {
        if self.access.len() <= token {
            self.access.resize(token + 1, AccessSeen::default());
        }
        &mut self.access[token]
    }

    /// The store holds something else.
    pub fn stored(&mut self, mut kept: Kept, restored: bool, now: u64) {
        if kept.dead && kept.refresh.is_none() {
            let same = |old: &&(u64, Kept)| {
                (old.1.incarnation, old.1.generation) == (kept.incarnation, kept.generation)
            };
            let old = self.history.iter().rev().filter(same);
            kept.forgotten = old.filter_map(|(_, old)| old.refresh).next();
        }
        if let Some(token) = kept.refresh {
            let seen = self.refresh(token);
            seen.saved.get_or_insert(now);
            seen.known_dead = kept.dead;
            if restored {
                // Its end was forgotten with everything else.
                seen.replayed = false;
            }
        }
        if let Some(token) = kept.access {
            self.access(token).saved = true;
        }
        if kept.logged_out {
            self.buried.extend(kept.incarnation);
        }
        if let Some(incarnation) = kept.incarnation
            && !self.incarnations.contains(&incarnation)
        {
            self.incarnations.push(incarnation);
        }
        self.restored_at = if restored { Some(now) } else { self.restored_at };
        self.history.push((now, kept));
    }
}
