//! The callers that wait for a token.

use std::sync::Arc;

use regrant_core::{LoginReason, Origin, Timestamp, TokenId, Use};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::error::AccessError;
use crate::published::{Access, Published};
use crate::trouble::Trouble;

/// One caller. It waits for as long as its end of `reply` lives, and until its patience is over.
#[derive(Debug)]
pub(crate) struct Waiter {
    pub(crate) origin: Origin,
    /// Only a newer token than this will do.
    pub(crate) than: Option<TokenId>,
    pub(crate) deadline: Instant,
    pub(crate) reply: oneshot::Sender<Result<Access, AccessError>>,
}

/// All of them, in the order they came. Since all are patient for the same time, the first to
/// come is the first to go.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    /// Those whom the published view does not answer.
    waiting: Vec<Waiter>,
    /// Those who have not been told of any view yet.
    new: Vec<Waiter>,
}

impl Waiter {
    /// The token, if there is one that will do.
    pub(crate) fn lent(&self, published: &Arc<Published>) -> Option<Access> {
        let access = Published::lend(published, &self.origin)?;
        self.than.is_none_or(|than| is_newer(access.id(), than)).then_some(access)
    }

    /// What this view says to the caller; none if it has to wait.
    fn answer(
        &self,
        published: &Arc<Published>,
        trouble: &Trouble,
    ) -> Option<Result<Access, AccessError>> {
        let view = published.view();
        let code = || view.code().map(str::to_owned);
        match view.access(&self.origin) {
            Use::Token { .. } => self.lent(published).map(Ok),
            Use::Wait => None,
            Use::Login(reason) => {
                // Of every other login, the source of the token says nothing.
                let none_to_renew = reason == LoginReason::NoRefreshToken;
                let token_source = view.source().filter(|_| none_to_renew).map(str::to_owned);
                Some(Err(AccessError::NeedsLogin { reason, code: code(), token_source }))
            }
            Use::Blocked { why, retry_at } => {
                let source = |fault| trouble.behind(fault);
                Some(Err(AccessError::blocked(why, retry_at, view.code(), source)))
            }
            Use::Foreign => Some(Err(AccessError::Foreign { origin: self.origin.clone() })),
        }
    }
}

impl Waiters {
    pub(crate) fn push(&mut self, waiter: Waiter) {
        self.new.push(waiter);
    }

    /// Answers those whom this view answers, and those whose patience is over. Only a view that
    /// has `changed` has something to say to those who have been waiting.
    pub(crate) fn serve(
        &mut self,
        published: &Arc<Published>,
        changed: bool,
        trouble: &Trouble,
        time: Instant,
        now: Timestamp,
    ) {
        let answer = |waiter: Waiter| {
            if waiter.reply.is_closed() {
                return None;
            }
            let over = || (waiter.deadline <= time).then(|| Err(impatient(published, now)));
            match waiter.answer(published, trouble).or_else(over) {
                Some(answer) => {
                    // A caller that has just gone away needs no answer.
                    let _ = waiter.reply.send(answer);
                    None
                }
                None => Some(waiter),
            }
        };
        if changed || self.deadline().is_some_and(|deadline| deadline <= time) {
            let waiting = std::mem::take(&mut self.waiting);
            self.waiting.extend(waiting.into_iter().filter_map(answer));
        }
        self.waiting.extend(self.new.drain(..).filter_map(answer));
    }

    /// Where those who still wait want to send a token, each origin once.
    pub(crate) fn origins(&self) -> Vec<Origin> {
        let mut origins: Vec<_> = self.all().map(|waiter| waiter.origin.clone()).collect();
        origins.sort();
        origins.dedup();
        origins
    }

    /// When the first patience is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.all().next().map(|waiter| waiter.deadline)
    }

    fn all(&self) -> impl Iterator<Item = &Waiter> {
        self.waiting.iter().chain(&self.new)
    }
}

/// Newer within the same slot; another slot's token is not to be compared.
fn is_newer(id: TokenId, than: TokenId) -> bool {
    id.slot == than.slot && id.generation > than.generation
}

fn impatient(published: &Published, now: Timestamp) -> AccessError {
    match published.view().holder() {
        Some(holder) => AccessError::Busy {
            holder: holder.clone(),
            held_for: holder.since.map(|since| now.since(since)),
        },
        None => AccessError::TimedOut,
    }
}
