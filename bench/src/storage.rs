//! A save and a load through each backend, beside what the same bytes cost by hand.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;
use regrant_core::{Client, Grant, Id, Login, Record, Secret, Timestamp};
use regrant_storage::{
    Blob, BlobStore, Entry, Expected, Kept, KeyFile, Name, Over, Saved, TokenStore as _, Vault,
};
use regrant_storage_file::FileStore;
use regrant_storage_sqlite::SqliteStore;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tokio::runtime::Runtime;

use crate::rounds::in_turns;
use crate::table::Table;

/// As long as the sealed record of two JSON Web Tokens.
const BYTES: usize = 3_000;

const ACCOUNT: &str = "default";

pub(crate) fn runtime() -> anyhow::Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

fn blob(revision: u64) -> Blob {
    let entry = Entry {
        name: Name::Account(ACCOUNT.into()),
        incarnation: Id([7; 16]),
        generation: 1,
        revision,
        due_at: Some(Timestamp::from_millis(1_700_000_000_000)),
        live: true,
    };
    Blob { entry, sealed: vec![0xa5; BYTES] }
}

/// A record whose tokens are as long as those of most providers.
pub(crate) fn record() -> Record {
    let mut grant = Grant::bearer(Secret::new("a".repeat(1_200)));
    grant.refresh_token = Some(Secret::new("r".repeat(1_200)));
    let login = Login {
        incarnation: Id([7; 16]),
        client: Client::new("https://as.example/token", "client"),
        origins: Vec::new(),
        grant,
        obtained_at: Timestamp::from_millis(1_700_000_000_000),
    };
    Record::login(&login, None)
}

/// One save after another.
struct Saver {
    store: Arc<dyn BlobStore>,
    last: u64,
}

impl Saver {
    fn new(store: Arc<dyn BlobStore>, runtime: &Runtime) -> anyhow::Result<Self> {
        let saved = runtime.block_on(store.save(&blob(1), Expected::Absent))?;
        if let Saved::Mismatch(_) = saved {
            bail!("the store was there before");
        }
        Ok(Self { store, last: 1 })
    }

    fn save(&mut self, runtime: &Runtime) -> anyhow::Result<()> {
        let expected = Expected::Revision(Id([7; 16]), self.last);
        match runtime.block_on(self.store.save(&blob(self.last + 1), expected))? {
            Saved::Done => self.last += 1,
            Saved::Mismatch(_) => bail!("somebody else saves"),
        }
        Ok(())
    }
}

pub(crate) fn saves(table: &mut Table, folder: &Path) -> anyhow::Result<()> {
    let runtime = runtime()?;

    let by_hand = folder.join("by-hand");
    fs::create_dir(&by_hand)?;
    let store = Arc::new(runtime.block_on(FileStore::open(folder.join("files")))?);
    let mut saver = Saver::new(store, &runtime)?;
    // What the store writes, not what it is given: the same number of bytes on both sides.
    let bytes = vec![0xa5; largest(&folder.join("files"))?];
    let (floor, save) = in_turns(|| replace(&by_hand, &bytes), || saver.save(&runtime))?;
    table.timed("write, fsync, rename, fsync of the folder", floor, "a save through files", save);

    let mut by_hand = RawSqlite::open(&folder.join("by-hand.db"), &runtime)?;
    let store = Arc::new(runtime.block_on(SqliteStore::open(folder.join("store.db")))?);
    let mut saver = Saver::new(store, &runtime)?;
    let (floor, save) = in_turns(|| by_hand.update(&runtime), || saver.save(&runtime))?;
    table.timed("sqlx: UPDATE, same pragmas", floor, "a save through SQLite", save);
    Ok(())
}

