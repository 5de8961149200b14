//! Does what the machine asks for, each action as a job of its own that no caller can cancel.

use std::sync::Arc;
use std::time::Duration;

use regrant_core::protocol::Profile;
use regrant_core::{
    Answer, Applied, Cause, Client, Failure, Outcome, Over, Record, Secret, StoreFault, Timestamp,
};
use regrant_storage::{Kept, RefreshLease, SaveOutcome, StoreError, TokenStore};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::timeout;

use crate::clock::Clock;
use crate::endpoint::{LATE, Renewing, TokenEndpoint};
use crate::lease_lane::LeaseDone;
use crate::trouble::Side;

/// What the jobs of one session work with.
#[derive(Clone, Debug)]
pub(crate) struct Worker {
    pub(crate) account: Arc<str>,
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) lease: Arc<dyn RefreshLease>,
    pub(crate) endpoint: Arc<dyn TokenEndpoint>,
    pub(crate) clock: Arc<Clock>,
    pub(crate) done: UnboundedSender<Done>,
}

/// A token request that the machine wants sent.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) client: Box<Client>,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) claims: Option<String>,
    pub(crate) profile: Option<Arc<Profile>>,
}

/// A job has ended.
#[derive(Debug)]
pub(crate) enum Done {
    /// An action of the machine, other than one about the lease.
    Action {
        id: u64,
        outcome: Outcome,
        /// How the store did, if the store was asked.
        store: Option<(Side, Option<Arc<StoreError>>)>,
    },
    /// Something about the lease.
    Lease(LeaseDone),
}

/// Sends the end of a job, and in its place a fallback if the job dies.
pub(crate) struct Promise {
    fallback: Option<Done>,
    to: UnboundedSender<Done>,
}

impl Promise {
    pub(crate) fn new(fallback: Done, to: &UnboundedSender<Done>) -> Self {
        Self { fallback: Some(fallback), to: to.clone() }
    }

    pub(crate) fn keep(mut self, done: Done) {
        self.fallback = Some(done);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        if let Some(done) = self.fallback.take() {
            // Nobody listens only if the session's task is gone, and the runtime with it.
            let _ = self.to.send(done);
        }
    }
}

impl Worker {
    /// What is left until the deadline.
    pub(crate) fn left(&self, deadline: Timestamp) -> Duration {
        deadline.since(self.clock.now())
    }

    pub(crate) fn load(&self, id: u64, deadline: Timestamp) {
        let lost = Outcome::Failed(StoreFault::Unavailable);
        let promise = self.promise(id, lost.clone(), Some(Side::Read));
        let worker = self.clone();
        tokio::spawn(async move {
            let load = worker.store.load(&worker.account);
            let (outcome, error) = match timeout(worker.left(deadline), load).await {
                Ok(Ok(stored)) => (Outcome::Loaded(stored.map(Box::new)), None),
                Ok(Err(error)) => (Outcome::Failed(error.kind()), Some(error)),
                Err(_) => (lost, Some(too_slow())),
            };
            promise.keep(Done::of_store(id, outcome, Side::Read, error));
        });
    }

    /// A save that is given up may have been applied all the same.
    pub(crate) fn save(&self, id: u64, record: Box<Record>, over: Over, deadline: Timestamp) {
        let lost = Outcome::Unknown(StoreFault::Unavailable);
        let promise = self.promise(id, lost.clone(), Some(Side::Write));
        let worker = self.clone();
        tokio::spawn(async move {
            let save = worker.store.save(&worker.account, &record, &over);
            let (outcome, error) = match timeout(worker.left(deadline), save).await {
                Ok(Ok(Kept::Done(version))) => (Outcome::Saved(version), None),
                Ok(Ok(Kept::Mismatch(stored))) => (Outcome::Mismatch(stored.map(Box::new)), None),
                Ok(Err(error)) => match error.outcome() {
                    SaveOutcome::NotApplied => (Outcome::Failed(error.kind()), Some(error)),
                    SaveOutcome::Unknown => (Outcome::Unknown(error.kind()), Some(error)),
                },
                Err(_) => (lost, Some(too_slow().unknown())),
            };
            promise.keep(Done::of_store(id, outcome, Side::Write, error));
        });
    }

