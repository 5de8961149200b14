//! `cargo xtask tidy`: the house rules that a program can check. Every violation is reported, with
//! its place and its remedy.

mod arrows;
mod clock;
mod core_tree;
mod dependencies;
mod forbidden;
mod halves;
mod lib_files;
mod long_files;
mod no_std;
mod paths;
mod public_types;
mod source;
mod tree;

use std::fmt;

use anyhow::bail;

use self::tree::Tree;
use crate::workspace::Workspace;

/// What one check measured, and what it found wrong.
#[derive(Debug)]
struct Verdict {
    measured: String,
    violations: Vec<Violation>,
}

#[derive(Debug, PartialEq, Eq)]
struct Violation {
    file: String,
    /// Counted from 1; none where the whole file is meant.
    line: Option<usize>,
    what: String,
    remedy: &'static str,
}

impl Violation {
    fn at(file: &str, line: usize, what: impl Into<String>, remedy: &'static str) -> Self {
        Self { file: file.to_owned(), line: Some(line), what: what.into(), remedy }
    }

    fn of(file: &str, what: impl Into<String>, remedy: &'static str) -> Self {
        Self { file: file.to_owned(), line: None, what: what.into(), remedy }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what, remedy } = self;
        match line {
            Some(line) => write!(f, "{file}:{line}: {what}; {remedy}"),
            None => write!(f, "{file}: {what}; {remedy}"),
        }
    }
}

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let tree = Tree::read(workspace.root())?;
    let verdicts = [
        ("arrows", arrows::check(&arrows::read(workspace.metadata(), &tree))),
        ("core tree", core_tree::check(&core_tree::read(workspace)?)),
        ("no_std", no_std::check(tree.sources(), &no_std::read_features(workspace)?)),
        ("halves", halves::check(tree.sources())),
        ("public types", public_types::check(tree.sources())),
        ("long files", long_files::check(tree.sources())),
        ("forbidden", forbidden::check(tree.sources())),
        ("dependencies", dependencies::check(tree.texts())),
        ("lib.rs", lib_files::check(tree.sources())),
        ("clock", clock::check(tree.sources())),
        ("paths", paths::check(tree.texts(), workspace.root())),
    ];
    let mut count = 0;
    for (name, Verdict { measured, violations }) in &verdicts {
        let result = if violations.is_empty() { "ok" } else { "failed" };
        println!("{name:<13} {result:<7} {measured}");
        for violation in violations {
            println!("    {violation}");
        }
        count += violations.len();
    }
    if count > 0 {
        bail!("violations of the house rules: {count}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_is_said_with_its_place_and_its_remedy() {
        let violation = Violation::at("core/src/lib.rs", 7, "a fault", "mend it");
        assert_eq!(violation.to_string(), "core/src/lib.rs:7: a fault; mend it");
        let violation = Violation::of("core/Cargo.toml", "a fault", "mend it");
        assert_eq!(violation.to_string(), "core/Cargo.toml: a fault; mend it");
    }
}
