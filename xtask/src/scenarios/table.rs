//! What became of the tests, row by row.

use super::listed::Listed;
use super::named::Test;

/// What became of a test. Of the tests of a row the last of these counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    Passed,
    /// It said that a part it needs is missing.
    LeftOut,
    /// It is there, and the harness did not run it.
    NotRun,
    Failed,
}

impl Outcome {
    /// Reads it from how a process ended that was to run one test, and from all that it said.
    pub(super) fn read(has_succeeded: bool, out: &str, err: &str) -> Self {
        let said = |what: &str| out.lines().chain(err.lines()).any(|line| line.contains(what));
        // A test says so at the beginning of a line, or after the harness has said its name.
        let is_left_out = said("left out: ");
        match (has_succeeded, said("test result: ok. 1 passed")) {
            (false, _) => Self::Failed,
            (true, false) => Self::NotRun,
            (true, true) if is_left_out => Self::LeftOut,
            (true, true) => Self::Passed,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::LeftOut => "left out",
            Self::NotRun => "not run",
            Self::Failed => "FAILED",
        }
    }
}

/// The rows of the list, each with its tests.
pub(super) struct Table {
    rows: Vec<(String, Vec<(String, Outcome)>)>,
    /// Tests named by an id that no row has.
    unlisted: Vec<String>,
}

impl Table {
    pub(super) fn new(listed: &Listed) -> Self {
        let rows = listed.keys().map(|key| (key.to_owned(), Vec::new())).collect();
        Self { rows, unlisted: Vec::new() }
    }

    pub(super) fn add(&mut self, test: &Test, outcome: Outcome) {
        match self.rows.iter_mut().find(|(row, _)| test.is_listed && *row == test.row) {
            Some((_, tests)) => {
                tests.push((test.to_string(), outcome));
                tests.sort();
            }
            None => self.unlisted.push(test.to_string()),
        }
    }

    /// A line for each test, after the row it is for, and a sum below.
    pub(super) fn text(&self) -> String {
        let widest = self.rows.iter().map(|(row, _)| row.len()).max().unwrap_or(0);
        let mut out = String::new();
        for (row, tests) in &self.rows {
            if tests.is_empty() {
                out.push_str(&format!("{row:widest$}  NO TEST\n"));
            }
            for (index, (test, outcome)) in tests.iter().enumerate() {
                let row = if index == 0 { row } else { "" };
                out.push_str(&format!("{row:widest$}  {:8}  {test}\n", outcome.word()));
            }
        }
        let tests: usize = self.rows.iter().map(|(_, tests)| tests.len()).sum();
        out.push_str(&format!("\n{} rows, {tests} tests", self.rows.len()));
        for outcome in [Outcome::Passed, Outcome::LeftOut, Outcome::NotRun, Outcome::Failed] {
            out.push_str(&format!("; {} {}", self.count(outcome), outcome.word()));
        }
        out.push_str(&format!("; {} without a test\n", self.count_empty()));
        out
    }

    /// How many rows are so: by the worst of their tests.
    fn count(&self, wanted: Outcome) -> usize {
        let worst = self.rows.iter().filter_map(|(_, tests)| tests.iter().map(|(_, o)| *o).max());
        worst.filter(|outcome| *outcome == wanted).count()
    }

    fn count_empty(&self) -> usize {
        self.rows.iter().filter(|(_, tests)| tests.is_empty()).count()
    }

    /// All that keeps the list from being proven, one line each.
    pub(super) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (row, tests) in &self.rows {
            if tests.is_empty() {
                wrong.push(format!("{row} has no test"));
            }
            let broken = tests.iter().filter(|(_, outcome)| *outcome >= Outcome::NotRun);
            wrong.extend(broken.map(|(test, outcome)| format!("{row}: {} {test}", outcome.word())));
        }
        wrong.extend(self.unlisted.iter().map(|test| format!("no row has the id of {test}")));
        wrong
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_read_from_what_was_said() {
        let ok = "test a::b ... ok\ntest result: ok. 1 passed; 0 failed";
        assert_eq!(Outcome::read(true, ok, ""), Outcome::Passed);
        assert_eq!(Outcome::read(true, ok, "left out: no strace\n"), Outcome::LeftOut);
        let none = "test result: ok. 0 passed; 0 failed; 1 ignored";
        assert_eq!(Outcome::read(true, none, ""), Outcome::NotRun);
        assert_eq!(Outcome::read(false, ok, "left out: no strace\n"), Outcome::Failed);
    }

    fn table(outcomes: &[(&str, Outcome)]) -> Table {
        let listed = Listed::rows("| SA-01 |\n| SA-02 |\n| `a_mark_ends` |\n");
        let mut table = Table::new(&listed);
        for (name, outcome) in outcomes {
            table.add(&Test::new("p", "t", name, &listed).unwrap(), *outcome);
        }
        table
    }

    #[test]
    fn a_row_is_what_the_worst_of_its_tests_is() {
        let whole = [
            ("sa_01_one", Outcome::Passed),
            ("x::sa_01_b_two", Outcome::LeftOut),
            ("sa_02_three", Outcome::Passed),
            ("a_mark_ends", Outcome::Passed),
        ];
        let whole = table(&whole);
        assert_eq!(whole.wrong(), [] as [&str; 0]);
        let text = whole.text();
        assert!(text.contains("SA-01        passed    p t sa_01_one\n"), "{text}");
        assert!(text.contains("             left out  p t x::sa_01_b_two\n"), "{text}");
        let sum = "3 rows, 4 tests; 2 passed; 1 left out; 0 not run; 0 FAILED; 0 without a test";
        assert!(text.contains(sum), "{text}");
    }

    #[test]
    fn what_has_no_test_failed_was_not_run_or_is_not_listed_is_wrong() {
        let wrong = table(&[
            ("sa_01_one", Outcome::Failed),
            ("sa_01_b_two", Outcome::NotRun),
            ("a_mark_ends", Outcome::Passed),
            ("sa_03_three", Outcome::Passed),
        ]);
        let expected = [
            "SA-01: FAILED p t sa_01_one",
            "SA-01: not run p t sa_01_b_two",
            "SA-02 has no test",
            "no row has the id of p t sa_03_three",
        ];
        let mut found = wrong.wrong();
        found.sort();
        let mut expected = expected.map(str::to_owned);
        expected.sort();
        assert_eq!(found, expected);
        assert!(wrong.text().contains("SA-02        NO TEST"), "{}", wrong.text());
    }
}
