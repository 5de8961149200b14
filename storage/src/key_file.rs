//! A key in a file of its own.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use regrant_core::StoreFault;
use zeroize::Zeroizing;

use crate::error::StoreError;
use crate::key::{self, Key, KeyRing, KeySource, NewKey, Protection};
use crate::owner_only;

/// A [`KeyRing`] of one key: 32 random bytes in a file.
///
/// The file is made with the first save into a new store and never after that; it is readable by
/// its owner alone from its first byte on, and complete as soon as it has its name. What is found
/// must be a regular file (a symbolic link to one is followed) that belongs to the user this
/// process runs as; if others may read it, that is taken from them, with a warning.
///
/// It protects a store from those who get the store and not the file: keep it under another root.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// The key file at this path, which need not be there yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: resolved(path.into()) }
    }

    /// Where it lies: an absolute path, its folder without links as far as it was there.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name under which a store records it.
    pub fn source(&self) -> KeySource {
        KeySource::file(&self.path)
    }

    fn read(&self) -> Result<Option<Key>, StoreError> {
        // Looked at before it is opened, since opening a pipe waits for a writer.
        match fs::metadata(&self.path) {
            Ok(metadata) => must_be_ours(&metadata)?,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        }
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(unreadable(error)),
        };
        must_be_ours(&file.metadata().map_err(unreadable)?)?;
        // One byte more than a key has, to tell a longer file.
        let mut bytes = Zeroizing::new([0; 33]);
        let length = read_full(&mut file, bytes.as_mut_slice()).map_err(unreadable)?;
        let Some(key) = bytes.first_chunk().filter(|key| key.len() == length) else {
            return Err(StoreError::new(
                StoreFault::KeyMissing,
                "the key file does not hold the 32 bytes of a key: restore it, or remove it if the store is new",
            ));
        };
        // Only now: a store can name any file, and must not have the rights to it changed.
        match owner_only::repair(&file) {
            Ok(false) => {}
            Ok(true) => tracing::warn!(
                path = %self.path.display(),
                "others could read the key file; now its owner alone can"
            ),
            Err(error) => {
                let what = "others can read the key file: give it the mode 0600";
                return Err(StoreError::new(StoreFault::Unavailable, what).because(error));
            }
        }
        Ok(Some(Key::new(key)))
    }

    /// Makes the file, unless somebody else was faster.
    fn make(&self) -> Result<(), StoreError> {
        let folder = self.path.parent().unwrap_or_else(|| Path::new("."));
        owner_only::create_folder(folder).map_err(unmade)?;
        let key = Key::random()?;
        let temporary = Temporary::beside(&self.path)?;
        write_new(&temporary.0, &key).map_err(unmade)?;
        // A second name for a whole file, which fails if the name is taken: so nobody reads a
        // part, and of those who come at once one wins.
        if fs::hard_link(&temporary.0, &self.path).is_err() {
            // The name is taken, or the file system has no links. A crash in here then leaves a
            // short file, which is told from a key.
            match write_new(&self.path, &key) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
                Err(error) => return Err(unmade(error)),
            }
        }
        drop(temporary);
        owner_only::sync_folder(folder).map_err(unmade)
    }
}

#[async_trait]
impl KeyRing for KeyFile {
    fn opens(&self, source: &KeySource) -> bool {
        *source == self.source()
    }

    async fn load(
        &self,
        _source: &KeySource,
        _parameters: &[u8],
    ) -> Result<Option<Key>, StoreError> {
        self.read()
    }

    async fn create(&self) -> Result<NewKey, StoreError> {
        if self.read()?.is_none() {
            self.make()?;
        }
        // Read back, also what we wrote ourselves: the key that all others will find.
        let key = self.read()?.ok_or_else(|| {
            let what = "the key file is gone as soon as it is made: see what its path leads to";
            StoreError::new(StoreFault::KeyMissing, what)
        })?;
        Ok(NewKey { key, source: self.source(), parameters: Vec::new() })
    }

    fn protection(&self, _source: &KeySource) -> Protection {
        Protection::None
    }
}

/// A name that goes when it is dropped, whatever became of the file.
struct Temporary(PathBuf);

impl Temporary {
    fn beside(path: &Path) -> Result<Self, StoreError> {
        let mut random = [0; 8];
        key::fill_random(&mut random)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{:016x}.tmp", u64::from_be_bytes(random)));
        Ok(Self(path.with_file_name(name)))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It may never have come to be.
        let _ = fs::remove_file(&self.0);
    }
}

fn write_new(path: &Path, key: &Key) -> io::Result<()> {
    let mut file = owner_only::options().write(true).create_new(true).open(path)?;
    file.write_all(key.expose())?;
    file.sync_all()
}

