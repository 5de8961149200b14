//! The server says "expired": the caller never notices.

use regrant_sandbox::{ApiConfig, Config, Rejection};
use serde_json::json;

use crate::support::*;

fn rejecting(rejection: Rejection) -> Config {
    Config { apis: vec![ApiConfig::named("api").rejection(rejection)], ..Config::default() }
}

#[test]
fn a_token_rejected_an_hour_early_costs_one_token_request_and_two_api_requests() {
    let user = User::logged_in(Config::default());
    user.sandbox.expire_access_tokens();
    let ran = user.call().exits(0);
    assert!(ran.out.contains("\"ok\":true"), "{ran:?}");
    assert_eq!(ran.err, "");
    assert_eq!(user.requests(), (1, 2));
    let status = user.status();
    assert_eq!((&status["state"], &status["generation"]), (&json!("Valid"), &json!(2)));
}

#[test]
fn a_bare_401_is_a_rejection_too() {
    let bare = [Rejection::NoChallenge, Rejection::RealmOnly, Rejection::JsonBodyOnly];
    for rejection in bare {
        let user = User::logged_in(rejecting(rejection.clone()));
        user.sandbox.expire_access_tokens();
        user.call().exits(0);
        assert_eq!(user.requests(), (1, 2), "{rejection:?}");
    }
}

#[test]
fn a_clock_of_the_server_that_is_hours_off_costs_one_refresh_for_each_expiry() {
    for hours in [2, -2] {
        let offset = hours * 3_600_000;
        let user = User::logged_in(Config { clock_offset_ms: offset, ..Config::default() });
        for expiries in 1..=2 {
            user.sandbox.expire_access_tokens();
            let ran = user.run(["call", user.api(), "--repeat", "25", "--json"]).exits(0);
            assert_eq!(ran.json()["responses"], json!({ "200": 25 }));
            assert_eq!(user.requests(), (expiries, expiries * 26), "{hours} h");
        }
    }
}

#[test]
fn sixty_four_calls_at_once_share_one_refresh() {
    let user = User::logged_in(Config::default());
    user.sandbox.expire_access_tokens();
    let many = ["call", user.api(), "--repeat", "64", "--concurrency", "64", "--json"];
    let summary = user.run(many).exits(0).json();
    assert_eq!(summary["responses"], json!({ "200": 64 }));
    assert_eq!((&summary["failed"], &summary["refreshes"]), (&json!(0), &json!(1)));
    assert_eq!(user.stats().token_requests, 1);
}

#[test]
fn a_token_that_is_rejected_although_it_is_fresh_ends_with_5_and_then_without_a_request() {
    let user = User::logged_in(Config::default());
    user.sandbox.reject_all("api", true);
    let ran = user.call().exits(5);
    assert!(ran.out.contains("invalid_token"), "the API's own answer is printed: {ran:?}");
    assert!(ran.err.contains("audience"), "{ran:?}");
    assert_eq!(user.requests(), (1, 2));
    for _ in 0..3 {
        let error = user.run(["call", user.api(), "--json"]).exits(5).error();
        assert_eq!(error["code"], "still_rejected");
        assert!(error["retry_at"].is_string(), "{error}");
    }
    assert_eq!(user.requests(), (1, 2));
    assert_eq!(user.status()["rejected_by"][0]["origin"], user.api());
}

#[test]
fn an_api_that_rejects_everything_leaves_the_other_one_alone() {
    let apis = vec![ApiConfig::named("api"), ApiConfig::named("other")];
    let user = User::logged_in(Config { apis, ..Config::default() });
    user.run(["allow", user.sandbox.api_url("other")]).exits(0);
    user.sandbox.reject_all("other", true);
    for _ in 0..5 {
        user.run(["call", user.sandbox.api_url("other")]).exits(5);
        user.call().exits(0);
    }
    assert_eq!(user.stats().token_requests, 1);
}

