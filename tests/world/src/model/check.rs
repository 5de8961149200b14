//! Runs, checked.

use std::sync::Arc;

use stateright::{Checker, HasDiscoveries, Model, Property};

use super::apply::World;
use super::fair;
use super::rules::RULES;
use super::run::Run;
use super::state::State;
use super::step::Step;
use super::visited::Visited;

/// How far a run is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// One state of so many is gone on with to the end of all its requests, without further
    /// faults.
    pub fair_every: u64,
    /// No more states than these are looked at.
    pub states: usize,
    /// How many threads search.
    pub threads: usize,
}

impl Bound {
    /// Of the runs within a test: all come to their end well before so many states. One state of
    /// eight goes on to the end of its requests; of a run of some thousand states, that is enough
    /// to see each kind of them.
    pub const SMALL: Self = Self { fair_every: 8, states: 1_000_000, threads: 2 };

    /// Of the larger runs: so many states that all but the largest come to their end.
    pub const LARGE: Self = Self { fair_every: 64, states: 1_000_000, threads: 1 };
}

/// What a search has shown.
#[derive(Debug)]
pub struct Found {
    /// States that differ.
    pub unique: usize,
    /// States that were made, the same ones again included.
    pub made: usize,
    /// The longest path.
    pub depth: usize,
    /// Whether every state was looked at.
    pub complete: bool,
    /// The rules that were broken, each with the shortest path that was found to it.
    pub broken: Vec<(&'static str, Vec<String>)>,
    /// What was come upon.
    pub visited: Visited,
}

/// A run as the checker sees it.
struct Checked {
    run: Run,
    visited: Arc<Visited>,
    fair_every: u64,
}

impl Model for Checked {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![World::new(&self.run, &self.visited).into_state()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Step>) {
        state.steps(&self.run, actions);
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut world =
            World { run: &self.run, visited: &self.visited, state: last.clone(), arriving: None };
        world.step(step);
        Some(world.into_state())
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let conditions: [fn(&Self, &State) -> bool; 12] = [
            holds::<0>,
            holds::<1>,
            holds::<2>,
            holds::<3>,
            holds::<4>,
            holds::<5>,
            holds::<6>,
            holds::<7>,
            holds::<8>,
            holds::<9>,
            ends_well,
            holds::<11>,
        ];
        RULES.iter().zip(conditions).map(|(name, holds)| Property::always(name, holds)).collect()
    }
}

fn holds<const RULE: usize>(_: &Checked, state: &State) -> bool {
    state.memory.broken.as_ref().is_none_or(|(rule, _)| *rule != RULE)
}

fn ends_well(checked: &Checked, state: &State) -> bool {
    state.memory.broken.is_some()
        || !state.form.is_multiple_of(checked.fair_every)
        || fair::ends_well(&checked.run, state, &mut |_, _| ()).is_ok()
}

/// Searches a run, the shortest paths first.
pub fn check(run: &Run, bound: Bound) -> Found {
    let visited = Arc::new(Visited::default());
    let checked =
        Checked { run: run.clone(), visited: Arc::clone(&visited), fair_every: bound.fair_every };
    let checker = checked
        .checker()
        .threads(bound.threads)
        .target_state_count(bound.states)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let unique = checker.unique_state_count();
    let broken = checker.discoveries().into_iter().map(|(mut name, path)| {
        let steps = path.into_vec();
        let mut lines: Vec<String> =
            steps.iter().map(|(state, step)| line(state, step.as_ref())).collect();
        if let Some((state, _)) = steps.last() {
            let broken = state.memory.broken.clone().or_else(|| {
                lines.push("from here on nothing goes wrong any more:".into());
                let mut look = |state: &State, step| lines.push(line(state, Some(&step)));
                fair::ends_well(run, state, &mut look).err()
            });
            // What comes to light on the way to the end is broken by its own name.
            if let Some((rule, how)) = broken {
                name = RULES[rule];
                lines.push(format!("=> {name}: {how}"));
            }
        }
        (name, lines)
    });
    let broken = broken.collect();
    let found = Visited::default();
    found.add(&visited);
    Found {
        unique,
        made: checker.state_count(),
        depth: checker.max_depth(),
        complete: checker.state_count() < bound.states,
        broken,
        visited: found,
    }
}

/// A state, and the step that follows.
fn line(state: &State, step: Option<&Step>) -> String {
    let stored = state.stored.as_ref().map_or("nothing".into(), |record| {
        let intent = record.attempt.as_ref().map_or("", |intent| {
            if intent.raised { " with a raised intent" } else { " with an intent" }
        });
        format!("g{} {}{intent}, {:?}", record.generation, record.state(), record.refresh)
    });
    let processes: Vec<String> = state
        .processes
        .iter()
        .map(|process| match &process.machine {
            None => "dead".into(),
            Some(machine) => {
                let state = machine.state().map_or("new".into(), |state| state.to_string());
                let ops: Vec<String> = process.ops.iter().map(|op| op.what.name().into()).collect();
                format!("{state} {ops:?}")
            }
        })
        .collect();
    let wire: Vec<String> = state
        .wire
        .iter()
        .map(|m| format!("P{} r{} {:?}", m.sender, m.ask.token, m.reply))
        .collect();
    let at = state.now.as_millis() / 1_000 % 1_000_000;
    let next = step.map_or_else(String::new, |step| format!("\n    {step}"));
    format!("[{at}] store: {stored}; {}; wire: {wire:?}{next}", processes.join("; "))
}
