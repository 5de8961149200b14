//! Damage is told from absence, stays as it is, and gives way to a login, after a copy.

use std::fs;
use std::path::{Path, PathBuf};

use regrant_core::StoreFault;
use regrant_storage::{BlobStore, Expected, Name, SaveOutcome};
use sqlx::Row;

use crate::support::*;

const EMPTY: &str = "the file is empty where a database should be";
const SHORT: &str = "the file is too short to be a database";
const NO_DATABASE: &str = "the file is not a database";
const FOREIGN: &str = "the file is a database, but not one of credentials";
const OTHER_TABLES: &str = "the database does not have the tables it should have";
const DAMAGED: &str = "the database is damaged";

/// Ways to damage a database, each with the bytes that lie there afterwards, and with what is said
/// of them.
async fn damages(folder: &Path) -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let path = folder.join("whole.db");
    with_one(&path, &[1; 20_000]).await;
    let whole = fs::read(&path).unwrap();
    let mut header = whole.clone();
    header[..16].copy_from_slice(b"not a database!!");
    let mut page = whole.clone();
    page[4096..8192].fill(0xa5);
    let foreign = |statements: &'static str| async move {
        let path = folder.join("foreign.db");
        let mut other = raw(&path).await;
        run(&mut other, statements).await;
        sqlx::Connection::close(other).await.unwrap();
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        bytes
    };
    vec![
        ("empty", Vec::new(), EMPTY),
        ("one byte", vec![0], SHORT),
        ("long text", b"{\"access_token\":\"...\"}".repeat(100), NO_DATABASE),
        ("text", b"{\"access_token\":\"...\"}".to_vec(), SHORT),
        ("nothing but zeros", vec![0; whole.len()], NO_DATABASE),
        ("header", header, NO_DATABASE),
        ("half", whole[..whole.len() / 2].to_vec(), DAMAGED),
        ("half a page", whole[..2000].to_vec(), DAMAGED),
        ("half a header", whole[..80].to_vec(), SHORT),
        ("first page only", whole[..4096].to_vec(), DAMAGED),
        ("a page", page, DAMAGED),
        ("foreign", foreign("CREATE TABLE credential (name TEXT)").await, FOREIGN),
        (
            "foreign, with a log",
            foreign("PRAGMA journal_mode = WAL; CREATE TABLE a (b)").await,
            FOREIGN,
        ),
        (
            "no tables",
            foreign("PRAGMA application_id = 0x52474E54; PRAGMA user_version = 1").await,
            OTHER_TABLES,
        ),
        (
            "no format",
            foreign("PRAGMA application_id = 0x52474E54; CREATE TABLE a (b)").await,
            DAMAGED,
        ),
        (
            "other tables",
            foreign(
                "CREATE TABLE credential (name TEXT);
                PRAGMA application_id = 0x52474E54; PRAGMA user_version = 1",
            )
            .await,
            OTHER_TABLES,
        ),
    ]
}

/// Damage is never absent, and stays as it is.
#[tokio::test]
async fn cp_03_corrupt_is_not_absent() {
    let folder = folder();
    for (damage, bytes, sentence) in damages(folder.path()).await {
        let place = folder.path().join(damage);
        fs::create_dir(&place).unwrap();
        let path = place.join("regrant.db");
        fs::write(&path, &bytes).unwrap();
        let store = store(&path).await;
        let blob = blob("default", 2, b"sealed");
        let errors = [
            store.load(&account("default")).await.unwrap_err(),
            store.save(&blob, Expected::Absent).await.unwrap_err(),
            store.save(&blob, at(&blob)).await.unwrap_err(),
            store.list().await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), StoreFault::Corrupt, "{damage}: {error:?}");
            assert_eq!(error.to_string(), sentence, "{damage}");
            assert_eq!(error.outcome(), SaveOutcome::NotApplied, "{damage}: {error:?}");
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "{damage}");
        assert_eq!(names(&place), ["regrant.db"], "{damage}");
    }
}

