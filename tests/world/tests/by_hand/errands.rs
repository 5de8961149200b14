//! Errands over a store that does not do what it is asked: how often they are tried.

use std::time::Duration;

use regrant_core::{Answer, Applied, Cause, Client, Event, Failure, Input, Outcome, StoreFault};
use regrant_world::origin;

use crate::scene::{START, Said, Scene, login};
use crate::{is_load, is_release, is_revoke, is_save, told};

/// How what was asked of the machine ended.
fn answers(scene: &Scene) -> Vec<Result<(), StoreFault>> {
    let answered = scene.said.iter().filter_map(|said| match said {
        Said::Answered(result) => Some(*result),
        Said::Act { .. } | Said::Told(_) | Said::Stopped => None,
    });
    answered.collect()
}

#[test]
fn a_change_that_always_meets_another_s_save_is_given_up() {
    let mut scene = Scene::valid().tell(Input::OriginAllowed(origin("z")));
    let mut saves = 0;
    while scene.is_out(is_save) {
        saves += 1;
        assert!(saves < 100, "no end");
        let there = scene.read();
        scene = scene.saves(Outcome::Mismatch(there));
    }
    // The first and 64 more.
    assert_eq!(saves, 65);
    assert_eq!(answers(&scene), [Err(StoreFault::Unavailable)]);
}

#[test]
fn a_logout_whose_store_cannot_be_read_is_tried_five_times_again() {
    let mut scene = Scene::valid().tell(Input::LoggedOut);
    let mut loads = Vec::new();
    while answers(&scene).is_empty() {
        if scene.is_out(is_load) {
            loads.push(scene.now.since(START));
            scene = scene.loads(Outcome::Failed(StoreFault::Unavailable));
        } else {
            scene = scene.woken();
        }
        assert!(loads.len() < 20, "no end");
    }
    assert_eq!(answers(&scene), [Err(StoreFault::Unavailable)]);
    let of_logout = [0, 500, 1_500, 3_500, 7_500, 15_500].map(Duration::from_millis);
    assert!(of_logout.iter().all(|at| loads.contains(at)), "{loads:?}");
    assert_eq!(scene.now.since(START), of_logout[5]);
}

/// Every save that comes ends like this, until what was asked is answered or the lease is let go.
/// How many there were.
fn saves_that_end(mut scene: Scene, outcome: &Outcome) -> (Scene, u32) {
    let mut saves = 0;
    while answers(&scene).is_empty() && !scene.is_out(is_release) {
        assert!(saves < 20, "no end");
        scene = if scene.is_out(is_save) {
            saves += 1;
            scene.saves(outcome.clone())
        } else if scene.is_out(is_load) {
            scene.load()
        } else {
            scene.woken()
        };
    }
    (scene, saves)
}

#[test]
fn a_logout_that_cannot_be_saved_is_tried_five_times_again() {
    let scene = Scene::valid().tell(Input::LoggedOut);
    let (scene, saves) = saves_that_end(scene, &Outcome::Failed(StoreFault::Full));
    assert_eq!((saves, answers(&scene)), (6, vec![Err(StoreFault::Full)]));
}

#[test]
fn a_change_whose_save_nobody_knows_of_is_read_back_twice() {
    let client = || Box::new(Client::new("https://as.example/other", "other"));
    let inputs: [fn(Box<Client>) -> Input; 3] = [
        |_| Input::LoggedIn(Box::new(login(2))),
        |_| Input::OriginAllowed(origin("z")),
        Input::ConfigurationChanged,
    ];
    for input in inputs {
        let scene = Scene::valid().tell(input(client()));
        let (scene, saves) = saves_that_end(scene, &Outcome::Unknown(StoreFault::Unavailable));
        assert_eq!((saves, answers(&scene)), (3, vec![Err(StoreFault::Unavailable)]));
    }
}

/// An attempt that has failed, and whose end is to be saved.
fn ending() -> Scene {
    let failure = Failure::new(Cause::EndpointMoved, Applied::No);
    Scene::valid().rejected(origin("x")).asking().answers(Answer::Failed(failure))
}

#[test]
fn what_an_attempt_came_to_is_tried_to_be_saved_four_times() {
    let (_, saves) = saves_that_end(ending(), &Outcome::Failed(StoreFault::Full));
    assert_eq!(saves, 4);
}

#[test]
fn a_stop_does_not_wait_for_what_an_attempt_came_to() {
    let scene = ending().tell(Input::Stop);
    let (scene, saves) = saves_that_end(scene, &Outcome::Failed(StoreFault::Full));
    assert_eq!((saves, scene.now), (1, START));
}

#[test]
fn a_logout_was_revoked_if_every_revocation_was_confirmed() {
    for confirmed in [[true, true], [true, false], [false, true]] {
        let mut scene = Scene::valid().tell(Input::LoggedOut).load().save();
        let revocations = scene.out.iter().filter(|(_, action)| is_revoke(action));
        let revocations: Vec<u64> = revocations.map(|(id, _)| *id).collect();
        assert_eq!(revocations.len(), 2);
        for (id, confirmed) in revocations.into_iter().zip(confirmed) {
            scene = scene.tell(Input::Done { id, outcome: Outcome::Revoked { confirmed } });
        }
        let revoked = confirmed == [true, true];
        assert_eq!(told(&scene).last(), Some(&Event::LoggedOut { revoked }), "{confirmed:?}");
    }
}
