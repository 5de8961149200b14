//! Sealed records, damaged.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use regrant_core::{Client, Grant, Id, Login, Over, Record, Secret, StoreFault, Timestamp};
use regrant_storage::{
    Blob, BlobStore as _, Expected, Kept, Key, KeyRing, KeySource, MemoryBlobStore, Name, NewKey,
    Protection, StoreError, TokenStore as _, Vault,
};

const ACCOUNT: &str = "default";

/// Damages a sealed record and the store's wrapped key, and opens them: four bytes are one change.
pub fn envelope(data: &[u8]) {
    let Sealed { record, key, plain } = &*SEALED;
    let mut damaged = Damaged { record: record.clone(), key: key.clone(), account: ACCOUNT };
    let mut rest = data;
    while let Some(([what, high, low, value], after)) = rest.split_first_chunk() {
        rest = after;
        let at = usize::from(u16::from_be_bytes([*high, *low]));
        damaged.change(*what, at, *value, &mut rest);
    }
    let Damaged { record: found, key: found_key, account } = &damaged;
    let blobs = MemoryBlobStore::new();
    for blob in [found, found_key] {
        ready(blobs.save(blob, Expected::Absent)).expect("memory can be written");
    }
    let vault = Vault::new(Arc::new(blobs.clone()), Arc::new(Ring));
    let whole = found == record && found_key == key;
    match ready(vault.load(account)) {
        Ok(Some(stored)) if whole => assert!(*stored.record.encode() == **plain),
        Ok(Some(stored)) => {
            // A logout without the key is not sealed.
            let tombstone = !found.entry.live && found.sealed.is_empty();
            assert!(tombstone && stored.record.is_logged_out(), "what was damaged opens");
            assert!(stored.record.slots.is_empty() && stored.record.refresh_token.is_none());
        }
        Ok(None) => panic!("what is damaged is not absent"),
        Err(error) => {
            assert!(!whole, "{error:?}");
            let known = matches!(
                error.kind(),
                StoreFault::Corrupt
                    | StoreFault::UnknownFormat
                    | StoreFault::WrongKey
                    | StoreFault::WrongKeySource
            );
            assert!(known, "{error:?}");
            let shown = format!("{error:?} {error}");
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
    for blob in [found, found_key] {
        let there = ready(blobs.load(&blob.entry.name)).expect("memory can be read");
        assert!(there.as_ref() == Some(blob), "reading changed what is stored");
    }
}

struct Damaged {
    record: Blob,
    key: Blob,
    account: &'static str,
}

impl Damaged {
    fn change(&mut self, what: u8, at: usize, value: u8, rest: &mut &[u8]) {
        let blob = if what & 0x80 == 0 { &mut self.record } else { &mut self.key };
        let sealed = &mut blob.sealed;
        let entry = &mut blob.entry;
        match what & 0x0f {
            0 if !sealed.is_empty() => {
                let at = at % sealed.len();
                sealed[at] ^= value;
            }
            1 => sealed.truncate(at % (sealed.len() + 1)),
            2 => sealed.push(value),
            3 => sealed.insert(at % (sealed.len() + 1), value),
            4 if !sealed.is_empty() => _ = sealed.remove(at % sealed.len()),
            5 => *sealed = std::mem::take(rest).to_vec(),
            6 => sealed.extend(std::mem::take(rest)),
            7 => entry.incarnation.0[at % 16] ^= value,
            8 => entry.generation ^= u64::from(value) << (at % 57),
            9 => entry.revision ^= u64::from(value) << (at % 57),
            10 => entry.due_at = (value != 0).then_some(Timestamp::from_millis(at as u64)),
            11 => entry.live = value & 1 == 0,
            12 if what & 0x80 == 0 => {
                self.account = "other";
                entry.name = Name::Account(self.account.to_owned());
            }
            13 => {
                let (one, other) = (&mut self.record.sealed, &mut self.key.sealed);
                std::mem::swap(one, other);
            }
            _ => {}
        }
    }
}

struct Sealed {
    record: Blob,
    key: Blob,
    plain: Vec<u8>,
}

/// Sealed once; salt and nonce are random, and no property rests on what they are.
static SEALED: LazyLock<Sealed> = LazyLock::new(|| {
    let mut grant = Grant::bearer(Secret::new("canary-access-token".into()));
    grant.refresh_token = Some(Secret::new("canary-refresh-token".into()));
    let login = Login {
        incarnation: Id([7; 16]),
        client: Client::new("https://as.example/token", "client"),
        origins: Vec::new(),
        grant,
        obtained_at: Timestamp::from_millis(1_700_000_000_000),
    };
    let record = Record::login(&login, None);
    let blobs = MemoryBlobStore::new();
    let vault = Vault::new(Arc::new(blobs.clone()), Arc::new(Ring));
    let saved = ready(vault.save(ACCOUNT, &record, &Over::Absent));
    assert!(matches!(saved, Ok(Kept::Done(_))));
    let stored = |name: Name| {
        ready(blobs.load(&name)).expect("memory can be read").expect("it was just saved")
    };
    Sealed {
        record: stored(Name::Account(ACCOUNT.to_owned())),
        key: stored(Name::DataKey),
        plain: record.encode().to_vec(),
    }
});

/// A key that is always there.
#[derive(Debug)]
struct Ring;

fn source() -> KeySource {
    KeySource::new("fuzz")
}

#[async_trait]
impl KeyRing for Ring {
    fn opens(&self, named: &KeySource) -> bool {
        *named == source()
    }

    async fn load(&self, _: &KeySource, _: &[u8]) -> Result<Option<Key>, StoreError> {
        Ok(Some(Key::new(&[3; 32])))
    }

    async fn create(&self) -> Result<NewKey, StoreError> {
        let parameters = b"parameters".to_vec();
        Ok(NewKey { key: Key::new(&[3; 32]), source: source(), parameters })
    }

    fn protection(&self, _: &KeySource) -> Protection {
        Protection::None
    }
}

/// The value of a future that waits for nothing: memory is always ready.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}
