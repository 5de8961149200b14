//! Damage is found, kept as it is, and ended by a login or a logout alone.

use regrant_core::{Id, StoreFault};
use regrant_storage::{Key, MemoryBlobStore, Name, Over, Protection, TokenStore as _};

use crate::parts::{CANARY, Parts, Ring, account, logged_out, mismatch, record};

#[tokio::test]
async fn sk_05_b_every_flipped_bit_and_every_truncation_is_found_and_left() {
    // The last two are for the source and the parameters of the key, which cannot be checked
    // before the key is there.
    let of_record = vec![StoreFault::Corrupt, StoreFault::UnknownFormat];
    let of_key = [of_record.clone(), vec![StoreFault::WrongKeySource, StoreFault::KeyMissing]];
    let parts = Parts::new();
    parts.save("a", &record(1), Over::Absent).await;
    for (name, faults) in [(account("a"), of_record), (Name::DataKey, of_key.concat())] {
        let whole = parts.blob(&name).await;
        let flipped = (0..whole.sealed.len() * 8).map(|bit| {
            let mut blob = whole.clone();
            blob.sealed[bit / 8] ^= 1 << (bit % 8);
            blob
        });
        let cut = (0..whole.sealed.len()).map(|length| {
            let mut blob = whole.clone();
            blob.sealed.truncate(length);
            blob
        });
        for damaged in flipped.chain(cut) {
            parts.put(&damaged).await;
            let error = parts.reopened().vault.load("a").await.unwrap_err();
            assert!(faults.contains(&error.kind()), "{error:?}");
            assert!(!format!("{error:?} {error}").contains(CANARY));
            assert_eq!(parts.blob(&name).await, damaged);
        }
        parts.put(&whole).await;
        parts.reopened().load("a").await;
    }
    assert_eq!(parts.ring.created(), 1);
    assert!(parts.blobs.aside().is_empty());
}

#[tokio::test]
async fn a_login_over_damage_keeps_a_copy_and_counts_on() {
    let parts = Parts::new();
    let version = parts.save("a", &record(1), Over::Absent).await;
    parts.save("a", &record(1), Over::Version(version)).await;
    let damaged = parts.damage(&account("a")).await;
    parts.save("a", &record(2), Over::Damaged).await;
    assert_eq!(parts.blobs.aside(), [damaged]);
    assert_eq!(parts.blob(&account("a")).await.entry.revision, 3);
    assert_eq!(parts.reopened().load("a").await.record.incarnation, Id([2; 16]));
}

#[tokio::test]
async fn what_is_readable_is_not_taken_for_damaged() {
    let parts = Parts::new();
    assert!(mismatch(parts.vault.save("b", &record(1), &Over::Damaged).await).is_none());
    parts.save("a", &record(1), Over::Absent).await;
    for later in [record(2), logged_out(&record(1))] {
        let found = mismatch(parts.vault.save("a", &later, &Over::Damaged).await).unwrap();
        assert_eq!(found.record.incarnation, Id([1; 16]));
    }
    assert!(parts.blobs.aside().is_empty());
}

#[tokio::test]
async fn a_login_over_what_the_backend_cannot_read_replaces_it() {
    let parts = Parts::new();
    parts.save("a", &record(1), Over::Absent).await;
    let old = parts.blob(&account("a")).await;
    parts.blobs.damage(&account("a"));
    assert_eq!(parts.fault("a").await, StoreFault::Corrupt);
    parts.save("a", &record(2), Over::Damaged).await;
    assert_eq!(parts.blobs.aside(), [old]);
    assert_eq!(parts.load("a").await.record.incarnation, Id([2; 16]));
}

#[tokio::test]
async fn cp_06_b_a_record_of_a_newer_format_is_told_from_damage_and_ended_by_a_login_or_a_logout() {
    for later in [record(2), logged_out(&record(1))] {
        let parts = Parts::new();
        let mut newer = record(1);
        newer.format = u32::MAX;
        parts.save("a", &newer, Over::Absent).await;
        assert_eq!(parts.fault("a").await, StoreFault::UnknownFormat);
        let kept = parts.blob(&account("a")).await;
        parts.save("a", &later, Over::Damaged).await;
        assert_eq!(parts.blobs.aside(), [kept]);
        assert_eq!(parts.load("a").await.record.encode(), later.encode());
    }
}

