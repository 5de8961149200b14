//! The two halves of the core do not know each other, and each stays small.

use super::public_types::{exports, is_of};
use super::source::{Source, line_of, words};
use super::tree::is_of_module;
use super::{Verdict, Violation};

struct Half {
    name: &'static str,
    /// Lines of code.
    most: usize,
}

/// The sizes are those of `docs/decisions/0010-what-the-proofs-changed.md`: a half that grows past
/// its own has taken on something that belongs elsewhere.
const HALVES: [Half; 2] =
    [Half { name: "machine", most: 3_450 }, Half { name: "protocol", most: 2_000 }];

pub(super) fn check(sources: &[Source]) -> Verdict {
    let mut violations = Vec::new();
    let mut measured = Vec::new();
    let [machine, protocol] = &HALVES;
    for (half, other) in [(machine, protocol), (protocol, machine)] {
        let module = format!("core/src/{}", half.name);
        let files =
            sources.iter().filter(|source| is_of_module(&source.path, &module)).collect::<Vec<_>>();
        if files.is_empty() {
            let remedy = "tell xtask/src/tidy/halves.rs where this half of the core is now";
            violations.push(Violation::of(&module, "there are no files", remedy));
        }
        // What the feature `model` adds for proofs is no part of what ships.
        let proves = |source: &&&Source| {
            source.path.split('/').any(|part| matches!(part, "model" | "model.rs"))
        };
        let shipped = files.iter().filter(|source| !source.is_test).filter(|s| !proves(s));
        let lines = shipped.map(|source| source.code_lines()).sum::<usize>();
        measured.push(format!("{} {lines} lines of at most {}", half.name, half.most));
        if lines > half.most {
            let what = format!("{lines} lines of code, at most {}", half.most);
            let remedy = "move what the other crates can do, or make it shorter";
            violations.push(Violation::of(&module, what, remedy));
        }
        let foreign = exported_by(sources, other.name);
        for source in files {
            violations.extend(mentions(source, other.name, &foreign));
        }
    }
    Verdict { measured: measured.join(", "), violations }
}

/// The names that the core's root re-exports from one half.
fn exported_by(sources: &[Source], half: &str) -> Vec<String> {
    let lib = sources.iter().filter(|source| source.path == "core/src/lib.rs");
    let leaves = lib.flat_map(exports).filter(|export| is_of(&export.path, half));
    leaves.map(|export| export.name).collect()
}

/// Where a file reaches into the other half: by its module, or by a name that the root re-exports
/// from it.
fn mentions(source: &Source, other: &str, foreign: &[String]) -> Vec<Violation> {
    let remedy = "take what both halves need into a module beside them";
    let code = source.code();
    let mut found = Vec::new();
    for prefix in ["crate::", "super::"] {
        for offset in words(&code, prefix) {
            for (at, segment) in first_segments(&code, offset + prefix.len()) {
                let what = if segment == other {
                    format!("this half mentions `{prefix}{other}`")
                } else if prefix == "crate::" && foreign.iter().any(|name| name == segment) {
                    format!("this half uses `crate::{segment}`, which is of `{other}`")
                } else {
                    continue;
                };
                found.push(Violation::at(&source.path, line_of(&code, at), what, remedy));
            }
        }
    }
    found
}

/// The words that follow `crate::`: one, or the first of each path in a braced list.
fn first_segments(code: &str, start: usize) -> Vec<(usize, &str)> {
    let word = |at: usize| {
        let rest = &code[at..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        (at, &rest[..end])
    };
    if !code[start..].starts_with('{') {
        return vec![word(start)];
    }
    let mut found = Vec::new();
    let mut depth = 0_usize;
    let mut expected = true;
    for (index, c) in code[start..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => break,
            '}' => depth -= 1,
            ',' => expected = depth == 1,
            c if expected && !c.is_whitespace() => {
                found.push(word(start + index));
                expected = false;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(machine: &str, protocol: &str) -> Vec<Source> {
        vec![
            Source::parse("core/src/lib.rs", "mod machine;\npub use protocol::{Grant, Refusal};\n"),
            Source::parse("core/src/machine/job.rs", machine),
            Source::parse("core/src/protocol.rs", protocol),
        ]
    }

    #[test]
    fn halves_that_use_what_lies_beside_them_pass() {
        let machine =
            "//! Not `crate::protocol`.\nuse crate::record::Record;\nuse crate::Origin;\n";
        let verdict = check(&files(machine, "use crate::time::{Timestamp, machine};\n"));
        assert_eq!(verdict.violations, []);
        assert_eq!(
            verdict.measured,
            format!(
                "machine 2 lines of at most {}, protocol 1 lines of at most {}",
                HALVES[0].most, HALVES[1].most
            )
        );
    }

    #[test]
    fn a_half_that_reaches_into_the_other_is_reported() {
        let machine = "\
use crate::protocol::Grant;
use crate::{
    record::Record,
    protocol::{self, Refusal},
};
use super::super::{Origin, protocol::Grant};
use crate::Refusal;
";
        let violations = check(&files(machine, "use crate::machine;\n")).violations;
        let places = violations
            .iter()
            .map(|violation| (violation.file.as_str(), violation.line))
            .collect::<Vec<_>>();
        let job = "core/src/machine/job.rs";
        assert_eq!(
            places,
            [
                (job, Some(1)),
                (job, Some(4)),
                (job, Some(7)),
                (job, Some(6)),
                ("core/src/protocol.rs", Some(1))
            ]
        );
    }

    #[test]
    fn a_half_that_grew_too_long_is_reported_and_its_tests_do_not_count() {
        let most = HALVES[1].most;
        let long = "let x = 1;\n".repeat(most);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert_eq!(check(&files("\n", &format!("{long}{tests}"))).violations, []);
        let violations = check(&files("\n", &format!("{long}let y = 2;\n{tests}"))).violations;
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].what, format!("{} lines of code, at most {most}", most + 1));
    }

    #[test]
    fn a_half_that_is_not_there_is_reported() {
        let violations = check(&[Source::parse("core/src/machine.rs", "")]).violations;
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].file, "core/src/protocol");
    }
}
