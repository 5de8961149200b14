//! The authorization server refuses, is away, or is not one.

use regrant_sandbox::{AnnouncedExpiresIn, Config, Endpoint, Fault};
use serde_json::json;

use crate::support::*;

fn fault(spelling: &str) -> Option<Fault> {
    Some(spelling.parse().unwrap())
}

/// A refusal costs one token request for ever, and a new login mends it.
#[test]
fn lo_03_provider_side_revocation() {
    let user = User::logged_in(Config::default());
    user.sandbox.revoke_all();
    let ran = user.call().exits(3);
    assert!(ran.err.contains("refused") && ran.err.contains("regrant import"), "{ran:?}");
    assert_eq!(user.requests(), (1, 1));
    for _ in 0..10 {
        let error = user.run(["call", user.api(), "--json"]).exits(3).error();
        assert_eq!((&error["code"], &error["reason"]), (&json!("needs_login"), &json!("refused")));
        assert_eq!(error["server_code"], "invalid_grant");
    }
    user.run(["token"]).exits(3);
    assert_eq!(user.requests(), (1, 1));
    let status = user.status();
    assert_eq!((&status["state"], &status["reason"]), (&json!("NeedsLogin"), &json!("refused")));

    user.import().exits(0);
    user.call().exits(0);
    assert_eq!(user.requests(), (1, 2));
}

#[test]
fn a_server_that_was_wrong_is_asked_once_more_by_reconsider() {
    let user = User::logged_in(Config::default());
    user.sandbox.inject(Fault::InvalidGrant);
    user.sandbox.expire_access_tokens();
    user.call().exits(3);
    user.run(["reconsider"]).exits(0);
    user.call().exits(0);
    assert_eq!(user.stats().token_requests, 2);

    user.sandbox.revoke_all();
    user.call().exits(3);
    user.run(["reconsider"]).exits(3);
    user.call().exits(3);
    assert_eq!(user.stats().token_requests, 4);
}

#[test]
fn a_server_that_is_down_for_a_moment_is_waited_for() {
    let user = User::logged_in(Config::default());
    user.sandbox.expire_access_tokens();
    user.sandbox.inject(Fault::ServerError);
    user.sandbox.inject(Fault::ServerError);
    user.call().exits(0);
    assert_eq!(user.requests(), (3, 2));
}

#[test]
fn a_server_that_is_away_or_speaks_no_oauth_ends_with_4_and_costs_no_login() {
    for (spelling, reason) in
        [("503:3600", "unavailable"), ("429:3600", "rate_limited"), ("html", "not_oauth")]
    {
        let user = User::logged_in(Config::default());
        let before = user.status();
        user.sandbox.expire_access_tokens();
        user.sandbox.always(Endpoint::Token, fault(spelling));
        let ran = user.run(["call", user.api(), "--json"]).exits(4);
        let error = ran.error();
        assert_eq!((&error["code"], &error["reason"]), (&json!("delayed"), &json!(reason)));
        assert!(error["retry_at"].is_string(), "{error}");
        assert!(!ran.out.contains("login needed"), "{ran:?}");

        let sent = user.stats().token_requests;
        let ran = user.call().exits(4);
        assert!(ran.err.contains("when:"), "{ran:?}");
        assert_eq!(user.stats().token_requests, sent, "a cool-down runs");
        let after = user.status();
        for member in ["generation", "fingerprint", "refresh_fingerprint", "has_refresh_token"] {
            assert_eq!(before[member], after[member], "{spelling}: {member}");
        }
        assert_eq!(after["reason"], reason);
    }
}

/// Each run is a process of its own, and all know of the first one's cool-down.
#[test]
fn st_01_d_twenty_runs_within_the_wait_ask_once() {
    for kind in [Kind::Sqlite, Kind::Folder] {
        let user = User::logged_in_on(kind, Config::default());
        user.sandbox.expire_access_tokens();
        // Longer than twenty runs take on the slowest of machines.
        user.sandbox.always(Endpoint::Token, fault("429:3600"));
        for _ in 0..20 {
            let error = user.run(["call", user.api(), "--json"]).exits(4).error();
            assert_eq!(error["reason"], "rate_limited");
            assert!(error["retry_at"].is_string(), "{error}");
        }
        assert_eq!(user.stats().token_requests, 1, "{kind:?}");
        assert_eq!(user.status()["has_refresh_token"], true);
    }
}

#[test]
fn a_client_that_is_not_accepted_ends_with_7_and_costs_no_login() {
    for (spelling, reason) in [
        ("invalid_client", "client_misconfigured"),
        ("redirect:http://127.0.0.1:1/", "endpoint_moved"),
    ] {
        let user = User::logged_in(Config::default());
        user.sandbox.expire_access_tokens();
        user.sandbox.always(Endpoint::Token, fault(spelling));
        let error = user.run(["call", user.api(), "--json"]).exits(7).error();
        assert_eq!(error["reason"], reason);
        user.call().exits(7);
        assert_eq!(user.status()["has_refresh_token"], true);

        user.sandbox.clear_faults();
        user.import().exits(0);
        user.call().exits(0);
    }
}

/// What the server said of its end is shown before and after, and the end has the server's own word.
#[test]
fn sl_04_e_the_end_of_a_login_is_shown_before_it_comes_and_named_when_it_has_come() {
    let month = json!({ "refresh_expires_in": 2_592_000 });
    let token_response_extra = month.as_object().unwrap().clone();
    let user = User::logged_in(Config { token_response_extra, ..Config::default() });
    let shown = user.run(["status"]).exits(0).out;
    let ends = shown.lines().find(|line| line.starts_with("login ends")).unwrap();
    assert!(ends.contains("(in 29d") || ends.contains("(in 30d"), "{ends}");
    assert!(user.status()["refresh_expires_at"].is_string());
    user.sandbox.expire_access_tokens();
    user.sandbox.always(Endpoint::Token, fault("error:refresh_token_expired"));
    for _ in 0..5 {
        let ran = user.run(["call", user.api(), "--json"]).exits(3);
        assert_eq!(ran.error()["server_code"], "refresh_token_expired");
    }
    let ran = user.call().exits(3);
    assert!(ran.err.contains("refresh_token_expired"), "{ran:?}");
    assert_eq!(user.requests(), (1, 1));
    assert_eq!(user.status()["server_code"], "refresh_token_expired");
}

