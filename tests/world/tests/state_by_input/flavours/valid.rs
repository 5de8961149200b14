use std::time::Duration;

use regrant_core::{
    Access, Applied, Cause, Client, Id, Input, Mark, Outcome, RefusalKind, Renewal, Rotation,
    StoreFault,
};
use regrant_world::origin;

use super::{Flavour, ahead, ahead_by, busy_server, by, failure, refusal, with, without_renewal};
use crate::scene::{START, Scene, intent, login, record};

/// A refresh that `x` caused, accepted by `y` alone: `x` is marked for the token before.
fn marked() -> Scene {
    let scene = Scene::valid().rejected(origin("x")).asking().granted().save().release();
    scene.accepted(origin("y")).save()
}

/// `x` rejects the fresh token as well.
fn still_rejected() -> Scene {
    marked().rejected(origin("x")).acquire().load().save().release()
}

fn by_client_credentials() -> Scene {
    let mut login = login(1);
    login.grant.refresh_token = None;
    login.client.renewal = Renewal::ClientCredentials;
    Scene::loaded(regrant_core::Record::login(&login, None))
}

/// The access token is past its local expiry.
fn expired() -> Scene {
    Scene::valid().pass(Duration::from_secs(3_600))
}

pub(crate) const VALID: &[Flavour] = &[
    ("refresh usable", Scene::valid),
    ("refresh in doubt, after a try ahead of need", || {
        let lost = || failure(Cause::NoAnswer, Applied::Perhaps);
        ahead().answers(lost()).answers(lost()).save().release()
    }),
    ("refresh in doubt, where a replay would end the login", || {
        let lost = failure(Cause::NoAnswer, Applied::Perhaps);
        ahead_by(by(Rotation::WithoutGrace)).answers(lost).save().release()
    }),
    ("refresh dead, refused ahead of need", || {
        ahead().answers(refusal(RefusalKind::Dead)).save().release()
    }),
    ("refresh absent", || Scene::loaded(without_renewal())),
    ("refresh absent, locally expired", || {
        Scene::loaded(without_renewal()).pass(Duration::from_secs(3_601)).load()
    }),
    ("renewed by client credentials", by_client_credentials),
    ("ahead of need, the lease is asked for", || Scene::valid().pass(Duration::from_secs(3_550))),
    ("ahead of need, another holds the lease", || {
        Scene::valid().pass(Duration::from_secs(3_550)).busy()
    }),
    ("ahead of need, the intent is being saved", || {
        Scene::valid().pass(Duration::from_secs(3_550)).acquire().load()
    }),
    ("ahead of need, the token request is out", ahead),
    ("ahead of need, another's intent stands open", || {
        let mut record = with(Access::Trusted);
        record.attempt = Some(intent(Duration::from_secs(1), false));
        Scene::loaded(record)
    }),
    ("a cool-down for tries ahead", || {
        ahead().answers(failure(Cause::Unavailable, Applied::No)).save().release()
    }),
    ("a cool-down that the server asked for", || ahead().answers(busy_server()).save().release()),
    ("locally expired, the lease is asked for", expired),
    ("locally expired, the token request is out", || expired().asking()),
    ("locally expired, the first try has failed", || {
        expired().asking().answers(failure(Cause::Unreachable, Applied::No))
    }),
    ("locally expired, cooling down", || {
        expired().asking().answers(busy_server()).save().release()
    }),
    ("x is marked for the token before", marked),
    ("x is marked for this token, says the record", || {
        let mut record = record();
        let rejected = record.token_id();
        let until = START + Duration::from_secs(60);
        let (origin, streak, still, weak) = (origin("x"), 1, false, false);
        record.marks.push(Mark { origin, rejected, until, streak, still, weak });
        Scene::loaded(record)
    }),
    ("x rejected the fresh token and is left alone", still_rejected),
    ("x rejected the fresh token and its cool-down is over", || {
        still_rejected().live(Duration::from_secs(61))
    }),
    ("an acceptance is being saved", || {
        let scene = Scene::valid().rejected(origin("x")).asking().granted().save().release();
        scene.accepted(origin("x"))
    }),
    ("the store is read again", || Scene::valid().pass(Duration::from_secs(5))),
    ("the store could not be read again", || {
        let scene = Scene::valid().pass(Duration::from_secs(5));
        scene.loads(Outcome::Failed(StoreFault::Locked))
    }),
    ("the store holds an older copy", || {
        let mut older = record();
        older.generation = 4;
        let mut scene = Scene::valid();
        scene.stored = Some((older, 2));
        scene.pass(Duration::from_secs(5)).load()
    }),
    ("the store holds the login before", || {
        let mut older = record();
        older.incarnation = Id([0xee; 16]);
        let mut scene = Scene::valid();
        scene.stored = Some((older, 2));
        scene.pass(Duration::from_secs(5)).load().acquire().load()
    }),
    ("another login is being saved", || Scene::valid().tell(Input::LoggedIn(Box::new(login(2))))),
    ("a logout reads the store", || Scene::valid().tell(Input::LoggedOut)),
    ("a logout is being saved", || Scene::valid().tell(Input::LoggedOut).load()),
    ("a new configuration is being saved", || {
        let client = Client::new("https://as.example/other", "client");
        Scene::valid().tell(Input::ConfigurationChanged(Box::new(client)))
    }),
    ("stopped", || Scene::valid().tell(Input::Stop)),
    ("a grant that could not be saved was accepted", || {
        let scene = Scene::valid().rejected(origin("x")).asking().granted();
        scene.saves(Outcome::Failed(StoreFault::Full)).accepted(origin("x"))
    }),
];
