//! Every number the machine goes by, with its reason.

use core::time::Duration;

use crate::server::Rotation;

/// The machine's numbers. `Policy::default()` is what most programs want.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Policy {
    /// What the server does with refresh tokens.
    pub rotation: Rotation,
    /// Whether revoking a token at this server ends that token alone. Only then is a dropped
    /// grant revoked without being asked: elsewhere it could end the login that took its place.
    pub revokes_token_alone: bool,
    /// One attempt, all its tries: 20 s, so that it ends before a caller's 30 s do.
    pub attempt: Duration,
    /// One load, save or lease operation: 5 s, far beyond a healthy disk, short for a person.
    pub store: Duration,
    /// Tries in one attempt: 6, which the attempt's 20 s allow at full backoff.
    pub tries: u32,
    /// Tries in one attempt at a server that does not speak OAuth: 3, a proxy may be restarting.
    pub malformed_tries: u32,
    /// First delay between tries, doubled each time, with full jitter: 0.5 s.
    pub backoff: Duration,
    /// Greatest delay between tries: 8 s.
    pub backoff_cap: Duration,
    /// First cool-down after an attempt, doubled each time: a minute.
    pub cool_down: Duration,
    /// Greatest cool-down: an hour, so that a mended server is found again the same hour.
    pub cool_down_cap: Duration,
    /// First cool-down of an origin that rejects with a bare 401: an hour, for such an answer
    /// need not be about the token at all.
    pub weak_cool_down: Duration,
    /// Greatest Retry-After that is honoured: a day; more is a server's mistake.
    pub retry_after_cap: Duration,
    /// How long before its expiry a token is refreshed ahead of need: a minute, or a tenth of
    /// its lifetime if that is less. The seed adds up to as much again, so that a fleet started
    /// together does not ask together.
    pub leeway: Duration,
    /// Token requests in a row: 30.
    pub burst: u32,
    /// After that, one in this time: a minute.
    pub refill: Duration,
    /// After a crash, how long the dead process's request may still be under way: 2 s.
    pub crash_pause: Duration,
    /// While another holds the lease, the first wait between looks: 5 ms, doubled up to ten
    /// times as much. Short, because the one that waits is a user's request.
    pub lease_poll: Duration,
    /// How often an open session looks for another process's login or logout: 5 s.
    pub reread: Duration,
    /// How long a refused refresh token is kept, for `reconsider`: seven days.
    pub refused_kept: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            rotation: Rotation::Unknown,
            revokes_token_alone: false,
            attempt: seconds(20),
            store: seconds(5),
            tries: 6,
            malformed_tries: 3,
            backoff: Duration::from_millis(500),
            backoff_cap: seconds(8),
            cool_down: seconds(60),
            cool_down_cap: seconds(3_600),
            weak_cool_down: seconds(3_600),
            retry_after_cap: seconds(86_400),
            leeway: seconds(60),
            burst: 30,
            refill: seconds(60),
            crash_pause: seconds(2),
            lease_poll: Duration::from_millis(5),
            reread: seconds(5),
            refused_kept: seconds(7 * 86_400),
        }
    }
}

impl Policy {
    /// From the intent to the end of the save after the last answer: what an intent's deadline is.
    pub fn intent(&self) -> Duration {
        self.attempt + self.store
    }

    /// The length of the cool-down after `streak` failures in a row, of which this is one.
    pub(crate) fn cool_down_after(&self, first: Duration, streak: u32) -> Duration {
        let doublings = streak.saturating_sub(1).min(16);
        (first * (1 << doublings)).min(self.cool_down_cap.max(first))
    }
}
