//! Where the key of a store comes from, and that there is never a second one.

use std::sync::Arc;

use regrant_core::{Secret, StoreFault};
use regrant_storage::{
    BlobStore as _, Key, KeyFile, KeySource, MemoryBlobStore, Name, Over, SaveOutcome,
    TokenStore as _, Vault,
};

use crate::parts::{Interference, Interfering, Parts, Ring, account, done, record};

#[tokio::test]
async fn reading_makes_no_key() {
    let parts = Parts::new();
    assert!(parts.vault.load("a").await.unwrap().is_none());
    assert!(parts.vault.list().await.unwrap().is_empty());
    assert_eq!(KeySource::recorded_in(&parts.blobs).await.unwrap(), None);
    assert_eq!(parts.ring.created(), 0);
    assert!(parts.blobs.load(&Name::DataKey).await.unwrap().is_none());
}

#[tokio::test]
async fn the_first_save_makes_the_key_and_names_its_source() {
    let parts = Parts::new();
    parts.save("a", &record(1), Over::Absent).await;
    parts.save("b", &record(2), Over::Absent).await;
    parts.reopened().save("c", &record(3), Over::Absent).await;
    assert_eq!(parts.ring.created(), 1);
    let recorded = KeySource::recorded_in(&parts.blobs).await.unwrap().unwrap();
    assert_eq!(recorded.as_str(), "keychain");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_creators_end_with_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys/regrant.key");
    let blobs = MemoryBlobStore::new();
    let vault = || {
        let racing = Interfering::new(blobs.clone(), Interference::Yield);
        Vault::new(racing, Arc::new(KeyFile::new(&path)))
    };
    let savers: Vec<_> = (0..50_u8)
        .map(|index| (index, vault()))
        .map(|(index, vault)| {
            tokio::spawn(async move {
                let name = format!("account {index}");
                done(vault.save(&name, &record(index), &Over::Absent).await);
            })
        })
        .collect();
    for saver in savers {
        saver.await.unwrap();
    }
    let later = vault();
    for index in 0..50_u8 {
        let stored = later.load(&format!("account {index}")).await.unwrap().unwrap();
        assert_eq!(stored.record.incarnation, record(index).incarnation);
    }
    assert_eq!(blobs.load(&Name::DataKey).await.unwrap().unwrap().entry.revision, 1);
}

#[tokio::test]
async fn a_key_and_a_record_that_another_made_meanwhile_are_no_store_without_a_key() {
    let other = Parts::new();
    other.save("b", &record(2), Over::Absent).await;
    let blobs = MemoryBlobStore::new();
    let racing = Interfering::new(blobs.clone(), Interference::Yield);
    *racing.meanwhile.lock().unwrap() =
        vec![other.blob(&Name::DataKey).await, other.blob(&account("b")).await];
    let vault = Vault::new(racing, Arc::new(other.ring.clone()));
    done(vault.save("a", &record(1), &Over::Absent).await);
    let later = Parts::over(blobs, other.ring.clone());
    later.load("a").await;
    later.load("b").await;
    assert_eq!(other.ring.created(), 1);
}

#[tokio::test]
async fn a_key_whose_save_nobody_knows_of_is_read_again() {
    let blobs = MemoryBlobStore::new();
    let doubtful = Interfering::new(blobs.clone(), Interference::KeySaveUnknown);
    let parts = Parts::over(blobs, Ring::new());
    let vault = Vault::new(doubtful, Arc::new(parts.ring.clone()));
    done(vault.save("a", &record(1), &Over::Absent).await);
    assert_eq!(parts.ring.created(), 1);
    parts.load("a").await;
}

#[tokio::test]
async fn another_source_than_the_recorded_is_refused() {
    let parts = Parts::new();
    let version = parts.save("a", &record(1), Over::Absent).await;
    let other = parts.with(Ring { source: "passphrase", ..parts.ring.clone() });
    refused(&other, version, StoreFault::WrongKeySource).await;
    let error = other.vault.load("a").await.unwrap_err();
    let recorded = std::error::Error::source(&error).unwrap().to_string();
    assert!(recorded.contains("keychain"), "{recorded}");
}

#[tokio::test]
async fn a_key_that_is_gone_is_missed_and_not_made_anew() {
    let parts = Parts::new();
    let version = parts.save("a", &record(1), Over::Absent).await;
    let keyless = parts.with(parts.ring.with(None));
    refused(&keyless, version, StoreFault::KeyMissing).await;
}

