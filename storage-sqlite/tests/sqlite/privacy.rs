//! Nobody else reads it, and what is deleted is gone.

use regrant_storage::{BlobStore, Expected};

use crate::support::*;

#[tokio::test]
async fn what_was_replaced_is_not_in_the_file_any_more() {
    const CANARY: &[u8] = b"canary-canary-canary";
    let folder = folder();
    let path = database(&folder);
    let store = store(&path).await;
    // In its row, and over several pages.
    for (name, times) in [("short", 1), ("long", 1000)] {
        let mut blob = blob(name, 1, &CANARY.repeat(times));
        done(store.save(&blob, Expected::Absent).await);
        assert!(holds(folder.path(), CANARY));
        store.set_aside(&blob).await.unwrap();
        for live in [true, false] {
            let before = at(&blob);
            blob.entry.revision += 1;
            blob.entry.live = live;
            blob.sealed = if live { b"another".to_vec() } else { Vec::new() };
            done(store.save(&blob, before).await);
        }
        assert!(!holds(folder.path(), CANARY), "{name}");
        assert!(!holds(folder.path(), b"another"), "{name}");
    }
}

fn holds(folder: &std::path::Path, canary: &[u8]) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).any(|path| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(canary.len()).any(|window| window == canary)
    })
}

#[cfg(unix)]
mod modes {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    use std::os::unix::process::CommandExt;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use regrant_core::StoreFault;
    use regrant_storage::{BlobStore, Expected, SaveOutcome};
    use sqlx::Connection;
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata};

    use crate::support::*;

    /// Counts the warnings of this thread.
    #[derive(Clone, Default)]
    struct Warnings(Arc<AtomicU32>);

    impl tracing::Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() == Level::WARN
        }

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    /// Everything in the folder that others have rights to.
    fn open_to_others(folder: &Path) -> Vec<PathBuf> {
        let mut open = Vec::new();
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            // What was there when the folder was read may be gone.
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if metadata.permissions().mode() & 0o077 != 0 {
                open.push(path.clone());
            }
            if metadata.is_dir() {
                open.extend(open_to_others(&path));
            }
        }
        open
    }

    #[test]
    fn under_a_wide_umask_all_it_makes_is_the_owners() {
        let folder = folder();
        let path = folder.path().join("made/regrant.db");
        let again = child("privacy::modes::child_makes_every_file", &path);
        let mut wide = Command::new("sh");
        wide.args(["-c", "umask 000; exec \"$0\" \"$@\""]).arg(again.get_program());
        wide.args(again.get_args()).env(CHILD, &path).stdout(std::process::Stdio::null());
        let mut wide = wide.spawn().unwrap();
        // Looks all the time, so that also what is there only for a moment is seen.
        let mut wrong = Vec::new();
        let ended = loop {
            wrong.extend(open_to_others(folder.path()));
            if let Some(ended) = wide.try_wait().unwrap() {
                break ended;
            }
        };
        assert!(ended.success());
        assert_eq!(wrong, [] as [PathBuf; 0]);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        assert_eq!(mode(&path), 0o600);
        assert!(names(path.parent().unwrap()).contains(&"regrant.db.corrupt-1".to_owned()));
    }

    #[tokio::test]
    async fn child_makes_every_file() {
        let Some(path) = told() else { return };
        let mut there = with_one(&path, b"sealed").await;
        let store = store(&path).await;
        let before = at(&there);
        there.entry.revision += 1;

        // While somebody reads, the save stops between writing its journal and its commit.
        let mut reader = raw(&path).await;
        let mut reading = reader.begin().await.unwrap();
        sqlx::query("SELECT count(*) FROM credential").fetch_one(&mut *reading).await.unwrap();
        let journal = PathBuf::from(format!("{}-journal", path.display()));
        let save = tokio::spawn(async move { store.save(&there, before).await });
        while !journal.exists() {
            assert!(!save.is_finished());
            tokio::task::yield_now().await;
        }
        assert_eq!(mode(&journal), 0o600);
        reading.rollback().await.unwrap();
        done(save.await.unwrap());
        reader.close().await.unwrap();

        fs::write(&path, "damage").unwrap();
        done(crate::support::store(&path).await.replace(&blob("default", 1, b"sealed")).await);
    }

    #[tokio::test]
    async fn rights_that_others_have_are_taken_away_when_it_is_opened() {
        let folder = folder();
        let path = database(&folder);
        with_one(&path, b"sealed").await;
        let locks = store(&path).await.lock_folder();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        fs::set_permissions(&locks, Permissions::from_mode(0o755)).unwrap();
        let warnings = Warnings::default();
        let _listening = tracing::subscriber::set_default(warnings.clone());
        let store = store(&path).await;
        for _ in 0..3 {
            assert!(store.load(&account("default")).await.unwrap().is_some());
        }
        assert_eq!(mode(&path), 0o600);
        assert_eq!(warnings.0.load(Ordering::Relaxed), 1);
        fs::write(&path, "damage").unwrap();
        done(store.replace(&blob("default", 1, b"sealed")).await);
        assert_eq!(mode(&locks), 0o700);
        // Of the folder, and of the damage.
        assert_eq!(warnings.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn where_nothing_may_be_written_it_reads_and_says_so() {
        let folder = folder();
        let path = database(&folder);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(with_one(&path, b"sealed"));
        let mut again = child("privacy::modes::child_may_only_read", &path);
        // Rights do not bind the superuser, so the child is nobody.
        if fs::metadata(&path).unwrap().uid() == 0 {
            const NOBODY: u32 = 65_534;
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
            again.uid(NOBODY).gid(NOBODY);
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
        let ended = again.spawn().unwrap().wait().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        assert!(ended.success());
        assert_eq!(names(folder.path()), ["regrant.db", "regrant.db.locks"]);
    }

    #[tokio::test]
    async fn child_may_only_read() {
        let Some(path) = told() else { return };
        let here = store(&path).await;
        let mut there = here.load(&account("default")).await.unwrap().unwrap();
        assert_eq!(here.list().await.unwrap().len(), 1);
        let before = at(&there);
        there.entry.revision += 1;
        let absent = store(&path.with_file_name("absent.db")).await;
        let errors = [
            here.save(&there, before).await.unwrap_err(),
            here.set_aside(&there).await.unwrap_err(),
            absent.save(&there, Expected::Absent).await.unwrap_err(),
            {
                // The file itself may not be written either.
                fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
                store(&path).await.save(&there, before).await.unwrap_err()
            },
        ];
        for error in errors {
            assert_eq!(error.kind(), StoreFault::ReadOnly, "{error:?}");
            assert_eq!(error.outcome(), SaveOutcome::NotApplied);
        }
        assert!(store(&path).await.load(&account("default")).await.unwrap().is_some());
    }
}
