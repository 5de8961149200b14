//! The stores and leases in memory keep the laws.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

use std::sync::Arc;

use async_trait::async_trait;
use regrant_core::{Id, Record, Timestamp};
use regrant_storage::laws::{BlobPlace, LeasePlace, Task};
use regrant_storage::{
    BlobStore, Kept, MemoryBlobStore, MemoryLease, MemoryStore, Name, Over, RefreshLease,
    TokenStore as _,
};

/// Side by side, on the threads of the test's runtime.
async fn spawned(tasks: Vec<Task>) {
    let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    for task in running {
        task.await.unwrap();
    }
}

#[derive(Default)]
struct Blobs(MemoryBlobStore);

#[async_trait]
impl BlobPlace for Blobs {
    async fn open(&self) -> Arc<dyn BlobStore> {
        Arc::new(self.0.clone())
    }

    async fn together(&self, tasks: Vec<Task>) {
        spawned(tasks).await;
    }
}

#[derive(Default)]
struct Leases(MemoryLease);

#[async_trait]
impl LeasePlace for Leases {
    async fn open(&self) -> Arc<dyn RefreshLease> {
        Arc::new(self.0.clone())
    }

    async fn together(&self, tasks: Vec<Task>) {
        spawned(tasks).await;
    }
}

mod blobs {
    use super::Blobs;

    regrant_storage::blob_store_laws! {
        #[tokio::test(flavor = "multi_thread")]
        Blobs::default()
    }
}

mod leases {
    use super::Leases;

    regrant_storage::lease_laws! {
        #[tokio::test(flavor = "multi_thread")]
        Leases::default()
    }
}

fn record(byte: u8) -> Record {
    Record::logged_out(Id([byte; 16]), 1, Timestamp::EPOCH)
}

#[tokio::test]
async fn a_record_in_memory_is_replaced_only_by_who_knows_its_version() {
    let store = MemoryStore::new();
    let Kept::Done(first) = store.save("a", &record(1), &Over::Absent).await.unwrap() else {
        panic!("nothing was there")
    };
    let over = Over::Version(first.clone());
    let Kept::Done(second) = store.save("a", &record(1), &over).await.unwrap() else {
        panic!("nobody else saved")
    };
    for over in [Over::Absent, Over::Version(first), Over::Damaged] {
        let Kept::Mismatch(Some(found)) = store.save("a", &record(2), &over).await.unwrap() else {
            panic!("saved over {over:?}")
        };
        assert_eq!((found.version, found.record.incarnation), (second.clone(), Id([1; 16])));
    }
    assert!(store.clone().load("a").await.unwrap().is_some());
    assert!(store.load("b").await.unwrap().is_none());
    let entries = store.list().await.unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((&entries[0].name, entries[0].revision), (&Name::Account("a".into()), 2));
    assert!(!entries[0].live);
}

#[test]
fn every_store_in_memory_is_a_place_of_its_own() {
    let (one, two) = (MemoryStore::new(), MemoryStore::new());
    assert_eq!(one.capabilities(), one.clone().capabilities());
    assert_ne!(one.capabilities().identity, two.capabilities().identity);
    assert!(one.capabilities().volatile);
}
