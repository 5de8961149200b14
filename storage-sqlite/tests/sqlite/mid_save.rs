//! Savers that do not come to the end of a save.

use regrant_storage::laws::{Host, processes};

use crate::laws::InFile;

/// Where the processes of the laws begin.
const CHILD_OF_A_LAW: &str = "sqlite::laws::processes";

fn host() -> Host<InFile> {
    Host::new(|| Box::pin(async { InFile::new() }), CHILD_OF_A_LAW)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_01_non_atomic_write_and_torn_read() {
    processes::a_kill_at_any_system_call_of_a_save_leaves_old_or_new(&host()).await;
    processes::a_kill_at_any_system_call_of_a_first_save_leaves_nothing_or_all(&host()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cp_01_d_a_full_disk_at_any_system_call_of_a_save_is_told_and_leaves_what_it_says() {
    processes::a_full_disk_is_told_and_leaves_what_it_says(&host()).await;
}
