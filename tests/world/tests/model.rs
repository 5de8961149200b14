//! The model check of small worlds: every schedule of two or three real machines, each run to its
//! end. `regrant-model --bound large` searches larger ones.

use regrant_world::model::Schedule::{self, *};
use regrant_world::model::{Bound, Found, Run, SMALL, Visited, check, table};

/// The runs that come upon the schedules that once broke a rule.
const SCHEDULES: [(Schedule, &str); 16] = [
    (ProbationIsNoDeadEnd, "logout_and_login"),
    (OneBadApiIsNoStorm, "ahead_of_need"),
    (AMarkEnds, "bad_api"),
    (TwoLostRequestsAreNoEnd, "lost_answers_in_a_grace"),
    (LogoutIsNotUndone, "logout_and_login"),
    (ARefusalDoesNotBlockTheGrant, "late_messages"),
    (AStoppedHolderCostsNoLogin, "stopped_holder"),
    (AResumedHolderSendsNothingOld, "stopped_holder"),
    (ARaisedIntentIsNotTakenOverAtOnce, "stopped_holder_is_passed"),
    (AnExpiredRowIsNotADeath, "row_of_a_stopped_owner"),
    (AReplayWaitsWhereItKills, "crash_and_late_message_where_a_replay_kills"),
    (ALoserRevokesNothingThatIsStored, "row_of_a_stopped_owner_in_a_grace"),
    (ARestoredBackupIsSeen, "backup"),
    (AnOutageDoesNotSpread, "outage_and_two_apis"),
    (AnUnknownSaveIsReadBack, "saves_fail"),
    (ATrustedSaveOverwritesNothing, "row_of_a_stopped_owner"),
];

#[test]
fn whatever_the_schedule_the_rules_hold_and_nothing_is_left_unvisited() {
    let visited = Visited::default();
    for run in SMALL {
        let found = check(run, Bound::SMALL);
        eprintln!("{}: {} states, depth {}", run.name, found.unique, found.depth);
        shows_what_it_is_for(run, &found);
        visited.add(&found.visited);
    }
    let rows = visited.missing_rows();
    assert!(rows.is_empty(), "rows of the table of edges that no run visits: {rows:#?}");
    let schedules = visited.missing_schedules();
    assert!(schedules.is_empty(), "schedules that no run comes upon: {schedules:?}");
}

fn shows_what_it_is_for(run: &Run, found: &Found) {
    let name = run.name;
    let broken: Vec<&str> =
        found.broken.iter().flat_map(|(_, path)| path.iter().map(String::as_str)).collect();
    assert!(broken.is_empty(), "{name}:\n{}", broken.join("\n"));
    assert!(found.complete, "{name}: states are left");
    let idle = found.visited.never_taken(&run.chances);
    assert!(idle.is_empty(), "{name}: may happen, and never does: {idle:?}");
    let mut missed =
        SCHEDULES.iter().filter(|(at, by)| *by == name && !found.visited.came_upon(*at));
    assert_eq!(missed.next(), None, "a schedule that a run no longer comes upon");
}

#[test]
fn each_schedule_is_a_test_step_by_step_too() {
    let tests = include_str!("traces.rs");
    for schedule in Schedule::ALL {
        let name = schedule.as_str();
        assert!(tests.contains(&format!("\nfn {name}() {{\n")), "no test is named {name}");
    }
}

#[test]
fn the_runs_are_documented_as_they_are() {
    let written = include_str!("../src/model/runs.md");
    let advice = "`regrant-model --table` prints what belongs in src/model/runs.md";
    assert_eq!(written, table(), "{advice}");
}
