//! What `--store` names.

use std::path::{Path, PathBuf};

use crate::error::Failure;
use crate::folders;

/// What a store is named by, for those who wrote something else.
const FORMS: &str = "write --store sqlite:PATH, file:FOLDER or keyring:FOLDER";

/// A place for credentials, by its path. Nothing is opened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Location {
    /// A database.
    Sqlite(PathBuf),
    /// A folder of sealed files.
    Folder(PathBuf),
    /// The same, with its key in the keychain.
    Keyring(PathBuf),
}

impl Location {
    /// The place of this URL. The text is never quoted: a URL of another store can hold a
    /// password.
    pub(crate) fn parse(url: &str) -> Result<Self, Failure> {
        // `keyring` needs no path, so it needs no colon.
        let (scheme, path) = url.split_once(':').unwrap_or((url, ""));
        // `sqlite:///home/...`, as other tools write it.
        let path = path.strip_prefix("//").unwrap_or(path);
        match scheme.to_ascii_lowercase().as_str() {
            "sqlite" if path.starts_with(":memory:") => {
                Err(Failure::usage("a store in memory would end with this command").remedy(FORMS))
            }
            "sqlite" => Ok(Self::Sqlite(some(path)?)),
            "file" => Ok(Self::Folder(some(path)?)),
            "keyring" if path.is_empty() => {
                Ok(Self::Keyring(folders::data().ok_or_else(homeless)?.join("keyring")))
            }
            "keyring" => Ok(Self::Keyring(path.into())),
            name @ ("postgres" | "postgresql") => {
                let what = format!("a `{name}` store is not in this build");
                Err(Failure::usage(what).remedy(FORMS))
            }
            _ => Err(Failure::usage("--store names no store that regrant knows").remedy(FORMS)),
        }
    }

    /// Where credentials are kept if nobody says where.
    pub(crate) fn usual() -> Result<Self, Failure> {
        Ok(Self::Sqlite(folders::data().ok_or_else(homeless)?.join("credentials.db")))
    }

    /// The same place by another path to it.
    #[must_use]
    pub(crate) fn at(&self, path: &Path) -> Self {
        let path = path.to_owned();
        match self {
            Self::Sqlite(_) => Self::Sqlite(path),
            Self::Folder(_) => Self::Folder(path),
            Self::Keyring(_) => Self::Keyring(path),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Sqlite(path) | Self::Folder(path) | Self::Keyring(path) => path,
        }
    }

    /// Whether a file at this path lies where the store does.
    pub(crate) fn holds(&self, file: &Path) -> bool {
        match self {
            Self::Sqlite(database) => file.parent() == database.parent(),
            Self::Folder(folder) | Self::Keyring(folder) => file.starts_with(folder),
        }
    }

    /// As `--store` takes it.
    pub(crate) fn url(&self) -> String {
        let scheme = match self {
            Self::Sqlite(_) => "sqlite",
            Self::Folder(_) => "file",
            Self::Keyring(_) => "keyring",
        };
        format!("{scheme}:{}", self.path().display())
    }
}

fn some(path: &str) -> Result<PathBuf, Failure> {
    if path.is_empty() {
        return Err(Failure::usage("the store has no path").remedy(FORMS));
    }
    Ok(path.into())
}

/// Nobody has said where, and there is no usual place.
pub(crate) fn homeless() -> Failure {
    Failure::usage("this user has no home folder to keep credentials in")
        .remedy("name both: --store sqlite:PATH --key file:PATH")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_named_by_its_kind_and_its_path() {
        let sqlite = |path: &str| Location::Sqlite(path.into());
        let folder = |path: &str| Location::Folder(path.into());
        let keyring = |path: &str| Location::Keyring(path.into());
        for (url, place) in [
            ("sqlite:/a/b.db", sqlite("/a/b.db")),
            ("sqlite:///a/b.db", sqlite("/a/b.db")),
            ("SQLite:b.db", sqlite("b.db")),
            ("file:/a/b", folder("/a/b")),
            ("file:///a/b", folder("/a/b")),
            ("file:b", folder("b")),
            ("keyring:/a", keyring("/a")),
        ] {
            assert_eq!(Location::parse(url).unwrap(), place, "{url}");
        }
    }

    #[test]
    fn what_a_store_is_called_leads_back_to_it() {
        for url in ["sqlite:/a/b.db", "file:/a/b", "keyring:/a:b"] {
            let place = Location::parse(url).unwrap();
            assert_eq!(place.url(), url);
            assert_eq!(place.at(Path::new("/c")).path(), Path::new("/c"));
        }
    }

    #[test]
    fn what_is_no_store_of_this_build_is_not_quoted() {
        for url in ["postgres://u:canary@h/d", "postgresql://canary", "canary", "sqlite:", "file:"]
        {
            let text = Location::parse(url).unwrap_err().to_prose();
            assert!(!text.contains("canary") && text.contains("sqlite:PATH"), "{text}");
        }
        let text = Location::parse("postgres://h").unwrap_err().to_prose();
        assert!(text.contains("not in this build"), "{text}");
        assert!(Location::parse("filesystem:x").is_err());
        assert!(Location::parse("sqlite::memory:").is_err());
    }
}
