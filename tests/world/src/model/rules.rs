//! What must hold, always: the rules by their names, and the first ten checked at each step.
//!
//! The eleventh, that no secret is seen anywhere, is not a matter of schedules: it is proven by
//! canary tokens that are searched for in all that regrant says and writes.

use std::time::Duration;

use regrant_core::{
    Access, Blocked, Id, Input, LoginReason, Machine, Origin, Outcome, Record, Refresh, Rotation,
    StateKind, Timestamp, TokenId, Use,
};

use super::apply::World;
use super::chance::Chance;
use super::run::TICK;
use super::server::{Reply, number};
use super::state::{Message, Process, State, origins};
use super::step::Step;
use crate::Kind;

/// The rules, in the order of their numbers here.
pub const RULES: [&str; 12] = [
    "1_a_local_expiry_never_prevents_a_refresh",
    "2_a_generation_is_refreshed_by_one_attempt",
    "3_only_the_server_or_a_logout_ends_a_login",
    "4_a_late_rejection_refreshes_nothing",
    "5_a_token_is_not_sent_again_to_an_origin_that_rejected_it",
    "6_a_new_refresh_token_is_durable_before_its_access_token_is_used",
    "7_a_token_request_is_not_abandoned_and_a_late_grant_not_dropped",
    "8_whoever_loses_a_race_adopts",
    "9_every_wait_has_a_deadline_and_every_loop_a_bound",
    "10_a_token_goes_to_the_origins_it_is_bound_to",
    "every_request_ends_and_the_credential_is_served_again",
    "every_change_of_state_is_a_row_of_the_table",
];

pub(super) const LOCAL_EXPIRY: usize = 0;
pub(super) const ONE_ATTEMPT: usize = 1;
pub(super) const ENDS_OF_A_LOGIN: usize = 2;
pub(super) const LATE_REJECTION: usize = 3;
pub(super) const REJECTED_BEFORE: usize = 4;
pub(super) const DURABLE_FIRST: usize = 5;
pub(super) const NOT_DROPPED: usize = 6;
pub(super) const LOSERS_ADOPT: usize = 7;
pub(super) const BOUNDS: usize = 8;
pub(super) const BOUND_ORIGINS: usize = 9;
pub(super) const ENDS_WELL: usize = 10;
pub(super) const ROWS: usize = 11;

/// How far apart requests are at least while their outcome is unknown: the cool-down.
pub(super) const SPACING: Duration = Duration::from_secs(4);

/// What was true before a step.
#[derive(Clone, Copy)]
pub(super) struct Before {
    can_renew: bool,
    family: Option<usize>,
    /// Whether the step may lose the login, because no client could do better.
    excused: bool,
}

/// What was true of a process before an input.
pub(super) struct Watch {
    state: Option<StateKind>,
    /// The change that the save that has ended made, if it was applied.
    saved: Option<(&'static str, StateKind)>,
    /// The state that the record which is taken over spells.
    loaded: Option<StateKind>,
    accepted: Option<Origin>,
    reconsidering: bool,
    grants: Vec<(usize, Id, u64)>,
}

/// The process that owns an intent, as its machine names it.
pub(super) fn start_of(owner: Id) -> u64 {
    let (number, _) = owner.0.split_at(8);
    u64::from_le_bytes(number.try_into().expect("half of sixteen bytes"))
}

pub(super) fn marks(record: &Record, origin: &Origin) -> bool {
    let id = record.token_id();
    record.marks.iter().any(|mark| mark.origin == *origin && mark.rejected == id)
}

pub(super) fn access_token(record: &Record) -> Option<usize> {
    record.slot().map(|slot| number(&slot.access_token))
}

pub(super) fn refresh_token(record: &Record) -> Option<usize> {
    record.refresh_token.as_ref().map(number)
}

pub(super) fn machine_of(process: &Process) -> Option<&Machine> {
    process.machine.as_ref()
}

impl State {
    /// Whether anybody holds a refresh token of the last login that still brings a grant.
    fn somebody_can_renew(&self) -> bool {
        let good = |token: usize| {
            self.memory.family == Some(self.server.refresh[token].family)
                && self.server.would_grant(token)
        };
        let stored = self.stored.as_deref().and_then(refresh_token);
        let granted = |message: &Message| match message.reply {
            Some(Reply::Granted { access, .. }) => Some(self.server.access[access].refresh),
            Some(Reply::Refused | Reply::Unavailable) | None => None,
        };
        let on_the_way =
            self.wire.iter().filter(|message| self.sender_lives(message)).filter_map(granted);
        let machines = || self.processes.iter().filter_map(|process| machine_of(process));
        let known = machines().filter_map(|machine| refresh_token(machine.record()?));
        let in_hand = machines().flat_map(Machine::grants_in_hand);
        let in_hand = in_hand.filter_map(|held| held.grant.refresh_token.as_ref().map(number));
        stored.into_iter().chain(on_the_way).chain(known).chain(in_hand).any(good)
    }
}

impl World<'_> {
    pub(super) fn broken(&mut self, rule: usize, how: &str) {
        self.state.memory.broken.get_or_insert_with(|| (rule, how.into()));
    }

