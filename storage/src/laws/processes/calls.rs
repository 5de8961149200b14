//! Processes that are killed, or find the disk full, at a system call of their save.
//!
//! A first save is traced and not disturbed; each call in its trace is then one at which a further
//! process is killed or refused, and so is each call of such a name that follows: what a save does
//! depends on what the one before has left, so it may make more of them. `strace` counts calls by name and by thread: where several threads
//! of a process share the work, a call that is the third of its name in its thread is not reached if
//! another thread has made its third before. How many were reached is said.

use std::collections::BTreeMap;

use super::ProcessPlace;
use super::host::{Host, said};
use super::kills::assert_usable_with;
use super::part::{self, ACCOUNT};
use super::strace::{Call, Strace, is_there};
use crate::blob::Expected;
use crate::laws::BlobPlace;
use crate::laws::blobs::{account, done, loaded, save};

/// The calls that change something. A question mark: not every architecture has it.
const CHANGES: &str = "trace=?open,openat,?creat,write,writev,pwrite64,pwritev,?pwritev2,\
    ?copy_file_range,?sendfile,ftruncate,?truncate,fallocate,fsync,fdatasync,?sync_file_range,\
    msync,?rename,?renameat,renameat2,?link,linkat,?symlink,symlinkat,?unlink,unlinkat,\
    ?mkdir,mkdirat,?rmdir,?chmod,fchmod,fchmodat,?sendto,sendmsg";

/// A process that is killed at any system call of a save leaves the old or the new, and nobody in
/// the way of the next.
pub async fn a_kill_at_any_system_call_of_a_save_leaves_old_or_new<P>(host: &Host<P>)
where
    P: BlobPlace + ProcessPlace,
{
    const LAW: &str = "a_kill_at_any_system_call_of_a_save_leaves_old_or_new";
    if !is_there(LAW) {
        return;
    }
    let place = with_a_record(host).await;
    let Some(calls) = calls_of_a_save(host, &place, LAW) else { return };
    let killed = at_each(&calls, async |name, nth| {
        let inject = format!("inject={name}:signal=KILL:when={nth}");
        kill_at(host, &place, &inject, LAW).await
    });
    tried(LAW, killed.await);
}

/// A process that is killed at any system call of the first save of all leaves nothing or the
/// record, and nobody in the way of the next.
pub async fn a_kill_at_any_system_call_of_a_first_save_leaves_nothing_or_all<P>(host: &Host<P>)
where
    P: BlobPlace + ProcessPlace,
{
    const LAW: &str = "a_kill_at_any_system_call_of_a_first_save_leaves_nothing_or_all";
    if !is_there(LAW) {
        return;
    }
    let Some(calls) = calls_of_a_save(host, &host.place().await, LAW) else { return };
    let killed = at_each(&calls, async |name, nth| {
        let inject = format!("inject={name}:signal=KILL:when={nth}");
        kill_at(host, &host.place().await, &inject, LAW).await
    });
    tried(LAW, killed.await);
}

/// A save, the first of all or a later one, that finds the disk full at any of its system calls
/// says so, and tells the truth: *not applied* leaves the old, *unknown* the old or the new, *done*
/// the new. The next save of the same process works.
pub async fn a_full_disk_is_told_and_leaves_what_it_says<P>(host: &Host<P>)
where
    P: BlobPlace + ProcessPlace,
{
    const LAW: &str = "a_full_disk_is_told_and_leaves_what_it_says";
    if !is_there(LAW) {
        return;
    }
    let place = with_a_record(host).await;
    let Some(mut calls) = calls_of_a_save(host, &place, LAW) else { return };
    calls.retain(|name, _| can_find_it_full(name));
    let later = at_each(&calls, async |name, nth| {
        let inject = format!("inject={name}:error=ENOSPC:when={nth}");
        refuse_at(host, &place, &inject, LAW).await
    });
    let later = later.await;
    let Some(mut calls) = calls_of_a_save(host, &host.place().await, LAW) else { return };
    calls.retain(|name, _| can_find_it_full(name));
    let first = at_each(&calls, async |name, nth| {
        let inject = format!("inject={name}:error=ENOSPC:when={nth}");
        refuse_at(host, &host.place().await, &inject, LAW).await
    });
    tried(LAW, later + first.await);
}

/// Disturbs a save at each of these calls, and at further ones of their names until one is not
/// reached. Gives how many were.
async fn at_each(
    calls: &BTreeMap<String, usize>,
    disturbed: impl AsyncFn(&str, usize) -> bool,
) -> usize {
    let mut reached = 0;
    for (name, times) in calls {
        for nth in 1.. {
            let is_reached = disturbed(name, nth).await;
            reached += usize::from(is_reached);
            if !is_reached && nth >= *times {
                break;
            }
        }
    }
    reached
}

/// A law that has disturbed nothing has shown nothing.
fn tried(law: &str, faults: usize) {
    assert!(faults > 0, "no system call of a save was met");
    said(&format!("{law}: {faults} faults"));
}

