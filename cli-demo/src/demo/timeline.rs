//! The timeline: who does what, as it happens.

use std::io::{self, ErrorKind, Write as _};
use std::time::Duration;

use anstyle::Style;
use regrant::{StateKind, SystemClocks, TimeSource as _};

use super::row::{BAD, BOLD, DIM, FRESH, GOOD, Lane, PLAIN, Row, WAIT, WIDTH};
use super::step::Step;

/// Prints rows as they come, or nothing at all.
#[derive(Debug)]
pub(super) struct Timeline {
    silent: bool,
    began: Duration,
}

impl Timeline {
    /// A timeline that begins now. A silent one prints nothing.
    pub(super) fn new(silent: bool) -> Self {
        Self { silent, began: SystemClocks.steady() }
    }

    pub(super) fn elapsed(&self) -> Duration {
        SystemClocks.steady().saturating_sub(self.began)
    }

    /// What this is.
    pub(super) fn opening(&self) -> io::Result<()> {
        let what = "One login, kept alive: real HTTP, a real SQLite file, real processes.";
        self.print(&Row::blank().text(0, "regrant demo", GOOD.bold()).text(14, what, PLAIN))?;
        let where_to = "All of it in a temporary folder, away from your keychain and your files.";
        self.print(&Row::blank().text(14, where_to, DIM))
    }

    /// The head of a step: what it is about, and the names of the lanes.
    pub(super) fn head(&self, title: &str, lanes: [&str; 4]) -> io::Result<()> {
        self.line("")?;
        self.print(&Row::blank().text(0, title, BOLD))?;
        let mut names = Row::blank().text(4, "ms", DIM);
        for (lane, name) in Lane::ALL.into_iter().zip(lanes) {
            names = names.text(lane.column(), name, BOLD);
        }
        self.print(&names)
    }

    /// What one lane asks of another and what it is answered.
    pub(super) fn exchange(
        &self,
        from: Lane,
        to: Lane,
        request: &str,
        (answer, style): (&str, Style),
    ) -> io::Result<()> {
        self.print(&self.row().arrow(from, to, request, PLAIN).beside(to, answer, style))
    }

    /// What one lane says to another.
    pub(super) fn arrow(&self, from: Lane, to: Lane, label: &str, style: Style) -> io::Result<()> {
        self.print(&self.row().arrow(from, to, label, style))
    }

    /// What happens to one lane alone.
    pub(super) fn dot(&self, lane: Lane, text: &str, style: Style) -> io::Result<()> {
        self.print(&self.row().dot(lane, text, style))
    }

    /// The name of a state.
    pub(super) fn state(&self, state: StateKind) -> io::Result<()> {
        let style = match state {
            StateKind::Valid => GOOD,
            StateKind::ServerRejected | StateKind::NeedsLogin => BAD,
            StateKind::Refreshing => WAIT,
            StateKind::Retrying => FRESH,
        };
        self.dot(Lane::Client, &state.to_string(), style)
    }

    /// Words across the lanes.
    pub(super) fn remark(&self, text: &str) -> io::Result<()> {
        self.print(&self.row().beside(Lane::Caller, text, PLAIN))
    }

    /// What a step came to. The summary is what it comes to if all is well.
    pub(super) fn verdict(&self, step: &Step, summary: &str) -> io::Result<()> {
        let (sign, style) = if step.ok() { ("✓", GOOD) } else { ("✗", BAD) };
        self.print(&Row::blank().text(2, sign, style).text(4, step.name, style.bold()).text(
            6 + step.name.len(),
            if step.ok() { summary } else { "" },
            PLAIN,
        ))?;
        for wrong in &step.wrong {
            self.print(&Row::blank().text(4, wrong, BAD))?;
        }
        Ok(())
    }

    /// A line of text.
    pub(super) fn line(&self, text: &str) -> io::Result<()> {
        self.print(&Row::blank().text(0, text, PLAIN))
    }

    /// A rule across the whole width.
    pub(super) fn rule(&self) -> io::Result<()> {
        self.print(&Row::blank().text(0, &"─".repeat(WIDTH), DIM))
    }

    pub(super) fn print(&self, row: &Row) -> io::Result<()> {
        if self.silent {
            return Ok(());
        }
        // Colours are taken out where no terminal wants them.
        match writeln!(anstream::stdout(), "{}", row.painted()) {
            // A reader that has gone away wants no more, and that is no failure.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    fn row(&self) -> Row {
        Row::lanes().at(self.millis())
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
