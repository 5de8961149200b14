use std::time::Duration;

use regrant_core::{
    Answer, Applied, Cause, Input, LoginReason, Outcome, Policy, Refresh, RefusalKind, StoreFault,
};
use regrant_world::origin;

use super::{Flavour, failure, refusal, without_renewal};
use crate::scene::{START, Scene, record};

fn asking() -> Scene {
    Scene::valid().rejected(origin("x")).asking()
}

fn refused(kind: RefusalKind) -> Scene {
    asking().answers(refusal(kind)).save().release()
}

fn logged_out() -> Scene {
    Scene::valid().tell(Input::LoggedOut).load().save()
}

fn nobody() -> Scene {
    Scene::started(Policy::default(), None).load()
}

pub(crate) const NEEDS_LOGIN: &[Flavour] = &[
    ("not logged in", nobody),
    ("not logged in, and the store is read again", || nobody().wanted(origin("x"))),
    ("not logged in, and the store could not be read again", || {
        let scene = nobody().wanted(origin("x"));
        scene.loads(Outcome::Failed(StoreFault::Locked))
    }),
    ("not logged in, and a login is being saved", || {
        nobody().tell(Input::LoggedIn(Box::new(crate::scene::login(2))))
    }),
    ("not logged in, and a login may have been saved", || {
        let scene = nobody().tell(Input::LoggedIn(Box::new(crate::scene::login(2))));
        scene.saves(Outcome::Unknown(StoreFault::Unavailable))
    }),
    ("refused", || refused(RefusalKind::Dead)),
    ("refused, and the lease is let go", || asking().answers(refusal(RefusalKind::Dead)).save()),
    ("refused, and the store is read again", || refused(RefusalKind::Dead).wanted(origin("x"))),
    ("refused, for longer than the refresh token is kept", || {
        refused(RefusalKind::Dead).pass(Duration::from_secs(8 * 86_400)).load()
    }),
    ("refused elsewhere", || {
        let mut record = super::with(regrant_core::Access::Rejected);
        record.refresh = Refresh::Dead { reason: LoginReason::Refused, code: None, at: START };
        Scene::loaded(record)
    }),
    ("refused elsewhere, and the access token was good before", || {
        let mut record = record();
        record.refresh = Refresh::Dead { reason: LoginReason::Refused, code: None, at: START };
        Scene::loaded(record).rejected(origin("x"))
    }),
    ("reuse detected", || refused(RefusalKind::Reused)),
    ("interaction required", || refused(RefusalKind::Interaction)),
    ("rotation lost", || {
        let scene = asking().answers(failure(Cause::NoAnswer, Applied::Perhaps));
        scene.answers(refusal(RefusalKind::Dead)).save().release()
    }),
    ("account mismatch", || {
        let mut scene = asking();
        let mut grant = scene.next_grant();
        grant.subject = Some("somebody else".into());
        scene.answers(Answer::Granted(grant)).save().release()
    }),
    ("no refresh token, and the rejection is being judged", || {
        Scene::loaded(without_renewal()).rejected(origin("x"))
    }),
    ("no refresh token", || {
        Scene::loaded(without_renewal()).rejected(origin("x")).acquire().load().save().release()
    }),
    ("logged out, and the tokens are being revoked", logged_out),
    ("logged out", || logged_out().settled()),
    ("logged out elsewhere", || Scene::loaded(logged_out().stored.expect("a tombstone").0)),
    ("logged out over damage, with no name of its own", || {
        let scene = Scene::started(Policy::default(), None);
        let scene = scene.loads(Outcome::Failed(StoreFault::KeyMissing)).tell(Input::LoggedOut);
        scene.loads(Outcome::Failed(StoreFault::KeyMissing)).save()
    }),
    ("logged out, and our request is still out", || {
        let request = asking().tell(Input::LoggedOut).load();
        request.save()
    }),
];
