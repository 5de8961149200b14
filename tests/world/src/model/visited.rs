//! What the runs came upon: rows of the table of edges, chances that were taken, and schedules that
//! once broke a rule.

use std::sync::atomic::{AtomicU64, Ordering};

use regrant_core::{Edge, StateKind, edges};

use super::chance::{Chance, Chances};
use super::schedules::Schedule;

/// A bit for each row, chance and schedule, shared by all threads.
#[derive(Debug, Default)]
pub struct Visited {
    rows: [AtomicU64; 2],
    chances: AtomicU64,
    schedules: AtomicU64,
}

impl Visited {
    /// Notes that this row was visited. False if there is no such row.
    pub fn visit(&self, from: Option<StateKind>, trigger: &str, to: StateKind) -> bool {
        let row = |edge: &Edge| edge.from == from && edge.to == to && edge.trigger == trigger;
        let Some(at) = edges().iter().position(row) else { return false };
        self.rows[at / 64].fetch_or(1 << (at % 64), Ordering::Relaxed);
        true
    }

    /// Notes that this has happened.
    pub fn take(&self, chance: Chance) {
        self.chances.fetch_or(1 << chance as u32, Ordering::Relaxed);
    }

    /// What may happen, and never did.
    pub fn never_taken(&self, of: &Chances) -> Vec<Chance> {
        let taken = self.chances.load(Ordering::Relaxed);
        let never = |chance: &Chance| of.has(*chance) && taken >> (*chance as u32) & 1 == 0;
        Chance::ALL.iter().copied().filter(never).collect()
    }

    /// Notes that a run came to this schedule.
    pub fn come_upon(&self, schedule: Schedule) {
        self.schedules.fetch_or(1 << schedule as u32, Ordering::Relaxed);
    }

    fn has(&self, row: usize) -> bool {
        self.rows[row / 64].load(Ordering::Relaxed) >> (row % 64) & 1 == 1
    }

    /// Whether a run came to this schedule.
    pub fn came_upon(&self, schedule: Schedule) -> bool {
        self.schedules.load(Ordering::Relaxed) >> (schedule as u32) & 1 == 1
    }

    /// How many rows were visited.
    pub fn rows(&self) -> usize {
        (0..edges().len()).filter(|at| self.has(*at)).count()
    }

    /// The rows that were not.
    pub fn missing_rows(&self) -> Vec<&'static Edge> {
        let rows = edges().iter().enumerate();
        rows.filter(|(at, _)| !self.has(*at)).map(|(_, edge)| edge).collect()
    }

    /// The schedules that no run came to.
    pub fn missing_schedules(&self) -> Vec<Schedule> {
        Schedule::ALL.iter().copied().filter(|at| !self.came_upon(*at)).collect()
    }

    /// Counts what another run came upon too.
    pub fn add(&self, other: &Self) {
        let [ours, theirs] =
            [self, other].map(|of| of.rows.iter().chain([&of.chances, &of.schedules]));
        for (ours, theirs) in ours.zip(theirs) {
            ours.fetch_or(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}