    pub(super) fn require(&mut self, holds: bool, rule: usize, how: &'static str) {
        if !holds {
            self.broken(rule, how);
        }
    }

    pub(super) fn clocks_jump(&self) -> bool {
        self.run.chances.has(Chance::Forward) || self.run.chances.has(Chance::Backward)
    }

    // Around a step.

    pub(super) fn before(&self, step: Step) -> Before {
        let (state, server) = (&self.state, &self.state.server);
        let excused = state.memory.restored
            || match step {
                Step::Revoke | Step::Restore => true,
                // With a grace that the next request ends, two lost answers, of which one is late, or
                // is taken for lost by a clock that jumped ahead.
                Step::Deliver(_) | Step::Perform(..) => {
                    let losses = [
                        Chance::Crash,
                        Chance::Stop,
                        Chance::LostAnswer,
                        Chance::LateMessage,
                        Chance::LostLease,
                        Chance::Forward,
                    ];
                    let taken = |losses: &[Chance]| state.left.taken(&self.run.chances, losses);
                    let overdue = server.access.iter().any(|token| token.renewal.overdue);
                    self.run.kind == Kind::GraceLatest
                        && taken(&losses) > 1
                        && (overdue || taken(&[Chance::Forward]) > 0)
                }
                // Without a grace, between the server's commit and our save; with one that the next
                // request ends, where an answer that came too late was the first that was lost.
                Step::Crash(_) | Step::Lose(_) => {
                    let overdue = server.access.iter().any(|token| token.renewal.overdue);
                    server.forgives_nothing() || self.run.kind == Kind::GraceLatest && overdue
                }
                Step::Judge(at) => self.a_second_request_is_excused(&state.wire[at]),
                _ => false,
            };
        Before { can_renew: state.somebody_can_renew(), family: state.memory.family, excused }
    }

    /// Whether nobody could know that the first request for this token came to something: its
    /// answer, or it, was under way for longer than anybody must wait for.
    fn a_second_request_is_excused(&self, judged: &Message) -> bool {
        let state = &self.state;
        let waits_where_it_kills = self.run.rotation == Rotation::GraceKillsEarlier;
        let kills = state.server.forgives_nothing() || !waits_where_it_kills;
        let overdue = state.server.access[judged.ask.replaces].renewal.overdue;
        // Nobody hears what the server makes of it.
        let late = !state.sender_lives(judged);
        let second = self.run.kind == Kind::GraceLatest && late;
        kills && late || (state.server.forgives_nothing() || second) && overdue
    }

    pub(super) fn after(&mut self, step: Step, before: Before) {
        let lost = before.can_renew
            && before.family == self.state.memory.family
            && before.family.is_some()
            && !self.state.somebody_can_renew();
        if lost && before.excused {
            self.state.memory.lost = true;
        } else if lost {
            let (rule, how) = match step {
                Step::Judge(_) => (ONE_ATTEMPT, "a second request ended the login"),
                Step::Deliver(_) | Step::Perform(..) => {
                    (NOT_DROPPED, "nobody has the live refresh token any more")
                }
                _ => (ENDS_OF_A_LOGIN, "the login was lost"),
            };
            self.broken(rule, how);
        }
        for p in 0..self.state.processes.len() {
            self.lease_is_kept(p);
            self.logout_is_done(p);
            self.idleness_is_right(p);
        }
    }

    fn lease_is_kept(&mut self, p: usize) {
        if let Some(token) = self.state.processes[p].redeeming {
            let kept = self.state.server.access[token].saved || self.state.holds_lease(p);
            self.require(kept, DURABLE_FIRST, "the lease was let go before the grant was saved");
        }
    }

    /// A logout wins over whatever is under way.
    fn logout_is_done(&mut self, p: usize) {
        let process = &self.state.processes[p];
        let working = machine_of(process).is_none_or(Machine::is_working);
        if working || !process.runs() || !process.ops.is_empty() {
            return;
        }
        let stays = process.leaves.is_some() && process.leaves == self.state.memory.family;
        self.require(
            !stays || self.state.memory.restored,
            LOSERS_ADOPT,
            "a logout lost to something else",
        );
    }

