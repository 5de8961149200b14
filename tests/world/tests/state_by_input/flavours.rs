//! Every state in every flavour that can be told apart, each reached by inputs alone.

mod needs_login;
mod refreshing;
mod rejected;
mod retrying;
mod unloaded;
mod valid;

use std::time::Duration;

use regrant_core::{
    Access, Answer, Applied, Cause, Failure, Policy, Record, Refusal, RefusalKind, Rotation,
};

use crate::scene::{Scene, record};

pub(crate) use needs_login::NEEDS_LOGIN;
pub(crate) use refreshing::REFRESHING;
pub(crate) use rejected::SERVER_REJECTED;
pub(crate) use retrying::RETRYING;
pub(crate) use unloaded::UNLOADED;
pub(crate) use valid::VALID;

/// A state in one of its flavours, and how it is reached.
pub(crate) type Flavour = (&'static str, fn() -> Scene);

/// The record with its token as servers left it.
fn with(access: Access) -> Record {
    let mut record = record();
    for slot in record.slots.values_mut() {
        slot.access = access;
    }
    record
}

fn without_renewal() -> Record {
    let mut login = crate::scene::login(1);
    login.grant.refresh_token = None;
    Record::login(&login, None)
}

fn by(rotation: Rotation) -> Policy {
    let mut policy = Policy::default();
    policy.rotation = rotation;
    policy
}

fn failure(cause: Cause, applied: Applied) -> Answer {
    Answer::Failed(Failure { cause, applied, retry_after: None, code: None })
}

/// A failure that ends the attempt at once.
fn busy_server() -> Answer {
    let retry_after = Some(Duration::from_secs(90));
    let cause = Cause::Unavailable;
    Answer::Failed(Failure { cause, applied: Applied::No, retry_after, code: None })
}

fn refusal(kind: RefusalKind) -> Answer {
    Answer::Refused(Refusal { code: "a_code".into(), kind })
}

/// At the moment of the refresh ahead of need, with its token request out.
fn ahead() -> Scene {
    ahead_by(Policy::default())
}

fn ahead_by(policy: Policy) -> Scene {
    // The leeway of an hour is a minute, and the seed adds up to as much again.
    Scene::loaded_by(policy, record()).pass(Duration::from_secs(3_550)).asking()
}
