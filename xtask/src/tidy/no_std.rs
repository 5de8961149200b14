//! The core is `no_std`, and so is all that it brings.

use super::source::{Source, words};
use super::{Verdict, Violation};
use crate::workspace::Workspace;

const LIB: &str = "core/src/lib.rs";

/// The core's own tree with the features of each crate. Resolved for this package alone, so that
/// what other packages switch on does not count; without proc-macro crates and what they bring,
/// which run in the compiler and not in the program.
pub(super) fn read_features(workspace: &Workspace) -> anyhow::Result<String> {
    workspace.cargo_tree(&[
        "--package",
        "regrant-core",
        "--edges",
        "normal,no-proc-macro",
        "--target",
        "all",
        "--prefix",
        "none",
        "--no-dedupe",
        "--format",
        "{p}|{f}",
    ])
}

pub(super) fn check(sources: &[Source], features: &str) -> Verdict {
    let mut violations = with_std_feature(features);
    let crates = features.lines().count();
    let core = sources.iter().filter(|source| source.path.starts_with("core/src/"));
    let mut files = 0;
    for source in core {
        files += 1;
        violations.extend(extern_std(source));
        if source.path == LIB && !source.lines.iter().any(|line| line.code.trim() == "#![no_std]") {
            let remedy = "put it above the first module";
            violations.push(Violation::of(LIB, "no `#![no_std]`", remedy));
        }
    }
    Verdict {
        measured: format!("{files} files of the core, {crates} lines of its tree"),
        violations,
    }
}

fn extern_std(source: &Source) -> Vec<Violation> {
    let remedy = "use core and alloc; in tests put `#[cfg(test)]` above it";
    let found = source
        .shipped()
        .filter(|(_, line)| words(&line.code, "extern crate std").next().is_some())
        .map(|(number, _)| Violation::at(&source.path, number, "the core links std", remedy));
    found.collect()
}

/// Lines like `serde v1.0.0|alloc,derive`, perhaps with a ` (*)`.
fn with_std_feature(tree: &str) -> Vec<Violation> {
    let mut names = Vec::new();
    for line in tree.lines() {
        let (package, features) = line.split_once('|').unwrap_or((line, ""));
        let name = package.split_whitespace().next().unwrap_or_default();
        let features = features.trim_end_matches(" (*)");
        if features.split(',').any(|feature| feature == "std") && !names.contains(&name) {
            names.push(name);
        }
    }
    let remedy = "switch default features off, and name those that are wanted";
    let found = names.into_iter().map(|name| {
        let what = format!("the core's tree has `{name}` with its feature `std`");
        Violation::of("core/Cargo.toml", what, remedy)
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "regrant-core v0.1.0|\nserde v1.0.0|alloc,derive\nserde v1.0.0|alloc (*)\n";

    #[test]
    fn a_core_without_std_passes() {
        let text =
            "//! The core.\n#![no_std]\n#[cfg(test)]\nextern crate std;\nextern crate alloc;\n";
        assert!(check(&[Source::parse(LIB, text)], TREE).violations.is_empty());
    }

    #[test]
    fn a_missing_no_std_is_reported() {
        let lib = Source::parse(LIB, "// #![no_std]\n#![cfg_attr(not(test), no_std)]\n");
        let violations = check(&[lib], TREE).violations;
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].what, "no `#![no_std]`");
    }

    #[test]
    fn std_linked_outside_tests_is_reported() {
        let lib = Source::parse(LIB, "#![no_std]\nextern crate std;\n");
        let other = Source::parse("core/src/time.rs", "#[cfg(unix)]\nextern crate std as s;\n");
        let violations = check(&[lib, other], TREE).violations;
        let lines = violations.iter().map(|violation| violation.line).collect::<Vec<_>>();
        assert_eq!(lines, [Some(2), Some(2)]);
    }

    #[test]
    fn a_std_feature_in_the_tree_is_reported_once_a_crate() {
        let tree = "memchr v2.0.0|alloc,std\nmemchr v2.0.0|alloc,std (*)\nserde v1.0.0|std (*)\n";
        let violations = with_std_feature(tree);
        assert_eq!(violations.len(), 2);
        assert!(violations[0].what.contains("`memchr`"));
    }
}
