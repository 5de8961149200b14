//! Server authority: a rejection against the local clock.

use std::time::Duration;

use regrant::{AccessError, Event, LoginReason, StateKind};

use crate::scene::{Got, HOUR, Scene, challenge, expired, happened, refused, reply};

#[tokio::test(start_paused = true)]
async fn sa_01_401_before_local_expiry() {
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!((scene.posts(), scene.tokens()), (1, vec!["at-0".into(), "at-1".into()]));
}

#[tokio::test(start_paused = true)]
async fn sa_01_b_a_claims_challenge_goes_past_every_cache() {
    let scene = Scene::new().await;
    let line = r#"Bearer error="insufficient_claims", claims="eyJhIjp7ImVzc2VudGlhbCI6dHJ1ZX19""#;
    scene.rejects("at-0", challenge(401, line));
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!(scene.tokens(), ["at-0", "at-1"]);
    let asked = "&claims=%7B%22a%22%3A%7B%22essential%22%3Atrue%7D%7D";
    assert!(scene.network(|network| network.posts[0].contains(asked)));
}

#[tokio::test(start_paused = true)]
async fn sa_01_c_claims_that_only_a_login_can_bring_reach_the_caller_as_they_came() {
    let scene = Scene::new().await;
    let line = r#"Bearer error="insufficient_claims", claims="eyJhIjoxfQ""#;
    scene.rejects("at-0", challenge(401, line));
    scene.always(refused("interaction_required"));
    let got = scene.call().await;
    let Got::ClaimsWanted(claims, why) = &got else { panic!("{got:?}") };
    let AccessError::NeedsLogin { reason, .. } = **why else { panic!("{got:?}") };
    assert_eq!((&**claims, reason), (r#"{"a":1}"#, LoginReason::InteractionRequired));
    // The refresh token is kept, and the cached token is not sent again.
    assert_eq!((scene.posts(), scene.stored().await.1.as_deref()), (1, Some("rt-0")));
    assert_eq!(scene.tokens(), ["at-0"]);
}

#[tokio::test(start_paused = true)]
async fn sa_02_fresh_token_still_rejected() {
    let scene = Scene::new().await;
    scene.api(|_| expired());
    let Got::Answer { status, rejected, .. } = scene.call().await else { panic!() };
    assert_eq!((status, rejected), (401, true));
    assert_eq!((scene.posts(), scene.requests()), (1, 2));
    let (stored, saves) = (scene.stored().await, scene.shelf.saves());
    for _ in 0..1_000 {
        let error = scene.call().await;
        assert!(matches!(error.error(), AccessError::StillRejected { .. }));
    }
    assert_eq!((scene.posts(), scene.requests()), (1, 2));
    assert_eq!((scene.stored().await, scene.shelf.saves()), (stored, saves));
    assert_ne!(scene.status().await.state, Some(StateKind::NeedsLogin));
}

#[tokio::test(start_paused = true)]
async fn sa_03_keep_valid_token_when_refresh_fails() {
    let scene = Scene::new().await;
    scene.always(reply(503, ""));
    // A minute before its end: the hint has asked for a new one by now.
    scene.pass(HOUR - Duration::from_secs(50)).await;
    assert!(scene.posts() >= 1);
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!(scene.tokens(), ["at-0"]);
    assert_eq!(scene.status().await.state, Some(StateKind::Valid));
}

#[tokio::test(start_paused = true)]
async fn sa_03_b_also_when_it_is_refused() {
    let scene = Scene::new().await;
    scene.always(refused("invalid_grant"));
    scene.pass(HOUR - Duration::from_secs(50)).await;
    assert_eq!(scene.posts(), 1);
    assert_eq!(scene.call().await.status(), 200);
    scene.rejects("at-0", expired());
    let got = scene.call().await;
    let AccessError::NeedsLogin { reason, .. } = got.error() else { panic!("{got:?}") };
    assert_eq!((*reason, scene.posts()), (LoginReason::Refused, 1));
}

#[tokio::test(start_paused = true)]
async fn sa_04_expired_is_not_logged_out() {
    let mut scene = Scene::new().await;
    scene.session.close(HOUR).await.unwrap();
    scene.pass(HOUR * 2).await;
    scene.restart().await;
    let mut events = scene.session.events();
    assert_ne!(scene.status().await.state, Some(StateKind::NeedsLogin));
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!((scene.posts(), scene.tokens()), (1, vec!["at-1".into()]));
    let told = happened(&mut events).await;
    assert!(!told.iter().any(|event| matches!(event, Event::LoginNeeded { .. })), "{told:?}");
}
