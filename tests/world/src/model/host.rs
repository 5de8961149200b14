//! What a host does around a machine: its outputs become operations, and its callers go on.

use std::sync::Arc;

use regrant_core::{
    Action, Event, Input, Machine, Next, Output, Passage, Record, Strength, Timestamp, Use, Verdict,
};

use super::apply::World;
use super::chance::{Chance, Chances};
use super::run::TICK;
use super::server::number;
use super::state::{Ask, Op, Request, Seen, What, origins};

impl World<'_> {
    pub(super) fn request(&mut self, p: usize, origin: u8) {
        self.take(Chance::Request);
        self.process(p).requests.push(Request {
            origin,
            passage: Passage::new(true),
            wanted: false,
            sent: None,
            sendings: 0,
            last: None,
        });
        self.serve(p);
    }

    pub(super) fn answer(&mut self, p: usize, at: usize) {
        let Some((token, _)) = self.state.processes[p].requests[at].sent else { return };
        let good = self.state.server.access[token].live;
        let verdict = if good { Verdict::Accepted } else { Verdict::Rejected(Strength::Strong) };
        self.report(p, at, verdict);
    }

    pub(super) fn report(&mut self, p: usize, at: usize, verdict: Verdict) {
        let request = &mut self.process(p).requests[at];
        let Some((token, id)) = request.sent.take() else { return };
        let origin = request.origin;
        let next = request.passage.answered(id, verdict);
        request.wanted = true;
        request.last = Some(id);
        if next != Next::Replay {
            self.process(p).requests.remove(at);
        }
        let to = origins()[usize::from(origin)].clone();
        match verdict {
            Verdict::Accepted => {
                let machine = self.state.processes[p].machine.as_ref();
                let current = machine.and_then(Machine::record);
                // Two tokens of one generation have one name.
                let current = current.filter(|record| record.token_id() == id);
                let current = current.and_then(Record::slot).map(|slot| number(&slot.access_token));
                for token in current.into_iter().chain([token]) {
                    self.server().access[token].accepted |= 1 << origin;
                }
                self.tell(p, Input::Accepted { id, origin: to });
            }
            Verdict::Rejected(strength) => {
                self.server().access[token].rejected = true;
                let old = self.is_old(p, id);
                let input = Input::Rejected { id, origin: to, strength, claims: None };
                if old {
                    self.tell_nothing_new(p, input, super::rules::LATE_REJECTION);
                } else {
                    let seen = Seen { token, origin, written: false };
                    self.process(p).seen.push(seen);
                    self.tell(p, input);
                }
            }
            Verdict::Silent => {}
        }
    }

    pub(super) fn stray(&mut self, p: usize, accepts: bool) {
        self.take(Chance::Stray);
        let Some(record) = self.state.processes[p].machine.as_ref().and_then(Machine::record)
        else {
            return;
        };
        let (id, origin) = (record.token_id(), origins()[2].clone());
        let input = if accepts {
            Input::Accepted { id, origin }
        } else {
            Input::Rejected { id, origin, strength: Strength::Strong, claims: None }
        };
        self.tell_nothing_new(p, input, super::rules::BOUND_ORIGINS);
    }

    /// Tells the machine something, and lets the callers go on.
    pub(super) fn tell(&mut self, p: usize, input: Input) {
        self.input(p, input);
        self.serve(p);
    }

    pub(super) fn input(&mut self, p: usize, input: Input) {
        let now = self.state.processes[p].now(self.state.now);
        let watch = self.watch(p, &input);
        self.note_reading(p, &input);
        if let Some(machine) = self.process(p).machine.as_mut() {
            machine.handle_input(input, now);
        }
        let dropped = self.drain(p);
        self.watched(p, watch, dropped);
    }

    /// Takes the machine's outputs. Whether a grant was dropped, and its tokens revoked.
    pub(super) fn drain(&mut self, p: usize) -> Option<bool> {
        let (mut dropped, mut first) = (None, false);
        loop {
            let Some(machine) = self.process(p).machine.as_mut() else { return dropped };
            match machine.poll_output() {
                Output::Act { id, action, deadline } => {
                    let what = match action {
                        Action::Acquire => What::Acquire { deadline },
                        Action::Release => What::Release,
                        Action::Load => What::Load,
                        Action::Save { record, over } => {
                            self.save_asked_for(p, &record);
                            What::Save { record: Arc::from(record), over }
                        }
                        Action::Ask { refresh_token, .. } => {
                            let token = refresh_token.map_or(0, |token| number(&token));
                            let Some(ask) = self.ask(p, token, deadline, first) else { continue };
                            self.ask_asked_for(p, &ask);
                            What::Ask(ask)
                        }
                        Action::Revoke { token, .. } => What::Revoke { token },
                    };
                    self.process(p).ops.push(Op { id, what, late: false });
                }
                Output::Event(Event::StateChanged { from, to, trigger, .. }) => {
                    if !self.visited.visit(from, trigger, to) {
                        let row = format!("{from:?} to {to} by {trigger} is no row");
                        self.broken(super::rules::ROWS, &row);
                    }
                }
                Output::Event(Event::GrantDropped { revoked }) => dropped = Some(revoked),
                Output::Event(Event::Asked { attempt, .. }) => first = attempt == 1,
                // A logout that could not be carried out is said to be so.
                Output::Answered(Err(_)) => self.process(p).leaves = None,
                Output::Event(_) | Output::Answered(Ok(())) | Output::Stopped => {}
                Output::Timeout(at) => {
                    self.process(p).wake_at = at;
                    return dropped;
                }
            }
        }
    }

    /// What a token request is about, as its sender's record says.
    fn ask(&self, p: usize, token: usize, deadline: Timestamp, first: bool) -> Option<Ask> {
        let process = &self.state.processes[p];
        let record = process.machine.as_ref()?.record()?;
        let (slot, intent) = (record.slot()?, record.attempt.as_ref()?);
        // Two leeways before the expiry, at the earliest, a refresh ahead of need begins.
        let hinted = slot
            .expires_at(process.now(self.state.now))
            .is_some_and(|at| at - 2 * TICK <= process.now(self.state.now));
        Some(Ask {
            token,
            replaces: number(&slot.access_token),
            incarnation: record.incarnation,
            generation: record.generation,
            nonce: intent.nonce,
            deadline,
            intent_deadline: intent.deadline,
            first,
            hinted,
        })
    }

    /// Every caller that can go on goes on: with a token, with an answer, or it waits. Whoever
    /// waits on is told to the machine again whenever its view has changed, as a host does.
    pub(super) fn serve(&mut self, p: usize) {
        let mut shown = None;
        // Each round tells the machine of somebody who waits; few are ever needed.
        for _ in 0..64 {
            self.serve_once(p);
            let now_shown = self.shown(p);
            let changed = shown.as_ref() != Some(&now_shown);
            shown = Some(now_shown);
            if !changed || !self.tell_who_waits(p) {
                return;
            }
        }
        self.broken(super::rules::BOUNDS, "the view changes without end");
    }

    /// What callers see.
    fn shown(&self, p: usize) -> [(u8, u64); 2] {
        let Some(machine) = &self.state.processes[p].machine else { return [(0, 0); 2] };
        let gate = |origin| match machine.view().access(origin) {
            Use::Token { id, stale, .. } => (1 + u8::from(stale), id.generation),
            Use::Wait => (3, 0),
            Use::Login(reason) => (4, reason as u64),
            Use::Blocked { retry_at, .. } => (5, retry_at.as_millis()),
            Use::Foreign => (6, 0),
        };
        [gate(&origins()[0]), gate(&origins()[1])]
    }

    fn tell_who_waits(&mut self, p: usize) -> bool {
        let waiting = self.state.processes[p].requests.iter();
        let waiting: Vec<u8> = waiting
            .filter(|request| request.sent.is_none())
            .map(|request| request.origin)
            .collect();
        for origin in &waiting {
            let origin = origins()[usize::from(*origin)].clone();
            let waits = self.state.processes[p]
                .machine
                .as_ref()
                .is_some_and(|machine| matches!(machine.view().access(&origin), Use::Wait));
            if waits {
                self.input(p, Input::Wanted { origin });
            }
        }
        !waiting.is_empty()
    }

    fn serve_once(&mut self, p: usize) {
        let mut at = 0;
        while at < self.state.processes[p].requests.len() {
            let process = &self.state.processes[p];
            let request = &process.requests[at];
            let Some(machine) = process.machine.as_ref().filter(|_| request.sent.is_none()) else {
                at += 1;
                continue;
            };
            let origin = &origins()[usize::from(request.origin)];
            match machine.view().access(origin) {
                Use::Token { token, id, .. } => {
                    let token = number(token);
                    if request.passage.may_send(id) {
                        self.token_taken(p, at, token, id);
                        let request = &mut self.process(p).requests[at];
                        request.sent = Some((token, id));
                        request.sendings += 1;
                        at += 1;
                    } else {
                        self.process(p).requests.remove(at);
                    }
                }
                Use::Foreign => {
                    self.process(p).requests.remove(at);
                }
                Use::Wait | Use::Login(_) | Use::Blocked { .. } if !request.wanted => {
                    let origin = origin.clone();
                    self.process(p).requests[at].wanted = true;
                    self.input(p, Input::Wanted { origin });
                    at = 0;
                }
                Use::Wait => at += 1,
                Use::Login(_) | Use::Blocked { .. } => {
                    self.process(p).requests.remove(at);
                }
            }
        }
    }

    /// Nothing more goes wrong.
    pub(super) fn mend(&mut self) {
        self.state.left = Chances::default();
        self.server().down = false;
    }
}
