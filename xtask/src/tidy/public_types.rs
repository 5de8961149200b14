//! How many types a user of the core must know.

use super::source::{Source, line_of, words};
use super::{Verdict, Violation};

/// As many as fit on one page of the documentation, and two that only proofs see.
const MOST: usize = 64;

const LIB: &str = "core/src/lib.rs";

/// A name that a `pub use` brings out, and the path it came by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Export {
    pub(super) name: String,
    pub(super) path: String,
    line: usize,
}

pub(super) fn check(sources: &[Source]) -> Verdict {
    let mut types = Vec::new();
    let mut violations = Vec::new();
    if let Some(lib) = sources.iter().find(|source| source.path == LIB) {
        collect(lib, "core/src", sources, &mut types, &mut violations);
    }
    types.sort();
    types.dedup();
    let measured = format!("{} public types in the core, at most {MOST}", types.len());
    if types.len() > MOST {
        let what = format!("{measured}: {}", types.join(", "));
        let remedy = "keep what only the crates of this workspace need in one type, or private";
        violations.push(Violation::of(LIB, what, remedy));
    }
    Verdict { measured, violations }
}

fn collect(
    source: &Source,
    folder: &str,
    sources: &[Source],
    types: &mut Vec<String>,
    violations: &mut Vec<Violation>,
) {
    for export in exports(source) {
        if export.name == "*" {
            let what = format!("`pub use {}` hides what is public", export.path);
            let remedy = "name what is exported";
            violations.push(Violation::at(&source.path, export.line, what, remedy));
        } else if is_type(&export.name) {
            types.push(export.name);
        }
    }
    for (_, line) in source.shipped() {
        let Some(item) = line.code.trim_start().strip_prefix("pub ") else { continue };
        let mut tokens = item.split(|c: char| !c.is_alphanumeric() && c != '_');
        match (tokens.next(), tokens.next()) {
            (Some("struct" | "enum" | "trait" | "type"), Some(name)) => types.push(name.to_owned()),
            // What is in a public module is as public as what the root re-exports.
            (Some("mod"), Some(name)) => {
                let module = format!("{folder}/{name}");
                let files = [format!("{module}.rs"), format!("{module}/mod.rs")];
                for inner in sources.iter().filter(|inner| files.contains(&inner.path)) {
                    collect(inner, &module, sources, types, violations);
                }
            }
            _ => {}
        }
    }
}

/// Upper-case first, and not a constant.
fn is_type(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.contains(|c: char| c.is_lowercase())
}

/// Whether a path of a `use` starts in this module of the crate.
pub(super) fn is_of(path: &str, module: &str) -> bool {
    let path = path.trim_start_matches("crate::").trim_start_matches("self::");
    path.strip_prefix(module).is_some_and(|rest| rest.starts_with("::"))
}

/// Every name that the `pub use` items of a file bring out; a glob as `*`.
pub(super) fn exports(source: &Source) -> Vec<Export> {
    let code = source.shipped_code();
    let mut found = Vec::new();
    for offset in words(&code, "pub use ") {
        let item = &code[offset + "pub use ".len()..];
        let item = item.split(';').next().unwrap_or_default();
        leaves("", item, line_of(&code, offset), &mut found);
    }
    found
}

/// Takes the tree of one `use` apart.
fn leaves(prefix: &str, tree: &str, line: usize, found: &mut Vec<Export>) {
    let tree = tree.trim();
    if let Some((path, list)) = tree.split_once('{') {
        let list = list.trim_end().strip_suffix('}').unwrap_or(list);
        let prefix = format!("{prefix}{}", path.trim());
        for branch in branches(list) {
            leaves(&prefix, branch, line, found);
        }
    } else if !tree.is_empty() {
        let last = tree.rsplit("::").next().unwrap_or(tree);
        let name = last.split_whitespace().last().unwrap_or(last);
        let path = format!("{prefix}{tree}");
        found.push(Export { name: name.to_owned(), path, line });
    }
}

/// The parts of a braced list, split at the commas that are not in an inner one.
fn branches(list: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    list.split(|c: char| {
        match c {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_lists_nested_lists_and_single_lines() {
        let text = "\
pub use time::Timestamp;
pub use machine::{
    edges, Edge,
    view::{View, Use as Access},
};
pub(crate) use secret::Wiped;
#[cfg(test)]
pub use tests::Pair;
";
        let names = exports(&Source::parse(LIB, text));
        let names = names.iter().map(|export| export.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names, ["Timestamp", "edges", "Edge", "View", "Access"]);
    }

    #[test]
    fn types_are_counted_and_functions_and_constants_are_not() {
        let lib = Source::parse(LIB, "pub use a::{B1x, edges, MOST, Cat};\npub struct Dog;\n");
        assert_eq!(check(&[lib]).measured, format!("3 public types in the core, at most {MOST}"));
    }

    #[test]
    fn what_a_public_module_declares_counts_too() {
        let lib = Source::parse(LIB, "pub mod protocol;\nmod machine;\n");
        let inner =
            Source::parse("core/src/protocol.rs", "pub use grant::Grant;\npub enum Kind {}\n");
        let hidden = Source::parse("core/src/machine.rs", "pub struct Hidden;\n");
        assert_eq!(
            check(&[lib, inner, hidden]).measured,
            format!("2 public types in the core, at most {MOST}")
        );
    }

    #[test]
    fn one_type_too_many_is_reported() {
        let list = |count: usize| {
            let names = (0..count).map(|index| format!("Type{index}, ")).collect::<String>();
            Source::parse(LIB, &format!("pub use machine::{{{names}}};\n"))
        };
        assert_eq!(check(&[list(MOST)]).violations, []);
        let violations = check(&[list(MOST + 1)]).violations;
        assert_eq!(violations.len(), 1);
        assert!(violations[0].what.contains(&format!("Type{MOST}")));
    }

    #[test]
    fn a_glob_is_reported() {
        let violations = check(&[Source::parse(LIB, "\npub use machine::*;\n")]).violations;
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].line, Some(2));
    }

    #[test]
    fn a_path_belongs_to_the_module_it_starts_in() {
        assert!(is_of("protocol::Grant", "protocol"));
        assert!(is_of("crate::protocol::Grant", "protocol"));
        assert!(!is_of("protocols::Grant", "protocol"));
    }
}
