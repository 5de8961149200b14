//! Which rejection is whose matter: the marks that a judged rejection leaves.

use std::time::Duration;

use regrant_core::{
    Answer, Applied, Blocked, Cause, CoolDown, Event, Failure, Input, Mark, Policy, Record,
    Refresh, StateKind, Strength, Use,
};
use regrant_world::origin;

use crate::scene::{START, Scene, login, record};
use crate::{is_acquire, is_ask, mark, read, told};

const SECOND: Duration = Duration::from_secs(1);

/// The saved mark of this origin.
fn saved(scene: &Scene, name: &str) -> Mark {
    let (record, _) = scene.stored.as_ref().unwrap();
    record.marks.iter().find(|mark| mark.origin == origin(name)).cloned().unwrap()
}

/// A record with these marks.
fn marked(marks: impl Into<Vec<Mark>>) -> Record {
    let mut record = record();
    record.marks = marks.into();
    record
}

/// Somebody outside says that `name` rejected the current token.
fn disowned(scene: Scene, name: &str) -> Scene {
    let id = scene.id();
    scene.tell(Input::Disowned { id, origin: origin(name) })
}

/// The current token is rejected over claims that it was not asked for.
fn rejected_over_claims(scene: Scene, name: &str) -> Scene {
    let (id, strength) = (scene.id(), Strength::Strong);
    let claims = Some("{}".into());
    scene.tell(Input::Rejected { id, origin: origin(name), strength, claims })
}

#[test]
fn a_demand_cools_down_as_its_own_origin_s_rejections_do() {
    let policy = Policy::default();
    for x_is_weak in [true, false] {
        let mut marks = [mark("x", 5, START - SECOND), mark("y", 4, START - SECOND)];
        marks[0].weak = x_is_weak;
        marks[1].weak = !x_is_weak;
        let scene = Scene::loaded(marked(marks)).wanted(origin("x")).asking();
        let saved = saved(&scene, "x");
        let cool_down = if x_is_weak { policy.weak_cool_down } else { policy.cool_down };
        assert_eq!((saved.weak, saved.until), (x_is_weak, START + cool_down));
    }
}

#[test]
fn an_origin_that_has_cooled_down_does_not_wait_for_another_that_has_not() {
    let marks = [mark("x", 5, START - SECOND), mark("y", 4, START + 30 * SECOND)];
    let scene = Scene::loaded(marked(marks)).wanted(origin("x"));
    assert!(scene.is_out(is_acquire));
    assert_eq!(scene.state(), Some(StateKind::ServerRejected));
}

#[test]
fn who_waits_for_a_refresh_that_is_under_way_rejects_nothing() {
    let expired = Scene::valid().pass(Duration::from_secs(3_600));
    let scene = read(expired).asking();
    assert!(matches!(scene.machine.view().access(&origin("x")), Use::Wait));
    let scene = scene.wanted(origin("x"));
    assert_eq!(scene.state(), Some(StateKind::Valid));
}

#[test]
fn whoever_asks_again_during_a_refresh_has_rejected_once() {
    let scene = Scene::valid().rejected(origin("x")).acquire().load();
    let scene = scene.wanted(origin("x")).save().pass(SECOND);
    let failure = Failure::new(Cause::EndpointMoved, Applied::No);
    let scene = scene.answers(Answer::Failed(failure)).save().release();
    assert_eq!(saved(&scene, "x").until, START + Policy::default().cool_down);
}

#[test]
fn of_more_origins_than_there_are_marks_the_first_sixteen_are_judged() {
    let mut login = login(1);
    login.origins = (0..17).map(|n| origin(&format!("o{n}"))).collect();
    let mut scene = Scene::loaded(Record::login(&login, None));
    for origin in &login.origins {
        scene = scene.rejected(origin.clone());
    }
    let stored = scene.asking().stored.unwrap().0;
    let marked: Vec<_> = stored.marks.into_iter().map(|mark| mark.origin).collect();
    assert_eq!(marked, login.origins[..16]);
}

#[test]
fn the_word_of_a_script_refreshes_although_its_origin_was_marked_before() {
    let marks = [mark("x", 4, START + 30 * SECOND)];
    let scene = disowned(Scene::loaded(marked(marks)), "x").asking();
    assert!(scene.is_out(is_ask));
    assert!(!saved(&scene, "x").still);
}

#[test]
fn the_word_of_a_script_ends_no_cool_down() {
    let mut left_alone = mark("x", 4, START + 30 * SECOND);
    left_alone.still = true;
    let scene = disowned(Scene::loaded(marked([left_alone])), "x").asking();
    let saved = saved(&scene, "x");
    assert_eq!((saved.still, saved.until), (true, START + 30 * SECOND));
}

#[test]
fn claims_that_the_token_was_not_asked_for_are_no_matter_of_the_origin() {
    for still in [true, false] {
        let mut active = mark("x", 4, START + 30 * SECOND);
        active.still = still;
        let scene = rejected_over_claims(Scene::loaded(marked([active])), "x").asking();
        assert!(scene.is_out(is_ask));
        assert!(!saved(&scene, "x").still, "left alone before: {still}");
    }
}

#[test]
fn an_origin_that_rejects_the_fresh_token_too_leaves_the_others_a_token_without_renewal() {
    let mut record = marked([mark("x", 4, START + 30 * SECOND)]);
    record.refresh_token = None;
    record.refresh = Refresh::Absent;
    let scene = Scene::loaded(record).rejected(origin("x"));
    assert_eq!(scene.state(), Some(StateKind::NeedsLogin));
    let scene = scene.settled();
    assert_eq!(scene.state(), Some(StateKind::Valid));
    let still = |event: &Event| matches!(event, Event::StillRejected { .. });
    assert!(told(&scene).any(still));
    assert!(!told(&scene).any(|event| matches!(event, Event::LoginNeeded { .. })));
}

#[test]
fn an_origin_that_has_cooled_down_waits_for_the_authorization_server_too() {
    let mut record = marked([mark("x", 5, START - SECOND)]);
    let retry_at = START + 30 * SECOND;
    record.cool_down = Some(CoolDown {
        until: retry_at,
        cause: Cause::Unavailable,
        code: None,
        streak: 1,
        ahead_only: false,
    });
    let blocked = |scene: &Scene| match scene.machine.view().access(&origin("x")) {
        Use::Blocked { why, retry_at } => Some((why, retry_at)),
        Use::Token { .. } | Use::Wait | Use::Login(_) | Use::Foreign => None,
    };
    let cooling = Some((Blocked::CoolDown(Cause::Unavailable), retry_at));
    let scene = Scene::loaded(record);
    assert_eq!(blocked(&scene), cooling);
    // Another process may have found the server mended.
    let scene = scene.wanted(origin("x"));
    assert!(matches!(scene.machine.view().access(&origin("x")), Use::Wait));
    assert_eq!(blocked(&scene.load()), cooling);
}
