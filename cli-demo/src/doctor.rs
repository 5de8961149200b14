//! What `doctor` finds: a check for each part, its outcome, and what to do.

pub(crate) mod credentials;
pub(crate) mod key;
pub(crate) mod lock;
pub(crate) mod network;
pub(crate) mod store;

use serde_json::{Value, json};

use crate::error::{Exit, Failure};

/// How a part does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Fine,
    /// It works, and something about it should be known.
    Warning,
    /// It does not work; this is what a command that needs it exits with.
    Failed(Exit),
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Warning => "warning",
            Self::Failed(_) => "failed",
        }
    }
}

/// One part, tried.
#[derive(Debug)]
pub(crate) struct Check {
    /// The part, and where there are several, which one.
    name: String,
    outcome: Outcome,
    what: String,
    remedy: Option<String>,
}

impl Check {
    pub(crate) fn fine(name: impl Into<String>, what: impl Into<String>) -> Self {
        Self { name: name.into(), outcome: Outcome::Fine, what: what.into(), remedy: None }
    }

    pub(crate) fn warning(
        name: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        let outcome = Outcome::Warning;
        Self { name: name.into(), outcome, what: what.into(), remedy: Some(remedy.into()) }
    }

    pub(crate) fn failed(name: impl Into<String>, failure: &Failure) -> Self {
        Self {
            name: name.into(),
            outcome: Outcome::Failed(failure.exit),
            what: format!("{} ({})", failure.what(), failure.reason()),
            remedy: Some(failure.what_to_do().to_owned()),
        }
    }
}

/// All that was tried, in the order in which the parts depend on each other.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Check>);

impl Findings {
    pub(crate) fn add(&mut self, checks: impl IntoIterator<Item = Check>) {
        self.0.extend(checks);
    }

    /// That of the first part that failed: the later ones may have failed for its sake.
    pub(crate) fn exit(&self) -> Exit {
        let failed = self.0.iter().find_map(|check| match check.outcome {
            Outcome::Failed(exit) => Some(exit),
            Outcome::Fine | Outcome::Warning => None,
        });
        failed.unwrap_or(Exit::Done)
    }

    pub(crate) fn to_json(&self) -> Value {
        let checks = self.0.iter().map(|check| {
            json!({
                "name": check.name,
                "outcome": check.outcome.as_str(),
                "what": check.what,
                "remedy": check.remedy,
            })
        });
        json!({ "checks": checks.collect::<Vec<_>>() })
    }

    pub(crate) fn to_prose(&self) -> String {
        let widest = self.0.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
        let mut lines = Vec::new();
        for Check { name, outcome, what, remedy } in &self.0 {
            lines.push(format!("{:<7}  {name:<widest$}  {what}", outcome.as_str()));
            if let Some(remedy) = remedy {
                lines.push(format!("{:<7}  {:<widest$}  what to do: {remedy}", "", ""));
            }
        }
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_gives_the_exit_code() {
        let mut findings = Findings::default();
        findings.add([Check::fine("a", "x"), Check::warning("b", "y", "z")]);
        assert_eq!(findings.exit(), Exit::Done);
        let network = Failure::network("away");
        findings.add([Check::failed("c", &network), Check::failed("d", &Failure::usage("u"))]);
        assert_eq!(findings.exit(), Exit::NotNow);
    }

    #[test]
    fn every_remedy_stands_below_what_it_is_for() {
        let mut findings = Findings::default();
        findings.add([Check::fine("store", "there"), Check::warning("clock", "off", "nothing")]);
        assert_eq!(
            findings.to_prose(),
            "ok       store  there\nwarning  clock  off\n                what to do: nothing"
        );
        assert_eq!(findings.to_json()["checks"][1]["outcome"], "warning");
    }
}
