//! Crashes and files: what a kill, a full disk, damage or another version leaves behind.
//!
//! What a single save leaves is a matter of the backends and is shown in their own tests.

mod killed;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use regrant::{AccessError, Event, NotSaved, StoreFault, Timestamp};
use regrant_core::Record;
use regrant_storage::{Kept, Over, TokenStore as _, Vault};
use serde_json::{Value, json};

use crate::disk::{self, KINDS, Kind, Place, api};
use crate::scene::{HOUR, SECOND, Scene, expired, happened, tokens};

#[tokio::test]
async fn cp_03_corrupt_is_not_absent() {
    let cut: fn(&[u8]) -> Vec<u8> = |whole| whole[..whole.len() / 2].to_vec();
    let empty: fn(&[u8]) -> Vec<u8> = |_| Vec::new();
    let other: fn(&[u8]) -> Vec<u8> = |_| b"{\"access_token\": [\"of another type\"]}".to_vec();
    for kind in KINDS {
        for damage in [cut, empty, other] {
            let place = Place::logged_in(kind).await;
            let file = place.file();
            let damaged = damage(&fs::read(&file).unwrap());
            fs::write(&file, &damaged).unwrap();

            let session = place.session().await;
            for _ in 0..10 {
                let error = session.access(&api()).await.unwrap_err();
                let AccessError::Store { fault, .. } = &error else { panic!("{error}") };
                assert_eq!(*fault, StoreFault::Corrupt);
            }
            assert_eq!(session.status().await.unwrap().state, None);
            assert_eq!((place.posts(), fs::read(&file).unwrap()), (0, damaged.clone()));
            assert!(place.copies().is_empty(), "nobody has asked for one");

            disk::log_in(&session, "at-new", "rt-new").await;
            assert_eq!(session.access(&api()).await.unwrap().token().expose(), "at-new");
            session.close(HOUR).await.unwrap();
            let session = place.session().await;
            assert_eq!(session.access(&api()).await.unwrap().token().expose(), "at-new");
            session.close(HOUR).await.unwrap();
            let copies = place.copies();
            let [copy] = copies.as_slice() else { panic!("{kind:?}: {copies:?}") };
            assert_eq!(fs::read(copy).unwrap(), damaged);
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt as _;
                assert_eq!(fs::metadata(copy).unwrap().permissions().mode() & 0o777, 0o600);
            }
        }
    }
}

