//! APIs that want more than a good token, or say in their own way that one is dead.
#![expect(clippy::unwrap_used, reason = "a test that is not as expected panics")]

mod common;

use std::collections::BTreeSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use common::{access, call, call_status, client, granted, header, post_form, refresh_token, start};
use regrant_sandbox::{ApiConfig, Config, Demand, Login, Rejection, Sandbox, SandboxEvent};
use reqwest::Response;
use serde_json::{Value, json};

fn demanding(demand: Demand) -> Sandbox {
    let apis = vec![ApiConfig::named("api").demand(demand)];
    start(Config { apis, ..Config::default() })
}

fn challenge(response: &Response) -> Option<String> {
    header(response, "www-authenticate")
}

/// A refresh with one parameter more: the new tokens.
async fn refresh_with(sandbox: &Sandbox, tokens: &Value, name: &str, value: &str) -> Value {
    let token = refresh_token(tokens);
    let form = [("grant_type", "refresh_token"), ("refresh_token", token.as_str()), (name, value)];
    let (status, body) = post_form(sandbox.token_endpoint(), &form).await;
    assert_eq!(status, 200, "{body}");
    body
}

#[tokio::test]
async fn a_scope_that_a_token_lacks_is_named() {
    let sandbox = demanding(Demand::Scope { scope: "write admin".to_owned() });
    let mut events = sandbox.events();
    let tokens = sandbox.issue();
    let response = call(&sandbox, "api", &access(&tokens)).await;
    assert_eq!(response.status(), 403);
    let expected = "Bearer realm=\"sandbox\", error=\"insufficient_scope\", scope=\"write admin\"";
    assert_eq!(challenge(&response).as_deref(), Some(expected));
    let scope = Some("read write admin".to_owned());
    let more = access(&sandbox.issue_for(Login { scope, ..Login::default() }));
    assert_eq!(call_status(&sandbox, "api", &more).await, 200);
    assert_eq!(call_status(&sandbox, "api", "dead").await, 401, "a dead token is rejected");
    let api = sandbox.stats().api("api");
    assert_eq!((api.requests, api.demanded, api.accepted, api.rejected), (3, 1, 1, 1));
    assert_eq!(events.try_recv().unwrap(), SandboxEvent::Issued);
    let demanded = SandboxEvent::ApiDemanded { api: "api".to_owned(), generation: 1 };
    assert_eq!(events.try_recv().unwrap(), demanded);
}

#[tokio::test]
async fn a_step_up_needs_a_login_and_no_refresh_helps() {
    let strong = "urn:sandbox:strong";
    let acr_values = format!("{strong} urn:sandbox:stronger");
    let sandbox = demanding(Demand::Authentication { acr_values, max_age: Some(60) });
    let weak = sandbox.issue();
    let response = call(&sandbox, "api", &access(&weak)).await;
    assert_eq!(response.status(), 401);
    let expected = "Bearer realm=\"sandbox\", error=\"insufficient_user_authentication\", \
                    acr_values=\"urn:sandbox:strong urn:sandbox:stronger\", max_age=\"60\"";
    assert_eq!(challenge(&response).as_deref(), Some(expected));
    let weak = granted(&sandbox, &refresh_token(&weak)).await;
    assert_eq!(call_status(&sandbox, "api", &access(&weak)).await, 401);

    let acr_values = BTreeSet::from([strong.to_owned()]);
    let tokens = sandbox.issue_for(Login { acr_values, ..Login::default() });
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 200);
    sandbox.advance_clock_ms(61_000);
    let tokens = granted(&sandbox, &refresh_token(&tokens)).await;
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 401, "the login is old");
    assert_eq!(sandbox.stats().api("api").demanded, 3);
}

#[tokio::test]
async fn claims_are_demanded_until_a_token_was_asked_for_with_them() {
    let claims = json!({ "access_token": { "nbf": { "essential": true, "value": "1" } } });
    let sandbox = demanding(Demand::Claims { claims: claims.clone() });
    let tokens = sandbox.issue();
    let response = call(&sandbox, "api", &access(&tokens)).await;
    assert_eq!(response.status(), 401);
    let line = challenge(&response).unwrap();
    let encoded = line
        .strip_prefix("Bearer realm=\"sandbox\", error=\"insufficient_claims\", claims=\"")
        .and_then(|line| line.strip_suffix('"'))
        .unwrap();
    let demanded: Value = serde_json::from_slice(&STANDARD.decode(encoded).unwrap()).unwrap();
    assert_eq!(demanded, claims);

    let tokens = granted(&sandbox, &refresh_token(&tokens)).await;
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 401, "none were asked for");
    let tokens = refresh_with(&sandbox, &tokens, "claims", r#"{"id_token":{}}"#).await;
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 401, "others were asked for");
    let tokens = refresh_with(&sandbox, &tokens, "claims", &claims.to_string()).await;
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 200);
    let token = refresh_token(&tokens);
    let form = [("grant_type", "refresh_token"), ("refresh_token", &token), ("claims", "[]")];
    let (status, body) = post_form(sandbox.token_endpoint(), &form).await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_request")));
}

