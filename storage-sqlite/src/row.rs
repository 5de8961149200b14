//! The tables, and the statements on them.
//!
//! Numbers of 64 bits without a sign are kept as the same bits with one: SQLite has no others,
//! and the seal binds every bit. No statement orders by them.

use regrant_core::{Id, Timestamp};
use regrant_storage::{Blob, Entry, Expected, Name, Saved};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Connection, Row, Sqlite, SqliteConnection};

use crate::fault;

/// Makes the tables of an empty database.
///
/// `set_aside` has the copies of what could not be read, in whatever state it was. A logout takes
/// the copies of its account along, but for the copy of what it writes over itself.
///
/// Records are longer than a twentieth of a page, so the tables have row numbers. There is no
/// index but the key's: a second one would be a further page to write with every save, and
/// nobody asks by anything else.
const TABLES: &str = "
    BEGIN;
    CREATE TABLE credential (
        kind        INTEGER NOT NULL CHECK (kind IN (0, 1)),
        name        TEXT    NOT NULL,
        incarnation BLOB    NOT NULL CHECK (length(incarnation) = 16),
        generation  INTEGER NOT NULL,
        revision    INTEGER NOT NULL,
        due_at      INTEGER,
        live        INTEGER NOT NULL CHECK (live IN (0, 1)),
        sealed      BLOB    NOT NULL,
        PRIMARY KEY (kind, name)
    ) STRICT;
    CREATE TABLE set_aside (
        number      INTEGER PRIMARY KEY,
        kind        ANY,
        name        ANY,
        incarnation ANY,
        generation  ANY,
        revision    ANY,
        due_at      ANY,
        live        ANY,
        sealed      ANY
    ) STRICT;
    CREATE TRIGGER logout AFTER UPDATE ON credential WHEN NEW.live = 0 BEGIN
        DELETE FROM set_aside WHERE kind = NEW.kind AND name = NEW.name
            AND (incarnation, revision) IS NOT (OLD.incarnation, OLD.revision);
    END;
    PRAGMA application_id = 0x52474E54;
    PRAGMA user_version = 1;
    COMMIT;
";

const LOAD: &str = "SELECT kind, name, incarnation, generation, revision, due_at, live, sealed
    FROM credential WHERE kind = ?1 AND name = ?2";

const LIST: &str = "SELECT kind, name, incarnation, generation, revision, due_at, live
    FROM credential WHERE kind = 1 ORDER BY name";

const NEXT: &str = "SELECT kind, name FROM credential INDEXED BY sqlite_autoindex_credential_1
    WHERE (kind, name) > (?1, ?2) ORDER BY kind, name LIMIT 1";

const INSERT: &str = "INSERT INTO credential
    (kind, name, incarnation, generation, revision, due_at, live, sealed)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING";

const UPDATE: &str = "UPDATE credential
    SET incarnation = ?3, generation = ?4, revision = ?5, due_at = ?6, live = ?7, sealed = ?8
    WHERE kind = ?1 AND name = ?2 AND incarnation = ?9 AND revision = ?10";

const SET_ASIDE: &str = "INSERT INTO set_aside
    (kind, name, incarnation, generation, revision, due_at, live, sealed)
    SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8 EXCEPT
    SELECT kind, name, incarnation, generation, revision, due_at, live, sealed FROM set_aside";

const COPY: &str = "INSERT INTO set_aside
    (kind, name, incarnation, generation, revision, due_at, live, sealed)
    SELECT kind, name, incarnation, generation, revision, due_at, live, sealed
    FROM credential WHERE kind = ?1 AND name = ?2";

const DELETE: &str = "DELETE FROM credential WHERE kind = ?1 AND name = ?2";

pub(crate) async fn make_tables(sqlite: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(TABLES).execute(sqlite).await.map(drop)
}

pub(crate) async fn load(
    sqlite: &mut SqliteConnection,
    name: &Name,
) -> Result<Option<Blob>, sqlx::Error> {
    let (kind, name) = key(name);
    let row = sqlx::query(LOAD).bind(kind).bind(name).fetch_optional(sqlite).await?;
    row.map(|row| Ok(Blob { entry: entry(&row)?, sealed: row.try_get("sealed")? })).transpose()
}

pub(crate) async fn list(sqlite: &mut SqliteConnection) -> Result<Vec<Entry>, sqlx::Error> {
    sqlx::query(LIST).fetch_all(sqlite).await?.iter().map(entry).collect()
}

/// Whether any account has a credential to use.
pub(crate) async fn is_anybody_live(sqlite: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let live = "SELECT EXISTS (SELECT 1 FROM credential WHERE kind = 1 AND live = 1)";
    sqlx::query_scalar(live).fetch_one(sqlite).await
}

