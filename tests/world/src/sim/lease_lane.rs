//! The lease of one process: one operation at a time, as in the driver.

use std::collections::VecDeque;

use regrant_core::{Outcome, StoreFault};

/// The shortest time between two renewals: a second, as in the driver.
const RENEW: u64 = 1_000;

/// What is done about the lease.
#[derive(Clone, Copy, Debug)]
pub(super) enum LeaseOp {
    Acquire { id: u64, deadline: u64 },
    Release { id: u64 },
    LetGo,
    Renew,
}

/// An operation has ended.
#[derive(Debug)]
pub(super) struct LeaseDone {
    pub(super) answer: Option<(u64, Outcome)>,
    pub(super) held: bool,
    /// Till when the machine waits for it, by its clock.
    pub(super) deadline: u64,
    /// How long it is certainly ours; none for as long as the process lives.
    pub(super) left: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct LeaseLane {
    held: bool,
    busy: bool,
    queue: VecDeque<LeaseOp>,
    pub(super) renew_at: Option<u64>,
}

impl LeaseLane {
    pub(super) fn push(&mut self, op: LeaseOp) {
        self.queue.push_back(op);
    }

    pub(super) fn renew_if_due(&mut self, timer: u64) -> bool {
        let due = self.renew_at.is_some_and(|at| at <= timer);
        if due {
            self.renew_at = None;
            self.queue.push_back(LeaseOp::Renew);
        }
        due
    }

    pub(super) fn done(
        &mut self,
        done: LeaseDone,
        clock: u64,
        timer: u64,
    ) -> Option<(u64, Outcome)> {
        let LeaseDone { mut answer, held, deadline, left } = done;
        (self.busy, self.held) = (false, held);
        let acquired = matches!(answer, Some((_, Outcome::Acquired { .. })));
        if acquired && clock >= deadline {
            // The machine has given it up, or is about to.
            self.queue.push_front(LeaseOp::LetGo);
            if let Some((_, outcome)) = &mut answer {
                *outcome = Outcome::Failed(StoreFault::Unavailable);
            }
        }
        self.renew_at = left.filter(|_| held).map(|left| timer + (left / 2).max(RENEW));
        answer
    }

    /// The next operation, and whether the lease is held at its beginning.
    pub(super) fn step(&mut self) -> Option<(LeaseOp, bool)> {
        if self.busy {
            return None;
        }
        let op = self.queue.pop_front()?;
        self.busy = true;
        self.renew_at = None;
        Some((op, std::mem::take(&mut self.held)))
    }
}
