//! `cargo xtask coverage`: how much of the core its own tests and the worlds of machines run.

use std::ffi::OsString;
use std::fs;
use std::io::BufReader;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

use crate::workspace::{Workspace, on_path, succeed};

/// Whose tests are run.
const PACKAGES: [&str; 2] = ["regrant-core", "regrant-world"];

/// What is measured.
const SOURCES: &str = "core/src";

/// The release of LLVM that reads the profiles of this compiler (`rustc --version --verbose`).
const LLVM: &str = "22";

pub(crate) fn run(workspace: &Workspace) -> anyhow::Result<()> {
    let (profdata, cov) = (tool("LLVM_PROFDATA", "llvm-profdata")?, tool("LLVM_COV", "llvm-cov")?);
    let target = workspace.metadata().target_directory.as_std_path().join("coverage");
    let profiles = target.join("profiles");
    // Those of another build would be counted too.
    if profiles.exists() {
        fs::remove_dir_all(&profiles)?;
    }
    fs::create_dir_all(&profiles)?;

    let instrumented = |arguments: &[&str]| {
        let mut cargo = workspace.cargo(arguments);
        for package in PACKAGES {
            cargo.args(["--package", package]);
        }
        // Branches are counted by an option that is not stable yet.
        cargo.env("RUSTC_BOOTSTRAP", "1");
        cargo.env("RUSTFLAGS", "-C instrument-coverage -Z coverage-options=branch");
        cargo.env("CARGO_TARGET_DIR", &target);
        cargo.env("LLVM_PROFILE_FILE", profiles.join("%m-%p.profraw"));
        cargo
    };
    let tests = executables(&mut instrumented(&["test", "--no-run", "--message-format=json"]))?;
    succeed(&mut instrumented(&["test", "--quiet", "--lib", "--bins", "--tests"]))?;

    let merged = target.join("merged.profdata");
    let mut merge = Command::new(profdata);
    merge.args(["merge", "-sparse", "-o"]).arg(&merged);
    for entry in fs::read_dir(&profiles)? {
        merge.arg(entry?.path());
    }
    ensure!(merge.status()?.success(), "the profiles could not be merged");

    let mut report = Command::new(cov);
    report.arg("report").arg("--instr-profile").arg(&merged);
    report.args(["--show-region-summary=false", "--show-branch-summary"]);
    for (at, test) in tests.iter().enumerate() {
        if at > 0 {
            report.arg("--object");
        }
        report.arg(test);
    }
    report.arg(workspace.root().join(SOURCES));
    ensure!(report.status()?.success(), "the profiles could not be read");
    Ok(())
}

/// A program of LLVM: the one that the variable names, or Debian's.
fn tool(variable: &str, name: &str) -> anyhow::Result<OsString> {
    if let Some(named) = std::env::var_os(variable) {
        return Ok(named);
    }
    let debians = format!("{name}-{LLVM}");
    if !on_path(&debians) {
        bail!(
            "{debians} is missing; on Debian: apt-get install llvm-{LLVM}; else name it in {variable}"
        );
    }
    Ok(debians.into())
}

/// Builds the tests and returns where they lie.
fn executables(build: &mut Command) -> anyhow::Result<Vec<String>> {
    let mut build = build.stdout(Stdio::piped()).spawn().context("cargo could not be started")?;
    let printed = build.stdout.take().context("cargo has no output")?;
    let mut found = Vec::new();
    for message in cargo_metadata::Message::parse_stream(BufReader::new(printed)) {
        if let cargo_metadata::Message::CompilerArtifact(artifact) = message?
            && let Some(executable) = artifact.executable
        {
            found.push(executable.into_string());
        }
    }
    ensure!(build.wait()?.success(), "the tests do not compile");
    Ok(found)
}