    /// What is called for is done, and who waits is waited for by a wake-up or an answer.
    fn idleness_is_right(&mut self, p: usize) {
        let process = &self.state.processes[p];
        if !process.runs() || process.is_due(self.state.now) {
            return;
        }
        let Some(machine) = machine_of(process) else { return };
        let now = process.now(self.state.now);
        let answers = self.state.wire.iter().any(|message| message.sender == p);
        let at_work = machine.is_working() || !process.ops.is_empty();
        let waits = process.requests.iter().any(|request| request.sent.is_none());
        let woken = process.wake_at != Timestamp::NEVER || !process.ops.is_empty() || answers;
        let called_for = machine.record().is_some_and(|record| {
            let cooling = |until: Timestamp, ahead_only: bool| until > now && !ahead_only;
            let cool_down = record.cool_down.as_ref();
            let store = |origin| {
                matches!(machine.view().access(origin), Use::Blocked { why: Blocked::Store(_), .. })
            };
            record.access() == Access::Rejected
                && record.is_renewable()
                && !cool_down
                    .is_some_and(|cool_down| cooling(cool_down.until, cool_down.ahead_only))
                && !record.in_flight_until.is_some_and(|until| cooling(until, false))
                && record.budget.ready_at(self.run.burst, 6 * TICK, now) <= now
                && !origins()[..2].iter().any(store)
        });
        let cut_off = !at_work
            && machine.record().is_some_and(|record| {
                let waits = record.cool_down.as_ref().is_some_and(|cool_down| {
                    cool_down.until > now && !cool_down.ahead_only && record.is_renewable()
                });
                let token =
                    access_token(record).filter(|_| waits && record.access() == Access::Rejected);
                token.is_some_and(|token| {
                    let bound = origins()[..2].iter().enumerate();
                    bound
                        .filter(|(_, origin)| {
                            !record.marks.iter().any(|mark| mark.origin == **origin)
                        })
                        .any(|(at, origin)| {
                            let saw = process
                                .seen
                                .iter()
                                .any(|seen| (seen.token, usize::from(seen.origin)) == (token, at));
                            !saw && !matches!(machine.view().access(origin), Use::Token { .. })
                        })
                })
            });
        self.require(!cut_off, REJECTED_BEFORE, "an API that rejected nothing is cut off");
        self.require(!called_for || at_work, LOCAL_EXPIRY, "a refresh is called for and not begun");
        self.require(!waits || woken, BOUNDS, "a request waits, and nothing will end that");
    }

    // Around an input.

    pub(super) fn watch(&mut self, p: usize, input: &Input) -> Watch {
        let arriving = self.arriving.take();
        let process = &self.state.processes[p];
        let Some(machine) = machine_of(process) else {
            return Watch {
                state: None,
                saved: None,
                loaded: None,
                accepted: None,
                reconsidering: false,
                grants: Vec::new(),
            };
        };
        let outcome = if let Input::Done { outcome, .. } = input { Some(outcome) } else { None };
        let loaded = match outcome {
            Some(Outcome::Loaded(Some(stored)) | Outcome::Mismatch(Some(stored))) => {
                machine.record().map(|_| stored.record.state())
            }
            _ => None,
        };
        let saved = matches!(outcome, Some(Outcome::Saved(_)));
        let accepted = match input {
            Input::Accepted { origin, .. } => machine
                .record()
                .filter(|record| record.marks.iter().any(|mark| mark.origin == *origin))
                .map(|_| origin.clone()),
            _ => None,
        };
        Watch {
            state: machine.state(),
            saved: machine.pending_change().filter(|_| saved),
            loaded,
            accepted,
            reconsidering: machine.is_reconsidering(),
            grants: grants(machine).into_iter().chain(arriving).collect(),
        }
    }

    pub(super) fn watched(&mut self, p: usize, before: Watch, dropped: Option<bool>) {
        self.visit_silent_rows(p, &before);
        let Some(machine) = machine_of(&self.state.processes[p]) else { return };
        let held = grants(machine);
        let current = machine.record().and_then(access_token);
        let founded = machine.record().is_none_or(|record| self.end_is_founded(record));
        self.require(founded, ENDS_OF_A_LOGIN, "a process takes a login for ended");
        for (token, incarnation, generation) in before.grants {
            // Of two grants for one generation that are in hand, one is enough. Whether it is the
            // one that lives is asked after the step.
            let in_place = |(other, of, from): &(usize, Id, u64)| {
                *other == token || (*of, *from) == (incarnation, generation)
            };
            if !held.iter().any(in_place) {
                self.grant_is_gone(p, token, incarnation, generation, dropped);
            }
        }
        let server = std::sync::Arc::clone(&self.state.server);
        let process = self.process(p);
        process.seen.retain(|seen| Some(seen.token) == current);
        process.redeeming = process
            .redeeming
            .filter(|token| !server.access[*token].saved && held.iter().any(|(h, ..)| h == token));
    }

