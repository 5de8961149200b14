use std::time::Duration;

use regrant_core::{
    Access, Applied, Budget, Cause, Input, Outcome, Refresh, RefusalKind, Rotation, StoreFault,
};
use regrant_world::origin;

use super::{Flavour, busy_server, by, failure, refusal, with};
use crate::scene::{START, Scene, record};

fn rejected() -> Scene {
    Scene::valid().rejected(origin("x"))
}

pub(crate) const SERVER_REJECTED: &[Flavour] = &[
    ("the lease is asked for", rejected),
    ("the lease is asked for, and both origins have rejected", || rejected().rejected(origin("y"))),
    ("the lease is asked for, and the word is a script's", || {
        let scene = Scene::valid();
        let id = scene.id();
        scene.tell(Input::Disowned { id, origin: origin("x") })
    }),
    ("a busy holder is waited for", || rejected().busy()),
    ("a busy holder is waited for, and the store is read", || rejected().busy().woken()),
    ("the store is read under the lease", || rejected().acquire()),
    ("the store is read where nothing can be locked", || rejected().acquires(Outcome::Unlockable)),
    ("the intent is being saved", || rejected().acquire().load()),
    ("the intent may have been saved, and is read back", || {
        rejected().acquire().load().saves(Outcome::Unknown(StoreFault::Unavailable))
    }),
    ("the lease is let go after the attempt failed", || {
        rejected().asking().answers(busy_server()).save()
    }),
    ("cooling down", || {
        let moved = failure(Cause::EndpointMoved, Applied::No);
        rejected().asking().answers(moved).save().release()
    }),
    ("cooling down as the server asked", || {
        rejected().asking().answers(busy_server()).save().release()
    }),
    ("cooling down, refresh in doubt", || {
        let lost = || failure(Cause::NoAnswer, Applied::Perhaps);
        let scene = rejected().asking().answers(lost());
        scene.answers(lost()).save().release()
    }),
    ("cooling down, both origins have rejected", || {
        let moved = failure(Cause::EndpointMoved, Applied::No);
        rejected().rejected(origin("y")).asking().answers(moved).save().release()
    }),
    ("the request timed out, and its replay waits for the intent's deadline", || {
        let policy = by(Rotation::GraceKillsEarlier);
        let scene = Scene::loaded_by(policy, record()).rejected(origin("x")).asking();
        scene.answers(failure(Cause::NoAnswer, Applied::PerhapsLater)).save().release()
    }),
    ("the bucket is empty", || {
        let mut record = with(Access::Rejected);
        record.budget = Budget { full_at: START + Duration::from_secs(30 * 60) };
        Scene::loaded(record)
    }),
    ("the store is in trouble", || rejected().acquires(Outcome::Failed(StoreFault::Locked))),
    ("the intent could not be saved", || {
        rejected().acquire().load().saves(Outcome::Failed(StoreFault::ReadOnly)).release()
    }),
    ("there is no access token", || {
        let mut record = record();
        record.slots.clear();
        Scene::loaded(record)
    }),
    ("there is no access token, and the refresh token is in doubt", || {
        let mut record = record();
        record.slots.clear();
        record.refresh = Refresh::InDoubt { since: START };
        Scene::loaded(record)
    }),
    ("on probation before, both origins rejected", || {
        let scene = rejected().asking().granted().save().release();
        scene.rejected(origin("x")).rejected(origin("y"))
    }),
    ("an unsaved token is rejected in turn", || {
        let scene = rejected().asking().granted().saves(Outcome::Failed(StoreFault::Full));
        scene.rejected(origin("y"))
    }),
    ("a refused refresh token is to be tried once more", || {
        let refused = refusal(RefusalKind::Dead);
        let scene = rejected().asking().answers(refused).save().release();
        scene.tell(Input::Reconsider).load()
    }),
    ("stopping, the lease is asked for", || rejected().tell(Input::Stop)),
    ("that the attempt has failed could not be saved", || {
        rejected().asking().answers(busy_server()).saves(Outcome::Failed(StoreFault::Full))
    }),
    ("x rejected the fresh token and is being judged", || {
        let scene = rejected().asking().granted().save().release();
        scene.accepted(origin("y")).save().rejected(origin("x"))
    }),
    ("x, left alone until now, wants another token", || {
        let scene = rejected().asking().granted().save().release();
        let scene = scene.accepted(origin("y")).save().rejected(origin("x"));
        let scene = scene.acquire().load().save().release();
        scene.live(Duration::from_secs(61)).wanted(origin("x"))
    }),
];