    /// The answer is listened for past the deadline, until the grace for late ones is over.
    pub(crate) fn ask(&self, id: u64, ask: Ask, deadline: Timestamp) {
        // A request that died may have been sent.
        let died = failed(Cause::NoAnswer, Applied::Perhaps);
        let promise = self.promise(id, Outcome::Answered(died), None);
        let worker = self.clone();
        tokio::spawn(async move {
            // Read right before sending: a process that was stopped in between sends nothing.
            let within = worker.left(deadline);
            let answer = if within.is_zero() {
                failed(Cause::Unreachable, Applied::No)
            } else {
                let with = Renewing {
                    client: &ask.client,
                    refresh_token: ask.refresh_token.as_ref(),
                    claims: ask.claims.as_deref(),
                    profile: ask.profile.as_deref(),
                };
                let ask = worker.endpoint.renew(with, within);
                // A second more than the endpoint has, so that its own word comes first.
                match timeout(within + LATE + Duration::from_secs(1), ask).await {
                    Ok(answer) => answer,
                    Err(_) => failed(Cause::NoAnswer, Applied::PerhapsLater),
                }
            };
            promise.keep(Done::Action { id, outcome: Outcome::Answered(answer), store: None });
        });
    }

    pub(crate) fn revoke(
        &self,
        id: u64,
        client: Box<Client>,
        token: Secret,
        hint: &'static str,
        deadline: Timestamp,
    ) {
        let promise = self.promise(id, Outcome::Revoked { confirmed: false }, None);
        let worker = self.clone();
        tokio::spawn(async move {
            let within = worker.left(deadline);
            let revoke = worker.endpoint.revoke(&client, &token, hint, within);
            let confirmed = timeout(within, revoke).await.unwrap_or(false);
            promise.keep(Done::Action { id, outcome: Outcome::Revoked { confirmed }, store: None });
        });
    }

    fn promise(&self, id: u64, outcome: Outcome, side: Option<Side>) -> Promise {
        let died = || Arc::new(StoreError::new(StoreFault::Unavailable, "the store's job died"));
        let store = side.map(|side| (side, Some(died())));
        Promise::new(Done::Action { id, outcome, store }, &self.done)
    }
}

impl Done {
    fn of_store(id: u64, outcome: Outcome, side: Side, error: Option<StoreError>) -> Self {
        Self::Action { id, outcome, store: Some((side, error.map(Arc::new))) }
    }
}

pub(crate) fn too_slow() -> StoreError {
    StoreError::new(StoreFault::Unavailable, "the store did not answer in time")
}

fn failed(cause: Cause, applied: Applied) -> Answer {
    Answer::Failed(Failure { cause, applied, retry_after: None, code: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::VirtualClocks;
    use async_trait::async_trait;
    use regrant_storage::{MemoryLease, MemoryStore};
    use tokio::sync::mpsc::{self, UnboundedReceiver};

    /// Grants at once, or dies.
    #[derive(Debug)]
    struct Endpoint {
        dies: bool,
    }

    #[async_trait]
    impl TokenEndpoint for Endpoint {
        async fn renew(&self, with: Renewing<'_>, _: Duration) -> Answer {
            assert!(!self.dies, "as the test wants it");
            let token = with.refresh_token.unwrap().clone();
            Answer::Granted(regrant_core::Grant::bearer(token))
        }

        async fn revoke(&self, _: &Client, _: &Secret, _: &str, _: Duration) -> bool {
            true
        }
    }

    fn worker(dies: bool) -> (Worker, UnboundedReceiver<Done>) {
        let (done, ended) = mpsc::unbounded_channel();
        let clocks = Arc::new(VirtualClocks::new(Timestamp::from_millis(10_000)));
        let worker = Worker {
            account: "default".into(),
            store: Arc::new(MemoryStore::new()),
            lease: Arc::new(MemoryLease::new()),
            endpoint: Arc::new(Endpoint { dies }),
            clock: Arc::new(Clock::new(clocks)),
            done,
        };
        (worker, ended)
    }

    async fn asked(dies: bool, deadline: u64) -> Answer {
        let (worker, mut ended) = worker(dies);
        let refresh_token = Some(Secret::new("rt".into()));
        let ask = Ask { client: Box::default(), refresh_token, claims: None, profile: None };
        worker.ask(1, ask, Timestamp::from_millis(deadline));
        match ended.recv().await.unwrap() {
            Done::Action { id: 1, outcome: Outcome::Answered(answer), .. } => answer,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_request_is_sent_past_its_deadline() {
        let Answer::Failed(failure) = asked(false, 10_000).await else { panic!("it was sent") };
        assert_eq!((failure.cause, failure.applied), (Cause::Unreachable, Applied::No));
        assert!(matches!(asked(false, 10_001).await, Answer::Granted(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_dies_may_have_been_sent() {
        let Answer::Failed(failure) = asked(true, 11_000).await else { panic!("it died") };
        assert_eq!((failure.cause, failure.applied), (Cause::NoAnswer, Applied::Perhaps));
    }
}
