//! A long file says why it is long.

use super::source::Source;
use super::{Verdict, Violation};

/// Lines of code, above which a file is hard to hold in the head.
const MOST: usize = 500;

const REASON: &str = "long because";

pub(super) fn check(sources: &[Source]) -> Verdict {
    let mut longest = ("", 0);
    let mut violations = Vec::new();
    for source in sources {
        let lines = source.code_lines();
        if lines > longest.1 {
            longest = (&source.path, lines);
        }
        if lines > MOST && !explains_itself(source) {
            let what = format!("{lines} lines of code and no reason, at most {MOST} without one");
            let remedy = "split it, or give the reason in its `//!`: \"long because ...\"";
            violations.push(Violation::of(&source.path, what, remedy));
        }
    }
    let (path, lines) = longest;
    Verdict { measured: format!("the longest is {path} with {lines} lines of code"), violations }
}

fn explains_itself(source: &Source) -> bool {
    let mut docs = source.lines.iter().map(|line| line.raw.trim_start());
    docs.any(|line| line.starts_with("//!") && line.to_lowercase().contains(REASON))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(docs: &str, lines: usize) -> Source {
        Source::parse("driver/src/task.rs", &format!("{docs}\n{}", "a();\n".repeat(lines)))
    }

    #[test]
    fn a_long_file_without_a_reason_is_reported() {
        assert_eq!(check(&[file("//! The task.", 500)]).violations, []);
        let violations = check(&[file("//! The task.\n// long because", 501)]).violations;
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].file, "driver/src/task.rs");
    }

    #[test]
    fn a_long_file_with_a_reason_passes() {
        let docs = "//! The task.\n//!\n//! Long because its loop is one match over every input.";
        assert_eq!(check(&[file(docs, 501)]).violations, []);
    }
}
