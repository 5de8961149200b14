//! Answers of real providers, one a line in `fixtures/`, read with their provider's profile and
//! without one.
//!
//! `expect` is what the profile makes of the line, `expect_generic` what the default rules must
//! make of it; `strength_profile` and `strength` are alike. The parsed values beside them are
//! those of the profile. `null` means that there is none.
//!
//! The lines of `profile-rules.jsonl` are ours, made from each provider's documentation: one for
//! each rule that no line of the others decides, with the rule's name.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "clippy sees no test in a test's helpers: a broken line is a failed test, and the table is for who runs it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use regrant_core::protocol::{
    ApiReading, ApiReply, Profile, TokenReading, TokenReply, challenges, read_api_reply,
    read_token_reply,
};
use regrant_core::{Answer, Applied, Cause, Secret, Strength, Verdict};
use serde_json::Value;

const RESOURCE: &str = include_str!("fixtures/resource-responses.jsonl");
const TOKEN: &str = include_str!("fixtures/token-responses.jsonl");
const RULES: &str = include_str!("fixtures/profile-rules.jsonl");

/// Lines that no reader sees: there is no answer to read, and the transport reports
/// [`Cause::NoAnswer`] itself.
const NO_ANSWER: [&str; 3] = ["tk-183-timeout", "tk-184-reset", "tk-185-truncated"];

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

/// The header, line by line.
fn header(line: &Value) -> Vec<(String, Vec<u8>)> {
    let latin1 = line["headers_latin1"] == true;
    let bytes = |value: &Value| -> Vec<u8> {
        let value = value.as_str().unwrap();
        if latin1 {
            value.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
        } else {
            value.as_bytes().to_vec()
        }
    };
    let mut lines = Vec::new();
    for (key, value) in line["headers"].as_object().unwrap() {
        match value {
            Value::Array(values) => lines.extend(values.iter().map(|v| (key.clone(), bytes(v)))),
            value => lines.push((key.clone(), bytes(value))),
        }
    }
    for (key, plan) in line["headers_gen"].as_object().into_iter().flatten() {
        lines.push((key.clone(), generated(plan)));
    }
    lines
}

fn slices(lines: &[(String, Vec<u8>)]) -> Vec<(&str, &[u8])> {
    lines.iter().map(|(name, line)| (name.as_str(), line.as_slice())).collect()
}

fn first(lines: &[(String, Vec<u8>)], name: &str) -> Option<String> {
    let (_, line) = lines.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
    String::from_utf8(line.clone()).ok()
}

