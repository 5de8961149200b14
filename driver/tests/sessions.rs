//! Opening, changing and closing sessions, and what the store has to say.

mod common;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use async_trait::async_trait;
use common::{HOUR, World, api, client, grant, other, token};
use regrant::{
    AccessError, ChangeError, LoginReason, NotSaved, RefreshLease, Session, StateKind, StoreError,
    StoreFault, Strength, Timestamp, Verdict,
};
use regrant_storage::{HeldLease, Tried};

const REJECTED: Verdict = Verdict::Rejected(Strength::Strong);

#[tokio::test(start_paused = true)]
async fn a_second_open_gives_the_same_session() {
    let world = World::new();
    let first = world.builder().open().unwrap();
    let second = world.builder().open().unwrap();
    assert!(first.is(&second));
    assert!(!first.is(&world.builder().account("work").open().unwrap()));
    assert!(!first.is(&World::new().builder().open().unwrap()));
    first.close(HOUR).await.unwrap();
    assert!(!first.is(&world.builder().open().unwrap()));
    assert!(matches!(first.access(&api()).await, Err(AccessError::Closed)));
    assert!(matches!(first.log_out().await, Err(ChangeError::Closed)));
    assert!(first.status().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_session_begins_with_what_the_store_holds() {
    let world = World::new();
    world.logged_in().await.close(HOUR).await.unwrap();
    let session = world.builder().open().unwrap();
    assert_eq!(token(&session, &other()).await, "at-0");
    let status = session.status().await.unwrap();
    assert_eq!(status.state, Some(StateKind::Valid));
    assert!(status.trouble.is_none() && status.capabilities.volatile);
}

#[tokio::test(start_paused = true)]
async fn without_a_login_a_login_is_needed() {
    let world = World::new();
    let session = world.builder().open().unwrap();
    let error = session.access(&api()).await.unwrap_err();
    let AccessError::NeedsLogin { reason, .. } = error else { panic!("{error}") };
    assert_eq!(reason, LoginReason::NotLoggedIn);
    assert!(matches!(session.allow(api()).await, Err(ChangeError::NotLoggedIn)));
    assert!(matches!(session.configure(client()).await, Err(ChangeError::NotLoggedIn)));
    assert!(matches!(session.reconsider().await, Err(ChangeError::NotLoggedIn)));
    assert_eq!(session.log_out().await.unwrap().revoked, None);
}

#[tokio::test(start_paused = true)]
async fn a_logout_revokes_and_stays() {
    let world = World::new();
    let session = world.logged_in().await;
    assert_eq!(session.log_out().await.unwrap().revoked, Some(true));
    let mut revoked = world.endpoint.revoked();
    revoked.sort();
    assert_eq!(revoked, ["at-0", "rt-0"]);
    let error = session.access(&api()).await.unwrap_err();
    assert!(matches!(error, AccessError::NeedsLogin { reason: LoginReason::LoggedOut, .. }));
    assert!(world.store.refresh_token().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn changes_happen_in_the_order_they_are_asked_for() {
    let world = World::new();
    let session = world.builder().open().unwrap();
    let login = session.install(client(), [api()], grant("at-0", "rt-0"));
    let (login, logout) = tokio::join!(login, session.log_out());
    login.unwrap();
    assert_eq!(logout.unwrap().revoked, Some(true));
    assert!(world.store.record().await.unwrap().is_logged_out());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_no_reason_to_log_in() {
    let world = World::new();
    world.logged_in().await.close(HOUR).await.unwrap();
    for fault in [StoreFault::Locked, StoreFault::Corrupt, StoreFault::WrongKey] {
        *world.store.load_fault.lock().unwrap() = Some(fault);
        let session = world.builder().open().unwrap();
        let error = session.access(&api()).await.unwrap_err();
        let AccessError::Store { fault: found, source, .. } = &error else { panic!("{error}") };
        assert_eq!(*found, fault);
        assert_eq!(source.as_ref().unwrap().kind(), fault);
        let status = session.status().await.unwrap();
        assert_eq!(status.state, None);
        assert_eq!(status.trouble.unwrap().kind(), fault);
        // Whoever asks again has the store tried again.
        *world.store.load_fault.lock().unwrap() = None;
        assert_eq!(token(&session, &api()).await, "at-0");
        session.close(HOUR).await.unwrap();
    }
    assert!(world.endpoint.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn where_nothing_can_be_written_nothing_is_spent() {
    let world = World::new();
    let session = world.logged_in().await;
    *world.store.save_fault.lock().unwrap() = Some(StoreFault::ReadOnly);
    let sent = session.access(&api()).await.unwrap().id();
    session.report(sent, &api(), REJECTED);
    let error = session.access_newer(&api(), sent).await.unwrap_err();
    assert!(matches!(error, AccessError::Store { fault: StoreFault::ReadOnly, .. }), "{error}");
    let error = session.install(client(), [api()], grant("x", "y")).await.unwrap_err();
    assert!(matches!(error, ChangeError::Store { fault: StoreFault::ReadOnly, .. }), "{error}");
    assert!(world.endpoint.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn close_waits_for_a_slow_save() {
    let world = World::new();
    let session = world.logged_in().await;
    world.endpoint.hold();
    let sent = session.access(&api()).await.unwrap().id();
    session.report(sent, &api(), REJECTED);
    world.endpoint.asked(1).await;
    *world.store.save_time.lock().unwrap() = Duration::from_secs(4);
    world.endpoint.release();
    session.close(Duration::from_secs(10)).await.unwrap();
    assert_eq!(world.store.refresh_token().await.as_deref(), Some("rt-1"));
    assert!(session.try_access(&api()).is_none());
}

#[tokio::test(start_paused = true)]
async fn close_says_what_could_not_be_saved_and_saving_goes_on() {
    let world = World::new();
    let session = world.logged_in().await;
    world.endpoint.hold();
    let sent = session.access(&api()).await.unwrap().id();
    session.report(sent, &api(), REJECTED);
    world.endpoint.asked(1).await;
    *world.store.save_fault.lock().unwrap() = Some(StoreFault::Full);
    world.endpoint.release();
    // It is used from memory.
    assert_eq!(session.access_newer(&api(), sent).await.unwrap().token().expose(), "at-1");
    assert_eq!(session.status().await.unwrap().unsaved, Some(StoreFault::Full));
    let error = session.close(Duration::from_secs(10)).await.unwrap_err();
    assert!(matches!(error, NotSaved::Store { fault: StoreFault::Full, .. }), "{error}");
    let mut events = session.events();
    *world.store.save_fault.lock().unwrap() = None;
    drop(session);
    while events.next().await.is_some() {}
    assert_eq!(world.store.refresh_token().await.as_deref(), Some("rt-1"));
}

#[tokio::test(start_paused = true)]
async fn a_busy_lease_is_waited_for_and_then_named() {
    let world = World::new();
    let session = world.logged_in().await;
    let now = session.status().await.unwrap().at;
    let Tried::Held(_held) = world.lease.try_acquire("default", now).await.unwrap() else {
        panic!("the lease is free");
    };
    let sent = session.access(&api()).await.unwrap().id();
    session.report(sent, &api(), REJECTED);
    let error = session.access_newer(&api(), sent).await.unwrap_err();
    let AccessError::Busy { holder, held_for } = &error else { panic!("{error}") };
    assert_eq!(holder.pid, Some(std::process::id()));
    assert_eq!(held_for.unwrap().as_secs(), 30);
    assert!(error.to_string().contains(&format!("pid {}", std::process::id())));
    assert!(world.endpoint.sent().is_empty());
}

/// A lease that runs out unless it is renewed.
#[derive(Debug, Default)]
struct ShortLease {
    renewals: Arc<AtomicUsize>,
    released: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct ShortHeld(Arc<AtomicUsize>, Arc<AtomicUsize>);

#[async_trait]
impl RefreshLease for ShortLease {
    async fn try_acquire(&self, _: &str, _: Timestamp) -> Result<Tried, StoreError> {
        Ok(Tried::Held(Box::new(ShortHeld(self.renewals.clone(), self.released.clone()))))
    }

    fn proves_death(&self) -> bool {
        false
    }
}

#[async_trait]
impl HeldLease for ShortHeld {
    async fn renew(&mut self) -> Result<(), StoreError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        self.1.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn time_left(&self) -> Option<Duration> {
        Some(Duration::from_secs(10))
    }
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_runs_out_is_renewed_for_as_long_as_the_job_runs() {
    let world = World::new();
    let lease = Arc::new(ShortLease::default());
    let session = Session::builder(world.store.clone(), lease.clone(), world.endpoint.clone())
        .clocks(world.clocks.clone())
        .open()
        .unwrap();
    session.install(client(), [api()], grant("at-0", "rt-0")).await.unwrap();
    world.endpoint.hold();
    let sent = session.access(&api()).await.unwrap().id();
    session.report(sent, &api(), REJECTED);
    world.endpoint.asked(1).await;
    // The attempt is given up after 20 s; till then it was renewed every 5 s.
    session.close(HOUR).await.unwrap();
    let renewals = lease.renewals.load(Ordering::Relaxed);
    assert!((3..=4).contains(&renewals), "{renewals}");
    assert_eq!(lease.released.load(Ordering::Relaxed), 1);
}

#[test]
fn a_session_whose_task_has_gone_says_so() {
    let world = World::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let session = {
        let _inside = runtime.enter();
        world.builder().open().unwrap()
    };
    runtime.shutdown_background();
    while block_on(session.status()).is_some() {}
    assert!(matches!(block_on(session.access(&api())), Err(AccessError::Closed)));
    assert!(!session.is(&world.builder().open().unwrap()));
}

/// The smallest executor there is.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn it_works_from_plain_threads_without_a_runtime() {
    let world = World::new();
    let session = block_on(world.logged_in());
    let callers: Vec<_> = (0..8)
        .map(|_| {
            let session = session.clone();
            thread::spawn(move || {
                block_on(async {
                    let sent = session.access(&api()).await.unwrap().id();
                    if sent.generation == 1 {
                        session.report(sent, &api(), REJECTED);
                    }
                    session.access(&api()).await.unwrap().id().generation
                })
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.join().unwrap(), 2);
    }
    assert_eq!(world.endpoint.sent().len(), 1);
    block_on(session.close(HOUR)).unwrap();
    assert_eq!(block_on(world.store.refresh_token()).as_deref(), Some("rt-1"));
}
