//! Keys that are changed while the store lives.

use std::sync::Arc;

use regrant_core::StoreFault;
use regrant_storage::{
    BlobStore as _, Key, KeySource, MemoryBlobStore, Name, Over, Protection, Rekeyed, Vault,
};

use crate::parts::{Interference, Interfering, Parts, Ring, account, logged_out, record};

/// Three accounts, one of them logged out.
async fn three() -> Parts {
    let parts = Parts::new();
    parts.save("a", &record(1), Over::Absent).await;
    parts.save("b", &record(2), Over::Absent).await;
    let version = parts.save("c", &record(3), Over::Absent).await;
    parts.save("c", &logged_out(&record(3)), Over::Version(version)).await;
    parts
}

async fn all_open(parts: &Parts) {
    assert_eq!(parts.load("a").await.record.encode(), record(1).encode());
    assert_eq!(parts.load("b").await.record.encode(), record(2).encode());
    assert_eq!(parts.load("c").await.record.encode(), logged_out(&record(3)).encode());
}

/// The id of the key that an account's record lies under.
async fn key_of(parts: &Parts, name: &str) -> Vec<u8> {
    parts.blob(&account(name)).await.sealed[6..22].to_vec()
}

fn passphrase() -> Ring {
    Ring { source: "passphrase", protection: Protection::Passphrase, ..Ring::new() }
}

#[tokio::test]
async fn a_key_that_is_wrapped_anew_leaves_the_records_as_they_are() {
    let parts = three().await;
    let before = parts.blob(&account("a")).await;
    let fingerprint = parts.vault.fingerprinter().await.unwrap();
    let ring = passphrase();
    let source = parts.vault.rewrap(&ring).await.unwrap();
    assert_eq!(source, KeySource::new("passphrase"));
    assert_eq!(parts.blob(&account("a")).await, before);

    let later = parts.with(ring);
    all_open(&later).await;
    let secret = regrant_core::Secret::new("token".into());
    let again = later.vault.fingerprinter().await.unwrap();
    assert_eq!(again.fingerprint(&secret), fingerprint.fingerprint(&secret));
    // Whoever comes with the old source is told the new one.
    assert_eq!(parts.reopened().fault("a").await, StoreFault::WrongKeySource);
}

#[tokio::test]
async fn a_passphrase_that_was_changed_opens_and_the_old_one_does_not() {
    let parts = Parts::over(MemoryBlobStore::new(), passphrase());
    parts.save("a", &record(1), Over::Absent).await;
    let changed = passphrase();
    parts.vault.rewrap(&changed).await.unwrap();
    parts.with(changed).load("a").await;
    assert_eq!(parts.reopened().fault("a").await, StoreFault::WrongKey);
}

#[tokio::test]
async fn who_has_the_store_open_goes_on_after_the_key_was_wrapped_anew() {
    let parts = three().await;
    let running = parts.reopened();
    let version = running.load("a").await.version;
    let ring = passphrase();
    parts.vault.rewrap(&ring).await.unwrap();
    let version = running.save("a", &record(1), Over::Version(version)).await;
    running.save("d", &record(4), Over::Absent).await;
    running.save("a", &record(1), Over::Version(version)).await;
    parts.with(ring).load("d").await;
}

#[tokio::test]
async fn a_rekey_seals_every_record_with_a_new_key() {
    let parts = three().await;
    let (old, running) = (key_of(&parts, "a").await, parts.reopened());
    running.load("a").await;
    let done = parts.vault.rekey(&parts.ring).await.unwrap();
    assert_eq!(done, Rekeyed { resealed: 3, unreadable: 0 });
    let new = key_of(&parts, "a").await;
    assert_ne!(new, old);
    for name in ["b", "c"] {
        assert_eq!(key_of(&parts, name).await, new, "{name}");
    }
    for parts in [&parts, &running, &parts.reopened()] {
        all_open(parts).await;
    }
    assert_eq!(running.blob(&account("a")).await.entry.revision, 2);
    let version = running.load("a").await.version;
    running.save("a", &record(1), Over::Version(version)).await;
    assert_eq!(key_of(&parts, "a").await, new);
}

