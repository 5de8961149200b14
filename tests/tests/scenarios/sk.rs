//! Stores and keychains that cannot be used or read, as a program sees them through its session.
//!
//! What real keychains and databases do is shown in the tests of their backends.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use regrant::{
    AccessError, Capabilities, Session, StoreError, StoreFault, Timestamp, TokenStore,
    VirtualClocks,
};
use regrant_core::Record;
use regrant_storage::{Entry, Kept, MemoryLease, MemoryStore, Over, Stored, Vault};

use crate::disk::{self, Kind, Place, Warnings, api, child};
use crate::scene::{HOUR, SECOND};
use crate::wire::Wire;

/// Why a store may not let itself be read.
const FAULTS: [StoreFault; 6] = [
    StoreFault::Unavailable,
    StoreFault::Locked,
    StoreFault::Corrupt,
    StoreFault::UnknownFormat,
    StoreFault::KeyMissing,
    StoreFault::WrongKey,
];

/// A store that cannot be read for as long as there is a fault. Clones are one store.
#[derive(Clone, Debug, Default)]
struct Moody {
    inner: MemoryStore,
    fault: Arc<Mutex<Option<StoreFault>>>,
    saves: Arc<AtomicUsize>,
}

#[async_trait]
impl TokenStore for Moody {
    async fn load(&self, account: &str) -> Result<Option<Stored>, StoreError> {
        let fault = *self.fault.lock().unwrap();
        match fault {
            Some(fault) => Err(StoreError::new(fault, "as the scene wants")),
            None => self.inner.load(account).await,
        }
    }

