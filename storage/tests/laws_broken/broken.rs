//! With a flaw, the law of the duty is broken, and says how.

use std::process::{Command, Stdio};

/// For each flaw a module; in it, under the name of its suite, a test for each law that finds it,
/// with a part of what the law then says. The processes run the child of `sound`: what is broken
/// stands in the address of the place.
macro_rules! broken {
    ($($module:ident: $place:expr => {
        $($suite:ident { $($law:ident => $says:literal,)+ })+
    })+) => {
        $(
            mod $module {
                mod laws {
                    $(
                        mod $suite {
                            #[expect(unused_imports, reason = "a place has one of them")]
                            use crate::{lease::{Leak, LockFile}, store::{Files, Flaw}};

                            $(
                                #[tokio::test(flavor = "multi_thread")]
                                #[should_panic = $says]
                                async fn $law() {
                                    broken! { @run $suite $law $says [$place] }
                                }
                            )+
                        }
                    )+
                }
            }
        )+
    };
    (@run blob_store $law:ident $says:literal [$place:expr]) => {
        regrant_storage::laws::blob_store::$law(&$place).await;
    };
    (@run $suite:ident $law:ident $says:literal [$place:expr]) => {
        crate::broken::panic_without_strace(stringify!($law), $says);
        let sound = concat!("laws_broken::sound::laws::", stringify!($suite));
        let host = regrant_storage::laws::Host::new(|| Box::pin(async { $place }), sound);
        regrant_storage::laws::$suite::$law(&host).await;
    };
}

broken! {
    writes_in_place: Files::with(Flaw::WritesInPlace) => {
        processes {
            readers_see_no_gap_and_nothing_older => "a process has failed",
            a_kill_at_any_system_call_of_a_save_leaves_old_or_new => "the file is damaged",
            a_kill_at_any_system_call_of_a_first_save_leaves_nothing_or_all
                => "the file is damaged",
            a_full_disk_is_told_and_leaves_what_it_says => "(INJECTED): over revision",
        }
    }
    never_compares: Files::with(Flaw::NeverCompares) => {
        blob_store {
            create_needs_absence => "over something else than it expected",
            a_mismatch_says_what_is_there_and_changes_nothing
                => "over something else than it expected",
            of_concurrent_creators_one_wins => "was created more than once",
            concurrent_savers_lose_nothing => "saves were lost",
            a_tombstone_is_not_resurrected_by_a_stale_writer
                => "over something else than it expected",
        }
        processes {
            of_fifty_processes_that_create_one_name_one_wins => "process",
            fifty_processes_that_save_lose_nothing => "saves were lost",
        }
    }
    compares_unlocked: Files::with(Flaw::ComparesUnlocked) => {
        processes {
            of_fifty_processes_that_create_one_name_one_wins => "process",
            fifty_processes_that_save_lose_nothing => "saves were lost",
        }
    }
    removes_first: Files::with(Flaw::RemovesFirst) => {
        processes {
            readers_see_no_gap_and_nothing_older => "a process has failed",
            lists_are_complete_while_processes_write => "is missing in a list",
            a_kill_at_any_system_call_of_a_save_leaves_old_or_new => "and 0 is there",
        }
    }
    answers_first: Files::with(Flaw::AnswersFirst) => {
        processes {
            an_acknowledged_save_survives_a_kill => "was acknowledged",
        }
    }
    locks_by_existence: Files::with(Flaw::LocksByExistence) => {
        processes {
            an_acknowledged_save_survives_a_kill => "another process saves for ever",
            a_kill_at_first_use_stops_nobody => "another process saves for ever",
            a_kill_at_any_system_call_of_a_save_leaves_old_or_new
                => "another process saves for ever",
        }
    }
    leaves_drafts: Files::with(Flaw::LeavesDrafts) => {
        processes {
            an_acknowledged_save_survives_a_kill => "swept by nobody",
            a_kill_at_any_system_call_of_a_save_leaves_old_or_new => "swept by nobody",
            a_kill_at_any_system_call_of_a_first_save_leaves_nothing_or_all => "swept by nobody",
        }
    }
    denies_what_it_did: Files::with(Flaw::DeniesWhatItDid) => {
        processes {
            a_full_disk_is_told_and_leaves_what_it_says => "NotApplied",
        }
    }
    hides_the_full_disk: Files::with(Flaw::HidesTheFullDisk) => {
        processes {
            a_full_disk_is_told_and_leaves_what_it_says => "store_unavailable",
        }
    }
    shared: LockFile::with(Leak::Shared) => {
        lease_processes {
            of_fifty_processes_one_holds_at_a_time => "nobody else holds the lease",
            a_stopped_holder_is_waited_for_and_named => "a process has failed",
        }
    }
    exists: LockFile::with(Leak::Exists) => {
        lease_processes {
            a_killed_holder_is_succeeded_at_once => "a killed holder keeps its lease",
            a_child_of_the_holder_inherits_no_lease => "holds what its parent let go",
        }
    }
    expires: LockFile::with(Leak::Expires) => {
        lease_processes {
            a_stopped_holder_is_waited_for_and_named => "was taken for dead",
        }
    }
    names_nobody: LockFile::with(Leak::NamesNobody) => {
        lease_processes {
            a_stopped_holder_is_waited_for_and_named => "and by whom",
        }
    }
    inherited: LockFile::with(Leak::Inherited) => {
        lease_processes {
            a_child_of_the_holder_inherits_no_lease => "holds what its parent let go",
        }
    }
    busy_without_locks: LockFile::with(Leak::BusyWithoutLocks) => {
        lease_processes {
            a_place_that_cannot_be_locked_is_not_busy => "unlockable",
        }
    }
    unlockable_read_only: LockFile::with(Leak::UnlockableReadOnly) => {
        lease_processes {
            a_place_that_cannot_be_written_is_read_only => "store_read_only",
        }
    }
}

/// The laws that inject faults hold everywhere where there is no `strace`. That is not for these
/// tests to say, who must panic; the same law of `sound` says it.
fn panic_without_strace(law: &str, says: &str) {
    let injects = ["system_call", "full_disk", "cannot_be"].iter().any(|part| law.contains(part));
    let asked = Command::new("strace").arg("-V").stdout(Stdio::null()).status();
    assert!(!injects || asked.is_ok(), "left out, for strace is missing: {says}");
}
