//! A grant that meets another record than it was redeemed from, and what is said of it meanwhile.

use regrant_core::{
    Access, Answer, Event, Input, Outcome, Policy, Record, StateKind, StoreFault, Timestamp,
};
use regrant_world::origin;

use crate::scene::{LIFETIME, Scene, login, record};
use crate::{asked, due, is_acquire, is_load, is_revoke, is_save, lost, read, told, until};

/// Where revoking a token ends that token alone.
fn revoking() -> Policy {
    let mut policy = Policy::default();
    policy.revokes_token_alone = true;
    policy
}

/// What another process left, by its name, and whether a grant of the record before is revoked.
fn left_by_others() -> [(&'static str, Record, bool); 3] {
    let mut other_login = Record::login(&login(2), Some(&record()));
    other_login.generation += 1;
    let mut logged_out = Record::logged_out(record().incarnation, 5, Timestamp::EPOCH);
    logged_out.client = record().client;
    let mut newer = record();
    newer.generation = 7;
    newer.slots.get_mut(&0).unwrap().generation = 7;
    [("a login", other_login, true), ("a logout", logged_out, true), ("a refresh", newer, false)]
}

/// Whether a dropped grant was revoked, as it was told; both of its tokens are then.
fn revoked(scene: &Scene) -> Option<bool> {
    let dropped = |event: &Event| match event {
        Event::GrantDropped { revoked } => Some(*revoked),
        _ => None,
    };
    let revoked = told(scene).find_map(dropped)?;
    let revocations = scene.out.values().filter(|action| is_revoke(action)).count();
    assert_eq!(revocations, if revoked { 2 } else { 0 });
    if revoked {
        assert_eq!(due(scene, is_revoke), scene.now + Policy::default().store);
    }
    Some(revoked)
}

fn asking() -> Scene {
    Scene::loaded_by(revoking(), record()).rejected(origin("x")).asking()
}

#[test]
fn a_grant_that_has_lost_its_place_is_revoked_where_that_ends_nothing_else() {
    for (left, stored, revocable) in left_by_others() {
        let mut scene = asking();
        scene.stored = Some((stored, 9));
        let scene = scene.granted().save();
        assert_eq!(revoked(&scene), Some(revocable), "over {left}");
    }
}

#[test]
fn an_unsaved_grant_that_has_lost_its_place_is_revoked_where_that_ends_nothing_else() {
    for (left, stored, revocable) in left_by_others() {
        let mut scene = asking().granted().saves(Outcome::Failed(StoreFault::Full));
        assert!(scene.machine.view().unsaved().is_some());
        scene.stored = Some((stored, 9));
        let scene = until(scene, is_load).load();
        assert_eq!(revoked(&scene), Some(revocable), "over {left}");
        assert!(scene.machine.view().unsaved().is_none());
    }
}

#[test]
fn a_rejection_of_the_old_token_during_the_save_of_the_new_one_is_over_with_it() {
    let scene = Scene::valid().rejected(origin("x")).asking().granted();
    let scene = scene.rejected(origin("y")).settled();
    assert_eq!(scene.state(), Some(StateKind::Retrying));
    assert_eq!(scene.stored.as_ref().unwrap().0.generation, 6, "one refresh");
}

/// A token on probation, and its successor's grant being saved, from a refresh ahead of need.
fn successor_of_a_token_on_probation() -> Scene {
    let mut record = record();
    record.slots.get_mut(&0).unwrap().access = Access::Probation;
    let scene = Scene::loaded(record).pass(LIFETIME - Policy::default().leeway);
    read(scene).asking().granted()
}

#[test]
fn an_acceptance_of_the_old_token_says_nothing_of_the_new_one() {
    let scene = successor_of_a_token_on_probation().accepted(origin("x")).settled();
    let stored = &scene.stored.as_ref().unwrap().0;
    assert_eq!((stored.generation, stored.access()), (6, Access::Probation));
    assert_eq!(scene.state(), Some(StateKind::Retrying));
}

#[test]
fn an_acceptance_during_another_save_is_saved_after_it() {
    let scene = Scene::valid().rejected(origin("x")).asking().granted().settled();
    let scene = scene.tell(Input::OriginAllowed(origin("z")));
    assert!(scene.is_out(is_save));
    let scene = scene.accepted(origin("x")).settled();
    assert_eq!(scene.stored.unwrap().0.access(), Access::Trusted);
}

#[test]
fn of_two_grants_that_cannot_be_saved_the_first_is_in_use_until_one_can() {
    let full = || Outcome::Failed(StoreFault::Full);
    let scene = Scene::valid().rejected(origin("x")).asking();
    let id = asked(&scene);
    // Nobody answers, and the one replay is out when the first grant comes after all.
    let scene = scene.answers(lost()).save().release();
    let mut scene = until(scene, is_acquire).asking();
    let granted = Outcome::Answered(Answer::Granted(scene.next_grant()));
    let scene = scene.tell(Input::Done { id, outcome: granted }).saves(full());
    assert_eq!(scene.id().generation, 6);
    let scene = scene.granted().saves(full());
    assert_eq!(scene.id().generation, 6);
    let unsaved = |event: &&Event| matches!(event, Event::NotSaved { .. });
    assert_eq!(told(&scene).filter(unsaved).count(), 1);
    // The store is mended, and both are tried again.
    let scene = (0..10).fold(scene, |scene, _| scene.woken().settled());
    let stored = &scene.stored.as_ref().unwrap().0;
    assert_eq!((stored.generation, scene.id().generation), (7, 7));
    assert_eq!(stored.refresh_token.as_ref().unwrap().expose(), "refresh-2");
    assert!(scene.machine.view().unsaved().is_none());
}
