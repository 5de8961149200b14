//! Whoever goes away, at whatever moment, takes nothing with it.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

#[path = "../common/mod.rs"]
mod common;
mod panics;
mod runtimes;
mod turns;

use std::time::Duration;

use common::{HOUR, api, client, grant, other};
use regrant::{
    AccessError, Answer, LoginReason, Refusal, RefusalKind, Session, Strength, TokenId, Verdict,
};
use turns::{World, at_every_turn, polled};

const REJECTED: Verdict = Verdict::Rejected(Strength::Strong);

/// The token of a session that is logged in was rejected.
async fn rejected(world: &World) -> (Session, TokenId) {
    let session = world.logged_in().await;
    let sent = session.access(&api()).await.unwrap().id();
    session.report(sent, &api(), REJECTED);
    (session, sent)
}

/// One token request, whose grant is saved and given to whoever asks.
async fn is_refreshed(world: &World, session: &Session, sent: TokenId) {
    let access = session.access_newer(&api(), sent).await.unwrap();
    assert_eq!(access.token().expose(), "at-1");
    drop(access);
    assert_eq!(session.access(&other()).await.unwrap().token().expose(), "at-1");
    world.is_left_clean(session).await;
    assert_eq!(world.endpoint.sent(), ["rt-0"]);
    assert_eq!(world.refresh_token().await, "rt-1");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_takes_no_refresh_with_it() {
    at_every_turn(async |turn| {
        let world = World::new();
        let (session, sent) = rejected(&world).await;
        let ended = polled(session.access_newer(&api(), sent), turn).await;
        is_refreshed(&world, &session, sent).await;
        ended
    })
    .await;
    at_every_turn(async |turn| {
        let world = World::new();
        let (session, sent) = rejected(&world).await;
        let ended = polled(session.access(&api()), turn).await;
        is_refreshed(&world, &session, sent).await;
        ended
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_leaves_those_who_wait_with_it_their_token() {
    at_every_turn(async |turn| {
        let world = World::new();
        let (session, sent) = rejected(&world).await;
        let stays = tokio::spawn({
            let session = session.clone();
            async move { session.access_newer(&api(), sent).await.map(|access| access.id()) }
        });
        let ended = polled(session.access_newer(&api(), sent), turn).await;
        assert_eq!(stays.await.unwrap().unwrap().generation, 2);
        is_refreshed(&world, &session, sent).await;
        ended
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_not_waited_for_is_made_all_the_same() {
    at_every_turn(async |turn| {
        let world = World::new();
        let session = world.open();
        let login = session.install(client(), [api()], grant("at-0", "rt-0"));
        let ended = polled(login, turn).await;
        // What is asked for next comes after it.
        let allowed = session.allow(other()).await;
        assert_eq!(allowed.is_ok(), turn > 0);
        let stored = if turn > 0 { "rt-0" } else { "" };
        assert_eq!(world.refresh_token().await, stored);
        world.is_left_clean(&session).await;
        ended
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_is_not_waited_for_is_made_all_the_same() {
    at_every_turn(async |turn| {
        let world = World::new();
        // A refresh is under way, and loses.
        let (session, _) = rejected(&world).await;
        let ended = polled(session.log_out(), turn).await;
        if turn == 0 {
            session.log_out().await.unwrap();
        }
        let error = session.access(&api()).await.unwrap_err();
        let AccessError::NeedsLogin { reason, .. } = error else { panic!("{error}") };
        assert_eq!(reason, LoginReason::LoggedOut);
        world.is_left_clean(&session).await;
        assert!(world.record().await.unwrap().is_logged_out());
        assert!(world.endpoint.revoked().len() >= 2 && world.endpoint.sent().len() <= 1);
        ended
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reconsideration_that_is_not_waited_for_is_made_all_the_same() {
    at_every_turn(async |turn| {
        let world = World::new();
        let refusal = Refusal { code: "invalid_grant".into(), kind: RefusalKind::Dead };
        world.endpoint.next(Answer::Refused(refusal));
        let (session, sent) = rejected(&world).await;
        let error = session.access_newer(&api(), sent).await.unwrap_err();
        assert!(matches!(error, AccessError::NeedsLogin { .. }), "{error}");
        let ended = polled(session.reconsider(), turn).await;
        if turn == 0 {
            session.reconsider().await.unwrap();
        }
        assert_eq!(session.access_newer(&api(), sent).await.unwrap().token().expose(), "at-2");
        world.is_left_clean(&session).await;
        assert_eq!(world.endpoint.sent(), ["rt-0", "rt-0"]);
        assert_eq!(world.refresh_token().await, "rt-2");
        ended
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_client_or_origin_that_is_not_waited_for_is_saved_all_the_same() {
    let third = || regrant::Origin::parse("https://third.example").unwrap();
    at_every_turn(async |turn| {
        let world = World::new();
        let session = world.logged_in().await;
        let mut changed = client();
        changed.client_id = "changed".to_owned();
        let ended = polled(session.configure(changed), turn).await;
        let also = polled(session.allow(third()), turn).await;
        // What is asked for next comes after both.
        session.allow(other()).await.unwrap();
        world.is_left_clean(&session).await;
        let record = world.record().await.unwrap();
        assert_eq!(record.client.client_id == "changed", turn > 0);
        assert_eq!(record.origins.contains(&third()), turn > 0);
        ended && also
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_asks_for_the_status_or_for_events_and_goes_away_changes_nothing() {
    at_every_turn(async |turn| {
        let world = World::new();
        let session = world.logged_in().await;
        session.close(HOUR).await.unwrap();
        let session = world.open();
        drop(session.events());
        let ended = polled(session.status(), turn).await;
        let sent = session.access(&api()).await.unwrap().id();
        session.report(sent, &api(), REJECTED);
        is_refreshed(&world, &session, sent).await;
        ended
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_close_that_is_not_waited_for_closes_all_the_same() {
    at_every_turn(async |turn| {
        let world = World::new();
        let (session, sent) = rejected(&world).await;
        let waits = tokio::spawn({
            let session = session.clone();
            async move { session.access_newer(&api(), sent).await.map(|access| access.id()) }
        });
        let ended = polled(session.close(HOUR), turn).await;
        world.is_left_clean(&session).await;
        // Who waited is answered, by a token or by a word.
        let answer = waits.await.unwrap();
        assert!(matches!(answer, Ok(_) | Err(AccessError::Closed)), "{answer:?}");
        assert!(session.try_access(&api()).is_none());
        // What was sent was saved. What was not sent, the next session sends if it knows of the
        // rejection.
        let saved = world.refresh_token().await;
        assert_eq!(saved, format!("rt-{}", world.endpoint.sent().len()));
        let next = world.open();
        let token = next.access(&api()).await.unwrap().token().expose().to_owned();
        world.is_left_clean(&next).await;
        let sent = world.endpoint.sent();
        assert!(sent.len() <= 1 && token == format!("at-{}", sent.len()), "{sent:?} {token}");
        ended
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_last_session_dropped_at_any_moment_loses_nothing_and_holds_nobody_up() {
    at_every_turn(async |turn| {
        let world = World::new();
        let (session, sent) = rejected(&world).await;
        let ended = polled(session.access_newer(&api(), sent), turn).await;
        let mut events = session.events();
        drop(session);
        // At once, not after the end of the old one: two tasks, and one of them has the lease.
        let next = world.open();
        let access = next.access(&api()).await.unwrap();
        drop(access);
        while events.next().await.is_some() {}
        next.report(sent, &api(), REJECTED);
        assert_eq!(next.access_newer(&api(), sent).await.unwrap().token().expose(), "at-1");
        world.is_left_clean(&next).await;
        assert_eq!(world.endpoint.sent(), ["rt-0"]);
        assert_eq!(world.refresh_token().await, "rt-1");
        ended
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_queue_of_changes_that_need_no_store_does_not_wait_for_the_clock() {
    let world = World::new();
    let session = world.open();
    let clock = session.status().await.unwrap().at;
    let first = tokio::spawn({
        let session = session.clone();
        async move { session.log_out().await.map(drop) }
    });
    // More than are ever begun in one go, behind one that takes its time.
    let behind: Vec<_> = (0..200)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move { session.allow(api()).await.is_err() })
        })
        .collect();
    first.await.unwrap().unwrap();
    for change in behind {
        assert!(change.await.unwrap(), "there is nobody to allow it for");
    }
    let waited = session.status().await.unwrap().at.since(clock);
    assert_eq!(waited, Duration::ZERO);
}
