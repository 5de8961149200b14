//! A sandbox scripted from another process.
#![expect(clippy::unwrap_used, reason = "a test that is not as expected panics")]

mod common;

use common::{
    access, call_status, client, granted, post_form, refresh, refresh_token, send_refresh, start,
};
use regrant_sandbox::{Config, Rotation, Sandbox, Stats};
use serde_json::{Value, json};

async fn post(sandbox: &Sandbox, name: &str, body: Value) -> (u16, Value) {
    let url = format!("{}/_sandbox/{name}", sandbox.issuer_url());
    let response = client().post(url).json(&body).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

async fn done(sandbox: &Sandbox, name: &str, body: Value) -> Value {
    let (status, answer) = post(sandbox, name, body).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

async fn stats(sandbox: &Sandbox) -> Stats {
    let url = format!("{}/stats", sandbox.issuer_url());
    client().get(url).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn a_script_logs_in_expires_and_revokes() {
    let sandbox = start(Config::default());
    let tokens = done(&sandbox, "issue", json!({ "scope": "read" })).await;
    assert_eq!(tokens["scope"], "read");
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 200);
    done(&sandbox, "expire", json!({})).await;
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 401);
    let tokens = granted(&sandbox, &refresh_token(&tokens)).await;
    done(&sandbox, "expire", json!({ "api": "api" })).await;
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 401);
    done(&sandbox, "issue", json!({})).await;
    let revoked = done(&sandbox, "revoke", json!({ "token": access(&tokens) })).await;
    assert_eq!(revoked, json!({ "families_revoked": 1 }));
    assert_eq!(done(&sandbox, "revoke", json!({})).await, json!({ "families_revoked": 1 }));
    let stats = stats(&sandbox).await;
    assert_eq!(stats, sandbox.stats());
    assert_eq!((stats.families_revoked, stats.live_families, stats.api("api").rejected), (2, 0, 2));
}

#[tokio::test]
async fn a_script_decides_for_the_user_of_a_device() {
    let sandbox = start(Config::default());
    let (_, begun) = post_form(sandbox.device_authorization_endpoint(), &[]).await;
    let decision = json!({ "user_code": begun["user_code"], "approve": true });
    done(&sandbox, "device", decision.clone()).await;
    assert_eq!(post(&sandbox, "device", decision).await.0, 404, "it is decided");
    assert_eq!(post(&sandbox, "device", json!({ "approve": true })).await.0, 422);
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", begun["device_code"].as_str().unwrap()),
    ];
    assert_eq!(post_form(sandbox.token_endpoint(), &form).await.0, 200);
    assert_eq!(stats(&sandbox).await, sandbox.stats(), "the counters keep their names");
}

#[tokio::test]
async fn a_script_injects_faults_in_either_spelling() {
    let sandbox = start(Config { rotation: Rotation::None, ..Config::default() });
    let token = refresh_token(&sandbox.issue());
    let faults = json!({ "add": ["500", { "error": { "code": "odd" } }], "always": "429:60" });
    assert_eq!(done(&sandbox, "faults", faults).await, json!({ "queued": 2 }));
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(refresh(&sandbox, &token).await.0);
    }
    assert_eq!(seen, [500, 400, 429, 429]);
    done(&sandbox, "faults", json!({ "clear": true })).await;
    granted(&sandbox, &token).await;
    let (status, answer) = post(&sandbox, "faults", json!({ "add": ["reset-sideways"] })).await;
    assert_eq!(status, 422);
    let message = answer["error"].as_str().unwrap();
    assert!(message.contains("no fault is named \"reset-sideways\""), "{message}");
}

#[tokio::test]
async fn a_script_moves_the_clock() {
    let sandbox = start(Config::default());
    let moved = done(&sandbox, "clock", json!({ "offset_ms": 5_000 })).await;
    assert_eq!(moved["offset_ms"], 5_000);
    let moved = done(&sandbox, "clock", json!({ "advance_ms": -6_000 })).await;
    assert_eq!(moved["offset_ms"], -1_000);
    assert_eq!(sandbox.config().clock_offset_ms, -1_000);
}

