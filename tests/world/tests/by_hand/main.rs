//! One machine whose host is the test: every action is answered by hand, at the very moment and in
//! the very order that a sentence speaks of.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

mod ahead;
mod attempt;
mod errands;
mod grants;
mod lease;
mod marks;
mod reconsidered;
mod reports;
mod rows;
#[expect(dead_code, reason = "the table of states and inputs needs more of it")]
#[path = "../state_by_input/scene.rs"]
mod scene;

use regrant_core::{
    Action, Answer, Applied, Cause, Event, Failure, Mark, Refusal, RefusalKind, Timestamp, TokenId,
};
use regrant_world::origin;
use scene::{Said, Scene};

/// When the answer to the last action of this kind is due.
fn due(scene: &Scene, wanted: fn(&Action) -> bool) -> Timestamp {
    let due = scene.said.iter().rev().find_map(|said| match said {
        Said::Act { action, deadline } if wanted(action) => Some(*deadline),
        Said::Act { .. } | Said::Told(_) | Said::Answered(_) | Said::Stopped => None,
    });
    due.expect("such an action was asked for")
}

/// The events that have been said.
fn told(scene: &Scene) -> impl Iterator<Item = &Event> {
    scene.said.iter().filter_map(|said| match said {
        Said::Told(event) => Some(event),
        Said::Act { .. } | Said::Answered(_) | Said::Stopped => None,
    })
}

fn is_load(action: &Action) -> bool {
    matches!(action, Action::Load)
}

fn is_save(action: &Action) -> bool {
    matches!(action, Action::Save { .. })
}

fn is_acquire(action: &Action) -> bool {
    matches!(action, Action::Acquire)
}

fn is_release(action: &Action) -> bool {
    matches!(action, Action::Release)
}

fn is_revoke(action: &Action) -> bool {
    matches!(action, Action::Revoke { .. })
}

fn is_ask(action: &Action) -> bool {
    matches!(action, Action::Ask { .. })
}

/// The authorization server holds the refresh token for dead.
fn refused() -> Answer {
    Answer::Refused(Refusal { code: "invalid_grant".into(), kind: RefusalKind::Dead })
}

/// The token request went out, and nobody answers.
fn lost() -> Answer {
    Answer::Failed(Failure::new(Cause::NoAnswer, Applied::PerhapsLater))
}

/// `name` rejected the token of this generation, and is marked for so long.
fn mark(name: &str, generation: u64, until: Timestamp) -> Mark {
    let rejected = TokenId { slot: 0, generation };
    Mark { origin: origin(name), rejected, until, streak: 1, still: false, weak: false }
}

/// The number of the token request that is out.
fn asked(scene: &Scene) -> u64 {
    *scene.out.iter().find(|(_, action)| is_ask(action)).expect("a token request is out").0
}

/// The store answers, if it is read.
fn read(scene: Scene) -> Scene {
    if scene.is_out(is_load) { scene.load() } else { scene }
}

/// Time passes, and the store answers, until an action of this kind is asked for.
fn until(mut scene: Scene, wanted: fn(&Action) -> bool) -> Scene {
    // More wakes than any wait of these tests has.
    for _ in 0..1_000 {
        if scene.is_out(wanted) {
            return scene;
        }
        scene = if scene.is_out(is_load) { scene.load() } else { scene.woken() };
    }
    panic!("nothing of the kind is asked for");
}
