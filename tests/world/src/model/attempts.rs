//! The rules of saves and token requests.

use regrant_core::{Access, Input, Machine, Outcome, Record, Refresh, Rotation, Timestamp};

use super::apply::World;
use super::chance::Chance;
use super::rules::{
    BOUNDS, DURABLE_FIRST, ENDS_OF_A_LOGIN, LATE_REJECTION, LOSERS_ADOPT, ONE_ATTEMPT,
    REJECTED_BEFORE, SPACING, access_token, grants, machine_of, marks, refresh_token, start_of,
};
use super::run::{Exclusion, TICK};
use super::state::{Ask, origins};

impl World<'_> {
    /// Whoever asks for the lease reads the store before it begins anything.
    pub(super) fn note_reading(&mut self, p: usize, input: &Input) {
        let Input::Done { outcome, .. } = input else { return };
        match outcome {
            Outcome::Acquired { .. } | Outcome::Unlockable | Outcome::Busy(_) => {
                self.process(p).fresh = false;
            }
            Outcome::Loaded(_) | Outcome::Mismatch(_) => self.process(p).fresh = true,
            Outcome::Released
            | Outcome::Saved(_)
            | Outcome::Answered(_)
            | Outcome::Revoked { .. }
            | Outcome::Failed(_)
            | Outcome::Unknown(_) => {}
        }
    }

    // Saves.

    /// The rejections that called for a refresh are durable with its intent.
    pub(super) fn save_asked_for(&mut self, p: usize, record: &Record) {
        let current = access_token(record);
        let begins = machine_of(&self.state.processes[p])
            .and_then(Machine::pending_change)
            .is_some_and(|(trigger, _)| trigger == "Begun");
        let mut says_all = true;
        for seen in self.process(p).seen.iter_mut().filter(|seen| Some(seen.token) == current) {
            seen.written |= marks(record, &origins()[usize::from(seen.origin)]);
            says_all &= seen.written;
        }
        self.require(!begins || says_all, REJECTED_BEFORE, "an intent says not who rejected");
        let fresh = !begins || self.state.processes[p].fresh;
        self.require(fresh, LOSERS_ADOPT, "an attempt begins without a look at the store");
    }

    pub(super) fn save_applied(&mut self, p: usize, new: &Record) {
        let Some(old) = self.state.stored.clone() else { return };
        let token = access_token(new);
        let logs_in = token.is_some_and(|token| self.state.server.access[token].redeemed.is_none());
        let same_login = old.incarnation == new.incarnation;
        let founded = self.end_is_founded(new);
        self.require(founded, ENDS_OF_A_LOGIN, "a login is stored as ended");
        if new.is_logged_out() {
            self.state.memory.family = None;
        }
        if same_login {
            self.nothing_is_lost(&old, new);
            self.take_over_is_founded(p, &old, new);
        } else {
            let known = logs_in && !old.superseded.contains(&new.incarnation);
            let founded = known || self.state.memory.restored;
            self.require(founded, LOSERS_ADOPT, "an older login is saved over a newer one");
            let outlived = old.incarnation;
            self.process(p).outlived.push(outlived);
        }
        if let Some(token) = token {
            let first = !std::mem::replace(&mut self.server().access[token].saved, true);
            if first && logs_in {
                let family =
                    self.state.server.refresh[self.state.server.access[token].refresh].family;
                let memory = &mut self.state.memory;
                (memory.family, memory.lost) = (Some(family), false);
                memory.full_at = Timestamp::EPOCH;
            }
        }
    }

    fn nothing_is_lost(&mut self, old: &Record, new: &Record) {
        let restored = self.state.memory.restored;
        let logged_out = new.is_logged_out();
        let revived = old.is_logged_out() && !logged_out && !restored;
        self.require(!revived, LOSERS_ADOPT, "a logout was undone");
        let older = new.generation < old.generation && !restored;
        self.require(!older, LOSERS_ADOPT, "an older generation is saved over a newer one");
        let blank = refresh_token(new).is_none() || access_token(new).is_none();
        self.require(logged_out || !blank, LOSERS_ADOPT, "what was stored is blanked");
        let other =
            refresh_token(new) != refresh_token(old) || access_token(new) != access_token(old);
        let granted = new.generation > old.generation || restored;
        self.require(
            logged_out || granted || !other,
            LOSERS_ADOPT,
            "tokens change, and no generation",
        );
        // What was refused is tried once more.
        if let Some(token) =
            access_token(old).filter(|_| matches!(old.refresh, Refresh::Dead { .. }))
        {
            self.server().access[token].renewal.allow();
        }
        self.attempt_leaves_a_cool_down(old, new);
        self.other_marks_stay(old, new);
        // A mark or an acceptance is nobody else's business.
        let distrusts = new.access() == Access::Trusted && old.access() == Access::Rejected;
        let judged = marks_gone(old, new);
        self.require(granted || !distrusts || !judged, LOSERS_ADOPT, "a rejection is overwritten");
    }

    /// An attempt that sent something, and was neither granted nor refused, delays the next one of
    /// every process.
    fn attempt_leaves_a_cool_down(&mut self, old: &Record, new: &Record) {
        let (Some(intent), Some(token)) = (&old.attempt, access_token(old)) else { return };
        let failed = new.attempt.is_none()
            && new.generation == old.generation
            && !matches!(new.refresh, Refresh::Dead { .. });
        let last = self.state.server.access[token].renewal.last;
        let sent = last.is_some_and(|(_, until)| until == intent.deadline);
        let delays = new.cool_down.is_some();
        self.require(
            !(failed && sent) || delays || self.state.memory.restored,
            BOUNDS,
            "an attempt failed, and the next one may come at once",
        );
    }

    /// A mark goes when its own origin accepts the token, or when its time is over.
    fn other_marks_stay(&mut self, old: &Record, new: &Record) {
        let tokens = [old, new].into_iter().filter_map(access_token);
        let accepted = tokens.fold(0, |all, at| all | self.state.server.access[at].accepted);
        let now = self.state.now;
        let stays = |(at, origin): (usize, &regrant_core::Origin)| {
            let mut marks = old.marks.iter().filter(|mark| mark.origin == *origin);
            let lives = marks.any(|mark| mark.until > now) && accepted >> at & 1 == 0;
            !lives || new.marks.iter().any(|mark| mark.origin == *origin)
        };
        let stay = origins()[..2].iter().enumerate().all(stays);
        let excused = new.is_logged_out() || self.clocks_jump() || self.state.memory.restored;
        self.require(stay || excused, LOSERS_ADOPT, "the mark of another origin is overwritten");
    }

    /// An open intent is somebody's request: it is left alone until its owner is gone, or its
    /// time is over.
    fn take_over_is_founded(&mut self, p: usize, old: &Record, new: &Record) {
        let (Some(theirs), Some(ours)) = (&old.attempt, &new.attempt) else { return };
        if theirs.nonce == ours.nonce {
            return;
        }
        let now = self.state.now;
        let owner = start_of(theirs.owner);
        let own = self.state.processes[p].start == owner;
        let over = theirs.deadline <= now;
        // Whoever has the lock knows that its last holder is gone or has given up.
        let gone = self.run.exclusion == Exclusion::Lock && self.state.holds_lease(p);
        let waits = self.run.rotation == Rotation::GraceKillsEarlier || theirs.raised;
        let orphan = gone && !waits && theirs.at + TICK <= now;
        let founded = own || over || orphan || self.clocks_jump() || self.state.memory.restored;
        self.require(founded, ONE_ATTEMPT, "an open intent is taken over too soon");
        if let Some(token) = access_token(old) {
            self.server().access[token].renewal.allow();
        }
    }

    // Token requests.

    pub(super) fn ask_asked_for(&mut self, p: usize, ask: &Ask) {
        let process = &self.state.processes[p];
        let outlived = process.outlived.contains(&ask.incarnation);
        let spent = machine_of(process).is_some_and(|machine| {
            grants(machine).iter().any(|(_, incarnation, generation)| {
                (*incarnation, *generation) == (ask.incarnation, ask.generation)
            })
        });
        let stored = self.state.stored.as_deref().and_then(|record| record.attempt.as_ref());
        let durable = stored.is_some_and(|intent| intent.nonce == ask.nonce);
        self.require(durable || !ask.first, ONE_ATTEMPT, "a request is sent without its intent");
        self.require(!outlived, LOSERS_ADOPT, "a login's older attempt is not dropped");
        self.require(!spent, DURABLE_FIRST, "a token is redeemed whose successor is in hand");
    }

    pub(super) fn request_sent(&mut self, p: usize, ask: &Ask) {
        let now = self.state.now;
        let token = self.state.server.access[ask.replaces].clone();
        // Over a restored backup generations are counted again, and two tokens have one name.
        let called_for = token.rejected || ask.hinted || self.state.memory.restored;
        self.require(called_for, LATE_REJECTION, "a generation is refreshed that nobody rejected");
        if !self.clocks_jump() && !self.state.memory.restored {
            let at_once = self.state.wire.iter().any(|other| {
                other.sender != p
                    && other.ask.replaces == ask.replaces
                    && self.state.sender_lives(other)
                    && other.ask.intent_deadline > now
            });
            self.require(!at_once, ONE_ATTEMPT, "two requests at once");
            let renewal = &token.renewal;
            let replay = renewal.last.is_some_and(|(_, until)| until <= now && !renewal.replayed);
            let spaced = renewal.last.is_some_and(|(at, _)| at + SPACING <= now);
            let allowed = renewal.last.is_none() || renewal.allowed > 0 || replay || spaced;
            self.require(allowed, ONE_ATTEMPT, "one request more than is called for");
            let renewal = &mut self.server().access[ask.replaces].renewal;
            renewal.replayed |= replay && renewal.allowed == 0;
        }
        let renewal = &mut self.server().access[ask.replaces].renewal;
        renewal.last = Some((now, ask.intent_deadline));
        renewal.allowed = renewal.allowed.saturating_sub(1);
        self.debit(ask);
    }

    fn debit(&mut self, ask: &Ask) {
        if !ask.first || self.clocks_jump() || self.state.memory.restored {
            return;
        }
        let (now, every) = (self.state.now, 6 * TICK);
        let full_at = self.state.memory.full_at;
        let within = full_at <= now + every * (self.run.burst - 1);
        self.require(within, BOUNDS, "more token requests than the bucket holds");
        self.state.memory.full_at = full_at.max(now) + every;
    }

    pub(super) fn refusal_arrived(&mut self, ask: &Ask) {
        // Each of these may make one more request of a dead grant.
        let troubles = self.state.left.taken(
            &self.run.chances,
            &[
                Chance::Crash,
                Chance::Stop,
                Chance::LateMessage,
                Chance::LostLease,
                Chance::FailedSave,
                Chance::UnknownSave,
                Chance::FailedLoad,
                Chance::LateOperation,
                Chance::StaleLoad,
                Chance::Reconsider,
                Chance::Restore,
                Chance::Forward,
                Chance::Backward,
            ],
        );
        let token = &mut self.server().refresh[ask.token];
        token.refusals += 1;
        let bounded = token.refusals <= 1 + troubles;
        self.require(bounded, BOUNDS, "a dead grant is asked for again");
    }

    pub(super) fn nothing_was_done(&mut self, ask: &Ask) {
        self.server().access[ask.replaces].renewal.allow();
    }

    pub(super) fn outcome_is_unknown(&mut self, ask: &Ask) {
        self.server().access[ask.replaces].renewal.outcome_unknown();
    }

    /// A request whose answer is not stored when its intent ends counts as lost, unless its owner
    /// is merely stopped and has the lock.
    pub(super) fn requests_are_overdue(&mut self) {
        let now = self.state.now;
        let row = self.run.exclusion == Exclusion::Row;
        let slow = self.state.wire.iter().filter(|message| message.late || row);
        let slow: Vec<usize> = slow
            .filter(|message| message.ask.intent_deadline <= now)
            .map(|message| message.ask.replaces)
            .collect();
        let stored = self.state.stored.as_deref().filter(|record| {
            row && record.attempt.as_ref().is_some_and(|intent| intent.deadline <= now)
        });
        for token in slow.into_iter().chain(stored.and_then(access_token)) {
            self.server().access[token].renewal.overdue = true;
        }
    }

    /// Who is woken a tick after the deadline of its request, the length of the machine's patience,
    /// goes on without the answer, also if it has come while the process did not run.
    pub(super) fn gives_up_what_is_overdue(&mut self, p: usize) {
        let process = &self.state.processes[p];
        let (start, now) = (process.start, process.now(self.state.now));
        let own = self.state.wire.iter().filter(|m| m.sender == p && m.start == start);
        let overdue: Vec<usize> = own
            .filter(|message| message.ask.deadline + TICK <= now)
            .map(|message| message.ask.replaces)
            .collect();
        for token in overdue {
            self.server().access[token].renewal.overdue = true;
        }
    }

    /// The owner of an open intent is killed: whoever finds it may send once more.
    pub(super) fn intent_is_orphaned(&mut self, p: usize) {
        let start = self.state.processes[p].start;
        let Some(stored) = self.state.stored.clone() else { return };
        let owns = stored.attempt.as_ref().is_some_and(|intent| start_of(intent.owner) == start);
        if let Some(token) = access_token(&stored).filter(|_| owns) {
            let renewal = &mut self.server().access[token].renewal;
            renewal.replayed = true;
            renewal.allow();
        }
    }

    /// After a clock has jumped, cool-downs may be over at once.
    pub(super) fn forgive(&mut self) {
        for token in &mut self.server().access {
            token.renewal.allow();
        }
    }
}

/// Whether a mark of the current token has gone that another process had set.
fn marks_gone(old: &Record, new: &Record) -> bool {
    let id = old.token_id();
    let current = |record: &Record| record.marks.iter().filter(|mark| mark.rejected == id).count();
    current(new) < current(old)
}
