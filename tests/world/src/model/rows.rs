//! Which rows of the table of edges were visited.

use std::sync::atomic::{AtomicU64, Ordering};

use regrant_core::{Edge, StateKind, edges};

/// A bit for each row, shared by all runs and threads.
#[derive(Debug, Default)]
pub struct Rows([AtomicU64; 2]);

impl Rows {
    /// Notes that this row was visited. False if there is no such row.
    pub fn visit(&self, from: Option<StateKind>, trigger: &str, to: StateKind) -> bool {
        let row = |edge: &Edge| edge.from == from && edge.to == to && edge.trigger == trigger;
        let Some(at) = edges().iter().position(row) else { return false };
        self.0[at / 64].fetch_or(1 << (at % 64), Ordering::Relaxed);
        true
    }

    fn has(&self, at: usize) -> bool {
        self.0[at / 64].load(Ordering::Relaxed) >> (at % 64) & 1 == 1
    }

    /// How many rows were visited.
    pub fn count(&self) -> usize {
        (0..edges().len()).filter(|at| self.has(*at)).count()
    }

    /// The rows that were not.
    pub fn missing(&self) -> Vec<&'static Edge> {
        let rows = edges().iter().enumerate();
        rows.filter(|(at, _)| !self.has(*at)).map(|(_, edge)| edge).collect()
    }

    /// Counts the rows of another run too.
    pub fn add(&self, other: &Self) {
        for (ours, theirs) in self.0.iter().zip(&other.0) {
            ours.fetch_or(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }
}
