//! What an API's answer says about the token, rule by rule.

use std::time::Duration;

use regrant_core::protocol::{ApiReading, ApiReply, Class, Headers, Profile, read_api_reply};
use regrant_core::{Strength, Verdict};

type Reading = (Verdict, Class, String);

const STRONG: Verdict = Verdict::Rejected(Strength::Strong);
const WEAK: Verdict = Verdict::Rejected(Strength::Weak);

fn reply(status: u16) -> ApiReply<'static> {
    ApiReply { scheme: Some("Bearer"), status, ..ApiReply::default() }
}

fn read(reply: &ApiReply<'_>) -> Reading {
    let reading = read_api_reply(reply, None);
    (reading.verdict, reading.class, reading.rule.into_owned())
}

fn is(verdict: Verdict, class: Class, rule: &str) -> Reading {
    (verdict, class, rule.to_owned())
}

/// All that an answer with one challenge line to a request with a bearer token says.
fn reading_of(status: u16, line: &str) -> ApiReading<'static> {
    let headers: Headers<'_> = &[("www-authenticate", line.as_bytes())];
    read_api_reply(&ApiReply { headers, ..reply(status) }, None)
}

/// What an answer with one challenge line to a request under that scheme says.
fn challenged(scheme: &str, status: u16, line: &str) -> Reading {
    let headers: Headers<'_> = &[("www-authenticate", line.as_bytes())];
    read(&ApiReply { scheme: Some(scheme), headers, ..reply(status) })
}

fn with_body(status: u16, body: &str) -> Reading {
    read(&ApiReply { body: body.as_bytes(), ..reply(status) })
}

#[test]
fn an_answer_to_a_request_without_a_token_says_nothing_about_it() {
    for status in [200, 401, 403, 503] {
        let reply = ApiReply {
            scheme: None,
            headers: &[("www-authenticate", b"Bearer error=invalid_token")],
            ..reply(status)
        };
        let nothing = is(Verdict::Silent, Class::NotAuth, "no_token_sent");
        assert_eq!(read(&reply), nothing);
    }
}

#[test]
fn the_network_in_between_says_nothing_about_the_token() {
    for status in [407, 511] {
        let reading = challenged("Bearer", status, "Bearer error=invalid_token");
        assert_eq!(reading, is(Verdict::Silent, Class::NotAuth, "network_status"));
    }
}

#[test]
fn every_answer_below_400_accepts_whatever_challenge_it_carries() {
    for status in [200, 204, 302, 399] {
        let reading = challenged("Bearer", status, "Bearer error=invalid_token");
        assert_eq!(reading, is(Verdict::Accepted, Class::NotAuth, "below_400"));
    }
}

#[test]
fn trouble_at_the_server_is_neither_acceptance_nor_rejection() {
    let line = "Bearer error=invalid_token";
    let limited = is(Verdict::Silent, Class::RateLimited, "too_many_requests");
    assert_eq!(challenged("Bearer", 429, line), limited);
    for status in [500, 503, 529, 999] {
        let reading = challenged("Bearer", status, line);
        assert_eq!(reading, is(Verdict::Silent, Class::NotAuth, "server_error"));
    }
}

#[test]
fn a_403_that_names_a_wait_is_a_rate_limit() {
    let retry_after = Some(Duration::from_secs(1));
    let limited = is(Verdict::Silent, Class::RateLimited, "forbidden_for_now");
    assert_eq!(read(&ApiReply { retry_after, ..reply(403) }), limited);
    let exhausted = ApiReply { headers: &[("X-RateLimit-Remaining", b" 0")], ..reply(403) };
    assert_eq!(read(&exhausted), limited);
    let left = ApiReply { headers: &[("X-RateLimit-Remaining", b"10")], ..reply(403) };
    assert_eq!(read(&left).2, "other");
    let other = is(Verdict::Silent, Class::NotAuth, "other");
    assert_eq!(read(&reply(403)), other);
    assert_eq!(read(&ApiReply { retry_after, ..reply(404) }), other);
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
            assert_eq!(((verdict, class), &*rule), (expected, "challenge"), "{status} {code}");
        }
    }
}

