//! A store in files, with a flaw or without.

use std::collections::hash_map::DefaultHasher;
use std::fs::{self, File, OpenOptions};
use std::hash::{Hash as _, Hasher as _};
use std::io::{self, ErrorKind, Write as _};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use async_trait::async_trait;
use regrant_core::{Id, StoreFault, Timestamp};
use regrant_storage::laws::{BlobPlace, ProcessPlace, Task};
use regrant_storage::{Blob, BlobStore, Capabilities, Entry, Expected, Name, Saved, StoreError};
use tempfile::TempDir;

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Nothing: shows that the laws can be kept.
    None,
    /// Writes over what is there, without a draft.
    WritesInPlace,
    /// Saves whatever is there.
    NeverCompares,
    /// Compares, and then saves, without a lock around both.
    ComparesUnlocked,
    /// Takes the old away before the new is there.
    RemovesFirst,
    /// Says that it is done, and does it then.
    AnswersFirst,
    /// Its lock is a file that exists: nobody removes it for the dead.
    LocksByExistence,
    /// Names each draft anew, and sweeps none.
    LeavesDrafts,
    /// Calls every failure one that has changed nothing.
    DeniesWhatItDid,
    /// Takes a full disk for a store that is away.
    HidesTheFullDisk,
}

const FLAWS: [Flaw; 10] = [
    Flaw::None,
    Flaw::WritesInPlace,
    Flaw::NeverCompares,
    Flaw::ComparesUnlocked,
    Flaw::RemovesFirst,
    Flaw::AnswersFirst,
    Flaw::LocksByExistence,
    Flaw::LeavesDrafts,
    Flaw::DeniesWhatItDid,
    Flaw::HidesTheFullDisk,
];

/// A folder with a store of this flaw.
pub(crate) struct Files {
    flaw: Flaw,
    path: PathBuf,
    /// Of the one that was made new: it goes with it.
    _folder: Option<TempDir>,
}

impl Files {
    pub(crate) fn with(flaw: Flaw) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { flaw, path: folder.path().to_owned(), _folder: Some(folder) }
    }
}

impl ProcessPlace for Files {
    fn address(&self) -> String {
        format!("{:?}:{}", self.flaw, self.path.display())
    }

    fn at(address: &str) -> Self {
        let (flaw, path) = address.split_once(':').unwrap();
        let flaw = FLAWS.into_iter().find(|known| format!("{known:?}") == flaw).unwrap();
        Self { flaw, path: path.into(), _folder: None }
    }

    fn leftovers(&self) -> Vec<String> {
        let names = fs::read_dir(&self.path).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.contains("draft")).collect()
    }
}

#[async_trait]
impl BlobPlace for Files {
    async fn open(&self) -> Arc<dyn BlobStore> {
        let (flaw, folder) = (self.flaw, self.path.clone());
        Arc::new(InFiles { flaw, folder, late: Mutex::default() })
    }

    async fn together(&self, tasks: Vec<Task>) {
        let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
        for task in running {
            // With what the law has said.
            task.await.unwrap_or_else(|error| resume_unwind(error.into_panic()));
        }
    }
}

/// One file for each name, called by its hash.
#[derive(Debug)]
struct InFiles {
    flaw: Flaw,
    folder: PathBuf,
    /// A save that was answered before it was done.
    late: Mutex<Option<JoinHandle<()>>>,
}

impl InFiles {
    fn path(&self, name: &Name) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        self.folder.join(format!("{:016x}.blob", hasher.finish()))
    }

    fn read(&self, name: &Name) -> Result<Option<Blob>, StoreError> {
        if let Some(late) = self.late.lock().unwrap().take() {
            late.join().unwrap();
        }
        read(&self.path(name))
    }

    fn save_locked(&self, blob: &Blob, expected: Expected) -> Result<Saved, StoreError> {
        let path = self.path(&blob.entry.name);
        let found = self.read(&blob.entry.name)?;
        if self.flaw != Flaw::NeverCompares && expected != expected_of(found.as_ref()) {
            return Ok(Saved::Mismatch(found));
        }
        let bytes = encoded(blob);
        if self.flaw == Flaw::ComparesUnlocked {
            // Rare on a fast disk, and the test of the law must not be a matter of luck.
            thread::park_timeout(Duration::from_millis(1));
        }
        if self.flaw == Flaw::AnswersFirst && found.is_some() {
            let save = move || {
                thread::park_timeout(Duration::from_millis(1));
                publish(Flaw::None, &path, &bytes).unwrap();
            };
            *self.late.lock().unwrap() = Some(thread::spawn(save));
            return Ok(Saved::Done);
        }
        publish(self.flaw, &path, &bytes)?;
        Ok(Saved::Done)
    }
}

#[async_trait]
impl BlobStore for InFiles {
    async fn load(&self, name: &Name) -> Result<Option<Blob>, StoreError> {
        self.read(name)
    }

    async fn save(&self, blob: &Blob, expected: Expected) -> Result<Saved, StoreError> {
        let _lock = Lock::take(self.flaw, &self.folder)?;
        self.save_locked(blob, expected)
    }

