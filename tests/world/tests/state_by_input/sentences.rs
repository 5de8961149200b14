//! What the table once showed and should not have: each a sentence now.

use std::time::Duration;

use regrant_core::{
    Access, Action, Answer, Applied, Blocked, Cause, Event, Failure, Input, LoginReason, Outcome,
    Policy, Record, Refresh, Rotation, Secret, StateKind, StoreFault, Strength, Use,
};
use regrant_world::origin;

use crate::scene::{START, Said, Scene, record};

/// A grant of our own that is in use and could not be saved.
fn unsaved() -> Scene {
    let scene = Scene::valid().rejected(origin("x")).asking().granted();
    scene.saves(Outcome::Failed(StoreFault::Full))
}

/// What another process leaves that redeemed the same refresh token: the same generation, another
/// token.
fn redeemed_elsewhere(scene: &Scene, access: Access) -> Record {
    let mut record = scene.stored.as_ref().expect("something is stored").0.clone();
    record.generation += 1;
    record.refresh_token = Some(Secret::new("refresh-elsewhere".into()));
    record.attempt = None;
    for slot in record.slots.values_mut() {
        slot.access_token = Secret::new("access-elsewhere".into());
        (slot.generation, slot.access) = (record.generation, access);
    }
    record
}

fn told(scene: &Scene, wanted: fn(&Event) -> bool) -> usize {
    let event = |said: &&Said| matches!(said, Said::Told(event) if wanted(event));
    scene.said.iter().filter(event).count()
}

fn asked(scene: &Scene) -> usize {
    let ask = |said: &&Said| matches!(said, Said::Act { action: Action::Ask { .. }, .. });
    scene.said.iter().filter(ask).count()
}

#[test]
fn a_grant_is_dropped_once() {
    let mut scene = unsaved();
    scene.said.clear();
    scene.stored = None;
    // Longer than every pause between two tries to save.
    let scene = scene.woken().load().live(Duration::from_secs(20));
    assert_eq!(told(&scene, |event| matches!(event, Event::GrantDropped { .. })), 1);
}

#[test]
fn a_rejection_of_our_unsaved_token_is_none_of_another_s() {
    let mut scene = unsaved().rejected(origin("y"));
    scene.said.clear();
    scene.stored = Some((redeemed_elsewhere(&scene, Access::Trusted), 9));
    let scene = scene.woken().load().settled();
    assert_eq!(asked(&scene), 0, "a good token was refreshed");
    assert_eq!(told(&scene, |event| matches!(event, Event::Adopted { .. })), 1);
    assert!(matches!(scene.machine.view().access(&origin("y")), Use::Token { .. }));
}

#[test]
fn an_acceptance_of_our_unsaved_token_is_none_of_another_s() {
    let mut scene = unsaved();
    scene.stored = Some((redeemed_elsewhere(&scene, Access::Probation), 9));
    let scene = scene.accepted(origin("y")).save().settled();
    let stored = scene.stored.expect("something is stored").0;
    assert_eq!(stored.access(), Access::Probation, "trusted, though nobody has accepted it");
}

#[test]
fn no_login_is_asked_for_while_the_grant_that_ends_the_need_is_saved() {
    let mut scene = Scene::valid().rejected(origin("x")).asking().granted();
    scene.said.clear();
    let mut refused = scene.stored.clone().expect("something is stored").0;
    refused.refresh = Refresh::Dead { reason: LoginReason::Refused, code: None, at: START };
    refused.attempt = None;
    scene.stored = Some((refused, 9));
    let scene = scene.save().settled();
    assert_eq!(scene.state(), Some(StateKind::Retrying));
    assert_eq!(told(&scene, |event| matches!(event, Event::LoginNeeded { .. })), 0);
}

#[test]
fn a_replay_that_could_kill_waits_whatever_the_server_says() {
    let mut policy = Policy::default();
    policy.rotation = Rotation::GraceKillsEarlier;
    let intent = policy.intent();
    let ahead = Scene::loaded_by(policy, record()).pass(Duration::from_secs(3_550)).asking();
    let begun = ahead.now;
    let (cause, applied) = (Cause::Unavailable, Applied::Perhaps);
    let retry_after = Some(Duration::from_secs(1));
    let failure = Failure { cause, applied, retry_after, code: None };
    let mut scene = ahead.answers(Answer::Failed(failure)).save().release();
    scene.said.clear();
    // Two looks at the store and what they lead to.
    for _ in 0..20 {
        scene = scene.woken();
        while let Some(action) = scene.out.values().next().cloned() {
            scene = match action {
                Action::Load => scene.load(),
                Action::Acquire => scene.acquire(),
                Action::Save { .. } => scene.save(),
                Action::Release => scene.release(),
                Action::Ask { .. } => {
                    assert!(scene.now.since(begun) >= intent, "{:?}", scene.now.since(begun));
                    return;
                }
                Action::Revoke { .. } => panic!("nobody logged out"),
            };
        }
    }
    panic!("it was never replayed");
}

#[test]
fn a_late_rejection_after_a_logout_is_nothing() {
    let scene = Scene::valid();
    let id = scene.id();
    let mut scene = scene.tell(Input::LoggedOut).load().save().settled();
    scene.said.clear();
    let (origin, strength) = (origin("x"), Strength::Strong);
    let scene = scene.tell(Input::Rejected { id, origin, strength, claims: None });
    assert!(scene.said.is_empty(), "{:?}", scene.said);
}

#[test]
fn what_is_blocked_is_blocked_until_a_moment_ahead() {
    let scene = unsaved().rejected(origin("y")).woken();
    match scene.machine.view().access(&origin("y")) {
        Use::Blocked { why: Blocked::Store(StoreFault::Full), retry_at } => {
            assert!(retry_at > scene.now, "{retry_at:?} at {:?}", scene.now);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_rejection_that_a_mark_had_told_of_is_seen_all_the_same() {
    // The record says that x rejected this token; then x says so itself; then it accepts a request
    // that was under way.
    let scene = Scene::valid().rejected(origin("x"));
    let mut marked = scene.asking().stored.expect("something is stored").0;
    marked.attempt = None;
    for slot in marked.slots.values_mut() {
        slot.access = Access::Trusted;
    }
    let scene = Scene::loaded(marked).rejected(origin("x")).accepted(origin("x"));
    let answer = scene.machine.view().access(&origin("x"));
    assert!(!matches!(answer, Use::Token { .. }), "offered again what it rejected: {answer:?}");
}
