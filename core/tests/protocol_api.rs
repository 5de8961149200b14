//! What an API's answer says about the token, rule by rule.

use regrant_core::protocol::{ApiReply, Class, read_api_reply};
use regrant_core::{Strength, Verdict};

type Reading = (Verdict, Class, &'static str);

const STRONG: Verdict = Verdict::Rejected(Strength::Strong);
const WEAK: Verdict = Verdict::Rejected(Strength::Weak);

fn reply(status: u16) -> ApiReply<'static> {
    ApiReply { scheme: Some("Bearer"), status, ..ApiReply::default() }
}

/// What an answer with one challenge line to a request under that scheme says.
fn challenged(scheme: &str, status: u16, line: &str) -> Reading {
    read_api_reply(&ApiReply {
        scheme: Some(scheme),
        www_authenticate: &[line.as_bytes()],
        ..reply(status)
    })
}

fn with_body(status: u16, body: &str) -> Reading {
    read_api_reply(&ApiReply { body: body.as_bytes(), ..reply(status) })
}

#[test]
fn an_answer_to_a_request_without_a_token_says_nothing_about_it() {
    for status in [200, 401, 403, 503] {
        let reply = ApiReply {
            scheme: None,
            www_authenticate: &[b"Bearer error=invalid_token"],
            ..reply(status)
        };
        let nothing = (Verdict::Silent, Class::NotAuth, "no_token_sent");
        assert_eq!(read_api_reply(&reply), nothing);
    }
}

#[test]
fn the_network_in_between_says_nothing_about_the_token() {
    for status in [407, 511] {
        let reading = challenged("Bearer", status, "Bearer error=invalid_token");
        assert_eq!(reading, (Verdict::Silent, Class::NotAuth, "network_status"));
    }
}

#[test]
fn every_answer_below_400_accepts_whatever_challenge_it_carries() {
    for status in [200, 204, 302, 399] {
        let reading = challenged("Bearer", status, "Bearer error=invalid_token");
        assert_eq!(reading, (Verdict::Accepted, Class::NotAuth, "below_400"));
    }
}

#[test]
fn trouble_at_the_server_is_neither_acceptance_nor_rejection() {
    let line = "Bearer error=invalid_token";
    let limited = (Verdict::Silent, Class::RateLimited, "too_many_requests");
    assert_eq!(challenged("Bearer", 429, line), limited);
    for status in [500, 503, 529, 999] {
        let reading = challenged("Bearer", status, line);
        assert_eq!(reading, (Verdict::Silent, Class::NotAuth, "server_error"));
    }
}

#[test]
fn a_403_that_names_a_wait_is_a_rate_limit() {
    let limited = (Verdict::Silent, Class::RateLimited, "forbidden_for_now");
    assert_eq!(read_api_reply(&ApiReply { retry_after: true, ..reply(403) }), limited);
    assert_eq!(read_api_reply(&ApiReply { exhausted: true, ..reply(403) }), limited);
    let other = (Verdict::Silent, Class::NotAuth, "other");
    assert_eq!(read_api_reply(&reply(403)), other);
    assert_eq!(read_api_reply(&ApiReply { retry_after: true, ..reply(404) }), other);
}

#[test]
fn the_code_counts_for_more_than_the_status() {
    for status in [400, 401, 403, 404, 498] {
        for (code, expected) in [
            ("invalid_token", (STRONG, Class::TokenRejected)),
            ("InvalidToken", (STRONG, Class::TokenRejected)),
            ("expired_token", (STRONG, Class::TokenRejected)),
            ("token-expired", (STRONG, Class::TokenRejected)),
            ("invalid_grant", (STRONG, Class::TokenRejected)),
            ("insufficient_scope", (Verdict::Accepted, Class::InsufficientScope)),
            ("insufficient_user_authentication", (Verdict::Accepted, Class::StepUp)),
            ("insufficient_authentication_context", (Verdict::Accepted, Class::StepUp)),
            ("insufficient_claims", (STRONG, Class::ClaimsChallenge)),
            ("invalid_dpop_proof", (Verdict::Silent, Class::NotAuth)),
        ] {
            let (verdict, class, rule) =
                challenged("Bearer", status, &format!("Bearer error=\"{code}\""));
            assert_eq!(((verdict, class), rule), (expected, "challenge"), "{status} {code}");
        }
    }
}

#[test]
fn an_invalid_request_is_not_about_the_token_unless_it_is_a_401() {
    let line = "Bearer error=invalid_request";
    let not_auth = (Verdict::Silent, Class::NotAuth, "challenge");
    assert_eq!(challenged("Bearer", 400, line), not_auth);
    assert_eq!(challenged("Bearer", 401, line), (WEAK, Class::TokenRejected, "bare_401"));
}

#[test]
fn the_scheme_that_was_used_speaks_first() {
    let line = "Bearer error=insufficient_scope, DPoP error=invalid_token";
    let rejected = (STRONG, Class::TokenRejected, "challenge");
    assert_eq!(challenged("dpop", 401, line), rejected);
    let scope = (Verdict::Accepted, Class::InsufficientScope, "challenge");
    assert_eq!(challenged("bearer", 401, line), scope);
    let other = (STRONG, Class::TokenRejected, "other_challenge");
    assert_eq!(challenged("Bearer", 401, "OAuth error='invalid_token'"), other);
    assert_eq!(challenged("token", 401, "Bearer error=invalid_token"), other);
    assert_eq!(challenged("Bearer", 401, "Basic error=invalid_token").2, "bare_401");
}

