//! The folder, and what is read from it. All of this waits for the disk.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use regrant_storage::{Blob, Entry, Name, StoreError, owner_only, places};

use crate::fault;
use crate::names::{self, Part, Stem};
use crate::privacy::Privacy;
use crate::site::{Held, Site};

/// One folder of records, as one handle knows it.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) privacy: Privacy,
    /// Whether it was said that this place has no locks.
    pub(crate) is_known_lockless: AtomicBool,
    /// Whether the leftovers of others were looked for.
    pub(crate) is_swept: AtomicBool,
}

impl Folder {
    /// The folder at this path, with the links in it resolved. Nothing needs to be there.
    pub(crate) fn resolve(path: &Path) -> Result<Self, StoreError> {
        let path = places::real_path(path).map_err(|error| fault::of_looking(path, error))?;
        Ok(Self {
            path,
            privacy: Privacy::default(),
            is_known_lockless: AtomicBool::default(),
            is_swept: AtomicBool::default(),
        })
    }

    /// Names the folder, whatever bytes its path has.
    pub(crate) fn identity(&self) -> String {
        let path = match self.path.to_str() {
            Some(text) => text.to_owned(),
            None => self.path.as_os_str().as_encoded_bytes().escape_ascii().to_string(),
        };
        format!("file:{path}")
    }

    pub(crate) fn site(&self, stem: Stem) -> Result<Site<'_>, StoreError> {
        self.privacy.of_folder(&self.path);
        Site::find(&self.path, stem, &self.privacy)
    }

    pub(crate) fn load(&self, name: &Name) -> Result<Option<Blob>, StoreError> {
        match self.site(Stem::of(name))?.load()? {
            Held::Nothing => Ok(None),
            Held::Record(blob) => Ok(Some(blob)),
            Held::Unreadable(error) => Err(error),
        }
    }

    /// All accounts' entries, by name. One that cannot be read has no entry, and must not be left
    /// out in silence: then there is no list.
    pub(crate) fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        for stem in self.accounts()? {
            match self.site(stem)?.load()? {
                Held::Nothing => {}
                Held::Record(blob) => entries.push(blob.entry),
                Held::Unreadable(error) => return Err(error),
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// The stems of all accounts that may have a record.
    ///
    /// Some file systems (btrfs is one) leave a name out of what they list if it is replaced
    /// meanwhile. So accounts are also known by their locks: those are made before their records,
    /// and neither replaced nor deleted.
    fn accounts(&self) -> Result<BTreeSet<Stem>, StoreError> {
        let files = files(&self.path).map_err(|error| fault::of_looking(&self.path, error))?;
        let accounts = files.into_iter().filter_map(|file| match file.part {
            Part::Record | Part::Lock if !file.stem.is_data_key() => Some(file.stem),
            Part::Record | Part::Lock | Part::Unfinished(_) | Part::Copy => None,
        });
        Ok(accounts.collect())
    }
}

/// A file that this crate has made.
#[derive(Debug)]
pub(crate) struct OurFile {
    pub(crate) path: PathBuf,
    pub(crate) stem: Stem,
    pub(crate) part: Part,
}

/// The files in a folder that are ours; none if there is no folder.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<OurFile>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if let Some((stem, part)) = name.to_str().and_then(names::parse) {
            files.push(OurFile { path: folder.join(name), stem, part });
        }
    }
    Ok(files)
}

/// Makes a folder and those above it, durably: the name of a new folder is lost in a power loss
/// like that of a new file.
pub(crate) fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().ok_or(ErrorKind::NotFound)?;
    make(above)?;
    owner_only::create_folder(path)?;
    owner_only::sync_folder(above)
}

/// Makes the name of a folder survive a power loss, for whoever made it and was killed before he
/// could. Not everybody may do that, and then it is not our folder.
pub(crate) fn sync_name(path: &Path) {
    if let Some(Err(error)) = path.parent().map(owner_only::sync_folder) {
        tracing::debug!(%error, "the name of the folder was not synced");
    }
}