#[tokio::test]
async fn a_script_patches_the_configuration() {
    let sandbox = start(Config::default());
    let patch = json!({ "reuse_detection": false, "grace": { "ms": 9 }, "client_secret": "s" });
    let config = done(&sandbox, "config", patch).await;
    assert_eq!(config["grace"], json!({ "ms": 9, "kind": "same" }));
    assert!(!sandbox.config().reuse_detection);
    done(&sandbox, "config", json!({ "client_secret": null })).await;
    assert_eq!(sandbox.config().client_secret, None);
    for wrong in [json!({ "port": 1 }), json!({ "apis": [] }), json!({ "prot": 1 }), json!(7)] {
        assert_eq!(post(&sandbox, "config", wrong).await.0, 400);
    }
    let shown = client().get(format!("{}/_sandbox/config", sandbox.issuer_url()));
    let shown: Config = shown.send().await.unwrap().json().await.unwrap();
    assert_eq!(shown, sandbox.config());
}

#[tokio::test]
async fn a_script_holds_a_request_and_releases_it() {
    let sandbox = start(Config::default());
    let token = refresh_token(&sandbox.issue());
    done(&sandbox, "hold", json!({ "at": "after_commit" })).await;
    let url = sandbox.token_endpoint().to_owned();
    let attempt = tokio::spawn(async move { send_refresh(&url, &token).await.unwrap().status() });
    sandbox.wait_until_held().await.unwrap();
    assert_eq!(stats(&sandbox).await.held, 1);
    let released = done(&sandbox, "hold", json!({ "release": true })).await;
    assert_eq!(released, json!({ "armed": 0, "released": 1 }));
    assert_eq!(attempt.await.unwrap(), 200);
}

#[tokio::test]
async fn a_script_tells_an_api_what_to_take() {
    let sandbox = start(Config::default());
    let token = access(&sandbox.issue());
    for (change, status) in [
        (json!({ "name": "api", "reject_all": true }), 401),
        (json!({ "name": "api", "reject_all": false, "accept_only": [] }), 401),
        (json!({ "name": "api", "accept_any": true, "flip": 1 }), 200),
    ] {
        done(&sandbox, "api", change).await;
        assert_eq!(call_status(&sandbox, "api", &token).await, status);
    }
    assert_eq!(call_status(&sandbox, "api", &token).await, 401, "the flip goes on");
    assert_eq!(post(&sandbox, "api", json!({ "name": "nowhere" })).await.0, 404);
    assert_eq!(post(&sandbox, "expire", json!({ "api": "nowhere" })).await.0, 404);
    let log = client().get(format!("{}/_sandbox/log", sandbox.issuer_url()));
    let log: Vec<Value> = log.send().await.unwrap().json().await.unwrap();
    assert_eq!(log.len(), 4);
    done(&sandbox, "reset-stats", json!({})).await;
    assert_eq!(stats(&sandbox).await.api("api").requests, 0);
}

#[tokio::test]
async fn a_page_of_another_origin_controls_nothing() {
    let sandbox = start(Config::default());
    let url = format!("{}/_sandbox/issue", sandbox.issuer_url());
    let plain = client().post(&url).header("content-type", "text/plain").body("{}");
    assert_eq!(plain.send().await.unwrap().status(), 415);
    let page = client().post(&url).header("origin", "http://example.com").json(&json!({}));
    assert_eq!(page.send().await.unwrap().status(), 403);
    assert_eq!(sandbox.stats().live_families, 0);
}

#[test]
fn an_empty_object_is_the_default_configuration() {
    assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
    let json = serde_json::to_string(&Config::default()).unwrap();
    assert_eq!(serde_json::from_str::<Config>(&json).unwrap(), Config::default());
}
