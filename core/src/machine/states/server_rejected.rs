//! The token is known bad and no refresh is under way.

use super::{Begin, Death, NeedsLogin, Refreshing, Retrying, State, stay};
use crate::grant::Grant;
use crate::machine::edges::{Step, go, on};
use crate::record::{Access, Record, StateKind};
use crate::time::Timestamp;

/// The lease is asked for, the store re-read, or a cool-down waited out.
pub(in crate::machine) struct ServerRejected<'r>(pub(super) &'r mut Record);

impl<'r> State<'r> for ServerRejected<'r> {
    const KIND: StateKind = StateKind::ServerRejected;

    fn lend(record: &'r mut Record) -> Self {
        Self(record)
    }

    fn repay(self) -> &'r mut Record {
        self.0
    }
}

impl<'r> ServerRejected<'r> {
    pub(super) fn still_rejected(self, before: Access) -> Option<Step> {
        stay(self, before)
    }

    pub(super) fn begun(self, begin: Begin) -> Step {
        go::<on::Begun, _, Refreshing<'r>>(self, |r| r.set_begun(begin))
    }

    /// A grant that came late, or after another process noted its own attempt's end.
    pub(super) fn granted(self, grant: &Grant, at: Timestamp, now: Timestamp) -> Step {
        go::<on::GrantedLate, _, Retrying<'r>>(self, |r| r.set_granted(grant, at, now))
    }

    /// A refusal after another process noted its own attempt's end.
    pub(super) fn refused(self, death: Death) -> Step {
        go::<on::Refused, _, NeedsLogin<'r>>(self, |r| r.set_refused(death))
    }
}
