//! Where credentials are kept, and the key that seals them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use directories::BaseDirs;
use regrant::{StoreError, TokenStore as _};
use regrant_core::Record;
use regrant_storage::{Entry, FileLease, KeyFile, KeySource, Vault};
use regrant_storage_sqlite::SqliteStore;
use sha2::{Digest as _, Sha256};

use crate::args::Global;
use crate::error::Failure;
use crate::output::Output;

/// The store and the key source that the command line names. Nothing is opened yet.
#[derive(Debug)]
pub(crate) struct Place {
    database: PathBuf,
    key: KeyChoice,
}

#[derive(Debug)]
enum KeyChoice {
    /// What the store names; for a new store, a file of its own in this folder.
    Auto(Option<PathBuf>),
    File(PathBuf),
}

/// An open store.
#[derive(Debug)]
pub(crate) struct Store {
    vault: Arc<Vault>,
    lease: FileLease,
    database: PathBuf,
    /// What the store names as the source of its key; none before its first record.
    key_source: Option<KeySource>,
}

impl Place {
    /// What the options and the environment name.
    pub(crate) fn named(global: &Global) -> Result<Self, Failure> {
        let folders = BaseDirs::new();
        let database = match &global.store {
            Some(url) => database(url)?,
            None => data_folder(folders.as_ref())
                .ok_or_else(homeless)?
                .join("regrant")
                .join("credentials.db"),
        };
        Ok(Self { database, key: key(&global.key, folders.as_ref())? })
    }

    /// Opens it, which makes no file.
    pub(crate) async fn open(&self, output: Output) -> Result<Store, Failure> {
        let blobs = Arc::new(SqliteStore::open(&self.database).await?);
        // What cannot be read now is told by whoever needs it.
        let key_source = KeySource::recorded_in(&*blobs).await.unwrap_or(None);
        let ring = match &self.key {
            KeyChoice::File(path) => {
                let ring = KeyFile::new(path);
                if key_source.is_none() && ring.path().parent() == blobs.path().parent() {
                    output.note(
                        "the key file lies beside the store: whoever copies the folder has both",
                    );
                }
                ring
            }
            KeyChoice::Auto(folder) => match key_source.as_ref().and_then(KeySource::file_path) {
                Some(path) => KeyFile::new(path),
                None => KeyFile::new(own_key(folder.as_deref(), blobs.path())?),
            },
        };
        Ok(Store {
            lease: FileLease::new(blobs.lock_folder()),
            database: blobs.path().to_owned(),
            vault: Arc::new(Vault::new(blobs, Arc::new(ring))),
            key_source,
        })
    }
}

impl Store {
    pub(crate) fn vault(&self) -> Arc<Vault> {
        Arc::clone(&self.vault)
    }

    pub(crate) fn lease(&self) -> FileLease {
        self.lease.clone()
    }

    /// As `--store` takes it.
    pub(crate) fn url(&self) -> String {
        format!("sqlite:{}", self.database.display())
    }

    pub(crate) fn key_source(&self) -> Option<&KeySource> {
        self.key_source.as_ref()
    }

    /// The record of this account, without opening a session.
    pub(crate) async fn load(&self, account: &str) -> Result<Option<Record>, StoreError> {
        Ok(self.vault.load(account).await?.map(|stored| stored.record))
    }

    pub(crate) async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        self.vault.list().await
    }
}

/// The path in `sqlite:PATH`. The text is never quoted: a URL of another store can hold a
/// password.
fn database(url: &str) -> Result<PathBuf, Failure> {
    let scheme =
        |name: &str| url.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
    if scheme("sqlite:") {
        let path = &url["sqlite:".len()..];
        // `sqlite:///home/...`, as other tools write it.
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(Failure::usage("the store has no path").remedy("write --store sqlite:PATH"));
        }
        if path.starts_with(":memory:") {
            return Err(Failure::usage("a store in memory would end with this command")
                .remedy("write --store sqlite:PATH"));
        }
        return Ok(PathBuf::from(path));
    }
    for name in ["file", "keyring", "postgres", "postgresql"] {
        if scheme(name) && url[name.len()..].chars().next().is_none_or(|next| next == ':') {
            let what = format!("this build of regrant has no `{name}` store yet");
            return Err(Failure::usage(what).remedy("use --store sqlite:PATH"));
        }
    }
    Err(Failure::usage("--store names no store that regrant knows")
        .remedy("write --store sqlite:PATH"))
}

