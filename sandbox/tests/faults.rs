//! Each fault, as a client meets it, and what it leaves behind at the server.
#![expect(clippy::unwrap_used, reason = "a test that is not as expected panics")]

mod common;

use std::time::Duration;

use common::{
    client, granted, header, raw_refresh, refresh, refresh_token, refused, send_raw, send_refresh,
    start,
};
use regrant_sandbox::{Config, Endpoint, Fault, HoldPoint, Rotation, Sandbox};
use reqwest::Response;
use serde_json::Value;

fn with_fault(fault: Fault) -> (Sandbox, String) {
    let sandbox = start(Config { faults: vec![fault], ..Config::default() });
    let token = refresh_token(&sandbox.issue());
    (sandbox, token)
}

/// The answer to the one refresh that met the fault, which must not have been judged.
async fn before_commit(fault: Fault) -> Response {
    let (sandbox, token) = with_fault(fault);
    let response = send_refresh(sandbox.token_endpoint(), &token).await.unwrap();
    let stats = sandbox.stats();
    assert_eq!((stats.faults_served, stats.granted, stats.refused), (1, 0, 0));
    granted(&sandbox, &token).await;
    response
}

async fn assert_spent(sandbox: &Sandbox, token: &str) {
    assert_eq!(sandbox.stats().granted, 1);
    assert_eq!(refused(sandbox, token).await, "invalid_grant");
    assert_eq!(sandbox.stats().reuse_detected, 1);
}

#[tokio::test]
async fn a_status_comes_with_its_body_and_retry_after() {
    let response = before_commit(Fault::Status {
        code: 502,
        retry_after: Some("Fri, 31 Dec 1999 23:59:59 GMT".to_owned()),
        body: "<h1>Bad gateway</h1>".to_owned(),
        content_type: "text/html".to_owned(),
    })
    .await;
    assert_eq!(response.status(), 502);
    let retry_after = header(&response, "retry-after");
    assert_eq!(retry_after.as_deref(), Some("Fri, 31 Dec 1999 23:59:59 GMT"));
    assert_eq!(header(&response, "content-type").as_deref(), Some("text/html"));
    assert_eq!(response.text().await.unwrap(), "<h1>Bad gateway</h1>");
}

#[tokio::test]
async fn a_server_error_is_503() {
    let response = before_commit(Fault::ServerError).await;
    assert_eq!(response.status(), 503);
    assert_eq!(header(&response, "retry-after"), None);
}

#[tokio::test]
async fn a_rate_limit_says_when_to_come_again() {
    let response = before_commit("429:60".parse().unwrap()).await;
    assert_eq!(response.status(), 429);
    assert_eq!(header(&response, "retry-after").as_deref(), Some("60"));
}

#[tokio::test]
async fn html_is_a_200_that_is_not_oauth() {
    let response = before_commit(Fault::Html).await;
    assert_eq!(response.status(), 200);
    assert_eq!(header(&response, "content-type").as_deref(), Some("text/html; charset=utf-8"));
}

#[tokio::test]
async fn injected_errors_have_their_codes() {
    for (fault, status, code) in [
        (Fault::InvalidGrant, 400, "invalid_grant"),
        (Fault::InvalidClient, 401, "invalid_client"),
        (Fault::Error { code: "slow_down".to_owned() }, 400, "slow_down"),
    ] {
        let response = before_commit(fault).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.json::<Value>().await.unwrap()["error"], code);
    }
}

#[tokio::test]
async fn an_error_can_come_in_a_200() {
    let response = before_commit("ok-with-error:bad_refresh_token".parse().unwrap()).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.json::<Value>().await.unwrap()["error"], "bad_refresh_token");
}

#[tokio::test]
async fn a_refusal_can_ask_for_claims_and_for_a_user() {
    let claims = r#"{"access_token":{"acrs":{"essential":true}}}"#;
    let fault = format!("claims-challenge:{claims}").parse().unwrap();
    let response = before_commit(fault).await;
    assert_eq!(response.status(), 400);
    let body: Value = response.json().await.unwrap();
    assert_eq!((&body["error"], &body["claims"]), (&"invalid_grant".into(), &claims.into()));
    let response = before_commit("error:interaction_required".parse().unwrap()).await;
    assert_eq!(response.json::<Value>().await.unwrap()["error"], "interaction_required");
}

#[tokio::test]
async fn a_nonce_can_be_demanded_of_anybody() {
    let response = before_commit(Fault::UseDpopNonce).await;
    assert_eq!(response.status(), 400);
    assert!(!header(&response, "dpop-nonce").unwrap().is_empty());
    assert_eq!(response.json::<Value>().await.unwrap()["error"], "use_dpop_nonce");
}

