//! `token`, `status` and `accounts`, for scripts.

use regrant_sandbox::Config;
use serde_json::json;

use crate::support::*;

#[test]
fn a_token_that_a_script_saw_rejected_is_refreshed_once() {
    let user = User::logged_in(Config::default());
    let first = user.run(["token", "--json"]).exits(0).json();
    assert_eq!(user.run(["token"]).exits(0).out.trim_end(), first["access_token"]);
    assert_eq!((&first["generation"], user.stats().token_requests), (&json!(1), 0));
    let fingerprint = first["fingerprint"].as_str().unwrap();
    assert_eq!(user.status()["fingerprint"], fingerprint);

    let second = user.run(["token", "--rejected", fingerprint, "--json"]).exits(0).json();
    assert_eq!((&second["generation"], user.stats().token_requests), (&json!(2), 1));
    for _ in 0..3 {
        let again = user.run(["token", "--rejected", fingerprint]).exits(0).out;
        assert_eq!(again.trim_end(), second["access_token"]);
    }
    assert_eq!(user.stats().token_requests, 1);
    assert_ne!(first["fingerprint"], second["fingerprint"]);
}

#[test]
fn a_script_is_believed_each_time_and_held_to_the_budget() {
    let user = User::logged_in(Config::default());
    let mut last = 0;
    for generation in 2..40 {
        let fingerprint = user.status()["fingerprint"].as_str().unwrap().to_owned();
        let ran = user.run(["token", "--rejected", &fingerprint, "--json"]);
        last = ran.code;
        if last != 0 {
            assert_eq!(ran.exits(4).error()["code"], "budget_spent");
            break;
        }
        assert_eq!(user.stats().token_requests, generation - 1);
    }
    assert_eq!((last, user.stats().token_requests), (4, 30));
}

#[test]
fn curl_takes_the_token_as_configuration() {
    let user = User::logged_in(Config::default());
    let token = user.run(["token"]).exits(0).out;
    let line = user.run(["token", "--curl"]).exits(0).out;
    assert_eq!(line, format!("header = \"Authorization: Bearer {}\"\n", token.trim_end()));
    user.run(["token", "--curl", "--json"]).exits(2);
}

#[test]
fn status_says_what_is_there_and_sends_nothing() {
    let user = User::new(Config::default());
    let status = user.status();
    assert_eq!(
        (&status["state"], &status["reason"]),
        (&json!("NeedsLogin"), &json!("not_logged_in"))
    );
    assert!(files(user.home()).is_empty(), "looking makes no file");

    user.import().exits(0);
    user.sandbox.expire_access_tokens();
    let status = user.status();
    for (member, value) in [
        ("account", json!("default")),
        ("state", json!("Valid")),
        ("reason", json!(null)),
        ("generation", json!(1)),
        ("scope", json!("read write")),
        ("has_refresh_token", json!(true)),
        ("retry_at", json!(null)),
        ("store", json!(format!("sqlite:{}", user.database().canonicalize().unwrap().display()))),
        ("persistence", json!("persistent")),
        (
            "key_source",
            json!(format!("file:{}", user.key_file().canonicalize().unwrap().display())),
        ),
        ("protection", json!("none")),
    ] {
        assert_eq!(status[member], value, "{member}");
    }
    for member in ["since", "expires_at", "fingerprint"] {
        assert!(status[member].is_string(), "{member}: {status}");
    }
    if cfg!(unix) {
        assert_eq!(status["permissions"], "owner-only");
    }
    let prose = user.run(["status"]).exits(0).out;
    assert!(prose.contains("Valid") && prose.contains("read write"), "{prose}");
    assert!(prose.contains("persistent") && prose.contains("protection: none"), "{prose}");
    assert_eq!(user.requests(), (0, 0));
}

#[test]
fn accounts_live_side_by_side() {
    let user = User::logged_in(Config::default());
    let mut other = user.importing();
    other.args(["--account", "other", "--profile", "google"]);
    with_input(other, &user.sandbox.issue().to_string()).exits(0);
    assert_eq!(user.run(["--account", "other", "status", "--json"]).json()["profile"], "google");
    user.run(["logout", "--account", "other"]).exits(0);

    let accounts = user.run(["accounts", "--json"]).exits(0).json();
    let row = |name: &str, state: &str, generation: u64| json!({ "account": name, "state": state, "generation": generation });
    assert_eq!(
        accounts["accounts"],
        json!([row("default", "live", 1), row("other", "tombstone", 1)])
    );
    let prose = user.run(["accounts"]).exits(0).out;
    assert_eq!(prose.lines().count(), 2, "{prose}");
    user.call().exits(0);
    user.run(["call", user.api(), "--account", "other"]).exits(3);
    user.run(["call", user.api(), "--account", "nobody"]).exits(3);
}

#[test]
fn a_store_is_called_by_the_name_that_leads_back_to_it() {
    let user = User::logged_in_on(Kind::Folder, Config::default());
    let fingerprint = user.status()["fingerprint"].clone();
    let store = user.status()["store"].as_str().unwrap().to_owned();
    assert_eq!(store, format!("file:{}", user.folder().canonicalize().unwrap().display()));
    let again = user.run(["status", "--store", &store, "--json"]).exits(0).json();
    assert_eq!((&again["store"], &again["fingerprint"]), (&json!(store), &fingerprint));

    // From another folder, and by its short name.
    let mut command = user.command();
    command.current_dir(user.folder().parent().unwrap());
    command.args(["status", "--store", "file:credentials", "--json"]);
    assert_eq!(Ran::from(command.output().unwrap()).exits(0).json()["store"], json!(store));
}

#[test]
fn a_store_that_was_moved_is_opened_with_the_key_that_it_names() {
    let user = User::logged_in(Config::default());
    let moved = user.home().join("moved.db");
    std::fs::rename(user.database(), &moved).unwrap();
    let store = format!("sqlite:{}", moved.display());
    user.run(["token", "--store", &store]).exits(0);
    assert!(user.key_file().is_file());
    let other = format!("file:{}", user.home().join("other.key").display());
    let error = user.run(["token", "--store", &store, "--key", &other, "--json"]).exits(6).error();
    assert_eq!(error["code"], "wrong_key_source");
    assert!(!user.home().join("other.key").exists());
}

#[test]
fn a_key_file_of_one_s_own_choice_is_made_with_the_first_record_and_not_before() {
    let user = User::new(Config::default());
    let path = user.home().join("deep").join("own.key");
    let key = format!("file:{}", path.display());
    user.run(["status", "--key", &key]).exits(0);
    user.run(["token", "--key", &key]).exits(3);
    assert!(!path.exists());
    let mut import = user.importing();
    import.args(["--key", &key]);
    with_input(import, &user.sandbox.issue().to_string()).exits(0);
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 32);
    user.run(["token", "--key", &key]).exits(0);
    user.run(["token"]).exits(0);
    assert!(!user.home().join("config").exists());
}
