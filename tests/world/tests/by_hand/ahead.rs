//! Refreshes ahead of need: when they begin, and whom they keep waiting.

use std::time::Duration;

use regrant_core::{Answer, Policy, Record, Timestamp};
use regrant_world::origin;

use crate::scene::{LIFETIME, START, Scene, grant, record};
use crate::{is_acquire, is_load};

const SECOND: Duration = Duration::from_secs(1);

/// A record whose access token has no end that is known, and whose refresh token ends then.
fn ending(at: Timestamp) -> Record {
    let mut record = record();
    record.slots.get_mut(&0).unwrap().lifetime_ms = None;
    record.refresh_expires_at = Some(at);
    record
}

/// After how long the lease is asked for, if that is before `end`. The store answers meanwhile.
fn acquires_after(mut scene: Scene, end: Duration) -> Option<Duration> {
    let start = scene.now;
    loop {
        while scene.is_out(is_load) {
            scene = scene.load();
        }
        if scene.is_out(is_acquire) {
            return Some(scene.now.since(start));
        }
        if scene.wake > start + end {
            return None;
        }
        scene = scene.woken();
    }
}

#[test]
fn a_refresh_token_is_used_at_half_of_its_life_or_a_little_sooner() {
    for life in [1_000 * SECOND, 600 * SECOND] {
        let scene = Scene::loaded(ending(START + life));
        let at = acquires_after(scene, life).unwrap();
        assert!(at < life / 2, "the seed makes it a little sooner: {at:?} of {life:?}");
        assert!(at >= life / 2 - life / 20, "{at:?} of {life:?}");
    }
}

#[test]
fn a_refresh_token_of_a_short_life_is_left_to_the_access_token() {
    let life = 600 * SECOND - Duration::from_millis(1);
    assert_eq!(acquires_after(Scene::loaded(ending(START + life)), life), None);
}

#[test]
fn a_refresh_token_past_its_announced_end_is_not_hurried() {
    for at in [START - 1_000 * SECOND, START] {
        let mut record = ending(at);
        record.refreshed_at = Some(START - 2_000 * SECOND);
        assert_eq!(acquires_after(Scene::loaded(record), 1_000 * SECOND), None, "{at:?}");
    }
}

#[test]
fn the_end_that_a_refresh_announces_counts_from_its_request() {
    let life = 2_000 * SECOND;
    let mut new = grant("new");
    (new.expires_in, new.refresh_expires_in) = (None, Some(life));
    let scene = Scene::valid().rejected(origin("x")).asking();
    let scene = scene.answers(Answer::Granted(new)).settled();
    assert_eq!(scene.machine.record().unwrap().refresh_expires_at, Some(START + life));
    let at = acquires_after(scene, life).unwrap();
    assert!((life / 2 - life / 20..life / 2).contains(&at), "{at:?}");
}

#[test]
fn nobody_waits_for_the_lease_of_a_refresh_ahead_of_need() {
    let policy = Policy::default();
    let mut scene = Scene::loaded(record());
    let mut tries: Vec<Timestamp> = Vec::new();
    while scene.wake < START + LIFETIME - SECOND {
        scene = scene.woken();
        while scene.is_out(is_load) || scene.is_out(is_acquire) {
            scene = if scene.is_out(is_load) {
                scene.load()
            } else {
                tries.push(scene.now);
                scene.busy()
            };
        }
    }
    // One look at the store after each try, and the next try in the interval of rereading.
    assert!(tries.len() > 10, "{tries:?}");
    let gaps = tries.windows(2).map(|pair| pair[1].since(pair[0]));
    for gap in gaps {
        assert_eq!(gap, policy.lease_poll + policy.reread);
    }
}
