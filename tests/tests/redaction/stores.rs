//! Stores that fail in every way they can: nothing of a record or a key is in their errors, their
//! logs or their files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regrant_core::{Client, Id, Login, Origin, Record, Secret, Timestamp};
use regrant_storage::{
    BlobStore, Costs, Kept, KeyFile, KeyRing, Over, Passphrase, StoreError, TokenStore, Vault,
};
use regrant_storage_file::{FileStore, JsonAccount, JsonFile, JsonMap};
use regrant_storage_sqlite::SqliteStore;

use crate::canary::Canaries;
use crate::heard::Since;
use crate::shown::Shown;

struct Stores {
    canaries: Canaries,
    shown: Shown,
}

/// The backends whose files are sealed.
#[derive(Clone, Copy, Debug)]
enum Kind {
    File,
    Sqlite,
}

/// What the key of a store comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Under {
    KeyFile,
    Passphrase,
}

impl Kind {
    async fn open(self, folder: &Path) -> Result<Arc<dyn BlobStore>, StoreError> {
        Ok(match self {
            Self::File => Arc::new(FileStore::open(folder).await?),
            Self::Sqlite => Arc::new(SqliteStore::open(folder.join("regrant.db")).await?),
        })
    }
}

impl Stores {
    fn record(&self) -> Record {
        let mut client = Client::new("https://as.example/token", "client");
        client.client_secret = Some(Secret::new(self.canaries.phrase("client secret")));
        let mut grant =
            regrant_core::Grant::bearer(Secret::new(self.canaries.token("access token")));
        grant.refresh_token = Some(Secret::new(self.canaries.token("refresh token")));
        let login = Login {
            incarnation: Id([7; 16]),
            client,
            origins: vec![Origin::parse("https://api.example").unwrap()],
            grant,
            obtained_at: Timestamp::EPOCH,
        };
        Record::login(&login, None)
    }

    /// Every use of a store, whatever comes of it; how many of them fail.
    async fn used(&self, store: &dyn TokenStore) -> usize {
        self.shown.value(store);
        let mut failed = 0;
        let loaded = store.load("default").await;
        let over = match &loaded {
            Ok(Some(stored)) => Over::Version(stored.version.clone()),
            Ok(None) => Over::Absent,
            Err(_) => Over::Damaged,
        };
        failed += usize::from(self.noted(&loaded));
        failed += usize::from(self.noted(&store.list().await));
        for over in [Over::Absent, over] {
            failed += usize::from(self.noted(&store.save("default", &self.record(), &over).await));
        }
        failed
    }

    fn noted<T: std::fmt::Debug>(&self, result: &Result<T, StoreError>) -> bool {
        match result {
            Ok(done) => self.shown.value(done),
            Err(error) => self.shown.error(error),
        }
        result.is_err()
    }

    /// On a store of this kind: under a key file, or under a passphrase.
    async fn sealed(&self, kind: Kind, under: Under) {
        let home = tempfile::tempdir().unwrap();
        let key = home.path().join("regrant.key");
        fs::write(&key, self.canaries.key("key")).unwrap();
        let (ring, other): (Arc<dyn KeyRing>, Arc<dyn KeyRing>) = match under {
            Under::KeyFile => (Arc::new(KeyFile::new(&key)), self.passphrase()),
            Under::Passphrase => (self.passphrase(), self.passphrase()),
        };
        let folder = home.path().join("store");
        fs::create_dir(&folder).unwrap();
        self.shown.value(&ring);
        let vault = Vault::new(kind.open(&folder).await.unwrap(), Arc::clone(&ring));
        assert_eq!(self.used(&vault).await, 0, "{kind:?}");
        let fingerprinter = vault.fingerprinter().await.unwrap();
        self.shown.value(&fingerprinter);
        let stored = vault.load("default").await.unwrap().unwrap();
        self.shown.text(&fingerprinter.fingerprint(&stored.record.slots[&0].access_token));
        self.noted(&vault.rekey(&*ring).await);
        drop(vault);
        let searcher = self.canaries.searcher();
        for file in files(&folder) {
            searcher.assert_absent(&file.display().to_string(), fs::read(&file).unwrap());
        }
        drop(searcher);
        // Other keys, and none.
        self.locked(kind, &folder, &other).await;
        if under == Under::KeyFile {
            let right = fs::read(&key).unwrap();
            for wrong in
                [self.canaries.key("key").to_vec(), self.canaries.phrase("no key").into_bytes()]
            {
                fs::write(&key, wrong).unwrap();
                self.locked(kind, &folder, &ring).await;
            }
            fs::remove_file(&key).unwrap();
            self.locked(kind, &folder, &ring).await;
            fs::write(&key, right).unwrap();
        }
        // Damage: what should be sealed lies there in the clear, whole and in part.
        let whole: Vec<_> =
            files(&folder).into_iter().map(|f| (f.clone(), fs::read(f).unwrap())).collect();
        let clear = self.record().encode();
        for (file, bytes) in &whole {
            let mut within = bytes.clone();
            let at = within.len() / 2;
            within.splice(at..(at + clear.len()).min(bytes.len()), clear.iter().copied());
            for damaged in [clear.to_vec(), within] {
                fs::write(file, damaged).unwrap();
                let vault = Vault::new(kind.open(&folder).await.unwrap(), Arc::clone(&ring));
                self.used(&vault).await;
                drop(vault);
                fs::remove_dir_all(&folder).unwrap();
                fs::create_dir(&folder).unwrap();
                for (file, bytes) in &whole {
                    fs::create_dir_all(file.parent().unwrap()).unwrap();
                    fs::write(file, bytes).unwrap();
                }
            }
        }
        // No place to save in.
        let vault = Vault::new(kind.open(&folder).await.unwrap(), ring);
        assert_eq!(self.used(&vault).await, 0, "{kind:?}");
        fs::remove_dir_all(&folder).unwrap();
        fs::write(&folder, b"no folder").unwrap();
        assert!(self.used(&vault).await > 0, "{kind:?}");
    }

