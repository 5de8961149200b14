//! Credentials taken over from another program's file.

use std::fs;
use std::process::Command;

use regrant_sandbox::Config;
use serde_json::json;

use crate::support::*;

/// The command that takes over what lies in this file.
fn taking(user: &User, content: &str, map: &[&str]) -> Command {
    let path = user.home().join("theirs.json");
    fs::write(&path, content).unwrap();
    let mut command = user.importing();
    command.arg("--from-file").arg(path);
    map.iter().for_each(|entry| {
        command.args(["--map", entry]);
    });
    command
}

const MAP: [&str; 4] = [
    "access_token=/oauth/accessToken",
    "refresh_token=/oauth/refreshToken",
    "expires_at=/oauth/expiresAt:ms",
    "scope=/oauth/scopes",
];

#[test]
fn a_login_of_another_program_is_taken_over_and_its_file_left_alone() {
    let user = User::new(Config::default());
    let issued = user.sandbox.issue();
    let issued: serde_json::Value = serde_json::from_str(&issued.to_string()).unwrap();
    // In the year 2100, in milliseconds.
    let theirs = json!({ "version": 3, "oauth": {
        "accessToken": issued["access_token"], "refreshToken": issued["refresh_token"],
        "expiresAt": 4_102_444_800_000_u64, "scopes": ["read", "write"] } });
    let theirs = serde_json::to_string_pretty(&theirs).unwrap();
    let ran: Ran = taking(&user, &theirs, &MAP).arg("--json").output().unwrap().into();
    let said = ran.exits(0).json();
    assert_eq!(said["scope"], "read write");
    assert!(said["expires_at"].as_str().unwrap().starts_with("2100-01-01T00:00:0"), "{said}");
    assert_eq!(said["has_refresh_token"], true);
    assert_eq!(fs::read_to_string(user.home().join("theirs.json")).unwrap(), theirs);

    user.sandbox.expire_access_tokens();
    user.call().exits(0);
    assert_eq!(user.requests(), (1, 2));
    assert_eq!(fs::read_to_string(user.home().join("theirs.json")).unwrap(), theirs);
}

#[test]
fn a_file_or_a_map_that_is_wrong_stores_nothing_and_is_not_quoted() {
    let user = User::new(Config::default());
    let good = "{\"a\":\"canary\",\"e\":\"canary\",\"t\":\"mac\",\"c\":\"canary\\u0007\"}";
    for (content, map) in [
        ("canary", &["access_token=/a"][..]),
        ("", &["access_token=/a"]),
        ("{\"a\":[\"canary\"]}", &["access_token=/a"]),
        ("{\"a\":\"canary", &["access_token=/a"]),
        (good, &["access_token=/b"]),
        (good, &["access_token=/c"]),
        (good, &["access_token=/a", "expires_at=/e"]),
        (good, &["access_token=/a", "token_type=/t"]),
        (good, &["access_token=/a", "refresh_token=/c"]),
        (good, &["refresh_token=/a"]),
        (good, &["access_token"]),
        (good, &["canary_token=/a", "access_token=/a"]),
    ] {
        let ran = Ran::from(taking(&user, content, map).output().unwrap()).exits(2);
        assert!(!ran.err.contains("canary") && ran.out.is_empty(), "{content}: {ran:?}");
        assert!(!ran.err.contains("\u{7}"), "{ran:?}");
    }
    let mut missing = user.importing();
    missing.args(["--from-file", "/nowhere/theirs.json", "--map", "access_token=/a"]);
    Ran::from(missing.output().unwrap()).exits(2);
    let mut without_map = user.importing();
    without_map.args(["--from-file", "/nowhere/theirs.json"]);
    Ran::from(without_map.output().unwrap()).exits(2);
    assert!(!user.home().join("data").exists());
}
