//! One request's passage: sent, rejected, replayed. Every transport shares this policy.

#[cfg(feature = "model")]
mod model;

use core::time::Duration;

use crate::grant::Verdict;
use crate::id::TokenId;

/// How often a request is replayed at most, each time with a newer generation than the last.
const REPLAYS: u8 = 2;

/// The passage of one request, from its first sending to the answer that its caller gets.
#[derive(Clone, Debug)]
pub struct Passage {
    replayable: bool,
    replays: u8,
    nonce_replayed: bool,
    lagged: bool,
    rejected: Option<TokenId>,
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It is the caller's answer.
    Deliver,
    /// Report the rejection, wait for a newer token, send again with it.
    Replay,
    /// Report the rejection and wait for what follows; then this is the caller's answer all the
    /// same, with a mark that the request may be sent again.
    DeliverAfterRefresh,
}

impl Passage {
    /// A passage that has not begun. `replayable`: whether the request can be sent again.
    pub fn new(replayable: bool) -> Self {
        Self { replayable, replays: 0, nonce_replayed: false, lagged: false, rejected: None }
    }

    /// Whether the request may go out with this token: only with a newer one than was rejected.
    pub fn may_send(&self, id: TokenId) -> bool {
        self.rejected.is_none_or(|old| id.slot != old.slot || id.generation > old.generation)
    }

    /// What follows from this answer to a request that carried `id`.
    pub fn answered(&mut self, id: TokenId, verdict: Verdict) -> Next {
        match verdict {
            Verdict::Accepted | Verdict::Silent => Next::Deliver,
            Verdict::Rejected(_) => {
                self.rejected = Some(id);
                if !self.replayable || self.replays == REPLAYS {
                    return Next::DeliverAfterRefresh;
                }
                self.replays += 1;
                Next::Replay
            }
        }
    }

    /// Whether the request may be sent again because the server named a nonce (RFC 9449
    /// section 9). Once per request, counted apart from replays.
    pub fn nonce_wanted(&mut self) -> bool {
        self.replayable && !core::mem::replace(&mut self.nonce_replayed, true)
    }

    /// How long to wait before the request is sent again with the same token, because this
    /// provider's APIs may reject one that was just issued: only where no server has accepted it
    /// yet, once per request, and counted apart from replays.
    pub fn lags(&mut self, fresh: bool, verdict: Verdict, lag: Duration) -> Option<Duration> {
        let rejected = matches!(verdict, Verdict::Rejected(_));
        if !(self.replayable && rejected && fresh) || self.lagged || lag.is_zero() {
            return None;
        }
        self.lagged = true;
        Some(lag)
    }

    /// How often the request was sent again.
    pub fn replays(&self) -> u8 {
        self.replays
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::Strength;

    const fn id(generation: u64) -> TokenId {
        TokenId { slot: 0, generation }
    }

    #[test]
    fn a_request_is_replayed_twice_at_most_and_never_with_an_old_token() {
        let mut passage = Passage::new(true);
        let rejected = Verdict::Rejected(Strength::Strong);
        assert!(passage.may_send(id(1)));
        assert_eq!(passage.answered(id(1), rejected), Next::Replay);
        assert!(!passage.may_send(id(1)));
        assert_eq!(passage.answered(id(2), rejected), Next::Replay);
        assert!(!passage.may_send(id(2)) && passage.may_send(id(3)));
        assert_eq!(passage.answered(id(3), rejected), Next::DeliverAfterRefresh);
        assert_eq!(passage.replays(), 2);
    }

    #[test]
    fn a_request_that_cannot_be_sent_again_gets_its_own_answer() {
        let mut passage = Passage::new(false);
        let rejected = Verdict::Rejected(Strength::Weak);
        assert_eq!(passage.answered(id(1), rejected), Next::DeliverAfterRefresh);
        assert!(!passage.nonce_wanted());
    }

    #[test]
    fn a_fresh_token_is_given_time_once_where_the_provider_wants_it() {
        let (second, rejected) = (Duration::from_secs(1), Verdict::Rejected(Strength::Strong));
        let mut passage = Passage::new(true);
        assert_eq!(passage.lags(true, rejected, Duration::ZERO), None);
        assert_eq!(passage.lags(false, rejected, second), None);
        assert_eq!(passage.lags(true, Verdict::Silent, second), None);
        assert_eq!(passage.lags(true, rejected, second), Some(second));
        assert_eq!(passage.lags(true, rejected, second), None);
        assert_eq!(passage.answered(id(1), rejected), Next::Replay);
        assert_eq!(Passage::new(false).lags(true, rejected, second), None);
    }

    #[test]
    fn a_nonce_is_counted_apart() {
        let mut passage = Passage::new(true);
        assert!(passage.nonce_wanted());
        assert!(!passage.nonce_wanted());
        assert_eq!(passage.replays(), 0);
    }
}
