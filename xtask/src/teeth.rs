//! `cargo xtask teeth`: what the proofs are worth. The code is broken on purpose, one bug after the
//! other, and every proof that a bug names must go red.
//!
//! A bug is a file of `xtask/teeth`: a sentence that says what is wrong, a line
//! `Proof: PACKAGE TEST` for each proof that must see it, and the patch. It is laid over a copy of
//! the workspace in the target folder, so that what is worked on is never touched.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context as _, bail, ensure};

use crate::workspace::Workspace;

const FOLDER: &str = "xtask/teeth";

/// How many red tests of a proof the table names: three, the rest is counted.
const NAMED: usize = 3;

/// A bug that is put into the code on purpose.
#[derive(Debug, PartialEq, Eq)]
struct Bug {
    name: String,
    what: String,
    proofs: Vec<Proof>,
}

/// One test target of a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Proof {
    package: String,
    test: String,
}

/// What became of a proof.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Green,
    Red { tests: Vec<String>, message: String },
}

pub(crate) fn run(workspace: &Workspace, only: Option<&str>, check: bool) -> anyhow::Result<()> {
    let mut bugs = bugs(workspace.root())?;
    if let Some(only) = only {
        bugs.retain(|(bug, _)| bug.name.contains(only));
        ensure!(!bugs.is_empty(), "no bug of {FOLDER} has `{only}` in its name");
    }
    for proof in bugs.iter().flat_map(|(bug, _)| &bug.proofs) {
        ensure!(proof.exists(workspace), "{proof}: there is no such test target");
    }
    let copy = Copy::new(workspace)?;
    if check {
        for (_, patch) in &bugs {
            copy.restore()?;
            copy.apply(patch)?;
        }
        copy.restore()?;
        println!("{} bugs can be put into the code", bugs.len());
        return Ok(());
    }

    println!("The proofs, with nothing broken:");
    let proofs = bugs.iter().flat_map(|(bug, _)| bug.proofs.clone()).collect::<BTreeSet<_>>();
    for proof in &proofs {
        if let Verdict::Red { tests, message } = copy.verdict(proof)? {
            bail!("{proof} is red before anything is broken: {}: {message}", tests.join(", "));
        }
        println!("  {proof}: green");
    }

    let mut toothless = Vec::new();
    for (bug, patch) in &bugs {
        println!("\n{}: {}", bug.name, bug.what);
        copy.restore()?;
        copy.apply(patch)?;
        for proof in &bug.proofs {
            match copy.verdict(proof) {
                Ok(verdict) => {
                    println!("  {proof}: {}", verdict.text());
                    if verdict == Verdict::Green {
                        toothless.push(format!("{} is not seen by {proof}", bug.name));
                    }
                }
                Err(error) => toothless.push(format!("{}: {error:#}", bug.name)),
            }
        }
    }
    copy.restore()?;
    ensure!(toothless.is_empty(), "proofs without teeth:\n{}", toothless.join("\n"));
    println!("\n{} bugs, each seen by every proof it names", bugs.len());
    Ok(())
}

/// Every bug with the file of its patch, in the order of their names.
fn bugs(root: &Path) -> anyhow::Result<Vec<(Bug, PathBuf)>> {
    let folder = root.join(FOLDER);
    let mut files = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("{FOLDER} cannot be read"))? {
        files.push(entry?.path());
    }
    files.sort();
    let read = |file: PathBuf| {
        let text = fs::read_to_string(&file)?;
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let bug = Bug::read(name, &text).with_context(|| file.display().to_string())?;
        Ok((bug, file))
    };
    files.into_iter().map(read).collect()
}

impl Bug {
    fn read(name: String, text: &str) -> anyhow::Result<Self> {
        let (head, _) = text.split_once("\ndiff --git ").context("there is no patch in it")?;
        let mut proofs = Vec::new();
        let mut what = Vec::new();
        for line in head.lines().map(str::trim).filter(|line| !line.is_empty()) {
            match line.strip_prefix("Proof:") {
                Some(proof) => proofs.push(Proof::read(proof)?),
                None => what.push(line),
            }
        }
        ensure!(!proofs.is_empty(), "it names no proof (`Proof: PACKAGE TEST`)");
        ensure!(!what.is_empty(), "it does not say what is wrong");
        Ok(Self { name, what: what.join(" "), proofs })
    }
}

impl Proof {
    fn read(text: &str) -> anyhow::Result<Self> {
        let words = text.split_whitespace().collect::<Vec<_>>();
        let [package, test] = words[..] else { bail!("`{text}` is no package and test target") };
        Ok(Self { package: package.to_owned(), test: test.to_owned() })
    }

    fn exists(&self, workspace: &Workspace) -> bool {
        let packages = workspace.metadata().workspace_packages();
        let mut targets = packages
            .into_iter()
            .filter(|package| package.name.as_str() == self.package)
            .flat_map(|package| &package.targets);
        targets.any(|target| target.is_test() && target.name == self.test)
    }
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.package, self.test)
    }
}

