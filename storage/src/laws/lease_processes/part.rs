//! What the processes of these laws do.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use regrant_core::Timestamp;

use crate::laws::LeasePlace;
use crate::laws::processes::{Making, ProcessPlace, asked, hears, may_be_traced, told};
use crate::lease::{HeldLease, RefreshLease, Tried};

/// Holds the lease again and again.
pub(super) const TAKES_TURNS: &str = "takes turns";
/// Asks until it holds, and then does what it is told.
pub(super) const HOLDS: &str = "holds";
/// Asks once.
pub(super) const TRIES: &str = "tries";

/// How often each of a crowd holds the lease.
pub(super) const TURNS: usize = 5;

/// The account of all laws with one.
pub(super) const ACCOUNT: &str = "a";

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Between two tries; as often as the most impatient session asks.
const PAUSE: Duration = Duration::from_millis(5);

/// The test that the processes of these laws run. It does nothing unless a law has started it.
pub async fn child_of_a_law<P: LeasePlace + ProcessPlace>(_: fn() -> Making<P>) {
    let Some((part, address, with)) = asked() else { return };
    let leases = P::at(&address).open().await;
    may_be_traced();
    told("ready");
    assert_eq!(hears().as_deref(), Some("go"), "the law has ended before it began");
    match part.as_str() {
        TAKES_TURNS => takes_turns(&leases, Path::new(&with)).await,
        HOLDS => holds(&leases).await,
        TRIES => tries(&leases).await,
        part => panic!("no law has a part called {part}"),
    }
}

async fn takes_turns(leases: &Arc<dyn RefreshLease>, witness: &Path) {
    for _ in 0..TURNS {
        let lease = held(leases, || {}).await;
        File::create_new(witness).expect("nobody else holds the lease");
        // Long enough that another one who holds it, too, comes by.
        thread::park_timeout(Duration::from_micros(200));
        fs::remove_file(witness).expect("nobody else holds the lease");
        lease.release().await.expect("a lease that is held can be released");
    }
    told(&TURNS.to_string());
}

async fn holds(leases: &Arc<dyn RefreshLease>) {
    let mut said = false;
    let mut lease = held(leases, || {
        if !said {
            told("busy");
            said = true;
        }
    })
    .await;
    told("held");
    while let Some(word) = hears() {
        match word.as_str() {
            "still?" => {
                lease.renew().await.expect("a lease that is held can be renewed");
                told("yes");
            }
            "spawn" => told(&spawned().to_string()),
            "release" => {
                lease.release().await.expect("a lease that is held can be released");
                return told("released");
            }
            word => panic!("nobody who holds a lease can {word}"),
        }
    }
}

async fn tries(leases: &Arc<dyn RefreshLease>) {
    match leases.try_acquire(ACCOUNT, NOW).await {
        Ok(Tried::Held(_)) => told("held"),
        Ok(Tried::Busy(_)) => told("busy"),
        Ok(Tried::Unlockable) => told("unlockable"),
        Err(error) => told(error.kind().as_str()),
    }
}

/// The lease, after however many tries, and a word whenever it is busy.
async fn held(leases: &Arc<dyn RefreshLease>, mut busy: impl FnMut()) -> Box<dyn HeldLease> {
    loop {
        match leases.try_acquire(ACCOUNT, NOW).await.expect("the try itself works") {
            Tried::Held(lease) => return lease,
            Tried::Busy(_) => busy(),
            Tried::Unlockable => panic!("this place cannot be locked"),
        }
        thread::park_timeout(PAUSE);
    }
}

/// A process that outlives its parent, but not a test that hangs. It has nothing of its parent's
/// but what it inherits against the parent's will.
///
/// It runs its own program when this returns, and so has said something. Until then it shares all
/// that its parent has open: a system lets the parent go on as soon as the child needs its memory no
/// more, and closes the files after that.
#[expect(clippy::zombie_processes, reason = "the law ends it, when its parent has gone")]
fn spawned() -> u32 {
    let mut command = Command::new("sh");
    command.args(["-c", "echo; exec sleep 60"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("every unix has `sh`");
    let mut output = child.stdout.take().expect("stdout is a pipe");
    output.read_exact(&mut [0]).expect("it runs");
    child.id()
}
