use std::time::Duration;

use regrant_core::{Access, Answer, Applied, Cause, Input, Outcome, Rotation};
use regrant_world::origin;

use super::{Flavour, ahead, busy_server, by, failure, with};
use crate::scene::{Scene, intent};

fn asking() -> Scene {
    Scene::valid().rejected(origin("x")).asking()
}

/// Somebody else's intent stands open since `age`.
fn open(age: Duration, raised: bool, rotation: Rotation) -> Scene {
    let mut record = with(Access::Rejected);
    record.attempt = Some(intent(age, raised));
    Scene::loaded_by(by(rotation), record)
}

const FRESH: Duration = Duration::from_secs(1);
/// Longer than every intent.
const OVER: Duration = Duration::from_secs(60);

pub(crate) const REFRESHING: &[Flavour] = &[
    ("our token request is out", asking),
    ("our token request is out, and both origins have rejected", || asking().rejected(origin("y"))),
    ("our token request is out, after doubt", || {
        asking().answers(failure(Cause::NoAnswer, Applied::Perhaps))
    }),
    ("our token request is out, with a nonce", || asking().answers(Answer::NonceWanted)),
    ("pausing between tries", || asking().answers(failure(Cause::Unreachable, Applied::No))),
    ("the request is out again after a pause", || {
        asking().answers(failure(Cause::Unreachable, Applied::No)).woken()
    }),
    ("another's intent is open, the lease is asked for", || open(FRESH, false, Rotation::Unknown)),
    ("another's intent is open, another holds the lease", || {
        open(FRESH, false, Rotation::Unknown).busy()
    }),
    ("another's intent is open, and its owner is dead", || {
        open(FRESH, false, Rotation::Unknown).acquire().load()
    }),
    ("another's intent is open, and its owner need not be dead", || {
        let scene = open(FRESH, false, Rotation::Unknown);
        scene.acquires(Outcome::Acquired { proves_death: false }).load()
    }),
    ("another's intent is open, where a replay kills", || {
        open(FRESH, false, Rotation::GraceKillsEarlier).acquire().load()
    }),
    ("another's intent is open and raised", || {
        open(FRESH, true, Rotation::Unknown).acquire().load()
    }),
    ("another's intent is past its deadline, the lease is asked for", || {
        open(OVER, false, Rotation::Unknown)
    }),
    ("another's intent is past its deadline, its holder lives and is waited for", || {
        open(OVER, false, Rotation::Unknown).busy()
    }),
    ("another's intent is past its deadline, and it may be passed over", || {
        open(OVER, false, Rotation::GraceKeepsEarlier).busy().pass(OVER)
    }),
    ("another's intent is passed over by a raised one", || {
        open(OVER, false, Rotation::GraceKeepsEarlier).busy().pass(OVER).load()
    }),
    ("another's intent is past its deadline, and ours is being saved", || {
        open(OVER, false, Rotation::Unknown).acquire().load()
    }),
    ("another's intent was taken over, our request is out", || {
        open(OVER, false, Rotation::Unknown).asking()
    }),
    ("the grant is being saved", || asking().granted()),
    ("the attempt has failed, and that is being saved", || asking().answers(busy_server())),
    ("a grant for somebody else is being refused", || {
        let mut scene = asking();
        let mut grant = scene.next_grant();
        grant.subject = Some("somebody else".into());
        scene.answers(Answer::Granted(grant))
    }),
    ("our request outlasted its deadline, and is given up", || {
        asking().pass(Duration::from_secs(22))
    }),
    ("our request is out, and a logout reads the store", || asking().tell(Input::LoggedOut)),
    ("our request is out, and a login is being saved", || {
        asking().tell(Input::LoggedIn(Box::new(crate::scene::login(2))))
    }),
    ("stopping, our request is out", || asking().tell(Input::Stop)),
    ("begun ahead of need, the token request is out and the token was rejected meanwhile", || {
        ahead().rejected(origin("x"))
    }),
    ("rejected here, while another's intent is past its deadline", || {
        let mut record = with(Access::Trusted);
        record.attempt = Some(intent(Duration::from_secs(60), false));
        let policy = by(Rotation::WithoutGrace);
        Scene::loaded_by(policy, record).rejected(origin("x"))
    }),
];
