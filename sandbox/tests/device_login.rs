//! Logins on a device (RFC 8628).
#![expect(clippy::unwrap_used, reason = "a test that is not as expected panics")]

mod common;

use common::{access, call_status, client, granted, post_form, refresh_token, start};
use regrant_sandbox::{Config, GrantType, Sandbox, SandboxEvent};
use serde_json::{Value, json};

async fn begin(sandbox: &Sandbox, form: &[(&str, &str)]) -> Value {
    let (status, body) = post_form(sandbox.device_authorization_endpoint(), form).await;
    assert_eq!(status, 200, "{body}");
    body
}

fn text<'a>(answer: &'a Value, name: &str) -> &'a str {
    answer[name].as_str().unwrap()
}

async fn poll(sandbox: &Sandbox, begun: &Value) -> (u16, Value) {
    let form = [
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("device_code", text(begun, "device_code")),
    ];
    post_form(sandbox.token_endpoint(), &form).await
}

async fn poll_error(sandbox: &Sandbox, begun: &Value) -> String {
    let (status, body) = poll(sandbox, begun).await;
    assert_eq!(status, 400, "{body}");
    text(&body, "error").to_owned()
}

#[tokio::test]
async fn a_device_is_told_where_and_how_long() {
    let sandbox = start(Config { device_interval_ms: 1_500, ..Config::default() });
    let begun = begin(&sandbox, &[]).await;
    let uri = format!("{}/device", sandbox.issuer_url());
    assert_eq!(begun["verification_uri"], uri);
    let complete = format!("{uri}?user_code={}", text(&begun, "user_code"));
    assert_eq!(begun["verification_uri_complete"], complete);
    assert_eq!((&begun["expires_in"], &begun["interval"]), (&json!(1_800), &json!(2)));
    assert_eq!(sandbox.stats().device_authorization_requests, 1);
}

#[tokio::test]
async fn a_device_gets_its_tokens_once_somebody_has_approved() {
    let sandbox = start(Config { device_interval_ms: 0, ..Config::default() });
    let begun = begin(&sandbox, &[("scope", "read")]).await;
    assert_eq!(poll_error(&sandbox, &begun).await, "authorization_pending");
    assert_eq!(poll_error(&sandbox, &begun).await, "authorization_pending");
    assert!(sandbox.decide_device(text(&begun, "user_code"), true));
    assert!(!sandbox.decide_device(text(&begun, "user_code"), false), "it is decided");
    let (status, tokens) = poll(&sandbox, &begun).await;
    assert_eq!((status, &tokens["scope"]), (200, &json!("read")));
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 200);
    granted(&sandbox, &refresh_token(&tokens)).await;
    assert_eq!(poll_error(&sandbox, &begun).await, "invalid_grant", "one code, one grant");
    let stats = sandbox.stats();
    let grants = stats.grant(GrantType::DeviceCode);
    assert_eq!((stats.pending, grants.granted, grants.refused, stats.refused), (2, 1, 1, 1));
}

#[tokio::test]
async fn a_device_that_polls_too_fast_must_wait_longer_for_good() {
    let sandbox = start(Config { device_interval_ms: 60_000, ..Config::default() });
    let begun = begin(&sandbox, &[]).await;
    let poll = || poll_error(&sandbox, &begun);
    assert_eq!(poll().await, "authorization_pending");
    sandbox.advance_clock_ms(30_000);
    assert_eq!(poll().await, "slow_down");
    sandbox.advance_clock_ms(61_000);
    assert_eq!(poll().await, "slow_down", "the interval is 65 seconds now");
    sandbox.advance_clock_ms(70_000);
    assert_eq!(poll().await, "authorization_pending");
    let stats = sandbox.stats();
    assert_eq!((stats.pending, stats.slow_downs, stats.refused), (2, 2, 0));
}

#[tokio::test]
async fn a_device_learns_of_a_no_and_of_its_end() {
    let sandbox = start(Config { device_code_ttl_ms: 60_000, ..Config::default() });
    let (denied, expired) = (begin(&sandbox, &[]).await, begin(&sandbox, &[]).await);
    assert!(sandbox.decide_device(text(&denied, "user_code"), false));
    assert_eq!(poll_error(&sandbox, &denied).await, "access_denied");
    sandbox.advance_clock_ms(60_000);
    assert!(!sandbox.decide_device(text(&expired, "user_code"), true), "too late");
    assert_eq!(poll_error(&sandbox, &expired).await, "expired_token");
    let unknown = json!({ "device_code": "sandbox_dc_unknown" });
    assert_eq!(poll_error(&sandbox, &unknown).await, "invalid_grant");
}

#[tokio::test]
async fn a_person_enters_the_code_on_a_page_as_people_do() {
    let sandbox = start(Config::default());
    let mut events = sandbox.events();
    let begun = begin(&sandbox, &[]).await;
    let url = text(&begun, "verification_uri");
    let page = client().get(text(&begun, "verification_uri_complete")).send().await.unwrap();
    let page = page.text().await.unwrap();
    assert!(page.contains(&format!("value=\"{}\"", text(&begun, "user_code"))), "{page}");
    let injected = client().get(format!("{url}?user_code=%22%3E%3Cscript%3E%26")).send().await;
    let injected = injected.unwrap().text().await.unwrap();
    assert!(injected.contains("value=\"&quot;&gt;&lt;script&gt;&amp;\""), "{injected}");

    let typed = text(&begun, "user_code").replace('-', " ").to_lowercase();
    let press = |code: &str, origin: &str| {
        let form = [("user_code", code.to_owned()), ("decision", "approve".to_owned())];
        let request = client().post(url).header("origin", origin).form(&form);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(press("BBBB-BBBB", sandbox.issuer_url()).await, 400);
    assert_eq!(press(&typed, "http://example.com").await, 403);
    assert_eq!(press(&typed, sandbox.issuer_url()).await, 200);
    assert_eq!(poll(&sandbox, &begun).await.0, 200);
    let mut seen = Vec::new();
    while let Ok(event) = events.try_recv() {
        seen.push(event);
    }
    assert_eq!(
        seen,
        [
            SandboxEvent::DeviceAuthorizationRequested,
            SandboxEvent::LoginDecided { approved: true },
            SandboxEvent::TokenRequested,
            SandboxEvent::Issued,
            SandboxEvent::Granted { generation: 1, replay: false },
        ]
    );
}

#[tokio::test]
async fn a_device_authorization_request_is_judged_like_any_other() {
    let sandbox = start(Config::default());
    let url = sandbox.device_authorization_endpoint();
    let (_, body) = post_form(url, &[("scope", "everything")]).await;
    assert_eq!(body["error"], "invalid_scope");
    let (_, body) = post_form(url, &[("resource", "https://example.com/")]).await;
    assert_eq!(body["error"], "invalid_target");
    let form = [("client_id", "another")];
    let unknown = client().post(url).form(&form).send().await.unwrap();
    assert_eq!(unknown.status(), 401);
}
