//! The authorization server refused, or there is nothing to renew with.

use super::{Retrying, ServerRejected, State, stay};
use crate::grant::Grant;
use crate::machine::edges::{Step, go, on};
use crate::record::{Access, Record, StateKind};
use crate::time::Timestamp;

/// Latched, with its reason in the record; costs no request until a login or `reconsider`.
pub(in crate::machine) struct NeedsLogin<'r>(pub(super) &'r mut Record);

impl<'r> State<'r> for NeedsLogin<'r> {
    const KIND: StateKind = StateKind::NeedsLogin;

    fn lend(record: &'r mut Record) -> Self {
        Self(record)
    }

    fn repay(self) -> &'r mut Record {
        self.0
    }
}

impl<'r> NeedsLogin<'r> {
    /// Of a token that cannot be renewed but that other origins accept.
    pub(super) fn still_rejected(self, before: Access) -> Option<Step> {
        stay(self, before)
    }

    /// A grant that came after another process was refused: it revives the credential.
    pub(super) fn granted(self, grant: &Grant, at: Timestamp, now: Timestamp) -> Step {
        go::<on::GrantedLate, _, Retrying<'r>>(self, |r| r.set_granted(grant, at, now))
    }

    /// None where nothing was kept to ask with.
    pub(super) fn reconsidered(self) -> Option<Step> {
        if !self.0.has_means() || self.0.is_logged_out() {
            return None;
        }
        let reconsider = |r: &mut Record| {
            r.set_reconsidered();
            r.set_access(Access::Rejected);
        };
        Some(go::<on::Reconsidered, _, ServerRejected<'r>>(self, reconsider))
    }
}