#[test]
fn an_invalid_request_is_not_about_the_token_unless_it_is_a_401() {
    let line = "Bearer error=invalid_request";
    let not_auth = is(Verdict::Silent, Class::NotAuth, "challenge");
    assert_eq!(challenged("Bearer", 400, line), not_auth);
    assert_eq!(challenged("Bearer", 401, line), is(WEAK, Class::TokenRejected, "bare_401"));
}

#[test]
fn the_scheme_that_was_used_speaks_first() {
    let line = "Bearer error=insufficient_scope, DPoP error=invalid_token";
    let rejected = is(STRONG, Class::TokenRejected, "challenge");
    assert_eq!(challenged("dpop", 401, line), rejected);
    let scope = is(Verdict::Accepted, Class::InsufficientScope, "challenge");
    assert_eq!(challenged("bearer", 401, line), scope);
    let other = is(STRONG, Class::TokenRejected, "other_challenge");
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
    assert_eq!(reading, is(WEAK, Class::TokenRejected, "bare_401"));
}

#[test]
fn a_code_in_the_body_counts_on_401_and_403_alone() {
    let scope = is(Verdict::Accepted, Class::InsufficientScope, "body");
    assert_eq!(with_body(403, "\u{feff}{\"error\":\"insufficient_scope\"}"), scope);
    let rejected = is(STRONG, Class::TokenRejected, "body");
    assert_eq!(with_body(401, r#"{"error":"invalid_token"}"#), rejected);
    assert_eq!(with_body(400, r#"{"error":"invalid_token"}"#).2, "other");
    for body in [
        r#"{"error":{"code":"invalid_token"}}"#,
        r#"{"error":"invalid_token","error":"x"}"#,
        r#"{"error":"invalid_token""#,
        r#"[{"error":"invalid_token"}]"#,
        "error=invalid_token",
    ] {
        assert_eq!(with_body(401, body), is(WEAK, Class::TokenRejected, "bare_401"), "{body}");
    }
}

#[test]
fn a_body_of_64_kib_is_read_and_a_longer_one_is_not() {
    let body = r#"{"error":"invalid_token"}"#;
    let of_length = |length: usize| body.to_owned() + &" ".repeat(length - body.len());
    assert_eq!(with_body(401, &of_length(64 * 1024)).2, "body");
    assert_eq!(with_body(401, &of_length(64 * 1024 + 1)).2, "bare_401");
}

#[test]
fn a_wait_in_the_body_counts_where_the_answer_is_a_rate_limit() {
    let wait = |status, header: Option<u64>, body: &str| {
        let retry_after = header.map(Duration::from_secs);
        let reply = ApiReply { retry_after, body: body.as_bytes(), ..reply(status) };
        read_api_reply(&reply, None).retry_after.map(|wait| wait.as_secs())
    };
    let body = r#"{"retry_after":1.5}"#;
    assert_eq!(wait(429, None, body), Some(2));
    assert_eq!(wait(429, Some(1), body), Some(2));
    assert_eq!(wait(429, Some(3), body), Some(3));
    assert_eq!(wait(429, None, r#"{"retry_after":1e9}"#), Some(86_400));
    for status in [200, 401, 404, 503] {
        assert_eq!(wait(status, None, body), None, "{status}");
        assert_eq!(wait(status, Some(3), body), Some(3), "{status}");
    }
}

#[test]
fn an_api_that_offers_dpop_alone_wants_another_kind_of_token() {
    let mismatch = is(Verdict::Silent, Class::NotAuth, "scheme_mismatch");
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
        assert_eq!(reading, is(WEAK, Class::TokenRejected, "bare_401"), "{line}");
    }
}

#[test]
fn a_nonce_is_wanted_where_dpop_was_used_and_one_good_nonce_came() {
    const BEARER: (&str, &[u8]) = ("WWW-Authenticate", b"Bearer error=invalid_token");
    const DPOP: (&str, &[u8]) = ("WWW-Authenticate", b"DPoP error=\"use_dpop_nonce\"");
    let with = |scheme, nonces: &[&str], status| {
        let nonces = nonces.iter().map(|nonce| ("DPoP-Nonce", nonce.as_bytes()));
        let headers: Vec<_> = [BEARER, DPOP].into_iter().chain(nonces).collect();
        let reply = ApiReply { scheme: Some(scheme), headers: &headers, ..reply(status) };
        let reading = read_api_reply(&reply, None);
        ((reading.verdict, reading.class, reading.rule.into_owned()), reading.nonce)
    };
    let nonce = is(Verdict::Silent, Class::DpopNonce, "dpop_nonce");
    let good = Some("n-0S6_WzA2Mj".to_owned());
    assert_eq!(with("DPoP", &["n-0S6_WzA2Mj"], 401), (nonce.clone(), good.clone()));
    assert_eq!(with("DPoP", &["n-0S6_WzA2Mj"], 400), (nonce, good));
    let unusable = is(Verdict::Silent, Class::NotAuth, "dpop_nonce_unusable");
    for bad in [&[][..], &["a", "b"], &["bad\\nonce"]] {
        assert_eq!(with("DPoP", bad, 401), (unusable.clone(), None));
    }
    assert_eq!(with("DPoP", &["n"], 429).0.1, Class::RateLimited);
    let rejected = is(STRONG, Class::TokenRejected, "challenge");
    assert_eq!(with("Bearer", &["n"], 401).0, rejected);
}

#[test]
fn a_nonce_is_kept_from_any_answer() {
    let reply = ApiReply { headers: &[("dpop-nonce", b"next")], ..reply(200) };
    assert_eq!(read_api_reply(&reply, None).nonce.as_deref(), Some("next"));
}

#[test]
fn a_challenge_says_what_is_wanted() {
    let step_up = reading_of(
        401,
        r#"Bearer error="insufficient_user_authentication", acr_values="gold silver", max_age=0"#,
    );
    assert_eq!((step_up.acr_values.join(" "), step_up.max_age), ("gold silver".into(), Some(0)));
    let scope = reading_of(403, r#"Bearer error="insufficient_scope", scope="a b  c""#);
    assert_eq!(scope.scope, ["a", "b", "c"]);
    assert_eq!(scope.reason.as_deref(), Some("insufficient_scope"));
    let advice =
        reading_of(401, r#"Basic scope=z, Bearer scope="a", resource_metadata="https://m""#);
    assert_eq!((advice.class, advice.scope), (Class::TokenRejected, vec!["a".to_owned()]));
    assert_eq!(advice.resource_metadata.as_deref(), Some("https://m"));
}

#[test]
fn what_is_advised_to_who_has_no_token_is_told() {
    let line = br#"Bearer resource_metadata="https://m", scope="files:read""#;
    let headers: Headers<'_> = &[("www-authenticate", line)];
    let reading = read_api_reply(&ApiReply { scheme: None, headers, ..reply(401) }, None);
    assert_eq!((reading.class, reading.scope), (Class::NotAuth, vec!["files:read".to_owned()]));
    assert_eq!(reading.resource_metadata.as_deref(), Some("https://m"));
    let line = "Bearer resource_metadata=\"https://m/\u{202e}\"";
    assert_eq!(reading_of(401, line).resource_metadata, None);
}

#[test]
fn claims_are_decoded_and_nonsense_is_none() {
    let claims = |param: &str| {
        let reading =
            reading_of(401, &format!(r#"Bearer error="insufficient_claims", claims="{param}""#));
        assert_eq!(reading.class, Class::ClaimsChallenge);
        reading.claims
    };
    let json = r#"{"a":1}"#;
    assert_eq!(claims(r#"{\"a\":1}"#).as_deref(), Some(json));
    assert_eq!(claims("eyJhIjoxfQ==").as_deref(), Some(json));
    assert_eq!(claims("eyJhIjoxfQ").as_deref(), Some(json));
    for nonsense in ["", "{", "{]", "WzFd", "!!", "gA", &"A".repeat(9000)] {
        assert_eq!(claims(nonsense), None, "{nonsense}");
    }
    let elsewhere = reading_of(401, r#"Bearer error="invalid_token", claims="eyJhIjoxfQ""#);
    assert_eq!(elsewhere.claims, None);
}

#[test]
fn a_provider_is_read_before_the_default_table_and_after_what_none_may_change() {
    let own = r#"{"name":"own","api":[
        {"name":"all","when":{},"class":"TokenRejected","strength":"weak"}]}"#;
    let profile = Profile::of(own).unwrap();
    let read = |reply: &ApiReply<'_>| {
        let reading = read_api_reply(reply, Some(&profile));
        (reading.verdict, reading.rule.into_owned())
    };
    for status in [200, 302, 400, 404] {
        assert_eq!(read(&reply(status)), (WEAK, "own.all".to_owned()), "{status}");
    }
    for status in [407, 511] {
        assert_eq!(read(&reply(status)).1, "network_status");
    }
    // A busy server knows nothing of the token, unless the rule means just that.
    assert_eq!(read(&reply(429)).1, "too_many_requests");
    assert_eq!(read(&reply(503)).1, "server_error");
    let named = Profile::of(&own.replace("{}", r#"{"status":[429,503]}"#)).unwrap();
    for status in [429, 503] {
        assert_eq!(read_api_reply(&reply(status), Some(&named)).rule, "own.all");
    }
    assert_eq!(read(&ApiReply { scheme: None, ..reply(401) }).1, "no_token_sent");
    assert_eq!(read_api_reply(&reply(404), Some(&profile)).reason.as_deref(), Some("all"));
}

#[test]
fn a_provider_says_where_the_missing_scope_is_told() {
    let scope = |place: &str, separator: &str, body: &str| {
        let own = format!(
            r#"{{"name":"own"{separator},"api":[{{"name":"more","class":"InsufficientScope",
                "when":{{}},"scope":{place}}}]}}"#
        );
        let profile = Profile::of(&own).unwrap();
        let headers: Headers<'_> = &[("www-authenticate", b"Bearer scope=\"in header\"")];
        let reply = ApiReply { headers, body: body.as_bytes(), ..reply(403) };
        read_api_reply(&reply, Some(&profile)).scope
    };
    let comma = r#","scope_separator":",""#;
    let path = r#"{"path":"/need"}"#;
    assert_eq!(scope(path, "", r#"{"need":"a,b c"}"#), ["a,b", "c"]);
    assert_eq!(scope(path, comma, r#"{"need":"a,b c,,"}"#), ["a", "b", "c"]);
    assert_eq!(scope(path, "", r#"{"need":["a","b"]}"#), ["a", "b"]);
    let many = format!(r#"{{"need":["{}","{0}"]}}"#, "s ".repeat(200));
    assert_eq!(scope(path, "", &many).len(), 256);
    assert_eq!(scope(r#""challenge""#, "", ""), ["in", "header"]);
    let between = r#"{"between":["need [","]"]}"#;
    assert_eq!(scope(between, "", "you need [a, b,c] of [d]"), ["a", "b", "c"]);
    assert_eq!(scope(between, "", "you need [a, b"), Vec::<String>::new());
    let after = r#"{"after":"need "}"#;
    for text in ["you need a more", "need a,b", "need a\\nb", "need a\"", "need a"] {
        assert_eq!(scope(after, "", text), ["a"], "{text}");
    }
    assert_eq!(scope(after, "", "nothing"), Vec::<String>::new());
}

#[test]
fn grpc_says_it_in_its_own_status() {
    let with = |content_type: &str, statuses: &[&str]| {
        let statuses = statuses.iter().map(|status| ("grpc-status", status.as_bytes()));
        let content_type = [("content-type", content_type.as_bytes())];
        let headers: Vec<_> = content_type.into_iter().chain(statuses).collect();
        read(&ApiReply { headers: &headers, ..reply(200) })
    };
    let grpc = |statuses: &[&str]| with("Application/gRPC+proto", statuses);
    assert_eq!(grpc(&["16"]), is(STRONG, Class::TokenRejected, "grpc_status"));
    assert_eq!(grpc(&["8"]), is(Verdict::Silent, Class::RateLimited, "grpc_status"));
    assert_eq!(grpc(&["0"]), is(Verdict::Accepted, Class::NotAuth, "grpc_status"));
    let silent = is(Verdict::Silent, Class::NotAuth, "grpc_status");
    assert_eq!(grpc(&[]), silent);
    assert_eq!(grpc(&["7"]), silent);
    assert_eq!(grpc(&["0", "16"]), silent);
    assert_eq!(with("application/json", &["16"]).2, "below_400");
}

#[test]
fn a_reply_in_a_log_shows_neither_body_nor_challenge() {
    let headers: Headers<'_> = &[("www-authenticate", b"Bearer realm=\"canary\"")];
    let reply = ApiReply { headers, body: b"canary", ..reply(401) };
    let shown = format!("{reply:?}");
    assert!(!shown.contains("canary"), "{shown}");
    for told in ["Bearer", "401", "6 bytes"] {
        assert!(shown.contains(told), "{shown}");
    }
}
