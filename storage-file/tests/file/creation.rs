//! How a store comes to be, and where it lies.

use std::fs;
use std::path::{Path, PathBuf};

use regrant_core::{Id, StoreFault, Timestamp};
use regrant_storage::{Blob, BlobStore, Entry, Expected, Name, SaveOutcome};
use regrant_storage_file::FileStore;

use crate::support::*;

#[tokio::test]
async fn a_missing_folder_reads_as_absent_and_reading_leaves_nothing_behind() {
    let folder = folder();
    let store = store(&folder.path().join("not/there/yet")).await;
    assert_eq!(store.load(&account("default")).await.unwrap(), None);
    assert_eq!(store.load(&Name::DataKey).await.unwrap(), None);
    assert_eq!(store.list().await.unwrap(), []);
    let blob = blob("default", 2, b"sealed");
    assert_eq!(mismatch(store.save(&blob, at(&blob)).await), None);
    assert_eq!(mismatch(store.replace(&blob).await), None);
    assert_eq!(store.set_aside(&blob).await.unwrap_err().kind(), StoreFault::Unavailable);
    assert_eq!(names(folder.path()), [] as [&str; 0]);
}

#[tokio::test]
async fn the_first_save_makes_the_folder_and_those_above() {
    let folder = folder();
    let path = folder.path().join("not/there/yet");
    let store = store(&path).await;
    let mut blob = blob("default", 1, b"sealed");
    done(store.save(&blob, Expected::Absent).await);
    assert_eq!(store.load(&account("default")).await.unwrap().as_ref(), Some(&blob));
    blob.entry.name = Name::DataKey;
    done(store.save(&blob, Expected::Absent).await);
    let files = ["data-key.lock", "data-key.rgnt"].map(str::to_owned);
    let mut expected = vec![format!("{DEFAULT}.lock"), format!("{DEFAULT}.rgnt")];
    expected.extend(files);
    assert_eq!(names(&path), expected);
    assert_eq!(fs::metadata(path.join("data-key.lock")).unwrap().len(), 0);
}

#[tokio::test]
async fn every_name_and_every_number_comes_back_as_it_was() {
    let folder = folder();
    let store = store(&inside(&folder)).await;
    let names = ["", "default", "Default", "default ", "ä", "a\u{308}", "a\0b", "data-key", "../x"];
    let names = names.map(account).into_iter().chain([Name::DataKey]);
    let blobs: Vec<Blob> = names
        .enumerate()
        .map(|(n, name)| Blob {
            entry: Entry {
                name,
                incarnation: Id([n as u8; 16]),
                generation: u64::MAX,
                revision: u64::MAX - n as u64,
                due_at: [None, Some(Timestamp::NEVER), Some(Timestamp::EPOCH)][n % 3],
                live: n % 2 == 0,
            },
            sealed: vec![0; n * 1000],
        })
        .collect();
    for blob in &blobs {
        done(store.save(blob, Expected::Absent).await);
    }
    for blob in &blobs {
        assert_eq!(store.load(&blob.entry.name).await.unwrap().as_ref(), Some(blob));
        // The same revision anew.
        done(store.save(blob, at(blob)).await);
    }
    let mut accounts: Vec<_> = blobs.into_iter().map(|blob| blob.entry).collect();
    accounts.retain(|entry| entry.name != Name::DataKey);
    accounts.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(store.list().await.unwrap(), accounts);
}

#[tokio::test]
async fn what_is_not_ours_is_left_alone_and_not_listed() {
    let folder = folder();
    let path = inside(&folder);
    fs::create_dir(&path).unwrap();
    let others = [
        format!("{DEFAULT}.lease"),
        format!("{DEFAULT}.holder"),
        format!("{DEFAULT}.rgnt.bak"),
        "regrant.key".to_owned(),
        "regrant.key.0123456789abcdef.tmp".to_owned(),
        "x.absent.0.claim".to_owned(),
        "\u{1f980}.rgnt".to_owned(),
    ];
    for name in &others {
        fs::write(path.join(name), "not ours").unwrap();
    }
    fs::create_dir(path.join("folder.rgnt")).unwrap();
    // A save that was killed before it made a record.
    fs::write(path.join(format!("{}.lock", "0".repeat(64))), "").unwrap();
    let first = with_one(&path, b"sealed").await;
    let store = store(&path).await;
    done(store.save(&tombstone(&first), at(&first)).await);
    assert_eq!(store.list().await.unwrap(), [tombstone(&first).entry]);
    for name in &others {
        assert_eq!(fs::read(path.join(name)).unwrap(), b"not ours", "{name}");
    }
}

