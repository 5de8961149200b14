//! The intent is durable; somebody's token request is out or backing off.

use super::{Begin, Death, End, NeedsLogin, Retrying, ServerRejected, State, stay};
use crate::grant::Grant;
use crate::machine::edges::{Step, go, on};
use crate::record::{Access, Record, StateKind};
use crate::time::Timestamp;

/// Whose intent it is, the record says; what this process does about it, its job.
pub(in crate::machine) struct Refreshing<'r>(pub(super) &'r mut Record);

impl<'r> State<'r> for Refreshing<'r> {
    const KIND: StateKind = StateKind::Refreshing;

    fn lend(record: &'r mut Record) -> Self {
        Self(record)
    }

    fn repay(self) -> &'r mut Record {
        self.0
    }
}

impl<'r> Refreshing<'r> {
    /// Of a token that was trusted while a refresh ahead of need was under way.
    pub(super) fn still_rejected(self, before: Access) -> Option<Step> {
        stay(self, before)
    }

    /// Over the intent of a process that is gone.
    pub(super) fn begun(self, begin: Begin) -> Step {
        go::<on::Begun, _, Self>(self, |r| r.set_begun(begin))
    }

    pub(super) fn granted(self, grant: &Grant, at: Timestamp, now: Timestamp) -> Step {
        go::<on::Granted, _, Retrying<'r>>(self, |r| r.set_granted(grant, at, now))
    }

    pub(super) fn refused(self, death: Death) -> Step {
        go::<on::Refused, _, NeedsLogin<'r>>(self, |r| r.set_refused(death))
    }

    pub(super) fn failed(self, end: End) -> Step {
        go::<on::Failed, _, ServerRejected<'r>>(self, |r| r.set_failed(end))
    }
}
