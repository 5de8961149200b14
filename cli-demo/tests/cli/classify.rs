//! What the command makes of HTTP answers, held to the fixtures that the readers are held to.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use regrant_sandbox::Config;
use serde_json::{Map, Value, json};

use crate::support::*;

const RESOURCE: &str = include_str!("../../../core/tests/fixtures/resource-responses.jsonl");
const TOKEN: &str = include_str!("../../../core/tests/fixtures/token-responses.jsonl");

/// What of a fixture is the answer, and not what is expected of it.
const INPUT: [&str; 10] = [
    "id",
    "status",
    "headers",
    "body",
    "body_b64",
    "body_gen",
    "headers_gen",
    "headers_latin1",
    "transport",
    "ctx",
];

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

/// A fixture as a line of a batch, with this profile.
fn asked(fixture: &Value, profile: Option<&str>) -> String {
    let members = fixture.as_object().unwrap().iter();
    let input = members.filter(|(name, _)| INPUT.contains(&name.as_str()));
    let mut line: Map<_, _> = input.map(|(n, v)| (n.clone(), v.clone())).collect();
    line.insert("profile".to_owned(), profile.into());
    Value::Object(line).to_string()
}

fn batch(user: &User, kind: &str, input: &str) -> Ran {
    let mut command = user.command();
    command.args(["classify", "--batch", "--kind", kind]);
    with_input(command, input)
}

/// What the command says of each fixture, beside the fixture.
fn said_of(user: &User, kind: &str, text: &str, with_profile: bool) -> Vec<(Value, Value)> {
    let profile = |fixture: &Value| {
        let name = fixture["profile"].as_str().or(fixture["provider"].as_str());
        name.filter(|_| with_profile).map(str::to_owned)
    };
    let asked = lines(text).map(|fixture| asked(&fixture, profile(&fixture).as_deref()));
    let input = asked.collect::<Vec<_>>().join("\n");
    let ran = batch(user, kind, &input).exits(0);
    assert_eq!(ran.err, "");
    let said: Vec<_> = lines(&ran.out).collect();
    assert_eq!(said.len(), lines(text).count());
    lines(text).zip(said).collect()
}

/// Where the command's word is another one than the fixture's, value by value.
fn wrong(fixture: &Value, said: &Value, values: &[&str]) -> Vec<String> {
    let differs = |name: &&&str| {
        fixture
            .get(**name)
            .is_some_and(|expected| said.get(**name).unwrap_or(&Value::Null) != expected)
    };
    let told = |name: &&str| format!("{}: {name} is {}", fixture["id"], said[*name]);
    values.iter().filter(differs).map(told).collect()
}

const RESOURCE_VALUES: [&str; 9] = [
    "retry_after",
    "scope",
    "claims",
    "acr_values",
    "max_age",
    "nonce",
    "challenges",
    "reason",
    "resource_metadata",
];
const TOKEN_VALUES: [&str; 10] = [
    "expires_in",
    "refresh_token",
    "refresh_expires_in",
    "scope",
    "token_type",
    "retry_after",
    "nonce",
    "reason",
    "claims",
    "ambiguous",
];

