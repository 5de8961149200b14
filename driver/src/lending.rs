//! The task's side of what is published, and the callers whom that does not answer.

use std::sync::Arc;

use regrant_core::protocol::Profile;
use regrant_core::{Machine, Origin, Timestamp};
use tokio::time::Instant;

use crate::published::{Published, Shared};
use crate::trouble::Trouble;
use crate::waiters::{Waiter, Waiters};

/// Publishes views, and answers those who wait for one.
#[derive(Debug)]
pub(crate) struct Lending {
    shared: Arc<Shared>,
    published: Arc<Published>,
    /// How many rejections with a mark were heard.
    heard: u64,
    waiters: Waiters,
    withdrawn: bool,
}

impl Drop for Lending {
    /// Also when the runtime is shut down around it: what is published must not outlive the one
    /// who keeps it true.
    fn drop(&mut self) {
        self.withdraw();
    }
}

impl Lending {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let (published, waiters) = (Arc::default(), Waiters::default());
        Self { shared, published, heard: 0, waiters, withdrawn: false }
    }

    /// A rejection was heard, `marked` if its caller raised the mark. The view that is published
    /// next is one that knows of it.
    pub(crate) fn hear(&mut self, marked: bool) {
        self.heard += u64::from(marked);
    }

    /// Answers a caller whom the published view gives a token. One who has to wait is given back,
    /// to be told to the machine and then to [`wait`](Self::wait).
    pub(crate) fn lend(&self, waiter: Waiter) -> Option<Waiter> {
        match waiter.lent(&self.published) {
            Some(access) => {
                // A caller that has just gone away needs no answer.
                let _ = waiter.reply.send(Ok(access));
                None
            }
            None => Some(waiter),
        }
    }

    pub(crate) fn wait(&mut self, waiter: Waiter) {
        self.waiters.push(waiter);
    }

    /// Publishes what the machine shows now. False if a caller would see no difference.
    pub(crate) fn publish(&mut self, machine: &Machine, profile: Option<Arc<Profile>>) -> bool {
        let published = Published::of(machine, self.heard, profile);
        if published.is(&self.published) {
            return false;
        }
        self.published = Arc::new(published);
        if !self.withdrawn {
            self.shared.publish(Arc::clone(&self.published));
        }
        true
    }

    /// From now on, nothing is published.
    pub(crate) fn withdraw(&mut self) {
        if !std::mem::replace(&mut self.withdrawn, true) {
            self.shared.withdraw();
        }
    }

    /// Answers those who can be answered now: at `time`, and at `now` by the session's clock.
    pub(crate) fn serve(
        &mut self,
        changed: bool,
        trouble: &Trouble,
        time: Instant,
        now: Timestamp,
    ) {
        self.waiters.serve(&self.published, changed, trouble, time, now);
    }

    /// Where those who wait want to send a token, each origin once.
    pub(crate) fn wanted(&self) -> Vec<Origin> {
        self.waiters.origins()
    }

    /// When the first patience is over.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.waiters.deadline()
    }
}
