//! An attempt, try by try: what is sent, how often, and what its end leaves in the record.

use std::time::Duration;

use regrant_core::{
    Action, Answer, Applied, Cause, Event, Failure, Input, LoginReason, Outcome, Policy, Record,
    Refresh, Renewal, StateKind, Strength,
};
use regrant_world::origin;

use crate::scene::{START, Scene, record};
use crate::{asked, due, is_ask, is_save, refused, told};

/// A credential that is renewed with the client's own credentials.
fn without_refresh_token() -> Record {
    let mut record = record();
    record.client.renewal = Renewal::ClientCredentials;
    record.refresh_token = None;
    record
}

/// The login that is asked for, as the record gives the reason.
fn dead(scene: &Scene) -> Option<LoginReason> {
    match scene.machine.record()?.refresh {
        Refresh::Dead { reason, .. } => Some(reason),
        Refresh::Usable | Refresh::InDoubt { .. } | Refresh::Absent => None,
    }
}

/// When the try that failed last is tried again.
fn next_try(scene: &Scene) -> Option<Duration> {
    let at = told(scene).filter_map(|event| match event {
        Event::TryFailed { next_try_at, .. } => Some(*next_try_at),
        _ => None,
    });
    at.last().unwrap().map(|at| at.since(scene.now))
}

/// Every try of the attempt that is out fails like this. How many there were.
fn failing(mut scene: Scene, failure: &Failure) -> (Scene, u32) {
    let mut tries = 0;
    while !scene.is_out(is_save) {
        assert!(tries < 20, "no end");
        scene = if scene.is_out(is_ask) {
            tries += 1;
            scene.answers(Answer::Failed(failure.clone()))
        } else {
            scene.woken()
        };
    }
    (scene, tries)
}

#[test]
fn a_refusal_of_the_client_s_own_credentials_is_the_end() {
    let scene = Scene::loaded(without_refresh_token()).rejected(origin("x")).asking();
    let scene = scene.answers(refused()).settled();
    assert_eq!(dead(&scene), Some(LoginReason::Refused));
    assert_eq!(scene.state(), Some(StateKind::NeedsLogin));
}

#[test]
fn of_the_client_s_own_credentials_nothing_is_ever_in_doubt() {
    let scene = Scene::loaded(without_refresh_token()).rejected(origin("x")).asking();
    let (scene, tries) = failing(scene, &Failure::new(Cause::NoAnswer, Applied::Perhaps));
    assert_eq!(tries, Policy::default().tries, "each lost answer is a try like another");
    let scene = scene.settled();
    assert_eq!(scene.machine.record().unwrap().refresh, Refresh::Usable);
}

#[test]
fn a_server_that_does_not_speak_oauth_is_tried_three_times() {
    for cause in [Cause::NotOauth, Cause::UnknownError] {
        let scene = Scene::valid().rejected(origin("x")).asking();
        let (_, tries) = failing(scene, &Failure::new(cause, Applied::No));
        assert_eq!(tries, 3, "{cause}");
    }
}

#[test]
fn claims_that_the_server_does_not_take_are_left_out_at_once() {
    for cause in [Cause::ClientMisconfigured, Cause::UnknownError] {
        let scene = Scene::valid();
        let (id, strength, claims) = (scene.id(), Strength::Strong, Some("{}".into()));
        let rejected = Input::Rejected { id, origin: origin("x"), strength, claims };
        let scene = scene.tell(rejected).asking();
        let claims = |scene: &Scene| match scene.out.values().find(|action| is_ask(action)) {
            Some(Action::Ask { claims, .. }) => claims.clone(),
            other => panic!("not asked: {other:?}"),
        };
        assert_eq!(claims(&scene).as_deref(), Some("{}"));
        let scene = scene.answers(Answer::Failed(Failure::new(cause, Applied::No)));
        assert_eq!(next_try(&scene), Some(Duration::ZERO), "{cause}");
        assert_eq!(claims(&scene), None, "{cause}");
    }
}

#[test]
fn a_try_at_the_deadline_of_its_attempt_would_come_too_late() {
    let length = Policy::default().attempt;
    let just_before = length - Duration::from_millis(1);
    for (asked_for, next) in [(just_before, Some(just_before)), (length, None)] {
        let scene = Scene::valid().rejected(origin("x")).asking();
        assert_eq!(due(&scene, is_ask), START + length);
        let mut busy = Failure::new(Cause::Unavailable, Applied::No);
        busy.retry_after = Some(asked_for);
        let scene = scene.answers(Answer::Failed(busy));
        assert_eq!(next_try(&scene), next, "after {asked_for:?}");
    }
}

#[test]
fn a_replay_that_comes_to_nothing_by_the_end_of_its_intent_is_not_owed_any_more() {
    let intent = Policy::default().intent();
    let millisecond = Duration::from_millis(1);
    for (after, owed) in [(intent - millisecond, true), (intent, false)] {
        let mut scene = Scene::valid().rejected(origin("x")).asking();
        let failed = Failure::new(Cause::NoAnswer, Applied::PerhapsLater);
        let outcome = Outcome::Answered(Answer::Failed(failed));
        let input = Input::Done { id: asked(&scene), outcome };
        scene.give(input, START + after);
        let stored = scene.settled().stored.unwrap().0;
        let cool_down = stored.cool_down.unwrap();
        let ends = if owed { START + intent } else { START + intent + Policy::default().cool_down };
        assert_eq!((cool_down.until, cool_down.streak), (ends, u32::from(!owed)), "{after:?}");
        assert_eq!(stored.in_flight_until, owed.then_some(START + intent), "{after:?}");
    }
}

#[test]
fn a_refused_copy_from_another_host_says_so() {
    let hosts = [("there", LoginReason::LineageForked), ("here", LoginReason::Refused)];
    for (written_by, reason) in hosts {
        let mut record = record();
        record.written_by = Some(written_by.into());
        let mut scene = Scene::loaded(record);
        scene.machine.set_host("here".into());
        let scene = scene.rejected(origin("x")).asking().answers(refused());
        assert_eq!(dead(&scene.settled()), Some(reason), "brought {written_by}");
    }
}

#[test]
fn a_record_says_which_host_brought_its_tokens() {
    let mut record = record();
    record.written_by = Some("there".into());
    let mut scene = Scene::loaded(record);
    scene.machine.set_host("here".into());
    let scene = scene.rejected(origin("x")).asking().granted().settled();
    assert_eq!(scene.stored.unwrap().0.written_by.as_deref(), Some("here"));
}

#[test]
fn numbers_that_are_set_later_count_from_then_on() {
    let mut scene = Scene::valid();
    let mut policy = Policy::default();
    policy.attempt = Duration::from_secs(7);
    scene.machine.set_policy(policy);
    let scene = scene.rejected(origin("x")).asking();
    assert_eq!(due(&scene, is_ask), START + Duration::from_secs(7));
}
