//! From any state on: if nothing more goes wrong, every request ends, and the credential is served
//! again unless the server itself, or a logout, has ended it.
//!
//! The checker's own way to ask for this overlooks schedules that go round in circles. Here one
//! fair schedule is run to its end instead, within bounds.

use std::sync::Arc;

use regrant_core::{LoginReason, Use};

use super::apply::World;
use super::rules::{BOUND_ORIGINS, ENDS_OF_A_LOGIN, ENDS_WELL};
use super::run::Run;
use super::state::{State, origins};
use super::step::Step;
use super::visited::Visited;

/// The rule that is broken, and how.
pub(super) type Broken = (usize, Arc<str>);

fn unwell<T>(rule: usize, how: &str) -> Result<T, Broken> {
    Err((rule, how.into()))
}

/// Steps in which everything must be over: far more than two processes with two requests each
/// need for an attempt, its replay and their cool-downs.
const STEPS: u32 = 3_000;

/// How often a caller asks again, after the wait that it was told of, before it counts as not
/// served: once more than there are cool-downs one after the other, of the server and of the API.
const ASKS: u32 = 8;

/// Says what is wrong, if something is. `look` is shown every step and the state before it.
pub(super) fn ends_well(
    run: &Run,
    state: &State,
    look: &mut dyn FnMut(&State, Step),
) -> Result<(), Broken> {
    let visited = Visited::default();
    let world = World { run, visited: &visited, state: state.clone(), arriving: None };
    let mut fair = Fair { world, steps: STEPS, look };
    fair.world.mend();
    for p in 0..state.processes.len() {
        if state.processes[p].machine.is_none() {
            fair.step(Step::Start(p))?;
        }
        if state.processes[p].stopped {
            fair.step(Step::Resume(p))?;
        }
    }
    fair.settle()?;
    for p in 0..state.processes.len() {
        for origin in 0..run.apis {
            fair.served(p, origin)?;
        }
    }
    Ok(())
}

/// One fair schedule.
struct Fair<'a> {
    world: World<'a>,
    steps: u32,
    look: &'a mut dyn FnMut(&State, Step),
}

/// What can be done without time passing, each in its turn.
fn urgent(state: &State) -> Option<Step> {
    let messages = state.wire.iter().position(|message| message.reply.is_none()).map(Step::Judge);
    let answers = state.wire.iter().position(|message| message.reply.is_some()).map(Step::Deliver);
    let processes = state.processes.iter().enumerate();
    let mut own = processes.filter_map(|(p, process)| {
        let request = process.requests.iter().position(|request| request.sent.is_some());
        let op = (!process.ops.is_empty()).then_some(Step::Perform(p, 0));
        let due = process.is_due(state.now).then_some(Step::Wake(p));
        op.or(due).or(request.map(|at| Step::Answer(p, at)))
    });
    messages.or(answers).or_else(|| own.next())
}

impl Fair<'_> {
    fn step(&mut self, step: Step) -> Result<(), Broken> {
        let Some(left) = self.steps.checked_sub(1) else {
            return unwell(ENDS_WELL, "it goes on without end");
        };
        self.steps = left;
        (self.look)(&self.world.state, step);
        self.world.step(step);
        self.world.state.memory.broken.clone().map_or(Ok(()), Err)
    }

    fn without_time(&mut self) -> Result<(), Broken> {
        while let Some(step) = urgent(&self.world.state) {
            self.step(step)?;
        }
        Ok(())
    }

    fn time(&mut self) -> Result<(), Broken> {
        let Some(at) = self.world.state.next_moment() else {
            return unwell(ENDS_WELL, "nothing will ever happen");
        };
        self.step(Step::Time(at))?;
        self.without_time()
    }

    /// Goes on until no request waits any more.
    fn settle(&mut self) -> Result<(), Broken> {
        self.without_time()?;
        while self.world.state.processes.iter().any(|process| !process.requests.is_empty()) {
            self.time()?;
        }
        Ok(())
    }

    /// A new request is answered as it should be.
    fn served(&mut self, p: usize, origin: u8) -> Result<(), Broken> {
        for _ in 0..ASKS {
            (self.look)(&self.world.state, Step::Request(p, origin));
            self.world.request(p, origin);
            self.settle()?;
            let process = &self.world.state.processes[p];
            let Some(machine) = process.machine.as_ref() else {
                return unwell(ENDS_WELL, "a process is gone");
            };
            let memory = &self.world.state.memory;
            let ended = memory.lost || memory.family.is_none() || memory.restored;
            match machine.view().access(&origins()[usize::from(origin)]) {
                Use::Token { .. } => return Ok(()),
                Use::Login(LoginReason::LoggedOut) if memory.family.is_none() => return Ok(()),
                Use::Login(_) if ended => return Ok(()),
                Use::Login(_) => {
                    let how = "a login is asked for that the server has not ended";
                    return unwell(ENDS_OF_A_LOGIN, how);
                }
                Use::Foreign => return unwell(BOUND_ORIGINS, "a bound origin is foreign"),
                Use::Wait | Use::Blocked { .. } => self.time()?,
            }
        }
        unwell(ENDS_WELL, "the credential is not served again")
    }
}
