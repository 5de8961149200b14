//! Token requests on the wire, and what becomes of them.

use std::time::Duration;

use regrant_core::{Answer, Applied, Cause, Failure, Grant, Outcome, Refusal, RefusalKind, Secret};

use crate::sim::authority::{AccessToken, Judgement, RefreshToken};
use crate::sim::books::{Known, Who, number};
use crate::sim::fleet::{Due, Fleet};
use crate::sim::ops::{Outage, Point, Says, Wire};

/// How long the driver listens past the end of an attempt: 30 s, and a second.
const LISTENS: u64 = 31_000;
/// What a server says that wants to be left alone: two minutes, and an hour.
const RETRY_AFTER: [Duration; 2] = [Duration::from_secs(120), Duration::from_secs(3_600)];

/// A token request under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flight {
    pub(super) who: Who,
    id: u64,
    ask: usize,
    token: RefreshToken,
    back: u64,
    wire: Option<Wire>,
}

fn failure(cause: Cause, applied: Applied, retry_after: Option<Duration>) -> Answer {
    Answer::Failed(Failure { cause, applied, retry_after, code: None })
}

/// What a connection brings that breaks.
pub(super) fn reset() -> Answer {
    failure(Cause::NoAnswer, Applied::Perhaps, None)
}

impl Fleet<'_> {
    /// Sends a token request.
    pub(super) fn ask(&mut self, who: Who, id: u64, token: &Secret, within: u64) {
        let now = self.now;
        self.seats[who.process].jobs.push(id);
        if within == 0 {
            let outcome = Outcome::Answered(failure(Cause::Unreachable, Applied::No, None));
            return self.push_in(0, Due::Done { who, id, outcome, at: now, load: false });
        }
        let token = number(token.expose()).expect("a machine sends what it was given");
        let clock = self.seats[who.process].process.as_mut();
        let clock = clock.map_or(0, |running| running.clock.now(running.offset, now));
        let ask = self.reference.asks(who, token, clock, now);
        self.counters.asked += 1;
        self.note(|| format!("p{} asks with r{token}, number {ask}", who.process));
        let seat = &mut self.seats[who.process];
        let soon = |until: u64| now <= until;
        seat.wires.retain(|(_, until)| soon(*until));
        let wire = seat.wires.pop_front().map(|(wire, _)| wire);
        let (there, back) = match seat.slow.take().filter(|(_, until)| soon(*until)) {
            Some((slow, _)) => slow,
            None => (self.dice.between(5, 100), self.dice.between(5, 200)),
        };
        let timer = self.timer(who.process) + within + LISTENS;
        let outcome = Outcome::Answered(failure(Cause::NoAnswer, Applied::PerhapsLater, None));
        self.flights.push(Flight { who, id, ask, token, back, wire });
        self.push_in(there, Due::Arrive { flight: self.flights.len() - 1 });
        self.push_in(within + LISTENS, Due::Overdue { who, id, timer, outcome });
        self.spring(who, Point::Sent);
    }

    /// The request is at the server, or where it comes instead.
    pub(super) fn arrive(&mut self, flight: usize) {
        let Flight { who, ask, token, back, wire, .. } = self.flights[flight];
        let now = self.now;
        let outage = self.outage.filter(|(_, until)| now < *until).map(|(how, _)| how);
        let answer = match (wire, outage) {
            (Some(Wire::LostThere), _) | (_, Some(Outage::Silent)) => None,
            (Some(Wire::Refused), _) | (_, Some(Outage::Unreachable)) => {
                Some(failure(Cause::Unreachable, Applied::No, None))
            }
            (Some(Wire::ResetThere), _) => Some(reset()),
            (Some(Wire::Portal), _) | (_, Some(Outage::Portal)) => {
                Some(failure(Cause::NotOauth, Applied::Perhaps, None))
            }
            (_, Some(Outage::Unavailable)) => Some(failure(Cause::Unavailable, Applied::No, None)),
            (_, Some(Outage::Limited)) => {
                Some(failure(Cause::RateLimited, Applied::No, Some(RETRY_AFTER[0])))
            }
            (_, Some(Outage::LongWait)) => {
                Some(failure(Cause::Unavailable, Applied::No, Some(RETRY_AFTER[1])))
            }
            (Some(Wire::LostBack | Wire::ResetBack | Wire::Gateway) | None, None) => {
                let answer = self.judge(ask, token);
                if matches!(answer, Answer::Granted(_)) {
                    self.spring(who, Point::Committed);
                }
                match wire {
                    Some(Wire::LostBack) => None,
                    Some(Wire::ResetBack) => Some(reset()),
                    Some(Wire::Gateway) => {
                        Some(failure(Cause::Unavailable, Applied::Perhaps, None))
                    }
                    Some(_) | None => Some(answer),
                }
            }
        };
        match answer {
            Some(answer) => {
                self.push_in(back, Due::Answer { flight, answer: Box::new(answer) });
            }
            None => self.counters.lost += 1,
        }
        self.counters.lost += u64::from(matches!(wire, Some(Wire::ResetBack | Wire::Gateway)));
    }

    fn judge(&mut self, ask: usize, token: RefreshToken) -> Answer {
        let now = self.now;
        let authority = &mut self.reference.books.authority;
        let spent = !authority.is_live(token);
        let family = authority.family(token);
        let live: Vec<RefreshToken> =
            if spent { authority.live(family).collect() } else { Vec::new() };
        let judgement = authority.redeem(token, now);
        self.reference.judged(ask, judgement, &live, now);
        self.note(|| format!("the server judges number {ask}: {judgement:?}"));
        match judgement {
            Judgement::Granted { access, refresh, .. } => {
                let mut grant = self.grant(access, refresh);
                if std::mem::take(&mut self.stranger) {
                    grant.subject = Some("somebody-else".into());
                    self.reference.books.refresh(token).stranger = true;
                }
                Answer::Granted(grant)
            }
            Judgement::Refused => {
                let kind = RefusalKind::Dead;
                Answer::Refused(Refusal { code: "invalid_grant".into(), kind })
            }
        }
    }

    /// What the server writes.
    pub(super) fn grant(&self, access: AccessToken, refresh: Option<RefreshToken>) -> Grant {
        let life = self.script.setup.life;
        let mut grant = Grant::bearer(Secret::new(format!("a{access}")));
        grant.refresh_token = refresh.map(|token| Secret::new(format!("r{token}")));
        grant.subject = Some("somebody".into());
        grant.expires_in = match self.script.setup.says {
            Says::Honest => Some(life),
            Says::Nothing => None,
            Says::Longer => Some(life * 10),
            Says::Shorter => Some(life / 10),
        }
        .map(Duration::from_millis);
        grant
    }

    /// The answer is at the process, which runs.
    pub(super) fn hear(&mut self, flight: usize, answer: Answer) {
        let Flight { who, id, ask, .. } = self.flights[flight];
        if !self.end_job(who, id) {
            self.counters.lost += u64::from(matches!(answer, Answer::Granted(_)));
            return;
        }
        let known = match &answer {
            Answer::Granted(_) => Known::Granted,
            Answer::Refused(_) => Known::Refused,
            Answer::Failed(Failure { applied: Applied::No, .. }) => Known::NotApplied,
            Answer::Failed(_) | Answer::Unusable { .. } | Answer::NonceWanted => Known::Perhaps,
        };
        self.reference.hears(ask, known, self.now);
        self.note(|| format!("p{} hears of number {ask}: {answer:?}", who.process));
        let outcome = Outcome::Answered(answer);
        self.tell_answer(who, id, outcome, known == Known::Granted);
    }

    pub(super) fn revoke(&mut self, who: Who, id: u64, token: &Secret) {
        let now = self.now;
        if let Some(token) = number(token.expose()).filter(|_| token.expose().starts_with('r')) {
            self.reference.books.authority.revoke_refresh(token, now);
        } else if let Some(token) = number(token.expose()) {
            self.reference.books.authority.revoke_access(token, now);
        }
        let outcome = Outcome::Revoked { confirmed: true };
        self.push_in(10, Due::Done { who, id, outcome, at: now, load: false });
    }
}