/// An error of the store says so, and does not send anybody to log in.
fn is_about_the_store(text: &str) {
    assert!(text.contains("store") || text.contains("saved"), "{text}");
    assert!(!text.contains("log in") && !text.contains("refresh"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn cp_05_save_fails_after_rotation() {
    let scene = Scene::new().await;
    let mut events = scene.session.events();
    let call = scene.call_in_mid_refresh().await;
    scene.shelf.fail_saves(Some(StoreFault::Full));
    assert_eq!(call.await.unwrap().status(), 200);
    for _ in 0..20 {
        scene.pass(SECOND * 60).await;
        assert_eq!(scene.call().await.status(), 200);
    }
    assert_eq!((scene.posts(), scene.tokens().last().unwrap().as_str()), (1, "at-1"));
    assert_eq!(scene.stored().await, tokens("at-0", "rt-0"));
    let told = happened(&mut events).await;
    let unsaved = told.iter().filter(|event| matches!(event, Event::NotSaved { .. })).count();
    assert_eq!(unsaved, 1, "{told:?}");
    assert!(!told.iter().any(|event| matches!(event, Event::LoginNeeded { .. })), "{told:?}");

    scene.shelf.fail_saves(None);
    scene.pass(HOUR / 4).await;
    assert_eq!(scene.stored().await, tokens("at-1", "rt-1"));
    let told = happened(&mut events).await;
    let at_last = |event: &&Event| matches!(event, Event::SavedAtLast { generation: 2 });
    assert_eq!(told.iter().filter(at_last).count(), 1, "{told:?}");
    assert_eq!(scene.posts(), 1);
}

#[tokio::test(start_paused = true)]
async fn cp_05_b_where_nothing_can_be_saved_nothing_is_spent() {
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene.shelf.fail_saves(Some(StoreFault::ReadOnly));
    for _ in 0..100 {
        let got = scene.call().await;
        let error = got.error();
        let AccessError::Store { fault: StoreFault::ReadOnly, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(error.code(), "store_read_only");
        is_about_the_store(&error.to_string());
        scene.pass(SECOND).await;
    }
    assert_eq!(scene.posts(), 0);
    assert_eq!(scene.stored().await, tokens("at-0", "rt-0"));
    scene.shelf.fail_saves(None);
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!(scene.posts(), 1);
}

#[tokio::test(start_paused = true)]
async fn cp_05_c_a_program_that_ends_with_an_unsaved_token_is_told_so() {
    let scene = Scene::new().await;
    let call = scene.call_in_mid_refresh().await;
    scene.shelf.fail_saves(Some(StoreFault::Full));
    assert_eq!(call.await.unwrap().status(), 200);
    let error = scene.session.close(Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(error, NotSaved::Store { fault: StoreFault::Full, .. }), "{error}");
    is_about_the_store(&error.to_string());
}

/// How often the two versions save by turns.
const TURNS: u64 = 100;

/// Where a newer version of the same format may have fields of its own.
const PLACES: [&str; 3] = ["", "/slots/0", "/client"];

fn of_tomorrow(turn: u64) -> Value {
    json!({ "turn": turn, "also": [1.5, null, { "deep": "er" }] })
}

/// The record with the newer version's fields.
fn with_fields(record: &Record, turn: u64) -> Record {
    let mut value: Value = serde_json::from_slice(&record.encode()).unwrap();
    for place in PLACES {
        value.pointer_mut(place).unwrap()["of_tomorrow"] = of_tomorrow(turn);
    }
    Record::decode(&serde_json::to_vec(&value).unwrap()).unwrap()
}

/// An old and a new version save by turns, and neither loses a field of the other.
#[tokio::test]
async fn cp_06_schema_and_mixed_versions() {
    for kind in KINDS {
        let place = Place::logged_in(kind).await;
        for turn in 1..=TURNS {
            // A process of its own each time.
            let vault = vault(&place, kind).await;
            let stored = vault.load("default").await.unwrap().unwrap();
            let mut record = stored.record;
            if turn % 2 == 0 {
                record = with_fields(&record, turn);
            } else {
                // What an old version does: other tokens, and what it knows of them.
                record.generation += 1;
                record.refreshed_at = Some(Timestamp::from_millis(turn));
                let slot = record.slots.get_mut(&0).unwrap();
                slot.generation = record.generation;
                slot.obtained_at = Timestamp::from_millis(turn);
            }
            let over = Over::Version(stored.version);
            let saved = vault.save("default", &record, &over).await.unwrap();
            assert!(matches!(saved, Kept::Done(_)), "{kind:?}, turn {turn}");
        }
        let found = vault(&place, kind).await.load("default").await.unwrap().unwrap().record;
        let value: Value = serde_json::from_slice(&found.encode()).unwrap();
        for at in PLACES {
            let field = &value.pointer(at).unwrap()["of_tomorrow"];
            assert_eq!(*field, of_tomorrow(TURNS), "{kind:?} {at}");
        }
        assert_eq!(found.generation, 1 + TURNS / 2);
        assert_eq!(found.refreshed_at, Some(Timestamp::from_millis(TURNS - 1)));
    }
}

async fn vault(place: &Place, kind: Kind) -> Vault {
    let (blobs, _) = disk::blobs_in(place.folder(), kind).await;
    Vault::new(blobs, Arc::new(disk::key_in(place.folder())))
}
