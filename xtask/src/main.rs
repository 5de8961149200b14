//! The checks and chores of the workspace: `cargo xtask <command>`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool talks on the terminal"
)]

mod ci;
mod diagram;
mod laws;
mod run_tests;
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
    /// Draw the state diagram from the core's table of edges.
    Diagram {
        /// Write nothing; fail if a drawn file is not what the table says.
        #[arg(long)]
        check: bool,
    },
    /// Every law of storage on every backend, as a table.
    Laws,
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
    match *task {
        Task::Test { require_all } => run_tests::run(&workspace, require_all),
        Task::Ci => ci::run(&workspace),
        Task::Diagram { check } => diagram::run(&workspace, check),
        Task::Laws => laws::run(&workspace),
        Task::Tidy => tidy::run(&workspace),
    }
}
