//! What a session tells those who watch it, and the log.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use regrant_core::Event;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tracing::{debug, info, warn};

/// How many events wait for one reader: 256, more than any attempt makes.
const BUFFER: usize = 256;

/// The events of a session from one moment on, in order.
///
/// It ends when the session has ended. A reader that falls behind loses events and is told how
/// many; it holds nobody up.
#[derive(Debug)]
pub struct Events(Receiver<Result<Event, Lagged>>);

/// The reader fell behind, and events were lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{missed} events were lost because they were not read in time")]
pub struct Lagged {
    /// How many.
    pub missed: u64,
}

impl Events {
    /// The next event; none when the session has ended.
    ///
    /// # Errors
    ///
    /// [`Lagged`] in the place of events that were lost; the next call goes on after them.
    pub async fn next(&mut self) -> Option<Result<Event, Lagged>> {
        self.0.recv().await
    }
}

impl Stream for Events {
    type Item = Result<Event, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

/// One reader, as the session's task sees it.
#[derive(Debug)]
pub(crate) struct Reader {
    to: Sender<Result<Event, Lagged>>,
    missed: u64,
}

impl Reader {
    pub(crate) fn new() -> (Self, Events) {
        let (to, from) = mpsc::channel(BUFFER);
        (Self { to, missed: 0 }, Events(from))
    }

    /// False if nobody reads any more.
    pub(crate) fn tell(&mut self, event: &Event) -> bool {
        if self.missed > 0 {
            let missed = self.missed;
            if self.to.try_send(Err(Lagged { missed })).is_ok() {
                self.missed = 0;
            }
        }
        // After a loss that is not told yet, an event would come out of order.
        if self.missed > 0 || self.to.try_send(Ok(event.clone())).is_err() {
            self.missed += 1;
        }
        !self.to.is_closed()
    }
}

/// The refresh log. Events hold no secrets, and servers' words in them are cleaned already.
pub(crate) fn log(account: &str, event: &Event) {
    match event {
        Event::StateChanged { from, to, trigger, generation } => {
            let from = from.map(tracing::field::debug);
            info!(target: "regrant", account, from, ?to, trigger, generation, "state changed");
        }
        Event::Rejected { id, origin, strength } => {
            let generation = id.generation;
            info!(target: "regrant", account, generation, %origin, ?strength, "token rejected");
        }
        Event::StillRejected { origin, retry_at } => {
            let retry_at = retry_at.as_millis();
            warn!(target: "regrant", account, %origin, retry_at, "fresh token rejected too");
        }
        Event::Asked { generation, attempt } => {
            info!(target: "regrant", account, generation, attempt, "token request sent");
        }
        Event::TryFailed { cause, code, next_try_at } => {
            let next_try_at = next_try_at.map(regrant_core::Timestamp::as_millis);
            info!(target: "regrant", account, %cause, code, next_try_at, "token request failed");
        }
        Event::Refreshed { generation } => {
            info!(target: "regrant", account, generation, "refreshed and saved");
        }
        Event::Adopted { generation } => {
            info!(target: "regrant", account, generation, "adopted from another process");
        }
        Event::Delayed { cause, code, retry_at } => {
            let retry_at = retry_at.as_millis();
            warn!(target: "regrant", account, %cause, code, retry_at, "no token for now");
        }
        Event::LoginNeeded { reason, code } => {
            warn!(target: "regrant", account, %reason, code, "login needed");
        }
        Event::LoggedIn { generation } => {
            info!(target: "regrant", account, generation, "login saved");
        }
        Event::LoggedOut { revoked } => {
            info!(target: "regrant", account, revoked, "logged out");
        }
        Event::ScopeChanged { scope } => {
            warn!(target: "regrant", account, scope, "granted scope changed");
        }
        Event::NotSaved { fault } => {
            warn!(target: "regrant", account, %fault, "new token not saved yet, saving goes on");
        }
        Event::SavedAtLast { generation } => {
            info!(target: "regrant", account, generation, "new token saved at last");
        }
        Event::StoreFailed { fault, retry_at } => {
            let retry_at = retry_at.as_millis();
            warn!(target: "regrant", account, %fault, retry_at, "store failed");
        }
        Event::Waiting { holder } => {
            let pid = holder.pid;
            debug!(target: "regrant", account, pid, "another process holds the lease");
        }
        Event::Unlockable => {
            warn!(target: "regrant", account, "no locks here: one process at a time");
        }
        Event::StoreRolledBack { generation } => {
            warn!(target: "regrant", account, generation, "an older copy was put in the store");
        }
        Event::GrantDropped { revoked } => {
            warn!(target: "regrant", account, revoked, "a grant was dropped");
        }
        // `Event` may grow; its debug form has no secrets either.
        other => info!(target: "regrant", account, event = ?other, "event"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_reader_is_told_how_many_it_missed() {
        let (mut reader, mut events) = Reader::new();
        let happened = |generation| Event::Refreshed { generation };
        for generation in 0..BUFFER as u64 + 3 {
            assert!(reader.tell(&happened(generation)));
        }
        for generation in 0..BUFFER as u64 {
            assert_eq!(events.next().await, Some(Ok(happened(generation))));
        }
        assert!(reader.tell(&happened(999)));
        assert_eq!(events.next().await, Some(Err(Lagged { missed: 3 })));
        assert_eq!(events.next().await, Some(Ok(happened(999))));
        drop(events);
        assert!(!reader.tell(&happened(1_000)));
    }
}
