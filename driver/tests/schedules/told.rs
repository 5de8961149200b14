//! What a caller has told, nobody who comes after it goes against.

use std::sync::Arc;

use loom::model::Builder;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use regrant_core::{Origin, TokenId};

use crate::published::Access;
use crate::task::{Caller, api, other, session, token_of};

/// How often threads are stopped in mid-step, in one schedule, beside every switch where a thread
/// waits or ends: 2, where a third thread only reads; without a bound these pass too, in ten times
/// the time.
const READS: usize = 2;

/// Where a third thread takes part: once. Twice passes too, and takes a minute.
const TAKES_PART: usize = 1;

fn every_schedule(preemptions: usize, run: impl Fn() + Sync + Send + 'static) {
    let mut model = Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(run);
}

/// Token and id are of one and the same view.
fn is_whole(access: &Access) -> bool {
    access.token().expose() == token_of(access.id().generation)
}

/// The answer to a request that carried the first token: the API rejects it, and takes every other.
fn meet_rejection(caller: &Caller, sent: TokenId, origin: &Origin) {
    caller.reject(sent, origin);
    if let Some(later) = caller.shared.try_access(origin) {
        assert!(later.id().generation > 1, "lent again after its rejection was told");
    }
    let replayed = caller.access_newer(origin, sent);
    assert!(replayed.id().generation == 2 && is_whole(&replayed));
}

#[test]
fn two_callers_that_meet_a_rejection_are_not_lent_the_token_again_and_both_get_the_next() {
    every_schedule(TAKES_PART, || {
        let (caller, task) = session(2);
        let sent = caller.access(&api()).id();
        let second = caller.clone();
        let second = thread::spawn(move || {
            meet_rejection(&second, sent, &other());
            second.gone();
        });
        meet_rejection(&caller, sent, &api());
        let shared = Arc::clone(&caller.shared);
        caller.gone();
        second.join().unwrap();
        task.join().unwrap();
        // The task is gone and has withdrawn what it published.
        assert!(shared.try_access(&api()).is_none());
    });
}

#[test]
fn whoever_hears_of_a_report_is_not_lent_the_token() {
    every_schedule(READS, || {
        let (caller, task) = session(1);
        let sent = caller.access(&api()).id();
        let told = Arc::new(AtomicBool::new(false));
        let reader = thread::spawn({
            let (shared, told) = (Arc::clone(&caller.shared), Arc::clone(&told));
            move || {
                let told = told.load(Ordering::Acquire);
                let access = shared.try_access(&api());
                let rejected = access.as_ref().is_some_and(|access| access.id().generation == 1);
                assert!(!(told && rejected), "lent to somebody who comes after the report");
                assert!(access.is_none_or(|access| is_whole(&access)));
            }
        });
        caller.reject(sent, &api());
        told.store(true, Ordering::Release);
        caller.gone();
        reader.join().unwrap();
        task.join().unwrap();
    });
}

#[test]
fn a_reader_never_goes_back_to_an_older_view() {
    every_schedule(READS, || {
        let (caller, task) = session(1);
        let sent = caller.access(&api()).id();
        let reader = thread::spawn({
            let shared = Arc::clone(&caller.shared);
            move || {
                let first = shared.try_access(&other()).map_or(0, |access| access.id().generation);
                if let Some(second) = shared.try_access(&other()) {
                    assert!(second.id().generation >= first && is_whole(&second));
                }
            }
        });
        caller.reject(sent, &api());
        caller.gone();
        reader.join().unwrap();
        task.join().unwrap();
    });
}

#[test]
fn every_mark_is_heard_and_the_hot_path_opens_again() {
    every_schedule(READS, || {
        let (caller, task) = session(2);
        let sent = caller.access(&api()).id();
        let second = caller.clone();
        let second = thread::spawn(move || {
            second.reject(sent, &api());
            second.gone();
        });
        // A straggler: the token may be an old one by the time this is told.
        caller.reject(sent, &api());
        let _ = caller.access_newer(&api(), sent);
        second.join().unwrap();
        // What the second caller told was sent before this is.
        let _ = caller.access_newer(&api(), sent);
        let _ = caller.access_newer(&api(), sent);
        let open = caller.shared.try_access(&api()).expect("the hot path is open again");
        assert_eq!(open.id().generation, 2);
        drop(open);
        caller.gone();
        task.join().unwrap();
    });
}
