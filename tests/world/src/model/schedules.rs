//! The schedules that once broke a rule, as `tests/traces.rs` has them step by step: which of them
//! the runs come upon by themselves.

use regrant_core::{Access, Intent, Machine, Mark, Record, Refresh, Use};

use super::apply::World;
use super::chance::Chance;
use super::rules::{access_token, machine_of, refresh_token, start_of};
use super::run::Exclusion;
use super::server::{Reply, Standing};
use super::state::{What, origins, version};
use super::step::Step;
use crate::Kind;
use regrant_core::Over;

macro_rules! schedules {
    ($($name:ident = $text:literal,)+) => {
        /// A schedule, by the moment at which it once went wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Schedule {
            $(#[doc = concat!("`", $text, "`")] $name,)+
        }

        impl Schedule {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The name of its test.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

schedules! {
    ProbationIsNoDeadEnd = "probation_is_no_dead_end",
    OneBadApiIsNoStorm = "one_bad_api_is_no_storm",
    AMarkEnds = "a_mark_ends",
    TwoLostRequestsAreNoEnd = "two_lost_requests_are_no_end",
    LogoutIsNotUndone = "logout_is_not_undone",
    ARefusalDoesNotBlockTheGrant = "a_refusal_does_not_block_the_grant",
    AStoppedHolderCostsNoLogin = "a_stopped_holder_costs_no_login",
    AResumedHolderSendsNothingOld = "a_resumed_holder_sends_nothing_old",
    ARaisedIntentIsNotTakenOverAtOnce = "a_raised_intent_is_not_taken_over_at_once",
    AnExpiredRowIsNotADeath = "an_expired_row_is_not_a_death",
    AReplayWaitsWhereItKills = "a_replay_waits_where_it_kills",
    ALoserRevokesNothingThatIsStored = "a_loser_revokes_nothing_that_is_stored",
    ARestoredBackupIsSeen = "a_restored_backup_is_seen",
    AnOutageDoesNotSpread = "an_outage_does_not_spread",
    AnUnknownSaveIsReadBack = "an_unknown_save_is_read_back",
    ATrustedSaveOverwritesNothing = "a_trusted_save_overwrites_nothing",
}

impl World<'_> {
    /// Notes the schedule that comes to its decisive moment with this step.
    pub(super) fn notice(&self, step: Step) {
        let schedule = match step {
            Step::Answer(p, at) | Step::Reject(p, at) => self.rejected(p, at, step),
            Step::Request(p, origin) => self.wanted(p, origin),
            Step::Deliver(at) => self.granted(at),
            Step::Perform(p, at) => match &self.state.processes[p].ops[at].what {
                What::Acquire { .. } => self.acquired(p),
                What::Load => self.read_under_the_lease(p),
                What::Ask(ask) if self.state.processes[p].now(self.state.now) > ask.deadline => {
                    Some(Schedule::AResumedHolderSendsNothingOld)
                }
                What::Ask(ask) => ask.first.then(|| self.asked_in_doubt()).flatten(),
                What::Save { record, over } => self.saved(p, record, over),
                What::Release | What::Loaded(_) | What::Revoke { .. } => None,
            },
            Step::UnknownSave(p, _, true) => {
                let change = machine_of(&self.state.processes[p]).and_then(Machine::pending_change);
                let begun = change.is_some_and(|(trigger, _)| trigger == "Begun");
                begun.then_some(Schedule::AnUnknownSaveIsReadBack)
            }
            _ => None,
        };
        if let Some(schedule) = schedule {
            self.visited.come_upon(schedule);
        }
        let mut machines = self.state.processes.iter().filter_map(|process| machine_of(process));
        if machines.any(Machine::is_rolled_back) {
            self.visited.come_upon(Schedule::ARestoredBackupIsSeen);
        }
    }

    fn record_of(&self, p: usize) -> Option<&Record> {
        machine_of(&self.state.processes[p]).and_then(Machine::record)
    }

    /// The current token is rejected by an origin that rejected the one before.
    fn rejected(&self, p: usize, at: usize, step: Step) -> Option<Schedule> {
        let request = &self.state.processes[p].requests[at];
        let (token, id) = request.sent?;
        let record = self.record_of(p).filter(|record| record.token_id() == id)?;
        let origin = &origins()[usize::from(request.origin)];
        let marked = |mark: &Mark| mark.origin == *origin && mark.rejected < id;
        let access = &self.state.server.access[token];
        let good = access.live && !matches!(step, Step::Reject(..));
        if good || !record.marks.iter().any(marked) {
            return None;
        }
        let elsewhere = access.accepted & !(1 << request.origin) != 0;
        match record.access() {
            Access::Probation if !access.live => Some(Schedule::ProbationIsNoDeadEnd),
            Access::Trusted if elsewhere => Some(Schedule::OneBadApiIsNoStorm),
            Access::Probation | Access::Trusted | Access::Rejected | Access::None => None,
        }
    }

    fn wanted(&self, p: usize, origin: u8) -> Option<Schedule> {
        let record = self.record_of(p)?;
        let machine = machine_of(&self.state.processes[p])?;
        let origin = &origins()[usize::from(origin)];
        let now = self.state.processes[p].now(self.state.now);
        let id = record.token_id();
        let over = |mark: &Mark| mark.origin == *origin && mark.rejected == id && mark.until <= now;
        let usable = matches!(record.access(), Access::Trusted | Access::Probation);
        if usable && record.marks.iter().any(over) {
            return Some(Schedule::AMarkEnds);
        }
        let served = matches!(machine.view().access(origin), Use::Token { .. });
        let spreads = self.state.server.down && served && record.access() == Access::Rejected;
        spreads.then_some(Schedule::AnOutageDoesNotSpread)
    }

    /// A grant arrives over what has happened meanwhile.
    fn granted(&self, at: usize) -> Option<Schedule> {
        let message = &self.state.wire[at];
        let Some(Reply::Granted { access, .. }) = message.reply else { return None };
        let stored = self.state.stored.as_deref()?;
        if stored.incarnation != message.ask.incarnation {
            return None;
        }
        if stored.is_logged_out() {
            return Some(Schedule::LogoutIsNotUndone);
        }
        if matches!(stored.refresh, Refresh::Dead { .. }) {
            return Some(Schedule::ARefusalDoesNotBlockTheGrant);
        }
        let refresh = self.state.server.access[access].refresh;
        let loses = stored.generation > message.ask.generation
            && access_token(stored) != Some(access)
            && refresh_token(stored) == Some(refresh);
        loses.then_some(Schedule::ALoserRevokesNothingThatIsStored)
    }

    /// The lock is asked for that somebody has who does not run.
    fn acquired(&self, p: usize) -> Option<Schedule> {
        let holder = self.state.lease.filter(|_| !self.state.holds_lease(p))?.by;
        let stored = self.state.stored.as_deref()?;
        let over = stored.attempt.as_ref()?.deadline <= self.state.now;
        let standing = self.state.server.refresh[refresh_token(stored)?].standing;
        let spent = matches!(standing, Standing::Spent { .. });
        let stopped = self.state.processes[holder].stopped;
        let found = self.run.exclusion == Exclusion::Lock && over && spent && stopped;
        found.then_some(Schedule::AStoppedHolderCostsNoLogin)
    }

    /// An open intent of somebody else is found.
    fn read_under_the_lease(&self, p: usize) -> Option<Schedule> {
        self.state.lease.filter(|_| self.state.holds_lease(p))?;
        let intent = self.state.stored.as_deref()?.attempt.as_ref();
        let owner = |intent: &Intent| start_of(intent.owner);
        let own = self.state.processes[p].start;
        let now = self.state.now;
        let intent = intent.filter(|intent| owner(intent) != own && intent.deadline > now)?;
        let lives = |process: &std::sync::Arc<super::state::Process>| {
            process.machine.is_some() && process.start == owner(intent)
        };
        let lives = self.state.processes.iter().any(lives);
        let unjudged = |message: &super::state::Message| {
            message.reply.is_none() && message.ask.nonce == intent.nonce
        };
        if intent.raised {
            return Some(Schedule::ARaisedIntentIsNotTakenOverAtOnce);
        }
        if lives && self.run.exclusion == Exclusion::Row {
            return Some(Schedule::AnExpiredRowIsNotADeath);
        }
        let kills = self.run.kind == Kind::GraceLatest && self.state.wire.iter().any(unjudged);
        (kills && !lives).then_some(Schedule::AReplayWaitsWhereItKills)
    }

    fn asked_in_doubt(&self) -> Option<Schedule> {
        let stored = self.state.stored.as_deref()?;
        let losses = [Chance::LostRequest, Chance::LostAnswer, Chance::Crash];
        let two = self.state.left.taken(&self.run.chances, &losses) > 1;
        (two && matches!(stored.refresh, Refresh::InDoubt { .. }))
            .then_some(Schedule::TwoLostRequestsAreNoEnd)
    }

    /// An acceptance is saved over a rejection or an intent that it does not know of.
    fn saved(&self, p: usize, record: &Record, over: &Over) -> Option<Schedule> {
        let stored = self.state.stored.as_deref()?;
        let (trigger, _) = machine_of(&self.state.processes[p])?.pending_change()?;
        let changed = *over != Over::Version(version(self.state.revision));
        let news = stored.access() == Access::Rejected || stored.attempt.is_some();
        let trusts = trigger == "Saved" && record.access() == Access::Trusted;
        (changed && news && trusts).then_some(Schedule::ATrustedSaveOverwritesNothing)
    }
}
