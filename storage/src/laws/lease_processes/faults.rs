//! Places that refuse to be locked, or to be written.

use super::part;
use crate::laws::LeasePlace;
use crate::laws::processes::{Call, Host, ProcessPlace, Strace, is_there};

/// A place whose file system knows no locks is unlockable, and neither busy nor an error: one
/// process alone may go on there. A lease that is made of something else has nothing to refuse.
pub async fn a_place_that_cannot_be_locked_is_not_busy<P>(host: &Host<P>)
where
    P: LeasePlace + ProcessPlace,
{
    const LAW: &str = "a_place_that_cannot_be_locked_is_not_busy";
    if !is_there(LAW) {
        return;
    }
    for error in ["ENOLCK", "ENOSYS", "EOPNOTSUPP"] {
        let place = host.place().await;
        let Some(answer) = answer(host, &place, &["flock", "fcntl"], error, LAW) else { continue };
        assert_eq!(answer, "unlockable", "{error}");
    }
}

/// A place that cannot be written is an error that says so, and neither busy nor unlockable: no
/// process may go on there, since what it is granted could not be saved.
pub async fn a_place_that_cannot_be_written_is_read_only<P>(host: &Host<P>)
where
    P: LeasePlace + ProcessPlace,
{
    const LAW: &str = "a_place_that_cannot_be_written_is_read_only";
    if !is_there(LAW) {
        return;
    }
    for error in ["EROFS", "EACCES"] {
        let place = host.place().await;
        let calls = ["?open", "openat", "?mkdir", "mkdirat"];
        let Some(answer) = answer(host, &place, &calls, error, LAW) else { continue };
        assert_eq!(answer, "store_read_only", "{error}");
    }
}

/// What a process is answered whose calls fail; `None` if it made none.
fn answer<P>(host: &Host<P>, place: &P, calls: &[&str], error: &str, law: &str) -> Option<String>
where
    P: LeasePlace + ProcessPlace,
{
    let mut process = host.ready(place, part::TRIES, "");
    let calls = calls.join(",");
    let options = [format!("trace={calls}"), format!("inject={calls}:error={error}")];
    let strace = Strace::attach(&process, law, &options)?;
    process.tell("go");
    let answer = process.report();
    assert!(answer.is_some(), "{error}: a process has failed: {}", process.said());
    process.ended();
    let is_injected = strace.calls().iter().any(Call::is_injected);
    answer.filter(|_| is_injected)
}
