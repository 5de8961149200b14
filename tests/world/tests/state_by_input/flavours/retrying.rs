use std::time::Duration;

use regrant_core::{Access, Input, Outcome, RefusalKind, StoreFault};
use regrant_world::origin;

use super::{Flavour, refusal, with};
use crate::scene::{Scene, intent};

/// A grant of our own, saved.
fn own() -> Scene {
    Scene::valid().rejected(origin("x")).asking().granted().save()
}

fn unsaved() -> Scene {
    let scene = Scene::valid().rejected(origin("x")).asking().granted();
    scene.saves(Outcome::Failed(StoreFault::Full))
}

/// The next refresh, ahead of need, of a token that no server has accepted yet.
fn ahead() -> Scene {
    own().release().pass(Duration::from_secs(3_550)).asking()
}

pub(crate) const RETRYING: &[Flavour] = &[
    ("a grant of our own, the lease is let go", own),
    ("a grant of our own", || own().release()),
    ("adopted from another process", || Scene::loaded(with(Access::Probation))),
    ("adopted, and its refresh has begun elsewhere", || {
        let mut record = with(Access::Probation);
        record.attempt = Some(intent(Duration::from_secs(1), false));
        Scene::loaded(record)
    }),
    ("ahead of need, the token request is out", ahead),
    ("ahead of need, refused", || ahead().answers(refusal(RefusalKind::Dead)).save().release()),
    ("not accepted, locally expired", || own().release().pass(Duration::from_secs(3_601))),
    ("the grant could not be saved", unsaved),
    ("the grant could not be saved, and the store is read", || unsaved().woken()),
    ("the grant could not be saved, and is being saved again", || unsaved().woken().load()),
    ("the grant may have been saved", || {
        let scene = Scene::valid().rejected(origin("x")).asking().granted();
        scene.saves(Outcome::Unknown(StoreFault::Unavailable))
    }),
    ("the grant could not be saved, and we stop", || unsaved().tell(Input::Stop)),
    ("a grant that came late is saved", || {
        let scene = Scene::valid().rejected(origin("x")).asking();
        let request = *scene.out.keys().next().expect("the token request");
        let mut scene = scene.pass(Duration::from_secs(22)).save();
        let grant = scene.next_grant();
        let outcome = Outcome::Answered(regrant_core::Answer::Granted(grant));
        scene.tell(Input::Done { id: request, outcome }).save().release()
    }),
];
