//! The lease of one session: one operation at a time, in the order they come.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use regrant_core::{Outcome, StoreFault, Timestamp};
use regrant_storage::{HeldLease, StoreError, Tried};
use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use crate::clock::monotonic;
use crate::trouble::Side;
use crate::worker::{Done, Promise, Worker, too_slow};

/// How long an operation that the machine does not wait for may take: 5 s, like those it does.
const UNASKED: Duration = Duration::from_secs(5);

/// The shortest time between two renewals: a second, whatever a lease says of itself.
const RENEW: Duration = Duration::from_secs(1);

/// The lease, held or not, and what is to be done about it.
#[derive(Debug, Default)]
pub(crate) struct LeaseLane {
    held: Option<Box<dyn HeldLease>>,
    queue: VecDeque<Op>,
    busy: bool,
    renew_at: Option<Instant>,
}

#[derive(Debug)]
pub(crate) enum Op {
    Acquire {
        id: u64,
        deadline: Timestamp,
    },
    Release {
        id: u64,
        deadline: Timestamp,
    },
    /// Lets go of a lease that came too late for the machine.
    LetGo,
    Renew,
}

/// An operation has ended.
#[derive(Debug)]
pub(crate) struct LeaseDone {
    /// What the machine is told.
    answer: Option<(u64, Outcome)>,
    held: Option<Box<dyn HeldLease>>,
    /// Till when the machine waits for a lease.
    deadline: Timestamp,
    error: Option<Arc<StoreError>>,
}

/// What the machine and its host learn from the end of an operation.
pub(crate) struct Learnt {
    pub(crate) answer: Option<(u64, Outcome)>,
    pub(crate) store: (Side, Option<Arc<StoreError>>),
}

impl LeaseLane {
    pub(crate) fn push(&mut self, op: Op, worker: &Worker) {
        self.queue.push_back(op);
        self.step(worker);
    }

    /// When the lease is to be renewed.
    pub(crate) fn renew_at(&self) -> Option<Instant> {
        self.renew_at
    }

    /// Renews the lease if it is time.
    pub(crate) fn renew_if_due(&mut self, worker: &Worker) {
        if self.renew_at.is_some_and(|at| at <= monotonic()) {
            self.renew_at = None;
            self.push(Op::Renew, worker);
        }
    }

    pub(crate) fn done(&mut self, done: LeaseDone, worker: &Worker) -> Learnt {
        let LeaseDone { mut answer, held, deadline, error } = done;
        self.busy = false;
        self.held = held;
        let acquired = matches!(answer, Some((_, Outcome::Acquired { .. })));
        if acquired && worker.left(deadline).is_zero() {
            // The machine has given it up, or is about to.
            self.queue.push_front(Op::LetGo);
            if let Some((_, outcome)) = &mut answer {
                *outcome = Outcome::Failed(StoreFault::Unavailable);
            }
        }
        let left = self.held.as_ref().and_then(|held| held.time_left());
        self.renew_at = left.map(|left| monotonic() + (left / 2).max(RENEW));
        self.step(worker);
        Learnt { answer, store: (Side::Lease, error) }
    }

    fn step(&mut self, worker: &Worker) {
        if self.busy {
            return;
        }
        let Some(op) = self.queue.pop_front() else { return };
        self.busy = true;
        self.renew_at = None;
        let held = self.held.take();
        let worker = worker.clone();
        match op {
            Op::Acquire { id, deadline } => {
                let lost = Outcome::Failed(StoreFault::Unavailable);
                let promise = promise(Some((id, lost)), deadline, &worker);
                tokio::spawn(async move {
                    promise.keep(Done::Lease(acquire(id, deadline, held, &worker).await));
                });
            }
            Op::Release { id, deadline } => {
                let promise = promise(Some((id, Outcome::Released)), deadline, &worker);
                let within = worker.left(deadline);
                tokio::spawn(async move {
                    let error = release(held, within).await;
                    let answer = Some((id, Outcome::Released));
                    promise.keep(Done::Lease(LeaseDone { answer, held: None, deadline, error }));
                });
            }
            Op::LetGo => {
                let promise = promise(None, Timestamp::NEVER, &worker);
                tokio::spawn(async move {
                    let error = release(held, UNASKED).await;
                    let deadline = Timestamp::NEVER;
                    let done = LeaseDone { answer: None, held: None, deadline, error };
                    promise.keep(Done::Lease(done));
                });
            }
            Op::Renew => {
                let promise = promise(None, Timestamp::NEVER, &worker);
                tokio::spawn(async move {
                    promise.keep(Done::Lease(renew(held).await));
                });
            }
        }
    }
}

async fn acquire(
    id: u64,
    deadline: Timestamp,
    held: Option<Box<dyn HeldLease>>,
    worker: &Worker,
) -> LeaseDone {
    let proves_death = worker.lease.proves_death();
    let ours = Outcome::Acquired { proves_death };
    if held.is_some() {
        return LeaseDone { answer: Some((id, ours)), held, deadline, error: None };
    }
    let now = worker.clock.now();
    let tried = worker.lease.try_acquire(&worker.account, now);
    let (outcome, held, error) = match timeout(deadline.since(now), tried).await {
        Ok(Ok(Tried::Held(held))) => (ours, Some(held), None),
        Ok(Ok(Tried::Busy(holder))) => (Outcome::Busy(holder), None, None),
        Ok(Ok(Tried::Unlockable)) => (Outcome::Unlockable, None, None),
        Ok(Err(error)) => (Outcome::Failed(error.kind()), None, Some(error)),
        Err(_) => (Outcome::Failed(StoreFault::Unavailable), None, Some(too_slow())),
    };
    LeaseDone { answer: Some((id, outcome)), held, deadline, error: error.map(Arc::new) }
}

/// What cannot be released in time is dropped, which lets it go too or leaves it to run out.
async fn release(held: Option<Box<dyn HeldLease>>, within: Duration) -> Option<Arc<StoreError>> {
    let held = held?;
    let error = match timeout(within, held.release()).await {
        Ok(Ok(())) => return None,
        Ok(Err(error)) => error,
        Err(_) => too_slow(),
    };
    debug!(target: "regrant", %error, "the lease was not released in order");
    Some(Arc::new(error))
}

/// A lease that was lost gates nothing: what its holder saves is guarded by the version.
async fn renew(held: Option<Box<dyn HeldLease>>) -> LeaseDone {
    let (answer, deadline) = (None, Timestamp::NEVER);
    let Some(mut held) = held else {
        return LeaseDone { answer, held: None, deadline, error: None };
    };
    let error = match timeout(UNASKED, held.renew()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error),
        Err(_) => Some(too_slow()),
    };
    if let Some(error) = &error {
        warn!(target: "regrant", %error, "the lease could not be renewed");
    }
    LeaseDone { answer, held: Some(held), deadline, error: error.map(Arc::new) }
}

fn promise(answer: Option<(u64, Outcome)>, deadline: Timestamp, worker: &Worker) -> Promise {
    let died = StoreError::new(StoreFault::Unavailable, "the lease's job died");
    let error = Some(Arc::new(died));
    Promise::new(Done::Lease(LeaseDone { answer, held: None, deadline, error }), &worker.done)
}