#[tokio::test]
async fn a_login_over_a_record_of_another_store_keeps_a_copy() {
    let (parts, other) = (Parts::new(), Parts::new());
    parts.save("b", &record(1), Over::Absent).await;
    other.save("a", &record(1), Over::Absent).await;
    let foreign = other.blob(&account("a")).await;
    parts.put(&foreign).await;
    assert_eq!(parts.fault("a").await, StoreFault::WrongKey);
    parts.save("a", &record(2), Over::Damaged).await;
    assert_eq!(parts.blobs.aside(), [foreign]);
    parts.load("a").await;
    parts.load("b").await;
}

#[tokio::test]
async fn a_login_over_a_damaged_key_makes_another_and_keeps_a_copy() {
    let parts = Parts::new();
    parts.save("a", &record(1), Over::Absent).await;
    parts.save("b", &record(1), Over::Absent).await;
    let record_before = parts.blob(&account("a")).await;
    let damaged = parts.damage(&Name::DataKey).await;
    let later = parts.reopened();
    assert_eq!(later.fault("a").await, StoreFault::Corrupt);
    let error = later.vault.save("c", &record(3), &Over::Absent).await.unwrap_err();
    assert_eq!(error.kind(), StoreFault::Corrupt);

    later.save("a", &record(2), Over::Damaged).await;
    assert_eq!(parts.blobs.aside(), [damaged, record_before]);
    assert_eq!(parts.reopened().load("a").await.record.incarnation, Id([2; 16]));
    // What the lost key sealed is lost, and says so.
    assert_eq!(later.fault("b").await, StoreFault::WrongKey);
}

#[tokio::test]
async fn a_login_into_a_place_that_was_damaged_as_a_whole_starts_it_anew() {
    let parts = Parts::new();
    parts.save("b", &record(1), Over::Absent).await;
    // The backend sets the whole place aside with its first replacement, so the account is gone.
    let place = Parts::over(MemoryBlobStore::new(), parts.ring.clone());
    place.blobs.damage(&Name::DataKey);
    place.save("a", &record(2), Over::Damaged).await;
    assert_eq!(place.reopened().load("a").await.record.incarnation, Id([2; 16]));
}

#[tokio::test]
async fn a_login_with_another_key_is_let_in_only_where_nothing_else_is_lost() {
    let parts = Parts::new();
    parts.save("a", &record(1), Over::Absent).await;
    let key = parts.blob(&Name::DataKey).await;
    let other_key = parts.ring.with(Some(Key::random().unwrap()));

    let typed = parts.with(Ring { protection: Protection::Passphrase, ..other_key.clone() });
    let error = typed.vault.save("a", &record(2), &Over::Damaged).await.unwrap_err();
    assert_eq!(error.kind(), StoreFault::WrongKey, "a passphrase may be mistyped");
    assert_eq!(parts.blob(&Name::DataKey).await, key);

    let other = parts.with(other_key);
    other.save("a", &record(2), Over::Damaged).await;
    assert!(parts.blobs.aside().contains(&key));
    assert_eq!(other.reopened().load("a").await.record.incarnation, Id([2; 16]));
}

#[tokio::test]
async fn a_logout_works_whatever_became_of_record_and_key() {
    let keyless = |parts: &Parts| parts.with(parts.ring.with(None));
    let elsewhere = |parts: &Parts| parts.with(Ring { source: "other", ..parts.ring.clone() });
    let same = |parts: &Parts| parts.reopened();
    let opened: [fn(&Parts) -> Parts; 3] = [keyless, elsewhere, same];
    for (index, opened) in opened.into_iter().enumerate() {
        for damaged in [account("a"), Name::DataKey] {
            let parts = Parts::new();
            parts.save("a", &record(1), Over::Absent).await;
            parts.damage(&damaged).await;
            let kept = parts.blob(&account("a")).await;
            let later = opened(&parts);
            later.vault.load("a").await.unwrap_err();
            later.save("a", &logged_out(&record(1)), Over::Damaged).await;
            assert_eq!(parts.blobs.aside(), [kept], "{index} {damaged:?}");
            assert!(later.load("a").await.record.is_logged_out(), "{index} {damaged:?}");
            assert_eq!(parts.ring.created(), 1);
        }
    }
}