#[tokio::test]
async fn sk_05_c_a_wrong_key_is_told_from_damage() {
    let parts = Parts::new();
    let version = parts.save("a", &record(1), Over::Absent).await;
    parts.save("b", &record(2), Over::Absent).await;
    let other = parts.with(parts.ring.with(Some(Key::random().unwrap())));
    refused(&other, version, StoreFault::WrongKey).await;
}

/// All that needs a key fails with this fault and changes nothing, a login too.
async fn refused(parts: &Parts, version: regrant_core::Version, fault: StoreFault) {
    let before = (parts.blob(&account("a")).await, parts.blob(&Name::DataKey).await);
    assert_eq!(parts.fault("a").await, fault);
    for over in [Over::Version(version), Over::Absent, Over::Damaged] {
        for name in ["a", "new"] {
            let error = parts.vault.save(name, &record(9), &over).await.unwrap_err();
            assert_eq!(error.kind(), fault, "{name} {over:?}");
            assert_eq!(error.outcome(), SaveOutcome::NotApplied);
        }
    }
    assert_eq!(parts.vault.fingerprinter().await.unwrap_err().kind(), fault);
    assert_eq!(before, (parts.blob(&account("a")).await, parts.blob(&Name::DataKey).await));
    assert!(parts.blobs.load(&account("new")).await.unwrap().is_none());
    assert!(parts.blobs.aside().is_empty());
    assert_eq!(parts.ring.created(), 1);
}

#[tokio::test]
async fn records_without_a_key_beside_them_are_no_new_store() {
    let parts = Parts::new();
    parts.save("a", &record(1), Over::Absent).await;
    let rest = Parts::over(MemoryBlobStore::new(), parts.ring.clone());
    rest.put(&parts.blob(&account("a")).await).await;
    assert_eq!(rest.fault("a").await, StoreFault::KeyMissing);
    for over in [Over::Absent, Over::Damaged] {
        let error = rest.vault.save("b", &record(2), &over).await.unwrap_err();
        assert_eq!(error.kind(), StoreFault::KeyMissing);
    }
    assert_eq!(rest.ring.created(), 1);
    assert!(rest.blobs.load(&Name::DataKey).await.unwrap().is_none());
}

#[tokio::test]
async fn a_sealed_tombstone_without_a_key_beside_it_is_no_new_store() {
    let parts = Parts::new();
    let version = parts.save("a", &record(1), Over::Absent).await;
    parts.save("a", &crate::parts::logged_out(&record(1)), Over::Version(version)).await;
    let rest = Parts::over(MemoryBlobStore::new(), parts.ring.clone());
    rest.put(&parts.blob(&account("a")).await).await;
    let error = rest.vault.save("b", &record(2), &Over::Absent).await.unwrap_err();
    assert_eq!(error.kind(), StoreFault::KeyMissing);
}

#[tokio::test]
async fn a_key_that_was_changed_meanwhile_is_read_again() {
    let parts = Parts::new();
    let running = parts.reopened();
    parts.save("a", &record(1), Over::Absent).await;
    running.load("a").await;
    // Another process logs in over a damaged key.
    parts.damage(&Name::DataKey).await;
    let other = parts.reopened();
    other.save("a", &record(2), Over::Damaged).await;
    // The one that ran all the time reads and writes with the new key.
    assert_eq!(running.load("a").await.record.incarnation, record(2).incarnation);
    running.save("b", &record(3), Over::Absent).await;
    assert_eq!(other.load("b").await.record.incarnation, record(3).incarnation);
}

#[tokio::test]
async fn a_process_that_kept_the_old_key_saves_with_the_new_one() {
    let parts = Parts::new();
    parts.save("a", &record(1), Over::Absent).await;
    parts.damage(&Name::DataKey).await;
    let other = parts.reopened();
    other.save("a", &record(2), Over::Damaged).await;
    parts.save("b", &record(3), Over::Absent).await;
    assert_eq!(other.load("b").await.record.incarnation, record(3).incarnation);
}

#[tokio::test]
async fn fingerprints_are_the_stores_own_and_the_same_in_every_process() {
    let parts = Parts::new();
    let secret = Secret::new("token".into());
    let error = parts.vault.fingerprinter().await.unwrap_err();
    assert_eq!(error.kind(), StoreFault::KeyMissing);
    parts.save("a", &record(1), Over::Absent).await;
    let one = parts.vault.fingerprinter().await.unwrap().fingerprint(&secret);
    let two = parts.reopened().vault.fingerprinter().await.unwrap().fingerprint(&secret);
    assert_eq!(one, two);
    let other = Parts::new();
    other.save("a", &record(1), Over::Absent).await;
    assert_ne!(one, other.vault.fingerprinter().await.unwrap().fingerprint(&secret));
}
