//! Callers: what a transport does with one request.

use regrant_core::{Blocked, LoginReason, Next, Passage, Strength, TokenId, Verdict};

use crate::sim::books::Who;
use crate::sim::fleet::{Due, Fleet};
use crate::sim::ops::ApiFault;
use crate::sim::process::{Happened, Lent, Told};
use crate::sim::reference::Rule;

/// How a request ended for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The API's answer, other than a rejection.
    Served,
    /// The API's rejection.
    Rejected,
    Login(LoginReason),
    Blocked(Blocked),
    Impatient,
    Foreign,
    Closed,
}

/// One request.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) who: Who,
    pub(super) to: usize,
    passage: Passage,
    /// What the last sending carried.
    carried: Option<Lent>,
    replay: bool,
    /// Since when it waits for a token.
    since: u64,
    pub(super) ended: Option<Ended>,
}

/// Where nobody is bound to.
const ELSEWHERE: usize = 3;

impl Fleet<'_> {
    /// A caller comes, if the program runs.
    pub(super) fn begin(&mut self, by: usize, to: usize, replayable: bool) {
        if !self.runs(by) {
            return;
        }
        let Some(who) = self.seats[by].process.as_ref().map(|process| process.who) else { return };
        self.counters.requests += 1;
        let passage = Passage::new(replayable);
        let (since, call) = (self.now, self.calls.len());
        let (carried, replay, ended) = (None, true, None);
        self.calls.push(Call { who, to, passage, carried, replay, since, ended });
        let at_hand = self.seats[by].process.as_ref().and_then(|process| process.try_access(to));
        match at_hand {
            Some(lent) => self.send(call, lent),
            None => self.tell(by, Happened::Access { call, origin: to, than: None }),
        }
    }

    fn end(&mut self, call: usize, ended: Ended) {
        self.calls[call].ended = Some(ended);
        let Call { who, to, .. } = self.calls[call];
        self.note(|| format!("p{} has answered a caller for {to}: {ended:?}", who.process));
        self.counters.ended_with(ended);
    }

    fn send(&mut self, call: usize, lent: Lent) {
        let Call { who, to, .. } = self.calls[call];
        let now = self.now;
        self.reference.demand(to != ELSEWHERE, Rule::Foreign, now, || {
            format!("p{} sends {lent:?} elsewhere", who.process)
        });
        let issued = lent.token.filter(|token| self.reference.books.authority.issued(*token));
        self.reference.demand(issued.is_some(), Rule::Foreign, now, || {
            format!("p{} sends what nobody issued: {lent:?}", who.process)
        });
        let Some(token) = issued else { return };
        self.reference.sends(who, u8::try_from(to).unwrap_or(u8::MAX), token, now);
        self.calls[call].carried = Some(lent);
        let delay = self.dice.between(1, 100);
        self.push_in(delay, Due::Api { call });
    }

    /// The request is at the API.
    pub(super) fn api(&mut self, call: usize) {
        let Call { to, carried, .. } = self.calls[call];
        let now = self.now;
        let token = carried.and_then(|lent| lent.token);
        let good = token.is_some_and(|token| self.reference.books.authority.accepts(token, now));
        let honest = if good { Verdict::Accepted } else { Verdict::Rejected(Strength::Strong) };
        let api = &mut self.apis[to];
        let fault = api.fault.filter(|(_, until)| now < *until).map(|(how, _)| how);
        let verdict = match fault {
            Some(ApiFault::Rejects) => Verdict::Rejected(Strength::Strong),
            Some(ApiFault::Bare) => Verdict::Rejected(Strength::Weak),
            Some(ApiFault::Alternates) => {
                api.turn = !api.turn;
                if api.turn { Verdict::Accepted } else { Verdict::Rejected(Strength::Strong) }
            }
            Some(ApiFault::Down) => Verdict::Silent,
            Some(ApiFault::Lenient) => Verdict::Accepted,
            None => honest,
        };
        let delay = self.dice.between(1, 200);
        self.push_in(delay, Due::ApiAnswer { call, verdict });
    }

    /// The API's answer is at the process, which runs.
    pub(super) fn api_answer(&mut self, call: usize, verdict: Verdict) {
        let Call { who, to, carried, .. } = self.calls[call];
        let Some(lent) = carried.filter(|_| self.reference.books.lives(who)) else { return };
        let (id, origin) = (lent.id, to);
        match verdict {
            Verdict::Accepted => self.report_accepted(who, origin, id),
            Verdict::Rejected(strength) => {
                if let Some(token) = lent.token {
                    let from = u8::try_from(to).unwrap_or(u8::MAX);
                    self.reference.rejected(who, from, token);
                }
                if let Some(process) = &mut self.seats[who.process].process {
                    process.mark(id);
                }
                self.tell(who.process, Happened::Rejected { origin, id, strength });
            }
            Verdict::Silent => {}
        }
        if !self.reference.books.lives(who) {
            return;
        }
        let step = self.calls[call].passage.answered(id, verdict);
        if step == Next::Deliver {
            return self.end(call, Ended::Served);
        }
        self.calls[call].replay = step == Next::Replay;
        self.calls[call].since = self.now;
        self.tell(who.process, Happened::Access { call, origin, than: Some(id) });
    }

    fn report_accepted(&mut self, who: Who, origin: usize, id: TokenId) {
        let process = self.seats[who.process].process.as_ref();
        if process.is_some_and(|process| process.wants_acceptance(origin, id)) {
            self.tell(who.process, Happened::Accepted { origin, id });
        }
    }

    /// The task answers a caller that has waited.
    pub(super) fn told(&mut self, call: usize, told: Told, waited: u64) {
        let Call { who, to, since, carried, replay, .. } = self.calls[call];
        let now = self.now;
        let host = &self.reference.books.hosts[who.process];
        // Nobody is patient through a stop.
        if host.stopped_at.is_none_or(|at| at < since) {
            self.reference.answered(who, since, waited, now);
        }
        let bound = to != ELSEWHERE;
        match told {
            Told::Token(lent) if replay && self.calls[call].passage.may_send(lent.id) => {
                self.send(call, lent);
            }
            Told::Token(_) => self.end(call, Ended::Rejected),
            Told::Login(reason) => {
                self.reference.asks_for_login(who, reason, Some(since), now);
                self.counters.logins_asked += 1;
                let returns = self.script.setup.returns;
                if returns > 0 && !std::mem::replace(&mut self.returning, true) {
                    self.push_in(returns, Due::LogIn { by: who.process });
                }
                self.end(call, Ended::Login(reason));
            }
            Told::Blocked(Blocked::StillRejected) if carried.is_some() => {
                self.end(call, Ended::Rejected);
            }
            Told::Blocked(why) => self.end(call, Ended::Blocked(why)),
            Told::Impatient => self.end(call, Ended::Impatient),
            Told::Foreign => {
                self.reference.demand(!bound, Rule::Foreign, now, || {
                    format!("p{} turns a caller away from where it is bound to", who.process)
                });
                self.end(call, Ended::Foreign);
            }
            Told::Closed => self.end(call, Ended::Closed),
        }
    }
}