    async fn save(&self, account: &str, record: &Record, over: &Over) -> Result<Kept, StoreError> {
        self.saves.fetch_add(1, Ordering::Relaxed);
        self.inner.save(account, record, over).await
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.inner.list().await
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

#[tokio::test(start_paused = true)]
async fn sk_01_store_unavailable_is_not_logged_out() {
    let clocks = Arc::new(VirtualClocks::new(Timestamp::from_millis(1_750_000_000_000)));
    for fault in FAULTS {
        let (store, wire) = (Moody::default(), Wire::new(&clocks));
        let open = || {
            let lease = Arc::new(MemoryLease::new());
            Session::builder(Arc::new(store.clone()), lease, Arc::new(wire.clone()))
                .clocks(clocks.clone())
                .open()
                .unwrap()
        };
        let session = open();
        disk::log_in(&session, "at-0", "rt-0").await;
        session.close(HOUR).await.unwrap();

        let saves = store.saves.load(Ordering::Relaxed);
        *store.fault.lock().unwrap() = Some(fault);
        let session = open();
        for _ in 0..50 {
            let error = session.access(&api()).await.unwrap_err();
            let AccessError::Store { fault: told, source, .. } = &error else { panic!("{error}") };
            assert_eq!((*told, error.code()), (fault, fault.as_str()));
            assert_eq!(source.as_ref().unwrap().kind(), fault);
            let text = error.to_string();
            assert!(text.contains("mend the store, the login is kept"), "{text}");
            crate::wire::pass(SECOND).await;
        }
        assert_eq!(session.status().await.unwrap().state, None, "{fault}");
        assert_eq!(wire.network().posts.len(), 0, "{fault}");
        assert_eq!(store.saves.load(Ordering::Relaxed), saves, "{fault}");

        // The same process goes on.
        *store.fault.lock().unwrap() = None;
        assert_eq!(session.access(&api()).await.unwrap().token().expose(), "at-0", "{fault}");
        session.close(HOUR).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn sk_01_h_a_store_that_forgets_at_a_restart_says_so_once() {
    let clocks = Arc::new(VirtualClocks::new(Timestamp::from_millis(1_750_000_000_000)));
    let (store, wire) = (MemoryStore::new(), Wire::new(&clocks));
    let open = || {
        let lease = Arc::new(MemoryLease::new());
        let session = Session::builder(Arc::new(store.clone()), lease, Arc::new(wire.clone()));
        session.clocks(clocks.clone()).open().unwrap()
    };
    let session = open();
    disk::log_in(&session, "at-0", "rt-0").await;
    session.close(HOUR).await.unwrap();
    let warnings = Warnings::default();
    let _listening = warnings.listening();
    let session = open();
    for _ in 0..10 {
        assert!(open().access(&api()).await.is_ok());
    }
    assert!(session.status().await.unwrap().capabilities.volatile);
    assert_eq!(warnings.counted(), 1);
}

/// All files below a folder, by path.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_none_or(|end| end != "lock") {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

/// Whatever is asked says that, changes nothing, and is logged once at most; then a login helps.
async fn is_told_and_ended_by_a_login(place: &Place, fault: StoreFault) {
    let before = files(&place.data());
    let warnings = Warnings::default();
    let session = {
        let _listening = warnings.listening();
        let session = place.session().await;
        for _ in 0..1_000 {
            let error = session.access(&api()).await.unwrap_err();
            let AccessError::Store { fault: told, .. } = &error else { panic!("{error}") };
            assert_eq!(*told, fault);
        }
        session
    };
    assert!(warnings.counted() <= 1, "{} lines", warnings.counted());
    assert_eq!((files(&place.data()), place.posts()), (before, 0));
    disk::log_in(&session, "at-new", "rt-new").await;
    session.close(HOUR).await.unwrap();
    let session = place.session().await;
    assert_eq!(session.access(&api()).await.unwrap().token().expose(), "at-new");
    session.close(HOUR).await.unwrap();
    assert!(!place.copies().is_empty(), "nothing was set aside");
}

#[tokio::test]
async fn sk_05_undecryptable_store() {
    // Another key.
    let place = Place::logged_in(Kind::File).await;
    fs::write(place.folder().join("keys/regrant.key"), [7; 32]).unwrap();
    is_told_and_ended_by_a_login(&place, StoreFault::WrongKey).await;

    // A flipped bit, in the middle.
    let place = Place::logged_in(Kind::File).await;
    let mut bytes = fs::read(place.file()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(place.file(), bytes).unwrap();
    is_told_and_ended_by_a_login(&place, StoreFault::Corrupt).await;
}

/// The store alone, on the machine it was made on and with all that is known of that, is worth
/// nothing: the key is random, and lies elsewhere.
#[tokio::test]
async fn sk_05_d_the_store_without_its_key_does_not_open() {
    let (place, other) = (Place::logged_in(Kind::File).await, Place::logged_in(Kind::File).await);
    let key = |place: &Place| fs::read(place.folder().join("keys/regrant.key")).unwrap();
    let bytes = key(&place);
    assert_ne!(bytes, key(&other), "two stores of one machine and one user have one key");
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let forms = [bytes.clone(), hex.into_bytes(), BASE64_STANDARD.encode(&bytes).into_bytes()];
    for (path, content) in files(&place.data()) {
        for form in &forms {
            let found = content.windows(form.len()).any(|window| window == form);
            assert!(!found, "the key lies in {}", path.display());
        }
        assert!(!content.windows(4).any(|window| window == b"at-0"), "{}", path.display());
    }
    fs::remove_dir_all(place.folder().join("keys")).unwrap();
    let before = files(&place.data());
    let session = place.session().await;
    let error = session.access(&api()).await.unwrap_err();
    assert!(matches!(error, AccessError::Store { fault: StoreFault::KeyMissing, .. }), "{error}");
    session.close(HOUR).await.unwrap();
    assert_eq!(files(place.folder()), before, "a new key was made, or the store was changed");
}

const FOLDER: &str = "REGRANT_TEST_FOLDER";

/// On a machine with another name and another id, under another user's name, it opens with its key.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn sk_05_e_what_the_machine_is_called_does_not_matter() {
    let is_root = rustix::process::geteuid().is_root();
    let rights: &[&str] = if is_root { &[] } else { &["--map-root-user"] };
    let renamed = |script: &str| {
        let mut renamed = Command::new("unshare");
        renamed.args(rights).args(["--uts", "--mount", "sh", "-c"]);
        renamed.arg(format!("hostname elsewhere && {script}")).stderr(Stdio::null());
        renamed
    };
    let tried = renamed("test \"$(hostname)\" = elsewhere").status();
    if !tried.is_ok_and(|status| status.success()) {
        let what = "left out: another host name, which takes `unshare` and the right to use it\n";
        assert!(std::env::var_os("REGRANT_REQUIRE_ALL_PARTS").is_none(), "{what}");
        // Past the test harness, which keeps what a test that passes says to itself.
        std::io::stderr().write_all(what.as_bytes()).unwrap();
        return;
    }
    let place = Place::logged_in(Kind::File).await;
    let id = place.folder().join("machine-id");
    fs::write(&id, "0123456789abcdef0123456789abcdef\n").unwrap();
    let mut again = renamed(
        "if [ -e /etc/machine-id ]; then mount --bind \"$0\" /etc/machine-id || exit 1; fi; \
         exec \"$@\"",
    );
    let reader = child("sk::child_that_reads");
    again.arg(&id).arg(reader.get_program()).args(reader.get_args()).stdout(Stdio::null());
    again.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    again.envs([("USER", "somebody"), ("LOGNAME", "somebody"), ("HOME", "/nonexistent")]);
    again.env("HOSTNAME", "elsewhere").env(FOLDER, place.folder());
    assert!(again.status().unwrap().success());
    // It was read there, or the file would not be.
    assert_eq!(fs::read_to_string(place.folder().join("read")).unwrap(), "at-0 at elsewhere");
}

#[tokio::test]
async fn child_that_reads() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let (blobs, _) = disk::blobs_in(&folder, Kind::File).await;
    let vault = Vault::new(blobs, Arc::new(disk::key_in(&folder)));
    let stored = vault.load("default").await.unwrap().unwrap();
    let record: Record = stored.record;
    // It can be saved there, too.
    let saved = vault.save("default", &record, &Over::Version(stored.version)).await.unwrap();
    assert!(matches!(saved, Kept::Done(_)));
    let token = record.slot().unwrap().access_token.expose();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    fs::write(folder.join("read"), format!("{token} at {}", host.trim())).unwrap();
}
