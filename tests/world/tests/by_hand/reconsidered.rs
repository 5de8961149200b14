//! The refused refresh token that is tried once more, and once only.

use regrant_core::{Access, Input, LoginReason, Record, Refresh, Renewal, StateKind, Use};
use regrant_world::origin;

use crate::refused;
use crate::scene::{START, Scene, record};

fn dead(reason: LoginReason) -> Refresh {
    Refresh::Dead { reason, code: None, at: START }
}

/// A record in which another process has noted the refusal.
fn refused_elsewhere(over: &Record) -> Record {
    let mut record = over.clone();
    record.slots.get_mut(&0).unwrap().access = Access::Rejected;
    record.refresh = dead(LoginReason::Refused);
    record
}

#[test]
fn what_was_reconsidered_and_granted_is_not_reconsidered_again() {
    let scene = Scene::valid().rejected(origin("x")).asking().answers(refused()).settled();
    assert_eq!(scene.state(), Some(StateKind::NeedsLogin));
    let mut scene = scene.tell(Input::Reconsider).settled();
    assert_eq!(scene.state(), Some(StateKind::Retrying), "it was granted");
    let stored = refused_elsewhere(&scene.stored.as_ref().unwrap().0);
    scene.stored = Some((stored, 99));
    let scene = scene.woken().load();
    assert_eq!(scene.state(), Some(StateKind::NeedsLogin));
    assert!(scene.out.is_empty(), "{:?}", scene.out);
}

#[test]
fn what_was_reconsidered_while_the_token_was_good_is_over_with_the_next_save() {
    let mut record = record();
    record.refresh = dead(LoginReason::Refused);
    let scene = Scene::loaded(record).tell(Input::Reconsider).settled();
    let mut scene = scene.tell(Input::OriginAllowed(origin("z"))).settled();
    let saved = &scene.stored.as_ref().unwrap().0;
    assert_eq!(saved.refresh, Refresh::Usable);
    scene.stored = Some((refused_elsewhere(saved), 99));
    let scene = scene.woken().load();
    assert_eq!(scene.state(), Some(StateKind::NeedsLogin));
    assert!(scene.out.is_empty(), "{:?}", scene.out);
}

#[test]
fn a_logout_is_not_reconsidered_even_where_no_refresh_token_is_needed() {
    let mut record = record();
    record.client.renewal = Renewal::ClientCredentials;
    record.refresh_token = None;
    let scene = Scene::loaded(record).tell(Input::LoggedOut).settled();
    let scene = scene.tell(Input::Reconsider).load();
    assert_eq!(scene.state(), Some(StateKind::NeedsLogin));
    assert!(scene.out.is_empty(), "{:?}", scene.out);
}

#[test]
fn a_refused_refresh_token_that_was_forgotten_stays_refused() {
    let mut record = record();
    record.refresh_token = None;
    record.refresh = dead(LoginReason::Refused);
    let scene = Scene::loaded(record).tell(Input::Reconsider).settled();
    assert_eq!(scene.machine.record().unwrap().refresh, dead(LoginReason::Refused));
    let scene = scene.rejected(origin("x")).settled();
    let login = scene.machine.view().access(&origin("x"));
    assert!(matches!(login, Use::Login(LoginReason::Refused)), "{login:?}");
}
