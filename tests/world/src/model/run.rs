//! A run: what there is, and what may go wrong.

use std::time::Duration;

use regrant_core::{Policy, Rotation, Timestamp};

use super::chance::Chances;
use crate::Kind;

/// One tick, the only length there is: a second, because that is how long the machine waits for
/// answers that are overdue.
pub(super) const TICK: Duration = Duration::from_secs(1);

/// Where the time of the model begins.
pub(super) const BEGINNING: Timestamp = Timestamp::from_millis(1_000_000_000);

/// How far a clock jumps: further than any stamp reaches.
pub(super) const JUMP: Duration = Duration::from_secs(1_000);

/// How processes exclude each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exclusion {
    /// A lock of the operating system: it dies with its process, and only with it.
    Lock,
    /// A row of a database, renewed while its owner runs: it runs out when the owner does not.
    Row,
}

/// What there is in one run, and what may go wrong in it.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its name.
    pub name: &'static str,
    /// What the authorization server does.
    pub kind: Kind,
    /// What the profile says of it.
    pub rotation: Rotation,
    /// How processes exclude each other.
    pub exclusion: Exclusion,
    /// How many processes there are.
    pub processes: usize,
    /// How many requests one process has at a time.
    pub at_a_time: usize,
    /// Whether requests go to one API or to two.
    pub apis: u8,
    /// Whether the first access token is good at the beginning.
    pub good: bool,
    /// Whether the server has ended the grant before anybody knows.
    pub ended: bool,
    /// The announced lifetime of access tokens, in ticks.
    pub lifetime: Option<u32>,
    /// Token requests in a row.
    pub burst: u32,
    /// The tick at which the search ends, for worlds in which something happens for ever.
    pub ticks: Option<u32>,
    /// What may happen, and how often.
    pub chances: Chances,
}

impl Run {
    /// More token requests than any run has reason to send.
    pub(super) const BURST: u32 = 8;

    /// A run with two processes, one API, an expired token and a lock, at a strict server.
    pub(super) const fn new(name: &'static str, chances: Chances) -> Self {
        Self {
            name,
            kind: Kind::Strict,
            rotation: Rotation::Unknown,
            exclusion: Exclusion::Lock,
            processes: 2,
            at_a_time: 1,
            apis: 1,
            good: false,
            ended: false,
            lifetime: None,
            burst: Self::BURST,
            ticks: None,
            chances,
        }
    }

    /// The machine's numbers, in ticks.
    pub(super) fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        policy.rotation = self.rotation;
        policy.revokes_token_alone = true;
        // A request and one more, with room for each to be judged.
        policy.attempt = 4 * TICK;
        policy.store = TICK;
        policy.tries = 2;
        policy.malformed_tries = 2;
        policy.backoff = TICK;
        policy.backoff_cap = TICK;
        // One cool-down is as long as another, so that how many there were is of no consequence.
        policy.cool_down = 4 * TICK;
        policy.cool_down_cap = 4 * TICK;
        policy.weak_cool_down = 4 * TICK;
        policy.retry_after_cap = 8 * TICK;
        policy.leeway = TICK;
        policy.burst = self.burst;
        policy.refill = 6 * TICK;
        policy.crash_pause = TICK;
        policy.lease_poll = TICK;
        // Nobody looks unasked, so that all that is learnt is learnt for a reason.
        policy.reread = Duration::MAX;
        policy.refused_kept = Duration::MAX;
        policy
    }

    /// When the search ends.
    pub(super) fn ends_at(&self) -> Timestamp {
        self.ticks.map_or(Timestamp::NEVER, |ticks| BEGINNING + TICK * ticks)
    }

    /// The announced lifetime.
    pub(super) fn lifetime(&self) -> Option<Duration> {
        self.lifetime.map(|ticks| TICK * ticks)
    }
}
