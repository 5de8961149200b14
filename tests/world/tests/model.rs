//! The model check of small worlds: every schedule of two or three real machines, each run to its
//! end. `regrant-model --bound large` searches larger ones.

use regrant_world::model::{Bound, Rows, SMALL, check};

/// One state of eight goes on to the end of its requests; of a run of some thousand states, that
/// is enough to see each kind of them.
const BOUND: Bound = Bound { fair_every: 8, states: 2_000_000, threads: 2 };

#[test]
fn whatever_the_schedule_the_rules_hold() {
    let rows = Rows::default();
    for run in SMALL {
        let found = check(run, BOUND);
        let broken: Vec<String> =
            found.broken.iter().flat_map(|(_, path)| path.iter().cloned()).collect();
        assert!(broken.is_empty(), "{}:\n{}", run.name, broken.join("\n"));
        assert!(found.complete, "{}: states are left", run.name);
        eprintln!("{}: {} states, depth {}", run.name, found.unique, found.depth);
        rows.add(&found.rows);
    }
    eprintln!("{} rows of the table of edges visited", rows.count());
}
