//! What was measured, for people and for programs.

use serde_json::{Value, json};

use crate::rounds::Measured;

/// The rows, each with its floor before it.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    name: String,
    what: What,
    ratio: Option<f64>,
}

enum What {
    Time(Measured),
    Instructions(u64),
}

impl Table {
    /// A floor, and what is built on it.
    pub(crate) fn timed(
        &mut self,
        floor: &str,
        of_floor: Measured,
        name: &str,
        measured: Measured,
    ) {
        let ratio = measured.median_ns / of_floor.median_ns;
        self.rows.push(Row { name: floor.into(), what: What::Time(of_floor), ratio: None });
        self.rows.push(Row { name: name.into(), what: What::Time(measured), ratio: Some(ratio) });
    }

    /// Instructions for one step, beside those of what it cannot do without.
    pub(crate) fn counted(&mut self, name: &str, instructions: u64, floor: Option<u64>) {
        let ratio = floor.map(|floor| instructions as f64 / floor as f64);
        self.rows.push(Row { name: name.into(), what: What::Instructions(instructions), ratio });
    }

    pub(crate) fn text(&self) -> String {
        let mut out = format!("{:<58}{:>14}{:>12}{:>8}\n", "", "median", "slowest", "ratio");
        for row in &self.rows {
            let (median, slowest) = match &row.what {
                What::Time(time) => (micros(time.median_ns), micros(time.slowest_ns)),
                What::Instructions(count) => (format!("{count} instr"), String::new()),
            };
            let ratio = row.ratio.map_or_else(String::new, |ratio| format!("{ratio:.2}"));
            out.push_str(&format!("{:<58}{median:>14}{slowest:>12}{ratio:>8}\n", row.name));
        }
        out
    }

    pub(crate) fn json(&self) -> String {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|row| match &row.what {
                What::Time(time) => json!({
                    "name": row.name, "threads": 1, "ns": time.median_ns,
                    "slowest_ns": time.slowest_ns, "ratio": row.ratio,
                }),
                What::Instructions(count) => json!({
                    "name": row.name, "threads": 1, "instructions": count, "ratio": row.ratio,
                }),
            })
            .collect();
        format!("{}\n", json!({ "rows": rows }))
    }
}

fn micros(ns: f64) -> String {
    format!("{:.1} us", ns / 1_000.0)
}
