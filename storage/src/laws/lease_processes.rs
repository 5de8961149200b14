//! What every [`RefreshLease`](crate::RefreshLease) of one host keeps when its holders are
//! processes: they come in crowds, they are killed, stopped, and have children.

mod faults;
mod part;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{env, fs};

pub use faults::{
    a_place_that_cannot_be_locked_is_not_busy, a_place_that_cannot_be_written_is_read_only,
};
pub use part::child_of_a_law;

use super::processes::{Host, Process, ProcessPlace, left_out, signals};
use super::{CROWD, LeasePlace};
use crate::lease::Tried;

/// Of fifty processes that want it again and again, one has it at a time, and all get it. They
/// prove it to each other with a file that only one can make.
pub async fn of_fifty_processes_one_holds_at_a_time<P>(host: &Host<P>)
where
    P: LeasePlace + ProcessPlace,
{
    let place = host.place().await;
    let witness = Witness::new();
    let start = |_| host.ready(&place, part::TAKES_TURNS, &witness.0.to_string_lossy());
    let mut crowd: Vec<_> = (0..CROWD).map(start).collect();
    crowd.iter_mut().for_each(|process| process.tell("go"));
    for process in crowd {
        assert_eq!(process.ended(), [part::TURNS.to_string()]);
    }
}

/// A successor that asks every 5 ms has the lease 250 ms after its holder was killed. Of five
/// tries one must be in time: a machine that runs other tests may leave a process waiting for that
/// long, and a lease that is not let go is never in time.
pub async fn a_killed_holder_is_succeeded_at_once<P>(host: &Host<P>)
where
    P: LeasePlace + ProcessPlace,
{
    const TRIES: usize = 5;
    /// What a user does not notice.
    const BOUND: Duration = Duration::from_millis(250);
    /// What the busiest machine does not need.
    const AT_ALL: Duration = Duration::from_secs(10);

    let place = host.place().await;
    if !place.open().await.proves_death() {
        // Its leases run out some time after the holder's death.
        return;
    }
    for _ in 0..TRIES {
        let holder = holding(host, &place);
        let mut successor = host.ready(&place, part::HOLDS, "");
        successor.tell("go");
        successor.reports("busy");
        holder.kill();
        if successor.reports_within(BOUND).as_deref() == Some("held") {
            return;
        }
        let late = successor.reports_within(AT_ALL);
        assert_eq!(late.as_deref(), Some("held"), "a killed holder keeps its lease");
        successor.ended();
    }
    panic!("of {TRIES} killed holders none was succeeded within {BOUND:?}");
}

/// A holder that is stopped still holds, and is named by its process id. When it goes on, it holds,
/// and can release.
pub async fn a_stopped_holder_is_waited_for_and_named<P>(host: &Host<P>)
where
    P: LeasePlace + ProcessPlace,
{
    /// Longer than it takes to be stopped, and than it would take to be wrongly taken for dead.
    const STOPPED: Duration = Duration::from_millis(300);

    let place = host.place().await;
    if !place.open().await.proves_death() {
        return;
    }
    let mut holder = holding(host, &place);
    if !signals::stop(&holder) {
        return left_out("a_stopped_holder_is_waited_for_and_named", "no signals here");
    }
    let mut successor = host.ready(&place, part::HOLDS, "");
    successor.tell("go");
    successor.reports("busy");
    assert_eq!(successor.reports_within(STOPPED), None, "a stopped holder was taken for dead");
    let pid = Some(holder.id());
    assert_eq!(tried(&place).await, Err(pid), "it is held, and by whom");
    signals::go_on(&holder);
    holder.tell("still?");
    holder.reports("yes");
    assert_eq!(tried(&place).await, Err(pid), "it is held, and by whom");
    holder.tell("release");
    holder.reports("released");
    successor.reports("held");
    holder.ended();
    successor.ended();
}

/// A process that the holder has started does not keep the lease, whether the holder releases it or
/// is killed.
pub async fn a_child_of_the_holder_inherits_no_lease<P>(host: &Host<P>)
where
    P: LeasePlace + ProcessPlace,
{
    if !cfg!(unix) {
        return left_out("a_child_of_the_holder_inherits_no_lease", "there is no `sleep` here");
    }
    let place = host.place().await;
    for is_killed in [false, true] {
        let mut holder = holding(host, &place);
        holder.tell("spawn");
        let child = holder.report().and_then(|pid| pid.parse().ok());
        let child = Orphan(child.expect("the holder has started a process"));
        if is_killed {
            if !place.open().await.proves_death() {
                return;
            }
            holder.kill();
        } else {
            holder.tell("release");
            holder.reports("released");
            holder.ended();
        }
        assert!(child.lives(), "the child has ended too early to show anything");
        let tried = tried(&place).await;
        assert_eq!(tried, Ok(()), "a child holds what its parent let go (killed: {is_killed})");
    }
}

fn holding<P: LeasePlace + ProcessPlace>(host: &Host<P>, place: &P) -> Process {
    let mut holder = host.ready(place, part::HOLDS, "");
    holder.tell("go");
    holder.reports("held");
    holder
}

/// One try, over at once; or who holds it.
async fn tried<P: LeasePlace>(place: &P) -> Result<(), Option<u32>> {
    let leases = place.open().await;
    match leases.try_acquire(part::ACCOUNT, part::NOW).await.expect("the try itself works") {
        Tried::Held(_) => Ok(()),
        Tried::Busy(holder) => Err(holder.pid),
        Tried::Unlockable => panic!("this place cannot be locked"),
    }
}

/// Where the file of the witness lies: it is there while somebody holds.
struct Witness(PathBuf);

impl Witness {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(env::temp_dir().join(format!("regrant-law-{}-{count}.held", std::process::id())))
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// A process that its parent has left behind.
struct Orphan(u32);

impl Orphan {
    fn lives(&self) -> bool {
        signals::lives(self.0)
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        signals::kill(self.0);
    }
}