    /// Nothing opens it.
    async fn locked(&self, kind: Kind, folder: &Path, ring: &Arc<dyn KeyRing>) {
        self.shown.value(ring);
        let vault = Vault::new(kind.open(folder).await.unwrap(), Arc::clone(ring));
        assert!(self.noted(&vault.load("default").await), "{kind:?} {ring:?}");
        self.noted(&vault.save("default", &self.record(), &Over::Absent).await);
        self.noted(&vault.rekey(&**ring).await);
        self.noted(&vault.fingerprinter().await);
    }

    /// At the least cost that is allowed, for that is not what is looked at.
    fn passphrase(&self) -> Arc<dyn KeyRing> {
        let text = Secret::new(self.canaries.phrase("passphrase"));
        Arc::new(Passphrase::new(text).with_costs(Costs::new(64, 1, 1).unwrap()))
    }

    /// Files that are shared with other programs. The tokens lie in them in the clear, and nowhere
    /// beside them.
    async fn shared(&self) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("credentials.json");
        let text = |access: &str, refresh: &str| {
            serde_json::json!({ "a": access, "r": refresh, "theme": "dark" }).to_string()
        };
        let (access, refresh) =
            (self.canaries.token("access token"), self.canaries.token("refresh token"));
        fs::write(&path, text(&access, &refresh)).unwrap();
        let record = self.record();
        let account = JsonAccount {
            name: "default".to_owned(),
            client: record.client.clone(),
            origins: record.origins.clone(),
        };
        self.shown.value(&account);
        let map = JsonMap::parse(["access_token=/a", "refresh_token=/r"]).unwrap();
        let store = JsonFile::open(&path, map, account).await.unwrap();
        self.shown.value(&store);
        // Adopted, refreshed, and refreshed by the other program.
        let stored = store.load("default").await.unwrap().unwrap();
        let mut newer = stored.record.clone();
        newer.generation += 1;
        let slot = newer.slots.get_mut(&0).unwrap();
        slot.generation = newer.generation;
        slot.access_token = Secret::new(self.canaries.token("access token"));
        newer.refresh_token = Some(Secret::new(self.canaries.token("refresh token")));
        let kept = store.save("default", &newer, &Over::Version(stored.version)).await;
        self.noted(&kept);
        assert!(matches!(kept, Ok(Kept::Done(_))));
        self.beside(&path);
        let access = self.canaries.token("access token");
        fs::write(&path, text(&access, &refresh)).unwrap();
        // Records of another client secret are refused.
        assert_eq!(self.used(&store).await, 2);
        self.beside(&path);
        for damaged in [
            format!("{{\"a\":\"{access}"),
            format!("{{\"a\":[\"{access}\"],\"r\":7}}"),
            format!("{access}\n{refresh}"),
        ] {
            fs::write(&path, damaged).unwrap();
            self.noted(&store.load("default").await);
            self.noted(&store.list().await);
            self.noted(&store.save("default", &record, &Over::Absent).await);
            self.beside(&path);
        }
        fs::write(home.path().join("credentials.json.regrant"), &access).unwrap();
        fs::write(&path, text(&access, &refresh)).unwrap();
        self.used(&store).await;
        // No place to save in.
        fs::remove_dir_all(home.path()).unwrap();
        fs::write(home.path(), b"no folder").unwrap();
        assert!(self.noted(&store.save("default", &record, &Over::Absent).await));
        fs::remove_file(home.path()).unwrap();
    }

    fn beside(&self, path: &Path) {
        let searcher = self.canaries.searcher();
        for file in files(path.parent().unwrap()) {
            if file != path {
                searcher.assert_absent(&file.display().to_string(), fs::read(&file).unwrap());
            }
        }
    }
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[tokio::test]
async fn sh_01_c_secrets_of_stores_in_logs_and_files() {
    let since = Since::now();
    let stores = Stores { canaries: Canaries::default(), shown: Shown::default() };
    for kind in [Kind::File, Kind::Sqlite] {
        for under in [Under::KeyFile, Under::Passphrase] {
            stores.sealed(kind, under).await;
        }
    }
    stores.shared().await;
    for what in ["key", "passphrase", "no key", "client secret", "refresh token"] {
        assert!(stores.canaries.count(what) > 0, "{what}");
    }
    let searcher = stores.canaries.searcher();
    searcher.assert_absent("logs", since.said());
    searcher.assert_absent("what programs are shown", stores.shown.all());
}
