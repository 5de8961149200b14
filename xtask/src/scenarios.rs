//! `cargo xtask scenarios`: every failure and every schedule that the documentation lists, with
//! the tests that bear its name, and what became of them.

mod listed;
mod named;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZero;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, bail};

use self::listed::Listed;
use self::named::{Binary, Test};
use self::table::{Outcome, Table};
use crate::workspace::Workspace;

/// What the list is read from: it is the users' documentation, so it cannot say more than is so.
const DOCUMENT: &str = "docs/scenarios.md";

/// Runs the tests, prints the table, and fails if a row has no test, or one that did not pass.
///
/// A test that says it was left out, for want of a program that is not ours, is listed as that and
/// fails nothing: where every part is required, such a test fails by itself.
pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let document = workspace.root().join(DOCUMENT);
    let text = fs::read_to_string(&document).context(DOCUMENT)?;
    let listed = Listed::read(&text).context(DOCUMENT)?;
    let declared = named::declared(workspace, &listed)?;
    let binaries = named::built(workspace)?;
    let mut tests = Vec::new();
    for binary in &binaries {
        tests.extend(binary.tests(&listed)?.into_iter().map(|test| (binary, test)));
    }

    let mut table = Table::new(&listed);
    for (test, outcome) in run_all(&tests)? {
        table.add(&test, outcome);
    }
    // What stands in the source and is in no binary was compiled away.
    let built: BTreeSet<_> =
        tests.iter().map(|(_, test)| (test.package.clone(), test.function().to_owned())).collect();
    for test in declared {
        if !built.contains(&(test.package.clone(), test.function().to_owned())) {
            table.add(&test, Outcome::NotRun);
        }
    }
    println!("\n{}", table.text());
    let wrong = table.wrong();
    if !wrong.is_empty() {
        bail!("the list and the tests do not agree:\n{}", wrong.join("\n"));
    }
    Ok(())
}

/// Each test in a process of its own, so that what it says is known to be its; as many at a time
/// as the machine has processors.
fn run_all(tests: &[(&Binary, Test)]) -> anyhow::Result<Vec<(Test, Outcome)>> {
    let (left, done) = (Mutex::new(tests.iter()), Mutex::new(Vec::new()));
    let work = || -> anyhow::Result<()> {
        loop {
            let next = left.lock().map_or(None, |mut left| left.next());
            let Some((binary, test)) = next else { return Ok(()) };
            let (outcome, said) = run_one(binary, test)?;
            println!("{:<9} {test}", outcome.word());
            if outcome == Outcome::Failed {
                println!("{said}");
            }
            if let Ok(mut done) = done.lock() {
                done.push((test.clone(), outcome));
            }
        }
    };
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    done.into_inner().ok().context("a thread has failed")
}

fn run_one(binary: &Binary, test: &Test) -> anyhow::Result<(Outcome, String)> {
    let mut command = Command::new(&binary.executable);
    // As cargo runs it, but that nothing it says is swallowed.
    command.args(["--exact", &test.path, "--nocapture"]).current_dir(&binary.folder);
    command.env("CARGO_MANIFEST_DIR", &binary.folder);
    let output = command.output().with_context(|| format!("{test} could not be started"))?;
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Ok((Outcome::read(output.status.success(), &out, &err), format!("{out}{err}")))
}
