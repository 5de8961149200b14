//! Many processes, one credential.

use regrant_sandbox::{ApiConfig, Config, HoldPoint};
use serde_json::json;

use crate::support::*;

on_every_store! {
    #[cfg(target_os = "linux")]
    cx_05_e_where_locks_are_refused_one_process_works_and_says_so,
    of_twenty_four_cold_processes_one_refreshes,
    eight_processes_share_a_rotating_token_that_the_server_ends_three_times,
    a_login_in_another_process_is_adopted_without_a_token_request,
    cx_04_dead_or_overrun_lock,
    a_command_that_ends_has_saved_what_it_got,
}

fn of_twenty_four_cold_processes_one_refreshes(kind: Kind) {
    let user = User::logged_in_on(kind, Config::default());
    user.sandbox.expire_access_tokens();
    let children: Vec<_> = (0..24).map(|_| user.start(["call", user.api()])).collect();
    for child in children {
        finished(child).exits(0);
    }
    let stats = user.stats();
    assert_eq!((stats.token_requests, stats.reuse_detected), (1, 0));
}

fn eight_processes_share_a_rotating_token_that_the_server_ends_three_times(kind: Kind) {
    // Calls that take a moment are still under way when the token ends.
    let api = ApiConfig { latency_ms: 10, ..ApiConfig::default() };
    let user = User::logged_in_on(kind, Config { apis: vec![api], ..Config::default() });
    let call = ["call", user.api(), "--repeat", "20", "--json"];
    let children: Vec<_> = (0..8).map(|_| user.start(call)).collect();
    for accepted in [20, 60, 100] {
        wait(user.sandbox.wait_for(|stats| stats.api("api").accepted >= accepted)).unwrap();
        user.sandbox.expire_access_tokens();
    }
    let mut refreshes = 0;
    for child in children {
        let summary = finished(child).exits(0).json();
        assert_eq!(summary["responses"], json!({ "200": 20 }), "{summary}");
        assert_eq!(summary["failed"], 0);
        refreshes += summary["refreshes"].as_u64().unwrap();
    }
    // Finds the last expiry if all calls were over by then.
    user.call().exits(0);
    let stats = user.stats();
    assert_eq!((stats.token_requests, stats.reuse_detected, stats.live_families), (3, 0, 1));
    assert!(refreshes <= 3, "{refreshes}");
    assert_eq!(user.status()["generation"], 4);
}

fn a_login_in_another_process_is_adopted_without_a_token_request(kind: Kind) {
    let api = ApiConfig { latency_ms: 5, ..ApiConfig::default() };
    let user = User::logged_in_on(kind, Config { apis: vec![api], ..Config::default() });
    let long = user.start(["call", user.api(), "--repeat", "400", "--json"]);
    wait(user.sandbox.wait_for(|stats| stats.api("api").accepted >= 5)).unwrap();
    user.import().exits(0);
    user.sandbox.expire_access_tokens();
    user.import().exits(0);
    let summary = finished(long).exits(0).json();
    assert_eq!(summary["responses"], json!({ "200": 400 }), "{summary}");
    assert!(summary["adopted"].as_u64().unwrap() >= 1, "{summary}");
}

/// A process that is killed in mid-refresh is succeeded by the next call, and nobody has to remove
/// a lock by hand.
fn cx_04_dead_or_overrun_lock(kind: Kind) {
    let grace = Some(regrant_sandbox::Grace { ms: 30_000, kind: Default::default() });
    for point in [HoldPoint::BeforeCommit, HoldPoint::AfterCommit] {
        let user = User::logged_in_on(kind, Config { grace, ..Config::default() });
        user.sandbox.expire_access_tokens();
        user.sandbox.hold(point);
        let mut child = user.start(["call", user.api()]);
        wait(user.sandbox.wait_until_held()).unwrap();
        assert_eq!(user.status()["state"], "Refreshing");
        child.kill().unwrap();
        child.wait().unwrap();
        user.sandbox.release_held();
        user.call().exits(0);
        let stats = user.stats();
        assert_eq!((stats.reuse_detected, stats.live_families), (0, 1), "{point:?}");
        // One of the dead process, one of its successor.
        assert_eq!(stats.token_requests, 2, "{point:?}");
        user.call().exits(0);
        assert_eq!(user.stats().token_requests, 2, "{point:?}");
    }
}

fn a_command_that_ends_has_saved_what_it_got(kind: Kind) {
    let user = User::logged_in_on(kind, Config::default());
    for generation in 2..5 {
        user.sandbox.expire_access_tokens();
        user.call().exits(0);
        let status = user.status();
        assert_eq!(
            (&status["generation"], &status["state"]),
            (&json!(generation), &json!("Valid"))
        );
    }
}

/// As file systems without locks answer.
#[cfg(target_os = "linux")]
fn cx_05_e_where_locks_are_refused_one_process_works_and_says_so(kind: Kind) {
    if !has_parts("a place without locks", &[STRACE]) {
        return;
    }
    for error in ["ENOLCK", "ENOSYS", "EOPNOTSUPP", "EBADF"] {
        let user = User::logged_in_on(kind, Config::default());
        let injected = format!("inject=flock:error={error}");
        for refreshes in 1..=2 {
            user.sandbox.expire_access_tokens();
            let ran = under_strace(&user, &["trace=flock", &injected], &["call", user.api()]);
            let ran = ran.exits(0);
            assert_eq!(ran.err.matches("knows no locks").count(), 1, "{error}: {ran:?}");
            assert_eq!(user.stats().token_requests, refreshes, "{error}");
        }
        assert_eq!(user.stats().reuse_detected, 0);
    }
}
