//! What the product is for, at a provider that is not ours.

use std::sync::Arc;

use regrant::{AccessError, Cause, Event, Secret};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::provider::{Provider, SOON};
use crate::user::User;

#[tokio::test]
async fn a_token_that_dies_at_the_server_alone_is_refreshed_and_the_request_replayed() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let user = User::of(&provider, "public").await;
    assert_eq!(user.call().await.unwrap()["sub"], "alice");
    // Each round rotates the refresh token once more.
    for round in 1..=3 {
        let (_, spent) = user.tokens().await;
        provider.kill_access_tokens().await;
        assert_eq!(user.call().await.unwrap()["sub"], "alice");
        assert_ne!(user.tokens().await.1, spent, "it was not rotated");
        assert_eq!(provider.refreshes().await, json!({ "granted": round }));
        // The first answer, and then each round's rejection and replay.
        assert_eq!(provider.api_answers().await, json!({ "200": 1 + round, "401": round }));
    }
    user.close().await;
}

#[tokio::test]
async fn twenty_rejections_at_once_make_one_token_request() {
    const CALLS: u64 = 20;
    let Some(provider) = Provider::start(json!({})).await else { return };
    let user = Arc::new(User::of(&provider, "public").await);
    provider.kill_access_tokens().await;
    let mut calls = JoinSet::new();
    for _ in 0..CALLS {
        let user = Arc::clone(&user);
        calls.spawn(async move { user.call().await.unwrap() });
    }
    for answer in calls.join_all().await {
        assert_eq!(answer["sub"], "alice");
    }
    assert_eq!(provider.refreshes().await, json!({ "granted": 1 }));
    let answers = provider.api_answers().await;
    assert_eq!(answers["200"], CALLS);
    assert!(answers["401"].as_u64().unwrap() > 1, "they came one after the other: {answers}");
}

#[tokio::test]
async fn a_token_that_expires_soon_is_refreshed_ahead_of_need() {
    // Seconds: no longer than a test may wait, no shorter than a login may take.
    let Some(provider) = Provider::start(json!({ "access_ttl": 3 })).await else { return };
    let user = User::of(&provider, "public").await;
    let mut events = user.session.events();
    let refreshed =
        async { while !matches!(events.next().await, Some(Ok(Event::Refreshed { .. }))) {} };
    timeout(SOON, refreshed).await.unwrap();
    user.call().await.unwrap();
    assert_eq!(provider.api_answers().await, json!({ "200": 1 }), "somebody met a rejection");
    user.close().await;
}

#[tokio::test]
async fn confidential_clients_refresh_by_basic_and_by_post() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    for (count, client_id) in ["basic", "post"].into_iter().enumerate() {
        let user = User::of(&provider, client_id).await;
        provider.kill_access_tokens().await;
        assert_eq!(user.call().await.unwrap()["client_id"], client_id);
        assert_eq!(provider.refreshes().await, json!({ "granted": count + 1 }));
        user.close().await;
    }
}

#[tokio::test]
async fn a_wrong_secret_is_the_configurations_matter_and_keeps_the_login() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let user = User::of(&provider, "basic").await;
    let right = provider.client("basic");
    let mut wrong = right.clone();
    wrong.client_secret = Some(Secret::new("wrong".to_owned()));
    user.session.configure(wrong).await.unwrap();
    provider.kill_access_tokens().await;
    let error = user.call().await.unwrap_err();
    let AccessError::Delayed { cause, code, .. } = error else { panic!("{error:?}") };
    assert_eq!(cause, Cause::ClientMisconfigured);
    assert_eq!(code.as_deref(), Some("invalid_client"));
    // Corrected, it goes on at once.
    user.session.configure(right).await.unwrap();
    assert_eq!(user.call().await.unwrap()["sub"], "alice");
    assert_eq!(provider.refreshes().await["granted"], 1);
    user.close().await;
}
