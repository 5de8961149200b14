//! A server has accepted the token, or a login gave it.

use super::{Begin, Death, End, Retrying, State, demand, reject};
use crate::grant::Grant;
use crate::machine::edges::{Step, go, on};
use crate::origin::Origin;
use crate::record::{Record, StateKind};
use crate::time::Timestamp;

/// The token is trusted. A refresh ahead of need may be under way: an outage leaves it here with
/// a cool-down for tries ahead only, a refusal with the refresh token dead.
pub(in crate::machine) struct Valid<'r>(pub(super) &'r mut Record);

impl<'r> State<'r> for Valid<'r> {
    const KIND: StateKind = StateKind::Valid;

    fn lend(record: &'r mut Record) -> Self {
        Self(record)
    }

    fn repay(self) -> &'r mut Record {
        self.0
    }
}

impl<'r> Valid<'r> {
    pub(super) fn rejected(self) -> Step {
        reject(self)
    }

    pub(super) fn demanded(self) -> Step {
        demand(self)
    }

    pub(super) fn begun(self, begin: Begin) -> Step {
        go::<on::Begun, _, Self>(self, |r| r.set_begun(begin))
    }

    pub(super) fn granted(self, grant: &Grant, at: Timestamp, now: Timestamp) -> Step {
        go::<on::Granted, _, Retrying<'r>>(self, |r| r.set_granted(grant, at, now))
    }

    pub(super) fn refused(self, death: Death) -> Step {
        go::<on::Refused, _, Self>(self, |r| r.set_refused(death))
    }

    pub(super) fn failed(self, end: End) -> Step {
        go::<on::Failed, _, Self>(self, |r| r.set_failed(end))
    }

    pub(super) fn accepted(self, origin: &Origin) -> Step {
        go::<on::Accepted, _, Self>(self, |r| r.set_accepted(origin))
    }

    pub(super) fn reconsidered(self) -> Step {
        go::<on::Reconsidered, _, Self>(self, Record::set_reconsidered)
    }
}