/// `Retry-After` in its numeric form, as a transport resolves it. Dates are the transport's.
fn retry_after(lines: &[(String, Vec<u8>)]) -> Option<Duration> {
    let text = first(lines, "retry-after")?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

/// The profile of a line's provider, if there is one with rules of that kind.
fn profile(line: &Value, has_rules: fn(&Profile) -> bool) -> Option<Profile> {
    let name = line["profile"].as_str().unwrap_or(text(line, "provider"));
    Profile::of(name).ok().filter(has_rules)
}

fn status(line: &Value) -> u16 {
    u16::try_from(line["status"].as_u64().unwrap()).unwrap()
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
    fn check(&mut self, line: &Value, expected: &str, class: &str, rule: &str, wrong: &[String]) {
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

/// What is wrong with the values beside the class, where the line states them.
struct Compared<'l> {
    line: &'l Value,
    wrong: Vec<String>,
}

impl Compared<'_> {
    fn value(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        if self.line.get(key).is_some_and(|expected| *expected != value) {
            self.wrong.push(format!("{key} is {value}"));
        }
    }
}

fn list(words: &[String]) -> Value {
    if words.is_empty() { Value::Null } else { words.into() }
}

fn strength(verdict: Verdict) -> Value {
    match verdict {
        Verdict::Rejected(Strength::Strong) => "strong".into(),
        Verdict::Rejected(Strength::Weak) => "weak".into(),
        Verdict::Accepted | Verdict::Silent => Value::Null,
    }
}

fn with_api_reply<T>(line: &Value, read: impl FnOnce(&ApiReply<'_>) -> T) -> T {
    let (header, body) = (header(line), body(line));
    let scheme = line["ctx"]["scheme"].as_str().unwrap_or("Bearer");
    read(&ApiReply {
        scheme: Some(scheme).filter(|_| line["ctx"]["had_token"] != false),
        status: status(line),
        headers: &slices(&header),
        retry_after: retry_after(&header),
        body: &body,
    })
}

fn with_token_reply<T>(line: &Value, read: impl FnOnce(&TokenReply<'_>) -> T) -> T {
    let (header, body) = (header(line), body(line));
    read(&TokenReply {
        status: status(line),
        headers: &slices(&header),
        retry_after: retry_after(&header),
        date: None,
        body: &body,
        scope_sent: line["ctx"]["sent_scope"] == true,
        dpop_required: line["ctx"]["require_dpop"] == true,
        sent: &[],
    })
}

/// The values that an API's answer gives besides its class.
fn wrong_api_values(line: &Value, reading: &ApiReading<'_>) -> Vec<String> {
    let mut compared = Compared { line, wrong: Vec::new() };
    let has_date = line["headers"]["Date"].is_string();
    if !has_date {
        let wait = reading.retry_after.map(|wait| wait.as_secs());
        compared.value("retry_after", wait);
    }
    compared.value("scope", list(&reading.scope));
    compared.value("claims", reading.claims.clone());
    compared.value("acr_values", list(&reading.acr_values));
    compared.value("max_age", reading.max_age);
    compared.value("nonce", reading.nonce.clone());
    compared.value("reason", reading.reason.clone());
    compared.value("resource_metadata", reading.resource_metadata.clone());
    compared.wrong
}

#[test]
fn answers_of_apis_mean_what_the_tables_say() {
    let (mut generic, mut profiled) = (Tally::default(), Tally::default());
    for line in lines(RESOURCE) {
        with_api_reply(&line, |reply| {
            let reading = read_api_reply(reply, None);
            let mut wrong = Vec::new();
            if line["strength"].is_string() && line["expect_generic"] == "TokenRejected" {
                let strength = strength(reading.verdict);
                if strength != line["strength"] {
                    wrong.push(format!("strength is {strength}"));
                }
            }
            let offered = reply
                .headers
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
            let found = challenges(offered.map(|(_, line)| *line)).len();
            if line["challenges"].as_u64().is_some_and(|expected| expected != found as u64) {
                wrong.push(format!("{found} challenges"));
            }
            if line["expect"] == line["expect_generic"] {
                wrong.extend(wrong_api_values(&line, &reading));
            }
            let class = format!("{:?}", reading.class);
            generic.check(&line, text(&line, "expect_generic"), &class, &reading.rule, &wrong);

            let profile = profile(&line, Profile::has_api_rules);
            let reading = read_api_reply(reply, profile.as_ref());
            let mut wrong = wrong_api_values(&line, &reading);
            let expected = line.get("strength_profile").or(line.get("strength"));
            let strength = strength(reading.verdict);
            if line["expect"] == "TokenRejected" && expected.is_some_and(|it| *it != strength) {
                wrong.push(format!("strength is {strength}"));
            }
            let class = format!("{:?}", reading.class);
            profiled.check(&line, text(&line, "expect"), &class, &reading.rule, &wrong);
        });
    }
    generic.finish("answers of APIs, by the default rules");
    profiled.finish("answers of APIs, by their provider's profile");
}

#[test]
fn answers_of_token_endpoints_mean_what_the_tables_say() {
    let (mut generic, mut profiled) = (Tally::default(), Tally::default());
    let mut unread = Vec::new();
    for line in lines(TOKEN) {
        if status(&line) == 0 {
            unread.push(text(&line, "id").to_owned());
            continue;
        }
        with_token_reply(&line, |reply| {
            let profile = profile(&line, Profile::has_token_rules);
            let reading = read_token_reply(reply, None);
            let same = line["expect"] == line["expect_generic"] && profile.is_none();
            let wrong = if same { wrong_token_values(&line, &reading) } else { Vec::new() };
            let (class, rule) = (answer_name(&reading.answer), &reading.rule);
            generic.check(&line, text(&line, "expect_generic"), class, rule, &wrong);

            let reading = read_token_reply(reply, profile.as_ref());
            let wrong = wrong_token_values(&line, &reading);
            let (class, rule) = (answer_name(&reading.answer), &reading.rule);
            profiled.check(&line, text(&line, "expect"), class, rule, &wrong);
        });
    }
    assert_eq!(unread, NO_ANSWER);
    generic.finish("answers of token endpoints, by the default rules");
    profiled.finish("answers of token endpoints, by their provider's profile");
}

/// The values that an answer of the token endpoint gives besides its class.
fn wrong_token_values(line: &Value, reading: &TokenReading<'_>) -> Vec<String> {
    let mut compared = Compared { line, wrong: Vec::new() };
    compared.value("nonce", reading.nonce.clone());
    let failure = match &reading.answer {
        Answer::Granted(grant) => {
            let seconds = |length: Option<Duration>| Value::from(length.map(|l| l.as_secs()));
            compared.value("expires_in", seconds(grant.expires_in));
            compared.value("refresh_expires_in", seconds(grant.refresh_expires_in));
            let token = grant.refresh_token.as_ref().map(Secret::expose);
            compared.value("refresh_token", token);
            compared.value("token_type", grant.token_type.to_lowercase());
            let scope = grant.scope.as_ref().map(|scope| scope.split(' ').collect::<Vec<_>>());
            compared.value("scope", scope);
            return compared.wrong;
        }
        Answer::Failed(failure) | Answer::Unusable { failure, .. } => Some(failure),
        Answer::Refused(_) => None,
        Answer::NonceWanted => {
            compared.value("reason", "use_dpop_nonce");
            return compared.wrong;
        }
    };
    compared.value("reason", reading.reason.clone());
    let wait = failure.and_then(|failure| failure.retry_after).map(|wait| wait.as_secs());
    compared.value("retry_after", wait);
    let ambiguous = failure.is_some_and(|failure| failure.applied != Applied::No);
    compared.value("ambiguous", ambiguous);
    compared.wrong
}

/// Every rule of every built-in profile that some line is decided by.
fn rules_that_decide() -> BTreeSet<String> {
    let mut decided = BTreeSet::new();
    for line in lines(RESOURCE) {
        if let Some(profile) = profile(&line, Profile::has_api_rules) {
            decided.insert(with_api_reply(&line, |reply| {
                read_api_reply(reply, Some(&profile)).rule.into_owned()
            }));
        }
    }
    for line in lines(TOKEN).filter(|line| status(line) != 0) {
        if let Some(profile) = profile(&line, Profile::has_token_rules) {
            decided.insert(with_token_reply(&line, |reply| {
                read_token_reply(reply, Some(&profile)).rule.into_owned()
            }));
        }
    }
    for line in lines(RULES) {
        decided.insert(text(&line, "rule").to_owned());
    }
    decided
}

#[test]
fn every_rule_of_a_built_in_profile_decides_a_line() {
    let decided = rules_that_decide();
    let mut idle = Vec::new();
    for name in Profile::names() {
        let profile = Profile::of(name).unwrap();
        let rules = profile.rules().map(|rule| format!("{name}.{rule}"));
        idle.extend(rules.filter(|rule| !decided.contains(rule)));
    }
    assert_eq!(idle, Vec::<String>::new());
}

#[test]
fn lines_made_for_a_rule_are_decided_by_it() {
    let mut tally = Tally::default();
    for line in lines(RULES) {
        let profile = Profile::of(text(&line, "provider")).unwrap();
        let (class, rule) = if line["kind"] == "token" {
            with_token_reply(&line, |reply| {
                let reading = read_token_reply(reply, Some(&profile));
                (answer_name(&reading.answer).to_owned(), reading.rule.into_owned())
            })
        } else {
            with_api_reply(&line, |reply| {
                let reading = read_api_reply(reply, Some(&profile));
                (format!("{:?}", reading.class), reading.rule.into_owned())
            })
        };
        let wrong = (rule != text(&line, "rule")).then(|| "another rule".to_owned());
        tally.check(&line, text(&line, "expect"), &class, &rule, wrong.as_slice());
    }
    tally.finish("lines made for a rule");
}

#[test]
fn every_line_has_its_own_name() {
    let all_lines = lines(RESOURCE).chain(lines(TOKEN)).chain(lines(RULES));
    let mut ids: Vec<_> = all_lines.map(|line| text(&line, "id").to_owned()).collect();
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
}
