//! How many crates the core brings into a program.

use std::collections::BTreeSet;

use super::{Verdict, Violation};
use crate::workspace::Workspace;

/// serde, serde_json, thiserror, zeroize, what they bring, and the core itself.
const MOST: usize = 15;

const REMEDY: &str = "drop a dependency of the core, or move what needs it to another crate";

/// The core's own tree, a crate a line. It is asked of `cargo tree` for this package alone: the
/// graph in `cargo metadata` carries the features that other packages switch on.
pub(super) fn read(workspace: &Workspace) -> anyhow::Result<String> {
    workspace.cargo_tree(&[
        "--package",
        "regrant-core",
        "--edges",
        "normal",
        "--target",
        "all",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ])
}

/// Proc-macro crates count too, each name once.
pub(super) fn check(tree: &str) -> Verdict {
    let names =
        tree.lines().filter_map(|line| line.split_whitespace().next()).collect::<BTreeSet<_>>();
    let measured = format!("{} crates in the core's tree, at most {MOST}", names.len());
    let mut violations = Vec::new();
    if names.len() > MOST {
        let list = names.into_iter().collect::<Vec<_>>().join(", ");
        let what = format!("{measured}: {list}");
        violations.push(Violation::of("core/Cargo.toml", what, REMEDY));
    }
    Verdict { measured, violations }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(crates: usize) -> String {
        let lines = (0..crates).map(|index| format!("crate{index} v1.0.0\n"));
        lines.chain(["crate0 v2.0.0 (proc-macro) (*)\n".to_owned()]).collect()
    }

    #[test]
    fn a_tree_of_fifteen_is_allowed_and_a_name_counts_once() {
        let verdict = check(&tree(15));
        assert_eq!(verdict.measured, "15 crates in the core's tree, at most 15");
        assert!(verdict.violations.is_empty());
    }

    #[test]
    fn a_tree_of_sixteen_is_reported_with_its_names() {
        let violations = check(&tree(16)).violations;
        assert_eq!(violations.len(), 1);
        assert!(violations[0].what.contains("crate15"));
    }
}
