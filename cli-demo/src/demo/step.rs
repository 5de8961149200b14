//! What a step of the demo came to: what was counted, and what should have been.

use serde_json::{Map, Value};

/// One step, as it went.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) counters: Map<String, Value>,
    /// What was not as it should be, in words.
    pub(super) wrong: Vec<String>,
}

impl Step {
    pub(super) fn new(name: &'static str) -> Self {
        Self { name, counters: Map::new(), wrong: Vec::new() }
    }

    /// Notes a number without judging it.
    pub(super) fn note(&mut self, name: &str, counted: impl Into<Value>) {
        self.counters.insert(name.to_owned(), counted.into());
    }

    /// Notes a number that must be this one.
    pub(super) fn expect(
        &mut self,
        name: &str,
        counted: impl Into<Value>,
        expected: impl Into<Value>,
    ) {
        let (counted, expected) = (counted.into(), expected.into());
        if counted != expected {
            self.wrong.push(format!("{name}: expected {expected}, it was {counted}"));
        }
        self.note(name, counted);
    }

    pub(super) fn ok(&self) -> bool {
        self.wrong.is_empty()
    }

    pub(super) fn json(&self) -> Value {
        serde_json::json!({ "name": self.name, "ok": self.ok(), "counters": self.counters })
    }
}
