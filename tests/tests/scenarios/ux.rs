//! What people and programs are told. What the command prints is in its own tests.

use std::time::Duration;

use regrant::{AccessError, Event, LoginReason, StateKind, StoreFault};
use regrant_core::Refresh;

use crate::scene::{Fate, HOUR, SECOND, Scene, expired, happened, refused, reply, tokens};

/// Of what happened, what tells how a token request ended.
fn outcomes(told: &[Event]) -> Vec<&'static str> {
    let outcome = |event: &Event| match event {
        Event::TryFailed { .. } => Some("failed"),
        Event::Refreshed { .. } => Some("refreshed"),
        Event::LoginNeeded { .. } => Some("login needed"),
        Event::NotSaved { .. } => Some("not saved"),
        Event::SavedAtLast { .. } => Some("saved at last"),
        _ => None,
    };
    told.iter().filter_map(outcome).collect()
}

fn asked(told: &[Event]) -> usize {
    told.iter().filter(|event| matches!(event, Event::Asked { .. })).count()
}

#[tokio::test(start_paused = true)]
async fn ux_03_c_a_token_that_cannot_be_renewed_names_its_source() {
    let scene = Scene::with(|client, grant| {
        client.source = Some("EXAMPLE_TOKEN".into());
        grant.refresh_token = None;
    })
    .await;
    scene.rejects("at-0", expired());
    let got = scene.call().await;
    let AccessError::NeedsLogin { reason, token_source, .. } = got.error() else {
        panic!("{got:?}")
    };
    assert_eq!(
        (*reason, token_source.as_deref()),
        (LoginReason::NoRefreshToken, Some("EXAMPLE_TOKEN"))
    );
    let text = got.error().to_string();
    assert!(text.contains("EXAMPLE_TOKEN") && !text.contains("log in"), "{text}");
    assert_eq!((scene.posts(), scene.requests()), (0, 1));
    // Not of a login that took its place and can be renewed.
    scene.log_in("new", "rt-new").await;
    scene.rejects("new", expired());
    scene.next([refused("invalid_grant")]);
    let got = scene.call().await;
    assert_eq!(got.login_reason(), LoginReason::Refused);
    assert!(!got.error().to_string().contains("EXAMPLE_TOKEN"));
}

#[tokio::test(start_paused = true)]
async fn ux_04_b_ten_callers_ask_for_one_login_and_at_once() {
    let scene = Scene::new().await;
    let mut events = scene.session.events();
    scene.rejects("at-0", expired());
    scene.next([Fate::After(SECOND * 2, refused("invalid_grant"))]);
    let got = scene.calls(10).await;
    assert!(got.iter().all(|got| got.login_reason() == LoginReason::Refused));
    assert_eq!(scene.elapsed(), SECOND * 2, "the answer is handed on as it comes");
    let told = happened(&mut events).await;
    assert_eq!((scene.posts(), outcomes(&told)), (1, vec!["login needed"]));
}

#[tokio::test(start_paused = true)]
async fn ux_05_silent_refresh_failure() {
    let scene = Scene::new().await;
    let mut events = scene.session.events();
    scene.rejects("at-0", expired());
    scene.always(reply(503, ""));
    let _ = scene.call().await;
    scene.pass(HOUR).await;
    let told = happened(&mut events).await;
    // Each request has its one outcome, and none is called a success.
    assert_eq!(outcomes(&told), vec!["failed"; scene.posts()]);
    assert_eq!(asked(&told), scene.posts());
    let state = scene.status().await;
    let cool_down = state.record.unwrap().cool_down.unwrap();
    assert_eq!(cool_down.cause, regrant::Cause::Unavailable);
    assert!(cool_down.until > state.at, "and when the next one comes");

    // The first refusal is the end, and says so, with its reason and since when.
    scene.always(refused("invalid_grant"));
    scene.pass(HOUR).await;
    let told = happened(&mut events).await;
    assert_eq!((asked(&told), outcomes(&told)), (1, vec!["login needed"]));
    let state = scene.status().await;
    assert_eq!(state.state, Some(StateKind::NeedsLogin));
    let Refresh::Dead { reason, at, .. } = state.record.unwrap().refresh else { panic!() };
    assert_eq!(reason, LoginReason::Refused);
    assert!(at <= state.at);
}

#[tokio::test(start_paused = true)]
async fn ux_05_b_a_success_is_told_when_it_is_saved_and_not_before() {
    let scene = Scene::new().await;
    let mut events = scene.session.events();
    let call = scene.call_in_mid_refresh().await;
    scene.shelf.fail_saves(Some(StoreFault::Full));
    assert_eq!(call.await.unwrap().status(), 200);
    scene.pass(SECOND * 10).await;
    let told = happened(&mut events).await;
    assert_eq!((asked(&told), outcomes(&told)), (1, vec!["not saved"]));
    assert_eq!(scene.status().await.unsaved, Some(StoreFault::Full));
    scene.shelf.fail_saves(None);
    scene.pass(SECOND * 10).await;
    let told = happened(&mut events).await;
    assert_eq!((asked(&told), outcomes(&told)), (0, vec!["saved at last"]));
    assert_eq!(scene.stored().await, tokens("at-1", "rt-1"));
}

#[tokio::test(start_paused = true)]
async fn ux_06_latched_failure_outlives_new_login() {
    let minute = Duration::from_secs(60);
    for by_another_process in [false, true] {
        for fate in [refused("invalid_grant"), reply(429, "").with("retry-after", "3600")] {
            let scene = Scene::new().await;
            let other = scene.another();
            scene.rejects("at-0", expired());
            scene.next([fate.clone()]);
            let _ = scene.call().await;
            scene.pass(minute).await;
            let _ = scene.call().await;
            assert_eq!((scene.posts(), scene.requests()), (1, 1));
            let before = scene.elapsed();
            let who = if by_another_process { &other } else { &scene };
            who.log_in("new", "rt-new").await;
            assert_eq!(scene.call().await.status(), 200, "{fate:?}");
            assert_eq!(scene.tokens(), ["at-0", "new"], "one request, with the new token");
            assert_eq!((scene.posts(), scene.elapsed()), (1, before));
        }
    }
}

/// What an API is known for is forgotten, too: it may have been the account that it did not like.
#[tokio::test(start_paused = true)]
async fn ux_06_b_an_api_that_rejected_fresh_tokens_is_asked_at_once_with_a_new_login() {
    for by_another_process in [false, true] {
        let scene = Scene::new().await;
        let other = scene.another();
        scene.api(|token| if token == "new" { reply(200, "{}") } else { expired() });
        assert_eq!(scene.call().await.status(), 401);
        assert!(matches!(scene.call().await.error(), AccessError::StillRejected { .. }));
        let before = scene.elapsed();
        let who = if by_another_process { &other } else { &scene };
        who.log_in("new", "rt-new").await;
        assert_eq!(scene.call().await.status(), 200, "by another: {by_another_process}");
        assert_eq!(scene.tokens(), ["at-0", "at-1", "new"]);
        assert_eq!((scene.posts(), scene.elapsed()), (1, before));
    }
}
