//! `cargo xtask fuzz`: every target of `fuzz`, so many runs each, as a table.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::workspace::{Workspace, on_path, succeed};

/// Where the targets lie, below the root.
const FOLDER: &str = "fuzz";

/// Bytes of an input: 1 KiB holds a record, a profile's rule or a hundred operations, and longer
/// ones are slower without reaching more.
const MAX_LEN: u32 = 1024;

/// Seconds after which one input has taken too long: the slowest takes some milliseconds.
const TIMEOUT: u32 = 10;

/// Runs of each target in a smoke run: 3,000, some seconds each; the machine takes about 200 a second.
pub(crate) const SMOKE: u64 = 3_000;

/// What is run, and how long.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// Runs of each target, its corpus included.
    pub(crate) runs: u64,
    /// Only the targets with this in their name.
    pub(crate) target: Option<String>,
    /// Whether what was found is added to the committed corpora, as far as it reaches new code.
    pub(crate) keep: bool,
}

impl Options {
    /// Few runs of every target, to see that each still builds and replays its corpus.
    pub(crate) fn smoke() -> Self {
        Self { runs: SMOKE, ..Self::default() }
    }
}

/// Whether the fuzzer is there.
pub(crate) fn is_there() -> bool {
    on_path("cargo-fuzz")
}

/// Builds the targets, runs them one after the other, prints the table, and fails if one found
/// something.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> anyhow::Result<()> {
    if !is_there() {
        let install = workspace.cargo(&["install", "--locked", "cargo-fuzz"]);
        succeed(&mut { install }).context("cargo-fuzz is needed and could not be installed")?;
    }
    let folder = workspace.root().join(FOLDER);
    let wanted = |name: &String| options.target.as_ref().is_none_or(|part| name.contains(part));
    let targets: Vec<_> = targets(&folder)?.into_iter().filter(wanted).collect();
    if targets.is_empty() {
        bail!("no target has {:?} in its name", options.target.as_deref().unwrap_or_default());
    }
    // Without a sanitizer, for there is no unsafe code in regrant; with debug assertions and checks
    // of overflow, which are cargo-fuzz's own default.
    for name in &targets {
        succeed(&mut fuzz(workspace, &["build", "-s", "none", name]))?;
    }
    let mut rows = Vec::new();
    for name in &targets {
        let row = run_target(workspace, &folder, name, options)?;
        println!("{}", row.text());
        rows.push(row);
    }
    println!("\n{}", table(&rows));
    let crashed: Vec<_> =
        rows.iter().filter(|row| row.crashed).map(|row| row.target.as_str()).collect();
    if !crashed.is_empty() {
        bail!("something was found by {}: see {FOLDER}/artifacts", crashed.join(", "));
    }
    Ok(())
}

