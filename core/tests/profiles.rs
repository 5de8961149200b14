//! Profiles: the built-in ones, the page that documents them, and what is no profile.

use std::time::Duration;

use regrant_core::Rotation;
use regrant_core::protocol::{Profile, ProfileError};
use serde_json::Value;

const PAGE: &str = include_str!("../../docs/profiles.md");

#[test]
fn every_built_in_profile_is_sound_and_has_its_own_name() {
    let mut names: Vec<_> = Profile::names().collect();
    assert!(names.len() > 30, "{names:?}");
    for name in &names {
        let profile = Profile::of(name).unwrap();
        assert_eq!(profile.name(), *name);
        assert!(!profile.title().is_empty(), "{name}");
        assert!(profile.has_api_rules() || profile.has_token_rules(), "{name}");
    }
    let listed = names.clone();
    names.sort_unstable();
    assert_eq!(names, listed);
}

#[test]
fn the_page_shows_profiles_and_rules_that_are_read() {
    let blocks = PAGE.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut shown = 0;
    for block in blocks {
        let value: Value = serde_json::from_str(block).unwrap();
        let text = if value.get("class").is_some() {
            format!(r#"{{"name":"shown","api":[{block}]}}"#)
        } else {
            block.to_owned()
        };
        Profile::of(&text).unwrap();
        shown += 1;
    }
    assert_eq!(shown, 2);
    for name in ["rotation", "fresh_token_lag_ms", "access_token_fields", "body_contains"] {
        assert!(PAGE.contains(&format!("`{name}`")), "{name}");
    }
}

#[track_caller]
fn fault(text: &str) -> String {
    match Profile::of(text) {
        Ok(_) => panic!("this is a profile: {text}"),
        Err(error) => error.to_string(),
    }
}

fn with_rule(rule: &str) -> String {
    format!(r#"{{"name":"own","api":[{rule}]}}"#)
}

#[test]
fn what_is_no_profile_is_refused_with_the_reason() {
    assert!(matches!(Profile::of("nobody"), Err(ProfileError::Unknown)));
    assert!(matches!(
        Profile::of(&format!("{{{}", " ".repeat(70_000))),
        Err(ProfileError::TooLong)
    ));
    assert!(fault("{").contains("line 1"));
    assert!(fault(r#"{"name":""}"#).contains("has a name"));
    assert!(fault(r#"{"name":"own","rotating":true}"#).contains("unknown field `rotating`"));
    assert!(fault(r#"{"name":"own","rotation":"some"}"#).contains("expected one of"));
    let class = r#"{"name":"a","when":{},"class":"Nothing"}"#;
    assert!(fault(&with_rule(class)).contains("expected one of"));
    let two =
        r#"{"name":"a","when":{"json":[{"path":"/a","eq":1,"prefix":"b"}]},"class":"NotAuth"}"#;
    assert!(fault(&with_rule(two)).contains("takes one of"));
    let path = r#"{"name":"a","when":{"json":[{"path":"a","eq":1}]},"class":"NotAuth"}"#;
    assert!(fault(&with_rule(path)).contains("slash"));
    let twice = r#"{"name":"a","when":{},"class":"NotAuth"}"#;
    assert!(fault(&with_rule(&format!("{twice},{twice}"))).contains("another rule"));
    let header = r#"{"name":"a","when":{"header":[{"name":"x"}]},"class":"NotAuth"}"#;
    assert!(fault(&with_rule(header)).contains("eq and prefix"));
}

#[test]
fn a_file_of_tokens_that_is_no_profile_is_not_quoted() {
    for text in [
        r#"{"name":"n","token":"canary-0"}"#,
        r#"{"name":"n","rotation":"canary-0, expected nothing"}"#,
        r#"{"name":"n","canary-0":1}"#,
        r#"{"name":"n","api":"canary-0"}"#,
    ] {
        let said = fault(text);
        assert!(!said.contains("canary"), "{said}");
        assert!(said.contains("line 1"), "{said}");
    }
}

#[test]
fn no_rule_ends_a_login_by_a_status_or_decides_about_nonces() {
    let status = r#"{"name":"a","when":{"status":[403]},"class":"Revoked"}"#;
    assert!(fault(&with_rule(status)).contains("code or a phrase"));
    let null = r#"{"name":"a","when":{"json":[{"path":"/a","null":true}]},"class":"Revoked"}"#;
    assert!(fault(&with_rule(null)).contains("code or a phrase"));
    let token = r#"{"name":"own","token":{"rules":[
        {"name":"a","when":{"status":[404]},"class":"NeedsLogin"}]}}"#;
    assert!(fault(token).contains("code or a phrase"));
    let nonce = r#"{"name":"a","when":{},"class":"DpopNonce"}"#;
    assert!(fault(&with_rule(nonce)).contains("RFC 9449"));
}

#[test]
fn a_login_is_ended_by_words_that_are_not_empty() {
    let is_one = |when: &str| {
        let rule = |class: &str| format!(r#"{{"name":"a","when":{when},"class":"{class}"}}"#);
        let of_api = Profile::of(&with_rule(&rule("Revoked"))).is_ok();
        let token = format!(r#"{{"name":"own","token":{{"rules":[{}]}}}}"#, rule("NeedsLogin"));
        assert_eq!(Profile::of(&token).is_ok(), of_api, "{when}");
        // Any other class may rest on it.
        Profile::of(&with_rule(&rule("TokenRejected"))).unwrap();
        of_api
    };
    let json = |test: &str| format!(r#"{{"json":[{{"path":"/a",{test}}}]}}"#);
    for when in [
        r#"{"body_eq":"gone"}"#,
        r#"{"body_contains":"gone"}"#,
        &json(r#""eq":"gone""#),
        &json(r#""eq":190"#),
        &json(r#""eq":true"#),
        &json(r#""in":["","gone"]"#),
        &json(r#""prefix":"gone""#),
        &json(r#""suffix":"gone""#),
        &json(r#""contains":"gone""#),
    ] {
        assert!(is_one(when), "{when}");
    }
    for when in [
        r#"{"body_eq":""}"#,
        r#"{"body_contains":""}"#,
        r#"{"content_type":"text/plain"}"#,
        r#"{"header":[{"name":"x","eq":"gone"}]}"#,
        &json(r#""eq":"""#),
        &json(r#""in":[""]"#),
        &json(r#""prefix":"""#),
        &json(r#""suffix":"""#),
        &json(r#""contains":"""#),
        &json(r#""null":true"#),
    ] {
        assert!(!is_one(when), "{when}");
    }
}

#[test]
fn a_condition_takes_one_test_and_a_pointer() {
    let is_one = |when: &str| {
        Profile::of(&with_rule(&format!(r#"{{"name":"a","when":{when},"class":"NotAuth"}}"#)))
            .is_ok()
    };
    assert!(is_one(r#"{"json":[{"path":"","contains":"a"}]}"#));
    assert!(is_one(r#"{"json":[{"path":"/","contains":"a"}]}"#));
    assert!(!is_one(r#"{"json":[{"path":"/a"}]}"#));
    assert!(!is_one(r#"{"json":[{"path":"/a","eq":1,"in":[1]}]}"#));
    assert!(!is_one(r#"{"json":[{"path":"/a","in":[]}]}"#));
    assert!(is_one(r#"{"header":[{"name":"x","eq":"a"},{"name":"x","prefix":"a"}]}"#));
    assert!(!is_one(r#"{"header":[{"name":"x","eq":"a","prefix":"a"}]}"#));
}

#[test]
fn a_profile_of_64_kib_is_read_and_a_longer_one_is_not() {
    let text = r#"{"name":"own"}"#;
    let of_length = |length: usize| text.to_owned() + &" ".repeat(length - text.len());
    assert!(Profile::of(&of_length(64 << 10)).is_ok());
    assert!(matches!(Profile::of(&of_length((64 << 10) + 1)), Err(ProfileError::TooLong)));
}

#[test]
fn any_habit_of_the_token_endpoint_is_a_rule_for_it() {
    let of = |members: &str| Profile::of(&format!(r#"{{"name":"own"{members}}}"#)).unwrap();
    for members in [
        r#","token":{"rules":[{"name":"a","when":{},"class":"Malformed"}]}"#,
        r#","token":{"root":"data"}"#,
        r#","token":{"access_token_fields":["jeton"]}"#,
        r#","token":{"token_type_aliases":{"user":"bearer"}}"#,
        r#","token":{"expires_fields":["valid"]}"#,
        r#","token":{"expires_unit":"ms"}"#,
        r#","token":{"default_expires_in":60}"#,
        r#","scope_separator":",""#,
    ] {
        assert!(of(members).has_token_rules() && !of(members).has_api_rules(), "{members}");
    }
    let api = of(r#","api":[{"name":"a","when":{},"class":"NotAuth"}]"#);
    assert!(api.has_api_rules() && !api.has_token_rules());
    let none = of(r#","rotation":"never","request":{"scope":true},"token":{"expires_unit":"s"}"#);
    assert!(!none.has_api_rules() && !none.has_token_rules());
}

#[test]
fn what_a_profile_says_of_tokens_is_told() {
    let of = |members: &str| Profile::of(&format!(r#"{{"name":"own"{members}}}"#)).unwrap();
    let silent = of("");
    assert_eq!((silent.rotation(), silent.revokes_token_alone()), (Rotation::default(), None));
    assert_eq!((silent.title(), silent.fresh_token_lag()), ("", Duration::ZERO));
    assert_eq!(of(r#","rotation":"never""#).rotation(), Rotation::Never);
    assert_eq!(of(r#","title":"Mine""#).title(), "Mine");
    let alone = |radius: &str| of(&format!(r#","revokes":"{radius}""#)).revokes_token_alone();
    assert_eq!(alone("token"), Some(true));
    assert_eq!((alone("grant"), alone("user")), (Some(false), Some(false)));
    let lag = |ms: u64| of(&format!(r#","fresh_token_lag_ms":{ms}"#)).fresh_token_lag();
    assert_eq!((lag(200), lag(60_001)), (Duration::from_millis(200), Duration::from_secs(60)));
    let rules = of(r#","api":[{"name":"a","when":{},"class":"NotAuth"}],
        "token":{"rules":[{"name":"t","when":{},"class":"Malformed"}]}"#);
    assert_eq!(rules.rules().collect::<Vec<_>>(), ["a", "t"]);
}

#[test]
fn a_body_is_read_where_a_rule_for_that_status_looks_at_it() {
    let reads = |when: &str, status| {
        let rule = format!(r#"{{"name":"a","when":{when},"class":"NotAuth"}}"#);
        Profile::of(&with_rule(&rule)).unwrap().reads_body(status)
    };
    for looks in
        [r#""body_eq":"a""#, r#""body_contains":"a""#, r#""json":[{"path":"/a","null":true}]"#]
    {
        assert!(reads(&format!("{{{looks}}}"), 200), "{looks}");
        let named = format!(r#"{{"status":[404],{looks}}}"#);
        assert!(reads(&named, 404) && !reads(&named, 200), "{looks}");
    }
    assert!(!reads("{}", 200));
    assert!(!reads(r#"{"status":[404],"content_type":"text/plain"}"#, 404));
}
