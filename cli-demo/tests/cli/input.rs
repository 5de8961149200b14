//! Input that is not right, and the pages that explain.

use regrant_sandbox::Config;
use serde_json::json;

use crate::support::*;

#[test]
fn a_malformed_token_response_stores_nothing_and_quotes_nothing() {
    let user = User::new(Config::default());
    for (input, says) in [
        ("", "empty"),
        ("canary", "not JSON"),
        ("{\"refresh_token\":\"canary\"}", "`access_token`"),
        ("{\"error\":\"invalid_grant\"}", "invalid_grant"),
        ("{\"access_token\":\"canary", "not JSON"),
        ("{\"access_token\":\"canary\",\"refresh_token\":\"canary\\n\"}", "`refresh_token`"),
    ] {
        let ran = with_input(user.importing(), input).exits(2);
        assert!(ran.err.contains(says) && ran.out.is_empty(), "{input}: {ran:?}");
        assert!(!ran.err.contains("canary"), "{ran:?}");
    }
    assert!(files(user.home()).is_empty());
}

#[test]
fn a_url_that_is_none_is_refused_before_anything_is_sent() {
    let user = User::logged_in(Config::default());
    for url in ["nonsense", "", "ftp://127.0.0.1/", "http://api.example/", "http://u:p@127.0.0.1/"]
    {
        let error = user.run(["call", url, "--json"]).exits(2).error();
        assert_eq!(error["code"], "usage", "{url}");
    }
    for origin in ["nonsense", "http://api.example", "https://api.example/path"] {
        user.run(["allow", origin]).exits(2);
    }
    let mut import = user.command();
    import.args(["import", "--token-endpoint", "http://as.example/token", "--client-id", "x"]);
    import.args(["--api", user.api()]);
    with_input(import, &user.sandbox.issue().to_string()).exits(2);
    assert_eq!(user.requests(), (0, 0));
}

#[test]
fn a_store_or_key_that_is_none_is_refused_without_quoting_a_password() {
    let user = User::new(Config::default());
    for store in ["file:", "sqlite:", "postgres://user:canary@host/db", "nonsense"] {
        let ran = user.run(["status", "--store", store]).exits(2);
        assert!(!ran.err.contains("canary") && ran.err.contains("sqlite:PATH"), "{ran:?}");
    }
    for key in ["passphrase:canary", "passphrase-fd:canary", "file:", "canary"] {
        let ran = user.run(["status", "--key", key]).exits(2);
        assert!(!ran.err.contains("canary"), "{ran:?}");
    }
    let ran = user.run(["status", "--store", "keyring", "--key", "file:x"]).exits(2);
    assert!(ran.err.contains("keychain"), "{ran:?}");
    let mut help = user.command();
    help.env("REGRANT_STORE", "postgres://user:canary@host/db").args(["status", "--help"]);
    let ran = Ran::from(help.output().unwrap()).exits(0);
    assert!(!ran.out.contains("canary"), "{ran:?}");
    assert!(files(user.home()).is_empty());
}

#[test]
fn a_command_line_that_cannot_be_read_is_2_and_json_if_that_was_asked_for() {
    let user = User::new(Config::default());
    user.run([]).exits(2);
    user.run(["login"]).exits(2);
    user.run(["call"]).exits(2);
    user.run(["call", "--repeat", "0", user.api()]).exits(2);
    let error = user.run(["--json", "statsu"]).exits(2).error();
    assert_eq!(error["code"], "usage");
    user.run(["--help"]).exits(0);
    user.run(["--version"]).exits(0);
}

#[test]
fn every_code_that_is_listed_is_explained() {
    let user = User::new(Config::default());
    let listed = user.run(["explain", "--json"]).exits(0).json();
    let codes = listed["codes"].as_array().unwrap();
    assert!(codes.len() > 30, "{}", codes.len());
    let prose = user.run(["explain"]).exits(0).out;
    assert_eq!(prose.lines().count(), codes.len());
    for code in ["refused", "rotation_lost", "still_rejected", "store_corrupt", "lease_busy"] {
        assert!(codes.iter().any(|page| page["code"] == code), "{code}");
        assert!(user.run(["explain", code]).exits(0).out.contains("What to do"), "{code}");
    }
    user.run(["explain", "eaten_by_a_dog"]).exits(2);
}

#[test]
fn a_client_secret_comes_from_a_file_and_goes_where_it_belongs() {
    let config = Config { client_secret: Some("hush".to_owned()), ..Config::default() };
    let user = User::new(config);
    let secret = user.home().join("secret");
    std::fs::write(&secret, "hush\n").unwrap();
    for how in [&[][..], &["--auth", "basic"], &["--auth", "post"]] {
        let mut import = user.importing();
        import.arg("--client-secret-file").arg(&secret).args(how);
        with_input(import, &user.sandbox.issue().to_string()).exits(0);
        user.sandbox.expire_access_tokens();
        user.call().exits(0);
    }
    assert_eq!(user.stats().unauthenticated, 0);

    let mut import = user.importing();
    import.args(["--auth", "basic"]);
    with_input(import, "{}").exits(2);
    std::fs::write(&secret, "\n").unwrap();
    let mut import = user.importing();
    import.arg("--client-secret-file").arg(&secret);
    with_input(import, "{}").exits(2);
}

#[test]
fn an_import_says_what_it_saved() {
    let user = User::new(Config::default());
    let mut import = user.importing();
    import.arg("--json");
    let said = with_input(import, &user.sandbox.issue().to_string()).exits(0).json();
    assert_eq!((&said["account"], &said["generation"]), (&json!("default"), &json!(1)));
    assert_eq!(said["origins"], json!([user.api()]));
    let mut import = user.importing();
    let bare = json!({ "access_token": "only", "token_type": "bearer" }).to_string();
    import.arg("--json");
    let ran = with_input(import, &bare).exits(0);
    assert_eq!(ran.json()["generation"], 2);
    assert!(ran.err.contains("no refresh token"), "{ran:?}");
    let error = user.run(["call", user.api(), "--json"]).exits(3).error();
    assert_eq!(error["reason"], "no_refresh_token");
}
