//! The end of the demo: both clients side by side.

use std::io;

use super::Report;
use super::fleet::{CALLS, Fleets, Outcome, PROCESSES};
use super::row::{BAD, BOLD, DIM, GOOD, PLAIN, Row};
use super::step::Step;
use super::timeline::Timeline;

/// Where the columns end.
const NAIVE: usize = 60;
const REGRANT: usize = 76;

pub(super) fn print(timeline: &Timeline, report: &Report) -> io::Result<()> {
    timeline.line("")?;
    timeline.rule()?;
    if let Some(Fleets { naive, regrant }) = &report.fleets {
        let head = "six processes, one login, ended three times by the server";
        let row = Row::blank().text(2, head, DIM);
        timeline.print(&right(right(row, NAIVE + 8, "naive"), REGRANT + 8, "regrant"))?;
        for (name, value) in ROWS {
            let (theirs, ours) = (value(naive), value(regrant));
            let row = Row::blank().text(2, name, PLAIN);
            let row = cell(row, NAIVE + 8, &theirs);
            timeline.print(&cell(row, REGRANT + 8, &ours))?;
        }
        timeline.rule()?;
    }
    let states: Vec<String> = report.states.iter().map(ToString::to_string).collect();
    timeline.line(&format!("  the states of step 2:  {}", states.join(" → ")))?;
    let done = report.steps.iter().filter(|step| Step::ok(step)).count();
    let seconds = timeline.elapsed().as_secs_f64();
    let text = format!(
        "  {done} of {} steps did what they should, by the servers' own counters ({seconds:.1} s)",
        report.steps.len()
    );
    let style = if done == report.steps.len() { GOOD } else { BAD };
    timeline.print(&Row::blank().text(0, &text, style.bold()))
}

/// A value, and whether it is as one would wish.
struct Value {
    text: String,
    good: bool,
}

type Read = fn(&Outcome) -> Value;

const ROWS: [(&str, Read); 4] = [
    ("token requests (3 would do)", |of| {
        let requests = of.stats.token_requests;
        Value { text: requests.to_string(), good: requests == 3 }
    }),
    ("calls answered", |of| Value {
        text: format!("{} of {CALLS}", of.answered),
        good: of.answered == CALLS,
    }),
    ("reuse of a refresh token, detected", |of| {
        let reuse = of.stats.reuse_detected;
        Value { text: reuse.to_string(), good: reuse == 0 }
    }),
    ("processes that must log in again", |of| Value {
        text: format!("{} of {PROCESSES}", of.must_log_in),
        good: of.must_log_in == 0,
    }),
];

fn right(row: Row, end: usize, text: &str) -> Row {
    row.text(end - text.chars().count(), text, BOLD)
}

fn cell(row: Row, end: usize, value: &Value) -> Row {
    let style = if value.good { GOOD } else { BAD };
    row.text(end - value.text.chars().count(), &value.text, style)
}
