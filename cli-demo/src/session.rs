//! A session for the length of one command.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use regrant::{Event, NotSaved, Session};
use regrant_reqwest::TokenClient;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::error::Failure;
use crate::output::Output;
use crate::signal;
use crate::store::Store;

/// How long a command that is done waits for a save that does not succeed: 10 s, two tries of
/// five.
const SAVE: Duration = Duration::from_secs(10);

/// How long it waits after that for a token request that is out: 25 s, the longest that one takes
/// with its save. Going away sooner could lose the new refresh token.
const REFRESH: Duration = Duration::from_secs(25);

/// How long it waits for the last events to be counted: 1 s, of which they take none.
const COUNT: Duration = Duration::from_secs(1);

/// An open session, and what happens in it, counted.
#[derive(Debug)]
pub(crate) struct Opened {
    session: Session,
    tally: Arc<Tally>,
    counting: JoinHandle<()>,
    output: Output,
}

/// What happened in a session so far.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    refreshes: AtomicU64,
    adopted: AtomicU64,
}

impl Opened {
    pub(crate) fn on(store: &Store, account: &str, output: Output) -> Result<Self, Failure> {
        let endpoint = TokenClient::new().map_err(|error| {
            Failure::other("internal", "the HTTP client cannot be made").because(&error)
        })?;
        let session = Session::builder(store.vault(), Arc::new(store.lease()), Arc::new(endpoint))
            .account(account)
            .host(gethostname::gethostname().to_string_lossy())
            .open()?;
        let mut events = session.events();
        let tally = Arc::<Tally>::default();
        let counted = Arc::clone(&tally);
        let counting = tokio::spawn(async move {
            while let Some(event) = events.next().await {
                // Whoever lags has lost lines of a log; a command reads as fast as they come.
                if let Ok(event) = event {
                    counted.count(&event, output);
                }
            }
        });
        signal::leave_in_order(session.clone(), SAVE + REFRESH, output);
        Ok(Self { session, tally, counting, output })
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// Ends the session: what it has under way is saved first.
    pub(crate) async fn close(self) -> (Arc<Tally>, Result<(), Failure>) {
        let closed = match self.session.close(SAVE).await {
            Err(NotSaved::UnderWay) => self.session.close(REFRESH).await,
            closed => closed,
        };
        let closed = match closed {
            Err(NotSaved::UnderWay) => {
                self.counting.abort();
                self.output.note("a token request is still out; the next command goes on from it");
                Ok(())
            }
            closed => closed.map_err(Failure::from),
        };
        match &closed {
            // The stream of events ends with the session, at once but for an answer that is late.
            Ok(()) => drop(timeout(COUNT, self.counting).await),
            Err(_) => self.counting.abort(),
        }
        (self.tally, closed)
    }

    /// The same for a command that has an answer or a failure already; what could not be saved
    /// comes first.
    pub(crate) async fn close_after<T>(self, result: Result<T, Failure>) -> Result<T, Failure> {
        let (_, closed) = self.close().await;
        closed?;
        result
    }
}

impl Tally {
    /// How many new tokens the authorization server gave.
    pub(crate) fn refreshes(&self) -> u64 {
        self.refreshes.load(Ordering::Relaxed)
    }

    /// How many new tokens another process had saved.
    pub(crate) fn adopted(&self) -> u64 {
        self.adopted.load(Ordering::Relaxed)
    }

    fn count(&self, event: &Event, output: Output) {
        let counter = match event {
            Event::Refreshed { .. } | Event::NotSaved { .. } => &self.refreshes,
            Event::Adopted { .. } => &self.adopted,
            Event::Unlockable => {
                let what = "this place knows no locks: run one process at a time on this store";
                return output.note(what);
            }
            Event::StoreRolledBack { .. } => {
                let what = "an older copy of the credential was put in the store; it is not used";
                return output.note(what);
            }
            Event::GrantDropped { revoked: false } => {
                let what = "new tokens came after a logout or a login elsewhere and were dropped; \
                            they end at the authorization server when they expire there";
                return output.note(what);
            }
            // The rest is for the log.
            _ => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
