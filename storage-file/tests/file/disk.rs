//! A disk that forgets: what may be there after a power loss.
//!
//! It keeps what was synced. Of the rest it may keep anything: any of the changes to a folder
//! since that was synced, and of a file that was not synced all, half, or nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::trace::Call;

#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    files: Vec<File>,
    /// What the names mean to the processes.
    now: Names,
    /// What they mean after a power loss, if no change was kept.
    synced: Names,
    changes: Vec<Change>,
}

/// Names of files, by their number, and of folders.
type Names = BTreeMap<PathBuf, Option<usize>>;

#[derive(Clone, Debug)]
struct File {
    content: Vec<u8>,
    is_synced: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Name(PathBuf, Option<usize>),
    Rename(PathBuf, PathBuf, usize),
    Remove(PathBuf),
}

impl Change {
    fn folder(&self) -> &Path {
        match self {
            Self::Name(path, _) | Self::Rename(_, path, _) | Self::Remove(path) => {
                path.parent().unwrap()
            }
        }
    }

    fn apply(&self, names: &mut Names) {
        match self {
            Self::Name(path, file) => {
                names.insert(path.clone(), *file);
            }
            Self::Rename(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), Some(*file));
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

/// What lies below a folder, by names relative to it; `None` is a folder.
pub(crate) type Image = BTreeMap<PathBuf, Option<Vec<u8>>>;

impl Disk {
    /// A disk on which all that is below this folder was synced.
    pub(crate) fn of(below: &Path) -> Self {
        let mut disk = Self::default();
        let mut left = vec![below.to_owned()];
        while let Some(folder) = left.pop() {
            for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
                let file = if path.is_dir() {
                    left.push(path.clone());
                    None
                } else {
                    let content = fs::read(&path).unwrap();
                    disk.files.push(File { content, is_synced: true });
                    Some(disk.files.len() - 1)
                };
                disk.synced.insert(path, file);
            }
        }
        disk.now = disk.synced.clone();
        disk
    }

    pub(crate) fn take(&mut self, call: &Call) {
        let change = match call {
            Call::Mkdir(path) => Change::Name(path.clone(), None),
            Call::Create(path) if self.now.contains_key(path) => return,
            Call::Create(path) => {
                self.files.push(File { content: Vec::new(), is_synced: false });
                Change::Name(path.clone(), Some(self.files.len() - 1))
            }
            Call::Write(path, bytes) => {
                let file = self.now[path].unwrap();
                self.files[file].content.extend_from_slice(bytes);
                self.files[file].is_synced = false;
                return;
            }
            Call::Sync(path) => {
                if let Some(Some(file)) = self.now.get(path) {
                    self.files[*file].is_synced = true;
                } else {
                    let (synced, left) =
                        self.changes.drain(..).partition(|change| change.folder() == path);
                    self.changes = left;
                    let synced: Vec<Change> = synced;
                    synced.iter().for_each(|change| change.apply(&mut self.synced));
                }
                return;
            }
            Call::Link(from, to) => Change::Name(to.clone(), self.now[from]),
            Call::Rename(from, to) => {
                Change::Rename(from.clone(), to.clone(), self.now[from].unwrap())
            }
            Call::Unlink(path) => Change::Remove(path.clone()),
        };
        change.apply(&mut self.now);
        self.changes.push(change);
    }

    /// All that can be there, relative to this folder.
    pub(crate) fn images(&self, below: &Path) -> Vec<Image> {
        let mut images = Vec::new();
        for kept in 0..1_u32 << self.changes.len() {
            let mut names = self.synced.clone();
            for (index, change) in self.changes.iter().enumerate() {
                if kept & (1 << index) != 0 {
                    change.apply(&mut names);
                }
            }
            for part in 0..3 {
                let image = self.image(&names, below, part);
                if !images.contains(&image) {
                    images.push(image);
                }
            }
        }
        images
    }

    /// What these names name, if of what was not synced none, half or all is kept.
    fn image(&self, names: &Names, below: &Path, part: usize) -> Image {
        let is_reached = |path: &Path| {
            let mut above = path.ancestors().skip(1).take_while(|above| *above != below);
            above.all(|above| names.contains_key(above))
        };
        let reached = names.iter().filter(|(path, _)| is_reached(path));
        let relative = reached.map(|(path, file)| {
            let content = file.map(|file| {
                let File { content, is_synced } = &self.files[file];
                let length = if *is_synced { content.len() } else { content.len() * part / 2 };
                content[..length].to_vec()
            });
            (path.strip_prefix(below).unwrap().to_owned(), content)
        });
        relative.collect()
    }
}

/// Makes it real, in an empty folder.
pub(crate) fn write(image: &Image, folder: &Path) {
    for (path, content) in image {
        let path = folder.join(path);
        match content {
            None => fs::create_dir(path).unwrap(),
            Some(content) => fs::write(path, content).unwrap(),
        }
    }
}
