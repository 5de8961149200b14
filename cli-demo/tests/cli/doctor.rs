//! `doctor` names what is wrong, and changes nothing.

use std::fs;

use regrant_sandbox::{Config, HoldPoint};
use serde_json::{Value, json};

use crate::support::*;

on_every_store! {
    a_store_that_is_well_passes_every_check_and_sends_no_token,
    a_new_place_is_looked_at_and_left_empty,
    a_key_that_is_gone_is_named_and_not_replaced,
    what_is_damaged_is_named_with_its_account,
}

/// What a run found, by the names of the checks.
fn checks(ran: &Ran) -> Vec<Value> {
    ran.json()["checks"].as_array().unwrap().clone()
}

#[track_caller]
fn outcome(ran: &Ran, name: &str) -> Value {
    let checks = checks(ran);
    let found = checks.iter().find(|check| check["name"].as_str().unwrap().starts_with(name));
    found.unwrap_or_else(|| panic!("no check of {name}: {ran:#?}")).clone()
}

fn a_store_that_is_well_passes_every_check_and_sends_no_token(kind: Kind) {
    let user = User::logged_in_on(kind, Config::default());
    let before = fs::read(user.record()).unwrap();
    let ran = user.run(["doctor", "--json"]).exits(0);
    for check in checks(&ran) {
        assert_eq!(check["outcome"], "ok", "{check}");
    }
    for name in
        ["store", "writable", "lock", "key", "credential default", "token endpoint", "API", "clock"]
    {
        outcome(&ran, name);
    }
    let stats = user.stats();
    let api = stats.api("api");
    assert_eq!((stats.token_requests, api.requests, api.anonymous), (0, 1, 1));

    let ran = user.run(["doctor", "--offline", "--json"]).exits(0);
    assert!(checks(&ran).iter().all(|check| check["name"] != "clock"), "{ran:?}");
    assert_eq!(user.stats().api("api").requests, 1);
    assert_eq!(fs::read(user.record()).unwrap(), before);
    let prose = user.run(["doctor"]).exits(0).out;
    assert!(prose.lines().all(|line| line.starts_with("ok ")), "{prose}");
    user.call().exits(0);
}

fn a_new_place_is_looked_at_and_left_empty(kind: Kind) {
    let user = User::on(kind, Config::default());
    let ran = user.run(["doctor", "--json"]).exits(3);
    assert_eq!(outcome(&ran, "store")["outcome"], "ok");
    let credential = outcome(&ran, "credential default");
    assert_eq!(credential["outcome"], "failed");
    assert!(credential["remedy"].as_str().unwrap().contains("regrant import"), "{credential}");
    assert!(files(user.home()).is_empty());
}

fn a_key_that_is_gone_is_named_and_not_replaced(kind: Kind) {
    let user = User::logged_in_on(kind, Config::default());
    let key = user.key_file();
    fs::remove_file(&key).unwrap();
    let ran = user.run(["doctor", "--json"]).exits(6);
    let check = outcome(&ran, "key");
    assert_eq!(check["outcome"], "failed");
    let name = key.file_name().unwrap().to_str().unwrap();
    assert!(check["remedy"].as_str().unwrap().contains(name), "{check}");
    assert_eq!(outcome(&ran, "store")["outcome"], "ok");
    assert!(!key.exists());
}

fn what_is_damaged_is_named_with_its_account(kind: Kind) {
    let user = User::logged_in_on(kind, Config::default());
    let damage = b"damage".repeat(2_000);
    fs::write(user.record(), &damage).unwrap();
    let ran = user.run(["doctor", "--offline", "--json"]).exits(6);
    assert!(ran.out.contains("store_corrupt"), "{ran:?}");
    assert_eq!(fs::read(user.record()).unwrap(), damage);

    user.import().exits(0);
    let ran = user.run(["doctor", "--offline", "--json"]).exits(0);
    let left = outcome(&ran, "leftovers");
    assert_eq!(left["outcome"], "warning");
    assert!(left["what"].as_str().unwrap().contains("corrupt-1"), "{left}");
}