#[test]
fn a_request_that_must_not_be_replayed_gets_its_own_answer() {
    let user = User::logged_in(Config::default());
    user.sandbox.expire_access_tokens();
    let once = ["call", user.api(), "--no-replay", "-d", "x"];
    let ran = user.run(once).exits(0);
    assert!(ran.out.contains("invalid_token"), "{ran:?}");
    assert_eq!(user.requests(), (1, 1));
    user.run(once).exits(0);
    assert_eq!(user.requests(), (1, 2));

    user.sandbox.expire_access_tokens();
    let ran = user.run(["call", user.api(), "--no-replay", "-f"]).exits(22);
    assert!(ran.out.contains("invalid_token"), "{ran:?}");
}

#[test]
fn an_http_error_is_22_with_f_and_0_without() {
    let user = User::logged_in(Config::default());
    let url = format!("{}/status/404", user.api());
    user.run(["call", &url]).exits(0);
    let error = user.run(["call", &url, "-f", "--json"]).exits(22).error();
    assert_eq!(error["code"], "http_error");
    let summary = user.run(["call", &url, "--json", "--repeat", "3"]).exits(0).json();
    assert_eq!(summary["responses"], json!({ "404": 3 }));
    assert_eq!(user.stats().token_requests, 0);
}

#[test]
fn a_403_about_scope_is_the_caller_s_answer() {
    let user = User::logged_in(rejecting(Rejection::InsufficientScope));
    user.sandbox.expire_access_tokens();
    user.call().exits(0);
    assert_eq!(user.requests(), (0, 1));
}

#[test]
fn a_wish_for_a_better_login_ends_with_3() {
    let user = User::logged_in(rejecting(Rejection::StepUp));
    user.sandbox.expire_access_tokens();
    let error = user.run(["call", user.api(), "--json"]).exits(3).error();
    assert_eq!(error["code"], "step_up");
    assert_eq!(user.requests(), (0, 1));
}

#[test]
fn a_redirect_is_not_followed() {
    let apis = vec![ApiConfig::named("api"), ApiConfig::named("other")];
    let user = User::logged_in(Config { apis, ..Config::default() });
    let url = format!("{}/redirect?to={}", user.api(), user.sandbox.api_url("other"));
    let summary = user.run(["call", &url, "--json"]).exits(0).json();
    assert_eq!(summary["responses"].as_object().unwrap().len(), 1);
    assert_eq!(user.stats().api("other").requests, 0);
}

#[test]
fn a_call_to_an_origin_that_is_not_bound_sends_nothing() {
    let apis = vec![ApiConfig::named("api"), ApiConfig::named("other")];
    let user = User::logged_in(Config { apis, ..Config::default() });
    user.sandbox.expire_access_tokens();
    let other = user.sandbox.api_url("other");
    let ran = user.run(["call", other]).exits(2);
    assert!(ran.err.contains(&format!("regrant allow {other}")), "{ran:?}");
    assert_eq!(user.requests(), (0, 0));

    user.run(["allow", other]).exits(0);
    user.run(["call", other]).exits(0);
    assert_eq!(user.requests(), (1, 2));
}

#[test]
fn method_header_and_body_go_as_they_are_and_come_back_untouched() {
    let user = User::logged_in(Config::default());
    user.sandbox.expire_access_tokens();
    let body = user.home().join("body");
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    std::fs::write(&body, &bytes).unwrap();
    let mut command = user.command();
    command.args(["call", &format!("{}/echo", user.api()), "-X", "PUT", "-H", "X-A: b", "-d"]);
    let output = command.arg(format!("@{}", body.display())).output().unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, bytes, "also after the replay");
    assert_eq!(user.requests(), (1, 2));

    let mut command = user.command();
    command.args(["call", &format!("{}/echo", user.api()), "-d", "@-"]);
    assert_eq!(with_input(command, "from a pipe").exits(0).out, "from a pipe");
}

#[test]
fn an_api_that_flips_between_200_and_401_spends_the_budget_and_no_more() {
    let user = User::logged_in(Config::default());
    user.sandbox.flip("api", 1);
    let ran = user.run(["call", user.api(), "--repeat", "120", "--json"]);
    assert!(ran.code == 0 || ran.code == 4, "{ran:?}");
    let stats = user.stats();
    assert!((10..=31).contains(&stats.token_requests), "{stats:#?}");
    assert_eq!((stats.reuse_detected, stats.live_families), (0, 1));
}