/// The files of `fuzz_targets`, without their ending.
fn targets(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for file in fs::read_dir(folder.join("fuzz_targets")).context("there are no fuzz targets")? {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let stem = path.file_stem().context("a target has a name")?;
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// A command of cargo-fuzz. Its flags are those of an unstable compiler, which the stable one
/// takes when it is told so.
fn fuzz(workspace: &Workspace, arguments: &[&str]) -> Command {
    let (command, rest) = arguments.split_first().unwrap_or((&"list", &[]));
    let mut cargo = workspace.cargo(&["fuzz", command, "--fuzz-dir", FOLDER]);
    cargo.args(rest).env("RUSTC_BOOTSTRAP", "1");
    cargo
}

#[expect(clippy::disallowed_methods, reason = "how fast a target is, is read off a real clock")]
fn run_target(
    workspace: &Workspace,
    folder: &Path,
    name: &str,
    options: &Options,
) -> anyhow::Result<Row> {
    let corpus = folder.join("corpus").join(name);
    // What is found goes to the first folder, and the committed corpus stays as it is.
    let found = found(folder, name);
    fs::create_dir_all(&found)?;
    let mut command = fuzz(workspace, &["run", "-s", "none", name]);
    command.args([&found, &corpus]).arg("--").args([
        format!("-runs={}", options.runs),
        format!("-max_len={MAX_LEN}"),
        format!("-timeout={TIMEOUT}"),
        "-print_final_stats=1".to_owned(),
        "-verbosity=1".to_owned(),
    ]);
    let start = Instant::now();
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::inherit())
        .stderr(Stdio::piped())
        .output()
        .context("cargo could not be started")?;
    let log = String::from_utf8_lossy(&output.stderr);
    let mut row = Row::read(name, &log);
    row.seconds = start.elapsed().as_secs_f64();
    row.crashed = !output.status.success();
    if row.crashed {
        eprintln!("{log}");
    } else if row.executions < options.runs {
        bail!("{name} ran {} times instead of {}", row.executions, options.runs);
    } else if options.keep {
        let merge = ["run", "-s", "none", name];
        let mut command = fuzz(workspace, &merge);
        command.args([&corpus, &found]).args(["--", "-merge=1"]);
        succeed(&mut command)?;
    }
    Ok(row)
}

/// Where what a target finds is kept from one run to the next, beside what is built.
fn found(folder: &Path, name: &str) -> PathBuf {
    folder.join("target").join("found").join(name)
}

/// What became of a target.
#[derive(Debug, Default, PartialEq)]
struct Row {
    target: String,
    executions: u64,
    seconds: f64,
    per_second: u64,
    /// The counters that the corpus reached, and those that were reached in the end.
    before: u64,
    after: u64,
    crashed: bool,
}

impl Row {
    /// Takes the numbers from what libFuzzer prints.
    fn read(target: &str, log: &str) -> Self {
        let stat = |name: &str| {
            let line = log.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0)
        };
        let covered = |when: &str| {
            let line = log.lines().rfind(|line| line.contains(when) && line.starts_with('#'));
            let after = line.and_then(|line| line.split("cov: ").nth(1));
            let number = after.and_then(|rest| rest.split(' ').next());
            number.and_then(|number| number.parse().ok()).unwrap_or(0)
        };
        Self {
            target: target.to_owned(),
            executions: stat("stat::number_of_executed_units:"),
            per_second: stat("stat::average_exec_per_sec:"),
            before: covered("\tINITED "),
            after: covered("\tDONE "),
            ..Self::default()
        }
    }

    fn text(&self) -> String {
        let Self { target, executions, seconds, per_second, before, after, crashed } = self;
        let new = after.saturating_sub(*before);
        let result = if *crashed { "CRASHED" } else { "none" };
        format!("{target:<12} {executions:>11} {seconds:>8.1} {per_second:>8} {new:>9}  {result}")
    }
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<12} {:>11} {:>8} {:>8} {:>9}  crashes",
        "target", "executions", "seconds", "exec/s", "new edges"
    );
    for row in rows {
        text.push('\n');
        text.push_str(&row.text());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
#147\tINITED cov: 1200 ft: 3000 corp: 140/29Kb exec/s: 0 rss: 30Mb
#4096\tpulse  cov: 1300 ft: 3300 corp: 200/40Kb lim: 1024 exec/s: 2048 rss: 31Mb
#20000\tDONE   cov: 1359 ft: 3781 corp: 657/74Kb lim: 392 exec/s: 5000 rss: 30Mb
stat::number_of_executed_units: 20000
stat::average_exec_per_sec:     5000
stat::new_units_added:          1747
";

    #[test]
    fn a_row_is_read_from_what_libfuzzer_prints() {
        let row = Row::read("pointer", LOG);
        let expected = Row {
            target: "pointer".to_owned(),
            executions: 20_000,
            per_second: 5_000,
            before: 1_200,
            after: 1_359,
            ..Row::default()
        };
        assert_eq!(row, expected);
    }

    #[test]
    fn a_log_without_numbers_is_no_run() {
        assert_eq!(Row::read("pointer", "error: no such command").executions, 0);
    }

    #[test]
    fn the_table_has_a_line_for_each_target() {
        let mut row = Row::read("pointer", LOG);
        row.seconds = 4.06;
        let crashed = Row { target: "machine".to_owned(), crashed: true, ..Row::default() };
        let expected = "\
target        executions  seconds   exec/s new edges  crashes
pointer            20000      4.1     5000       159  none
machine                0      0.0        0         0  CRASHED";
        assert_eq!(table(&[row, crashed]), expected);
    }
}
