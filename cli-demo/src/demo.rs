//! The command `demo`: the whole story on real HTTP, SQLite and processes, checked against the
//! counters of the servers.
//!
//! It needs nothing and leaves nothing: the servers listen on loopback, and the store, its key
//! and its locks lie in a temporary folder. The processes are this program, started again with
//! the hidden command [`WORKER`]; they run [`work`].

mod alone;
mod caller;
mod fleet;
mod killed;
mod naive;
mod processes;
mod row;
mod says;
mod stage;
mod step;
mod table;
mod timeline;
mod trouble;
mod watch;
mod worker;

use std::error::Error;
use std::io::{self, Write as _};
use std::process::ExitCode;

use regrant::StateKind;
use serde_json::json;

pub(crate) use processes::WORKER;
pub(crate) use worker::work;

use fleet::Fleets;
use stage::Stage;
use step::Step;
use timeline::Timeline;
use trouble::Trouble;

/// How the demo is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// One JSON object at the end in the place of the timeline.
    pub(crate) json: bool,
}

/// How many steps there are.
const STEPS: usize = 6;

/// Everything that came of it.
#[derive(Debug, Default)]
struct Report {
    steps: Vec<Step>,
    states: Vec<StateKind>,
    fleets: Option<Fleets>,
}

/// Plays the demo. Succeeds only if each step did what it should.
pub(crate) async fn run(options: Options) -> ExitCode {
    let mut report = Report::default();
    let played = tokio::select! {
        played = Box::pin(play(options, &mut report)) => played,
        // Dropped in the middle of it, the story takes its processes and its folder with it.
        () = interrupted() => Err(Trouble::Interrupted),
    };
    if let Err(trouble) = &played {
        complain(trouble);
    }
    let ok = played.is_ok() && report.steps.len() == STEPS && report.steps.iter().all(Step::ok);
    if options.json && print_json(&report, ok).is_err() {
        return ExitCode::FAILURE;
    }
    if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn play(options: Options, report: &mut Report) -> Result<(), Trouble> {
    let timeline = Timeline::new(options.json);
    let stage = Stage::set_up(timeline)?;
    stage.timeline.opening()?;

    let (step, caller) = Box::pin(alone::login(&stage)).await?;
    report.steps.push(step);
    let (step, states) = Box::pin(alone::server_says_expired(&stage, &caller)).await?;
    report.steps.push(step);
    report.states.push(StateKind::Valid);
    report.states.extend(states);
    caller.close().await?;

    let (step, fleets) = Box::pin(fleet::many_processes(&stage)).await?;
    report.steps.push(step);
    report.fleets = Some(fleets);
    report.steps.push(Box::pin(killed::killed_in_mid_refresh(&stage)).await?);

    let caller = stage.open(alone::short_waits()).await?;
    report.steps.push(Box::pin(alone::outage_is_no_logout(&stage, &caller)).await?);
    report.steps.push(Box::pin(alone::revoked(&stage, &caller)).await?);
    caller.close().await?;
    table::print(&stage.timeline, report)?;
    Ok(())
}

fn print_json(report: &Report, ok: bool) -> io::Result<()> {
    let steps: Vec<_> = report.steps.iter().map(Step::json).collect();
    for step in &report.steps {
        for wrong in &step.wrong {
            writeln!(anstream::stderr(), "regrant: {}: {wrong}", step.name)?;
        }
    }
    writeln!(io::stdout(), "{}", json!({ "steps": steps, "ok": ok }))
}

/// Waits for Ctrl-C, or to be told to end.
async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        if let Ok(mut told) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = told.recv() => {}
            }
            return;
        }
    }
    // An error says that nobody can interrupt it; then the story is short enough.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Says what kept the demo from going on, and why.
fn complain(trouble: &Trouble) {
    let mut text = trouble.to_string();
    let mut source = trouble.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    // Whoever closed standard error does not want to know.
    let _ = writeln!(anstream::stderr(), "regrant: the demo did not come to its end: {text}");
}