#[test]
fn a_clock_that_is_off_is_a_warning_and_no_failure() {
    for (hours, says) in [(2, "behind"), (-2, "ahead of")] {
        let user =
            User::logged_in(Config { clock_offset_ms: hours * 3_600_000, ..Config::default() });
        let ran = user.run(["doctor", "--json"]).exits(0);
        let clock = outcome(&ran, "clock");
        assert_eq!(clock["outcome"], "warning");
        assert!(clock["what"].as_str().unwrap().contains(says), "{clock}");
        assert!(clock["remedy"].as_str().unwrap().contains("does not depend on it"), "{clock}");
    }
}

#[test]
fn a_server_that_is_away_fails_with_4_and_the_login_is_kept() {
    let user = User::logged_in(Config::default());
    user.run(["allow", "http://127.0.0.1:1"]).exits(0);
    let ran = user.run(["doctor", "--json"]).exits(4);
    assert_eq!(outcome(&ran, "API http://127.0.0.1:1")["outcome"], "failed");
    assert_eq!(outcome(&ran, "token endpoint")["outcome"], "ok");
    assert_eq!(outcome(&ran, "credential default")["outcome"], "ok");
    user.run(["doctor", "--offline"]).exits(0);
}

#[test]
fn a_login_that_is_needed_and_a_client_that_is_wrong_have_their_own_codes() {
    let user = User::logged_in(Config::default());
    user.sandbox.revoke_all();
    user.call().exits(3);
    let ran = user.run(["doctor", "--json"]).exits(3);
    assert!(outcome(&ran, "credential default")["what"].as_str().unwrap().contains("refused"));
    // Whose turn it is not, says nothing about this run.
    let mut other = user.command();
    other.args(["--account", "other"]);
    user.import_by(other).exits(0);
    let ran = user.run(["doctor", "--account", "other", "--json"]).exits(0);
    assert_eq!(outcome(&ran, "credential default")["what"], "NeedsLogin");

    let user = User::logged_in(Config::default());
    user.sandbox.expire_access_tokens();
    user.sandbox.always(regrant_sandbox::Endpoint::Token, Some("invalid_client".parse().unwrap()));
    user.call().exits(7);
    let ran = user.run(["doctor", "--json"]).exits(7);
    let check = outcome(&ran, "credential default");
    assert!(check["what"].as_str().unwrap().contains("client_misconfigured"), "{check}");
}

#[test]
fn a_lock_that_another_process_holds_is_no_fault() {
    let user = User::logged_in(Config::default());
    user.sandbox.expire_access_tokens();
    user.sandbox.hold(HoldPoint::AfterCommit);
    let call = user.start(["call", user.api()]);
    wait(user.sandbox.wait_until_held()).unwrap();
    let ran = user.run(["doctor", "--offline", "--json"]).exits(0);
    let lock = outcome(&ran, "lock");
    assert!(lock["what"].as_str().unwrap().contains(&call.id().to_string()), "{lock}");
    user.sandbox.release_held();
    finished(call).exits(0);
}

#[cfg(unix)]
#[test]
fn a_place_that_cannot_be_written_fails_with_6() {
    // A folder that nobody can write, not even root.
    let user = User::new(Config::default());
    let ran = user.run(["doctor", "--store", "file:/proc/self/regrant", "--json"]).exits(6);
    let check = outcome(&ran, "writable");
    assert_eq!(check["outcome"], json!("failed"), "{ran:?}");
}

#[cfg(unix)]
#[test]
fn rights_of_others_are_told_where_they_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    let user = User::logged_in(Config::default());
    // A file of somebody's beside the database, which regrant does not touch.
    let beside = user.database().with_file_name("credentials.db.bak");
    fs::write(&beside, "x").unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o644)).unwrap();
    let ran = user.run(["doctor", "--offline", "--json"]).exits(0);
    let check = outcome(&ran, "permissions");
    assert_eq!(check["outcome"], "warning");
    assert!(check["what"].as_str().unwrap().contains("credentials.db.bak has the mode 0644"));
    assert!(user.status()["permissions"].as_str().unwrap().contains("0644"));
    fs::remove_file(beside).unwrap();
    assert_eq!(user.status()["permissions"], "owner-only");
}
