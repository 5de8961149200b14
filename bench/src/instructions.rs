//! Instructions of single steps, counted by callgrind: they do not depend on the machine's mood.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use regrant_storage::{BlobStore, MemoryBlobStore, Name, TokenStore as _};
use regrant_storage_file::FileStore;
use regrant_storage_sqlite::SqliteStore;

use crate::storage::{RawSqlite, record_file, runtime, vault};
use crate::table::Table;

/// How often a step is done more in the second count than in the first.
const MORE: u64 = 200;

/// The parts of a load: the file or the row by hand, the backend, the memory store, and each of
/// the two with a seal to open.
const READ: &str = "read";
const FILE: &str = "file";
const SEALED_FILE: &str = "sealed-file";
const SELECT: &str = "select";
const SQLITE: &str = "sqlite";
const SEALED_SQLITE: &str = "sealed-sqlite";
const MEMORY: &str = "memory";
const SEALED_MEMORY: &str = "sealed-memory";

/// Counts what loads cost. The machine that callgrind imitates has no instructions for SHA-256,
/// so checksums and seals count for more than they take.
pub(crate) fn count(table: &mut Table) -> anyhow::Result<()> {
    if Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("left out: instructions, which valgrind counts");
        return Ok(());
    }
    let seal = of(SEALED_MEMORY)?.saturating_sub(of(MEMORY)?);
    table.counted("opening the seal and reading the record", seal, None);
    for (by_hand, name, backend, sealed) in [
        ("read the file", "files", FILE, SEALED_FILE),
        ("sqlx: SELECT", "SQLite", SQLITE, SEALED_SQLITE),
    ] {
        let step = if backend == FILE { READ } else { SELECT };
        let floor = of(step)?;
        let loaded = of(backend)?;
        table.counted(by_hand, floor, None);
        table.counted(&format!("a load through {name}, as it lies"), loaded, Some(floor));
        let name = format!("a load through {name}, opened (beside that and the seal)");
        table.counted(&name, of(sealed)?, Some(loaded + seal));
    }
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
    let name = Name::Account("default".into());
    let files = folder.join("files");
    let mut by_hand = RawSqlite::open(&folder.join("by-hand.db"), &runtime)?;
    let blobs: Arc<dyn BlobStore> = match step {
        READ | FILE | SEALED_FILE => Arc::new(runtime.block_on(FileStore::open(&files))?),
        SELECT | SQLITE | SEALED_SQLITE => {
            Arc::new(runtime.block_on(SqliteStore::open(folder.join("store.db")))?)
        }
        MEMORY | SEALED_MEMORY => Arc::new(MemoryBlobStore::new()),
        other => bail!("there is no step {other}"),
    };
    let vault = vault(Arc::clone(&blobs), folder, &runtime)?;
    let path = if step == READ { record_file(&files)? } else { files };
    for _ in 0..times {
        match step {
            READ => drop(std::fs::read(&path)?),
            SELECT => by_hand.select(&runtime)?,
            FILE | SQLITE | MEMORY => drop(runtime.block_on(blobs.load(&name))?),
            _ => drop(runtime.block_on(vault.load("default"))?),
        }
    }
    Ok(())
}
