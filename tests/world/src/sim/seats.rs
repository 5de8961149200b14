//! The places of the processes: started, ended, stopped, told what happens.

use std::time::Duration;

use regrant_core::{Outcome, Policy, Rotation};

use crate::sim::books::Who;
use crate::sim::dice::Dice;
use crate::sim::fleet::{Due, Fleet, Frozen, Trap};
use crate::sim::ops::{Point, Profile, Setup};
use crate::sim::process::{Happened, Process};

/// How long a trap waits: 30 s, so that a refresh that is made to happen now springs it, and none
/// of another day.
const TRAP: u64 = 30_000;

impl Fleet<'_> {
    /// Starts a process, if it does not run.
    pub(super) fn start(&mut self, process: usize) {
        if self.seats[process].process.is_some() {
            return;
        }
        let who = self.reference.books.started(process, self.now);
        self.reference.books.upsets += 1;
        self.counters.started += 1;
        let mut seed = [0; 32];
        let mut dice = Dice::of(self.setup().jitter, &[process as u64, u64::from(who.start)]);
        for chunk in seed.chunks_exact_mut(8) {
            chunk.copy_from_slice(&dice.word().to_le_bytes());
        }
        let offset = self.seats[process].offset;
        let started =
            Process::new(who, policy(self.setup()), seed, offset, self.now, &self.origins);
        self.seats[process].process = Some(started);
        self.attend(process);
    }

    /// Ends a process at once.
    pub(super) fn kill(&mut self, process: usize) {
        self.note(|| format!("p{process} ends"));
        let seat = &mut self.seats[process];
        let Some(ended) = seat.process.take() else { return };
        seat.frozen = None;
        seat.inbox.clear();
        seat.jobs.clear();
        seat.trap = None;
        seat.wake_set = None;
        self.store.died(ended.who);
        self.reference.books.hosts[process].alive = false;
        self.reference.books.upsets += 1;
        self.counters.ended += 1;
    }

    pub(super) fn freeze(&mut self, process: usize, length: u64, asleep: bool) {
        let now = self.now;
        // The look at the clock that the task would have woken up for next.
        let next = Duration::from_millis(self.dice.roll(30_000));
        let seat = &mut self.seats[process];
        let Some(running) = seat.process.as_mut().filter(|_| seat.frozen.is_none()) else { return };
        running.look_within(next, now);
        seat.frozen = Some(Frozen { since: now, asleep });
        let who = running.who;
        self.reference.books.hosts[process].stopped_at = Some(now);
        self.push_in(length, Due::Resume(who));
    }

    /// Everybody goes on who was stopped.
    pub(super) fn thaw(&mut self) {
        for process in 0..self.seats.len() {
            if let Some(who) = self.seats[process].process.as_ref().map(|running| running.who) {
                self.resume(who);
            }
        }
    }

    pub(super) fn resume(&mut self, who: Who) {
        let now = self.now;
        let seat = &mut self.seats[who.process];
        let Some(running) = seat.process.as_mut().filter(|running| running.who == who) else {
            return;
        };
        let Some(frozen) = seat.frozen.take() else { return };
        if frozen.asleep {
            running.slept += now - frozen.since;
        }
        self.reference.books.hosts[who.process].stopped_at = Some(now);
        // As the task's loop has it: the time first, then what has ended, then callers.
        let mut inbox = std::mem::take(&mut seat.inbox);
        inbox.sort_by_key(|due| matches!(due, Due::ApiAnswer { .. }));
        seat.wake_set = Some(now);
        self.wake(who.process);
        for due in inbox {
            self.dispatch(due);
        }
        self.attend(who.process);
    }

    pub(super) fn wake(&mut self, process: usize) {
        let now = self.now;
        let seat = &mut self.seats[process];
        if seat.wake_set != Some(now) || seat.frozen.is_some() {
            return;
        }
        seat.wake_set = None;
        if let Some(running) = &seat.process {
            if running.next_wake <= running.timer(now) {
                self.tell(process, Happened::TimePassed);
            } else {
                self.attend(process);
            }
        }
    }

    /// Tells a running process something, and does what it wants then.
    pub(super) fn tell(&mut self, process: usize, what: Happened) {
        let now = self.now;
        if let Some(running) = &mut self.seats[process].process {
            running.happens(what, now, &self.origins);
        }
        self.attend(process);
    }

    /// Tells a running process what its token request came to.
    pub(super) fn tell_answer(&mut self, who: Who, id: u64, outcome: Outcome, granted: bool) {
        let now = self.now;
        if let Some(running) = &mut self.seats[who.process].process {
            running.happens(Happened::Done { id, outcome }, now, &self.origins);
        }
        if granted {
            self.spring(who, Point::Delivered);
        }
        self.attend(who.process);
    }

    /// Does what the process wants, and sets its alarm.
    pub(super) fn attend(&mut self, process: usize) {
        let now = self.now;
        let Some(running) = &mut self.seats[process].process else { return };
        let who = running.who;
        let wants = std::mem::take(&mut running.wants);
        let over = running.over;
        let at = running.next_wake.saturating_add(running.slept).max(now);
        for want in wants {
            self.want(who, want);
        }
        let seat = &mut self.seats[process];
        if seat.process.as_ref().is_none_or(|running| running.who != who) {
            return;
        }
        if over {
            return self.kill(process);
        }
        if at != u64::MAX && seat.wake_set != Some(at) {
            seat.wake_set = Some(at);
            self.push(at, Due::Wake(process));
        }
    }

    /// The process has come to this point.
    pub(super) fn spring(&mut self, who: Who, at: Point) {
        if !self.reference.books.lives(who) {
            return;
        }
        let Some((trap, until)) = self.seats[who.process].trap else { return };
        let (Trap::Kill(point) | Trap::Stop(point, _)) = trap;
        if point != at || self.now > until {
            return;
        }
        self.seats[who.process].trap = None;
        match trap {
            Trap::Kill(_) => self.kill(who.process),
            Trap::Stop(_, length) => self.freeze(who.process, length, false),
        }
    }

    /// Something is to happen to this start of the process at the next such moment, if that
    /// comes soon.
    pub(super) fn set_trap(&mut self, process: usize, trap: Trap) {
        if self.seats[process].process.is_some() {
            self.seats[process].trap = Some((trap, self.now + TRAP));
        }
    }

    pub(super) fn set_clock(&mut self, process: usize, step: i64) {
        let now = self.now;
        self.reference.books.skewed = true;
        let look = Duration::from_millis(self.dice.roll(30_000));
        let seat = &mut self.seats[process];
        seat.offset += step;
        if let Some(running) = &mut seat.process {
            running.offset = seat.offset;
            running.look_within(look, now);
        }
        if seat.frozen.is_none() {
            self.attend(process);
        }
    }

    /// Nothing waits for a moment any more.
    pub(super) fn forget_traps(&mut self) {
        for seat in &mut self.seats {
            (seat.trap, seat.slow) = (None, None);
            seat.wires.clear();
        }
    }

    /// Whether this process runs and is not stopped.
    pub(super) fn runs(&self, process: usize) -> bool {
        let seat = &self.seats[process];
        seat.process.is_some() && seat.frozen.is_none()
    }
}

fn policy(setup: &Setup) -> Policy {
    let mut policy = Policy::default();
    policy.rotation = match setup.profile {
        Profile::Unknown => Rotation::Unknown,
        Profile::Never => Rotation::Never,
        Profile::WithoutGrace => Rotation::WithoutGrace,
        Profile::KeepsEarlier => Rotation::GraceKeepsEarlier,
        Profile::KillsEarlier => Rotation::GraceKillsEarlier,
    };
    policy.reread = Duration::from_millis(setup.reread);
    policy
}