pub(crate) fn loads(table: &mut Table, folder: &Path) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let name = Name::Account(ACCOUNT.into());

    let path = record_file(&folder.join("files"))?;
    let store = runtime.block_on(FileStore::open(folder.join("files")))?;
    let (floor, load) =
        in_turns(|| done(fs::read(&path)?), || done(runtime.block_on(store.load(&name))?))?;
    table.timed("read the file", floor, "a load through files", load);

    let mut by_hand = RawSqlite::open(&folder.join("by-hand-loads.db"), &runtime)?;
    let store = runtime.block_on(SqliteStore::open(folder.join("store.db")))?;
    let (floor, load) =
        in_turns(|| by_hand.select(&runtime), || done(runtime.block_on(store.load(&name))?))?;
    table.timed("sqlx: SELECT", floor, "a load through SQLite", load);
    Ok(())
}

/// The one file of a credential in a folder of [`FileStore`].
pub(crate) fn record_file(folder: &Path) -> anyhow::Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let is_account = path.file_stem().is_some_and(|stem| stem.len() == 64);
        if is_account && path.extension().is_some_and(|extension| extension == "rgnt") {
            return Ok(path);
        }
    }
    bail!("there is no record in {}", folder.display())
}

fn largest(folder: &Path) -> anyhow::Result<usize> {
    Ok(usize::try_from(fs::metadata(record_file(folder)?)?.len())?)
}

/// The least that replaces a file for good.
fn replace(folder: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let (new, path) = (folder.join("new"), folder.join("record"));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    File::open(folder)?.sync_all()?;
    Ok(())
}

/// SQLite by hand, with one row.
pub(crate) struct RawSqlite {
    connection: sqlx::SqliteConnection,
    revision: i64,
}

impl RawSqlite {
    pub(crate) fn open(path: &Path, runtime: &Runtime) -> anyhow::Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Delete)
            .synchronous(SqliteSynchronous::Extra)
            .pragma("secure_delete", "ON");
        let connection = runtime.block_on(async {
            let mut connection = options.connect().await?;
            sqlx::query("CREATE TABLE record (name TEXT PRIMARY KEY, incarnation BLOB, revision INTEGER, sealed BLOB) STRICT")
                .execute(&mut connection)
                .await?;
            sqlx::query("INSERT INTO record VALUES ('default', x'07', 1, ?)")
                .bind(vec![0xa5_u8; BYTES])
                .execute(&mut connection)
                .await?;
            anyhow::Ok(connection)
        })?;
        Ok(Self { connection, revision: 1 })
    }

    fn update(&mut self, runtime: &Runtime) -> anyhow::Result<()> {
        let update = "UPDATE record SET revision = revision + 1, sealed = ? \
                      WHERE name = 'default' AND incarnation = x'07' AND revision = ?";
        let query = sqlx::query(update).bind(vec![0xa5_u8; BYTES]).bind(self.revision);
        let done = runtime.block_on(query.execute(&mut self.connection))?;
        anyhow::ensure!(done.rows_affected() == 1, "nothing was updated");
        self.revision += 1;
        Ok(())
    }

    pub(crate) fn select(&mut self, runtime: &Runtime) -> anyhow::Result<()> {
        let query = sqlx::query("SELECT incarnation, revision, sealed FROM record WHERE name = ?");
        runtime.block_on(query.bind(ACCOUNT).fetch_one(&mut self.connection))?;
        Ok(())
    }
}

/// A vault over this place, with one record in it.
pub(crate) fn vault(
    blobs: Arc<dyn BlobStore>,
    folder: &Path,
    runtime: &Runtime,
) -> anyhow::Result<Vault> {
    let vault = Vault::new(blobs, Arc::new(KeyFile::new(folder.join("regrant.key"))));
    let saved = runtime.block_on(vault.save(ACCOUNT, &record(), &Over::Absent))?;
    anyhow::ensure!(matches!(saved, Kept::Done(_)), "the store was there before");
    Ok(vault)
}

/// What was measured was for nothing else.
fn done<T>(result: T) -> anyhow::Result<()> {
    drop(std::hint::black_box(result));
    Ok(())
}
