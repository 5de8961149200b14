//! Answers of real providers, one a line in `fixtures/`, read by the default rules.
//!
//! `expect` is what a provider's profile makes of the line, `expect_generic` what the default
//! rules must make of it. Where the two differ, the parsed values beside them are the profile's.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy sees no test in a test's helpers: a broken line is a failed test, and the table is for who runs it"
)]

use std::collections::BTreeMap;
use std::time::Duration;

use regrant_core::protocol::{
    ApiReply, Class, TokenReply, challenges, read_api_reply, read_token_reply,
};
use regrant_core::{Answer, Cause, Secret, Strength, Verdict};
use serde_json::Value;

const RESOURCE: &str = include_str!("fixtures/resource-responses.jsonl");
const TOKEN: &str = include_str!("fixtures/token-responses.jsonl");

/// Lines that no reader sees: there is no answer to read, and the transport reports
/// [`Cause::NoAnswer`] itself.
const NO_ANSWER: [&str; 3] = ["tk-183-timeout", "tk-184-reset", "tk-185-truncated"];

/// Lines whose class both tables agree on, but whose lifetime only a profile can know: this
/// server counts in milliseconds.
const PROFILE_LIFETIME: [&str; 1] = ["tk-037-exp-ms"];

/// The line whose reason is a profile's: it names a member that only a profile reads.
const PROFILE_REASON: [&str; 1] = ["tk-147-zoom-grant"];

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn text<'a>(line: &'a Value, key: &str) -> &'a str {
    line[key].as_str().unwrap_or_else(|| panic!("{line} has no {key}"))
}

fn generated(plan: &Value) -> Vec<u8> {
    let count = usize::try_from(plan["count"].as_u64().unwrap()).unwrap();
    (text(plan, "prefix").to_owned() + &text(plan, "unit").repeat(count) + text(plan, "suffix"))
        .into_bytes()
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        bits = bits << 6 | u32::try_from(DIGITS.iter().position(|&d| d == byte).unwrap()).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    out
}

fn body(line: &Value) -> Vec<u8> {
    match (&line["body"], &line["body_b64"], &line["body_gen"]) {
        (Value::String(body), _, _) => body.clone().into_bytes(),
        (_, Value::String(encoded), _) => base64(encoded),
        (_, _, plan) => generated(plan),
    }
}

/// All lines of one header field.
fn field(line: &Value, name: &str) -> Vec<Vec<u8>> {
    let latin1 = line["headers_latin1"] == true;
    let bytes = |value: &Value| {
        let value = value.as_str().unwrap();
        if latin1 {
            value.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
        } else {
            value.as_bytes().to_vec()
        }
    };
    let mut lines = Vec::new();
    for (key, value) in line["headers"].as_object().unwrap() {
        if key.eq_ignore_ascii_case(name) {
            match value {
                Value::Array(values) => lines.extend(values.iter().map(bytes)),
                value => lines.push(bytes(value)),
            }
        }
    }
    for (key, plan) in line["headers_gen"].as_object().into_iter().flatten() {
        if key.eq_ignore_ascii_case(name) {
            lines.push(generated(plan));
        }
    }
    lines
}

fn first(line: &Value, name: &str) -> Option<String> {
    field(line, name).into_iter().next().and_then(|value| String::from_utf8(value).ok())
}

fn slices(lines: &[Vec<u8>]) -> Vec<&[u8]> {
    lines.iter().map(Vec::as_slice).collect()
}

/// Retry-After in its numeric form, as a transport resolves it.
fn retry_after(line: &Value) -> Option<Duration> {
    first(line, "retry-after")?.parse().ok().map(Duration::from_secs)
}

fn status(line: &Value) -> u16 {
    u16::try_from(line["status"].as_u64().unwrap()).unwrap()
}

fn class_name(class: Class) -> &'static str {
    match class {
        Class::TokenRejected => "TokenRejected",
        Class::Revoked => "Revoked",
        Class::InsufficientScope => "InsufficientScope",
        Class::StepUp => "StepUp",
        Class::ClaimsChallenge => "ClaimsChallenge",
        Class::DpopNonce => "DpopNonce",
        Class::RateLimited => "RateLimited",
        Class::NotAuth => "NotAuth",
        _ => unreachable!("a class without a name in the fixtures"),
    }
}

/// The fixtures' word for an answer. They file a wanted nonce under what is transient.
fn answer_name(answer: &Answer) -> &'static str {
    match answer {
        Answer::Granted(grant) if grant.refresh_token.is_some() => "Granted",
        Answer::Granted(_) => "GrantedKeepRefreshToken",
        Answer::Refused(_) => "NeedsLogin",
        Answer::NonceWanted => "Transient",
        Answer::Unusable { .. } => "Malformed",
        Answer::Failed(failure) => match failure.cause {
            Cause::Unreachable | Cause::Unavailable | Cause::RateLimited | Cause::NoAnswer => {
                "Transient"
            }
            Cause::ClientMisconfigured => "ClientMisconfigured",
            Cause::NotOauth | Cause::UnknownError | Cause::EndpointMoved => "Malformed",
            _ => unreachable!("a cause without a name in the fixtures"),
        },
    }
}