/// One statement compares and writes, and the number of rows it changed is the answer. There is
/// no transaction that reads first and writes later: SQLite refuses that one at once, without any
/// patience, if somebody else wrote in between.
pub(crate) async fn save(
    sqlite: &mut SqliteConnection,
    blob: &Blob,
    expected: Expected,
) -> Result<Saved, sqlx::Error> {
    let statement = match expected {
        Expected::Absent => filled(INSERT, blob),
        Expected::Revision(incarnation, revision) => {
            filled(UPDATE, blob).bind(incarnation.0.to_vec()).bind(revision.cast_signed())
        }
    };
    if statement.execute(&mut *sqlite).await?.rows_affected() == 0 {
        return Ok(Saved::Mismatch(load(sqlite, &blob.entry.name).await?));
    }
    Ok(Saved::Done)
}

/// Writes the database anew, with nothing in it but its rows.
///
/// What is deleted is overwritten at once. But a save that was killed may have filled pages that
/// were free before, and those are in no journal: they keep what the save wrote, out of reach of
/// whatever deletes it later.
pub(crate) async fn write_anew(sqlite: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("VACUUM").execute(sqlite).await.map(drop)
}

/// Keeps a copy of a row that no key opens. The same one again adds nothing.
pub(crate) async fn set_aside(
    sqlite: &mut SqliteConnection,
    blob: &Blob,
) -> Result<(), sqlx::Error> {
    filled(SET_ASIDE, blob).execute(sqlite).await.map(drop)
}

/// Writes over a row that is not of our form, and keeps a copy. The transaction has the right to
/// write from its beginning.
pub(crate) async fn replace(
    sqlite: &mut SqliteConnection,
    blob: &Blob,
) -> Result<Saved, sqlx::Error> {
    let mut transaction = sqlite.begin_with("BEGIN IMMEDIATE").await?;
    match load(&mut transaction, &blob.entry.name).await {
        Err(error) if fault::is_form(&error) => {}
        found => return found.map(Saved::Mismatch),
    }
    let (kind, name) = key(&blob.entry.name);
    for statement in [COPY, DELETE] {
        sqlx::query(statement).bind(kind).bind(name).execute(&mut *transaction).await?;
    }
    filled(INSERT, blob).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(Saved::Done)
}

/// All rows of a damaged database that [`load`] finds. From the first damaged page of the index
/// on, nothing is found.
pub(crate) async fn salvage(sqlite: &mut SqliteConnection) -> Vec<Blob> {
    let mut found = Vec::new();
    let mut last = (-1, String::new());
    loop {
        let next = sqlx::query_as(NEXT).bind(last.0).bind(last.1.clone());
        match next.fetch_optional(&mut *sqlite).await {
            // An index that is damaged could lead in a circle.
            Ok(Some(next)) if next > last => last = next,
            _ => return found,
        }
        let name = if last.0 == 0 { Name::DataKey } else { Name::Account(last.1.clone()) };
        if let Ok(Some(blob)) = load(sqlite, &name).await {
            found.push(blob);
        }
    }
}

/// The statement with the columns of this row bound, in their order.
fn filled(statement: &'static str, blob: &Blob) -> Query<'static, Sqlite, SqliteArguments> {
    let Blob { entry, sealed } = blob;
    let (kind, name) = key(&entry.name);
    sqlx::query(statement)
        .bind(kind)
        .bind(name.to_owned())
        .bind(entry.incarnation.0.to_vec())
        .bind(entry.generation.cast_signed())
        .bind(entry.revision.cast_signed())
        .bind(entry.due_at.map(|at| at.as_millis().cast_signed()))
        .bind(entry.live)
        .bind(sealed.clone())
}

fn key(name: &Name) -> (i64, &str) {
    match name {
        Name::DataKey => (0, ""),
        Name::Account(name) => (1, name),
    }
}

fn entry(row: &SqliteRow) -> Result<Entry, sqlx::Error> {
    let name = match row.try_get("kind")? {
        0i64 => Name::DataKey,
        1 => Name::Account(row.try_get("name")?),
        _ => return Err(not_ours()),
    };
    let incarnation: &[u8] = row.try_get("incarnation")?;
    let number = |column| row.try_get(column).map(i64::cast_unsigned);
    let due_at: Option<i64> = row.try_get("due_at")?;
    Ok(Entry {
        name,
        incarnation: Id(incarnation.try_into().map_err(|_| not_ours())?),
        generation: number("generation")?,
        revision: number("revision")?,
        due_at: due_at.map(|at| Timestamp::from_millis(at.cast_unsigned())),
        live: row.try_get("live")?,
    })
}

fn not_ours() -> sqlx::Error {
    sqlx::Error::Decode("not a row of this crate".into())
}
