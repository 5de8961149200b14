//! Measures: how long a save, a load, and a cold start take in each of SQLite's journal modes, and
//! how far a save through the store is from the bare statement.
//!
//!     cargo run --release --example journal_modes -- FOLDER [ROUNDS]
//!
//! The folder says which disk is measured. One line for each way and measure, in microseconds:
//! median, 99th percentile. To count the syncs, run one way alone under `strace -fc`:
//!
//!     strace -fc -e trace=fsync,fdatasync ... -- FOLDER ROUNDS WAY MEASURE

use std::path::{Path, PathBuf};
use std::time::Instant;

use regrant_core::Id;
use regrant_storage::{Blob, BlobStore, Entry, Expected, Name, Saved};
use regrant_storage_sqlite::SqliteStore;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode as Mode, SqliteSynchronous as Sync};
use sqlx::{ConnectOptions, Connection, SqliteConnection};

/// About what a sealed record of two JWTs is.
const SEALED: usize = 3_000;

/// The statement of a save, as the store has it.
const UPDATE: &str = "UPDATE credential
    SET incarnation = ?3, generation = ?4, revision = ?5, due_at = ?6, live = ?7, sealed = ?8
    WHERE kind = ?1 AND name = ?2 AND incarnation = ?9 AND revision = ?10";

const LOAD: &str = "SELECT sealed FROM credential WHERE kind = 1 AND name = 'default'";

#[derive(Clone, Copy)]
enum Way {
    Store,
    Bare(Mode, Sync),
}

const WAYS: [(&str, Way); 7] = [
    ("store", Way::Store),
    ("delete-extra", Way::Bare(Mode::Delete, Sync::Extra)),
    ("delete-full", Way::Bare(Mode::Delete, Sync::Full)),
    ("truncate-extra", Way::Bare(Mode::Truncate, Sync::Extra)),
    ("persist-extra", Way::Bare(Mode::Persist, Sync::Extra)),
    ("wal-full", Way::Bare(Mode::Wal, Sync::Full)),
    ("wal-normal", Way::Bare(Mode::Wal, Sync::Normal)),
];

const MEASURES: [&str; 4] = ["save", "load", "cold-load", "cold-save"];

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().expect("FOLDER"));
    let rounds: usize = arguments.next().map_or(1_000, |rounds| rounds.parse().unwrap());
    let (way, measure) = (arguments.next(), arguments.next());
    let is = |asked: &Option<String>, name: &str| asked.as_deref().is_none_or(|a| a == name);
    let ways: Vec<_> = WAYS.into_iter().filter(|(name, _)| is(&way, name)).collect();
    for what in MEASURES.into_iter().filter(|name| is(&measure, name)) {
        let mut taken = vec![Vec::new(); ways.len()];
        // In turns, so that whatever else the disk does falls on all alike.
        const TURNS: usize = 10;
        for _ in 0..TURNS {
            for ((name, way), taken) in ways.iter().zip(&mut taken) {
                let path = folder.join(format!("{name}.db"));
                taken.extend(measured(&path, *way, what, rounds / TURNS).await);
            }
        }
        for ((name, _), taken) in ways.iter().zip(&mut taken) {
            taken.sort_unstable();
            let at = |percent: usize| taken[(taken.len() - 1) * percent / 100];
            println!("{what:10} {name:15} {:>7} {:>7}", at(50), at(99));
        }
    }
}

async fn measured(path: &Path, way: Way, what: &str, rounds: usize) -> Vec<u128> {
    let mut blob = made(path).await;
    let mut held = Held::open(path, way).await;
    held.load().await;
    let mut taken = Vec::new();
    for _ in 0..rounds {
        let expected = (blob.entry.incarnation, blob.entry.revision);
        blob.entry.revision += 1;
        let start = Instant::now();
        match what {
            "save" => held.save(&blob, expected).await,
            "load" => held.load().await,
            "cold-load" | "cold-save" => {
                held.close().await;
                let start = Instant::now();
                held = Held::open(path, way).await;
                held.load().await;
                if what == "cold-save" {
                    held.save(&blob, expected).await;
                }
                held.close().await;
                taken.push(start.elapsed().as_micros());
                held = Held::open(path, way).await;
                continue;
            }
            _ => panic!("one of {MEASURES:?}"),
        }
        taken.push(start.elapsed().as_micros());
    }
    held.close().await;
    taken
}

/// The database with its one record, made if it is not there.
async fn made(path: &Path) -> Blob {
    let store = SqliteStore::open(path).await.unwrap();
    let entry = Entry {
        name: Name::Account("default".into()),
        incarnation: Id([7; 16]),
        generation: 1,
        revision: 1,
        due_at: None,
        live: true,
    };
    let name = entry.name.clone();
    let blob = Blob { entry, sealed: vec![7; SEALED] };
    match store.save(&blob, Expected::Absent).await.unwrap() {
        Saved::Done => blob,
        Saved::Mismatch(_) => store.load(&name).await.unwrap().unwrap(),
    }
}

enum Held {
    Store(SqliteStore),
    Bare(SqliteConnection),
}

impl Held {
    async fn open(path: &Path, way: Way) -> Self {
        match way {
            Way::Store => Self::Store(SqliteStore::open(path).await.unwrap()),
            Way::Bare(mode, sync) => Self::Bare(
                SqliteConnectOptions::new()
                    .filename(path)
                    .journal_mode(mode)
                    .synchronous(sync)
                    .pragma("secure_delete", "ON")
                    .pragma("trusted_schema", "OFF")
                    .pragma("cell_size_check", "ON")
                    .pragma("temp_store", "MEMORY")
                    .pragma("mmap_size", "0")
                    .disable_statement_logging()
                    .connect()
                    .await
                    .unwrap(),
            ),
        }
    }

    async fn load(&mut self) {
        match self {
            Self::Store(store) => {
                store.load(&Name::Account("default".into())).await.unwrap().unwrap();
            }
            Self::Bare(sqlite) => {
                let sealed: Vec<u8> = sqlx::query_scalar(LOAD).fetch_one(sqlite).await.unwrap();
                assert_eq!(sealed.len(), SEALED);
            }
        }
    }

    async fn save(&mut self, blob: &Blob, (incarnation, revision): (Id, u64)) {
        match self {
            Self::Store(store) => {
                let expected = Expected::Revision(incarnation, revision);
                let saved = store.save(blob, expected).await.unwrap();
                assert!(matches!(saved, Saved::Done));
            }
            Self::Bare(sqlite) => {
                let updated = sqlx::query(UPDATE)
                    .bind(1)
                    .bind("default")
                    .bind(&blob.entry.incarnation.0[..])
                    .bind(blob.entry.generation.cast_signed())
                    .bind(blob.entry.revision.cast_signed())
                    .bind(None::<i64>)
                    .bind(true)
                    .bind(&blob.sealed)
                    .bind(&incarnation.0[..])
                    .bind(revision.cast_signed())
                    .execute(sqlite)
                    .await
                    .unwrap();
                assert_eq!(updated.rows_affected(), 1);
            }
        }
    }

    async fn close(self) {
        match self {
            Self::Store(store) => drop(store),
            Self::Bare(sqlite) => sqlite.close().await.unwrap(),
        }
    }
}