/// What was expected, what came, by class; and every line that failed.
#[derive(Default)]
struct Tally {
    counts: BTreeMap<String, (u32, u32)>,
    failures: Vec<String>,
}

impl Tally {
    fn check(&mut self, line: &Value, class: &str, rule: &str, wrong: &[String]) {
        let expected = text(line, "expect_generic");
        let (passed, all) = self.counts.entry(expected.to_owned()).or_default();
        *all += 1;
        if class == expected && wrong.is_empty() {
            *passed += 1;
        } else {
            let id = text(line, "id");
            self.failures
                .push(format!("{id}: expected {expected}, got {class} by {rule} {wrong:?}"));
        }
    }

    fn finish(self, title: &str) {
        println!("{title}");
        for (class, (passed, all)) in &self.counts {
            println!("  {class:<24} {passed:>4} of {all}");
        }
        assert!(self.failures.is_empty(), "{}", self.failures.join("\n"));
    }
}

#[test]
fn answers_of_apis_mean_what_the_default_table_says() {
    let mut tally = Tally::default();
    for line in lines(RESOURCE) {
        let (offered, nonces) = (field(&line, "www-authenticate"), field(&line, "dpop-nonce"));
        let grpc_statuses = field(&line, "grpc-status");
        let content_type = first(&line, "content-type");
        let body = body(&line);
        let scheme = line["ctx"]["scheme"].as_str().unwrap_or("Bearer");
        let reply = ApiReply {
            scheme: Some(scheme).filter(|_| line["ctx"]["had_token"] != false),
            status: status(&line),
            www_authenticate: &slices(&offered),
            dpop_nonces: &slices(&nonces),
            grpc_statuses: &slices(&grpc_statuses),
            content_type: content_type.as_deref(),
            retry_after: retry_after(&line).is_some(),
            exhausted: first(&line, "x-ratelimit-remaining").as_deref() == Some("0"),
            body: &body,
        };
        let (verdict, class, rule) = read_api_reply(&reply);

        let mut wrong = Vec::new();
        if text(&line, "expect_generic") == "TokenRejected" {
            let strength = match line["strength"].as_str() {
                Some("weak") => Some(Strength::Weak),
                Some("strong") => Some(Strength::Strong),
                _ => None,
            };
            if strength.is_some_and(|strength| verdict != Verdict::Rejected(strength)) {
                wrong.push(format!("{verdict:?}"));
            }
        }
        let found = challenges(slices(&offered)).len();
        if line["challenges"].as_u64().is_some_and(|expected| expected != found as u64) {
            wrong.push(format!("{found} challenges"));
        }
        tally.check(&line, class_name(class), rule, &wrong);
    }
    tally.finish("answers of APIs");
}

#[test]
fn answers_of_token_endpoints_mean_what_the_default_table_says() {
    let mut tally = Tally::default();
    let mut unread = Vec::new();
    for line in lines(TOKEN) {
        let id = text(&line, "id");
        if status(&line) == 0 {
            unread.push(id.to_owned());
            continue;
        }
        let nonces = field(&line, "dpop-nonce");
        let content_type = first(&line, "content-type");
        let body = body(&line);
        let reply = TokenReply {
            status: status(&line),
            content_type: content_type.as_deref(),
            retry_after: retry_after(&line),
            dpop_nonces: &slices(&nonces),
            body: &body,
            scope_sent: line["ctx"]["sent_scope"] == true,
            dpop_required: line["ctx"]["require_dpop"] == true,
        };
        let (answer, rule) = read_token_reply(&reply);
        let wrong = if line["expect"] == line["expect_generic"] {
            wrong_values(&line, &answer)
        } else {
            Vec::new()
        };
        tally.check(&line, answer_name(&answer), rule, &wrong);
    }
    assert_eq!(unread, NO_ANSWER);
    tally.finish("answers of token endpoints");
}

/// The values beside the class, where the line states them; `null` means that there is none.
fn wrong_values(line: &Value, answer: &Answer) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |key: &str, value: Value| {
        if line.get(key).is_some_and(|expected| *expected != value) {
            wrong.push(format!("{key} is {value}"));
        }
    };
    match answer {
        Answer::Granted(grant) => {
            if !PROFILE_LIFETIME.contains(&text(line, "id")) {
                compare("expires_in", grant.expires_in.map(|length| length.as_secs()).into());
            }
            compare("refresh_token", grant.refresh_token.as_ref().map(Secret::expose).into());
            compare("token_type", grant.token_type.to_lowercase().into());
            let scope = grant.scope.as_ref().map(|scope| scope.split(' ').collect::<Vec<_>>());
            compare("scope", scope.into());
        }
        Answer::Refused(refusal) => {
            if !PROFILE_REASON.contains(&text(line, "id")) {
                compare("reason", refusal.code.to_lowercase().into());
            }
        }
        Answer::Failed(failure) => {
            compare("retry_after", failure.retry_after.map(|wait| wait.as_secs()).into());
        }
        Answer::NonceWanted | Answer::Unusable { .. } => {}
    }
    wrong
}

#[test]
fn every_line_has_its_own_name() {
    let mut ids: Vec<_> =
        lines(RESOURCE).chain(lines(TOKEN)).map(|line| text(&line, "id").to_owned()).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
}
