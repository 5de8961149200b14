//! A `lib.rs` is documentation and the list of what is public.

use super::source::Source;
use super::{Verdict, Violation};

const REMEDY: &str = "move it to a module; lib.rs has docs, attributes, `mod` and `use`";

pub(super) fn check(sources: &[Source]) -> Verdict {
    let mut violations = Vec::new();
    let mut files = 0;
    for source in sources {
        // The tools of this workspace and the command have no public API.
        let room = source.path.strip_suffix("/src/lib.rs");
        if !room.is_some_and(|room| !room.contains('/') && !["xtask", "cli-demo"].contains(&room)) {
            continue;
        }
        files += 1;
        violations.extend(other_items(source));
    }
    Verdict { measured: format!("{files} files"), violations }
}

fn other_items(source: &Source) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    // `tests/src/lib.rs` is a lib.rs too, so only what is under `#[cfg(test)]` is skipped.
    let lines = source.numbered().filter(|(_, line)| source.is_test || !source.tests(line));
    for (number, line) in lines {
        let code = line.code.trim();
        if depth == 0 && !code.is_empty() && !is_listed(code) {
            let what = format!("`{}` is an item of its own", line.raw.trim());
            found.push(Violation::at(&source.path, number, what, REMEDY));
        }
        for c in code.chars() {
            match c {
                '(' | '[' | '{' => depth += 1,
                ')' | ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
    }
    found
}

fn is_listed(code: &str) -> bool {
    let item = after_attributes(code);
    let item = match item.strip_prefix("pub(") {
        Some(rest) => rest.split_once(')').map_or("", |(_, item)| item.trim_start()),
        None => item.strip_prefix("pub ").unwrap_or(item),
    };
    // A module with a body would be code.
    let is_module = item.starts_with("mod ") && !item.contains('{');
    item.is_empty() || is_module || item.starts_with("use ") || item.starts_with("extern crate ")
}

/// What follows the attributes at the start of a line; nothing if one goes on below.
fn after_attributes(code: &str) -> &str {
    let mut rest = code;
    while rest.starts_with("#[") || rest.starts_with("#![") {
        let mut depth = 0_usize;
        let end = rest.char_indices().find(|(_, c)| {
            match c {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => return false,
            }
            depth == 0
        });
        let Some((end, _)) = end else { return "" };
        rest = rest[end + 1..].trim_start();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<usize> {
        let violations = check(&[Source::parse(path, text)]).violations;
        violations.into_iter().filter_map(|violation| violation.line).collect()
    }

    #[test]
    fn docs_attributes_modules_and_uses_pass() {
        let text = "\
//! The crate.
#![no_std]
#![cfg_attr(
    docsrs,
    feature(doc_cfg)
)]
extern crate alloc;
#[cfg(feature = \"conformance\")]
pub mod conformance;
#[cfg(unix)] mod unix;
pub(crate) mod record;
pub use record::{
    Record,
    Slot,
};
use time as _;
#[cfg(doctest)]
#[doc = include_str!(\"../README.md\")]
struct Readme;
#[cfg(test)]
mod tests {
    fn f() {}
}
";
        assert_eq!(found("storage/src/lib.rs", text), [0; 0]);
    }

    #[test]
    fn every_other_item_is_reported() {
        let text = "pub fn f() {\n    g();\n}\nmod inner {\n}\nconst A: u8 = 1;\n#[derive(Debug)]\npub struct S;\nuse a::b;\n";
        assert_eq!(found("driver/src/lib.rs", text), [1, 4, 6, 8]);
        assert_eq!(found("tests/src/lib.rs", "fn f() {}\n"), [1]);
    }

    #[test]
    fn the_tools_and_other_files_are_left_alone() {
        assert_eq!(found("xtask/src/lib.rs", "fn f() {}\n"), [0; 0]);
        assert_eq!(found("driver/src/session.rs", "fn f() {}\n"), [0; 0]);
    }
}
