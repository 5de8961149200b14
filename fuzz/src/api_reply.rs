//! What an API's answer says about the token.

use std::collections::BTreeSet;

use regrant_core::Verdict;
use regrant_core::protocol::{ApiReading, ApiReply, Class, Profile, cleaned, read_api_reply};

use super::message::{Message, rearranged, slices};

/// The default table's rules.
const RULES: [&str; 15] = [
    "no_token_sent",
    "network_status",
    "dpop_nonce",
    "dpop_nonce_unusable",
    "grpc_status",
    "below_400",
    "too_many_requests",
    "server_error",
    "forbidden_for_now",
    "challenge",
    "other_challenge",
    "body",
    "scheme_mismatch",
    "bare_401",
    "other",
];

/// Reads an answer: its first line has the status, `scheme=`, `profile=`.
pub fn api_reply(data: &[u8]) {
    let message = Message::of(data);
    check(&message, None);
    if let Some(profile) = message.profile() {
        check(&message, Some(profile));
    }
}

pub(super) fn check(message: &Message<'_>, profile: Option<&Profile>) {
    let reply = ApiReply {
        scheme: message.word("scheme"),
        status: message.status(),
        headers: &message.headers,
        retry_after: message.retry_after(),
        body: message.body,
    };
    let reading = read_api_reply(&reply, profile);
    is_consistent(&reading);
    is_fit_to_be_shown(&reading);
    by_whose_rule(&reply, &reading, profile);

    let lines = rearranged(reply.headers);
    let again = read_api_reply(&ApiReply { headers: &slices(&lines), ..reply }, profile);
    assert_eq!(reading, again, "the case of names and the order of fields count for nothing");

    let reads_body = matches!(reply.status, 401 | 403 | 429)
        || profile.is_some_and(|profile| profile.reads_body(reply.status));
    if !reads_body {
        let again = read_api_reply(&ApiReply { body: b"", ..reply }, profile);
        assert_eq!(reading, again, "a body that no transport reads was looked at");
    }
    let empty = vec![0; reply.body.len()];
    let silent = ApiReply { headers: &[], body: &empty, ..reply };
    assert_eq!(format!("{reply:?}"), format!("{silent:?}"), "an answer is not shown");
}

fn is_consistent(reading: &ApiReading<'_>) {
    let ApiReading { class, verdict, .. } = reading;
    match verdict {
        Verdict::Rejected(_) => assert!(
            matches!(class, Class::TokenRejected | Class::Revoked | Class::ClaimsChallenge),
            "{reading:?}"
        ),
        Verdict::Accepted => assert!(
            matches!(class, Class::NotAuth | Class::InsufficientScope | Class::StepUp),
            "{reading:?}"
        ),
        Verdict::Silent => assert!(
            matches!(class, Class::NotAuth | Class::RateLimited | Class::DpopNonce),
            "{reading:?}"
        ),
    }
    if let Some(claims) = &reading.claims {
        assert_eq!(*class, Class::ClaimsChallenge);
        let claims: serde_json::Value = serde_json::from_str(claims).expect("claims are JSON");
        assert!(claims.is_object());
    }
}

fn is_fit_to_be_shown(reading: &ApiReading<'_>) {
    let words = reading.scope.iter().chain(&reading.acr_values);
    assert!(words.clone().all(|word| !word.is_empty()));
    for text in words.chain(&reading.reason) {
        assert!(cleaned(text) == *text && text.len() <= 256, "{text:?}");
    }
    assert!(reading.scope.len() <= 256 && reading.acr_values.len() <= 256);
    assert!(reading.retry_after.is_none_or(|wait| wait.as_secs() <= 86_400));
    if let Some(nonce) = &reading.nonce {
        assert!((1..=1024).contains(&nonce.len()));
        assert!(nonce.bytes().all(|byte| matches!(byte, 0x21..=0x7e) && !b"\"\\".contains(&byte)));
    }
    if let Some(url) = &reading.resource_metadata {
        assert!(url.len() <= 2048 && !url.chars().any(char::is_control));
    }
}

/// What may be said by whose rule.
fn by_whose_rule(reply: &ApiReply<'_>, reading: &ApiReading<'_>, profile: Option<&Profile>) {
    let status = reply.status;
    let rule = &*reading.rule;
    if !RULES.contains(&rule) {
        let profile = profile.expect("without a profile the default table decides");
        let rules: BTreeSet<_> =
            profile.rules().map(|rule| format!("{}.{rule}", profile.name())).collect();
        assert!(rules.contains(rule), "{rule} is nobody's");
        assert!(reply.scheme.is_some() && !matches!(status, 407 | 511), "{rule} comes too early");
        return;
    }
    if reply.scheme.is_none() {
        assert_eq!((rule, reading.verdict), ("no_token_sent", Verdict::Silent));
        return;
    }
    match status {
        407 | 511 => assert_eq!((rule, reading.verdict), ("network_status", Verdict::Silent)),
        ..400 if rule != "grpc_status" => assert_eq!(reading.verdict, Verdict::Accepted),
        429 | 500.. => assert_eq!(reading.verdict, Verdict::Silent, "{rule}"),
        _ => {}
    }
    if rule == "grpc_status" {
        assert_eq!(status, 200);
    }
    // A rejection rests on a status that means it, or on a code that the server wrote.
    if matches!(reading.verdict, Verdict::Rejected(_)) && rule != "grpc_status" {
        let words = reading.reason.is_some();
        assert!((400..500).contains(&status) && (status == 401 || words), "{reading:?}");
    }
}
