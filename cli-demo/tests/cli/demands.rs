//! APIs that want more than a good token.

use regrant_sandbox::{ApiConfig, Config, Demand};
use serde_json::json;

use crate::support::*;

fn demanding(demand: Demand) -> User {
    User::logged_in(Config {
        apis: vec![ApiConfig::named("api").demand(demand)],
        ..Config::default()
    })
}

#[test]
fn a_missing_scope_is_the_caller_s_answer_with_a_note() {
    let user = demanding(Demand::Scope { scope: "admin".to_owned() });
    let ran = user.call().exits(0);
    assert!(ran.err.contains("regrant login --scope \"read write admin\""), "{ran:?}");
    assert!(!ran.err.contains("expired"), "{ran:?}");
    let ran = user.run(["call", user.api(), "-f"]).exits(22);
    assert!(ran.err.contains("--scope"), "{ran:?}");
    let many = ["call", user.api(), "--repeat", "3", "--json"];
    let ran = user.run(many).exits(0);
    assert_eq!(ran.json()["scope_missing"], json!(["admin"]));
    assert_eq!(ran.err.matches("--scope").count(), 1, "{ran:?}");
    assert_eq!(user.stats().token_requests, 0);
    user.sandbox.demand("api", None);
    let summary = user.run(["call", user.api(), "--json"]).exits(0).json();
    assert_eq!(summary.get("scope_missing"), None);
}

#[test]
fn a_step_up_says_which_login_is_wanted() {
    let user = demanding(Demand::Authentication {
        acr_values: "urn:mfa phr".to_owned(),
        max_age: Some(300),
    });
    let error = user.run(["call", user.api(), "--json"]).exits(3).error();
    assert_eq!(error["code"], "step_up");
    let remedy = error["remedy"].as_str().unwrap();
    assert!(
        remedy.contains("--parameter acr_values=\"urn:mfa phr\" --parameter max_age=300"),
        "{remedy}"
    );
    assert_eq!(user.requests(), (0, 1));
}

#[test]
fn claims_are_asked_for_with_the_refresh_and_else_with_a_login() {
    let claims = json!({ "access_token": { "nbf": { "essential": true, "value": "1" } } });
    let demand = Demand::Claims { claims: claims.clone() };
    let user = demanding(demand.clone());
    let summary = user.run(["call", user.api(), "--json"]).exits(0).json();
    assert_eq!(summary["responses"], json!({ "200": 1 }));
    assert_eq!(user.requests(), (1, 2));

    let user = demanding(demand);
    user.sandbox.inject("error:interaction_required".parse().unwrap());
    let error = user.run(["call", user.api(), "--json"]).exits(3).error();
    assert_eq!(error["code"], "needs_login");
    let remedy = error["remedy"].as_str().unwrap();
    assert!(remedy.contains("regrant login --parameter claims='{"), "{remedy}");
    assert_eq!(user.requests(), (1, 1));
}

#[test]
fn a_limit_of_requests_is_told_with_its_wait() {
    for (demand, says) in [
        (Demand::RateLimit429 { retry_after: Some("90".to_owned()) }, "wait 1m 30s"),
        (Demand::RateLimit403 { retry_after: "90".to_owned() }, "wait 1m 30s"),
        (Demand::RateLimit429 { retry_after: None }, "wait a while"),
    ] {
        let user = demanding(demand);
        let ran = user.call().exits(0);
        assert!(ran.err.contains(says), "{ran:?}");
        user.run(["call", user.api(), "-f"]).exits(22);
        assert_eq!(user.requests(), (0, 2));
    }
}
