//! The order of a save, and what a power loss at any moment leaves of it.

use std::fs;
use std::path::{Path, PathBuf};

use regrant_core::StoreFault;
use regrant_storage::{Blob, BlobStore, Expected, Saved};

use crate::disk::{self, Disk, Image};
use crate::support::*;
use crate::trace::{self, Call};

/// In a child: does what it was asked to do, once.
#[test]
fn child_does_one_thing() {
    alone(does_one_thing());
}

async fn does_one_thing() {
    let Some(path) = told() else { return };
    let store = store(&path).await;
    let old = blob("default", 1, OLD);
    let what = std::env::var(WHAT).unwrap();
    match what.as_str() {
        "create" => done(store.save(&new(), Expected::Absent).await),
        "save" => done(store.save(&new(), at(&old)).await),
        "log out" => done(store.save(&tombstone(&old), at(&old)).await),
        "replace" => done(store.replace(&new()).await),
        "set aside" => store.set_aside(&old).await.unwrap(),
        other => panic!("nobody can {other}"),
    }
}

const OLD: &[u8] = b"the old tokens";

fn new() -> Blob {
    blob("default", 2, b"the new tokens, which are longer")
}

/// A store, and all that a thing that is done to it asks of the file system.
struct Done {
    folder: tempfile::TempDir,
    before: Disk,
    calls: Vec<Call>,
    log: String,
}

impl Done {
    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    /// What may be there after so many calls and a power loss.
    fn images_after(&self, calls: usize) -> Vec<Image> {
        let mut disk = self.before.clone();
        self.calls[..calls].iter().for_each(|call| disk.take(call));
        disk.images(&self.root())
    }
}

/// Does this to a store that was made so; `None` without strace.
fn done_to(what: &str, prepare: impl AsyncFnOnce(&Path)) -> Option<Done> {
    if !trace::is_there() {
        return None;
    }
    let folder = folder();
    // Two folders that are missing, to begin with.
    let path = inside(&folder).join("deep");
    block_on(prepare(&path));
    let root = folder.path().canonicalize().unwrap();
    let before = Disk::of(&root);
    let (calls, log) = trace::record("crash::child_does_one_thing", what, &path, &root);
    assert!(calls.len() > 2, "{calls:?}");
    Some(Done { folder, before, calls, log })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// What is found after a power loss.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Damage,
    Record(Blob),
}

async fn found(path: &Path) -> Found {
    match store(path).await.load(&account("default")).await {
        Ok(None) => Found::Nothing,
        Ok(Some(blob)) => Found::Record(blob),
        Err(error) if error.kind() == StoreFault::Corrupt => Found::Damage,
        Err(error) => panic!("{error:?}"),
    }
}

/// Looks at what every power loss leaves, from before the first call to after the last one: the
/// old or the new, and in the end the new, over which one can save.
fn check(done: &Done, old: &Found, new: &Found, also: impl Fn(&Image, &Found, bool)) {
    let mut olds = 0;
    for calls in 0..=done.calls.len() {
        let is_done = calls == done.calls.len();
        for image in done.images_after(calls) {
            let folder = folder();
            disk::write(&image, folder.path());
            let path = inside(&folder).join("deep");
            let context = || format!("after {:?}: {image:#?}", done.calls[..calls].last());
            block_on(async {
                let found = found(&path).await;
                assert!(found == *new || !is_done && found == *old, "{found:?} {}", context());
                also(&image, &found, is_done);
                let next = blob("default", 3, b"after the crash");
                let store = store(&path).await;
                let saved = match &found {
                    Found::Nothing => store.save(&next, Expected::Absent).await,
                    Found::Damage => store.replace(&next).await,
                    Found::Record(there) => store.save(&next, at(there)).await,
                };
                assert!(matches!(saved, Ok(Saved::Done)), "{saved:?} {}", context());
                assert_eq!(store.load(&account("default")).await.unwrap(), Some(next));
                assert_eq!(unfinished(&path), [] as [&str; 0], "{}", context());
                olds += u32::from(found == *old);
            });
        }
    }
    assert!(olds > 0, "no image has the old record");
}

