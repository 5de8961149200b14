//! What every [`RefreshLease`] keeps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use regrant_core::{Holder, Timestamp};

use super::{CROWD, LeasePlace, Task, dropped_after, yield_now};
use crate::lease::{HeldLease, RefreshLease, Tried};

/// How often each of a crowd holds the lease.
const TIMES: usize = 5;

/// What a crowd may try in vain before it counts as stuck: a thousand turns of everybody else's.
const PATIENCE: usize = 1_000 * CROWD * TIMES;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// Of fifty who want it again and again, one has it at a time, and all get it.
pub async fn one_holder_at_a_time(place: &dyn LeasePlace) {
    let holders = Arc::new(AtomicUsize::new(0));
    let held = Arc::new(AtomicUsize::new(0));
    let mut tasks: Vec<Task> = Vec::new();
    for _ in 0..CROWD {
        let leases = place.open().await;
        let (holders, held) = (Arc::clone(&holders), Arc::clone(&held));
        tasks.push(Box::pin(async move {
            let mut left = TIMES;
            for _ in 0..PATIENCE {
                if let Ok(lease) = tried(&leases, "a").await {
                    assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0, "two hold one lease");
                    for _ in 0..3 {
                        yield_now().await;
                    }
                    holders.fetch_sub(1, Ordering::SeqCst);
                    held.fetch_add(1, Ordering::SeqCst);
                    lease.release().await.expect("a lease that is held can be released");
                    left -= 1;
                    if left == 0 {
                        return;
                    }
                }
                yield_now().await;
            }
            panic!("the lease was never free again");
        }));
    }
    place.together(tasks).await;
    assert_eq!(held.load(Ordering::SeqCst), CROWD * TIMES);
}

/// Who is told that it is busy can be told by whom, and since when.
pub async fn busy_names_its_holder(place: &dyn LeasePlace) {
    let (leases, other) = (place.open().await, place.open().await);
    let lease = tried(&leases, "a").await.expect("nobody holds it");
    for leases in [&leases, &other] {
        let holder = tried(leases, "a").await.expect_err("it is held");
        assert_eq!(holder.pid, Some(std::process::id()));
        assert_eq!(holder.since, Some(NOW));
    }
    drop(lease);
    let later = NOW + Duration::from_secs(1);
    let tried_later = leases.try_acquire("a", later).await.expect("the try itself works");
    let Tried::Held(_lease) = tried_later else { panic!("nobody holds it: {tried_later:?}") };
    assert_eq!(tried(&other, "a").await.expect_err("it is held").since, Some(later));
}

/// What was released is free, for the same and for others.
pub async fn a_released_lease_can_be_taken(place: &dyn LeasePlace) {
    let (leases, other) = (place.open().await, place.open().await);
    for leases in [&leases, &other, &leases, &leases] {
        let lease = tried(leases, "a").await.expect("nobody holds it");
        lease.release().await.expect("a lease that is held can be released");
    }
}

/// A holder that is cancelled lets go.
pub async fn a_dropped_lease_can_be_taken(place: &dyn LeasePlace) {
    let (leases, other) = (place.open().await, place.open().await);
    for leases in [&leases, &other, &leases, &leases] {
        drop(tried(leases, "a").await.expect("nobody holds it"));
    }
}

/// A try that is dropped half-way leaves no lease behind that nobody holds.
pub async fn a_dropped_try_holds_nothing(place: &dyn LeasePlace) {
    for polls in 0..5 {
        let leases = place.open().await;
        drop(dropped_after(polls, leases.try_acquire("a", NOW)).await);
        let mut tries = 0;
        while let Err(holder) = tried(&place.open().await, "a").await {
            tries += 1;
            assert!(tries < PATIENCE, "after {polls} polls, nobody holds it for {holder:?}");
            yield_now().await;
        }
    }
}

/// Renewing keeps it, and what is left of it is more than nothing.
pub async fn a_renewed_lease_is_still_held(place: &dyn LeasePlace) {
    let (leases, other) = (place.open().await, place.open().await);
    let mut lease = tried(&leases, "a").await.expect("nobody holds it");
    for _ in 0..3 {
        lease.renew().await.expect("a lease that is held can be renewed");
        assert!(lease.time_left().is_none_or(|left| left > Duration::ZERO));
        tried(&other, "a").await.expect_err("it is held");
    }
}

/// No two accounts share a lease, whatever stands in their names.
pub async fn accounts_have_leases_of_their_own(place: &dyn LeasePlace) {
    let leases = place.open().await;
    let long = "x".repeat(1_023);
    let mut names: Vec<String> =
        ["", "a", "A", "a ", "..", "a/b", "a\0", "é", "e\u{301}", "日本"].map(Into::into).into();
    names.extend([format!("{long}1"), format!("{long}2")]);
    let mut held = Vec::new();
    for name in &names {
        held.push(tried(&leases, name).await.unwrap_or_else(|_| panic!("{name:?} is not held")));
    }
    for name in &names {
        assert!(tried(&leases, name).await.is_err(), "{name:?} is held");
    }
}

async fn tried(
    leases: &Arc<dyn RefreshLease>,
    account: &str,
) -> Result<Box<dyn HeldLease>, Holder> {
    match leases.try_acquire(account, NOW).await.expect("the try itself works") {
        Tried::Held(lease) => Ok(lease),
        Tried::Busy(holder) => Err(holder),
        Tried::Unlockable => panic!("this place cannot be locked"),
    }
}
