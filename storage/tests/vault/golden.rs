//! What the first release wrote opens for ever.

use std::sync::{Arc, Mutex};

use regrant_core::{Id, Timestamp};
use regrant_storage::{Blob, Entry, Key, MemoryBlobStore, Name};

use crate::parts::{CANARY, Parts, Ring, account};

/// A store as it was written once: lines of a name and of hexadecimal digits.
const STORE: &str = include_str!("../golden/store-1.txt");

fn bytes(name: &str) -> Vec<u8> {
    let line = STORE.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let hex = line.unwrap_or_else(|| panic!("there is no line {name}")).trim();
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digits).collect()
}

#[tokio::test]
async fn cp_06_a_store_of_the_first_release_opens() {
    let wrapping = Key::new(bytes("wrapping-key").as_slice().try_into().unwrap());
    let ring = Ring { key: Arc::new(Mutex::new(Some(wrapping))), ..Ring::new() };
    let parts = Parts::over(MemoryBlobStore::new(), ring);
    let of_key = Entry {
        name: Name::DataKey,
        incarnation: Id(bytes("data-key-id").as_slice().try_into().unwrap()),
        generation: 1,
        revision: 1,
        due_at: None,
        live: true,
    };
    let of_record = Entry {
        name: account("default"),
        incarnation: Id([1; 16]),
        generation: 1,
        revision: 1,
        due_at: Some(Timestamp::from_millis(1_700_003_600_000)),
        live: true,
    };
    parts.put(&Blob { entry: of_key, sealed: bytes("data-key") }).await;
    parts.put(&Blob { entry: of_record, sealed: bytes("record") }).await;
    let record = parts.load("default").await.record;
    assert_eq!(record.slots[&0].access_token.expose(), format!("{CANARY}-access"));
    assert_eq!(record.refresh_token.unwrap().expose(), format!("{CANARY}-refresh"));
    assert_eq!(parts.ring.created(), 0);
}