#[test]
fn a_save_syncs_the_file_then_gives_it_its_name_and_then_syncs_the_folder() {
    let prepare = async |path: &Path| drop(with_one(path, OLD).await);
    let Some(done) = done_to("save", prepare) else { return };
    let calls: Vec<_> = done.calls.iter().map(Call::summary).collect();
    let expected = [
        "create lock",
        "create tmp",
        "write tmp",
        "sync tmp",
        "link tmp claim",
        "rename tmp rgnt",
        "unlink claim",
        "sync folder",
    ];
    assert_eq!(calls, expected);
    // Private from its first byte on, and inherited by nobody.
    for file in [".lock\"", ".tmp\""] {
        let opened = done.log.lines().find(|line| line.contains("openat") && line.contains(file));
        let opened = opened.unwrap();
        assert!(opened.contains("O_CLOEXEC, 0600)"), "{opened}");
    }
}

#[test]
fn a_power_loss_in_a_first_save_leaves_nothing_or_all() {
    let Some(done) = done_to("create", async |_: &Path| {}) else { return };
    check(&done, &Found::Nothing, &Found::Record(new()), |_, _, _| {});
}

/// Whoever is killed after it has made the folder has not synced its name.
#[test]
fn a_folder_that_another_made_survives_a_power_loss_too() {
    let prepare = async |path: &Path| fs::create_dir_all(path).unwrap();
    let Some(mut done) = done_to("create", prepare) else { return };
    let folder = inside(&done.folder);
    done.before = Disk::default();
    for call in
        [Call::Mkdir(folder.clone()), Call::Sync(done.root()), Call::Mkdir(folder.join("deep"))]
    {
        done.before.take(&call);
    }
    check(&done, &Found::Nothing, &Found::Record(new()), |_, _, _| {});
}

#[test]
fn cp_01_b_a_power_loss_in_a_save_leaves_the_old_or_the_new() {
    let prepare = async |path: &Path| drop(with_one(path, OLD).await);
    let Some(done) = done_to("save", prepare) else { return };
    let old = Found::Record(blob("default", 1, OLD));
    check(&done, &old, &Found::Record(new()), |_, _, _| {});
}

#[test]
fn a_power_loss_in_a_logout_leaves_the_login_or_no_token() {
    let prepare = async |path: &Path| {
        let other = blob("default", 1, b"an older login");
        let here = store(path).await;
        done(here.save(&other, Expected::Absent).await);
        here.set_aside(&other).await.unwrap();
        done(here.save(&blob("default", 1, OLD), at(&other)).await);
    };
    let Some(done) = done_to("log out", prepare) else { return };
    let old = blob("default", 1, OLD);
    let new = Found::Record(tombstone(&old));
    check(&done, &Found::Record(old), &new, |image, _, is_done| {
        let holds = |token: &[u8]| {
            let mut files = image.values().flatten();
            files.any(|file| file.windows(token.len()).any(|window| window == token))
        };
        assert!(!is_done || !holds(b"an older login") && !holds(OLD), "{image:#?}");
    });
}

#[test]
fn a_power_loss_while_damage_is_replaced_leaves_it_or_its_copy() {
    let damage = b"this is no record";
    let prepare = async |path: &Path| {
        with_one(path, OLD).await;
        fs::write(record(path), damage).unwrap();
    };
    let Some(done) = done_to("replace", prepare) else { return };
    check(&done, &Found::Damage, &Found::Record(new()), |image, _, _| {
        let mut files = image.values().flatten();
        assert!(files.any(|file| file == damage), "{image:#?}");
    });
}

#[test]
fn a_copy_that_was_set_aside_survives_a_power_loss() {
    let prepare = async |path: &Path| drop(with_one(path, OLD).await);
    let Some(done) = done_to("set aside", prepare) else { return };
    for image in done.images_after(done.calls.len()) {
        let mut copies = image.keys().filter(|path| path.to_str().unwrap().contains(".corrupt-"));
        assert!(copies.next().is_some(), "{image:#?}");
    }
}
