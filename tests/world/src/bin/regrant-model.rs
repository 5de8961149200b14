//! Checks the model: `regrant-model --bound large [--run NAME]`.
#![expect(clippy::print_stdout, reason = "its table is its answer")]

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use regrant_world::model::{Bound, Found, RULES, Rows, Run, SMALL, check, large};

/// Checks every schedule of small worlds of real machines.
#[derive(Parser)]
struct Arguments {
    /// How large the worlds are.
    #[arg(long, value_enum, default_value_t = Size::Small)]
    bound: Size,
    /// Only the runs whose name holds this.
    #[arg(long)]
    run: Option<String>,
    /// Stop a run after so many states.
    #[arg(long, default_value_t = 20_000_000)]
    states: usize,
    /// One state of so many is gone on with to the end of its requests.
    #[arg(long, default_value_t = 16)]
    fair_every: u64,
    /// How many threads search.
    #[arg(long, default_value_t = 2)]
    threads: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Size {
    Small,
    Large,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runs = match arguments.bound {
        Size::Small => SMALL.to_vec(),
        Size::Large => large(),
    };
    let wanted =
        |run: &&Run| arguments.run.as_ref().is_none_or(|part| run.name.contains(part.as_str()));
    let bound = Bound {
        fair_every: arguments.fair_every,
        states: arguments.states,
        threads: arguments.threads,
    };
    let rows = Rows::default();
    let mut holds = true;
    println!("{} properties in each run", RULES.len());
    for run in runs.iter().filter(wanted) {
        let (found, took) = timed(|| check(run, bound));
        rows.add(&found.rows);
        print(run, &found, took);
        holds &= found.broken.is_empty();
    }
    let missing = rows.missing();
    println!(
        "rows of the table of edges visited: {} of {}",
        rows.count(),
        regrant_core::edges().len()
    );
    for edge in missing {
        let from = edge.from.map_or("-".into(), |from| from.to_string());
        println!("  not visited: {from} -> {} by {}", edge.to, edge.trigger);
    }
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(run: &Run, found: &Found, took: Duration) {
    let verdict = match (found.broken.is_empty(), found.complete) {
        (true, true) => "all hold",
        (true, false) => "all hold so far, states left",
        (false, _) => "BROKEN",
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
        found.rows.count(),
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