async fn with_a_record<P: BlobPlace + ProcessPlace>(host: &Host<P>) -> P {
    let place = host.place().await;
    let store = place.open().await;
    done(save(&store, &part::next(&store, None), Expected::Absent).await);
    place
}

/// The calls of an undisturbed save, how often each as `strace` counts them; `None` if nobody may
/// look.
fn calls_of_a_save<P>(host: &Host<P>, place: &P, law: &str) -> Option<BTreeMap<String, usize>>
where
    P: BlobPlace + ProcessPlace,
{
    let mut saver = host.ready(place, part::SAVES_ONCE, "");
    let strace = Strace::attach(&saver, law, &[CHANGES.to_owned()])?;
    saver.tell("go");
    saver.reports("saved");
    saver.ended();
    let mut calls = strace.calls();
    let report = calls.iter().position(is_report).expect("the report was traced");
    calls.truncate(report + 1);
    assert!(calls.len() > 1, "a save that changes nothing");
    let mut times = BTreeMap::new();
    for call in calls {
        let most: &mut usize = times.entry(call.name).or_default();
        *most = call.nth.max(*most);
    }
    Some(times)
}

/// With the first report, the save is over.
fn is_report(call: &Call) -> bool {
    call.name == "write" && call.text.starts_with("2<")
}

/// Whether the process was killed before it could say that it had saved.
async fn kill_at<P>(host: &Host<P>, place: &P, inject: &str, law: &str) -> bool
where
    P: BlobPlace + ProcessPlace,
{
    let before = revision(place).await;
    let mut saver = host.ready(place, part::SAVES_ONCE, "");
    let options = [CHANGES.to_owned(), inject.to_owned()];
    let Some(_strace) = Strace::attach(&saver, law, &options) else { return false };
    saver.tell("go");
    let reports = saver.remaining();
    let saved = match reports.first().map(String::as_str) {
        None => 0,
        Some("saved") => 1,
        Some(report) => panic!("{inject}: {report}"),
    };
    assert_usable_with(place, before + saved, inject).await;
    saved == 0
}

/// Whether a full disk can be its answer.
fn can_find_it_full(name: &str) -> bool {
    // What removes needs no room, and what sends has no disk.
    !["unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat", "sendto", "sendmsg"]
        .contains(&name)
}

/// Whether a call of a file was refused.
async fn refuse_at<P>(host: &Host<P>, place: &P, inject: &str, law: &str) -> bool
where
    P: BlobPlace + ProcessPlace,
{
    let before = revision(place).await;
    let mut saver = host.ready(place, part::SAVES_TWICE, "");
    let options = [CHANGES.to_owned(), inject.to_owned()];
    let Some(strace) = Strace::attach(&saver, law, &options) else { return false };
    saver.tell("go");
    let outcome = saver.report();
    let calls = strace.calls();
    let Some(refused) = calls.iter().find(|call| call.is_injected() && is_of_a_file(call)) else {
        // Another thread was there first, or what failed was a wake-up among threads.
        return false;
    };
    saver.tell("again");
    let reports = saver.remaining();
    let at = format!("{inject}, {}({}", refused.name, refused.text);
    let (Some(outcome), [found, further]) = (outcome, reports.as_slice()) else {
        panic!("{at}: {} {}", reports.join(", "), saver.said())
    };
    let found: u64 = found.parse().expect("the saver has told which revision it has found");
    let words: Vec<_> = outcome.splitn(4, ' ').collect();
    let is_honest = match words.as_slice() {
        ["saved"] => found == before + 1,
        ["failed", "NotApplied", kind, _] => found == before && names_the_disk(refused, kind),
        ["failed", "Unknown", kind, _] => {
            (found == before || found == before + 1) && names_the_disk(refused, kind)
        }
        _ => false,
    };
    assert!(is_honest, "{at}: over revision {before}: {outcome}, and {found} is there");
    assert_eq!(further, "saved", "{at}: no further save: {}", saver.said());
    assert_usable_with(place, found + 1, inject).await;
    true
}

fn is_of_a_file(call: &Call) -> bool {
    let is_open = call.name.starts_with("open");
    let by_descriptor =
        call.text.split_once('<').filter(|(number, _)| number.parse::<u32>().is_ok());
    match by_descriptor {
        Some((_, path)) => path.starts_with('/') && !path.starts_with("/dev/"),
        // Opening needs room only where it creates.
        None => !is_open || call.text.contains("O_CREAT"),
    }
}

/// What is written must be refused as full. Where a file is made or synced, that it cannot be done
/// is all that some backends are told.
fn names_the_disk(refused: &Call, kind: &str) -> bool {
    let is_write = refused.name.contains("write") || refused.name == "fallocate";
    kind == "store_full" || (!is_write && kind == "store_unavailable")
}

async fn revision<P: BlobPlace>(place: &P) -> u64 {
    let found = loaded(&place.open().await, &account(ACCOUNT)).await;
    found.map_or(0, |found| found.entry.revision)
}
