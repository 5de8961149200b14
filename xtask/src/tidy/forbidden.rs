//! Words that have no place in the code.

use super::source::{Source, words};
use super::{Verdict, Violation};

struct Word {
    /// What stands in the code, between word boundaries.
    text: &'static str,
    in_tests_only: bool,
    remedy: &'static str,
}

const NOT_YET: &str = "write it, or leave it away until it is written";
const RELAXED: &str = "mend what the lint found, or use #[expect(..., reason = \"...\")]";
const SLEEPS: &str = "wait for the event with a deadline, or advance virtual time";

const WORDS: &[Word] = &[
    Word { text: "#[ignore", in_tests_only: false, remedy: "make the test run, or remove it" },
    Word { text: "todo!", in_tests_only: false, remedy: NOT_YET },
    Word { text: "unimplemented!", in_tests_only: false, remedy: NOT_YET },
    Word { text: "#[allow(", in_tests_only: false, remedy: RELAXED },
    Word { text: "#![allow(", in_tests_only: false, remedy: RELAXED },
    Word { text: "thread::sleep", in_tests_only: true, remedy: SLEEPS },
    Word { text: "time::sleep", in_tests_only: true, remedy: SLEEPS },
    Word { text: "time::sleep_until", in_tests_only: true, remedy: SLEEPS },
];

pub(super) fn check(sources: &[Source]) -> Verdict {
    let mut violations = Vec::new();
    for source in sources {
        for (number, line) in source.numbered() {
            let is_test = source.tests(line);
            let found = WORDS
                .iter()
                .filter(|word| is_test || !word.in_tests_only)
                .filter(|word| words(&line.code, word.text).next().is_some());
            violations.extend(found.map(|word| {
                let what = format!("`{}` is not used here", word.text);
                Violation::at(&source.path, number, what, word.remedy)
            }));
            if is_test && calls_imported_sleep(&line.code) {
                violations.push(Violation::at(&source.path, number, "a test sleeps", SLEEPS));
            }
        }
    }
    Verdict { measured: format!("{} files", sources.len()), violations }
}

/// `sleep(..)` by itself: no method, no definition, and no path, which is looked for above.
fn calls_imported_sleep(code: &str) -> bool {
    words(code, "sleep(").any(|offset| {
        let before = &code[..offset];
        !before.ends_with(['.', ':']) && !before.ends_with("fn ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<usize> {
        let violations = check(&[Source::parse(path, text)]).violations;
        violations.into_iter().filter_map(|violation| violation.line).collect()
    }

    #[test]
    fn every_forbidden_word_is_reported() {
        let text = "\
#![allow(dead_code)]
#[allow(unused)]
fn f() { todo!() }
fn g() { unimplemented!(\"later\") }
#[ignore = \"slow\"]
#[ignore]
";
        assert_eq!(found("driver/src/task.rs", text), [1, 2, 3, 4, 5, 6]);
    }

    #[test]
    fn a_test_that_sleeps_is_reported() {
        let text = "std::thread::sleep(d);\ntokio::time::sleep(d).await;\nsleep(d).await;\n";
        assert_eq!(found("tests/tests/replay.rs", text), [1, 2, 3]);
        let inner = format!("#[cfg(test)]\nmod tests {{\n{text}}}\n");
        assert_eq!(found("driver/src/task.rs", &inner), [3, 4, 5]);
    }

    #[test]
    fn a_clock_that_is_slept_on_outside_tests_passes() {
        assert_eq!(found("driver/src/clock.rs", "tokio::time::sleep(d).await;\n"), [0; 0]);
    }

    #[test]
    fn a_clock_of_the_test_s_own_may_have_a_sleep() {
        let text = "async fn sleep(&self) {}\nclock.sleep(d).await;\n";
        assert_eq!(found("tests/src/lib.rs", text), [0; 0]);
    }

    #[test]
    fn a_comment_or_a_literal_is_not_code() {
        let text = "// todo!()\nlet x = \"#[allow(\";\n/// `#[ignore]`\n";
        assert_eq!(found("driver/src/task.rs", text), [0; 0]);
    }
}
