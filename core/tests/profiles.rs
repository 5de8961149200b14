//! Profiles: the built-in ones, the page that documents them, and what is no profile.

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
