//! The resource APIs: acceptance, rejection in every form, audiences, clocks.
#![expect(clippy::unwrap_used, reason = "a test that is not as expected panics")]

mod common;

use std::collections::BTreeSet;

use common::{access, call, call_status, client, granted, header, refresh_token, send_raw, start};
use regrant_sandbox::{ApiConfig, Config, Login, Rejection, RequestKind, Sandbox, StartError};
use serde_json::{Value, json};

fn two_apis() -> Sandbox {
    let apis = vec![
        ApiConfig::named("mail").audience("urn:mail"),
        ApiConfig::named("files").audience("urn:files"),
    ];
    start(Config { apis, ..Config::default() })
}

fn login_for(sandbox: &Sandbox, audience: &str) -> Value {
    let audience = BTreeSet::from([audience.to_owned()]);
    sandbox.issue_for(Login { audience, ..Login::default() })
}

#[tokio::test]
async fn an_api_says_what_came() {
    let sandbox = start(Config::default());
    let token = access(&sandbox.issue());
    let url = format!("{}/a/b?c=d", sandbox.api_url("api"));
    let request = client().put(url).bearer_auth(&token).body("hello");
    let body: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        body,
        json!({
            "ok": true, "api": "api", "path": "/a/b", "query": "c=d", "method": "PUT",
            "body_len": 5, "generation": 1,
        })
    );
}

#[tokio::test]
async fn echo_status_and_redirect_do_what_they_say() {
    let sandbox = start(Config::default());
    let token = access(&sandbox.issue());
    let base = sandbox.api_url("api");
    let get = |path: &str| client().get(format!("{base}{path}")).bearer_auth(&token).send();

    let echo = client().post(format!("{base}/echo")).bearer_auth(&token).body(vec![7; 3_000_000]);
    assert_eq!(echo.send().await.unwrap().bytes().await.unwrap(), vec![7; 3_000_000]);
    assert_eq!(get("/status/503").await.unwrap().status(), 503);
    assert_eq!(get("/status/204").await.unwrap().status(), 204);
    let redirect = get("/redirect?to=http%3A%2F%2F127.0.0.1%3A9%2Fx").await.unwrap();
    assert_eq!(redirect.status(), 302);
    assert_eq!(header(&redirect, "location").as_deref(), Some("http://127.0.0.1:9/x"));
    assert_eq!(sandbox.stats().api("api").accepted, 4, "a token was taken, whatever the status");
}

#[tokio::test]
async fn a_request_without_token_gets_a_challenge_without_error() {
    let sandbox = start(Config::default());
    let response = client().get(sandbox.api_url("api")).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert_eq!(header(&response, "www-authenticate").as_deref(), Some("Bearer realm=\"sandbox\""));
    let api = sandbox.stats().api("api");
    assert_eq!((api.requests, api.anonymous, api.rejected), (1, 1, 0));
}

