//! A new token that no server has accepted yet.

use super::{Begin, Death, End, State, Valid, demand, reject};
use crate::grant::Grant;
use crate::machine::edges::{Step, go, on};
use crate::origin::Origin;
use crate::record::{Record, StateKind};
use crate::time::Timestamp;

/// The token is on probation: rejected requests are replayed with it, and the first acceptance
/// makes it trusted.
pub(in crate::machine) struct Retrying<'r>(pub(super) &'r mut Record);

impl<'r> State<'r> for Retrying<'r> {
    const KIND: StateKind = StateKind::Retrying;

    fn lend(record: &'r mut Record) -> Self {
        Self(record)
    }

    fn repay(self) -> &'r mut Record {
        self.0
    }
}

impl<'r> Retrying<'r> {
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
        go::<on::Granted, _, Self>(self, |r| r.set_granted(grant, at, now))
    }

    pub(super) fn refused(self, death: Death) -> Step {
        go::<on::Refused, _, Self>(self, |r| r.set_refused(death))
    }

    pub(super) fn failed(self, end: End) -> Step {
        go::<on::Failed, _, Self>(self, |r| r.set_failed(end))
    }

    pub(super) fn accepted(self, origin: &Origin) -> Step {
        go::<on::Accepted, _, Valid<'r>>(self, |r| r.set_accepted(origin))
    }

    pub(super) fn reconsidered(self) -> Step {
        go::<on::Reconsidered, _, Self>(self, Record::set_reconsidered)
    }
}
