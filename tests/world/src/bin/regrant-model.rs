//! Checks the model: `regrant-model --bound large [--run NAME]`.
#![expect(clippy::print_stdout, reason = "its table is its answer")]

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use regrant_world::model::{Bound, Found, RULES, Run, SMALL, Visited, check, large, table};

/// Checks every schedule of small worlds of real machines.
#[derive(Parser)]
struct Arguments {
    /// How large the worlds are.
    #[arg(long, value_enum, default_value_t = Size::Small)]
    bound: Size,
    /// Only the runs whose name holds this.
    #[arg(long)]
    run: Option<String>,
    /// Cut a run after so many states, the same ones again included [default: as the bound says].
    #[arg(long)]
    states: Option<usize>,
    /// One state of so many is gone on with to the end of its requests [default: as the bound
    /// says].
    #[arg(long)]
    fair_every: Option<u64>,
    /// How many threads search [default: as the bound says].
    #[arg(long)]
    threads: Option<usize>,
    /// Print the table of the runs, in Markdown, and search nothing.
    #[arg(long)]
    table: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Size {
    Small,
    Large,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.table {
        print!("{}", table());
        return ExitCode::SUCCESS;
    }
    let (runs, bound) = match arguments.bound {
        Size::Small => (SMALL.to_vec(), Bound::SMALL),
        Size::Large => (large(), Bound::LARGE),
    };
    let wanted =
        |run: &&Run| arguments.run.as_ref().is_none_or(|part| run.name.contains(part.as_str()));
    let bound = Bound {
        fair_every: arguments.fair_every.unwrap_or(bound.fair_every),
        states: arguments.states.unwrap_or(bound.states),
        threads: arguments.threads.unwrap_or(bound.threads),
    };
    let visited = Visited::default();
    let mut sums = Sums::default();
    println!("{} properties in each run", RULES.len());
    for run in runs.iter().filter(wanted) {
        let (found, took) = timed(|| check(run, bound));
        visited.add(&found.visited);
        print(run, &found, took);
        sums.add(&found, took);
    }
    sums.print();
    println!(
        "rows of the table of edges visited: {} of {}",
        visited.rows(),
        regrant_core::edges().len()
    );
    for edge in visited.missing_rows() {
        let from = edge.from.map_or("-".into(), |from| from.to_string());
        println!("  not visited: {from} -> {} by {}", edge.to, edge.trigger);
    }
    for schedule in visited.missing_schedules() {
        println!("  not come upon: {}", schedule.as_str());
    }
    if sums.broken == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// What the runs came to, together.
#[derive(Default)]
struct Sums {
    unique: usize,
    made: usize,
    took: Duration,
    complete: usize,
    cut: usize,
    broken: usize,
}

impl Sums {
    fn add(&mut self, found: &Found, took: Duration) {
        self.unique += found.unique;
        self.made += found.made;
        self.took += took;
        match (found.broken.is_empty(), found.complete) {
            (true, true) => self.complete += 1,
            (true, false) => self.cut += 1,
            (false, _) => self.broken += 1,
        }
    }

    fn print(&self) {
        let Self { unique, made, took, complete, cut, broken } = self;
        println!(
            "{unique} unique states, {made} made, in {:.0} s; of the runs {complete} are complete, \
             {cut} were cut, and in {broken} a rule was broken",
            took.as_secs_f64()
        );
    }
}

fn print(run: &Run, found: &Found, took: Duration) {
    let verdict = match (found.broken.is_empty(), found.complete) {
        (true, true) => "complete, all hold".into(),
        (true, false) => format!("CUT at {} states, all hold so far", found.made),
        (false, _) => "BROKEN".into(),
    };
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = found.made as f64 / took.as_secs_f64().max(0.001);
    println!(
        "{}: {verdict}\n    {:?}, {:?}, {:?}, {} processes; {}\n    {} unique states, depth {}, \
         {:.1} s, {rate:.0} states a second, {} rows",
        run.name,
        run.kind,
        run.rotation,
        run.exclusion,
        run.processes,
        run.chances.describe(),
        found.unique,
        found.depth,
        took.as_secs_f64(),
        found.visited.rows(),
    );
    for (rule, _) in &found.broken {
        println!("    broken: {rule}");
    }
    for (_, path) in &found.broken {
        for line in path {
            println!("    {line}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a developer's tool times itself")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = std::time::Instant::now();
    let result = work();
    (result, start.elapsed())
}
