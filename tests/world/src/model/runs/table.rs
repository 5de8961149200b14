//! The runs as a table, for people: drawn from the runs themselves, so that it cannot say anything
//! else.

use std::fmt::Write as _;

use super::{SMALL, large};
use crate::model::check::Bound;
use crate::model::run::{Exclusion, Run};

/// The tables of both bounds, in Markdown.
pub fn table() -> String {
    let mut text = String::from("## The runs of the small bound\n\n");
    let Bound { fair_every, states: _, threads: _ } = Bound::SMALL;
    let _ = write!(
        text,
        "{} runs, each searched to its end. One state of {fair_every} is gone on with to the end \
         of its requests.\n\n",
        SMALL.len()
    );
    let small: Vec<_> = SMALL.iter().map(|run| vec![run.clone()]).collect();
    write_groups(&mut text, &small);
    text.push_str("\n## The runs of the large bound\n\n");
    let Bound { fair_every, states, threads: _ } = Bound::LARGE;
    let _ = write!(
        text,
        "{} runs. One is cut where {states} states were made, the same ones again included. One \
         state of {fair_every} is gone on with to the end of its requests.\n\n",
        large().len()
    );
    let mut groups: Vec<Vec<Run>> = Vec::new();
    for run in large() {
        match groups.last_mut().filter(|group| group[0].name == run.name) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    write_groups(&mut text, &groups);
    text
}

fn write_groups(text: &mut String, groups: &[Vec<Run>]) {
    text.push_str(
        "| run | server, and its profile | world | what may happen |\n|---|---|---|---|\n",
    );
    for group in groups {
        let (run, happens) = (&group[0], group[0].chances.describe());
        let (name, server, world) = (run.name, servers(group), world(group));
        let _ = writeln!(text, "| `{name}` | {server} | {world} | {happens} |");
    }
}

fn servers(group: &[Run]) -> String {
    let mut all: Vec<_> = group.iter().map(|run| (run.kind, run.rotation)).collect();
    all.dedup();
    match all[..] {
        [(kind, rotation)] => format!("`{kind:?}`, `{rotation:?}`"),
        _ => format!("each of {}", all.len()),
    }
}

fn world(group: &[Run]) -> String {
    let run = &group[0];
    let has = |exclusion| group.iter().any(|run| run.exclusion == exclusion);
    let exclusion = match (has(Exclusion::Lock), has(Exclusion::Row)) {
        (true, true) => "a lock or a row",
        (true, false) => "a lock",
        (false, _) => "a row",
    };
    let token = match (run.ended, run.good) {
        (true, _) => "a grant that has ended",
        (false, true) => "a good token",
        (false, false) => "an expired token",
    };
    let number = |number: usize| ["no", "one", "two", "three"][number];
    let plural = if run.processes == 1 { "process" } else { "processes" };
    let mut parts = vec![format!("{} {plural}", number(run.processes))];
    parts.extend([exclusion.into(), token.into()]);
    if run.apis > 1 {
        parts.push(format!("{} APIs", number(run.apis.into())));
    }
    if run.at_a_time > 1 {
        parts.push(format!("{} requests at a time", number(run.at_a_time)));
    }
    parts.extend(run.lifetime.map(|ticks| format!("tokens of {ticks} ticks")));
    if run.burst != Run::BURST {
        parts.push(format!("a bucket of {}", run.burst));
    }
    parts.extend(run.ticks.map(|ticks| format!("until tick {ticks}")));
    parts.join(", ")
}
