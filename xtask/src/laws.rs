//! `cargo xtask laws`: every law of storage on every backend, as a table.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use anyhow::{Context as _, bail};

use crate::workspace::{Workspace, succeed};

/// The packages whose tests run the laws.
const PACKAGES: &[&str] = &[
    "regrant-storage",
    "regrant-storage-sqlite",
    "regrant-storage-file",
    "regrant-storage-keyring",
];

/// The suites, as the modules are called that the tests of a suite lie in.
const SUITES: &[&str] = &["blob_store", "processes", "token_store", "lease", "lease_processes"];

/// Runs the laws, prints the table, and fails if one is broken.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let mut table = Table::default();
    for package in PACKAGES {
        // Built first, so that what is read afterwards is the tests' own output.
        let build = ["test", "--no-run", "--all-features", "-p", package];
        succeed(&mut workspace.cargo(&build))?;
        let mut tests = workspace
            .cargo(&["test", "--no-fail-fast", "--all-features", "--tests", "-p", package])
            .args(["--", "laws::"])
            .stdout(Stdio::piped())
            .spawn()
            .context("cargo could not be started")?;
        let lines = BufReader::new(tests.stdout.take().context("cargo has no output")?).lines();
        for line in lines {
            let line = line?;
            println!("{line}");
            table.read(package, &line);
        }
        tests.wait()?;
    }
    println!("\n{}", table.text());
    let broken = table.broken();
    if !broken.is_empty() {
        bail!("broken laws:\n{}", broken.join("\n"));
    }
    let (kept, red) = (table.count(Verdict::Kept), table.count(Verdict::Red));
    if kept == 0 || red == 0 {
        bail!("{kept} laws were kept and {red} broken on purpose: the tests have other names now");
    }
    println!("{kept} laws kept; {red} laws broken on purpose, and red");
    Ok(())
}

/// What became of a law on a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Kept,
    /// By a backend that is broken on purpose, as it should be.
    Red,
    /// Or kept by one that breaks it on purpose: then the law finds nothing.
    Broken,
}

/// The module of tests that holds the backends which are broken on purpose.
const BROKEN: &str = "broken";

/// By suite and law, what became of it by backend.
#[derive(Default)]
struct Table {
    rows: BTreeMap<(usize, String), BTreeMap<String, Verdict>>,
    backends: BTreeSet<String>,
}

impl Table {
    /// Takes in a line of a test harness: `test backend::laws::suite::law ... ok`.
    fn read(&mut self, package: &str, line: &str) {
        let Some((name, verdict)) =
            line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... "))
        else {
            return;
        };
        let is_ok = match verdict {
            "ok" => true,
            "FAILED" => false,
            _ => return,
        };
        let parts: Vec<_> = name.trim_end_matches(" - should panic").split("::").collect();
        let [before @ .., "laws", suite, law] = parts.as_slice() else { return };
        let Some(suite) = SUITES.iter().position(|known| known == suite) else { return };
        if *law == "child_of_a_law" {
            return;
        }
        let is_broken = before.first() == Some(&BROKEN);
        let verdict = match (is_ok, is_broken) {
            (true, false) => Verdict::Kept,
            (true, true) => Verdict::Red,
            (false, _) => Verdict::Broken,
        };
        // One column for all that is broken: of a law that several break, the worst counts.
        let backend = if is_broken { BROKEN.to_owned() } else { backend(package, before) };
        self.backends.insert(backend.clone());
        let row = self.rows.entry((suite, (*law).to_owned())).or_default();
        let cell = row.entry(backend).or_insert(verdict);
        if verdict == Verdict::Broken {
            *cell = verdict;
        }
    }

    /// How many cells are as they should be.
    fn count(&self, wanted: Verdict) -> usize {
        self.rows.values().flat_map(BTreeMap::values).filter(|cell| **cell == wanted).count()
    }

    fn broken(&self) -> Vec<String> {
        let rows = self.rows.iter().flat_map(|((_, law), cells)| {
            let broken = cells.iter().filter(|(_, verdict)| **verdict == Verdict::Broken);
            broken.map(move |(backend, _)| format!("{backend}: {law}"))
        });
        rows.collect()
    }

    fn text(&self) -> String {
        let widest = self.rows.keys().map(|(_, law)| law.len()).max().unwrap_or(0);
        let mut out = format!("{:widest$}", "");
        self.backends.iter().for_each(|backend| out.push_str(&format!("  {backend}")));
        let mut last = None;
        for ((suite, law), cells) in &self.rows {
            if last.replace(suite) != Some(suite) {
                out.push_str(&format!("\n{}:", SUITES[*suite].replace('_', " ")));
            }
            out.push_str(&format!("\n{:widest$}", law.replace('_', " ")));
            for backend in &self.backends {
                let cell = match cells.get(backend) {
                    Some(Verdict::Kept) => "ok",
                    Some(Verdict::Red) => "red",
                    Some(Verdict::Broken) => "FAILED",
                    None => "-",
                };
                out.push_str(&format!("  {cell:width$}", width = backend.len()));
            }
        }
        out.push('\n');
        out.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }
}

/// What people call it: the package's last word, and where the laws lie in its tests.
fn backend(package: &str, before: &[&str]) -> String {
    let package = package.trim_start_matches("regrant-storage").trim_start_matches('-');
    let words = [package].into_iter().chain(before.iter().copied()).filter(|word| !word.is_empty());
    let name = words.collect::<Vec<_>>().join(" ").replace('_', " ");
    if name.is_empty() { "memory".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_a_row_for_each_law_and_a_column_for_each_backend() {
        let mut table = Table::default();
        for (package, line) in [
            ("regrant-storage-sqlite", "test laws::blob_store::absent_is_none ... ok"),
            ("regrant-storage-file", "test laws::blob_store::absent_is_none ... ok"),
            ("regrant-storage-file", "test unlocked::laws::blob_store::absent_is_none ... FAILED"),
            ("regrant-storage-file", "test laws::lease::one_holder_at_a_time ... ok"),
            ("regrant-storage-file", "test laws::processes::child_of_a_law ... ok"),
            ("regrant-storage-file", "test damage::every_bit ... ok"),
            ("regrant-storage-file", "running 7 tests"),
        ] {
            table.read(package, line);
        }
        assert_eq!((table.count(Verdict::Kept), table.count(Verdict::Red)), (3, 0));
        assert_eq!(table.broken(), ["file unlocked: absent_is_none"]);
        let text = table.text();
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let lines: Vec<_> = text.lines().map(words).collect();
        assert!(lines.contains(&"absent is none ok FAILED ok".to_owned()), "{text}");
        assert!(lines.contains(&"one holder at a time ok - -".to_owned()), "{text}");
    }

    #[test]
    fn what_is_broken_on_purpose_has_one_column_and_must_be_red() {
        let mut table = Table::default();
        let law = "laws::blob_store::absent_is_none - should panic";
        table.read("regrant-storage", &format!("test broken::one::{law} ... ok"));
        assert_eq!(table.count(Verdict::Red), 1);
        assert!(table.text().contains("red"));
        table.read("regrant-storage", &format!("test broken::two::{law} ... FAILED"));
        table.read("regrant-storage", &format!("test broken::three::{law} ... ok"));
        assert_eq!(table.broken(), ["broken: absent_is_none"]);
    }

    #[test]
    fn the_memory_stores_are_called_so() {
        assert_eq!(backend("regrant-storage", &[]), "memory");
        assert_eq!(backend("regrant-storage", &["vault"]), "vault");
        assert_eq!(backend("regrant-storage-file", &["without_locks"]), "file without locks");
    }
}
