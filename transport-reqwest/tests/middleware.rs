//! Requests against real servers on loopback.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use common::World;
use http::Extensions;
use http::header::AUTHORIZATION;
use regrant::{AccessError, Cause, LoginReason, StateKind};
use regrant_reqwest::{
    Middleware, NotReplayable, Rejected, RequestError, RetryMark, client_builder,
};
use regrant_sandbox::{ApiConfig, Config, Fault, Grace, GraceKind, HoldPoint, Rejection};
use reqwest::{Body, Request, Response};
use reqwest_middleware::{ClientBuilder, Next};

fn access_error(error: &reqwest_middleware::Error) -> &AccessError {
    match RequestError::of(error) {
        Some(RequestError::Access(error)) => error,
        Some(_) | None => panic!("{error}"),
    }
}

fn rejecting(rejection: Rejection) -> Config {
    let api = ApiConfig::named("api").rejection(rejection);
    Config { apis: vec![api], ..Config::default() }
}

fn with_another_api() -> Config {
    Config { apis: vec![ApiConfig::named("api"), ApiConfig::named("other")], ..Config::default() }
}

#[tokio::test]
async fn a_rejection_before_the_local_expiry_is_one_refresh_and_one_replay() {
    let world = World::new(Config::default()).await;
    assert_eq!(world.status().await, 200);
    world.sandbox.expire_access_tokens();
    world.sandbox.reset_stats();
    assert_eq!(world.status().await, 200);
    assert_eq!(world.counts(), (1, 2));
    assert_eq!(world.status().await, 200);
    assert_eq!(world.counts(), (1, 3));
    assert_eq!(world.closed().await, StateKind::Valid);
}

#[tokio::test]
async fn a_bare_401_and_a_code_in_the_body_are_rejections_too() {
    for rejection in [
        Rejection::NoChallenge,
        Rejection::RealmOnly,
        Rejection::JsonBodyOnly,
        Rejection::Forbidden403InvalidToken,
    ] {
        let world = World::new(rejecting(rejection.clone())).await;
        world.sandbox.expire_access_tokens();
        assert_eq!(world.status().await, 200, "{rejection:?}");
        assert_eq!(world.counts(), (1, 2), "{rejection:?}");
    }
}

#[tokio::test]
async fn a_refusal_that_a_refresh_cannot_mend_spends_none() {
    for (rejection, status) in [
        (Rejection::InsufficientScope, 403),
        (Rejection::StepUp, 401),
        (Rejection::RateLimited { retry_after: Some("1".to_owned()) }, 429),
    ] {
        let world = World::new(rejecting(rejection.clone())).await;
        world.sandbox.expire_access_tokens();
        assert_eq!(world.status().await, status, "{rejection:?}");
        assert_eq!(world.counts(), (0, 1), "{rejection:?}");
    }
}