/// Another server waits at the place that the token endpoint points to, with the status at which an
/// HTTP client would send the same request again, body and all.
#[test]
fn te_06_b_nothing_arrives_where_the_token_endpoint_points_to() {
    let elsewhere = User::new(Config::default());
    let user = User::logged_in(Config::default());
    user.sandbox.expire_access_tokens();
    let to = elsewhere.sandbox.token_endpoint();
    user.sandbox.always(Endpoint::Token, fault(&format!("redirect:{to}")));
    let before = user.status();
    let error = user.run(["call", user.api(), "--json"]).exits(7).error();
    assert_eq!(error["reason"], "endpoint_moved");
    assert_eq!((user.stats().token_requests, elsewhere.requests()), (1, (0, 0)));
    let after = user.status();
    assert_eq!(before["refresh_fingerprint"], after["refresh_fingerprint"]);
    assert_eq!(after["has_refresh_token"], true);
}

#[test]
fn a_token_that_has_expired_here_is_sent_if_no_better_one_can_be_had_and_is_not_printed() {
    let announced = AnnouncedExpiresIn::Value(json!(1));
    let user = User::logged_in(Config { announced_expires_in: announced, ..Config::default() });
    user.sandbox.always(Endpoint::Token, fault("503:3600"));
    user.until_expired();
    user.call().exits(0);
    assert_eq!(user.requests(), (1, 1));
    let error = user.run(["token", "--json"]).exits(4).error();
    assert_eq!(error["code"], "delayed");

    user.sandbox.clear_faults();
    user.sandbox
        .configure(|config| config.announced_expires_in = AnnouncedExpiresIn::Truth)
        .unwrap();
    user.import().exits(0);
    user.run(["token"]).exits(0);
}

#[test]
fn a_token_that_has_expired_here_is_refreshed_before_it_is_sent_or_printed() {
    let announced = AnnouncedExpiresIn::Value(json!(1));
    let user = User::logged_in(Config { announced_expires_in: announced, ..Config::default() });
    user.sandbox
        .configure(|config| config.announced_expires_in = AnnouncedExpiresIn::Truth)
        .unwrap();
    user.until_expired();
    let children: Vec<_> = (0..24).map(|_| user.start(["token"])).collect();
    let tokens: Vec<_> = children.into_iter().map(|child| finished(child).exits(0).out).collect();
    assert!(tokens.iter().all(|token| token == &tokens[0]), "{tokens:?}");
    assert_eq!(user.requests(), (1, 0));
}

#[test]
fn a_network_that_is_away_says_nothing_about_the_login() {
    let user = User::logged_in(Config::default());
    user.run(["allow", "http://127.0.0.1:1"]).exits(0);
    let ran = user.run(["call", "http://127.0.0.1:1", "--json"]).exits(4);
    assert_eq!(ran.json()["failed"], 1);
    assert_eq!(ran.error()["code"], "api_unreachable");
    assert_eq!(user.status()["state"], "Valid");
}

#[test]
fn a_logout_ends_logged_out_whatever_the_server_says() {
    let user = User::logged_in(Config::default());
    user.run(["logout"]).exits(0);
    let stats = user.stats();
    assert_eq!((stats.revocations, stats.live_families), (2, 0));
    let error = user.run(["call", user.api(), "--json"]).exits(3).error();
    assert_eq!(error["reason"], "logged_out");
    let again = user.run(["logout", "--json"]).exits(0).json();
    assert_eq!((&again["logged_out"], &again["was_logged_in"]), (&json!(true), &json!(false)));
    assert_eq!(user.stats().revocation_requests, 2);

    user.import().exits(0);
    user.sandbox.always(Endpoint::Revocation, fault("503"));
    let out = user.run(["logout", "--json"]).exits(0).json();
    assert_eq!((&out["logged_out"], &out["revoked"]), (&json!(true), &json!(false)));
    user.call().exits(3);
    assert_eq!(user.status()["has_refresh_token"], false);
}

#[test]
fn a_new_login_spends_nothing_of_the_old_one() {
    let announced = AnnouncedExpiresIn::Value(json!(1));
    let user = User::logged_in(Config { announced_expires_in: announced, ..Config::default() });
    user.until_expired();
    user.import().exits(0);
    assert_eq!(user.requests(), (0, 0));
}

#[test]
fn a_server_that_never_answers_is_given_up_within_a_caller_s_patience() {
    let user = User::logged_in(Config::default());
    user.sandbox.expire_access_tokens();
    user.sandbox.always(Endpoint::Token, Some(Fault::Hang { ms: 120_000 }));
    let mut call = tokio::process::Command::from(user.command());
    call.args(["call", user.api(), "--json"]).kill_on_drop(true);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // An attempt has 20 s, and the end of the session listens for 8 s more.
    let patience = std::time::Duration::from_secs(40);
    let ran = runtime.block_on(async { tokio::time::timeout(patience, call.output()).await });
    let ran = Ran::from(ran.expect("it gives up by itself").unwrap()).exits(4);
    assert_eq!(ran.error()["reason"], "no_answer");
    assert_eq!(user.stats().token_requests, 1);
    assert_eq!(user.status()["refresh"], "in_doubt");
}
