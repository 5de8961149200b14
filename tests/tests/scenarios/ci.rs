//! Concurrency inside one process.

use std::time::Duration;

use regrant::{AccessError, Cause, Event, LoginReason, Timestamp};
use regrant_storage::Tried;

use crate::scene::{Fate, HOUR, SECOND, Scene, expired, granted, happened, refused, reply, tokens};

#[tokio::test(start_paused = true)]
async fn ci_01_in_process_herd() {
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene.next([Fate::After(SECOND, granted("at-1", "rt-1"))]);
    let got = scene.calls(100).await;
    assert!(got.iter().all(|got| got.status() == 200));
    let accepted = scene.tokens().iter().filter(|token| *token == "at-1").count();
    assert_eq!((scene.posts(), accepted), (1, 100));
    assert_eq!(scene.record().await.generation, 2);
}

#[tokio::test(start_paused = true)]
async fn ci_01_b_two_who_open_the_same_credential_share_one_refresh() {
    let scene = Scene::new().await;
    let other = scene.opened_again();
    assert!(scene.session.is(&other.session));
    scene.rejects("at-0", expired());
    scene.next([Fate::After(SECOND, granted("at-1", "rt-1"))]);
    let (one, two) = tokio::join!(scene.calls(10), other.calls(10));
    assert!(one.iter().chain(&two).all(|got| got.status() == 200));
    assert_eq!(scene.posts(), 1);
}

#[tokio::test(start_paused = true)]
async fn ci_01_c_one_failure_is_told_once() {
    let scene = Scene::new().await;
    let mut events = scene.session.events();
    scene.rejects("at-0", expired());
    scene.next([Fate::After(SECOND, refused("invalid_grant"))]);
    let got = scene.calls(50).await;
    assert!(got.iter().all(|got| got.login_reason() == LoginReason::Refused));
    let told = happened(&mut events).await;
    let needed = told.iter().filter(|event| matches!(event, Event::LoginNeeded { .. }));
    assert_eq!((scene.posts(), needed.count()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn ci_02_straggler_401() {
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene.next([Fate::After(SECOND, granted("at-1", "rt-1"))]);
    // The first comes back at once, the last after five seconds; the refresh takes one.
    let mut sent = 0;
    scene.api_takes(move |token| {
        if token != "at-0" {
            return Duration::ZERO;
        }
        sent += 1;
        Duration::from_millis(10 + (sent - 1) * 550)
    });
    let got = scene.calls(10).await;
    assert!(got.iter().all(|got| got.status() == 200));
    let (old, new) = (vec!["at-0".to_owned(); 10], vec!["at-1".to_owned(); 10]);
    assert_eq!((scene.posts(), scene.tokens()), (1, [old, new].concat()));
    assert!(scene.elapsed() >= SECOND * 4, "they were not late: {:?}", scene.elapsed());
    scene.pass(HOUR / 2).await;
    assert_eq!((scene.posts(), scene.record().await.generation), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn ci_03_cancelled_initiator() {
    let scene = Scene::new().await;
    let initiator = scene.call_in_mid_refresh().await;
    let waiter = scene.begin_call();
    scene.pass(SECOND / 4).await;
    initiator.abort();
    assert!(initiator.await.unwrap_err().is_cancelled());
    assert_eq!(waiter.await.unwrap().status(), 200);
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!(scene.stored().await, tokens("at-1", "rt-1"));
    assert_eq!(scene.posts(), 1);
}

#[tokio::test(start_paused = true)]
async fn ci_03_b_nobody_has_to_be_left_to_wait() {
    let scene = Scene::new().await;
    let alone = scene.call_in_mid_refresh().await;
    alone.abort();
    assert!(alone.await.unwrap_err().is_cancelled());
    scene.pass(SECOND).await;
    assert_eq!(scene.stored().await, tokens("at-1", "rt-1"));
    assert_eq!((scene.call().await.status(), scene.posts()), (200, 1));
}

#[tokio::test(start_paused = true)]
async fn ci_04_refresh_blocks_waiters_forever() {
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene.always(Fate::Silent(Duration::from_secs(600)));
    let patience = Duration::from_secs(30);
    let got = tokio::time::timeout(patience, scene.calls(10)).await.expect("within their patience");
    for got in &got {
        let AccessError::Delayed { cause, retry_at, .. } = got.error() else { panic!("{got:?}") };
        assert_eq!(*cause, Cause::NoAnswer);
        assert!(*retry_at > Timestamp::EPOCH);
    }
    assert_eq!(scene.posts(), 1);
    // Others may refresh: the lease is free by then.
    let tried = scene.lease.try_acquire("default", Timestamp::EPOCH).await.unwrap();
    assert!(matches!(tried, Tried::Held(_)), "{tried:?}");
    assert!(scene.elapsed() <= patience);
}

#[tokio::test(start_paused = true)]
async fn ci_04_b_whoever_has_a_usable_token_is_not_delayed() {
    let scene = Scene::new().await;
    scene.always(Fate::Silent(Duration::from_secs(600)));
    while scene.posts() == 0 {
        scene.pass(SECOND).await;
    }
    let before = scene.elapsed();
    assert!(before < HOUR, "the refresh came ahead of need: {before:?}");
    let got = scene.calls(10).await;
    assert!(got.iter().all(|got| got.status() == 200));
    assert_eq!(scene.elapsed(), before);
}

#[tokio::test(start_paused = true)]
async fn ci_04_c_a_401_of_the_token_endpoint_is_an_answer_and_no_rejection() {
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene.always(reply(401, ""));
    for got in scene.calls(50).await {
        assert_eq!(got.delayed(), Cause::ClientMisconfigured);
    }
    assert_eq!((scene.posts(), scene.elapsed()), (1, Duration::ZERO));
}