    async fn list(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.folder).map_err(unreachable_place)? {
            let path = file.map_err(unreachable_place)?.path();
            if path.extension().is_some_and(|end| end == "blob")
                && let Some(blob) = read(&path)?
                && blob.entry.name != Name::DataKey
            {
                entries.push(blob.entry);
            }
        }
        Ok(entries)
    }

    async fn replace(&self, blob: &Blob) -> Result<Saved, StoreError> {
        Ok(Saved::Mismatch(self.read(&blob.entry.name)?))
    }

    fn capabilities(&self) -> Capabilities {
        let identity = self.folder.to_str().unwrap().to_owned();
        Capabilities { identity, volatile: false, shared: false, size_limit: None }
    }
}

fn expected_of(found: Option<&Blob>) -> Expected {
    found.map_or(Expected::Absent, |found| {
        Expected::Revision(found.entry.incarnation, found.entry.revision)
    })
}

/// Puts these bytes at this path.
fn publish(flaw: Flaw, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let applied = |error: io::Error| match flaw {
        Flaw::DeniesWhatItDid => StoreError::io("the save failed", error),
        _ => StoreError::io("the save failed", error).unknown(),
    };
    let refused = |error: io::Error| match flaw {
        Flaw::HidesTheFullDisk => {
            StoreError::new(StoreFault::Unavailable, "the save failed").because(error)
        }
        _ => StoreError::io("the save failed", error),
    };
    if flaw == Flaw::WritesInPlace {
        let mut file = File::create(path).map_err(refused)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(refused)?;
        return Ok(());
    }
    let is_alone =
        matches!(flaw, Flaw::NeverCompares | Flaw::ComparesUnlocked | Flaw::LeavesDrafts);
    let draft = match is_alone {
        true => {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            path.with_extension(format!("draft-{}-{count}", std::process::id()))
        }
        false => path.with_extension("draft"),
    };
    let mut file = File::create(&draft).map_err(refused)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(refused)?;
    if flaw == Flaw::RemovesFirst && path.exists() {
        fs::remove_file(path).map_err(refused)?;
    }
    fs::rename(&draft, path).map_err(refused)?;
    let folder = path.parent().unwrap();
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(applied)
}

/// The lock around one save.
enum Lock {
    None,
    OfTheSystem(#[expect(dead_code, reason = "it is held")] File),
    Exists(PathBuf),
}

impl Lock {
    fn take(flaw: Flaw, folder: &Path) -> Result<Self, StoreError> {
        let path = folder.join("lock");
        let failed = |error| StoreError::io("the lock cannot be taken", error);
        match flaw {
            Flaw::NeverCompares | Flaw::ComparesUnlocked => Ok(Self::None),
            Flaw::LocksByExistence => {
                // A second, which is a hundred times longer than a save.
                for _ in 0..1_000 {
                    match File::create_new(&path) {
                        Ok(_) => return Ok(Self::Exists(path)),
                        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                            thread::park_timeout(Duration::from_millis(1));
                        }
                        Err(error) => return Err(failed(error)),
                    }
                }
                Err(StoreError::new(StoreFault::Locked, "another process saves for ever"))
            }
            _ => {
                let mut options = OpenOptions::new();
                let file = options.create(true).truncate(false).write(true).open(path);
                let file = file.map_err(failed)?;
                file.lock().map_err(failed)?;
                Ok(Self::OfTheSystem(file))
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Self::Exists(path) = self {
            let _ = fs::remove_file(path);
        }
    }
}

/// One line of what stands in the clear, and the sealed bytes.
fn encoded(blob: &Blob) -> Vec<u8> {
    let Entry { name, incarnation, generation, revision, due_at, live } = &blob.entry;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let name = match name {
        Name::Account(text) => format!("account-{}", hex(text.as_bytes())),
        Name::DataKey => "key".to_owned(),
    };
    let due_at = due_at.map_or("never".to_owned(), |at| at.as_millis().to_string());
    let length = blob.sealed.len();
    let incarnation = hex(&incarnation.0);
    let line = format!("{name} {incarnation} {generation} {revision} {due_at} {live} {length}\n");
    [line.as_bytes(), &blob.sealed].concat()
}

fn read(path: &Path) -> Result<Option<Blob>, StoreError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreachable_place(error)),
    };
    let damaged = || StoreError::new(StoreFault::Corrupt, "the file is damaged");
    decoded(&bytes).ok_or_else(damaged).map(Some)
}

fn decoded(bytes: &[u8]) -> Option<Blob> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, sealed) = bytes.split_at(end);
    let words: Vec<_> = std::str::from_utf8(line).ok()?.split(' ').collect();
    let [name, incarnation, generation, revision, due_at, live, length] = words.as_slice() else {
        return None;
    };
    let name = match name.strip_prefix("account-") {
        Some(hex) => Name::Account(String::from_utf8(unhex(hex)?).ok()?),
        None => Name::DataKey,
    };
    let due_at = match *due_at {
        "never" => None,
        millis => Some(Timestamp::from_millis(millis.parse().ok()?)),
    };
    let entry = Entry {
        name,
        incarnation: Id(unhex(incarnation)?.try_into().ok()?),
        generation: generation.parse().ok()?,
        revision: revision.parse().ok()?,
        due_at,
        live: *live == "true",
    };
    let sealed = sealed[1..].to_vec();
    (sealed.len() == length.parse::<usize>().ok()?).then_some(Blob { entry, sealed })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let byte = |at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

fn unreachable_place(error: io::Error) -> StoreError {
    StoreError::new(StoreFault::Unavailable, "the store cannot be read").because(error)
}