#[tokio::test]
async fn limits_come_with_the_status_and_the_wait_that_were_configured() {
    let sandbox = demanding(Demand::RateLimit429 { retry_after: Some("7".to_owned()) });
    let token = access(&sandbox.issue());
    let without = Demand::RateLimit429 { retry_after: None };
    let forbidden = Demand::RateLimit403 { retry_after: "60".to_owned() };
    for (change, status, retry_after) in
        [(None, 429, Some("7")), (Some(without), 429, None), (Some(forbidden), 403, Some("60"))]
    {
        if change.is_some() {
            sandbox.demand("api", change);
        }
        let response = call(&sandbox, "api", &token).await;
        assert_eq!((response.status().as_u16(), challenge(&response)), (status, None));
        assert_eq!(header(&response, "retry-after").as_deref(), retry_after);
    }
    sandbox.demand("api", None);
    assert_eq!(call_status(&sandbox, "api", &token).await, 200);
    let api = sandbox.stats().api("api");
    assert_eq!((api.demanded, api.accepted, api.rejected), (3, 1, 0));
}

#[tokio::test]
async fn a_dead_token_can_be_told_in_a_200() {
    let sandbox = start(Config::default());
    sandbox.reject_as("api", Rejection::OkFalse);
    let token = access(&sandbox.issue());
    sandbox.expire_access_tokens();
    let response = call(&sandbox, "api", &token).await;
    assert_eq!((response.status().as_u16(), challenge(&response)), (200, None));
    assert_eq!(response.text().await.unwrap(), r#"{"error":"token_expired","ok":false}"#);
    assert_eq!(sandbox.stats().api("api").rejected, 1);
}

#[tokio::test]
async fn a_new_token_can_be_unknown_to_an_api_for_a_while() {
    let apis = vec![ApiConfig { minimum_age_ms: 5_000, ..ApiConfig::default() }];
    let sandbox = start(Config { apis, ..Config::default() });
    let token = access(&sandbox.issue());
    let response = call(&sandbox, "api", &token).await;
    assert_eq!(response.status(), 401);
    assert!(challenge(&response).unwrap().contains("error=\"invalid_token\""));
    sandbox.advance_clock_ms(5_000);
    assert_eq!(call_status(&sandbox, "api", &token).await, 200);
    let api = sandbox.stats().api("api");
    assert_eq!((api.rejected, api.accepted, api.demanded), (1, 1, 0));
}

#[tokio::test]
async fn a_script_switches_what_an_api_wants() {
    let sandbox = start(Config::default());
    let token = access(&sandbox.issue());
    for (change, status) in [
        (json!({ "demand": { "scope": { "scope": "admin" } } }), 403),
        (json!({ "demand": { "authentication": { "max_age": 0 } } }), 401),
        (json!({ "demand": { "claims": { "claims": { "id_token": {} } } } }), 401),
        (json!({ "demand": { "rate_limit_429": {} } }), 429),
        (json!({ "demand": { "rate_limit_403": { "retry_after": "1" } } }), 403),
        (json!({ "demand_nothing": true }), 200),
        (json!({ "minimum_age_ms": 3_600_000, "rejection": "ok_false" }), 200),
        (json!({ "rejection": "realm_only" }), 401),
        (json!({ "minimum_age_ms": 0 }), 200),
    ] {
        // A login that is not quite new, for the age of zero.
        sandbox.advance_clock_ms(10);
        let mut command = change.clone();
        command["name"] = json!("api");
        let url = format!("{}/_sandbox/api", sandbox.issuer_url());
        let response = client().post(url).json(&command).send().await.unwrap();
        assert_eq!(response.status(), 200, "{command}");
        assert_eq!(call_status(&sandbox, "api", &token).await, status, "{change}");
    }
    let api = sandbox.stats().api("api");
    assert_eq!((api.demanded, api.rejected, api.accepted), (5, 2, 2));
    assert_eq!(sandbox.config().apis[0].rejection, Rejection::RealmOnly);
}
