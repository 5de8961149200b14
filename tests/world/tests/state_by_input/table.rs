//! One block for each flavour of a state, and what holds for every pair.

use std::fmt::Write as _;

use regrant_core::{Event, StateKind, Timestamp, Use, edges};
use regrant_world::origin;

use crate::flavours::Flavour;
use crate::rows::{Row, rows};
use crate::scene::{Said, Scene};
use crate::words::{facts, moment, names, said, view};

/// Inputs of one group that have one effect.
struct Line {
    group: String,
    /// Names, and for each its details.
    inputs: Vec<(String, Vec<String>)>,
    effect: String,
}

/// A flavour, worked out.
struct Block {
    head: String,
    ignored: Vec<String>,
    /// Labels and effects.
    lines: Vec<(String, String)>,
    pairs: usize,
}

/// The table of one state. A line that stands in an earlier block is named and not repeated.
pub(crate) fn of(state: Option<StateKind>, flavours: &[Flavour]) -> String {
    let mut table = String::new();
    let mut earlier: Vec<(&str, Block)> = Vec::new();
    for (name, reach) in flavours {
        assert_eq!(reach().state(), state, "{name}");
        let block = block(*reach);
        writeln!(table, "\n== {name}\n{}", block.head).unwrap();
        writeln!(table, "  ignored: {}", block.ignored.join("; ")).unwrap();
        let known = |line: &(String, String)| {
            earlier.iter().position(|(_, block)| block.lines.contains(line))
        };
        for (at, (other, _)) in earlier.iter().enumerate() {
            let same = block.lines.iter().filter(|line| known(line) == Some(at));
            let labels: Vec<&str> = same.map(|(label, _)| label.as_str()).collect();
            if !labels.is_empty() {
                writeln!(table, "  as where {other}: {}", labels.join("; ")).unwrap();
            }
        }
        for (label, effect) in block.lines.iter().filter(|line| known(line).is_none()) {
            writeln!(table, "  {label}\n{effect}").unwrap();
        }
        earlier.push((name, block));
    }
    let pairs: usize = earlier.iter().map(|(_, block)| block.pairs).sum();
    format!("{} flavours, {pairs} pairs\n{table}", flavours.len())
}

fn block(reach: fn() -> Scene) -> Block {
    let before = reach();
    let base = before.now;
    let known = before.machine.record();
    let words = known.map_or("no record".into(), |record| facts(record, base).join("; "));
    let out: Vec<&str> = before.out.values().map(crate::rows::name_of).collect();
    let out = if out.is_empty() { "nothing".into() } else { out.join(", ") };
    let (view, wake) = (view(&before.machine, base), moment(before.wake, base));
    let head = format!("{words}\nview {view}\nout {out}; wake {wake}");
    let mut lines: Vec<Line> = Vec::new();
    let rows = rows(&before);
    let pairs = rows.len();
    for row in rows {
        let (group, name, detail) = (row.group.clone(), row.name.clone(), row.detail.clone());
        let effect = effect(reach(), row);
        note(&mut lines, group, name, detail, effect);
    }
    let totals = totals(&lines);
    let (ignored, others): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| line.effect.is_empty());
    let ignored = ignored.iter().map(|line| label(line, &totals)).collect();
    let lines = others.into_iter().map(|line| (label(&line, &totals), line.effect)).collect();
    Block { head, ignored, lines, pairs }
}

fn note(lines: &mut Vec<Line>, group: String, name: String, detail: String, effect: String) {
    let same = |line: &&mut Line| line.group == group && line.effect == effect;
    let line = match lines.iter_mut().position(|line| same(&line)) {
        Some(at) => &mut lines[at],
        None => {
            lines.push(Line { group, inputs: Vec::new(), effect });
            lines.last_mut().unwrap()
        }
    };
    match line.inputs.iter_mut().find(|(known, _)| *known == name) {
        Some((_, details)) => details.push(detail),
        None => line.inputs.push((name, vec![detail])),
    }
}