#[tokio::test]
async fn cp_03_b_a_login_sets_the_damaged_database_aside_and_makes_a_new_one() {
    let folder = folder();
    for (damage, bytes, _) in damages(folder.path()).await {
        let place = folder.path().join(damage);
        fs::create_dir(&place).unwrap();
        let path = place.join("regrant.db");
        let aside = |n: u32| PathBuf::from(format!("{}.corrupt-{n}", path.display()));
        for n in 1..=2 {
            fs::write(&path, &bytes).unwrap();
            let store = store(&path).await;
            let login = blob("default", 1, b"a new login");
            done(store.replace(&login).await);
            assert_eq!(store.load(&account("default")).await.unwrap(), Some(login), "{damage}");
            assert_eq!(fs::read(aside(n)).unwrap(), bytes, "{damage}");
        }
        assert_eq!(
            names(&place),
            ["regrant.db", "regrant.db.corrupt-1", "regrant.db.corrupt-2", "regrant.db.locks"],
            "{damage}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_logins_over_damage_one_is_done_and_one_copy_is_kept() {
    let folder = folder();
    for (damage, bytes, _) in damages(folder.path()).await {
        let place = folder.path().join(damage);
        fs::create_dir(&place).unwrap();
        let path = place.join("regrant.db");
        fs::write(&path, bytes).unwrap();
        let mut logins = tokio::task::JoinSet::new();
        for n in 0..16u8 {
            let path = path.clone();
            logins.spawn(async move {
                let store = store(&path).await;
                match store.replace(&blob("default", 1, &[n])).await.unwrap() {
                    regrant_storage::Saved::Done => true,
                    regrant_storage::Saved::Mismatch(there) => there.is_none(),
                }
            });
        }
        let done = logins.join_all().await.into_iter().filter(|done| *done).count();
        assert_eq!(done, 1, "{damage}");
        let left = names(&place);
        assert_eq!(left, ["regrant.db", "regrant.db.corrupt-1", "regrant.db.locks"], "{damage}");
    }
}

#[tokio::test]
async fn a_store_that_is_open_notices_that_another_has_replaced_the_file() {
    let folder = folder();
    let path = database(&folder);
    let here = store(&path).await;
    done(here.save(&blob("default", 1, &[1; 20_000]), Expected::Absent).await);
    assert!(here.load(&account("default")).await.unwrap().is_some());

    let there = folder.path().join("there.db");
    let restored = with_one(&there, b"restored from a backup").await;
    fs::rename(&there, &path).unwrap();
    assert_eq!(here.load(&account("default")).await.unwrap(), Some(restored.clone()));
    let mut next = restored;
    next.entry.revision = 2;
    done(here.save(&next, Expected::Revision(next.entry.incarnation, 1)).await);
    fs::remove_file(&path).unwrap();
    assert_eq!(here.load(&account("default")).await.unwrap(), None);
    done(here.save(&next, Expected::Absent).await);
    assert_eq!(store(&path).await.load(&account("default")).await.unwrap(), Some(next));
}

#[tokio::test]
async fn what_is_readable_or_absent_is_not_replaced() {
    let folder = folder();
    let path = database(&folder);
    let there = with_one(&path, b"sealed").await;
    let store = store(&path).await;
    assert_eq!(mismatch(store.replace(&blob("default", 9, b"x")).await), Some(there.clone()));
    assert_eq!(mismatch(store.replace(&blob("other", 9, b"x")).await), None);
    assert_eq!(store.load(&account("default")).await.unwrap(), Some(there));
    assert_eq!(store.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn cp_03_c_the_records_that_a_damaged_database_still_has_are_taken_over() {
    let folder = folder();
    let path = database(&folder);
    let damaged = with_one(&path, &[0xdd; 20_000]).await;
    let mut key = blob("", 1, b"the key of all the others");
    key.entry.name = Name::DataKey;
    let whole = [key, blob("a", 3, &[0xaa; 20_000]), blob("z", 4, b"sealed")];
    for whole in &whole {
        done(store(&path).await.save(whole, Expected::Absent).await);
    }
    let mut bytes = fs::read(&path).unwrap();
    let page = bytes.chunks_mut(4096).find(|page| page[8..].iter().all(|byte| *byte == 0xdd));
    page.unwrap().fill(0xa5);
    fs::write(&path, &bytes).unwrap();

    let store = store(&path).await;
    let error = store.load(&damaged.entry.name).await.unwrap_err();
    assert_eq!(error.kind(), StoreFault::Corrupt);
    let login = blob("default", 1, b"a new login");
    done(store.replace(&login).await);
    for there in whole.iter().chain([&login]) {
        assert_eq!(store.load(&there.entry.name).await.unwrap().as_ref(), Some(there));
    }
    assert_eq!(fs::read(folder.path().join("regrant.db.corrupt-1")).unwrap(), bytes);
}

#[tokio::test]
async fn a_damaged_row_is_set_aside_alone() {
    let folder = folder();
    let path = database(&folder);
    let whole = blob("whole", 1, b"sealed");
    with_one(&path, b"damaged").await;
    done(store(&path).await.save(&whole, Expected::Absent).await);
    let mut past = raw(&path).await;
    let cut = "PRAGMA ignore_check_constraints = ON;
        UPDATE credential SET incarnation = x'0707' WHERE name = 'default'";
    run(&mut past, cut).await;

    let store = store(&path).await;
    let error = store.load(&account("default")).await.unwrap_err();
    assert_eq!(error.kind(), StoreFault::Corrupt);
    assert_eq!(store.list().await.unwrap_err().kind(), StoreFault::Corrupt);
    assert_eq!(store.load(&account("whole")).await.unwrap(), Some(whole));
    let login = blob("default", 1, b"a new login");
    done(store.replace(&login).await);
    assert_eq!(store.load(&account("default")).await.unwrap(), Some(login));
    assert_eq!(store.list().await.unwrap().len(), 2);
    assert_eq!(names(folder.path()), ["regrant.db", "regrant.db.locks"]);
    let aside = sqlx::query("SELECT incarnation, sealed FROM set_aside").fetch_all(&mut past);
    let aside = aside.await.unwrap();
    assert_eq!(aside.len(), 1);
    assert_eq!(aside[0].get::<Vec<u8>, _>(0), [7, 7]);
    assert_eq!(aside[0].get::<Vec<u8>, _>(1), b"damaged");
}

#[tokio::test]
async fn a_logout_takes_old_copies_along_and_leaves_the_copy_of_what_it_overwrites() {
    let folder = folder();
    let path = database(&folder);
    let mut there = with_one(&path, b"no key opens this").await;
    let store = store(&path).await;
    store.set_aside(&blob("other", 1, b"of another account")).await.unwrap();
    let mut past = raw(&path).await;
    let mut copies = async || {
        let copies = sqlx::query("SELECT sealed FROM set_aside ORDER BY number");
        let copies = copies.fetch_all(&mut past).await.unwrap();
        copies.iter().map(|copy| copy.get(0)).collect::<Vec<Vec<u8>>>()
    };
    let of_another = b"of another account".to_vec();

    store.set_aside(&there).await.unwrap();
    store.set_aside(&there).await.unwrap();
    assert_eq!(copies().await, [of_another.clone(), there.sealed.clone()]);
    for (live, left) in [(false, 2), (true, 2), (false, 1)] {
        let before = at(&there);
        there.entry.revision += 1;
        there.entry.live = live;
        done(store.save(&there, before).await);
        assert_eq!(copies().await.len(), left);
    }
    assert_eq!(copies().await, [of_another]);
}

/// The database that the first release made of one account and one copy, statement by statement.
const FIRST_RELEASE: &str = include_str!("../golden/database-1.sql");

/// What the first release wrote is read for ever, and saved over.
#[tokio::test]
async fn cp_06_schema_and_mixed_versions() {
    let folder = folder();
    let path = database(&folder);
    let mut first = raw(&path).await;
    run(&mut first, FIRST_RELEASE).await;
    sqlx::Connection::close(first).await.unwrap();
    let mut there = blob("default", 3, b"sealed by the first release");
    let store = store(&path).await;
    assert_eq!(store.load(&account("default")).await.unwrap().as_ref(), Some(&there));
    assert_eq!(store.list().await.unwrap(), [there.entry.clone()]);
    let key = store.load(&Name::DataKey).await.unwrap().unwrap();
    assert_eq!((key.sealed.as_slice(), key.entry.revision), (&b"the key"[..], 1));
    let before = at(&there);
    there.entry.revision += 1;
    done(store.save(&there, before).await);
    assert_eq!(store.load(&account("default")).await.unwrap(), Some(there));
}

/// Not even a login: the newer release may be at work there, with other accounts.
#[tokio::test]
async fn cp_06_b_the_form_of_a_newer_release_is_left_alone() {
    let folder = folder();
    let path = database(&folder);
    with_one(&path, b"sealed").await;
    let mut newer = raw(&path).await;
    run(&mut newer, "PRAGMA user_version = 2").await;
    sqlx::Connection::close(newer).await.unwrap();
    let bytes = fs::read(&path).unwrap();
    let store = store(&path).await;
    let blob = blob("default", 2, b"sealed");
    let errors = [
        store.load(&account("default")).await.unwrap_err(),
        store.list().await.unwrap_err(),
        store.save(&blob, Expected::Absent).await.unwrap_err(),
        store.replace(&blob).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), StoreFault::UnknownFormat);
        assert_eq!(error.outcome(), SaveOutcome::NotApplied);
    }
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(names(folder.path()), ["regrant.db", "regrant.db.locks"]);
}

#[tokio::test]
async fn an_error_does_not_quote_what_the_file_holds() {
    let folder = folder();
    let path = database(&folder);
    let mut foreign = raw(&path).await;
    run(
        &mut foreign,
        "CREATE TABLE credential (canary1 TEXT); INSERT INTO credential VALUES ('canary2');
        PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'canary3';
        PRAGMA application_id = 0x52474E54; PRAGMA user_version = 1",
    )
    .await;
    sqlx::Connection::close(foreign).await.unwrap();
    let error = store(&path).await.load(&account("canary4")).await.unwrap_err();
    assert_eq!(error.kind(), StoreFault::Corrupt);
    let mut shown = format!("{error:?}");
    let mut source: Option<&dyn std::error::Error> = Some(&error);
    while let Some(error) = source {
        shown += &error.to_string();
        source = error.source();
    }
    assert!(!shown.contains("canary"), "{shown}");
}
