//! Why a login was lost: what no client can save, and what this one should have saved.

use crate::sim::authority::{Ended, RefreshToken};
use crate::sim::books::{Ask, Books, Known, Who};
use crate::sim::ops::Profile;

/// Longer than an attempt waits for an answer: 20 s. What comes later comes late.
const ATTEMPT: u64 = 20_000;

/// Why the authorization server refuses a refresh token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// By its own decision it ended the login.
    ServerEnded,
    /// It spent the refresh token on a grant for somebody else.
    Stranger,
    /// For a while it refuses everybody.
    BadDeployment,
    /// The client revoked it, at a logout.
    Revoked,
    /// An older request was overtaken by its replay, and came after it.
    Overtaken,
    /// The answer with the successor was lost.
    AnswerLost,
    /// The process that had asked for the successor ended before the answer came.
    DiedAsking,
    /// The process that had the successor ended before it was saved.
    DiedSaving,
    /// The answer waits for a process that is stopped, asleep, or was so for too long.
    Stopped,
    /// The answer came after its attempt was over, while somebody else asked.
    Late,
    /// An older copy of the store was put back, and its token redeemed.
    Restored,
    /// The process that had the successor was stopped or could not save it, and another one went on
    /// past its intent, as the profile lets it: a grace in which earlier successors stay good. It
    /// was over.
    TakenOver,
    /// The process that had the successor could not save it, and lost the lease without its doing.
    LeaseLost,
    /// The successor was here, in time, and nothing hindered its being kept.
    Client,
}

impl Loss {
    /// Whether the authorization server or the user wanted it.
    pub fn is_meant(self) -> bool {
        matches!(self, Self::ServerEnded | Self::Stranger | Self::BadDeployment | Self::Revoked)
    }
}

/// Why the request is refused. `live` were the good tokens of that login just before.
pub(super) fn cause(books: &Books, number: usize, live: &[RefreshToken], now: u64) -> Loss {
    let ask = books.asks[number];
    let family = books.authority.family(ask.token);
    if now < books.authority.refuses_until {
        return Loss::BadDeployment;
    }
    if books.refresh[ask.token].overtaken {
        return Loss::Overtaken;
    }
    if books.refresh[ask.token].stranger {
        return Loss::Stranger;
    }
    match books.authority.ended(family) {
        Some(Ended::ByServer) => return Loss::ServerEnded,
        Some(Ended::Revoked) => return Loss::Revoked,
        Some(Ended::ByReuse) | None => {}
    }
    // Nothing was good any more: the first refusal of this login said why.
    let Some(newest) = live.first() else { return Loss::Overtaken };
    why_not_used(books, &ask, *newest)
}

/// Why somebody asked with a spent refresh token while there was this newer one.
fn why_not_used(books: &Books, ask: &Ask, newest: RefreshToken) -> Loss {
    let seen = books.refresh[newest];
    let Some(minted) = seen.minted.map(|number| books.asks[number]) else { return Loss::Client };
    if minted.sent_at > ask.sent_at {
        return Loss::Overtaken;
    }
    // Whoever finds an older copy saves what it has itself, and others may have had more.
    if books.restored_at.is_some_and(|at| at >= minted.sent_at) {
        return Loss::Restored;
    }
    if let Some(saved) = seen.saved {
        // A compare-and-swap lets nobody begin with a token that the store no longer holds.
        return if saved < ask.begun_at { Loss::Client } else { Loss::Late };
    }
    let (known, at) = minted.known;
    let granted = known == Known::Granted;
    if !books.lives(minted.who) {
        return if granted { Loss::DiedSaving } else { Loss::DiedAsking };
    }
    if granted && at < ask.sent_at {
        return why_not_saved(books, ask, &minted);
    }
    let host = &books.hosts[minted.who.process];
    if host.stopped_at.is_some_and(|at| at >= minted.begun_at) {
        return Loss::Stopped;
    }
    if granted || at - minted.sent_at > ATTEMPT { Loss::Late } else { Loss::AnswerLost }
}

/// Why a live process that had the newer token had not saved it.
fn why_not_saved(books: &Books, ask: &Ask, minted: &Ask) -> Loss {
    let Who { process, .. } = minted.who;
    let host = &books.hosts[process];
    let own = minted.who == ask.who;
    let late = minted.known.1 - minted.sent_at > ATTEMPT;
    let survives = matches!(books.setup.profile, Profile::Never | Profile::KeepsEarlier);
    if host.lease_unsure || books.lockless {
        return Loss::LeaseLost;
    }
    if !own && survives {
        return Loss::TakenOver;
    }
    if !own && late { Loss::Late } else { Loss::Client }
}