#[tokio::test]
async fn sixty_four_rejected_requests_are_one_token_request() {
    let world = World::new(Config::default()).await;
    world.sandbox.expire_access_tokens();
    let calls: Vec<_> = (0..64)
        .map(|_| {
            let call = world.client.get(world.url("/things")).send();
            tokio::spawn(async move { call.await.unwrap().status().as_u16() })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(world.counts().0, 1);
    assert_eq!(world.sandbox.stats().reuse_detected, 0);
}

#[tokio::test]
async fn a_fresh_token_that_is_rejected_too_gives_the_rejection_and_then_an_error() {
    let world = World::new(Config::default()).await;
    world.sandbox.reject_all("api", true);
    let answer = world.client.get(world.url("/things")).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let Some(Rejected { why, .. }) = answer.extensions().get() else { panic!("no mark") };
    assert!(matches!(why, AccessError::StillRejected { .. }), "{why}");
    assert!(answer.extensions().get::<RetryMark>().is_none());
    assert_eq!(world.counts(), (1, 2));
    for _ in 0..3 {
        let error = world.client.get(world.url("/things")).send().await.unwrap_err();
        assert!(matches!(access_error(&error), AccessError::StillRejected { .. }), "{error}");
    }
    assert_eq!(world.counts(), (1, 2));
}

#[tokio::test]
async fn a_request_to_another_origin_passes_as_it_is() {
    let world = World::new(with_another_api()).await;
    let other = format!("{}/things", world.sandbox.api_url("other"));
    assert_eq!(world.client.get(&other).send().await.unwrap().status(), 401);
    let stats = world.sandbox.stats();
    assert_eq!((stats.api("other").requests, stats.api("other").anonymous), (1, 1));
    assert_eq!(stats.token_requests, 0);
}

#[tokio::test]
async fn an_authorization_of_the_callers_own_is_left_alone() {
    let world = World::new(Config::default()).await;
    let call = world.client.get(world.url("/things")).bearer_auth("mine");
    assert_eq!(call.send().await.unwrap().status(), 401);
    assert_eq!(world.counts(), (0, 1));
}

#[tokio::test]
async fn a_body_is_sent_again_byte_for_byte() {
    let world = World::new(Config::default()).await;
    world.sandbox.expire_access_tokens();
    let body: Vec<u8> =
        (0..1_u32 << 20).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let answer = world.client.post(world.url("/echo")).body(body.clone()).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.unwrap() == body, "the body differs");
    assert_eq!(world.counts(), (1, 2));
}

/// A body that can be read once.
struct Once(Option<&'static str>);

impl futures_core::Stream for Once {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(|text| Ok(Bytes::from_static(text.as_bytes()))))
    }
}

#[tokio::test]
async fn a_stream_is_not_sent_again_but_the_token_is_refreshed() {
    let world = World::new(Config::default()).await;
    world.sandbox.expire_access_tokens();
    let before = world.record().await.generation;
    let body = Body::wrap_stream(Once(Some("once")));
    let answer = world.client.post(world.url("/echo")).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(answer.extensions().get(), Some(&RetryMark::default()));
    assert!(answer.text().await.unwrap().contains("invalid_token"));
    assert_eq!(world.counts(), (1, 1));
    assert_eq!(world.record().await.generation, before + 1);
    assert_eq!(world.status().await, 200);
}

#[tokio::test]
async fn a_request_that_must_not_be_sent_again_is_not() {
    let world = World::new(Config::default()).await;
    world.sandbox.expire_access_tokens();
    let call = world.client.post(world.url("/echo")).body("pay").with_extension(NotReplayable);
    let answer = call.send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.extensions().get::<RetryMark>().is_some());
    assert_eq!(world.counts(), (1, 1));
}

#[tokio::test]
async fn an_outage_of_two_tries_is_not_noticed() {
    let world = World::new(Config::default()).await;
    world.sandbox.expire_access_tokens();
    world.sandbox.inject(Fault::ServerError);
    world.sandbox.inject(Fault::ServerError);
    assert_eq!(world.status().await, 200);
    assert_eq!(world.counts(), (3, 2));
}

#[tokio::test]
async fn a_refused_refresh_token_needs_a_login_and_costs_one_request() {
    let world = World::new(Config::default()).await;
    world.sandbox.revoke_all();
    for _ in 0..3 {
        let error = world.client.get(world.url("/things")).send().await.unwrap_err();
        let AccessError::NeedsLogin { reason, code, .. } = access_error(&error) else {
            panic!("{error}")
        };
        assert_eq!(*reason, LoginReason::Refused);
        assert_eq!(code.as_deref(), Some("invalid_grant"));
    }
    // Only the first request left, and none did without a token.
    assert_eq!(world.counts(), (1, 1));
    assert_eq!(world.sandbox.stats().api("api").anonymous, 0);
}

#[tokio::test]
async fn a_redirect_at_the_token_endpoint_is_never_followed() {
    let world = World::new(with_another_api()).await;
    world.sandbox.expire_access_tokens();
    let to = format!("{}/token", world.sandbox.api_url("other"));
    world.sandbox.inject(Fault::Redirect { to });
    let error = world.client.get(world.url("/things")).send().await.unwrap_err();
    let AccessError::Delayed { cause, .. } = access_error(&error) else { panic!("{error}") };
    assert_eq!(*cause, Cause::EndpointMoved);
    assert_eq!(world.counts(), (1, 1));
    assert_eq!(world.sandbox.stats().api("other").requests, 0);
}

