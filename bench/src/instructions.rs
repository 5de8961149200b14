//! Instructions of single steps, counted by callgrind: they do not depend on the machine's mood.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use regrant_storage::{BlobStore as _, Name, TokenStore as _};
use regrant_storage_file::FileStore;

use crate::storage::{in_memory, record_file, runtime, vault};
use crate::table::Table;

/// How often a step is done more in the second count than in the first.
const MORE: u64 = 200;

const READ: &str = "read";
const FILE: &str = "file";
const MEMORY: &str = "memory";
const OPENED: &str = "opened";
const SEALED_FILE: &str = "sealed-file";

/// Counts what a load costs: the file by hand, the backend, opening the seal, and all together.
pub(crate) fn count(table: &mut Table) -> anyhow::Result<()> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("left out: instructions, which valgrind counts");
        return Ok(());
    }
    let read = of(READ)?;
    let file = of(FILE)?;
    let seal = of(OPENED)?.saturating_sub(of(MEMORY)?);
    let sealed = of(SEALED_FILE)?;
    table.counted("read the file", read, None);
    table.counted("a load through files, sealed part as it lies", file, Some(read));
    table.counted("opening the seal and reading the record", seal, None);
    table.counted("a load through files, opened (beside the two)", sealed, Some(read + seal));
    Ok(())
}

/// What one step costs, without what the process costs: two runs, and the difference.
fn of(step: &str) -> anyhow::Result<u64> {
    let (few, many) = (total(step, 10)?, total(step, 10 + MORE)?);
    Ok(many.saturating_sub(few) / MORE)
}

fn total(step: &str, times: u64) -> anyhow::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["--step", step, &times.to_string()])
        .output()
        .context("valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : "));
    match collected {
        Some((_, count)) => Ok(count.trim().parse()?),
        None => bail!("valgrind counted nothing: {said}"),
    }
}

/// What callgrind runs.
pub(crate) fn run(step: &str, times: u64, folder: &Path) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let files = folder.join("files");
    let name = Name::Account("default".into());
    match step {
        READ | FILE | SEALED_FILE => {
            let store = Arc::new(runtime.block_on(FileStore::open(&files))?);
            let vault = vault(store.clone(), folder, &runtime)?;
            let path = record_file(&files)?;
            for _ in 0..times {
                match step {
                    READ => drop(std::fs::read(&path)?),
                    FILE => drop(runtime.block_on(store.load(&name))?),
                    _ => drop(runtime.block_on(vault.load("default"))?),
                }
            }
        }
        MEMORY | OPENED => {
            let store = in_memory();
            let vault = vault(store.clone(), folder, &runtime)?;
            for _ in 0..times {
                if step == MEMORY {
                    drop(runtime.block_on(store.load(&name))?);
                } else {
                    drop(runtime.block_on(vault.load("default"))?);
                }
            }
        }
        other => bail!("there is no step {other}"),
    }
    Ok(())
}