#[test]
fn a_batch_reads_answers_as_the_library_does() {
    let user = User::new(Config::default());
    let mut failures = Vec::new();
    for (kind, text, values) in
        [("resource", RESOURCE, &RESOURCE_VALUES[..]), ("token", TOKEN, &TOKEN_VALUES)]
    {
        for with_profile in [true, false] {
            let mut classes = BTreeMap::<String, u32>::new();
            for (fixture, said) in said_of(&user, kind, text, with_profile) {
                let expected = &fixture[if with_profile { "expect" } else { "expect_generic" }];
                *classes.entry(expected.to_string()).or_default() += 1;
                assert_eq!(said["id"], fixture["id"]);
                if said["class"] != *expected {
                    failures.push(format!("{}: {said}, not {expected}", fixture["id"]));
                }
                let strength = fixture.get("strength_profile").filter(|_| with_profile);
                let strength = strength.or(fixture.get("strength"));
                if *expected == "TokenRejected"
                    && strength.is_some_and(|it| *it != said["strength"])
                {
                    failures.push(format!("{}: strength is {}", fixture["id"], said["strength"]));
                }
                // The values stated are those of the profile.
                if with_profile {
                    failures.extend(wrong(&fixture, &said, values));
                }
                assert!(said["rule"].is_string(), "{said}");
            }
            assert!(classes.len() > 4, "{kind}: {classes:?}");
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(files(user.home()).is_empty(), "no store was opened");
}

#[test]
fn dates_are_measured_against_the_answer_s_own_clock() {
    let user = User::new(Config::default());
    let line = |headers: Value| json!({ "id": 1, "status": 429, "headers": headers }).to_string();
    let date = "Wed, 21 Oct 2015 07:28:00 GMT";
    let input =
        line(json!({ "Retry-After": ["Wed, 21 Oct 2015 07:29:30 GMT", "7"], "date": date }));
    assert_eq!(batch(&user, "resource", &input).exits(0).json()["retry_after"], 90);
    let input = line(json!({ "retry-after": "Wed, 21 Oct 2015 07:27:00 GMT", "Date": date }));
    assert_eq!(batch(&user, "token", &input).exits(0).json()["retry_after"], Value::Null);
    let body = "{\"access_token\":\"a\",\"expires_at\":1445412540}";
    let input = json!({ "id": 1, "status": 200, "headers": { "Date": date }, "body": body });
    assert_eq!(batch(&user, "token", &input.to_string()).exits(0).json()["expires_in"], 60);
}

#[test]
fn a_line_that_is_broken_is_told_and_the_next_one_read() {
    let user = User::new(Config::default());
    let deep = format!(
        "{{\"id\":\"deep\",\"status\":200,\"x\":{}{}}}",
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    let good = "{\"id\":\"good\",\"status\":401}";
    let input = [
        "canary",
        "[\"canary\"]",
        "{\"id\":\"a\",\"status\":\"canary\"}",
        "{\"id\":\"b\"}",
        "{\"id\":\"c\",\"status\":99}",
        "{\"id\":\"d\",\"status\":401,\"headers\":{\"x\":{\"canary\":1}}}",
        "{\"id\":\"e\",\"status\":401,\"headers\":{\"x\":\"\\u20ac\"},\"headers_latin1\":true}",
        "{\"id\":\"f\",\"status\":401,\"body\":null,\"body_b64\":\"canary!\"}",
        "{\"id\":\"g\",\"status\":401,\"body\":\"\\ud800\"}",
        &deep,
        "",
        good,
    ];
    let ran = batch(&user, "resource", &input.join("\n")).exits(1);
    assert!(!ran.out.contains("canary"), "{ran:?}");
    let said: Vec<_> = lines(&ran.out).collect();
    assert_eq!(said.len(), 11);
    for (line, id) in said[..8].iter().zip(["", "", "a", "b", "c", "d", "e", "f"]) {
        assert_eq!(line["id"].as_str().unwrap_or_default(), id, "{line}");
        assert!(line["error"].is_string() && line.get("class").is_none(), "{line}");
    }
    assert!(said[8]["error"].is_string() && said[9]["error"].is_string());
    assert_eq!(said[10]["class"], "TokenRejected");
}

#[test]
fn what_is_large_or_deep_or_endless_is_read_in_bounds() {
    let user = User::new(Config::default());
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let plan =
        |count: u64| json!({ "prefix": "{\"a\":\"", "unit": "x", "count": count, "suffix": "\"}" });
    let input = [
        json!({ "id": 0, "status": 200, "headers": {}, "body": deep }),
        json!({ "id": 1, "status": 200, "headers": {}, "body": null, "body_gen": plan(16 << 20) }),
        json!({ "id": 2, "status": 200, "headers": {}, "body_gen": plan(u64::MAX) }),
        json!({ "id": 3, "status": 200, "headers": {}, "headers_gen": { "X": plan(u64::MAX) } }),
        json!({ "id": 4, "status": 200, "headers": {}, "body": "x".repeat(3 << 20) }),
    ];
    let input: Vec<_> = input.iter().map(Value::to_string).collect();
    let long = format!("{{\"id\":5,\"x\":\"{}\"}}", "x".repeat(33 << 20));
    let input = format!("{}\n{long}\n{{\"id\":6,\"status\":503}}", input.join("\n"));
    for kind in ["token", "resource"] {
        let ran = batch(&user, kind, &input).exits(1);
        let said: Vec<_> = lines(&ran.out).collect();
        assert_eq!(said.len(), 7);
        let class = if kind == "token" { "Malformed" } else { "NotAuth" };
        assert!(said[..5].iter().all(|line| line["class"] == class), "{said:?}");
        if kind == "token" {
            let reasons = said[..3].iter().map(|line| line["reason"].as_str().unwrap());
            assert_eq!(reasons.collect::<Vec<_>>(), ["too_deep", "too_big", "too_big"]);
        }
        assert!(said[5]["error"].as_str().unwrap().contains("32 MiB"), "{}", said[5]);
        assert_eq!(said[6]["id"], 6);
    }
}

#[test]
fn a_profile_without_rules_of_that_kind_leaves_the_built_in_ones() {
    let user = User::new(Config::default());
    let line = |profile: Value| {
        let body = "{\"message\":\"secondary rate limit\"}";
        json!({ "id": 1, "status": 403, "headers": {}, "body": body, "profile": profile })
            .to_string()
    };
    let said = batch(&user, "resource", &line("github".into())).exits(0).json();
    assert_eq!(
        (&said["class"], &said["rule"]),
        (&json!("RateLimited"), &json!("github.secondary_rate_limit"))
    );
    assert_eq!(said.get("profile_known"), None);
    for (kind, profile) in [("token", "github"), ("resource", "eaten by a dog")] {
        let said = batch(&user, kind, &line(profile.into())).exits(0).json();
        assert_eq!(said["profile_known"], false, "{said}");
        assert_ne!(said["class"], "RateLimited", "{said}");
    }
    // The command's own profile is for the lines that say nothing of one.
    for (line, class) in [
        (line(Value::Null), "NotAuth"),
        (line("x".into()).replace(",\"profile\":\"x\"", ""), "RateLimited"),
    ] {
        let mut command = user.command();
        command.args(["--profile", "github", "classify", "--batch"]);
        assert_eq!(with_input(command, &line).exits(0).json()["class"], class, "{line}");
    }
}

#[test]
fn one_answer_is_told_as_curl_prints_it() {
    let user = User::new(Config::default());
    let answer = "HTTP/2 403 \r\nwww-authenticate: Bearer error=\"insufficient_scope\", scope=\"a b\"\r\n\r\n{}";
    let classify = |arguments: &[&str], input: &str| {
        let mut command = user.command();
        command.arg("classify").args(arguments);
        with_input(command, input)
    };
    let ran = classify(&[], answer).exits(0);
    for said in ["InsufficientScope", "challenge", "a b", "hands the answer to the caller"] {
        assert!(ran.out.contains(said), "{said}: {ran:?}");
    }
    assert!(!ran.out.contains("expired") && ran.err.is_empty(), "{ran:?}");
    let said = classify(&["--json"], answer).exits(0).json();
    assert_eq!((&said["class"], &said["scope"]), (&json!("InsufficientScope"), &json!(["a", "b"])));
    let said = classify(&["--json", "--scheme", "none"], answer).exits(0).json();
    assert_eq!(said["rule"], "no_token_sent");

    let bound = "HTTP/1.1 200 OK\n\n{\"access_token\":\"canary1\",\"refresh_token\":\"canary2\"}";
    let ran = classify(&["--kind", "token"], bound).exits(0);
    assert!(ran.out.contains("Granted") && !ran.out.contains("canary"), "{ran:?}");
    let said = classify(&["--kind", "token", "--dpop-required", "--json"], bound).exits(0).json();
    assert_eq!((&said["class"], &said["reason"]), (&json!("Malformed"), &json!("dpop_downgrade")));
    let scope = "HTTP/1.1 400 Bad Request\n\n{\"error\":\"invalid_scope\"}";
    let said = classify(&["--kind", "token", "--sent-scope", "--json"], scope).exits(0).json();
    assert_eq!(said["class"], "ClientMisconfigured");

    for wrong in ["", "canary", "HTTP/1.1 200 OK\ncanary\n\n"] {
        let ran = classify(&[], wrong).exits(2);
        assert!(!ran.err.contains("canary") && ran.out.is_empty(), "{ran:?}");
    }
    classify(&["--profile", "eaten by a dog"], answer).exits(2);
    assert!(files(user.home()).is_empty(), "no store was opened");
}

#[test]
fn profiles_are_listed_printed_and_checked() {
    let user = User::new(Config::default());
    let listed = user.run(["profiles", "--json"]).exits(0).json();
    let listed = listed["profiles"].as_array().unwrap();
    let prose = user.run(["profiles"]).exits(0).out;
    assert_eq!(prose.lines().count(), listed.len());
    let github = listed.iter().find(|profile| profile["name"] == "github").unwrap();
    assert_eq!(
        (&github["title"], &github["rotation"]),
        (&json!("GitHub"), &json!("without_grace"))
    );
    assert_eq!(
        (&github["api_rules"][0], &github["token_rules"]),
        (&json!("rate_limited"), &json!([]))
    );
    for profile in listed {
        let name = profile["name"].as_str().unwrap();
        let printed: Value =
            serde_json::from_str(&user.run(["profiles", name]).exits(0).out).unwrap();
        assert_eq!(printed["name"], name);
    }
    let path = user.home().join("own.json");
    fs::write(&path, "{\"name\":\"own\",\"api\":[]}\n").unwrap();
    let path = path.to_str().unwrap();
    assert_eq!(user.run(["profiles", path, "--json"]).exits(0).json()["name"], "own");
    for (text, says) in [
        ("{\"name\":\"own\",\"eaten\":1}", "eaten"),
        ("{\"name\":\"\"}", "a profile has a name"),
        (
            "{\"name\":\"own\",\"api\":[{\"name\":\"r\",\"class\":\"Revoked\",\"when\":{\"status\":[401]}}]}",
            "status",
        ),
        ("nonsense", "no JSON object"),
        ("", "no JSON object"),
    ] {
        fs::write(path, text).unwrap();
        let ran = user.run(["profiles", path]).exits(2);
        assert!(ran.err.contains(says) && ran.out.is_empty(), "{text}: {ran:?}");
    }
    fs::write(path, format!("{{\"name\":\"own\"{}}}", " ".repeat(70_000))).unwrap();
    assert!(user.run(["profiles", path]).exits(2).err.contains("64 KiB"));
    user.run(["profiles", "eaten by a dog"]).exits(2);
}

#[test]
fn a_batch_whose_reader_has_gone_ends() {
    let user = User::new(Config::default());
    let mut command = user.command();
    command.args(["classify", "--batch", "--kind", "resource"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    // More than any pipe holds: the writer is stopped by the end of the reader alone.
    let sent = (0..1_000_000).try_for_each(|_| input.write_all(b"{\"status\":200}\n"));
    assert!(sent.is_err(), "it read on");
    assert!(child.wait().unwrap().success());
}
