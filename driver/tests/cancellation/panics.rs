//! A store, a lease, an endpoint or a clock of the host that panics: whoever waits is answered, and
//! the session, or the next one, goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use regrant::{AccessError, Session, StateKind, StoreFault, TimeSource, Timestamp, VirtualClocks};

use crate::common::{api, client, grant, other};
use crate::turns::World;
use crate::{REJECTED, rejected};

/// A caller's patience, and a second for those who answer.
const ANSWERED: Duration = Duration::from_secs(31);

/// A person who meets an error of the store tries again, and is not told to log in.
async fn logs_in(session: &Session) {
    for _ in 0..2 {
        let login = session.install(client(), [api(), other()], grant("at-0", "rt-0"));
        match tokio::time::timeout(ANSWERED, login).await.unwrap() {
            Ok(()) => return,
            Err(error) => assert!(error.to_string().contains("store"), "{error}"),
        }
    }
    panic!("one panic, and two logins failed");
}

#[tokio::test(start_paused = true)]
async fn a_panic_at_any_call_into_the_host_wedges_nobody_and_loses_nothing() {
    let mut number = 0;
    loop {
        let world = World::that_panics_at(number);
        let session = world.open();
        logs_in(&session).await;
        let sent = session.access(&api()).await.unwrap().id();
        session.report(sent, &api(), REJECTED);
        let callers: Vec<_> = [api(), other(), api()]
            .map(|origin| {
                let session = session.clone();
                tokio::spawn(async move {
                    tokio::time::timeout(ANSWERED, session.access_newer(&origin, sent))
                        .await
                        .expect("everybody is answered within a caller's patience")
                        .map(|access| access.token().expose().to_owned())
                })
            })
            .into_iter()
            .collect();
        for caller in callers {
            match caller.await.unwrap() {
                Ok(_) | Err(AccessError::Store { fault: StoreFault::Unavailable, .. }) => {}
                Err(error) => panic!("call {number}: {error}"),
            }
        }
        // Whoever asks again gets its token.
        let token = session.access_newer(&api(), sent).await.unwrap().token().expose().to_owned();
        world.is_left_clean(&session).await;
        // A request that died may have been sent: it is made once more, and no oftener.
        let requests = world.endpoint.sent();
        assert!((1..=2).contains(&requests.len()), "call {number}: {requests:?}");
        assert_eq!(token, format!("at-{}", requests.len()), "call {number}");
        assert_eq!(world.refresh_token().await, format!("rt-{}", requests.len()));
        assert_eq!(world.record().await.unwrap().state(), StateKind::Retrying);
        if world.calls() <= number {
            break;
        }
        number += 1;
    }
    // Load, save; lease, load, intent, request, grant, release.
    assert!(number >= 8, "a login and a refresh are more calls than {number}");
}

/// Clocks that can break.
#[derive(Debug)]
struct Clocks {
    inner: VirtualClocks,
    broken: AtomicBool,
}

impl TimeSource for Clocks {
    fn wall(&self) -> Timestamp {
        self.inner.wall()
    }

    fn steady(&self) -> Duration {
        assert!(!self.broken.load(Ordering::Relaxed), "as the test wants it");
        self.inner.steady()
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_whose_task_panicked_says_so_and_the_next_one_is_a_new_one() {
    let world = World::new();
    rejected(&world).await.0.close(ANSWERED).await.unwrap();
    let inner = VirtualClocks::new(Timestamp::from_millis(1_700_000_000_000));
    let clocks = Arc::new(Clocks { inner, broken: AtomicBool::new(false) });
    let session = world.builder().clocks(clocks.clone()).open().unwrap();
    let sent = session.access(&api()).await.unwrap().id();
    let mut events = session.events();
    clocks.broken.store(true, Ordering::Relaxed);
    session.report(sent, &api(), REJECTED);
    let error = session.access_newer(&api(), sent).await.unwrap_err();
    assert!(matches!(error, AccessError::Closed), "{error}");
    assert!(session.try_access(&api()).is_none());
    assert!(session.status().await.is_none() && events.next().await.is_none());
    session.close(ANSWERED).await.unwrap();

    let next = world.open();
    assert!(!next.is(&session));
    assert!(next.access(&api()).await.is_ok());
    world.is_left_clean(&next).await;
}
