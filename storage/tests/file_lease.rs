//! The lock-file lease keeps the laws, and does across processes what it promises.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use async_trait::async_trait;
use regrant_core::{StoreFault, Timestamp};
use regrant_storage::laws::{LeasePlace, Task};
use regrant_storage::{FileLease, RefreshLease, Tried};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
}

#[async_trait]
impl LeasePlace for Folder {
    async fn open(&self) -> Arc<dyn RefreshLease> {
        Arc::new(FileLease::new(self.0.path().join("locks")))
    }

    async fn together(&self, tasks: Vec<Task>) {
        let running: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
        for task in running {
            task.await.unwrap();
        }
    }
}

mod laws {
    use super::Folder;

    regrant_storage::lease_laws! {
        #[tokio::test(flavor = "multi_thread")]
        Folder::new()
    }
}

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Names the folder to a child that shall hold a lease.
const HOLD_IN: &str = "REGRANT_TEST_HOLD_IN";

/// No test, unless it is started by one: then it holds the lease until its input ends.
#[tokio::test]
async fn child_that_holds() {
    let Some(folder) = std::env::var_os(HOLD_IN) else { return };
    let tried = FileLease::new(folder).try_acquire("a", NOW).await.unwrap();
    assert!(matches!(tried, Tried::Held(_)), "{tried:?}");
    println!("\nheld");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// A process that holds the lease in this folder.
fn holding(folder: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_that_holds", "--nocapture"])
        .env(HOLD_IN, folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "held"), "the child does not hold");
    // The rest of its output is nobody's business, but it must have somewhere to go.
    std::thread::spawn(move || lines.count());
    child
}

#[tokio::test]
async fn another_process_is_busy_and_a_killed_one_has_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let leases = FileLease::new(folder.path());
    let mut child = holding(folder.path());
    let Tried::Busy(holder) = leases.try_acquire("a", NOW).await.unwrap() else {
        panic!("the child holds it")
    };
    assert_eq!(holder.pid, Some(child.id()));
    assert_eq!(holder.since, Some(NOW));
    child.kill().unwrap();
    child.wait().unwrap();
    let tried = leases.try_acquire("a", NOW).await.unwrap();
    assert!(matches!(tried, Tried::Held(_)), "{tried:?}");
}

/// A child that lives on must not keep what its parent let go.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_child_inherits_no_lease() {
    let folder = tempfile::tempdir().unwrap();
    let leases = FileLease::new(folder.path().canonicalize().unwrap());
    let lease = leases.try_acquire("a", NOW).await.unwrap();
    let ours = open_files(std::process::id());
    assert!(ours.iter().any(|file| file.starts_with(folder.path())), "{ours:?}");
    // Its first answer proves that it has been executed.
    let mut child =
        Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"x").unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let theirs = open_files(child.id());
    assert!(!theirs.iter().any(|file| file.starts_with(folder.path())), "{theirs:?}");
    drop(lease);
    let tried = leases.try_acquire("a", NOW).await.unwrap();
    assert!(matches!(tried, Tried::Held(_)), "{tried:?}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[cfg(target_os = "linux")]
fn open_files(pid: u32) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    entries.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok()).collect()
}

#[tokio::test]
async fn the_files_stay_and_their_names_tell_no_account() {
    let folder = tempfile::tempdir().unwrap();
    let leases = FileLease::new(folder.path());
    for _ in 0..2 {
        drop(leases.try_acquire("ada@example.com", NOW).await.unwrap());
    }
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    // The SHA-256 of the account.
    let hash = "b5fc85e55755f9e0d030a10ab4429b6b2944855f9a0d60077fe832becbc41d72";
    assert_eq!(names, [format!("{hash}.holder"), format!("{hash}.lease")]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_an_error_and_not_busy() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), b"").unwrap();
    let leases = FileLease::new(folder.path().join("file/locks"));
    let error = leases.try_acquire("a", NOW).await.unwrap_err();
    assert_eq!(error.kind(), StoreFault::Unavailable);
}

/// Even root makes no folders there.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_place_that_cannot_be_written_is_read_only() {
    let error = FileLease::new("/sys/regrant-locks").try_acquire("a", NOW).await.unwrap_err();
    assert_eq!(error.kind(), StoreFault::ReadOnly, "{error:?}");
}
