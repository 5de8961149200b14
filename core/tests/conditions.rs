//! The conditions of a provider's rules, one by one: when each holds, and when it does not.

use regrant_core::protocol::{
    ApiReply, Headers, Profile, TokenReply, read_api_reply, read_token_reply,
};

/// A profile of one rule for APIs and one for the token endpoint, with the same condition.
fn profile(when: &str) -> Profile {
    let text = format!(
        r#"{{"name":"own","api":[{{"name":"api","class":"RateLimited","when":{when}}}],
            "token":{{"rules":[{{"name":"token","class":"Malformed","when":{when}}}]}}}}"#
    );
    Profile::of(&text).unwrap_or_else(|error| panic!("{when}: {error}"))
}

/// Whether the condition holds for an API's answer.
fn holds(when: &str, status: u16, headers: Headers<'_>, body: &str) -> bool {
    let (profile, body) = (profile(when), body.as_bytes());
    let scheme = Some("Bearer");
    let reply = ApiReply { scheme, status, headers, body, ..ApiReply::default() };
    read_api_reply(&reply, Some(&profile)).rule == "own.api"
}

/// Whether it holds for an answer of the token endpoint.
fn holds_of_token(when: &str, headers: Headers<'_>, body: &[u8]) -> bool {
    let profile = profile(when);
    let reply = TokenReply { status: 400, headers, body, ..TokenReply::default() };
    read_token_reply(&reply, Some(&profile)).rule == "own.token"
}

/// Whether a body of this media type fulfils it.
fn holds_of_body(when: &str, content_type: &str, body: &str) -> bool {
    let headers: Headers<'_> = &[("Content-Type", content_type.as_bytes())];
    let of_api = holds(when, 400, headers, body);
    assert_eq!(of_api, holds_of_token(when, headers, body.as_bytes()), "{when} {body}");
    of_api
}

