//! What callers report and are shown.

use std::time::Duration;

use regrant_core::{Input, Policy, StateKind};
use regrant_world::origin;

use crate::is_load;
use crate::scene::{START, Scene, record};

#[test]
fn a_report_that_says_nothing_new_holds_nothing_up_that_is_due() {
    for late in [Duration::ZERO, Duration::from_millis(1)] {
        let mut scene = Scene::valid();
        let due = START + Policy::default().reread;
        assert_eq!(scene.wake, due);
        let (id, origin) = (scene.id(), origin("x"));
        scene.give(Input::Accepted { id, origin }, due + late);
        assert!(scene.is_out(is_load), "{late:?} late");
    }
}

#[test]
fn where_a_token_came_from_is_shown_if_its_client_says_so() {
    assert_eq!(Scene::valid().machine.view().source(), None);
    let mut record = record();
    record.client.source = Some("GITHUB_TOKEN".into());
    let scene = Scene::loaded(record);
    let view = scene.machine.view();
    assert_eq!((view.state(), view.source()), (Some(StateKind::Valid), Some("GITHUB_TOKEN")));
}

#[test]
fn a_state_is_shown_as_soon_as_the_store_was_read_also_where_nobody_is_logged_in() {
    let scene = Scene::started(Policy::default(), None);
    assert_eq!(scene.machine.view().state(), None);
    assert_eq!(scene.load().machine.view().state(), Some(StateKind::NeedsLogin));
}
