//! Stores under a passphrase: the right one opens, a wrong one says so, and what the store keeps
//! of it is not believed blindly.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

use std::sync::Arc;

use regrant_core::{Id, Record, Secret, StoreFault, Timestamp};
use regrant_storage::{
    BlobStore as _, Costs, Expected, KeyRing as _, KeySource, MemoryBlobStore, Name, Over,
    Passphrase, Saved, TokenStore as _, Vault,
};

/// The least that Argon2 takes: tests need no protection.
fn cheap(text: &str) -> Passphrase {
    Passphrase::new(Secret::new(text.to_owned())).with_costs(Costs::new(8, 1, 1).unwrap())
}

fn vault(blobs: &MemoryBlobStore, text: &str) -> Vault {
    Vault::new(Arc::new(blobs.clone()), Arc::new(cheap(text)))
}

async fn stored(text: &str) -> MemoryBlobStore {
    let blobs = MemoryBlobStore::new();
    let vault = vault(&blobs, text);
    let login = regrant_core::Login {
        incarnation: Id([1; 16]),
        client: regrant_core::Client::new("https://as.example/token", "client"),
        origins: Vec::new(),
        grant: regrant_core::Grant::bearer(Secret::new("token".into())),
        obtained_at: Timestamp::EPOCH,
    };
    vault.save("a", &Record::login(&login, None), &Over::Absent).await.unwrap();
    blobs
}

#[tokio::test]
async fn the_passphrase_opens_what_it_sealed_and_no_other_does() {
    let blobs = stored("correct").await;
    assert!(vault(&blobs, "correct").load("a").await.unwrap().is_some());
    for wrong in ["", "Correct", "correct\n", "correct "] {
        let error = vault(&blobs, wrong).load("a").await.unwrap_err();
        assert_eq!(error.kind(), StoreFault::WrongKey, "{wrong:?}");
        assert!(error.to_string().contains("passphrase"), "{error}");
    }
    let recorded = KeySource::recorded_in(&blobs).await.unwrap();
    assert_eq!(recorded, Some(Passphrase::source()));
}

#[tokio::test]
async fn two_stores_of_one_passphrase_have_two_keys() {
    let ring = cheap("same");
    let (one, two) = (ring.create().await.unwrap(), ring.create().await.unwrap());
    assert_ne!(one.key.id(), two.key.id());
    let again = ring.load(&Passphrase::source(), &one.parameters).await.unwrap().unwrap();
    assert_eq!(again.id(), one.key.id());
}

/// The figure is of another implementation: the reference one, by way of Python's `argon2-cffi`.
#[tokio::test]
async fn the_key_is_what_argon2id_makes_of_the_passphrase() {
    let mut parameters = vec![1];
    for cost in [64_u32 << 10, 3, 4] {
        parameters.extend_from_slice(&cost.to_be_bytes());
    }
    parameters.extend(0..16);
    let ring = Passphrase::new(Secret::new("correct horse".into()));
    let key = ring.load(&Passphrase::source(), &parameters).await.unwrap().unwrap();
    let hex: String = key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, "577f1ff37e9a3e52c97d39f8e83891c1b73b0e87ffe0429cee8ede2fb005fe44");
    // And these are the costs of a new store.
    let made = ring.create().await.unwrap();
    assert_eq!(made.parameters[..13], parameters[..13]);
}

#[tokio::test]
async fn costs_over_the_cap_are_refused_before_they_are_paid() {
    let ring = cheap("x");
    let valid = ring.create().await.unwrap().parameters;
    for (at, cost) in [(1, (1 << 20) + 1), (1, u32::MAX), (5, 17), (5, u32::MAX), (9, 17)] {
        let mut parameters = valid.clone();
        parameters[at..at + 4].copy_from_slice(&u32::to_be_bytes(cost));
        // Sixteen lanes need 128 KiB, so that only what is meant is too much.
        if at == 9 {
            parameters[1..5].copy_from_slice(&1_024_u32.to_be_bytes());
        }
        let error = ring.load(&Passphrase::source(), &parameters).await.unwrap_err();
        assert_eq!(error.kind(), StoreFault::UnknownFormat, "{at} {cost}");
    }
    assert_eq!(Costs::new((1 << 20) + 1, 1, 1), None);
    assert_eq!(Costs::new(8, 17, 1), None);
    assert_eq!(Costs::new(1 << 20, 1, 17), None);
    assert_eq!(Costs::new(8, 0, 1), None);
    assert_eq!(Costs::new(8, 1, 0), None);
    assert_eq!(Costs::new(31, 1, 4), None);
    assert!(Costs::new(32, 1, 4).is_some());
}

#[tokio::test]
async fn what_the_store_keeps_of_it_is_told_when_it_is_damaged() {
    let ring = cheap("x");
    let valid = ring.create().await.unwrap().parameters;
    for length in 0..valid.len() {
        let error = ring.load(&Passphrase::source(), &valid[..length]).await.unwrap_err();
        assert_eq!(error.kind(), StoreFault::Corrupt, "{length}");
    }
    for (form, kind) in [(0, StoreFault::Corrupt), (2, StoreFault::UnknownFormat)] {
        let mut parameters = valid.clone();
        parameters[0] = form;
        let error = ring.load(&Passphrase::source(), &parameters).await.unwrap_err();
        assert_eq!(error.kind(), kind);
    }
}

/// Whatever bit of the entry flips, salt and costs included: never another key, never absent.
#[tokio::test]
async fn every_flipped_bit_of_the_entry_is_found() {
    let blobs = stored("x").await;
    let whole = blobs.load(&Name::DataKey).await.unwrap().unwrap();
    // The four bytes of memory and rounds: flipped, they may ask for minutes of work.
    let source = 4 + 1 + 2 + Passphrase::source().as_str().len() + 2;
    let costly = source + 1..source + 13;
    for bit in 0..whole.sealed.len() * 8 {
        if costly.contains(&(bit / 8)) {
            continue;
        }
        let damaged = MemoryBlobStore::new();
        let record = blobs.load(&Name::Account("a".into())).await.unwrap().unwrap();
        let mut flipped = whole.clone();
        flipped.sealed[bit / 8] ^= 1 << (bit % 8);
        for blob in [&record, &flipped] {
            let saved = damaged.save(blob, Expected::Absent).await.unwrap();
            assert!(matches!(saved, Saved::Done));
        }
        let found = vault(&damaged, "x").load("a").await;
        let error = found.expect_err(&format!("bit {bit}"));
        let told = [
            StoreFault::Corrupt,
            StoreFault::UnknownFormat,
            StoreFault::WrongKeySource,
            // The salt: another salt is another key.
            StoreFault::WrongKey,
        ];
        assert!(told.contains(&error.kind()), "bit {bit}: {error:?}");
    }
}

#[test]
fn debug_prints_nothing_of_it() {
    let printed = format!("{:?} {:#?}", cheap("canary"), cheap("canary"));
    assert!(!printed.contains("canary") && !printed.contains("Secret"), "{printed}");
}
