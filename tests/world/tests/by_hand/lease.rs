//! The lease and the lane to the store: who waits for whom, and for how long.

use std::time::Duration;

use regrant_core::{Outcome, Policy, StoreFault};
use regrant_world::origin;

use crate::scene::Scene;
use crate::{is_ask, is_load, is_save};

const SECOND: Duration = Duration::from_secs(1);

/// Whether a load and a save are out together.
fn crossed(scene: &Scene) -> bool {
    scene.is_out(is_load) && scene.is_out(is_save)
}

#[test]
fn the_looks_of_one_that_waits_come_further_apart_and_once_a_second_in_the_end() {
    let first = Policy::default().lease_poll;
    let mut scene = Scene::valid().rejected(origin("x"));
    let mut waits = Vec::new();
    for _ in 0..1_010 {
        scene = scene.busy();
        waits.push(scene.wake.since(scene.now));
        scene = scene.woken().load();
    }
    let (quick, slow) = waits.split_at(1_000);
    for (look, wait) in quick.iter().enumerate() {
        let most = first * (1 << look.min(4));
        assert!((first..=most.min(first * 10)).contains(wait), "{wait:?} before look {look}");
    }
    assert!(quick.iter().any(|wait| *wait > first * 8), "never long");
    assert!(quick[10..].iter().any(|wait| *wait < first * 3), "all at one time");
    assert!(slow.iter().all(|wait| *wait == SECOND), "{slow:?}");
}

#[test]
fn the_store_is_read_under_the_lease_only_after_the_save_that_is_out() {
    let scene = Scene::valid().rejected(origin("x")).asking().granted().settled();
    let scene = scene.accepted(origin("x"));
    assert!(scene.is_out(is_save), "the acceptance is being saved");
    let scene = scene.rejected(origin("y")).acquire();
    assert!(!crossed(&scene));
    let scene = scene.save();
    assert!(scene.is_out(is_load));
}

#[test]
fn one_that_waits_looks_at_the_store_only_after_the_save_that_is_out() {
    let scene = Scene::valid().rejected(origin("x")).asking().granted().settled();
    let scene = scene.accepted(origin("x"));
    assert!(scene.is_out(is_save), "the acceptance is being saved");
    let scene = scene.rejected(origin("y")).busy().woken();
    assert!(!crossed(&scene));
    let scene = scene.save();
    assert!(scene.is_out(is_load));
}

#[test]
fn a_store_that_never_knows_whether_it_saved_the_intent_is_given_up() {
    let mut scene = Scene::valid().rejected(origin("x")).acquire().load();
    let mut saves = 0;
    while scene.is_out(is_save) {
        saves += 1;
        assert!(saves < 100, "no end");
        scene = scene.saves(Outcome::Unknown(StoreFault::Unavailable)).load();
    }
    assert!(!scene.is_out(is_ask));
    // The first and 32 more.
    assert_eq!(saves, 33);
}
