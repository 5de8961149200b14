//! What processes want done outside, and when they hear of it.

use regrant_core::{Outcome, Over, Record, StoreFault};

use crate::sim::books::{Kept, Who};
use crate::sim::dice::Dice;
use crate::sim::fleet::{Due, Fleet};
use crate::sim::lease_lane::{LeaseDone, LeaseOp};
use crate::sim::ops::{Lease, Point, StoreTrouble};
use crate::sim::process::{Happened, Want};
use crate::sim::store::ROW;

impl Fleet<'_> {
    pub(super) fn want(&mut self, who: Who, want: Want) {
        let delay = self.dice.between(0, 10);
        let slow = self.store.has(StoreTrouble::Slow, who.process, self.now);
        let delay = if slow { self.dice.between(4_000, 40_000) } else { delay };
        let timer = self.seats[who.process].process.as_ref().map_or(0, |p| p.timer(self.now));
        match want {
            Want::Load { id, within } => {
                let outcome = Outcome::Failed(StoreFault::Unavailable);
                self.job(who, id, timer.saturating_add(within), slow, outcome);
                self.push_in(delay, Due::Load { who, id });
            }
            Want::Save { id, record, over, within } => {
                let outcome = Outcome::Unknown(StoreFault::Unavailable);
                self.job(who, id, timer.saturating_add(within), slow, outcome);
                self.push_in(delay, Due::Save { who, id, record, over });
            }
            Want::Ask { id, token, within } => self.ask(who, id, &token, within),
            Want::Revoke { id, token } => {
                self.seats[who.process].jobs.push(id);
                self.push_in(delay, Due::Revoke { who, id, token });
            }
            Want::Lease { op, held, within } => {
                let delay = if slow { within.min(5_000) } else { delay };
                self.push_in(delay, Due::Lease { who, op, held });
            }
            Want::Tell { call, told, waited } => self.told(call, told, waited),
            Want::NeedsLogin(reason) => {
                self.reference.asks_for_login(who, reason, None, self.now);
            }
            Want::Refreshed => self.counters.refreshed += 1,
            Want::NotSaved => {
                self.reference.books.upsets += 1;
                self.reference.books.hosts[who.process].unsaved_at = Some(self.now);
            }
        }
    }

    /// An action whose answer the driver waits for until its timer says so.
    fn job(&mut self, who: Who, id: u64, timer: u64, slow: bool, outcome: Outcome) {
        self.seats[who.process].jobs.push(id);
        // Otherwise the answer comes first.
        if slow {
            let at = self.now + timer.saturating_sub(self.timer(who.process));
            self.push(at, Due::Overdue { who, id, timer, outcome });
        }
    }

    pub(super) fn timer(&self, process: usize) -> u64 {
        self.seats[process].process.as_ref().map_or(self.now, |p| p.timer(self.now))
    }

    pub(super) fn overdue(&mut self, who: Who, id: u64, timer: u64, outcome: Outcome) {
        if !self.reference.books.lives(who) {
            return;
        }
        let left = timer.saturating_sub(self.timer(who.process));
        if left > 0 {
            self.push_in(left, Due::Overdue { who, id, timer, outcome });
        } else {
            let load = matches!(outcome, Outcome::Failed(_));
            self.done(who, id, outcome, self.now, load);
        }
    }

    /// Takes the action off the list. False if it was answered before, or nobody waits.
    pub(super) fn end_job(&mut self, who: Who, id: u64) -> bool {
        if !self.reference.books.lives(who) {
            return false;
        }
        let jobs = &mut self.seats[who.process].jobs;
        let at = jobs.iter().position(|job| *job == id);
        at.map(|at| jobs.swap_remove(at)).is_some()
    }

    pub(super) fn done(&mut self, who: Who, id: u64, outcome: Outcome, at: u64, load: bool) {
        if !self.end_job(who, id) {
            return;
        }
        let now = self.now;
        if let Some(host) = self.reference.books.host(who) {
            match &outcome {
                Outcome::Loaded(_) | Outcome::Mismatch(_) | Outcome::Saved(_) => {
                    (host.read_at, host.heard_at) = (at, now);
                }
                Outcome::Failed(_) if load => host.unread_at = Some(now),
                Outcome::Failed(_) | Outcome::Unknown(_) => host.unsaved_at = Some(now),
                Outcome::Acquired { .. }
                | Outcome::Busy(_)
                | Outcome::Unlockable
                | Outcome::Released
                | Outcome::Answered(_)
                | Outcome::Revoked { .. } => {}
            }
        }
        if matches!(outcome, Outcome::Unknown(_) | Outcome::Failed(_)) {
            self.reference.books.upsets += 1;
        }
        self.tell(who.process, Happened::Done { id, outcome });
    }

    pub(super) fn save(&mut self, who: Who, id: u64, record: Record, over: &Over) {
        let lives = self.reference.books.lives(who);
        if !lives && Dice::of(self.setup().jitter, &[who.process as u64, id]).once_in(2) {
            // It had not reached the disk when its process died.
            return;
        }
        let now = self.now;
        let kept = Kept::of(&record);
        let saved = self.store.save(who.process, record, over, now);
        let delay = self.dice.between(0, 10);
        self.push_in(delay, Due::Done { who, id, outcome: saved.outcome, at: now, load: false });
        if !saved.applied {
            return;
        }
        self.counters.saves += 1;
        self.note(|| format!("p{} saved {kept:?}", who.process));
        let books = &self.reference.books;
        let begun = kept.begun.is_some() && kept.begun != books.kept().begun;
        let new = kept
            .refresh
            .is_some_and(|token| books.refresh.get(token).is_some_and(|seen| seen.saved.is_none()));
        self.reference.saved(who, kept, now);
        if begun {
            self.spring(who, Point::Begun);
        }
        if new {
            self.spring(who, Point::Kept);
        }
    }

    pub(super) fn lease(&mut self, who: Who, op: LeaseOp, held: bool) {
        let lives = self.reference.books.lives(who);
        let now = self.now;
        let left = (self.setup().lease == Lease::Row).then_some(ROW);
        let done = match op {
            LeaseOp::Acquire { .. } if !lives => return,
            LeaseOp::Acquire { id, deadline } => {
                let (outcome, before) = self.store.acquire(who, now);
                let lost = before.and_then(|before| self.reference.books.host(before));
                if let Some(host) = lost {
                    host.lease_unsure = true;
                }
                let ours = matches!(outcome, Outcome::Acquired { .. });
                LeaseDone { answer: Some((id, outcome)), held: ours, deadline, left }
            }
            LeaseOp::Release { id } => {
                if held {
                    self.store.release(who);
                }
                let answer = Some((id, Outcome::Released));
                LeaseDone { answer, held: false, deadline: u64::MAX, left: None }
            }
            LeaseOp::LetGo => {
                self.store.release(who);
                LeaseDone { answer: None, held: false, deadline: u64::MAX, left: None }
            }
            LeaseOp::Renew => {
                let kept = self.store.renew(who, now);
                let left = if kept { left } else { Some(0) };
                LeaseDone { answer: None, held, deadline: u64::MAX, left }
            }
        };
        let delay = self.dice.between(0, 5);
        self.push_in(delay, Due::LeaseDone { who, done });
    }

    pub(super) fn lease_done(&mut self, who: Who, done: LeaseDone) {
        if self.reference.books.lives(who) {
            self.tell(who.process, Happened::Lease(done));
        }
    }
}
