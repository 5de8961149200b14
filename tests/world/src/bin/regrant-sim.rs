//! Runs the simulation.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use regrant_world::sim::generate::{Mode, generate};
use regrant_world::sim::ops::Script;
use regrant_world::sim::report::{Counters, Finding};
use regrant_world::sim::run::{play, play_and_log};
use regrant_world::sim::shrink::shrink;
use regrant_world::sim::years::life;

/// Fleets of processes in virtual time, with faults in everything.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// One mode; all of them in turn if none is named.
    #[arg(long)]
    mode: Option<Mode>,
    /// Plays this file and no seed.
    #[arg(long)]
    replay: Option<PathBuf>,
    /// Lives of a year each, this many, in the place of seeds: the false-login rate.
    #[arg(long)]
    years: Option<u64>,
    /// Prints the script of the first seed and plays nothing.
    #[arg(long)]
    show: bool,
    /// How many threads.
    #[arg(long, default_value_t = 1)]
    threads: u64,
    /// Stops after this many findings.
    #[arg(long, default_value_t = 3)]
    findings: usize,
}

#[expect(clippy::print_stdout, reason = "a developer's tool")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(path) = &arguments.replay {
        let script: Script = match std::fs::read_to_string(path) {
            Ok(text) => match text.parse() {
                Ok(script) => script,
                Err(error) => {
                    println!("{error}");
                    return ExitCode::FAILURE;
                }
            },
            Err(error) => {
                println!("{}: {error}", path.display());
                return ExitCode::FAILURE;
            }
        };
        let lossless = arguments.mode.is_some_and(Mode::is_lossless);
        let played = play_and_log(&script, lossless, true);
        for line in &played.log {
            println!("{line}");
        }
        println!("{}", played.counters);
        return match played.broken {
            Some(broken) => {
                println!("{broken}");
                ExitCode::FAILURE
            }
            None => ExitCode::SUCCESS,
        };
    }
    if arguments.show {
        println!("{}", script(&arguments, arguments.from).0);
        return ExitCode::SUCCESS;
    }
    run_seeds(&arguments)
}

/// The script of this seed, whether nothing may be lost in it, and the name of its mode.
fn script(arguments: &Arguments, seed: u64) -> (Script, bool, String) {
    if arguments.years.is_some() {
        return (life(seed), false, "years".into());
    }
    let turn = usize::try_from(seed).unwrap_or(0) % Mode::ALL.len();
    let mode = arguments.mode.unwrap_or(Mode::ALL[turn]);
    (generate(seed, mode), mode.is_lossless(), mode.to_string())
}

#[expect(clippy::print_stdout, reason = "a developer's tool")]
#[expect(clippy::disallowed_methods, reason = "a developer's tool that says how fast it is")]
fn run_seeds(arguments: &Arguments) -> ExitCode {
    let begun = std::time::Instant::now();
    let next = AtomicU64::new(arguments.from);
    let end = arguments.from + arguments.years.unwrap_or(arguments.seeds);
    let total = Mutex::new((Counters::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(|| {
                let mut counters = Counters::default();
                let mut found: Vec<Finding> = Vec::new();
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end || found.len() >= arguments.findings {
                        break;
                    }
                    let (script, lossless, mode) = script(arguments, seed);
                    let played = play(&script, lossless);
                    counters.add(&played.counters);
                    if let Some(broken) = played.broken {
                        println!("seed {seed}, mode {mode}: {broken}");
                        let (script, shortest) = shrink(&script, lossless);
                        let shortest = shortest.unwrap_or_else(|| broken.clone());
                        found.push(Finding { seed, mode, broken, script, shortest });
                    }
                }
                if let Ok(mut total) = total.lock() {
                    total.0.add(&counters);
                    total.1.append(&mut found);
                }
            });
        }
    });
    let Ok((counters, found)) = total.into_inner() else { return ExitCode::FAILURE };
    for finding in &found {
        println!("\n{finding}");
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{counters}");
    println!("seeds per second            {:.0}", counters.runs as f64 / seconds);
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