#[tokio::test]
async fn a_redirect_keeps_method_and_body() {
    let to = "http://127.0.0.1:9/elsewhere".to_owned();
    let response = before_commit(Fault::Redirect { to: to.clone() }).await;
    assert_eq!(response.status(), 307);
    assert_eq!(header(&response, "location"), Some(to));
}

#[tokio::test]
async fn a_raw_answer_is_what_was_written() {
    let response = before_commit(Fault::Raw {
        status: 418,
        headers: vec![
            ("X-Twice".to_owned(), "1".to_owned()),
            ("X-Twice".to_owned(), "2".to_owned()),
            ("Date".to_owned(), "Thu, 01 Jan 1970 00:00:00 GMT".to_owned()),
        ],
        body: "short and stout".to_owned(),
    })
    .await;
    assert_eq!(response.status(), 418);
    assert_eq!(response.headers().get_all("x-twice").iter().count(), 2);
    assert_eq!(header(&response, "date").as_deref(), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
    assert_eq!(response.text().await.unwrap(), "short and stout");
}

#[tokio::test]
async fn a_reset_comes_without_a_byte_and_spends_nothing() {
    let (sandbox, token) = with_fault(Fault::Reset);
    let url = sandbox.token_endpoint();
    let error = send_raw(url, &raw_refresh(url, &token)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(sandbox.stats().granted, 0);
    assert_eq!(sandbox.request_log()[0].status, None);
    granted(&sandbox, &token).await;
}

#[tokio::test]
async fn a_reset_after_commit_loses_the_rotation() {
    let (sandbox, token) = with_fault(Fault::ResetAfterCommit);
    let url = sandbox.token_endpoint();
    let error = send_raw(url, &raw_refresh(url, &token)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_spent(&sandbox, &token).await;
}

#[tokio::test]
async fn a_status_after_commit_loses_the_rotation() {
    let (sandbox, token) = with_fault(Fault::StatusAfterCommit { code: 504 });
    assert_eq!(refresh(&sandbox, &token).await.0, 504);
    assert_spent(&sandbox, &token).await;
}

#[tokio::test]
async fn a_cut_body_promises_more_than_it_sends() {
    let (sandbox, token) = with_fault(Fault::CutBody);
    let url = sandbox.token_endpoint();
    let answer = send_raw(url, &raw_refresh(url, &token)).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let promised = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert!(promised.parse::<usize>().unwrap() > body.len());
    assert!(body.starts_with("{\"access_token\":") && !body.ends_with('}'), "{body}");
    assert_spent(&sandbox, &token).await;
}

#[tokio::test]
async fn a_cut_body_is_an_error_to_a_client() {
    let (sandbox, token) = with_fault(Fault::CutBody);
    let response = send_refresh(sandbox.token_endpoint(), &token).await.unwrap();
    assert_eq!(response.status(), 200);
    response.bytes().await.unwrap_err();
}

#[tokio::test]
async fn a_hang_ends_in_a_reset_and_spends_nothing() {
    let (sandbox, token) = with_fault(Fault::Hang { ms: 1 });
    send_refresh(sandbox.token_endpoint(), &token).await.unwrap_err();
    granted(&sandbox, &token).await;
}

#[tokio::test]
async fn a_hang_outlasts_a_client_that_gives_up() {
    let (sandbox, token) = with_fault(Fault::Hang { ms: 3_600_000 });
    let url = sandbox.token_endpoint().to_owned();
    let attempt = tokio::spawn({
        let token = token.clone();
        async move { send_refresh(&url, &token).await }
    });
    sandbox.wait_for_token_requests(1).await.unwrap();
    attempt.abort();
    assert!(attempt.await.unwrap_err().is_cancelled());
    granted(&sandbox, &token).await;
}

#[tokio::test]
async fn a_hang_after_commit_has_rotated_before_it_hangs() {
    let (sandbox, token) = with_fault(Fault::HangAfterCommit { ms: 3_600_000 });
    let url = sandbox.token_endpoint().to_owned();
    let attempt = tokio::spawn({
        let token = token.clone();
        async move { send_refresh(&url, &token).await }
    });
    sandbox.wait_for(|stats| stats.granted == 1).await.unwrap();
    attempt.abort();
    assert_spent(&sandbox, &token).await;
}

#[tokio::test]
async fn a_hang_after_commit_answers_late() {
    let (sandbox, token) = with_fault(Fault::HangAfterCommit { ms: 1 });
    let tokens = granted(&sandbox, &token).await;
    granted(&sandbox, &refresh_token(&tokens)).await;
}

#[tokio::test]
async fn a_slow_answer_is_the_right_one() {
    let (sandbox, token) = with_fault(Fault::SlowThen(1));
    granted(&sandbox, &token).await;
}

#[tokio::test]
async fn an_answer_without_refresh_token_has_not_rotated() {
    let (sandbox, token) = with_fault(Fault::NoRefreshToken);
    assert!(granted(&sandbox, &token).await.get("refresh_token").is_none());
    granted(&sandbox, &token).await;
}

#[tokio::test]
async fn a_server_judges_a_request_whose_client_has_left() {
    let sandbox = start(Config::default());
    let token = refresh_token(&sandbox.issue());
    sandbox.hold(HoldPoint::BeforeCommit);
    let url = sandbox.token_endpoint().to_owned();
    let attempt = tokio::spawn({
        let token = token.clone();
        async move { send_refresh(&url, &token).await }
    });
    sandbox.wait_until_held().await.unwrap();
    attempt.abort();
    assert!(attempt.await.unwrap_err().is_cancelled());
    assert_eq!(sandbox.stats().granted, 0);
    assert_eq!(sandbox.release_held(), 1);
    sandbox.wait_for(|stats| stats.granted == 1).await.unwrap();
}

#[tokio::test]
async fn a_request_held_after_commit_is_granted_and_not_answered() {
    let sandbox = start(Config::default());
    let token = refresh_token(&sandbox.issue());
    sandbox.hold(HoldPoint::AfterCommit);
    let url = sandbox.token_endpoint().to_owned();
    let attempt = tokio::spawn({
        let token = token.clone();
        async move { send_refresh(&url, &token).await.unwrap().status() }
    });
    let stats = sandbox.wait_until_held().await.unwrap();
    assert_eq!((stats.held, stats.granted), (1, 1));
    assert!(!attempt.is_finished());
    assert_eq!(sandbox.release_held(), 1);
    assert_eq!(attempt.await.unwrap(), 200);
    assert_eq!(sandbox.stats().held, 0);
}

#[tokio::test]
async fn concurrent_token_requests_are_counted_at_their_most() {
    let sandbox = start(Config { rotation: Rotation::None, ..Config::default() });
    let token = refresh_token(&sandbox.issue());
    let mut attempts = Vec::new();
    for _ in 0..3 {
        sandbox.hold(HoldPoint::BeforeCommit);
        let (url, token) = (sandbox.token_endpoint().to_owned(), token.clone());
        attempts.push(tokio::spawn(async move { send_refresh(&url, &token).await }));
    }
    sandbox.wait_for(|stats| stats.held == 3).await.unwrap();
    assert_eq!(sandbox.release_held(), 3);
    for attempt in attempts {
        attempt.await.unwrap().unwrap();
    }
    granted(&sandbox, &token).await;
    assert_eq!(sandbox.stats().max_concurrent_token_requests, 3);
}

#[tokio::test]
async fn a_fault_for_ever_comes_after_the_queue_until_it_is_cleared() {
    let sandbox = start(Config::default());
    let token = refresh_token(&sandbox.issue());
    sandbox.always(Endpoint::Token, Some(Fault::ServerError));
    sandbox.inject("500".parse().unwrap());
    let mut seen = Vec::new();
    for _ in 0..3 {
        let response = send_refresh(sandbox.token_endpoint(), &token).await.unwrap();
        seen.push(response.status().as_u16());
    }
    assert_eq!(seen, [500, 503, 503]);
    sandbox.clear_faults();
    granted(&sandbox, &token).await;
}

#[tokio::test]
async fn revocation_has_faults_of_its_own() {
    let sandbox = start(Config::default());
    let token = refresh_token(&sandbox.issue());
    sandbox.inject_at(Endpoint::Revocation, Fault::ServerError);
    let form = [("token", token.as_str()), ("client_id", "sandbox-client")];
    let tokens = granted(&sandbox, &token).await;
    let revoke = || client().post(sandbox.revocation_endpoint()).form(&form).send();
    assert_eq!(revoke().await.unwrap().status(), 503);
    assert_eq!(sandbox.stats().live_families, 1);
    assert_eq!(revoke().await.unwrap().status(), 200);
    assert_eq!(refused(&sandbox, &refresh_token(&tokens)).await, "invalid_grant");
}

#[tokio::test]
async fn a_wait_that_is_not_fulfilled_says_what_was_counted() {
    let sandbox = start(Config::default());
    let error = sandbox.wait_within(Duration::ZERO, |stats| stats.granted == 9).await.unwrap_err();
    assert_eq!(error.stats.granted, 0);
}

#[tokio::test]
async fn a_sandbox_that_is_shut_down_ends_its_connections_even_while_requests_hang() {
    let (sandbox, token) = with_fault(Fault::Hang { ms: 3_600_000 });
    let url = sandbox.token_endpoint().to_owned();
    let attempt = tokio::spawn(async move { send_refresh(&url, &token).await });
    sandbox.wait_for_token_requests(1).await.unwrap();
    sandbox.shutdown();
    attempt.await.unwrap().unwrap_err();
}