fn read_full(file: &mut File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while length < bytes.len() {
        match file.read(&mut bytes[length..]) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

fn must_be_ours(metadata: &fs::Metadata) -> Result<(), StoreError> {
    let refused = |what| Err(StoreError::new(StoreFault::Unavailable, what));
    if !metadata.is_file() {
        return refused("the key file is not a regular file: name another path");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return refused(
                "the key file belongs to another user: give it to the one who runs this",
            );
        }
    }
    Ok(())
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

fn unreadable(error: io::Error) -> StoreError {
    StoreError::new(StoreFault::Unavailable, "the key file cannot be read").because(error)
}

fn unmade(error: io::Error) -> StoreError {
    StoreError::io("the key file cannot be made: name a path that can be written", error)
}

/// The same name for the same file, from whatever folder and by whatever links one comes to it.
/// The last part stays as it is: who links the file itself wants to be able to change where to.
fn resolved(path: PathBuf) -> PathBuf {
    let path = std::path::absolute(&path).unwrap_or(path);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return path };
    // What is missing of the folder will be made without links, so it resolves to itself.
    let real = folder.ancestors().find_map(|ancestor| {
        let missing = folder.strip_prefix(ancestor).ok()?;
        Some(fs::canonicalize(ancestor).ok()?.join(missing))
    });
    real.map_or_else(|| path.clone(), |folder| folder.join(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    fn load(file: &KeyFile) -> Result<Option<Key>, StoreError> {
        block_on(file.load(&file.source(), b""))
    }

    fn create(file: &KeyFile) -> Key {
        block_on(file.create()).unwrap().key
    }

    #[test]
    fn loading_makes_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::new(folder.path().join("deep/regrant.key"));
        assert!(load(&file).unwrap().is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_key_that_was_created_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::new(folder.path().join("deep/regrant.key"));
        let key = create(&file);
        assert_eq!(load(&file).unwrap().unwrap().expose(), key.expose());
        assert_eq!(create(&file).expose(), key.expose());
        let left: Vec<_> = fs::read_dir(folder.path().join("deep")).unwrap().collect();
        assert_eq!(left.len(), 1, "a temporary file is left: {left:?}");
    }

    #[test]
    fn of_fifty_creators_all_get_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regrant.key");
        let threads: Vec<_> = (0..50)
            .map(|_| KeyFile::new(&path))
            .map(|file| thread::spawn(move || *create(&file).id()))
            .collect();
        let ids: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(ids.iter().all(|id| id == &ids[0]), "{ids:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_no_key_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("regrant.key");
        for length in [0, 31, 33, 100] {
            fs::write(&path, vec![1; length]).unwrap();
            let file = KeyFile::new(&path);
            assert_eq!(load(&file).unwrap_err().kind(), StoreFault::KeyMissing);
            let error = block_on(file.create()).unwrap_err();
            assert_eq!(error.kind(), StoreFault::KeyMissing);
            assert_eq!(fs::read(&path).unwrap().len(), length);
        }
    }

    #[test]
    fn a_folder_is_no_key_file() {
        let folder = tempfile::tempdir().unwrap();
        let error = load(&KeyFile::new(folder.path())).unwrap_err();
        assert_eq!(error.kind(), StoreFault::Unavailable);
    }

    /// Opening one for reading waits until somebody writes.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::new(folder.path().join("regrant.key"));
        mknodat(CWD, file.path(), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        thread::spawn(move || tell.send(load(&file).unwrap_err().kind()));
        let found = told.recv_timeout(std::time::Duration::from_secs(30)).unwrap();
        assert_eq!(found, StoreFault::Unavailable);
    }

    #[cfg(unix)]
    #[test]
    fn one_file_has_one_source_by_whatever_path() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        fs::create_dir(root.join("real")).unwrap();
        std::os::unix::fs::symlink(root.join("real"), root.join("link")).unwrap();
        let direct = KeyFile::new(root.join("real/new/regrant.key"));
        let before = KeyFile::new(root.join("link/new/regrant.key"));
        create(&before);
        let after = KeyFile::new(root.join("link/new/regrant.key"));
        assert_eq!(before.source(), direct.source());
        assert_eq!(after.source(), direct.source());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_key_file_is_followed_and_a_dangling_one_is_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let real = KeyFile::new(folder.path().join("real.key"));
        let link = KeyFile::new(folder.path().join("link.key"));
        std::os::unix::fs::symlink(real.path(), link.path()).unwrap();
        assert!(load(&link).unwrap().is_none());
        assert_eq!(block_on(link.create()).unwrap_err().kind(), StoreFault::KeyMissing);
        let key = create(&real);
        assert_eq!(load(&link).unwrap().unwrap().expose(), key.expose());
    }

    #[cfg(unix)]
    #[test]
    fn what_others_could_read_is_theirs_no_more() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::new(folder.path().join("regrant.key"));
        create(&file);
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644)).unwrap();
        assert!(load(&file).unwrap().is_some());
        assert_eq!(fs::metadata(file.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn the_rights_to_a_file_that_is_no_key_are_left_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        fs::write(&path, "what everybody may read, and what no store may hide").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(load(&KeyFile::new(&path)).unwrap_err().kind(), StoreFault::KeyMissing);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    }

    /// Runs as root alone, who may give files away; others cannot get into the situation without.
    #[cfg(unix)]
    #[test]
    fn the_key_file_of_another_user_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = KeyFile::new(folder.path().join("regrant.key"));
        create(&file);
        if std::os::unix::fs::chown(file.path(), Some(65_534), None).is_ok() {
            assert_eq!(load(&file).unwrap_err().kind(), StoreFault::Unavailable);
        }
    }
}
