//! Where the key of a store comes from, and how it is changed.

use std::fs;

use regrant_sandbox::Config;
use serde_json::json;

use crate::support::*;

on_every_store! {
    a_store_says_where_its_key_comes_from_and_that_it_is_there,
    a_new_key_seals_every_credential_and_moves_to_another_file,
    another_key_than_the_store_names_is_refused_and_the_right_one_named,
}

fn a_store_says_where_its_key_comes_from_and_that_it_is_there(kind: Kind) {
    let user = User::on(kind, Config::default());
    let none = user.run(["key", "show", "--json"]).exits(0).json();
    assert_eq!((&none["source"], &none["present"]), (&json!(null), &json!(false)));
    assert!(files(user.home()).is_empty(), "looking makes no file");
    user.run(["key", "rekey"]).exits(2);

    user.import().exits(0);
    let path = user.key_file();
    let shown = user.run(["key", "show", "--json"]).exits(0).json();
    assert_eq!(shown["path"], json!(path.canonicalize().unwrap()));
    assert_eq!((&shown["protection"], &shown["present"]), (&json!("none"), &json!(true)));
    if cfg!(unix) {
        assert_eq!((&shown["mode"], &shown["permissions"]), (&json!("0600"), &json!("owner-only")));
    }
    let prose = user.run(["key", "show"]).exits(0).out;
    assert!(prose.contains("protects nothing from those who get this file"), "{prose}");

    fs::remove_file(&path).unwrap();
    assert_eq!(user.run(["key", "show", "--json"]).exits(0).json()["present"], false);
}

fn a_new_key_seals_every_credential_and_moves_to_another_file(kind: Kind) {
    let user = User::logged_in_on(kind, Config::default());
    let mut other = user.command();
    other.args(["--account", "other"]);
    user.import_by(other).exits(0);
    let before = user.status();
    let said = user.run(["key", "rekey", "--json"]).exits(0).json();
    assert_eq!((&said["resealed"], &said["unreadable"]), (&json!(2), &json!(0)));
    assert_ne!(user.status()["fingerprint"], before["fingerprint"], "it is another key");
    user.call().exits(0);

    let (old, new) = (user.key_file(), user.home().join("elsewhere/new.key"));
    let to = format!("file:{}", new.display());
    let ran = user.run(["key", "rekey", "--to", &to]).exits(0);
    assert!(ran.err.contains(old.to_str().unwrap()), "{ran:?}");
    assert!(old.exists(), "a backup may need it");
    fs::remove_file(old).unwrap();
    user.run(["call", user.api(), "--account", "other"]).exits(0);
    assert_eq!(
        user.status()["key_source"],
        json!(format!("file:{}", new.canonicalize().unwrap().display()))
    );
}

fn another_key_than_the_store_names_is_refused_and_the_right_one_named(kind: Kind) {
    let user = User::logged_in_on(kind, Config::default());
    let recorded = format!("--key file:{}", user.key_file().canonicalize().unwrap().display());
    let other = format!("file:{}", user.home().join("other.key").display());
    for key in ["keychain", other.as_str()] {
        for command in [&["token"][..], &["status"], &["call", user.api()], &["doctor"]] {
            let mut run = user.command();
            let ran = Ran::from(run.args(command).args(["--key", key, "--json"]).output().unwrap());
            let ran = ran.exits(6);
            assert!(ran.out.contains("wrong_key_source"), "{ran:?}");
            assert!(ran.out.contains(&recorded), "{ran:?}");
        }
    }
    let error = user.run(["status", "--key", "keychain", "--json"]).exits(6).error();
    assert_eq!(error["code"], "wrong_key_source");
    assert!(error["key_source"].as_str().is_some_and(|key| recorded.ends_with(key)), "{error}");
    assert_eq!(error["protection"], "none");
    assert!(!user.home().join("other.key").exists());
    assert_eq!(user.requests(), (0, 0));
}

/// Whether the time that a keychain may take was waited for is seen by the log: the keychain
/// must have refused at once, and not have been given up.
#[cfg(target_os = "linux")]
#[test]
fn without_a_bus_a_new_store_gets_a_key_file_at_once() {
    let user = User::new(Config::default());
    let mut command = user.command();
    command.env("REGRANT_LOG", "warn");
    let ran = user.import_by(command).exits(0);
    assert!(ran.err.contains("there is no D-Bus session"), "{ran:?}");
    assert!(!ran.err.contains("did not answer in time"), "{ran:?}");
    assert_eq!(user.status()["protection"], "none");
    assert!(user.key_file().exists());
}

#[cfg(target_os = "linux")]
#[test]
fn a_store_that_needs_the_keychain_says_so_where_there_is_none() {
    let user = User::new(Config::default());
    let folder = user.home().join("ring");
    let store = format!("keyring:{}", folder.display());
    let status = user.run(["status", "--store", &store, "--json"]).exits(0).json();
    assert_eq!((&status["store"], &status["key_source"]), (&json!(store), &json!(null)));
    for arguments in [["--store", &store], ["--key", "keychain"]] {
        let mut command = user.command();
        command.args(arguments).arg("--json");
        let error = user.import_by(command).exits(6).error();
        assert_eq!(error["code"], "store_unavailable");
        assert!(error["remedy"].as_str().unwrap().contains("keychain"), "{error}");
    }
    assert!(files(user.home()).iter().all(|file| !file.to_string_lossy().ends_with(".key")));
    let usual = user.run(["status", "--store", "keyring", "--json"]).exits(0).json();
    let usual = usual["store"].as_str().unwrap();
    assert!(usual.starts_with("keyring:/") && usual.ends_with("data/regrant/keyring"), "{usual}");
}