impl Verdict {
    /// Reads what libtest printed.
    fn read(printed: &str) -> Self {
        let failed =
            |line: &str| Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.to_owned());
        let tests = printed.lines().filter_map(failed).collect();
        Self::Red { tests, message: message(printed) }
    }

    fn text(&self) -> String {
        match self {
            Self::Green => "GREEN, it sees nothing".to_owned(),
            Self::Red { tests, message } => {
                let named = tests.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
                let more = tests.len().saturating_sub(NAMED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                format!("red, {named}{more}\n    {message}")
            }
        }
    }
}

/// The first lines of the first panic.
fn message(printed: &str) -> String {
    let said = printed.lines().skip_while(|line| !line.contains(" panicked at ")).skip(1);
    let lines = said
        .map(str::trim)
        .take_while(|line| !line.starts_with("note: ") && !line.starts_with("stack backtrace"))
        .filter(|line| !line.is_empty())
        .take(3);
    lines.collect::<Vec<_>>().join(" | ")
}

/// The workspace, in a place where it may be broken.
struct Copy<'a> {
    workspace: &'a Workspace,
    tree: PathBuf,
    target: PathBuf,
}

impl<'a> Copy<'a> {
    fn new(workspace: &'a Workspace) -> anyhow::Result<Self> {
        let folder = workspace.metadata().target_directory.as_std_path().join("teeth");
        let copy = Self { workspace, tree: folder.join("tree"), target: folder.join("target") };
        copy.restore()?;
        Ok(copy)
    }

    /// Makes the copy equal to the workspace. What is equal already keeps its time stamp, so that
    /// only what was broken is built again.
    fn restore(&self) -> anyhow::Result<()> {
        let listed = self
            .git(self.workspace.root())
            .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
            .output()?;
        ensure!(listed.status.success(), "git ls-files failed: {}", said(&listed));
        let listed = String::from_utf8(listed.stdout)?;
        let mut there = BTreeSet::new();
        for name in listed.split('\0').filter(|name| !name.is_empty()) {
            let (from, to) = (self.workspace.root().join(name), self.tree.join(name));
            let Ok(ours) = fs::read(&from) else { continue };
            there.insert(to.clone());
            if fs::read(&to).is_ok_and(|theirs| theirs == ours) {
                continue;
            }
            fs::create_dir_all(to.parent().context("a file lies in a folder")?)?;
            fs::write(&to, ours)?;
        }
        remove_others(&self.tree, &there)
    }

    fn apply(&self, patch: &Path) -> anyhow::Result<()> {
        let output = self.git(&self.tree).arg("apply").arg(patch).output()?;
        ensure!(
            output.status.success(),
            "{} does not fit the code any more: {}",
            patch.display(),
            said(&output)
        );
        Ok(())
    }

    /// Builds a proof, which must succeed, and runs it.
    fn verdict(&self, proof: &Proof) -> anyhow::Result<Verdict> {
        let arguments = ["--package", &proof.package, "--test", &proof.test];
        let mut build = self.test(&arguments);
        let output = build.arg("--no-run").output()?;
        ensure!(output.status.success(), "{proof} does not compile: {}", said(&output));
        let output = self.test(&arguments).output()?;
        if output.status.success() {
            return Ok(Verdict::Green);
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        Ok(Verdict::read(&printed))
    }

    fn test(&self, arguments: &[&str]) -> Command {
        let mut cargo = self.workspace.cargo(&["test", "--no-fail-fast"]);
        cargo.args(arguments).current_dir(&self.tree).env("CARGO_TARGET_DIR", &self.target);
        cargo.stdin(Stdio::null());
        cargo
    }

    /// The copy lies inside of the workspace, whose repository git must not find.
    fn git(&self, folder: &Path) -> Command {
        let mut git = Command::new("git");
        git.current_dir(folder);
        if let Some(above) = self.tree.parent() {
            git.env("GIT_CEILING_DIRECTORIES", above);
        }
        git
    }
}

/// Removes what lies in the folder and is not of these.
fn remove_others(folder: &Path, there: &BTreeSet<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_others(&path, there)?;
        } else if !there.contains(&path) {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUG: &str = "\
The clock
decides.

Proof: regrant-world traces
Proof: regrant cancelled

diff --git a/a.rs b/a.rs
";

    #[test]
    fn a_bug_says_what_is_wrong_and_who_must_see_it() {
        let bug = Bug::read("clock".to_owned(), BUG).unwrap();
        assert_eq!(bug.what, "The clock decides.");
        let proofs = bug.proofs.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(proofs, ["regrant-world traces", "regrant cancelled"]);
    }

    #[test]
    fn a_bug_that_nobody_must_see_is_refused() {
        let text = BUG.replace("Proof: ", "");
        assert!(Bug::read("clock".to_owned(), &text).is_err());
        assert!(Bug::read("clock".to_owned(), "Proof: a b\n").is_err());
        assert!(Bug::read("clock".to_owned(), "Proof: a b\n\ndiff --git a b").is_err());
    }

    #[test]
    fn a_red_proof_is_quoted() {
        let printed = "\
test works ... ok
test fails ... FAILED

thread 'fails' panicked at tests/a.rs:3:5:
assertion failed
  left: 1

note: run with `RUST_BACKTRACE=1`
";
        let Verdict::Red { tests, message } = Verdict::read(printed) else { panic!() };
        assert_eq!(tests, ["fails"]);
        assert_eq!(message, "assertion failed | left: 1");
    }
}
