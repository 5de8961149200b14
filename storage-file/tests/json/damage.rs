//! Files that cannot be read.

use std::fs;

use regrant_core::{Over, StoreFault};
use regrant_storage::{SaveOutcome, TokenStore as _};

use crate::support::*;

/// A file that is no JSON is damage, and stays as it is.
#[tokio::test]
async fn cp_03_corrupt_is_not_absent() {
    for damage in ["", "{", "{\"oauth\": {\"access\": \"canary", "canary", "{} {}"] {
        let place = Place::used();
        let found = place.loaded().await;
        fs::write(&place.file, damage).unwrap();
        let store = place.open().await;
        let error = assert_fault(store.load(ACCOUNT).await, StoreFault::Corrupt);
        assert!(!format!("{error:?}").contains("canary"));
        let refused = store.save(ACCOUNT, &login(1, None), &at(&found)).await;
        let error = assert_fault(refused, StoreFault::Corrupt);
        assert_eq!(error.outcome(), SaveOutcome::NotApplied);
        assert_eq!(place.text(), damage);
        assert_eq!(place.names(), ["credentials.json"]);
    }
}

#[tokio::test]
async fn cp_03_b_a_login_sets_damage_aside_and_a_logout_sweeps_it() {
    let place = Place::used();
    let store = place.open().await;
    for (number, damage) in [(1, "{ \"half"), (2, "[other"), (1, "{ \"half")] {
        fs::write(&place.file, damage).unwrap();
        done(save(&store, &login(number, None), &Over::Damaged).await);
        assert_same(&place.loaded().await.record, &login(number, None));
    }
    let copies = ["credentials.json.corrupt-1", "credentials.json.corrupt-2"];
    let kept = ["credentials.json", copies[0], copies[1], "credentials.json.regrant"];
    assert_eq!(place.names(), kept);
    assert_eq!(fs::read_to_string(place.beside(".corrupt-1")).unwrap(), "{ \"half");
    assert_eq!(fs::read_to_string(place.beside(".corrupt-2")).unwrap(), "[other");
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(fs::metadata(place.beside(".corrupt-1")).unwrap().mode() & 0o7777, 0o600);
    }
    let found = place.loaded().await;
    done(save(&store, &logged_out(&found.record), &at(&found)).await);
    assert_eq!(place.names(), ["credentials.json", "credentials.json.regrant"]);
}

#[tokio::test]
async fn a_logout_over_damage_leaves_its_own_copy_alone() {
    let place = Place::used();
    let store = place.open().await;
    fs::write(&place.file, "{ \"first").unwrap();
    done(save(&store, &login(1, None), &Over::Damaged).await);
    fs::write(&place.file, "{ \"second").unwrap();
    done(save(&store, &logged_out(&login(1, None)), &Over::Damaged).await);
    assert!(place.loaded().await.record.is_logged_out());
    assert_eq!(place.text(), "{\n}\n");
    let names = ["credentials.json", "credentials.json.corrupt-2", "credentials.json.regrant"];
    assert_eq!(place.names(), names);
}

#[tokio::test]
async fn damaged_notes_are_damage_and_the_file_is_spared() {
    let place = Place::used();
    let store = place.open().await;
    let found = place.loaded().await;
    done(save(&store, &login(1, Some(&found.record)), &at(&found)).await);
    fs::write(place.notes(), "{ \"format\": 1").unwrap();
    assert_fault(store.load(ACCOUNT).await, StoreFault::Corrupt);
    assert_eq!(place.found()["oauth"]["access"], "own 1 access");
    done(save(&store, &login(2, None), &Over::Damaged).await);
    assert_same(&place.loaded().await.record, &login(2, None));
    assert_eq!(place.found()["theme"], "dark", "what can be read is kept");
    let names =
        ["credentials.json", "credentials.json.regrant", "credentials.json.regrant.corrupt-1"];
    assert_eq!(place.names(), names);
}

#[tokio::test]
async fn cp_06_notes_of_a_newer_version_are_left_alone() {
    let place = Place::used();
    let newer = "{\"format\":2,\"what\":\"comes then\"}";
    fs::write(place.notes(), newer).unwrap();
    let store = place.open().await;
    assert_fault(store.load(ACCOUNT).await, StoreFault::UnknownFormat);
    let refused = store.save(ACCOUNT, &login(1, None), &Over::Absent).await;
    assert_fault(refused, StoreFault::UnknownFormat);
    assert_eq!(fs::read_to_string(place.notes()).unwrap(), newer);
}

#[tokio::test]
async fn a_map_that_does_not_fit_is_no_damage_and_nothing_is_set_aside() {
    for (from, to) in [
        ("\"foreign 1 access\"", "7"),
        ("1700003600000", "\"2023-11-14T23:13:20Z\""),
        ("1700003600000", "1700003600"),
        ("\"read\"", "1"),
    ] {
        let place = Place::used();
        let text = place.text().replace(from, to);
        fs::write(&place.file, &text).unwrap();
        let store = place.open().await;
        assert_fault(store.load(ACCOUNT).await, StoreFault::Unavailable);
        for over in [Over::Damaged, Over::Absent] {
            let refused = store.save(ACCOUNT, &login(1, None), &over).await;
            assert_fault(refused, StoreFault::Unavailable);
        }
        assert_eq!((place.text(), place.names()), (text, vec!["credentials.json".to_owned()]));
    }
}

#[tokio::test]
async fn something_other_than_a_file_is_not_waited_for() {
    let place = Place::empty();
    fs::create_dir(&place.file).unwrap();
    assert_fault(place.open().await.load(ACCOUNT).await, StoreFault::Unavailable);
    #[cfg(unix)]
    {
        fs::remove_dir(&place.file).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&place.file).status().unwrap();
        assert!(made.success());
        assert_fault(place.open().await.load(ACCOUNT).await, StoreFault::Unavailable);
    }
}