fn holds_of_json(test: &str, body: &str) -> bool {
    holds_of_body(&format!(r#"{{"json":[{test}]}}"#), "application/json", body)
}

#[test]
fn no_condition_always_holds() {
    assert!(holds("{}", 400, &[], ""));
    assert!(holds_of_token("{}", &[], b""));
}

#[test]
fn all_conditions_must_hold() {
    let headers: Headers<'_> =
        &[("content-type", b"application/json"), ("www-authenticate", b"Bearer a=1")];
    let conditions = [
        (r#""status":[400]"#, r#""status":[401]"#),
        (
            r#""header":[{"name":"content-type","prefix":"app"}]"#,
            r#""header":[{"name":"content-type","prefix":"text"}]"#,
        ),
        (
            r#""challenge":{"scheme":"Bearer","has":["a"]}"#,
            r#""challenge":{"scheme":"Bearer","has":["b"]}"#,
        ),
        (r#""challenge_absent":false"#, r#""challenge_absent":true"#),
        (r#""content_type":"application/""#, r#""content_type":"text/""#),
        (r#""body_eq":"{}""#, r#""body_eq":"[]""#),
        (r#""body_contains":"{""#, r#""body_contains":"[""#),
        (r#""json":[]"#, r#""json":[{"path":"/a","eq":1}]"#),
    ];
    let when = |failing: usize| {
        let kept = conditions.iter().enumerate();
        let kept: Vec<_> =
            kept.map(|(n, pair)| if n == failing { pair.1 } else { pair.0 }).collect();
        format!("{{{}}}", kept.join(","))
    };
    assert!(holds(&when(conditions.len()), 400, headers, "{}"));
    for (failing, (_, condition)) in conditions.iter().enumerate() {
        assert!(!holds(&when(failing), 400, headers, "{}"), "{condition}");
    }
}

#[test]
fn a_status_is_one_of_those_that_are_named() {
    assert!(holds(r#"{"status":[401,403]}"#, 403, &[], ""));
    assert!(!holds(r#"{"status":[401,403]}"#, 400, &[], ""));
}

#[test]
fn a_header_is_equal_or_begins_so_in_any_of_its_lines() {
    let eq = r#"{"header":[{"name":"X-Why","eq":"Gone"}]}"#;
    let prefix = r#"{"header":[{"name":"X-Why","prefix":"go"}]}"#;
    for (lines, is_equal, begins) in [
        (&[("x-why", &b" Gone "[..])][..], true, true),
        (&[("x-why", b"other"), ("X-WHY", b"Gone")], true, true),
        (&[("x-why", b"Gone since noon")], false, true),
        (&[("x-why", b"gone")], false, true),
        (&[("x-why", b"g")], false, false),
        (&[("x-why", b"not gone")], false, false),
        (&[("x-because", b"Gone")], false, false),
        (&[], false, false),
    ] {
        assert_eq!(holds(eq, 400, lines, ""), is_equal, "{lines:?}");
        assert_eq!(holds(prefix, 400, lines, ""), begins, "{lines:?}");
    }
}

#[test]
fn a_challenge_has_some_parameters_and_lacks_others() {
    let when = r#"{"challenge":{"scheme":"bearer","has":["a","b"],"lacks":["c","d"]}}"#;
    let holds_of = |line: &str| holds(when, 401, &[("www-authenticate", line.as_bytes())], "");
    assert!(holds_of("Bearer a=1, b=2"));
    assert!(holds_of("Bearer a=1, b=2, e=5"));
    assert!(holds_of("Basic realm=x, Bearer a=1, b=2"));
    for line in [
        "Bearer a=1",
        "Bearer a=1, b=2, c=3",
        "Bearer a=1, b=2, d=4",
        "DPoP a=1, b=2",
        "Bearer a=1, Bearer b=2",
        "Bearer",
        "",
    ] {
        assert!(!holds_of(line), "{line}");
    }
    let absent = r#"{"challenge_absent":true}"#;
    assert!(holds(absent, 401, &[], ""));
    assert!(holds(absent, 401, &[("www-authenticate", b"")], ""));
    assert!(!holds(absent, 401, &[("www-authenticate", b"Basic")], ""));
}

#[test]
fn a_media_type_begins_so_without_regard_to_case() {
    let when = r#"{"content_type":"text/html"}"#;
    assert!(holds(when, 400, &[("Content-Type", b" Text/HTML; charset=utf-8")], ""));
    assert!(!holds(when, 400, &[("Content-Type", b"application/json")], ""));
    assert!(!holds(when, 400, &[("Content-Type", b"text/")], ""));
    assert!(!holds(when, 400, &[], ""));
}

#[test]
fn a_body_is_compared_without_blanks_and_quotes_around_it() {
    let eq = r#"{"body_eq":"token expired"}"#;
    for body in ["token expired", " token expired\n", "\"token expired\""] {
        assert!(holds_of_body(eq, "text/plain", body), "{body}");
    }
    for body in ["", "Token expired", "token expired!", "{\"e\":\"token expired\"}"] {
        assert!(!holds_of_body(eq, "text/plain", body), "{body}");
    }
}

#[test]
fn a_page_for_people_contains_no_phrase() {
    let contains = r#"{"body_contains":"has expired"}"#;
    assert!(holds_of_body(contains, "text/plain", "it has expired, sorry"));
    assert!(holds_of_body(contains, "application/json", r#"{"e":"it has expired"}"#));
    assert!(!holds_of_body(contains, "text/plain", "it has not expired"));
    assert!(!holds_of_body(contains, "text/html", "<p>it has expired"));
    assert!(!holds_of_body(contains, "Text/HTML; charset=utf-8", "it has expired"));
    assert!(!holds_of_body(contains, "text/html", "something else"));
}

#[test]
fn a_body_past_a_limit_gives_no_evidence() {
    let contains = r#"{"body_contains":"gone"}"#;
    let of_length = |length: usize| "gone".to_owned() + &" ".repeat(length - 4);
    assert!(holds(contains, 400, &[], &of_length(64 << 10)));
    assert!(!holds(contains, 400, &[], &of_length((64 << 10) + 1)));
    assert!(holds_of_token(contains, &[], of_length(1 << 20).as_bytes()));
    assert!(!holds_of_token(contains, &[], of_length((1 << 20) + 1).as_bytes()));
    assert!(!holds_of_token(contains, &[], b"gone\xff"));
    let deep = |levels| format!("{}\"gone\"{}", "[".repeat(levels), "]".repeat(levels));
    let at = |levels: usize| format!(r#"{{"path":"{}","eq":"gone"}}"#, "/0".repeat(levels));
    assert!(holds_of_json(&at(32), &deep(32)));
    assert!(!holds_of_json(&at(33), &deep(33)));
}

#[test]
fn a_value_is_equal_as_text_as_number_or_as_truth() {
    for (wanted, value, is_equal) in [
        ("\"gone\"", "\"gone\"", true),
        ("\"gone\"", r#""\u0067one""#, true),
        ("\"gone\"", "\"Gone\"", false),
        ("\"gone\"", "[\"gone\"]", false),
        ("190", "190", true),
        ("190", "190.0", true),
        ("190", "\"190\"", true),
        ("190", "191", false),
        ("190", "\"\"", false),
        ("190", "null", false),
        ("\"190\"", "190", true),
        ("\"190\"", "\"190\"", true),
        ("\"190\"", "1900", false),
        ("true", "true", true),
        ("true", "false", false),
        ("true", "\"true\"", false),
        ("false", "false", true),
        ("false", "true", false),
        ("false", "null", false),
    ] {
        let body = format!(r#"{{"a":{value}}}"#);
        let eq = format!(r#"{{"path":"/a","eq":{wanted}}}"#);
        assert_eq!(holds_of_json(&eq, &body), is_equal, "{wanted} and {value}");
        let one_of = format!(r#"{{"path":"/a","in":["neither",{wanted}]}}"#);
        assert_eq!(holds_of_json(&one_of, &body), is_equal, "{wanted} in {value}");
        assert!(!holds_of_json(&eq, "{}") && !holds_of_json(&one_of, "[]"), "{wanted}");
    }
}

#[test]
fn a_text_begins_ends_or_contains() {
    let holds = |test: &str, value: &str| {
        let test = format!(r#"{{"path":"/a",{test}}}"#);
        holds_of_json(&test, &format!(r#"{{"a":{value}}}"#))
    };
    let [prefix, suffix, contains] =
        [r#""prefix":"AADSTS""#, r#""suffix":"AADSTS""#, r#""contains":"AADSTS""#];
    for (value, begins, ends, has) in [
        ("\"AADSTS50173: gone\"", true, false, true),
        ("\"see AADSTS\"", false, true, true),
        ("\"see AADSTS here\"", false, false, true),
        ("\"AADSTS\"", true, true, true),
        ("\"aadsts\"", false, false, false),
        ("[\"AADSTS\"]", false, false, false),
        ("null", false, false, false),
        ("1", false, false, false),
    ] {
        assert_eq!(holds(prefix, value), begins, "{value}");
        assert_eq!(holds(suffix, value), ends, "{value}");
        assert_eq!(holds(contains, value), has, "{value}");
    }
}

#[test]
fn a_null_is_there_and_is_null() {
    let null = r#"{"path":"/a","null":true}"#;
    assert!(holds_of_json(null, r#"{"a":null}"#));
    for body in ["{}", r#"{"a":"null"}"#, r#"{"a":0}"#, r#"{"a":""}"#] {
        assert!(!holds_of_json(null, body), "{body}");
    }
}

#[test]
fn a_form_is_json_of_one_level() {
    let gone = r#"{"json":[{"path":"/error","eq":"gone"}]}"#;
    for content_type in ["application/x-www-form-urlencoded", "text/plain", ""] {
        assert!(holds_of_body(gone, content_type, "x=1&error=gone&y="), "{content_type}");
    }
    assert!(holds_of_body(gone, "", "error=g%6fne"));
    for body in ["error=there", "errors=gone", "error", "gone", "x=error&gone=1", "error gone"] {
        assert!(!holds_of_body(gone, "", body), "{body}");
    }
    assert!(!holds_of_body(gone, "text/html", "error=gone"));
    assert!(!holds_of_body(gone, "application/json", "error=gone"));
    let deeper = r#"{"json":[{"path":"/error/code","eq":"gone"}]}"#;
    assert!(!holds_of_body(deeper, "", "error=gone&code=gone"));
    let whole = r#"{"json":[{"path":"","contains":"gone"}]}"#;
    assert!(!holds_of_body(whole, "", "error=gone"));
    let quoted = r#"{"json":[{"path":"/error","eq":"\"gone\""}]}"#;
    assert!(holds_of_body(quoted, "", "error=%22gone%22"));
}

#[test]
fn the_reason_is_the_text_or_the_number_at_its_place() {
    let reason = |rule: &str, body: &str| {
        let own = format!(
            r#"{{"name":"own","token":{{"rules":[{{"name":"a","when":{{}},"class":"Malformed"{rule}}}]}}}}"#
        );
        let profile = Profile::of(&own).unwrap();
        let reply = TokenReply { status: 400, body: body.as_bytes(), ..TokenReply::default() };
        read_token_reply(&reply, Some(&profile)).reason.unwrap()
    };
    let at = r#","reason_at":"/a","reason":"else""#;
    assert_eq!(reason(at, r#"{"a":"gone"}"#), "gone");
    assert_eq!(reason(at, r#"{"a":42}"#), "42");
    assert_eq!(reason(at, r#"{"a":-1.5}"#), "-1.5");
    assert_eq!(reason(at, r#"{"a":["first","second"]}"#), "first");
    for other in ["null", "true", "{}", "[]", "[1]"] {
        assert_eq!(reason(at, &format!(r#"{{"a":{other}}}"#)), "else", "{other}");
    }
    assert_eq!(reason(at, "{}"), "else");
    assert_eq!(reason(r#","reason":"word""#, r#"{"error":"CODE"}"#), "word");
    assert_eq!(reason("", r#"{"error":"CODE"}"#), "code");
    assert_eq!(reason("", ""), "http_400");
}
