//! `regrant` on the command line: a token keeper for scripts, a sandbox, a demo.
//!
//! Standard output carries the answer alone, standard error everything else; the exit code says
//! who must act. The work is done by the crate `regrant`: a command opens a store, opens a session
//! on it, does one thing, and waits until what it began is saved.

mod advice;
mod api;
mod args;
mod client_options;
mod commands;
mod demo;
mod doctor;
mod error;
mod explain;
mod folders;
mod key;
mod log;
mod output;
mod profile;
mod session;
mod shell;
mod signal;
mod store;
mod time;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::CommandLine;
use crate::commands::Context;
use crate::error::Failure;
use crate::key::Descriptors;
use crate::output::Output;

fn main() -> ExitCode {
    let CommandLine { global, command } = match CommandLine::try_parse() {
        Ok(line) => line,
        Err(error) => return misread(&error),
    };
    let descriptors =
        Descriptors::of([Some(global.key.as_str()), command.other_key()].into_iter().flatten());
    let output = Output::new(global.json);
    log::begin(global.debug, output);
    // Fails only if a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = Failure::other("internal", "the system gives no threads");
            return told(output, &failure.because(&error));
        }
    };
    let context = Context::new(global, descriptors, output);
    let exit = runtime.block_on(Box::pin(commands::run(command, &context)));
    // What must be saved is saved; nothing else is worth waiting for.
    runtime.shutdown_background();
    exit.unwrap_or_else(|failure| told(output, &failure))
}

fn told(output: Output, failure: &Failure) -> ExitCode {
    output.failure(failure);
    failure.exit.into()
}

/// Help, a version, or a command line that cannot be read.
fn misread(error: &clap::Error) -> ExitCode {
    let wants_json = std::env::args_os().any(|argument| argument == "--json");
    if error.use_stderr() && wants_json {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        let what = first.strip_prefix("error: ").unwrap_or(first);
        return told(Output::new(true), &Failure::usage(what));
    }
    // A closed standard error changes nothing about the exit code.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1))
}
