//! The facts: all that is stored besides the tokens.

use alloc::string::String;
use core::fmt;
use core::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::{Id, TokenId};
use crate::origin::Origin;
use crate::reason::{Cause, LoginReason};
use crate::time::Timestamp;

/// What servers have said of an access token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// There is none.
    None,
    /// A server accepted it, or a login gave it.
    Trusted,
    /// A refresh gave it, and no server has accepted it yet.
    Probation,
    /// A server rejected it.
    Rejected,
}

/// What can be said of the refresh token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refresh {
    /// Good, as far as anybody knows.
    Usable,
    /// A request with it may have been acted upon, and the answer is lost: the server may hold
    /// it for spent.
    InDoubt {
        /// Since when.
        since: Timestamp,
    },
    /// The authorization server refused it, or a logout took it away.
    Dead {
        /// Why.
        reason: LoginReason,
        /// The server's own code, where there was one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// Since when.
        at: Timestamp,
    },
    /// There is none, and no other way to renew.
    Absent,
}

/// The durable note that a refresh of the current generation has begun; written before the token
/// request is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Intent {
    /// Tells one's own intent from another's.
    pub nonce: Id,
    /// The process that began, random per start.
    pub owner: Id,
    /// When it began.
    pub at: Timestamp,
    /// When the request and its saves are over at the latest.
    pub deadline: Timestamp,
    /// Written past another's intent without the lease.
    #[serde(default)]
    pub raised: bool,
}

/// Why the authorization server is left alone for a while.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CoolDown {
    /// Until when. The cool-down stays noted after that, for its streak, until a grant.
    pub until: Timestamp,
    /// What happened.
    pub cause: Cause,
    /// The server's own code, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How many attempts have failed in a row.
    pub streak: u32,
    /// Whether it delays only tries that come ahead of need.
    #[serde(default)]
    pub ahead_only: bool,
}

/// An origin that rejected a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mark {
    /// Who rejected.
    pub origin: Origin,
    /// What it rejected last.
    pub rejected: TokenId,
    /// Until when a rejection of a later generation by it is its own matter.
    pub until: Timestamp,
    /// How many generations it has rejected without accepting one.
    pub streak: u32,
    /// Whether it rejected a fresh token too: it is left alone until then, whatever the
    /// generation.
    #[serde(default)]
    pub still: bool,
    /// Whether its rejections are bare 401s, which cool down longer.
    #[serde(default)]
    pub weak: bool,
}

/// The bucket of token requests, as the one moment at which it is full again.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Budget {
    /// When it is full again.
    pub full_at: Timestamp,
}

impl Budget {
    /// When the next request may be taken from a bucket of `burst`, refilled by one `every`;
    /// not later than `now` if it may be taken now.
    pub fn ready_at(self, burst: u32, every: Duration, now: Timestamp) -> Timestamp {
        self.believed(burst, every, now) - every * burst.saturating_sub(1)
    }

    /// The bucket with one request less.
    #[must_use]
    pub fn debited(self, burst: u32, every: Duration, now: Timestamp) -> Self {
        let full_at = self.believed(burst, every, now).max(now) + every;
        Self { full_at: full_at.clamped(now, every * burst) }
    }

    /// A stamp that no request of this bucket can have left was written under another clock: one
    /// request may be taken, which leaves an honest stamp.
    fn believed(self, burst: u32, every: Duration, now: Timestamp) -> Timestamp {
        if self.full_at > now + every * burst {
            return now + every * burst.saturating_sub(1);
        }
        self.full_at
    }
}

/// The names that the facts spell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateKind {
    /// A server has accepted the token, or a login gave it.
    Valid,
    /// The token is known bad and no refresh is under way.
    ServerRejected,
    /// The intent is durable; somebody's token request is out or backing off.
    Refreshing,
    /// A new token, not accepted by a server yet; rejected requests are replayed with it.
    Retrying,
    /// The authorization server refused, or there is nothing to renew with.
    NeedsLogin,
}

impl StateKind {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Valid, Self::ServerRejected, Self::Refreshing, Self::Retrying, Self::NeedsLogin];
}

impl fmt::Display for StateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_bucket_gives_its_burst_and_then_one_a_minute() {
        let mut now = Timestamp::from_millis(1_000_000_000);
        let mut bucket = Budget::default();
        for _ in 0..30 {
            assert!(bucket.ready_at(30, MINUTE, now) <= now);
            bucket = bucket.debited(30, MINUTE, now);
        }
        assert_eq!(bucket.ready_at(30, MINUTE, now), now + MINUTE);
        now = now + MINUTE;
        assert!(bucket.ready_at(30, MINUTE, now) <= now);
        bucket = bucket.debited(30, MINUTE, now);
        assert_eq!(bucket.ready_at(30, MINUTE, now), now + MINUTE);
    }

    #[test]
    fn a_bucket_of_a_wrong_clock_is_at_worst_empty() {
        let now = Timestamp::from_millis(1_000_000_000);
        let bucket = Budget { full_at: Timestamp::NEVER };
        assert!(bucket.ready_at(30, MINUTE, now) <= now);
        let bucket = bucket.debited(30, MINUTE, now);
        assert_eq!(bucket.ready_at(30, MINUTE, now), now + MINUTE);
    }
}