#[tokio::test]
async fn an_answer_lost_after_the_commit_is_asked_for_again_within_the_grace() {
    let grace = Some(Grace { ms: 30_000, kind: GraceKind::Same });
    let world = World::new(Config { grace, ..Config::default() }).await;
    world.sandbox.expire_access_tokens();
    world.sandbox.inject(Fault::ResetAfterCommit);
    assert_eq!(world.status().await, 200);
    let stats = world.sandbox.stats();
    assert_eq!((stats.token_requests, stats.grace_replays), (2, 1));
    assert_eq!(stats.live_families, 1);
}

#[tokio::test]
async fn a_caller_dropped_in_mid_refresh_loses_no_token() {
    let world = World::new(Config::default()).await;
    world.sandbox.expire_access_tokens();
    world.sandbox.hold(HoldPoint::AfterCommit);
    let call = tokio::spawn(world.client.get(world.url("/things")).send());
    world.sandbox.wait_for(|stats| stats.held == 1).await.unwrap();
    call.abort();
    assert!(call.await.unwrap_err().is_cancelled());
    world.sandbox.release_held();
    assert_eq!(world.status().await, 200);
    assert_eq!(world.counts().0, 1);
    assert_eq!(world.record().await.generation, 2);
}

#[tokio::test]
async fn the_token_is_not_taken_along_a_redirect() {
    let world = World::new(with_another_api()).await;
    let other = format!("{}/things", world.sandbox.api_url("other"));
    let redirecting = world.url(&format!("/redirect?to={other}"));
    let answer = world.client.get(&redirecting).send().await.unwrap();
    assert!(answer.status().is_redirection(), "{}", answer.status());
    assert_eq!(world.sandbox.stats().api("other").requests, 0);

    // A client that follows gets there without the token, and what is said there says nothing.
    let following = ClientBuilder::new(reqwest::Client::new())
        .with(Middleware::new(world.session.clone()))
        .build();
    assert_eq!(following.get(&redirecting).send().await.unwrap().status(), 401);
    let stats = world.sandbox.stats();
    assert_eq!((stats.api("other").requests, stats.api("other").anonymous), (1, 1));
    assert_eq!(stats.token_requests, 0);
}

/// Notes what the headers of requests look like.
#[derive(Default)]
struct Notes(Mutex<Vec<(bool, String)>>);

#[async_trait]
impl reqwest_middleware::Middleware for Notes {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let value = &request.headers()[AUTHORIZATION];
        self.0.lock().unwrap().push((value.is_sensitive(), value.to_str().unwrap().to_owned()));
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn each_attempt_carries_its_own_token_in_a_sensitive_header() {
    let world = World::new(Config::default()).await;
    world.sandbox.expire_access_tokens();
    let notes = Arc::new(Notes::default());
    let client = ClientBuilder::new(client_builder().build().unwrap())
        .with(Middleware::new(world.session.clone()))
        .with_arc(notes.clone())
        .build();
    assert_eq!(client.get(world.url("/things")).send().await.unwrap().status(), 200);
    let notes = notes.0.lock().unwrap();
    assert!(
        notes.iter().all(|(is_sensitive, value)| {
            *is_sensitive && value.starts_with("Bearer sandbox_at_")
        })
    );
    assert_eq!(notes.len(), 2);
    assert_ne!(notes[0].1, notes[1].1);
}

#[tokio::test]
async fn without_a_login_no_request_leaves() {
    let world = World::new(Config::default()).await;
    world.session.log_out().await.unwrap();
    let error = world.client.get(world.url("/things")).send().await.unwrap_err();
    assert!(matches!(access_error(&error), AccessError::NeedsLogin { .. }), "{error}");
    assert_eq!(world.counts(), (0, 0));
    assert_eq!(world.sandbox.stats().revocations, 2);
}