/// The next rekey gives up the key before the last: its bytes alone open nothing any more.
#[tokio::test]
async fn an_old_key_goes_with_the_next_rekey() {
    let parts = three().await;
    let length = async || parts.blob(&Name::DataKey).await.sealed.len();
    let one = length().await;
    parts.vault.rekey(&parts.ring).await.unwrap();
    let two = length().await;
    assert_eq!(two, one + 32);
    for _ in 0..20 {
        let done = parts.vault.rekey(&parts.ring).await.unwrap();
        assert_eq!(done.resealed, 3);
        assert_eq!(length().await, two);
    }
    all_open(&parts.reopened()).await;
}

#[tokio::test]
async fn a_rekey_that_is_killed_at_any_save_leaves_a_store_that_opens_and_can_be_rekeyed() {
    // One save of the key and three of records.
    for saves in 0..4 {
        let parts = three().await;
        for _ in 0..10 {
            let dying = Interfering::new(parts.blobs.clone(), Interference::DeadAfter(saves));
            let vault = Vault::new(dying, Arc::new(parts.ring.clone()));
            let error = vault.rekey(&parts.ring).await.unwrap_err();
            assert_eq!(error.to_string(), "killed");
            all_open(&parts.reopened()).await;
        }
        let later = parts.reopened();
        let done = later.vault.rekey(&later.ring).await.unwrap();
        assert_eq!(done, Rekeyed { resealed: 3, unreadable: 0 }, "after {saves} saves");
        all_open(&later.reopened()).await;
    }
}

#[tokio::test]
async fn a_record_that_came_under_the_old_key_meanwhile_opens_and_the_next_rekey_comes_to_it() {
    let whole = three().await;
    let parts = Parts::over(MemoryBlobStore::new(), whole.ring.clone());
    for name in [account("a"), Name::DataKey] {
        parts.put(&whole.blob(&name).await).await;
    }
    parts.vault.rekey(&parts.ring).await.unwrap();
    // Sealed before the rekey, saved after it.
    parts.put(&whole.blob(&account("b")).await).await;
    for parts in [&parts, &parts.reopened()] {
        assert_eq!(parts.load("b").await.record.encode(), record(2).encode());
    }
    let done = parts.vault.rekey(&parts.ring).await.unwrap();
    assert_eq!(done, Rekeyed { resealed: 2, unreadable: 0 });
    parts.reopened().load("b").await;
}

#[tokio::test]
async fn what_does_not_open_is_left_and_counted() {
    let parts = three().await;
    let damaged = parts.damage(&account("b")).await;
    let done = parts.vault.rekey(&parts.ring).await.unwrap();
    assert_eq!(done, Rekeyed { resealed: 2, unreadable: 1 });
    assert_eq!(parts.blob(&account("b")).await, damaged);
    assert_eq!(parts.fault("b").await, StoreFault::Corrupt);
}

#[tokio::test]
async fn a_rekey_under_another_source_moves_the_store_there() {
    let parts = three().await;
    let ring = passphrase();
    let done = parts.vault.rekey(&ring).await.unwrap();
    assert_eq!(done.resealed, 3);
    all_open(&parts.with(ring)).await;
    assert_eq!(parts.reopened().fault("a").await, StoreFault::WrongKeySource);
    let recorded = KeySource::recorded_in(&parts.blobs).await.unwrap().unwrap();
    assert_eq!(recorded.as_str(), "passphrase");
}

#[tokio::test]
async fn a_store_without_a_key_or_with_one_that_is_gone_is_not_rekeyed() {
    let empty = Parts::new();
    let ring = passphrase();
    assert_eq!(empty.vault.rekey(&ring).await.unwrap_err().kind(), StoreFault::KeyMissing);
    assert_eq!(empty.vault.rewrap(&ring).await.unwrap_err().kind(), StoreFault::KeyMissing);
    assert!(empty.blobs.load(&Name::DataKey).await.unwrap().is_none());
    let parts = three().await;
    let before = parts.blob(&Name::DataKey).await;
    for (ring, kind) in [
        (parts.ring.with(None), StoreFault::KeyMissing),
        (parts.ring.with(Some(Key::random().unwrap())), StoreFault::WrongKey),
        (passphrase(), StoreFault::WrongKeySource),
    ] {
        let other = parts.with(ring);
        assert_eq!(other.vault.rekey(&parts.ring).await.unwrap_err().kind(), kind);
        assert_eq!(other.vault.rewrap(&parts.ring).await.unwrap_err().kind(), kind);
    }
    assert_eq!(parts.blob(&Name::DataKey).await, before);
    all_open(&parts).await;
}
