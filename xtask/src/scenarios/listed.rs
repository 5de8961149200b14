//! What the documentation lists: failures by their ids, schedules by their names.

use std::collections::BTreeSet;

use anyhow::bail;

/// As many failures of other programs were collected.
const FAILURES: usize = 70;

/// As many schedules broke earlier drafts of the rules.
const SCHEDULES: usize = 16;

/// The rows of the documentation, in their order.
#[derive(Debug)]
pub(super) struct Listed {
    /// `SA-01`.
    failures: Vec<String>,
    /// `probation_is_no_dead_end`.
    schedules: Vec<String>,
}

/// What a test is named by.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// A row of the list.
    Row(String),
    /// An id that no row has.
    Unlisted(String),
}

impl Listed {
    /// Reads the first cells of all tables: an id is that of a failure, a name between backticks
    /// that of a schedule.
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let listed = Self::rows(text);
        let rows: BTreeSet<_> = listed.keys().collect();
        if rows.len() != listed.keys().count() {
            bail!("a row stands there twice");
        }
        let (failures, schedules) = (listed.failures.len(), listed.schedules.len());
        if (failures, schedules) != (FAILURES, SCHEDULES) {
            bail!(
                "it lists {failures} failures and {schedules} schedules, and there are {FAILURES} \
                 and {SCHEDULES}"
            );
        }
        Ok(listed)
    }

    pub(super) fn rows(text: &str) -> Self {
        let (mut failures, mut schedules) = (Vec::new(), Vec::new());
        for line in text.lines() {
            let Some(cell) = line.strip_prefix('|').and_then(|rest| rest.split('|').next()) else {
                continue;
            };
            let cell = cell.trim();
            let name = cell.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
            if is_id(cell) {
                failures.push(cell.to_owned());
            } else if let Some(name) = name {
                schedules.push(name.to_owned());
            }
        }
        Self { failures, schedules }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.failures.iter().chain(&self.schedules).map(String::as_str)
    }

    /// What a function of this name is named by, if it is by anything of this kind.
    pub(super) fn key(&self, function: &str) -> Option<Key> {
        if self.schedules.iter().any(|schedule| schedule == function) {
            return Some(Key::Row(function.to_owned()));
        }
        let id = function.get(..5)?.replace('_', "-").to_ascii_uppercase();
        let is_named = is_id(&id)
            && function.as_bytes().get(5) == Some(&b'_')
            && !function.contains(char::is_uppercase);
        is_named.then(|| if self.failures.contains(&id) { Key::Row(id) } else { Key::Unlisted(id) })
    }
}

/// Two letters, a hyphen, two digits.
fn is_id(text: &str) -> bool {
    let [a, b, b'-', c, d] = text.as_bytes() else { return false };
    [a, b].iter().all(|letter| letter.is_ascii_uppercase())
        && [c, d].iter().all(|digit| digit.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# Title\n\
| id | what |\n\
|---|---|\n\
| SA-01 | one, see `not_a_schedule` and SA-09 |\n\
| CK-12 | two |\n\
| name | what |\n\
| `a_mark_ends` | three |\n\
SA-02 in prose is no row.\n";

    #[test]
    fn ids_and_names_are_read_from_the_first_cells() {
        let listed = Listed::rows(TEXT);
        assert_eq!(listed.keys().collect::<Vec<_>>(), ["SA-01", "CK-12", "a_mark_ends"]);
    }

    #[test]
    fn a_function_is_named_by_its_beginning_or_by_a_schedule_as_a_whole() {
        let listed = Listed::rows(TEXT);
        let row = |key: &str| Some(Key::Row(key.to_owned()));
        assert_eq!(listed.key("sa_01_401_before_local_expiry"), row("SA-01"));
        assert_eq!(listed.key("ck_12_b_also_this"), row("CK-12"));
        assert_eq!(listed.key("sa_02_is_not_listed"), Some(Key::Unlisted("SA-02".to_owned())));
        assert_eq!(listed.key("a_mark_ends"), row("a_mark_ends"));
        for other in ["a_mark_ends_late", "sa_01", "sa_1_x", "sat_01_x", "SA_01_x", "ä_01_x", ""] {
            assert_eq!(listed.key(other), None, "{other}");
        }
    }

    #[test]
    fn a_list_that_lacks_a_row_or_has_one_twice_is_refused() {
        let error = Listed::read(TEXT).unwrap_err().to_string();
        assert!(error.contains("2 failures and 1 schedules"), "{error}");
        let twice = Listed::read(&format!("{TEXT}| SA-01 | again |\n")).unwrap_err().to_string();
        assert!(twice.contains("twice"), "{twice}");
    }

    #[test]
    fn the_documentation_has_every_row() {
        Listed::read(include_str!("../../../docs/scenarios.md")).unwrap();
    }
}
