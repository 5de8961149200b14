//! Rejections and refreshes, as callers see them.

mod common;

use std::time::Duration;

use common::{HOUR, World, api, grant, other, token};
use regrant::{
    AccessError, Answer, Applied, Cause, Event, Failure, LoginReason, Origin, Refusal, RefusalKind,
    StateKind, Strength, TokenId, Verdict,
};

const REJECTED: Verdict = Verdict::Rejected(Strength::Strong);

#[tokio::test(start_paused = true)]
async fn a_hundred_rejections_are_one_token_request() {
    let world = World::new();
    let session = world.logged_in().await;
    let mut events = session.events();
    let sent = session.access(&api()).await.unwrap().id();
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move {
                session.report(sent, &api(), REJECTED);
                session.access_newer(&api(), sent).await.unwrap().id().generation
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 2);
    }
    assert_eq!(world.endpoint.sent(), ["rt-0"]);
    session.close(HOUR).await.unwrap();
    drop(session);
    let mut refreshed = 0;
    while let Some(event) = events.next().await {
        refreshed += usize::from(event == Ok(Event::Refreshed { generation: 2 }));
    }
    assert_eq!(refreshed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_cancels_nothing() {
    let world = World::new();
    let session = world.logged_in().await;
    world.endpoint.hold();
    let sent = session.access(&api()).await.unwrap().id();
    session.report(sent, &api(), REJECTED);
    let initiator = tokio::spawn({
        let session = session.clone();
        async move { session.access_newer(&api(), sent).await.map(drop) }
    });
    world.endpoint.asked(1).await;
    initiator.abort();
    assert!(initiator.await.unwrap_err().is_cancelled());
    world.endpoint.release();

    assert_eq!(session.access_newer(&api(), sent).await.unwrap().token().expose(), "at-1");
    assert_eq!(world.store.refresh_token().await.as_deref(), Some("rt-1"));
    assert_eq!(token(&session, &api()).await, "at-1");
    assert_eq!(world.endpoint.sent(), ["rt-0"]);
}

#[tokio::test(start_paused = true)]
async fn the_last_session_dropped_in_mid_refresh_still_saves() {
    let world = World::new();
    let session = world.logged_in().await;
    world.endpoint.hold();
    let sent = session.access(&api()).await.unwrap().id();
    session.report(sent, &api(), REJECTED);
    world.endpoint.asked(1).await;
    let mut events = session.events();
    drop(session);
    world.endpoint.release();
    while events.next().await.is_some() {}
    assert_eq!(world.store.refresh_token().await.as_deref(), Some("rt-1"));
}

#[tokio::test(start_paused = true)]
async fn a_late_rejection_of_an_old_generation_refreshes_nothing() {
    let world = World::new();
    let session = world.logged_in().await;
    let old = session.access(&api()).await.unwrap().id();
    session.report(old, &api(), REJECTED);
    let new = session.access_newer(&api(), old).await.unwrap().id();
    session.report(old, &api(), REJECTED);
    // The straggler holds nobody up, not even for a moment.
    assert_eq!(session.try_access(&api()).unwrap().id(), new);
    assert_eq!(session.access_newer(&api(), old).await.unwrap().id(), new);
    session.close(HOUR).await.unwrap();
    assert_eq!(world.endpoint.sent(), ["rt-0"]);
}

#[tokio::test(start_paused = true)]
async fn the_hot_path_needs_nobody() {
    let world = World::new();
    let session = world.logged_in().await;
    token(&session, &api()).await;
    // Nothing here awaits, so the session's task, on this same thread, cannot run.
    let access = session.try_access(&api()).unwrap();
    assert_eq!(access.token().expose(), "at-0");
    assert_eq!(access.token_type(), "Bearer");
    assert_eq!(access.id(), TokenId { slot: 0, generation: 1 });
    assert!(!access.is_stale() && !access.wants_report());
    // The mark is up before the task has heard of the rejection, for every origin.
    session.report(access.id(), &api(), REJECTED);
    assert!(session.try_access(&api()).is_none());
    assert!(session.try_access(&other()).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_origin_that_is_not_bound_gets_no_token_and_costs_no_request() {
    let world = World::new();
    let session = world.logged_in().await;
    let stranger = Origin::parse("https://stranger.example").unwrap();
    let error = session.access(&stranger).await.unwrap_err();
    assert!(matches!(error, AccessError::Foreign { origin } if origin == stranger));
    session.allow(stranger.clone()).await.unwrap();
    assert_eq!(token(&session, &stranger).await, "at-0");
    assert!(world.endpoint.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_needs_a_login_and_costs_one_request_for_ever() {
    let world = World::new();
    let session = world.logged_in().await;
    let refusal = Refusal { code: "invalid_grant".into(), kind: RefusalKind::Dead };
    world.endpoint.next(Answer::Refused(refusal));
    let sent = session.access(&api()).await.unwrap().id();
    session.report(sent, &api(), REJECTED);
    for _ in 0..3 {
        let error = session.access_newer(&api(), sent).await.unwrap_err();
        let AccessError::NeedsLogin { reason, code, .. } = error else { panic!("{error}") };
        assert_eq!(reason, LoginReason::Refused);
        assert_eq!(code.as_deref(), Some("invalid_grant"));
    }
    assert_eq!(session.status().await.unwrap().state, Some(StateKind::NeedsLogin));
    assert_eq!(world.endpoint.sent().len(), 1);
    // A login ends it at once.
    session.install(common::client(), [api()], grant("new", "new-rt")).await.unwrap();
    assert_eq!(token(&session, &api()).await, "new");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stalls_holds_callers_no_longer_than_their_patience() {
    let world = World::new();
    let session = world.logged_in().await;
    world.endpoint.hold();
    let sent = session.access(&api()).await.unwrap().id();
    session.report(sent, &api(), REJECTED);
    let waits = async { session.access_newer(&api(), sent).await.map(drop) };
    let error = tokio::time::timeout(Duration::from_secs(31), waits).await.unwrap().unwrap_err();
    assert!(!matches!(error, AccessError::NeedsLogin { .. }), "{error}");
    // The attempt was given up and its lease let go; the answer is taken all the same.
    world.endpoint.release();
    assert_eq!(session.access_newer(&api(), sent).await.unwrap().token().expose(), "at-1");
    assert_eq!(world.store.refresh_token().await.as_deref(), Some("rt-1"));
    assert_eq!(world.endpoint.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_no_reason_to_log_in() {
    let world = World::new();
    let session = world.logged_in().await;
    let away =
        Failure { cause: Cause::Unreachable, applied: Applied::No, retry_after: None, code: None };
    for _ in 0..6 {
        world.endpoint.next(Answer::Failed(away.clone()));
    }
    let sent = session.access(&api()).await.unwrap().id();
    session.report(sent, &api(), REJECTED);
    let error = session.access_newer(&api(), sent).await.unwrap_err();
    let AccessError::Delayed { cause, retry_at, .. } = error else { panic!("{error}") };
    assert_eq!(cause, Cause::Unreachable);
    // It comes back by itself.
    let now = session.status().await.unwrap().at;
    tokio::time::advance(retry_at.since(now) + Duration::from_secs(1)).await;
    assert_eq!(session.access_newer(&api(), sent).await.unwrap().token().expose(), "at-7");
}

#[tokio::test(start_paused = true)]
async fn a_fresh_token_that_is_rejected_too_is_the_origins_own_matter() {
    let world = World::new();
    let session = world.logged_in().await;
    let first = session.access(&api()).await.unwrap().id();
    session.report(first, &api(), REJECTED);
    let second = session.access_newer(&api(), first).await.unwrap().id();
    session.report(second, &api(), REJECTED);
    let error = session.access_newer(&api(), second).await.unwrap_err();
    assert!(matches!(error, AccessError::StillRejected { .. }), "{error}");
    assert_eq!(token(&session, &other()).await, "at-1");
    assert_eq!(world.endpoint.sent().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_acceptance_makes_a_new_token_trusted_in_the_store() {
    let world = World::new();
    let session = world.logged_in().await;
    let first = session.access(&api()).await.unwrap().id();
    session.report(first, &api(), REJECTED);
    let access = session.access_newer(&api(), first).await.unwrap();
    assert!(access.wants_report());
    assert_eq!(session.status().await.unwrap().state, Some(StateKind::Retrying));
    session.report(access.id(), &api(), Verdict::Accepted);
    drop(access);
    session.close(HOUR).await.unwrap();
    assert_eq!(world.store.record().await.unwrap().state(), StateKind::Valid);
}

#[tokio::test(start_paused = true)]
async fn a_suspend_is_seen_without_a_restart() {
    let world = World::new();
    let session = world.logged_in().await;
    assert_eq!(token(&session, &api()).await, "at-0");
    let mut events = session.events();
    world.clocks.suspend(8 * HOUR);
    // Timers stood still. The driver looks at the clock every 30 s at the latest.
    let seen =
        async { while events.next().await != Some(Ok(Event::Refreshed { generation: 2 })) {} };
    tokio::time::timeout(Duration::from_secs(31), seen).await.unwrap();
    assert_eq!(token(&session, &api()).await, "at-1");
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_changes_nothing() {
    let world = World::new();
    let session = world.logged_in().await;
    world.clocks.step_wall(-8 * 3_600_000);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(token(&session, &api()).await, "at-0");
    assert!(world.endpoint.sent().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_waited_through_a_stop_is_heard_before_anybody_is_late() {
    let world = World::new();
    let session = world.logged_in().await;
    world.endpoint.hold();
    let sent = session.access(&api()).await.unwrap().id();
    session.report(sent, &api(), REJECTED);
    let waiter = tokio::spawn({
        let session = session.clone();
        async move { session.access_newer(&api(), sent).await.map(|access| access.id()) }
    });
    world.endpoint.asked(1).await;
    // The process is stopped past every deadline; then all is due at once, the answer too.
    world.endpoint.release();
    tokio::time::advance(Duration::from_secs(40)).await;
    assert_eq!(waiter.await.unwrap().unwrap().generation, 2);
    assert_eq!(world.endpoint.sent(), ["rt-0"]);
    assert_eq!(world.store.refresh_token().await.as_deref(), Some("rt-1"));
}
