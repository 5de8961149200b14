//! The checks and chores of the workspace: `cargo xtask <command>`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool talks on the terminal"
)]

mod ci;
mod coverage;
mod diagram;
mod fuzz;
mod laws;
mod proofs;
mod run_tests;
mod scenarios;
mod teeth;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// The checks and chores of the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Find the programs the tests drive, run every test, say what was left out.
    Test {
        /// Fail if a program is missing, instead of leaving its tests out.
        #[arg(long)]
        require_all: bool,
    },
    /// Everything a change must pass, one stage after the other.
    Ci,
    /// How much of the core its own tests and the worlds of machines run.
    Coverage,
    /// Draw the state diagram from the core's table of edges.
    Diagram {
        /// Write nothing; fail if a drawn file is not what the table says.
        #[arg(long)]
        check: bool,
    },
    /// Every law of storage on every backend, as a table.
    Laws,
    /// Check the machine on every schedule of small worlds: `cargo xtask model --bound large`.
    Model {
        /// What the checker is told.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Simulate fleets of processes: `cargo xtask sim --seeds N --from S`.
    Sim {
        /// What the simulation is told.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Every failure and every schedule of the documentation, with the tests that bear its name.
    Scenarios,
    /// Fuzz every parser and the machine.
    Fuzz {
        /// Runs of each target, its corpus included.
        #[arg(long, default_value_t = fuzz::SMOKE)]
        runs: u64,
        /// Only the targets with this in their name.
        #[arg(long)]
        target: Option<String>,
        /// Add to the committed corpora what reaches new code.
        #[arg(long)]
        keep: bool,
    },
    /// Break the code on purpose, bug by bug: every proof that a bug names must go red.
    Teeth {
        /// Only the bugs with this in their name.
        #[arg(long)]
        only: Option<String>,
        /// Run nothing; see that each bug can still be put into the code.
        #[arg(long)]
        check: bool,
    },
    /// The house rules that a program can check.
    Tidy,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        // The reason, without a backtrace into this tool.
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match task {
        Task::Test { require_all } => run_tests::run(&workspace, *require_all),
        Task::Ci => ci::run(&workspace),
        Task::Coverage => coverage::run(&workspace),
        Task::Diagram { check } => diagram::run(&workspace, *check),
        Task::Laws => laws::run(&workspace),
        Task::Model { arguments } => proofs::run(&workspace, "regrant-model", arguments),
        Task::Sim { arguments } => proofs::run(&workspace, "regrant-sim", arguments),
        Task::Fuzz { runs, target, keep } => fuzz::run(
            &workspace,
            &fuzz::Options { runs: *runs, target: target.clone(), keep: *keep },
        ),
        Task::Scenarios => scenarios::run(&workspace),
        Task::Teeth { only, check } => teeth::run(&workspace, only.as_deref(), *check),
        Task::Tidy => tidy::run(&workspace),
    }
}
