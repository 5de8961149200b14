//! A runtime that is shut down around its sessions: as much is lost as a crash loses, and no more.

use regrant::{AccessError, NotSaved};
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

use crate::common::{HOUR, api, other};
use crate::turns::{World, polled};
use crate::{REJECTED, rejected};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

#[test]
fn a_runtime_that_ends_in_mid_refresh_leaves_what_a_crash_leaves() {
    let mut turn = 0;
    loop {
        let world = World::new();
        let first = runtime();
        let (session, sent, ended) = first.block_on(async {
            let (session, sent) = rejected(&world).await;
            let ended = polled(session.access_newer(&api(), sent), turn).await;
            (session, sent, ended)
        });
        drop(first);
        let requests = world.endpoint.sent().len();
        let second = runtime();
        second.block_on(async {
            let is_saved = requests == 1 && world.refresh_token().await == "rt-1";
            // Whoever still has the old session is told, and by no way gets a token of it.
            assert!(session.try_access(&api()).is_none());
            let error = session.access(&other()).await.unwrap_err();
            assert!(matches!(error, AccessError::Closed), "{error}");
            session.close(HOUR).await.unwrap();
            // The next session is a new one, and nobody's lease is in its way.
            let next = world.open();
            assert!(!next.is(&session));
            if next.access(&api()).await.unwrap().id() == sent {
                next.report(sent, &api(), REJECTED);
            }
            assert_ne!(next.access(&api()).await.unwrap().id(), sent);
            world.is_left_clean(&next).await;
            // A request whose grant nobody was there to save is made once more, as after a crash.
            let expected = if is_saved { 1 } else { requests + 1 };
            assert_eq!(world.endpoint.sent(), vec!["rt-0"; expected], "turn {turn}");
            assert_eq!(world.refresh_token().await, format!("rt-{expected}"));
        });
        if ended {
            break;
        }
        turn += 1;
        assert!(turn < 1_000, "it never ends");
    }
    assert!(turn > 1);
}

#[test]
fn who_waits_when_the_runtime_ends_is_answered() {
    let world = World::new();
    world.endpoint.hold();
    let first = runtime();
    let (session, sent) = first.block_on(rejected(&world));
    let origin = api();
    let mut access = Box::pin(session.access_newer(&origin, sent));
    let mut close = Box::pin(session.close(HOUR));
    let second = runtime();
    second.block_on(async {
        assert!(!polled(access.as_mut(), 1).await && !polled(close.as_mut(), 1).await);
    });
    first.block_on(async { yield_now().await });
    drop(first);
    second.block_on(async {
        assert!(matches!(access.await, Err(AccessError::Closed)));
        // Whether a token is lost by that, nobody can say.
        assert!(matches!(close.await, Err(NotSaved::UnderWay)));
    });
}
