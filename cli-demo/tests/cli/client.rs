//! The stored client configuration: shown without its secret, and changed.

use std::fs;

use regrant_sandbox::Config;
use serde_json::json;

use crate::support::*;

#[test]
fn a_right_secret_ends_the_cool_down_over_a_wrong_one() {
    let config = Config { client_secret: Some("hush".to_owned()), ..Config::default() };
    let user = User::new(config);
    let secret = user.home().join("secret");
    fs::write(&secret, "canary\n").unwrap();
    let path = secret.to_str().unwrap();
    let mut import = user.importing();
    import.args(["--client-secret-file", path]);
    with_input(import, &user.sandbox.issue().to_string()).exits(0);
    user.sandbox.expire_access_tokens();
    let error = user.run(["call", user.api(), "--json"]).exits(7).error();
    assert_eq!(error["reason"], "client_misconfigured");
    assert!(error["remedy"].as_str().unwrap().contains("regrant client set"), "{error}");
    let asked = user.stats().token_requests;
    user.call().exits(7);
    assert_eq!(user.stats().token_requests, asked, "the cool-down runs");

    fs::write(&secret, "hush\n").unwrap();
    let ran = user.run(["client", "set", "--client-secret-file", path, "--json"]).exits(0);
    assert_eq!(ran.json()["client_secret"], "set");
    assert!(!format!("{ran:?}").contains("hush") && ran.err.is_empty(), "{ran:?}");
    user.call().exits(0);
    let shown = user.run(["client", "show"]).exits(0);
    assert!(!format!("{shown:?}").contains("hush") && shown.out.contains("basic"), "{shown:?}");
}

#[test]
fn what_is_named_is_changed_and_nothing_else() {
    let user = User::logged_in(Config::default());
    let before = user.run(["client", "show", "--json"]).exits(0).json();
    assert_eq!(
        (&before["authentication"], &before["client_secret"]),
        (&json!("none"), &json!("none"))
    );
    assert_eq!(before["renewal"], "refresh_token");

    let resource = ["--resource", "https://api.example/v1", "--resource", "urn:b"];
    let mut set = user.command();
    set.args(["client", "set", "--scope", "a b", "--scope", "b c"]).args(resource);
    set.args(["--profile", "google", "--json"]);
    let after = Ran::from(set.output().unwrap()).exits(0).json();
    let mut expected = before.clone();
    expected["scope"] = json!("a b c");
    expected["resource"] = json!(["https://api.example/v1", "urn:b"]);
    expected["profile"] = json!("google");
    assert_eq!(after, expected);
    assert_eq!(user.run(["client", "show", "--json"]).exits(0).json(), after);
    assert_eq!(user.status()["profile"], "google");

    let bare =
        ["client", "set", "--revocation-endpoint", "", "--scope", "", "--resource", "", "--json"];
    let after = user.run(bare).exits(0).json();
    assert_eq!((&after["revocation_endpoint"], &after["scope"]), (&json!(null), &json!(null)));
    assert_eq!(after["resource"], json!([]));
    user.call().exits(0);
}

#[test]
fn a_profile_in_a_file_is_kept_and_shown_by_its_name() {
    let user = User::logged_in(Config::default());
    let path = user.home().join("own.json");
    fs::write(&path, "{\"name\":\"own\",\"title\":\"canary\"}").unwrap();
    user.run(["client", "set", "--profile", path.to_str().unwrap()]).exits(0);
    fs::remove_file(&path).unwrap();
    assert_eq!(user.status()["profile"], "own");
    let prose = user.run(["status"]).exits(0).out;
    assert!(prose.contains("profile        own\n") && !prose.contains("canary"), "{prose}");
    user.call().exits(0);
}

#[test]
fn an_endpoint_away_from_the_issuer_is_warned_of() {
    let user = User::new(Config::default());
    let mut import = user.importing();
    import.args(["--issuer", user.sandbox.issuer_url()]);
    with_input(import, &user.sandbox.issue().to_string()).exits(0);
    let here = user.run(["client", "set", "--token-endpoint", user.sandbox.token_endpoint()]);
    assert_eq!(here.exits(0).err, "");
    let ran =
        user.run(["client", "set", "--token-endpoint", "https://elsewhere.example/t"]).exits(0);
    assert!(
        ran.err.contains("warning") && ran.err.contains("https://elsewhere.example"),
        "{ran:?}"
    );
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let user = User::logged_in(Config::default());
    let before = user.run(["client", "show", "--json"]).exits(0).out;
    for wrong in [
        &[][..],
        &["--token-endpoint", "http://as.example/token"],
        &["--token-endpoint", ""],
        &["--revocation-endpoint", "nonsense"],
        &["--client-id", ""],
        &["--auth", "basic"],
        &["--auth", "private-key-jwt"],
        &["--client-secret-file", "/nowhere/secret"],
        &["--client-secret-file", "x", "--no-client-secret"],
        &["--resource", "/v1"],
        &["--resource", "https://api.example/#x"],
        &["--profile", "eaten by a dog"],
    ] {
        let mut set = user.command();
        set.args(["client", "set"]).args(wrong);
        Ran::from(set.output().unwrap()).exits(2);
    }
    assert_eq!(user.run(["client", "show", "--json"]).exits(0).out, before);
    for command in ["show", "set"] {
        let nobody = ["--account", "nobody", "--json", "client", command];
        let mut line = user.command();
        line.args(nobody);
        if command == "set" {
            line.args(["--client-id", "x"]);
        }
        let error = Ran::from(line.output().unwrap()).exits(3).error();
        assert_eq!(error["reason"], "not_logged_in");
    }
}