/// No runtime, no reactor, no timer: any executor will do.
#[test]
fn it_needs_no_runtime() {
    let folder = folder();
    let path = inside(&folder);
    let mut open = Box::pin(async {
        let store = FileStore::open(&path).await.unwrap();
        let blob = blob("default", 1, b"sealed");
        done(store.save(&blob, Expected::Absent).await);
        assert_eq!(store.load(&account("default")).await.unwrap(), Some(blob));
        assert!(thread_of_the_work_was_another());
    });
    // Polled by a thread that does nothing else.
    let waker = std::sync::Arc::new(Unpark(std::thread::current()));
    let waker = waker.into();
    let mut context = std::task::Context::from_waker(&waker);
    while open.as_mut().poll(&mut context).is_pending() {
        std::thread::park();
    }
}

struct Unpark(std::thread::Thread);

impl std::task::Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}

/// Whether there are threads besides those of the tests, which are named by them.
fn thread_of_the_work_was_another() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let mut threads = fs::read_dir("/proc/self/task").unwrap();
    threads.any(|thread| {
        let name = fs::read_to_string(thread.unwrap().path().join("comm"));
        name.is_ok_and(|name| name.starts_with("blocking-"))
    })
}

#[cfg(unix)]
#[tokio::test]
async fn every_path_to_it_is_the_same_place() {
    let folder = folder();
    let root = folder.path().canonicalize().unwrap();
    let real = root.join("real");
    let link = |to: &Path, name: &str| {
        let link = root.join(name);
        std::os::unix::fs::symlink(to, &link).unwrap();
        link
    };
    // They lead nowhere as long as there is no store.
    let to_folder = link(Path::new("real"), "folder");
    let to_link = link(&to_folder, "link");
    let paths: [PathBuf; 4] =
        [real.clone(), to_folder.clone(), to_link, root.join("real/../folder")];
    let identity = format!("file:{}", real.display());
    for path in &paths[..3] {
        assert_eq!(store(path).await.capabilities().identity, identity);
    }
    let blob = with_one(&to_folder, b"sealed").await;
    assert_eq!(names(&root), ["folder", "link", "real"]);
    for path in &paths {
        let store = store(path).await;
        assert_eq!(store.capabilities().identity, identity);
        assert_eq!(store.folder(), real);
        assert_eq!(store.lock_folder(), real);
        assert_eq!(store.load(&account("default")).await.unwrap().as_ref(), Some(&blob));
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_path_that_is_not_text_has_a_name_of_its_own() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    let name = |byte| folder.path().join(std::ffi::OsStr::from_bytes(&[b'x', byte]));
    let (one, other) = (store(&name(0xfe)).await, store(&name(0xff)).await);
    assert_ne!(one.capabilities().identity, other.capabilities().identity);
    done(one.save(&blob("default", 1, b"sealed"), Expected::Absent).await);
    assert_eq!(other.list().await.unwrap(), []);
    assert_eq!(one.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_file_in_the_place_of_the_folder_is_not_absent() {
    let folder = folder();
    let path = inside(&folder);
    fs::write(&path, "a file").unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    let here = store(&path).await;
    let blob = blob("default", 1, b"sealed");
    let errors = [
        here.load(&account("default")).await.unwrap_err(),
        here.list().await.unwrap_err(),
        here.save(&blob, Expected::Absent).await.unwrap_err(),
        FileStore::open(path.join("below")).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), StoreFault::Unavailable, "{error:?}");
        assert_eq!(error.outcome(), SaveOutcome::NotApplied);
    }
    assert_eq!(fs::read(&path).unwrap(), b"a file");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    }
}
