//! From any state on: if nothing more goes wrong, every request ends, and the credential is served
//! again unless the server itself, or a logout, has ended it.
//!
//! The checker's own way to ask for this overlooks schedules that go round in circles. Here one
//! fair schedule is run to its end instead, within bounds.

use regrant_core::{LoginReason, Use};

use super::apply::World;
use super::rows::Rows;
use super::run::Run;
use super::state::{State, origins};
use super::step::Step;

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
) -> Result<(), String> {
    let rows = Rows::default();
    let world = World { run, rows: &rows, state: state.clone(), arriving: None };
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
    fn step(&mut self, step: Step) -> Result<(), String> {
        self.steps =
            self.steps.checked_sub(1).ok_or_else(|| String::from("it goes on without end"))?;
        (self.look)(&self.world.state, step);
        self.world.step(step);
        self.world.state.memory.broken.as_ref().map_or(Ok(()), |(_, how)| Err(how.to_string()))
    }

    fn without_time(&mut self) -> Result<(), String> {
        while let Some(step) = urgent(&self.world.state) {
            self.step(step)?;
        }
        Ok(())
    }

    fn time(&mut self) -> Result<(), String> {
        let at = self
            .world
            .state
            .next_moment()
            .ok_or_else(|| String::from("nothing will ever happen"))?;
        self.step(Step::Time(at))?;
        self.without_time()
    }

    /// Goes on until no request waits any more.
    fn settle(&mut self) -> Result<(), String> {
        self.without_time()?;
        while self.world.state.processes.iter().any(|process| !process.requests.is_empty()) {
            self.time()?;
        }
        Ok(())
    }

    /// A new request is answered as it should be.
    fn served(&mut self, p: usize, origin: u8) -> Result<(), String> {
        for _ in 0..ASKS {
            (self.look)(&self.world.state, Step::Request(p, origin));
            self.world.request(p, origin);
            self.settle()?;
            let process = &self.world.state.processes[p];
            let Some(machine) = process.machine.as_ref() else {
                return Err("a process is gone".into());
            };
            let memory = &self.world.state.memory;
            let ended = memory.lost || memory.family.is_none() || memory.restored;
            match machine.view().access(&origins()[usize::from(origin)]) {
                Use::Token { .. } => return Ok(()),
                Use::Login(LoginReason::LoggedOut) if memory.family.is_none() => return Ok(()),
                Use::Login(_) if ended => return Ok(()),
                Use::Login(_) => {
                    return Err("a login is asked for that the server has not ended".into());
                }
                Use::Foreign => return Err("a bound origin is foreign".into()),
                Use::Wait | Use::Blocked { .. } => self.time()?,
            }
        }
        Err("the credential is not served again".into())
    }
}
