//! Every change of state that is told is a row of the table of edges, also where a save says two
//! things at once or comes late.

use regrant_core::{
    Answer, Applied, Cause, Event, Failure, Input, Outcome, Policy, StateKind, edges,
};
use regrant_world::origin;

use crate::scene::{LIFETIME, START, Scene, record};
use crate::{asked, lost, mark, read, told};

/// The changes of state that were told, each a row.
fn changes(scene: &Scene) -> Vec<(StateKind, &'static str)> {
    let changes = told(scene).filter_map(|event| match event {
        Event::StateChanged { from, to, trigger, .. } => Some((*from, *to, *trigger)),
        _ => None,
    });
    let as_row = |(from, to, trigger)| {
        let mut rows = edges().iter();
        let is_row = rows.any(|row| (row.from, row.to, row.trigger) == (from, to, trigger));
        assert!(is_row, "{from:?} to {to}, by {trigger}");
        (to, trigger)
    };
    changes.map(as_row).collect()
}

/// The token request of a refresh ahead of need is out; `y` has rejected the token before this.
fn ahead() -> Scene {
    let mut record = record();
    record.marks.push(mark("y", 4, START + LIFETIME));
    let scene = Scene::loaded(record).pass(LIFETIME - Policy::default().leeway);
    read(scene).asking()
}

#[test]
fn a_failure_ahead_of_need_leaves_the_token_to_those_who_did_not_reject_it() {
    let scene = ahead().rejected(origin("y"));
    assert_eq!(scene.state(), Some(StateKind::Refreshing));
    let failure = Failure::new(Cause::EndpointMoved, Applied::No);
    let scene = scene.answers(Answer::Failed(failure)).save();
    let told = changes(&scene);
    assert_eq!(scene.state(), Some(StateKind::Valid), "{told:?}");
    assert_eq!(told.last(), Some(&(StateKind::Valid, "StillRejected")));
}

#[test]
fn a_late_grant_over_a_token_that_is_rejected_meanwhile_is_told_as_late() {
    let scene = ahead();
    let id = asked(&scene);
    // The attempt is given up, and its request is answered after all.
    let mut scene = scene.answers(lost()).save().release();
    assert_eq!(scene.state(), Some(StateKind::Valid));
    let (grant, now) = (scene.next_grant(), scene.now);
    scene.give(Input::Done { id, outcome: Outcome::Answered(Answer::Granted(grant)) }, now);
    let scene = scene.rejected(origin("x"));
    assert_eq!(scene.state(), Some(StateKind::ServerRejected));
    let scene = scene.save();
    assert_eq!(changes(&scene).last(), Some(&(StateKind::Retrying, "GrantedLate")));
}