#[tokio::test]
async fn each_rejection_has_its_form() {
    let invalid_token = "Bearer realm=\"sandbox\", error=\"invalid_token\"";
    let invalid_token_expired = "Bearer realm=\"sandbox\", error=\"invalid_token\", \
                                 error_description=\"The access token expired\"";
    let insufficient_scope =
        "Bearer realm=\"sandbox\", error=\"insufficient_scope\", scope=\"admin\"";
    let step_up = "Bearer realm=\"sandbox\", error=\"insufficient_user_authentication\", \
                   acr_values=\"urn:sandbox:strong\", max_age=\"60\"";
    let rate_limited = Rejection::RateLimited { retry_after: Some("7".to_owned()) };
    for (rejection, status, challenge, body) in [
        (Rejection::InvalidToken, 401, Some(invalid_token_expired), r#"{"error":"invalid_token"}"#),
        (Rejection::RealmOnly, 401, Some("Bearer realm=\"sandbox\""), ""),
        (Rejection::NoChallenge, 401, None, ""),
        (Rejection::JsonBodyOnly, 401, None, r#"{"error":"invalid_token"}"#),
        (Rejection::Forbidden403InvalidToken, 403, Some(invalid_token), ""),
        (Rejection::InsufficientScope, 403, Some(insufficient_scope), ""),
        (Rejection::StepUp, 401, Some(step_up), ""),
        (rate_limited.clone(), 429, None, ""),
    ] {
        let apis = vec![ApiConfig::named("api").rejection(rejection.clone())];
        let sandbox = start(Config { apis, ..Config::default() });
        let response = call(&sandbox, "api", "sandbox_at_unknown").await;
        assert_eq!(response.status(), status, "{rejection:?}");
        assert_eq!(header(&response, "www-authenticate").as_deref(), challenge, "{rejection:?}");
        let retry_after = (rejection == rate_limited).then_some("7");
        assert_eq!(header(&response, "retry-after").as_deref(), retry_after, "{rejection:?}");
        assert_eq!(response.text().await.unwrap(), body, "{rejection:?}");
        assert_eq!(sandbox.stats().api("api").rejected, 1);
    }
}

#[tokio::test]
async fn a_token_is_taken_only_where_it_is_addressed() {
    let sandbox = two_apis();
    let mail = login_for(&sandbox, "urn:mail");
    let both = access(&sandbox.issue());
    assert_eq!(call_status(&sandbox, "mail", &access(&mail)).await, 200);
    assert_eq!(call_status(&sandbox, "files", &access(&mail)).await, 401);
    assert_eq!(call_status(&sandbox, "mail", &both).await, 200);
    assert_eq!(call_status(&sandbox, "files", &both).await, 200);
    let refreshed = granted(&sandbox, &refresh_token(&mail)).await;
    assert_eq!(call_status(&sandbox, "files", &access(&refreshed)).await, 401);
    let stats = sandbox.stats();
    assert_eq!((stats.api("mail").accepted, stats.api("mail").rejected), (2, 0));
    assert_eq!((stats.api("files").accepted, stats.api("files").rejected), (1, 2));
    assert_ne!(sandbox.api_url("mail"), sandbox.api_url("files"));
}

#[tokio::test]
async fn tokens_can_be_ended_everywhere_or_in_the_eyes_of_one_api() {
    let sandbox = two_apis();
    let tokens = sandbox.issue();
    let token = access(&tokens);
    sandbox.expire_access_tokens_at("mail");
    assert_eq!(call_status(&sandbox, "mail", &token).await, 401);
    assert_eq!(call_status(&sandbox, "files", &token).await, 200);
    sandbox.expire_access_tokens();
    assert_eq!(call_status(&sandbox, "files", &token).await, 401);
    let fresh = access(&granted(&sandbox, &refresh_token(&tokens)).await);
    assert_eq!(call_status(&sandbox, "mail", &fresh).await, 200);
}

#[tokio::test]
async fn an_api_can_reject_all_flip_or_take_only_a_list() {
    let sandbox = start(Config::default());
    let (token, other) = (access(&sandbox.issue()), access(&sandbox.issue()));

    sandbox.reject_all("api", true);
    assert_eq!(call_status(&sandbox, "api", &token).await, 401);
    sandbox.reject_all("api", false);

    sandbox.flip("api", 2);
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(call_status(&sandbox, "api", &token).await);
    }
    assert_eq!(seen, [200, 200, 401, 401, 200, 200]);
    sandbox.flip("api", 0);

    sandbox.accept_only("api", Some(BTreeSet::from([other.clone()])));
    assert_eq!(call_status(&sandbox, "api", &token).await, 401);
    assert_eq!(call_status(&sandbox, "api", &other).await, 200);
    sandbox.accept_only("api", None);
    assert_eq!(call_status(&sandbox, "api", &token).await, 200);
}

#[tokio::test]
async fn revoking_ends_one_family_or_all() {
    let sandbox = start(Config::default());
    let (one, two, three) = (sandbox.issue(), sandbox.issue(), sandbox.issue());
    assert!(sandbox.revoke_family(&access(&one)));
    assert!(!sandbox.revoke_family(&refresh_token(&one)));
    assert_eq!(call_status(&sandbox, "api", &access(&one)).await, 401);
    assert_eq!(call_status(&sandbox, "api", &access(&two)).await, 200);
    assert_eq!(sandbox.revoke_all(), 2);
    assert_eq!(call_status(&sandbox, "api", &access(&three)).await, 401);
    assert_eq!(sandbox.stats().families_revoked, 3);
}

#[tokio::test]
async fn every_server_tells_the_time_of_the_sandbox() {
    let sandbox = start(Config { clock_offset_ms: 86_400_000, ..Config::default() });
    let token = access(&sandbox.issue());
    for url in [sandbox.issuer_url(), sandbox.api_url("api")] {
        let before = sandbox.now_ms() / 1_000;
        let response = client().get(url).bearer_auth(&token).send().await.unwrap();
        let date = httpdate::parse_http_date(&header(&response, "date").unwrap()).unwrap();
        let date = date.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!((before..=sandbox.now_ms() / 1_000).contains(&date));
    }
    let ahead = sandbox.now_ms();
    sandbox.set_clock_offset_ms(-86_400_000);
    assert!(ahead - sandbox.now_ms() > 172_000_000);
}

#[tokio::test]
async fn only_names_of_loopback_are_served() {
    let sandbox = start(Config::default());
    let token = access(&sandbox.issue());
    for url in [sandbox.issuer_url(), sandbox.api_url("api")] {
        let port = url.rsplit_once(':').unwrap().1;
        let get = |host: &str| {
            let request = format!(
                "GET /stats HTTP/1.1\r\n{host}Authorization: Bearer {token}\r\n\
                 Connection: close\r\n\r\n"
            );
            send_raw(url, &request).unwrap()[9..12].to_owned()
        };
        assert_eq!(get(&format!("Host: 127.0.0.1:{port}\r\n")), "200");
        assert_eq!(get(&format!("Host: localhost:{port}\r\n")), "200");
        assert_eq!(get(&format!("Host: sandbox.example:{port}\r\n")), "421");
        assert_eq!(get("Host: 127.0.0.1:1\r\n"), "421");
        assert_eq!(get(""), "421");
    }
    assert_eq!(sandbox.stats().api("api").requests, 2);
}

#[tokio::test]
async fn the_log_names_requests_and_never_a_whole_token() {
    let sandbox = start(Config::default());
    let tokens = sandbox.issue();
    granted(&sandbox, &refresh_token(&tokens)).await;
    call(&sandbox, "api", &access(&tokens)).await;
    call(&sandbox, "api", "somebody's real secret").await;
    let log = sandbox.request_log();
    let kinds: Vec<_> = log.iter().map(|record| record.kind.clone()).collect();
    let api = RequestKind::Api("api".to_owned());
    assert_eq!(kinds, [RequestKind::Token, api.clone(), api]);
    assert_eq!(log[0].status, Some(200));
    let suffix = log[0].token_suffix.clone().unwrap();
    assert!(suffix.len() == 6 && refresh_token(&tokens).ends_with(&suffix));
    assert_eq!(log[2].token_suffix, None);
    sandbox.reset_stats();
    assert!(sandbox.request_log().is_empty());
    assert_eq!(sandbox.stats().api("api").requests, 0);
}

#[tokio::test]
async fn a_slow_api_is_judged_when_asked() {
    let sandbox = start(Config::default());
    sandbox
        .configure(|config| {
            config.apis[0].latency_ms = 1;
            config.token_latency_ms = 1;
        })
        .unwrap();
    let tokens = granted(&sandbox, &refresh_token(&sandbox.issue())).await;
    assert_eq!(call_status(&sandbox, "api", &access(&tokens)).await, 200);
}

#[test]
fn a_sandbox_needs_no_runtime_of_its_caller() {
    let sandbox = start(Config::default());
    let port = sandbox.issuer_url().rsplit_once(':').unwrap().1.parse().unwrap();
    let taken = Sandbox::start(Config { port, ..Config::default() }).unwrap_err();
    assert!(matches!(taken, StartError::Bind { .. }), "{taken}");
    let apis = vec![ApiConfig::named("api"), ApiConfig::named("api")];
    let twice = Sandbox::start(Config { apis, ..Config::default() }).unwrap_err();
    assert_eq!(twice.to_string(), "two APIs are named \"api\"");
}

#[test]
#[should_panic(expected = "the sandbox has no API named \"nowhere\"")]
fn an_api_that_is_not_there_is_a_mistake_of_the_test() {
    start(Config::default()).reject_all("nowhere", true);
}
