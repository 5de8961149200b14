//! The five states: typed loans of the record, each offering only what is legal there.

mod needs_login;
mod refreshing;
mod retrying;
mod server_rejected;
mod valid;

use alloc::string::String;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

pub(super) use needs_login::NeedsLogin;
pub(super) use refreshing::Refreshing;
pub(super) use retrying::Retrying;
pub(super) use server_rejected::ServerRejected;
pub(super) use valid::Valid;

use super::edges::{Row, Step, go, on};
use crate::grant::Grant;
use crate::origin::Origin;
use crate::reason::LoginReason;
use crate::record::{Access, Budget, CoolDown, Intent, Record, Refresh, StateKind};
use crate::secret::Secret;
use crate::time::Timestamp;

/// A record on loan to the state that its facts spell.
pub(super) trait State<'r>: Sized {
    const KIND: StateKind;

    /// Begins the loan of a record whose facts spell this state.
    fn lend(record: &'r mut Record) -> Self;

    /// Ends the loan.
    fn repay(self) -> &'r mut Record;
}

/// The state that a record is in.
pub(super) enum Current<'r> {
    Valid(Valid<'r>),
    ServerRejected(ServerRejected<'r>),
    Refreshing(Refreshing<'r>),
    Retrying(Retrying<'r>),
    NeedsLogin(NeedsLogin<'r>),
}

/// What an attempt writes when it begins.
pub(super) struct Begin {
    pub(super) intent: Intent,
    pub(super) doubt: Option<Timestamp>,
    pub(super) budget: Budget,
}

/// What an attempt writes when it ends without an answer.
pub(super) struct End {
    pub(super) cool_down: Option<CoolDown>,
    /// A new refresh token that came without a usable access token.
    pub(super) successor: Option<Secret>,
    pub(super) doubt: Option<Timestamp>,
    /// Until when its request may still be acted upon.
    pub(super) in_flight_until: Option<Timestamp>,
    pub(super) budget: Budget,
}

/// What an attempt writes when it is refused.
pub(super) struct Death {
    pub(super) reason: LoginReason,
    pub(super) code: Option<String>,
    pub(super) at: Timestamp,
}

impl<'r> Current<'r> {
    pub(super) fn of(record: &'r mut Record) -> Self {
        match record.state() {
            StateKind::Valid => Self::Valid(Valid(record)),
            StateKind::ServerRejected => Self::ServerRejected(ServerRejected(record)),
            StateKind::Refreshing => Self::Refreshing(Refreshing(record)),
            StateKind::Retrying => Self::Retrying(Retrying(record)),
            StateKind::NeedsLogin => Self::NeedsLogin(NeedsLogin(record)),
        }
    }

    pub(super) fn rejected(self) -> Option<Step> {
        match self {
            Self::Valid(state) => Some(state.rejected()),
            Self::Retrying(state) => Some(state.rejected()),
            Self::ServerRejected(_) | Self::Refreshing(_) | Self::NeedsLogin(_) => None,
        }
    }

    pub(super) fn demanded(self) -> Option<Step> {
        match self {
            Self::Valid(state) => Some(state.demanded()),
            Self::Retrying(state) => Some(state.demanded()),
            Self::ServerRejected(_) | Self::Refreshing(_) | Self::NeedsLogin(_) => None,
        }
    }

    pub(super) fn still_rejected(self, before: Access) -> Option<Step> {
        match self {
            Self::ServerRejected(state) => state.still_rejected(before),
            Self::Refreshing(state) => state.still_rejected(before),
            Self::NeedsLogin(state) => state.still_rejected(before),
            Self::Valid(_) | Self::Retrying(_) => None,
        }
    }

    pub(super) fn begun(self, begin: Begin) -> Option<Step> {
        match self {
            Self::Valid(state) => Some(state.begun(begin)),
            Self::ServerRejected(state) => Some(state.begun(begin)),
            Self::Refreshing(state) => Some(state.begun(begin)),
            Self::Retrying(state) => Some(state.begun(begin)),
            Self::NeedsLogin(_) => None,
        }
    }

    pub(super) fn granted(self, grant: &Grant, at: Timestamp, now: Timestamp) -> Step {
        match self {
            Self::Valid(state) => state.granted(grant, at, now),
            Self::ServerRejected(state) => state.granted(grant, at, now),
            Self::Refreshing(state) => state.granted(grant, at, now),
            Self::Retrying(state) => state.granted(grant, at, now),
            Self::NeedsLogin(state) => state.granted(grant, at, now),
        }
    }

    pub(super) fn refused(self, death: Death) -> Option<Step> {
        match self {
            Self::Valid(state) => Some(state.refused(death)),
            Self::ServerRejected(state) => Some(state.refused(death)),
            Self::Refreshing(state) => Some(state.refused(death)),
            Self::Retrying(state) => Some(state.refused(death)),
            Self::NeedsLogin(_) => None,
        }
    }

    pub(super) fn failed(self, end: End) -> Option<Step> {
        match self {
            Self::Valid(state) => Some(state.failed(end)),
            Self::Refreshing(state) => Some(state.failed(end)),
            Self::Retrying(state) => Some(state.failed(end)),
            Self::ServerRejected(_) | Self::NeedsLogin(_) => None,
        }
    }

    pub(super) fn accepted(self, origin: &Origin) -> Option<Step> {
        match self {
            Self::Valid(state) => Some(state.accepted(origin)),
            Self::Retrying(state) => Some(state.accepted(origin)),
            Self::ServerRejected(_) | Self::Refreshing(_) | Self::NeedsLogin(_) => None,
        }
    }

    pub(super) fn reconsidered(self) -> Option<Step> {
        match self {
            Self::Valid(state) => Some(state.reconsidered()),
            Self::Retrying(state) => Some(state.reconsidered()),
            Self::NeedsLogin(state) => state.reconsidered(),
            Self::ServerRejected(_) | Self::Refreshing(_) => None,
        }
    }

    pub(super) fn adopted(self, news: Record) -> Step {
        match self {
            Self::Valid(state) => adopt(state, news),
            Self::ServerRejected(state) => adopt(state, news),
            Self::Refreshing(state) => adopt(state, news),
            Self::Retrying(state) => adopt(state, news),
            Self::NeedsLogin(state) => adopt(state, news),
        }
    }
}

/// From any state, by a login.
pub(super) fn log_in(state: Current<'_>, login: Record) -> Step {
    match state {
        Current::Valid(from) => go::<on::LoggedIn, _, Valid<'_>>(from, |r| *r = login),
        Current::ServerRejected(from) => go::<on::LoggedIn, _, Valid<'_>>(from, |r| *r = login),
        Current::Refreshing(from) => go::<on::LoggedIn, _, Valid<'_>>(from, |r| *r = login),
        Current::Retrying(from) => go::<on::LoggedIn, _, Valid<'_>>(from, |r| *r = login),
        Current::NeedsLogin(from) => go::<on::LoggedIn, _, Valid<'_>>(from, |r| *r = login),
    }
}

/// From any state, by a logout.
pub(super) fn log_out(state: Current<'_>, end: Record) -> Step {
    match state {
        Current::Valid(from) => go::<on::LoggedOut, _, NeedsLogin<'_>>(from, |r| *r = end),
        Current::ServerRejected(from) => go::<on::LoggedOut, _, NeedsLogin<'_>>(from, |r| *r = end),
        Current::Refreshing(from) => go::<on::LoggedOut, _, NeedsLogin<'_>>(from, |r| *r = end),
        Current::Retrying(from) => go::<on::LoggedOut, _, NeedsLogin<'_>>(from, |r| *r = end),
        Current::NeedsLogin(from) => go::<on::LoggedOut, _, NeedsLogin<'_>>(from, |r| *r = end),
    }
}

/// From any state to whatever the other process's record spells.
fn adopt<'r, From>(from: From, news: Record) -> Step
where
    From: State<'r>
        + Row<on::Adopted, Valid<'r>>
        + Row<on::Adopted, ServerRejected<'r>>
        + Row<on::Adopted, Refreshing<'r>>
        + Row<on::Adopted, Retrying<'r>>
        + Row<on::Adopted, NeedsLogin<'r>>,
{
    match news.state() {
        StateKind::Valid => go::<on::Adopted, _, Valid<'r>>(from, |r| *r = news),
        StateKind::ServerRejected => go::<on::Adopted, _, ServerRejected<'r>>(from, |r| *r = news),
        StateKind::Refreshing => go::<on::Adopted, _, Refreshing<'r>>(from, |r| *r = news),
        StateKind::Retrying => go::<on::Adopted, _, Retrying<'r>>(from, |r| *r = news),
        StateKind::NeedsLogin => go::<on::Adopted, _, NeedsLogin<'r>>(from, |r| *r = news),
    }
}

/// What follows from a rejection of the current token, by the other facts.
fn reject<'r, From>(from: From) -> Step
where
    From: State<'r>
        + Row<on::Rejected, ServerRejected<'r>>
        + Row<on::Rejected, Refreshing<'r>>
        + Row<on::Rejected, NeedsLogin<'r>>,
{
    let record = from.repay();
    let (dead, begun) = (!record.is_renewable(), record.attempt.is_some());
    let from = From::lend(record);
    let rejected = |record: &mut Record| record.set_access(Access::Rejected);
    match (dead, begun) {
        (true, _) => go::<on::Rejected, From, NeedsLogin<'r>>(from, rejected),
        (false, true) => go::<on::Rejected, From, Refreshing<'r>>(from, rejected),
        (false, false) => go::<on::Rejected, From, ServerRejected<'r>>(from, rejected),
    }
}

/// What follows from a demand for another token, which is made only where one can be had.
fn demand<'r, From>(from: From) -> Step
where
    From: State<'r> + Row<on::Demanded, ServerRejected<'r>> + Row<on::Demanded, Refreshing<'r>>,
{
    let record = from.repay();
    let begun = record.attempt.is_some();
    let from = From::lend(record);
    let rejected = |record: &mut Record| record.set_access(Access::Rejected);
    if begun {
        go::<on::Demanded, From, Refreshing<'r>>(from, rejected)
    } else {
        go::<on::Demanded, From, ServerRejected<'r>>(from, rejected)
    }
}

/// The token stays as it was before the rejection was judged.
fn stay<'r, From>(from: From, before: Access) -> Option<Step>
where
    From: State<'r> + Row<on::StillRejected, Valid<'r>> + Row<on::StillRejected, Retrying<'r>>,
{
    match before {
        Access::Trusted => {
            Some(go::<on::StillRejected, _, Valid<'r>>(from, |r| r.set_access(before)))
        }
        Access::Probation => {
            Some(go::<on::StillRejected, _, Retrying<'r>>(from, |r| r.set_access(before)))
        }
        Access::None | Access::Rejected => None,
    }
}

/// How the facts change. Private to the states: nobody else changes them.
impl Record {
    fn set_access(&mut self, access: Access) {
        if let Some(slot) = self.slots.get_mut(&0) {
            slot.access = access;
        }
    }

    fn set_begun(&mut self, begin: Begin) {
        self.attempt = Some(begin.intent);
        self.budget = begin.budget;
        if let Some(since) = begin.doubt {
            self.doubt(since);
        }
    }

    fn set_failed(&mut self, end: End) {
        self.attempt = None;
        self.cool_down = end.cool_down;
        self.in_flight_until = end.in_flight_until;
        self.budget = end.budget;
        if let Some(successor) = end.successor {
            self.refresh_token = Some(successor);
            self.refresh = Refresh::Usable;
        } else if let Some(since) = end.doubt {
            self.doubt(since);
        }
    }

    fn doubt(&mut self, since: Timestamp) {
        if matches!(self.refresh, Refresh::Usable) {
            self.refresh = Refresh::InDoubt { since };
        }
    }

    fn set_refused(&mut self, death: Death) {
        let Death { reason, code, at } = death;
        self.attempt = None;
        self.in_flight_until = None;
        self.cool_down = None;
        self.refresh = Refresh::Dead { reason, code, at };
    }

    fn set_granted(&mut self, grant: &Grant, at: Timestamp, now: Timestamp) {
        self.fill(grant, at);
        if let Some(new) = &grant.refresh_token {
            self.refresh_token = Some(new.clone());
            self.refresh_expires_at = None;
        }
        if let Some(length) = grant.refresh_expires_in {
            self.refresh_expires_at = Some(at + length);
        }
        self.refresh = Refresh::Usable;
        self.attempt = None;
        self.in_flight_until = None;
        self.cool_down = None;
        self.refreshed_at = Some(now);
    }

    fn set_accepted(&mut self, origin: &Origin) {
        self.set_access(Access::Trusted);
        let current = self.token_id();
        let others = |mark: &crate::record::Mark| {
            mark.origin != *origin || mark.rejected.generation > current.generation
        };
        let marks = mem::take(&mut self.marks);
        self.marks = marks.into_iter().filter(others).collect::<Vec<_>>();
    }

    fn set_reconsidered(&mut self) {
        if self.has_means() && !self.is_logged_out() {
            self.refresh = Refresh::Usable;
        }
    }

    /// Forgets a refused refresh token that was kept long enough.
    pub(super) fn prune(&mut self, kept: Duration, now: Timestamp) {
        if let Refresh::Dead { at, .. } = &self.refresh
            && now.since(*at) >= kept
        {
            self.refresh_token = None;
        }
    }
}
