//! One row of the timeline, painted cell by cell.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

/// Wide enough for four lanes, narrow enough for a terminal beside an editor.
pub(super) const WIDTH: usize = 100;

pub(super) const PLAIN: Style = Style::new();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const BOLD: Style = Style::new().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default();
pub(super) const BAD: Style = AnsiColor::Red.on_default();
pub(super) const WAIT: Style = AnsiColor::Yellow.on_default();
pub(super) const FRESH: Style = AnsiColor::Cyan.on_default();

/// Who acts. Each has a lane of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Caller,
    Client,
    Api,
    Server,
}

impl Lane {
    pub(super) const ALL: [Self; 4] = [Self::Caller, Self::Client, Self::Api, Self::Server];

    /// Where its line stands.
    pub(super) const fn column(self) -> usize {
        match self {
            Self::Caller => 8,
            Self::Client => 28,
            Self::Api => 51,
            Self::Server => 74,
        }
    }
}

/// A row in the making. What is put on it last is seen.
#[derive(Debug)]
pub(super) struct Row(Vec<(char, Style)>);

impl Row {
    pub(super) fn blank() -> Self {
        Self(vec![(' ', PLAIN); WIDTH])
    }

    /// A row with the line of each lane.
    pub(super) fn lanes() -> Self {
        let mut row = Self::blank();
        for lane in Lane::ALL {
            row.cell(lane.column(), '│', DIM);
        }
        row
    }

    /// The time in the left margin.
    #[must_use]
    pub(super) fn at(self, millis: u64) -> Self {
        self.text(0, &format!("{millis:>6}"), DIM)
    }

    #[must_use]
    pub(super) fn text(mut self, column: usize, text: &str, style: Style) -> Self {
        for (offset, symbol) in text.chars().enumerate() {
            self.cell(column + offset, symbol, style);
        }
        self
    }

    /// Words beside the line of a lane.
    #[must_use]
    pub(super) fn beside(self, lane: Lane, text: &str, style: Style) -> Self {
        self.text(lane.column() + 2, text, style)
    }

    /// A dot on the line of a lane, and words beside it.
    #[must_use]
    pub(super) fn dot(mut self, lane: Lane, text: &str, style: Style) -> Self {
        self.cell(lane.column(), '●', style);
        self.beside(lane, text, style)
    }

    /// An arrow from one lane to another, with words on it.
    #[must_use]
    pub(super) fn arrow(mut self, from: Lane, to: Lane, label: &str, style: Style) -> Self {
        let (start, end) = (from.column(), to.column());
        let label = format!(" {label} ");
        if start < end {
            self.cell(start, '├', DIM);
            (start + 1..end - 1).for_each(|column| self.cell(column, '─', DIM));
            self.cell(end - 1, '▶', DIM);
            return self.text(start + 2, &label, style);
        }
        self.cell(start, '┤', DIM);
        (end + 2..start).for_each(|column| self.cell(column, '─', DIM));
        self.cell(end + 1, '◀', DIM);
        let room = start.saturating_sub(1 + label.chars().count());
        self.text(room, &label, style)
    }

    fn cell(&mut self, column: usize, symbol: char, style: Style) {
        if let Some(cell) = self.0.get_mut(column) {
            *cell = (symbol, style);
        }
    }

    /// The row with its colours, without blanks at the end.
    pub(super) fn painted(&self) -> String {
        let end = self.0.iter().rposition(|(symbol, _)| *symbol != ' ').map_or(0, |last| last + 1);
        let mut line = String::new();
        for run in self.0[..end].chunk_by(|(_, one), (_, next)| one == next) {
            let style = run[0].1;
            let text: String = run.iter().map(|(symbol, _)| symbol).collect();
            // Writing to a string cannot fail.
            let _ = write!(line, "{style}{text}{style:#}");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_ends_at_the_lines_of_its_lanes() {
        let right = Row::lanes().arrow(Lane::Caller, Lane::Client, "GET", PLAIN);
        let text: String = right.0.iter().map(|(symbol, _)| symbol).collect();
        assert!(text.starts_with("        ├─ GET ────────────▶│ "), "{text}");
        let left = Row::lanes().arrow(Lane::Client, Lane::Caller, "200", PLAIN);
        let text: String = left.0.iter().map(|(symbol, _)| symbol).collect();
        assert!(text.starts_with("        │◀──────────── 200 ─┤ "), "{text}");
    }

    #[test]
    fn what_is_too_long_is_cut_at_the_edge() {
        let row = Row::lanes().beside(Lane::Server, &"x".repeat(WIDTH), PLAIN);
        assert_eq!(row.0.len(), WIDTH);
    }
}