    /// The rows that leave the state what it is tell no event.
    fn visit_silent_rows(&mut self, p: usize, before: &Watch) {
        let Some(machine) = machine_of(&self.state.processes[p]) else { return };
        let (from, rows) = (before.state, self.visited);
        if let Some((trigger, to)) = before.saved.filter(|(_, to)| Some(*to) == from) {
            rows.visit(from, trigger, to);
        }
        if let Some(to) = before.loaded.filter(|_| !machine.is_rolled_back()) {
            rows.visit(from, "Adopted", to);
        }
        let Some(after) = machine.state().filter(|after| Some(*after) == from) else { return };
        if before.accepted.is_some() {
            rows.visit(from, "Accepted", after);
        }
        if !before.reconsidering && machine.is_reconsidering() {
            rows.visit(from, "Reconsidered", after);
        }
    }

    /// Why a grant that was in hand is not any more.
    fn grant_is_gone(
        &mut self,
        p: usize,
        token: usize,
        incarnation: Id,
        generation: u64,
        dropped: Option<bool>,
    ) {
        if self.state.server.access[token].saved {
            return;
        }
        let Some(stored) = self.state.stored.clone() else { return };
        let replaced = stored.incarnation != incarnation || stored.is_logged_out();
        let founded = replaced || stored.generation > generation || self.state.memory.restored;
        self.require(founded, NOT_DROPPED, "a grant that could be saved was dropped");
        let refresh = self.state.server.access[token].refresh;
        let only_one = refresh_token(&stored) != Some(refresh);
        // This server revokes tokens alone, so what a logout or a login left over goes.
        if replaced && only_one && stored.incarnation == incarnation {
            let process = &self.state.processes[p];
            let own = process.outlived.contains(&incarnation);
            // To its own process it lost against a newer one, as it would have without the logout.
            let record = machine_of(process).and_then(Machine::record);
            let older = record.is_some_and(|record| record.generation > generation);
            self.require(
                own || older || dropped == Some(true),
                NOT_DROPPED,
                "a grant that came after a logout was not revoked",
            );
        }
    }

    pub(super) fn end_is_founded(&self, record: &Record) -> bool {
        match &record.refresh {
            Refresh::Usable | Refresh::InDoubt { .. } => true,
            Refresh::Absent => false,
            Refresh::Dead { reason: LoginReason::LoggedOut, .. } => {
                self.state.left.taken(&self.run.chances, &[Chance::Logout]) > 0
            }
            Refresh::Dead { .. } => refresh_token(record)
                .is_some_and(|token| self.state.server.refresh[token].refusals > 0),
        }
    }

    /// Whether a newer token than this one is known.
    pub(super) fn is_old(&self, p: usize, id: TokenId) -> bool {
        let machine = machine_of(&self.state.processes[p]);
        machine
            .and_then(Machine::record)
            .is_some_and(|record| record.token_id().generation > id.generation)
    }

    /// Tells the machine something of which it must not make anything.
    pub(super) fn tell_nothing_new(&mut self, p: usize, input: Input, rule: usize) {
        // What is due is done with any input, and then more changes than the input is about.
        let due = self.state.processes[p].is_due(self.state.now);
        let before = self.state.form_of_machine(self.run, p);
        self.input(p, input);
        let same = before == self.state.form_of_machine(self.run, p);
        self.require(same || due, rule, "something was made of it");
        self.serve(p);
    }

    // Callers.

    pub(super) fn token_taken(&mut self, p: usize, at: usize, token: usize, id: TokenId) {
        let process = &self.state.processes[p];
        let request = &process.requests[at];
        let Some(machine) = machine_of(process) else { return };
        let origin = request.origin;
        let saw = process.seen.iter().any(|seen| (seen.token, seen.origin) == (token, origin));
        let reads =
            machine.record().is_some_and(|record| marks(record, &origins()[usize::from(origin)]));
        let durable = self.state.server.access[token].saved || machine.view().unsaved().is_some();
        let bounded =
            request.sendings < 3 && request.last.is_none_or(|last| last.generation < id.generation);
        self.require(!saw && !reads, REJECTED_BEFORE, "a token is sent where it was rejected");
        self.require(durable, DURABLE_FIRST, "a token is used that is not stored");
        self.require(bounded, BOUNDS, "a request is sent too often");
        self.require(origin < 2, BOUND_ORIGINS, "a token goes where it is not bound");
    }
}

/// The grants that a machine holds and has not saved.
pub(super) fn grants(machine: &Machine) -> Vec<(usize, Id, u64)> {
    machine
        .grants_in_hand()
        .map(|held| (number(&held.grant.access_token), held.incarnation, held.generation))
        .collect()
}
