//! `cargo xtask ci`: every check in order, each timed; all run, whatever fails.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::bail;

use crate::workspace::{Workspace, on_path, succeed};
use crate::{diagram, fuzz, run_tests, scenarios, teeth, tidy};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    LeftOut { why: &'static str },
}

struct Stage {
    name: &'static str,
    run: fn(&Workspace) -> anyhow::Result<Outcome>,
}

const STAGES: &[Stage] = &[
    Stage { name: "test", run: |workspace| passed(run_tests::run(workspace, true)) },
    Stage { name: "scenarios", run: |workspace| passed(scenarios::run(workspace)) },
    Stage {
        name: "fmt",
        run: |workspace| passed(succeed(&mut workspace.cargo(&["fmt", "--all", "--check"]))),
    },
    Stage { name: "clippy", run: clippy },
    Stage { name: "doc", run: doc },
    Stage { name: "diagram", run: |workspace| passed(diagram::run(workspace, true)) },
    Stage { name: "teeth", run: |workspace| passed(teeth::run(workspace, None, true)) },
    Stage { name: "fuzz", run: |workspace| passed(fuzz::run(workspace, &fuzz::Options::smoke())) },
    Stage { name: "tidy", run: |workspace| passed(tidy::run(workspace)) },
    Stage { name: "deny", run: deny },
];

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for stage in STAGES {
        println!("\n== {} ==", stage.name);
        let (result, took) = timed(|| (stage.run)(workspace));
        let outcome = result.unwrap_or_else(|error| {
            eprintln!("{}: {error:#}", stage.name);
            Outcome::Failed
        });
        rows.push((stage.name, took, outcome));
    }
    println!("\n{}", table(&rows));
    let failed = failed(&rows);
    if !failed.is_empty() {
        bail!("{} of {} stages failed: {}", failed.len(), rows.len(), failed.join(", "));
    }
    Ok(())
}

type Row = (&'static str, Duration, Outcome);

fn failed(rows: &[Row]) -> Vec<&'static str> {
    let failed = rows.iter().filter(|(_, _, outcome)| *outcome == Outcome::Failed);
    failed.map(|(name, _, _)| *name).collect()
}

fn table(rows: &[Row]) -> String {
    let mut text = format!("{:<9} {:>8}  result", "stage", "seconds");
    for (name, took, outcome) in rows {
        let result = match outcome {
            Outcome::Passed => "passed".to_owned(),
            Outcome::Failed => "failed".to_owned(),
            Outcome::LeftOut { why } => format!("left out: {why}"),
        };
        let _ = write!(text, "\n{name:<9} {:>8.1}  {result}", took.as_secs_f64());
    }
    text
}

fn passed(result: anyhow::Result<()>) -> anyhow::Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

fn clippy(workspace: &Workspace) -> anyhow::Result<Outcome> {
    passed(succeed(&mut workspace.cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ])))
}

fn doc(workspace: &Workspace) -> anyhow::Result<Outcome> {
    let mut doc = workspace.cargo(&["doc", "--workspace", "--no-deps", "--all-features"]);
    passed(succeed(doc.env("RUSTDOCFLAGS", "-D warnings")))
}

fn deny(workspace: &Workspace) -> anyhow::Result<Outcome> {
    if !on_path("cargo-deny") {
        let why = "cargo-deny is not installed (cargo install cargo-deny)";
        println!("deny is left out: {why}");
        return Ok(Outcome::LeftOut { why });
    }
    passed(succeed(&mut workspace.cargo(&["deny", "check"])))
}

#[expect(clippy::disallowed_methods, reason = "how long a stage took is read off a real clock")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> [Row; 3] {
        [
            ("test", Duration::from_millis(61_250), Outcome::Passed),
            ("fmt", Duration::from_millis(400), Outcome::Failed),
            ("deny", Duration::ZERO, Outcome::LeftOut { why: "not installed" }),
        ]
    }

    #[test]
    fn the_table_has_a_line_for_each_stage() {
        let expected = "\
stage      seconds  result
test          61.2  passed
fmt            0.4  failed
deny           0.0  left out: not installed";
        assert_eq!(table(&rows()), expected);
    }

    #[test]
    fn only_a_failed_stage_fails_the_whole() {
        assert_eq!(failed(&rows()), ["fmt"]);
    }

    #[test]
    fn the_tests_are_the_first_stage() {
        assert_eq!(STAGES[0].name, "test");
    }
}
