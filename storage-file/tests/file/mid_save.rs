//! Others who look while a record is saved, and savers that do not come to the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use regrant_storage::laws::{Host, processes};
use regrant_storage::{BlobStore, Expected};

use crate::laws::InFolder;
use crate::support::*;

/// As many as start at once when somebody opens all windows of yesterday.
const READERS: usize = 16;

/// A hole of a microsecond in each save would be met.
const SAVES: u64 = 10_000;

/// Sealed bytes that tell the revision, and are now longer and now shorter than those before.
fn sealed(revision: u64) -> Vec<u8> {
    let longer = usize::try_from(revision % 7).unwrap();
    revision.to_be_bytes().repeat(10 * (longer + 1))
}

/// Ten thousand saves against sixteen readers: each finds a whole record at any moment, never none
/// and never one that is older than what it has read before.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_01_non_atomic_write_and_torn_read() {
    // In memory, where there is such a place: that disks keep what is synced is shown elsewhere.
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { folder() };
    let path = inside(&folder);
    let mut there = with_one(&path, &sealed(1)).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let readers: Vec<_> =
        (0..READERS).map(|_| tokio::spawn(reads(path.clone(), Arc::clone(&is_over)))).collect();
    let here = store(&path).await;
    for revision in 2..=SAVES {
        let before = at(&there);
        (there.entry.revision, there.sealed) = (revision, sealed(revision));
        done(here.save(&there, before).await);
    }
    is_over.store(true, Ordering::SeqCst);
    for reader in readers {
        let found = reader.await.unwrap();
        assert!(found > 100, "a reader was there for {found} of the records only");
    }
}

/// How many different records it has found.
async fn reads(path: PathBuf, is_over: Arc<AtomicBool>) -> u32 {
    let store = store(&path).await;
    let (mut last, mut found) = (0, 0);
    while !is_over.load(Ordering::SeqCst) {
        let there = store.load(&account("default")).await.unwrap().unwrap();
        let revision = there.entry.revision;
        assert!(revision >= last, "{revision} after {last}");
        assert_eq!(there.sealed, sealed(revision));
        found += u32::from(revision > last);
        last = revision;
        tokio::task::yield_now().await;
    }
    found
}

/// Where the processes of the laws begin.
const CHILD_OF_A_LAW: &str = "file::laws::processes";

fn host() -> Host<InFolder> {
    Host::new(|| Box::pin(async { InFolder::new() }), CHILD_OF_A_LAW)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_01_c_a_kill_at_any_system_call_of_a_save_leaves_the_old_or_the_new() {
    processes::a_kill_at_any_system_call_of_a_save_leaves_old_or_new(&host()).await;
    processes::a_kill_at_any_system_call_of_a_first_save_leaves_nothing_or_all(&host()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_01_d_a_full_disk_at_any_system_call_of_a_save_is_told_and_leaves_what_it_says() {
    processes::a_full_disk_is_told_and_leaves_what_it_says(&host()).await;
}

/// Who reads it goes on reading what he has opened, and keeps nobody from saving.
#[tokio::test]
async fn cp_02_c_a_record_that_somebody_has_open_is_replaced() {
    use std::io::Read as _;
    let folder = folder();
    let path = inside(&folder);
    let old = with_one(&path, b"the old one").await;
    let whole = std::fs::read(record(&path)).unwrap();
    let mut open = std::fs::File::open(record(&path)).unwrap();
    let here = store(&path).await;
    let new = blob("default", 2, b"the new one");
    done(here.save(&new, at(&old)).await);
    let mut read = Vec::new();
    open.read_to_end(&mut read).unwrap();
    assert_eq!(read, whole);
    assert_eq!(here.load(&account("default")).await.unwrap(), Some(new));
    done(here.save(&blob("other", 1, b"another"), Expected::Absent).await);
}