fn key(source: &str, folders: Option<&BaseDirs>) -> Result<KeyChoice, Failure> {
    match source.split_once(':').unwrap_or((source, "")) {
        ("auto", "") => Ok(KeyChoice::Auto(configuration_folder(folders))),
        ("file", "") => {
            Err(Failure::usage("the key file has no path").remedy("write --key file:PATH"))
        }
        ("file", path) => Ok(KeyChoice::File(PathBuf::from(path))),
        (name @ ("keychain" | "passphrase-fd" | "prompt"), _) => {
            let what = format!("this build of regrant takes no key from `{name}` yet");
            Err(Failure::usage(what).remedy("use --key file:PATH, or leave --key away"))
        }
        _ => Err(Failure::usage("--key names no source of keys that regrant knows")
            .remedy("use --key file:PATH, or leave --key away")),
    }
}

/// The key file of a new store: under another root than the data, and one for each store, so that
/// a key that is lost or given away concerns that store alone.
fn own_key(folder: Option<&Path>, database: &Path) -> Result<PathBuf, Failure> {
    let hash = Sha256::digest(database.as_os_str().as_encoded_bytes());
    // 64 bits: nobody has so many stores that two names meet.
    let name: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = folder.ok_or_else(homeless)?.join("regrant").join("keys");
    Ok(folder.join(format!("{name}.key")))
}

/// `XDG_DATA_HOME` counts everywhere; else the folder of the system for what stays on this host.
fn data_folder(folders: Option<&BaseDirs>) -> Option<PathBuf> {
    from_environment("XDG_DATA_HOME").or_else(|| Some(folders?.data_local_dir().to_owned()))
}

/// Another root than that of the data, on every system.
fn configuration_folder(folders: Option<&BaseDirs>) -> Option<PathBuf> {
    from_environment("XDG_CONFIG_HOME").or_else(|| Some(folders?.preference_dir().to_owned()))
}

/// The XDG specification ignores paths that are not absolute.
fn from_environment(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn homeless() -> Failure {
    Failure::usage("this user has no home folder to keep credentials in")
        .remedy("name both: --store sqlite:PATH --key file:PATH")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_stores_of_this_build_are_named() {
        assert_eq!(database("sqlite:/a/b.db").unwrap(), Path::new("/a/b.db"));
        assert_eq!(database("sqlite:///a/b.db").unwrap(), Path::new("/a/b.db"));
        assert_eq!(database("SQLite:b.db").unwrap(), Path::new("b.db"));
        for url in ["file:x", "keyring", "keyring:x", "postgres://u:canary@h/d", "sqlite:", "/a.db"]
        {
            let failure = database(url).unwrap_err();
            let text = failure.to_prose();
            assert!(!text.contains("canary") && text.contains("sqlite:PATH"), "{text}");
        }
        assert!(database("postgres://h").unwrap_err().to_prose().contains("this build"));
        assert!(database("filesystem:x").unwrap_err().to_prose().contains("no store"));
    }

    #[test]
    fn only_keys_of_this_build_are_named() {
        assert!(key("auto", None).is_ok() && key("file:/x", None).is_ok());
        for source in ["keychain", "passphrase-fd:3", "prompt", "file:", "x", ""] {
            assert!(key(source, None).is_err(), "{source}");
        }
    }

    #[test]
    fn two_stores_have_two_key_files() {
        let folder = Some(Path::new("/config"));
        let one = own_key(folder, Path::new("/a.db")).unwrap();
        let two = own_key(folder, Path::new("/b.db")).unwrap();
        assert!(one != two && one.starts_with("/config/regrant/keys"), "{one:?}");
    }
}
