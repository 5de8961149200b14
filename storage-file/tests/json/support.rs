//! What the tests share.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use regrant_core::{
    Client, Grant, Id, Login, Origin, Over, Record, Secret, StoreFault, Stored, Timestamp, Version,
};
use regrant_storage::{Kept, StoreError, TokenStore};
use regrant_storage_file::{JsonAccount, JsonFile, JsonMap};
use tempfile::TempDir;

/// What regrant calls the account.
pub(crate) const ACCOUNT: &str = "a";

/// When everything happens that says when.
pub(crate) const AT: Timestamp = Timestamp::from_millis(1_700_000_000_123);

/// A folder with a file in it that another program has written.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) file: PathBuf,
}

impl Place {
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("credentials.json");
        Self { folder, file }
    }

    /// One in which the other program has logged in, with its first tokens.
    pub(crate) fn used() -> Self {
        let place = Self::empty();
        fs::write(&place.file, written("foreign 1")).unwrap();
        place
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap()
    }

    /// What the other program finds, who knows nothing of regrant.
    pub(crate) fn found(&self) -> serde_json::Value {
        serde_json::from_str(&self.text()).unwrap()
    }

    pub(crate) fn notes(&self) -> PathBuf {
        self.beside(".regrant")
    }

    pub(crate) fn beside(&self, end: &str) -> PathBuf {
        PathBuf::from(format!("{}{end}", self.file.display()))
    }

    /// The names in the folder, without that of the lock, which stays.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| !name.ends_with(".lock")).collect();
        names.sort();
        names
    }

    /// Another handle, as another process would have it.
    pub(crate) async fn open(&self) -> JsonFile {
        open(&self.file).await
    }

    pub(crate) async fn loaded(&self) -> Stored {
        self.open().await.load(ACCOUNT).await.unwrap().unwrap()
    }
}

/// The file of a program with these tokens, as it writes it.
pub(crate) fn written(token: &str) -> String {
    format!(
        "{{\n  \"theme\": \"dark\",\n  \"oauth\": {{\n    \"access\": \"{token} access\",\n    \
         \"refresh\": \"{token} refresh\",\n    \"expiry\": 1700003600000,\n    \
         \"scopes\": [\n      \"read\",\n      \"write\"\n    ],\n    \"plan\": 1.50\n  }}\n}}\n"
    )
}

pub(crate) fn map() -> JsonMap {
    JsonMap::parse([
        "access_token=/oauth/access",
        "refresh_token=/oauth/refresh",
        "expires_at=/oauth/expiry:ms",
        "scope=/oauth/scopes",
    ])
    .unwrap()
}

pub(crate) fn client() -> Client {
    let mut client = Client::new("https://as.example/token", "client");
    client.client_secret = Some(Secret::new("client secret".to_owned()));
    client
}

pub(crate) fn origin(text: &str) -> Origin {
    Origin::parse(text).unwrap()
}

pub(crate) async fn open(file: &Path) -> JsonFile {
    open_as(ACCOUNT, file).await
}

pub(crate) async fn open_as(name: &str, file: &Path) -> JsonFile {
    let account = JsonAccount {
        name: name.to_owned(),
        client: client(),
        origins: vec![origin("https://api.example")],
    };
    JsonFile::open(file, map(), account).await.unwrap()
}

/// A login of regrant's own.
pub(crate) fn login(number: u8, over: Option<&Record>) -> Record {
    let mut grant = Grant::bearer(Secret::new(format!("own {number} access")));
    grant.refresh_token = Some(Secret::new(format!("own {number} refresh")));
    grant.expires_in = Some(Duration::from_secs(3_600));
    grant.scope = Some("read write".to_owned());
    let login = Login {
        incarnation: Id([number; 16]),
        client: client(),
        origins: vec![origin("https://api.example")],
        grant,
        obtained_at: AT,
    };
    Record::login(&login, over)
}

/// The same login with the next tokens.
pub(crate) fn refreshed(record: &Record, token: &str) -> Record {
    let mut record = record.clone();
    record.generation += 1;
    let slot = record.slots.get_mut(&0).unwrap();
    slot.generation = record.generation;
    slot.access_token = Secret::new(format!("{token} access"));
    slot.obtained_at = AT;
    slot.lifetime_ms = Some(7_200_000);
    record.refresh_token = Some(Secret::new(format!("{token} refresh")));
    record
}

/// The same tokens, and one thing more that is known of them.
pub(crate) fn noted(record: &Record, fact: &str) -> Record {
    let mut record = record.clone();
    record.unknown.insert("fact".to_owned(), fact.into());
    record
}

pub(crate) fn logged_out(record: &Record) -> Record {
    Record::logged_out(record.incarnation, record.generation, AT)
}

/// The part of the tokens that tells them from others.
pub(crate) fn token(record: &Record) -> &str {
    let access = record.slot().unwrap().access_token.expose();
    let refresh = record.refresh_token.as_ref().unwrap().expose();
    let token = access.strip_suffix(" access").unwrap();
    assert_eq!(refresh.strip_suffix(" refresh").unwrap(), token, "halves of two");
    token
}

pub(crate) async fn save(store: &JsonFile, record: &Record, over: &Over) -> Kept {
    store.save(ACCOUNT, record, over).await.unwrap()
}

pub(crate) fn at(stored: &Stored) -> Over {
    Over::Version(stored.version.clone())
}

#[track_caller]
pub(crate) fn done(kept: Kept) -> Version {
    match kept {
        Kept::Done(version) => version,
        Kept::Mismatch(found) => panic!("refused: {:?}", found.map(|found| found.record)),
    }
}

#[track_caller]
pub(crate) fn mismatch(kept: Kept) -> Option<Stored> {
    match kept {
        Kept::Mismatch(found) => found,
        Kept::Done(_) => panic!("it should have been refused"),
    }
}

#[track_caller]
pub(crate) fn assert_fault<T>(result: Result<T, StoreError>, kind: StoreFault) -> StoreError {
    let Err(error) = result else { panic!("there should be an error of kind {kind}") };
    assert_eq!(error.kind(), kind, "{error}");
    error
}

/// A record has no equality, since it has tokens; its bytes have.
#[track_caller]
pub(crate) fn assert_same(found: &Record, expected: &Record) {
    assert_eq!(json(found), json(expected));
}

fn json(record: &Record) -> serde_json::Value {
    serde_json::from_slice(&record.encode()).unwrap()
}
