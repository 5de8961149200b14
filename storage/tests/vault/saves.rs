//! What is saved, under which entry, and what it takes to read it again.

use std::sync::Arc;

use regrant_core::{Id, StateKind, StoreFault, Timestamp, Version};
use regrant_storage::{Name, Over, TokenStore as _, Vault};

use crate::parts::{
    CANARY, Interference, Interfering, Parts, account, done, logged_out, mismatch, record,
};

#[tokio::test]
async fn what_was_saved_is_loaded_and_lies_sealed() {
    let parts = Parts::new();
    let saved = record(1);
    let version = parts.save("a", &saved, Over::Absent).await;
    for parts in [&parts, &parts.reopened()] {
        let stored = parts.load("a").await;
        assert_eq!(stored.record.encode(), saved.encode());
        assert_eq!(stored.version, version);
    }
    let sealed = parts.blob(&account("a")).await.sealed;
    assert!(!sealed.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()));
    assert!(parts.vault.load("b").await.unwrap().is_none());
}

#[tokio::test]
async fn the_entry_says_what_may_be_known_without_a_key() {
    let parts = Parts::new();
    let saved = record(1);
    parts.save("a", &saved, Over::Absent).await;
    let entries = parts.vault.list().await.unwrap();
    let [entry] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!(entry.name, account("a"));
    assert_eq!((entry.incarnation, entry.generation), (Id([1; 16]), 1));
    assert_eq!(entry.due_at, Some(Timestamp::from_millis(1_700_003_600_000)));
    assert_eq!((entry.revision, entry.live), (1, true));
}

#[tokio::test]
async fn the_revision_rises_by_one_with_every_save_and_a_login_does_not_reset_it() {
    let parts = Parts::new();
    let mut version = parts.save("a", &record(1), Over::Absent).await;
    for (revision, byte) in [(2, 1), (3, 1), (4, 2), (5, 2)] {
        version = parts.save("a", &record(byte), Over::Version(version)).await;
        assert_eq!(parts.blob(&account("a")).await.entry.revision, revision);
    }
}

#[tokio::test]
async fn a_stale_version_is_refused_and_told_what_is_there() {
    let parts = Parts::new();
    let stale = parts.save("a", &record(1), Over::Absent).await;
    let current = parts.save("a", &record(2), Over::Version(stale.clone())).await;
    let foreign = Version::new(*b"not a version of a vault");
    let short = Version::new(*b"x");
    for over in [Over::Absent, Over::Version(stale), Over::Version(foreign), Over::Version(short)] {
        let found = mismatch(parts.vault.save("a", &record(3), &over).await).unwrap();
        assert_eq!(found.record.incarnation, Id([2; 16]), "{over:?}");
        assert_eq!(found.version, current, "{over:?}");
    }
    assert_eq!(parts.load("a").await.version, current);
}

#[tokio::test]
async fn a_blob_under_another_name_does_not_open() {
    let parts = Parts::new();
    parts.save("a", &record(1), Over::Absent).await;
    let mut moved = parts.blob(&account("a")).await;
    moved.entry.name = account("b");
    parts.put(&moved).await;
    assert_eq!(parts.fault("b").await, StoreFault::Corrupt);
}

#[tokio::test]
async fn a_backend_that_gives_the_blob_of_another_account_is_not_believed() {
    let parts = Parts::new();
    parts.save("a", &record(1), Over::Absent).await;
    let misfiling = Interfering::new(parts.blobs.clone(), Interference::Misfile("a"));
    let vault = Vault::new(misfiling, Arc::new(parts.ring.clone()));
    assert!(vault.load("a").await.unwrap().is_some());
    assert_eq!(vault.load("b").await.unwrap_err().kind(), StoreFault::Corrupt);
}

#[tokio::test]
async fn an_older_seal_under_the_newer_entry_does_not_open() {
    let parts = Parts::new();
    let version = parts.save("a", &record(1), Over::Absent).await;
    let old = parts.blob(&account("a")).await;
    parts.save("a", &record(1), Over::Version(version)).await;
    let mut mixed = parts.blob(&account("a")).await;
    assert_ne!(mixed.sealed, old.sealed);
    mixed.sealed = old.sealed;
    parts.put(&mixed).await;
    assert_eq!(parts.fault("a").await, StoreFault::Corrupt);
}

#[tokio::test]
async fn a_logout_with_the_key_is_sealed() {
    let parts = Parts::new();
    let version = parts.save("a", &record(1), Over::Absent).await;
    parts.save("a", &logged_out(&record(1)), Over::Version(version)).await;
    let blob = parts.blob(&account("a")).await;
    assert!(!blob.entry.live && !blob.sealed.is_empty());
    let record = parts.load("a").await.record;
    assert_eq!(record.encode(), logged_out(&record).encode());
}

#[tokio::test]
async fn a_logout_without_the_key_leaves_an_empty_tombstone_of_the_same_lineage() {
    let parts = Parts::new();
    let version = parts.save("a", &record(1), Over::Absent).await;
    let keyless = parts.with(parts.ring.with(None));
    keyless.save("a", &logged_out(&record(1)), Over::Version(version.clone())).await;

    let blob = parts.blob(&account("a")).await;
    assert!(!blob.entry.live && blob.sealed.is_empty());
    assert_eq!(blob.entry.revision, 2);
    for parts in [&parts, &keyless] {
        let stored = parts.load("a").await;
        assert!(stored.record.is_logged_out());
        assert_eq!(stored.record.state(), StateKind::NeedsLogin);
        assert_eq!((stored.record.incarnation, stored.record.generation), (Id([1; 16]), 1));
    }
    let stale = parts.vault.save("a", &record(1), &Over::Version(version)).await;
    assert!(mismatch(stale).unwrap().record.is_logged_out());
    let version = parts.load("a").await.version;
    parts.save("a", &record(2), Over::Version(version)).await;
    assert_eq!(parts.load("a").await.record.incarnation, Id([2; 16]));
}

#[tokio::test]
async fn a_logout_makes_no_key_and_keeps_nobody_from_making_one() {
    let parts = Parts::new();
    done(parts.vault.save("a", &logged_out(&record(1)), &Over::Absent).await);
    assert_eq!(parts.ring.created(), 0);
    assert!(
        regrant_storage::BlobStore::load(&parts.blobs, &Name::DataKey).await.unwrap().is_none()
    );
    parts.save("b", &record(2), Over::Absent).await;
    assert_eq!(parts.ring.created(), 1);
    assert!(parts.load("a").await.record.is_logged_out());
}

#[tokio::test]
async fn a_live_record_without_a_seal_is_damage() {
    let parts = Parts::new();
    parts.save("a", &record(1), Over::Absent).await;
    let mut emptied = parts.blob(&account("a")).await;
    emptied.sealed.clear();
    parts.put(&emptied).await;
    assert_eq!(parts.fault("a").await, StoreFault::Corrupt);
}