#[test]
fn of_several_codes_the_one_that_a_refresh_cannot_serve_counts() {
    let class = |line| challenged("Bearer", 401, line).1;
    let scope = "Bearer error=invalid_token, Bearer error=insufficient_scope";
    assert_eq!(class(scope), Class::InsufficientScope);
    let step_up = "Bearer error=insufficient_scope, Bearer error=insufficient_user_authentication";
    assert_eq!(class(step_up), Class::StepUp);
    let claims = "Bearer error=insufficient_user_authentication, Bearer error=insufficient_claims";
    assert_eq!(class(claims), Class::ClaimsChallenge);
    let token = "Bearer error=invalid_dpop_proof, Bearer error=invalid_token";
    assert_eq!(class(token), Class::TokenRejected);
}

#[test]
fn a_challenge_that_contradicts_itself_leaves_a_bare_401() {
    let reading = challenged("Bearer", 401, "Bearer error=invalid_token, error=insufficient_scope");
    assert_eq!(reading, (WEAK, Class::TokenRejected, "bare_401"));
}

#[test]
fn a_code_in_the_body_counts_on_401_and_403_alone() {
    let scope = (Verdict::Accepted, Class::InsufficientScope, "body");
    assert_eq!(with_body(403, "\u{feff}{\"error\":\"insufficient_scope\"}"), scope);
    let rejected = (STRONG, Class::TokenRejected, "body");
    assert_eq!(with_body(401, r#"{"error":"invalid_token"}"#), rejected);
    assert_eq!(with_body(400, r#"{"error":"invalid_token"}"#).2, "other");
    for body in [
        r#"{"error":{"code":"invalid_token"}}"#,
        r#"{"error":"invalid_token","error":"x"}"#,
        r#"{"error":"invalid_token""#,
        r#"[{"error":"invalid_token"}]"#,
        "error=invalid_token",
    ] {
        assert_eq!(with_body(401, body), (WEAK, Class::TokenRejected, "bare_401"), "{body}");
    }
    let long = format!(r#"{{"error":"invalid_token","pad":"{}"}}"#, "p".repeat(64 * 1024));
    assert_eq!(with_body(401, &long).2, "bare_401");
}

#[test]
fn an_api_that_offers_dpop_alone_wants_another_kind_of_token() {
    let mismatch = (Verdict::Silent, Class::NotAuth, "scheme_mismatch");
    assert_eq!(challenged("Bearer", 401, "Basic, DPoP algs=ES256"), mismatch);
    assert_eq!(challenged("Bearer", 401, "DPoP algs=ES256, Bearer").2, "bare_401");
    assert_eq!(challenged("DPoP", 401, "DPoP algs=ES256").2, "bare_401");
}

#[test]
fn any_other_401_rejects_weakly() {
    for line in
        ["", "Bearer realm=x", "Basic realm=x", "error=\"invalid_token\"", "\"", "Bearer scope=a"]
    {
        let reading = challenged("Bearer", 401, line);
        assert_eq!(reading, (WEAK, Class::TokenRejected, "bare_401"), "{line}");
    }
}

#[test]
fn a_nonce_is_wanted_where_dpop_was_used_and_one_good_nonce_came() {
    let wanted = ApiReply {
        scheme: Some("DPoP"),
        www_authenticate: &[b"Bearer error=invalid_token", b"DPoP error=\"use_dpop_nonce\""],
        ..reply(401)
    };
    let read =
        |dpop_nonces: &[&[u8]], status| read_api_reply(&ApiReply { dpop_nonces, status, ..wanted });
    let nonce = (Verdict::Silent, Class::DpopNonce, "dpop_nonce");
    assert_eq!(read(&[b"n-0S6_WzA2Mj"], 401), nonce);
    assert_eq!(read(&[b"n-0S6_WzA2Mj"], 400), nonce);
    let unusable = (Verdict::Silent, Class::NotAuth, "dpop_nonce_unusable");
    assert_eq!(read(&[], 401), unusable);
    assert_eq!(read(&[b"a", b"b"], 401), unusable);
    assert_eq!(read(&[b"bad\\nonce"], 401), unusable);
    assert_eq!(read(&[b"n"], 429).1, Class::RateLimited);
    let bearer = ApiReply { scheme: Some("Bearer"), dpop_nonces: &[b"n"], ..wanted };
    assert_eq!(read_api_reply(&bearer), (STRONG, Class::TokenRejected, "challenge"));
}

#[test]
fn grpc_says_it_in_its_own_status() {
    let read = |content_type, grpc_statuses: &[&[u8]]| {
        read_api_reply(&ApiReply { content_type: Some(content_type), grpc_statuses, ..reply(200) })
    };
    let grpc = |statuses| read("Application/gRPC+proto", statuses);
    assert_eq!(grpc(&[b"16"]), (STRONG, Class::TokenRejected, "grpc_status"));
    assert_eq!(grpc(&[b"8"]), (Verdict::Silent, Class::RateLimited, "grpc_status"));
    assert_eq!(grpc(&[b"0"]), (Verdict::Accepted, Class::NotAuth, "grpc_status"));
    let silent = (Verdict::Silent, Class::NotAuth, "grpc_status");
    assert_eq!(grpc(&[]), silent);
    assert_eq!(grpc(&[b"7"]), silent);
    assert_eq!(grpc(&[b"0", b"16"]), silent);
    assert_eq!(read("application/json", &[b"16"]).2, "below_400");
}

#[test]
fn a_reply_in_a_log_shows_neither_body_nor_challenge() {
    let reply =
        ApiReply { www_authenticate: &[b"Bearer realm=\"canary\""], body: b"canary", ..reply(401) };
    assert!(!format!("{reply:?}").contains("canary"));
}