/// How many inputs each group and each name in it has.
type Totals = Vec<(String, Vec<(String, usize)>)>;

fn totals(lines: &[Line]) -> Totals {
    let mut totals: Totals = Vec::new();
    for line in lines {
        let at = totals.iter().position(|(group, _)| *group == line.group).unwrap_or_else(|| {
            totals.push((line.group.clone(), Vec::new()));
            totals.len() - 1
        });
        for (name, details) in &line.inputs {
            match totals[at].1.iter_mut().find(|(known, _)| known == name) {
                Some((_, count)) => *count += details.len(),
                None => totals[at].1.push((name.clone(), details.len())),
            }
        }
    }
    totals
}

/// The inputs of a line: a whole group by its name, whole names without their details.
fn label(line: &Line, totals: &Totals) -> String {
    let (_, names) = totals.iter().find(|(group, _)| *group == line.group).unwrap();
    let whole = |name: &str, details: &[String]| {
        names.iter().any(|(known, count)| known == name && *count == details.len())
    };
    let complete = names.len() == line.inputs.len()
        && line.inputs.iter().all(|(name, details)| whole(name, details));
    if complete {
        return line.group.clone();
    }
    let part = |(name, details): &(String, Vec<String>)| {
        if whole(name, details) { name.clone() } else { format!("{name} ({})", details.join("; ")) }
    };
    format!("{} {}", line.group, line.inputs.iter().map(part).collect::<Vec<_>>().join(", "))
}

/// All that came of one input.
fn effect(mut scene: Scene, row: Row) -> String {
    let base = scene.now;
    let before = (scene.state(), view(&scene.machine, base), scene.wake);
    scene.said.clear();
    scene.give(row.input, row.now);
    holds(&scene, before.0);
    let mut words = said(&scene, base);
    let after = view(&scene.machine, base);
    if after != before.1 {
        words.push(format!("view {after}"));
    }
    if scene.wake != before.2 {
        words.push(format!("wake {}", moment(scene.wake, base)));
    }
    let mut lines = Vec::new();
    if !words.is_empty() {
        lines.push(words.join("; "));
    }
    if row.to_its_end {
        scene.said.clear();
        let from = scene.state();
        scene = scene.settled();
        holds(&scene, from);
        let rest = names(&scene);
        if !rest.is_empty() {
            lines.push(format!("then {}", rest.join(", ")));
        }
    }
    let text = lines.iter().map(|line| format!("      {line}")).collect::<Vec<_>>().join("\n");
    match row.word {
        Some((word, instead)) => text.replace(&word, instead),
        None => text,
    }
}

/// What holds after every input, whatever the table says.
fn holds(scene: &Scene, before: Option<StateKind>) {
    let stranger = scene.machine.view().access(&origin("z"));
    let allowed = scene.machine.record().is_some_and(|r| r.origins.contains(&origin("z")));
    assert!(allowed || !matches!(stranger, Use::Token { .. }), "a stranger was given the token");
    assert!(scene.wake > scene.now || scene.wake == Timestamp::NEVER, "a wake in the past");
    let mut state = before;
    for said in &scene.said {
        let Said::Told(Event::StateChanged { from, to, trigger, .. }) = said else { continue };
        // What is saved over damage was never read: it begins where nobody has logged in.
        let unread = state.is_none() && *from == Some(StateKind::NeedsLogin);
        assert!(*from == state || unread, "{from:?} -> {to} by {trigger} in {state:?}");
        let row = |edge: &&regrant_core::Edge| {
            (edge.from, edge.to, edge.trigger) == (*from, *to, *trigger)
        };
        assert!(edges().iter().any(|edge| row(&edge)), "{from:?} -> {to} by {trigger} is no row");
        state = Some(*to);
    }
    assert_eq!(scene.state(), state, "a change that was not told");
}
