//! The files of a store, for those who look at their rights and at what was left behind.

use std::fs;
use std::path::{Path, PathBuf};

use super::Location;

/// The files and folders of a store that are there.
#[derive(Debug)]
pub(crate) struct Files {
    found: Vec<PathBuf>,
}

/// Who can do what with them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rights {
    /// There is nothing yet.
    Nothing,
    OwnerOnly,
    /// What is wrong, and with which one.
    Wrong(String),
    /// This system has no modes: files inherit who may read them from the user's folder.
    #[cfg_attr(unix, expect(dead_code, reason = "on Unix files have modes"))]
    Inherited,
}

impl Files {
    pub(super) fn of(location: &Location, lock_folder: &Path) -> Self {
        let mut found = match location {
            Location::Sqlite(database) => beside(database),
            Location::Folder(folder) | Location::Keyring(folder) => with_content(folder),
        };
        found.extend(with_content(lock_folder));
        found.sort();
        found.dedup();
        Self { found }
    }

    /// Whether the store has anything yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Copies that were set aside before a login or a logout saved over what was damaged.
    pub(crate) fn copies(&self) -> Vec<&Path> {
        let is_copy = |path: &&Path| {
            path.extension().is_some_and(|end| end.to_string_lossy().starts_with("corrupt-"))
        };
        self.found.iter().map(PathBuf::as_path).filter(is_copy).collect()
    }

    pub(crate) fn rights(&self) -> Rights {
        if self.is_empty() {
            return Rights::Nothing;
        }
        rights(self.found.iter().map(PathBuf::as_path))
    }
}

/// The folder and what lies in it.
fn with_content(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let content = entries.filter_map(Result::ok).map(|entry| entry.path());
    content.chain([folder.to_owned()]).collect()
}

/// The file, and those whose names begin with its own.
fn beside(file: &Path) -> Vec<PathBuf> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Vec::new() };
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let name = name.as_encoded_bytes();
    let is_ours = |path: &PathBuf| {
        let rest = path.file_name().and_then(|other| other.as_encoded_bytes().strip_prefix(name));
        rest.is_some_and(|rest| matches!(rest, [] | [b'-' | b'.', ..]))
    };
    entries.filter_map(Result::ok).map(|entry| entry.path()).filter(is_ours).collect()
}

/// Who can do what with these.
#[cfg(unix)]
pub(crate) fn rights<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Rights {
    use std::os::unix::fs::MetadataExt as _;
    let us = rustix::process::geteuid().as_raw();
    for path in paths {
        // What has gone meanwhile was a save's.
        let Ok(metadata) = fs::metadata(path) else { continue };
        let mode = metadata.mode() & 0o777;
        if metadata.uid() != us {
            return Rights::Wrong(format!("{} belongs to another user", path.display()));
        }
        if mode & 0o077 != 0 {
            return Rights::Wrong(format!("{} has the mode {mode:04o}", path.display()));
        }
    }
    Rights::OwnerOnly
}

#[cfg(not(unix))]
pub(crate) fn rights<'a>(_: impl IntoIterator<Item = &'a Path>) -> Rights {
    Rights::Inherited
}

impl Rights {
    /// In a few words; `None` where there is nothing to say anything of.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::OwnerOnly => Some("owner-only"),
            Self::Wrong(what) => Some(what),
            Self::Inherited => Some("those of the user's folder"),
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn with_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn rights_of_others_are_told_of_the_file_that_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.db");
        let locks = folder.path().join("a.db.locks");
        let files = || Files::of(&Location::Sqlite(database.clone()), &locks);
        with_mode(folder.path(), 0o755);
        assert_eq!(files().rights(), Rights::Nothing);
        fs::write(&database, "").unwrap();
        fs::create_dir(&locks).unwrap();
        fs::write(folder.path().join("a.dbx"), "").unwrap();
        with_mode(&database, 0o600);
        with_mode(&locks, 0o700);
        assert_eq!(files().rights(), Rights::OwnerOnly);
        for (name, mode) in [("a.db-journal", 0o640), ("a.db.corrupt-1", 0o604)] {
            let path = folder.path().join(name);
            fs::write(&path, "").unwrap();
            with_mode(&path, mode);
            let Rights::Wrong(what) = files().rights() else { panic!("{name} is for others too") };
            assert!(what.contains(name) && what.contains(&format!("{mode:04o}")), "{what}");
            with_mode(&path, 0o600);
        }
        assert_eq!(files().copies(), [folder.path().join("a.db.corrupt-1")]);
    }

    #[test]
    fn a_folder_of_files_counts_with_all_that_is_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let location = Location::Folder(folder.path().to_owned());
        let files = || Files::of(&location, folder.path());
        with_mode(folder.path(), 0o700);
        assert_eq!(files().rights(), Rights::OwnerOnly);
        with_mode(folder.path(), 0o750);
        assert!(matches!(files().rights(), Rights::Wrong(_)));
    }
}
