//! A process dies at a step of its refresh; what it leaves is what the next one goes on from.

use regrant_sandbox::{Config, Grace, GraceKind};
use serde_json::json;

use crate::backend::Backend;
use crate::child::{Crash, Task, finished};
use crate::fleet::Place;

/// The intent is the first save of a refresh, the grant the second.
const INTENT: usize = 1;
const GRANT: usize = 2;

const GRACE: Option<Grace> = Some(Grace { ms: 60_000, kind: GraceKind::Same });

fn place(backend: Backend, grace: Option<Grace>) -> Place {
    Place::new(backend, Config { grace, ..Config::default() })
}

/// One process dies there, and the next one says what it came to.
fn died_and_went_on(place: &Place, crash: Crash) -> serde_json::Value {
    let died = finished(place.task().crash(crash).command().spawn().unwrap());
    assert_eq!(died, None, "it did not die");
    went_on(place)
}

fn went_on(place: &Place) -> serde_json::Value {
    let next: Task = place.task();
    finished(next.command().spawn().unwrap()).expect("nothing kills it")
}

pub(crate) fn before_the_intent(backend: Backend) {
    let place = place(backend, None);
    assert_eq!(died_and_went_on(&place, Crash::BeforeSave(INTENT))["generation"], 2);
    assert_eq!(place.sandbox.stats().token_requests, 1);
    assert_eq!(place.sandbox.stats().reuse_detected, 0);
}

pub(crate) fn after_the_intent(backend: Backend) {
    let place = place(backend, None);
    assert_eq!(died_and_went_on(&place, Crash::AfterSave(INTENT))["generation"], 2);
    assert_eq!(place.sandbox.stats().token_requests, 1);
    assert_eq!(place.sandbox.stats().reuse_detected, 0);
}

pub(crate) fn after_the_token_request(backend: Backend) {
    let place = place(backend, GRACE);
    assert_eq!(died_and_went_on(&place, Crash::BeforeSave(GRANT))["generation"], 2);
    let stats = place.sandbox.stats();
    assert_eq!((stats.token_requests, stats.grace_replays, stats.live_families), (2, 1, 1));
}

/// Nobody can save it; but it is named for what it is, once, and costs no second request.
pub(crate) fn after_the_token_request_without_grace(backend: Backend) {
    let place = place(backend, None);
    let said = died_and_went_on(&place, Crash::BeforeSave(GRANT));
    assert_eq!(said, json!({ "login": "rotation_lost" }));
    assert_eq!(place.sandbox.stats().token_requests, 2);
}

/// Wherever the save was: the old record with its intent is there, or the new one.
pub(crate) fn in_mid_save(backend: Backend) {
    let mut saved = 0;
    let moments = [0, 100, 300, 1_000, 3_000, 10_000, 30_000];
    for round in moments {
        let place = place(backend, GRACE);
        assert_eq!(died_and_went_on(&place, Crash::InSave(GRANT, round))["generation"], 2);
        let stats = place.sandbox.stats();
        assert_eq!((stats.reuse_detected, stats.live_families), (0, 1), "{round}");
        assert!((1..=2).contains(&stats.token_requests), "{round}");
        saved += u32::from(stats.token_requests == 1);
    }
    let of = moments.len();
    eprintln!("{}: of {of} saves that were cut, {saved} had come through", backend.name());
}

pub(crate) fn after_the_save(backend: Backend) {
    let place = place(backend, None);
    let died = finished(place.task().crash(Crash::AfterSave(GRANT)).command().spawn().unwrap());
    assert_eq!(died, None, "it did not die");
    // What it saved is there to be adopted, and is refreshed once it is rejected in its turn.
    assert_eq!(place.stored_generation(), 2);
    assert_eq!(went_on(&place)["generation"], 2);
    assert_eq!(place.sandbox.stats().token_requests, 1);
    let next = place.task().rejected(2).command().spawn().unwrap();
    assert_eq!(finished(next).expect("nothing kills it")["generation"], 3);
    let stats = place.sandbox.stats();
    assert_eq!((stats.token_requests, stats.reuse_detected), (2, 0));
}
