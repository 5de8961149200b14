//! What an API's answer says, by the provider's profile and beyond rejections.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

mod common;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use common::World;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use regrant::{Client, Origin, StateKind};
use regrant_core::protocol::Class;
use regrant_reqwest::{Judged, RetryMark};
use regrant_sandbox::{ApiConfig, Config, Demand, Rejection};
use serde_json::json;

/// A sandbox with this API alone.
fn api(api: ApiConfig) -> Config {
    Config { apis: vec![api], ..Config::default() }
}

fn profiled(profile: &str) -> impl FnOnce(&mut Client) {
    let profile = profile.to_owned();
    move |client| client.profile = Some(profile)
}

/// An API that takes a token 200 ms after its issue.
fn late() -> Config {
    let mut late = ApiConfig::named("api");
    late.minimum_age_ms = 200;
    api(late)
}

/// Twice as long as the API takes to learn of a token.
const LAGGING: &str = r#"{"name":"lagging","fresh_token_lag_ms":400}"#;

#[tokio::test]
async fn where_fresh_tokens_lag_the_request_waits_once_and_no_second_refresh_follows() {
    let world = World::with(late(), profiled(LAGGING)).await;
    world.sandbox.expire_access_tokens();
    assert_eq!(world.status().await, 200);
    // The dead token, the fresh one too soon, and the fresh one again.
    assert_eq!(world.counts(), (1, 3));
    assert_eq!(world.status().await, 200);
    assert_eq!(world.counts(), (1, 4));
    assert_eq!(world.closed().await, StateKind::Valid);
}

#[tokio::test]
async fn a_fresh_token_that_is_dead_and_not_new_is_refreshed_after_the_wait() {
    let world = World::with(Config::default(), profiled(LAGGING)).await;
    world.sandbox.reject_all("api", true);
    let answer = world.client.get(world.url("/things")).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    // One wait, for the token that the refresh brought.
    assert_eq!(world.counts(), (1, 3));
}

#[tokio::test]
async fn without_a_lag_in_the_profile_a_fresh_token_is_not_waited_for() {
    let world = World::new(late()).await;
    world.sandbox.expire_access_tokens();
    let answer = world.client.get(world.url("/things")).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(world.counts(), (1, 2));
}

#[tokio::test]
async fn the_claims_that_an_api_asks_for_are_in_the_refresh() {
    let claims = json!({ "access_token": { "nbf": { "essential": true, "value": "1604106651" } } });
    let world = World::new(api(ApiConfig::named("api").demand(Demand::Claims { claims }))).await;
    // The sandbox's API takes only a token that was asked for with the claims.
    assert_eq!(world.status().await, 200);
    assert_eq!(world.counts(), (1, 2));
    assert_eq!(world.sandbox.stats().api("api").demanded, 1);
}

#[tokio::test]
async fn what_the_caller_must_settle_is_told_with_the_answer() {
    let scope = Demand::Scope { scope: "admin root".into() };
    let step_up = Demand::Authentication { acr_values: "gold".into(), max_age: Some(60) };
    let limit = Demand::RateLimit403 { retry_after: "7".into() };
    for (demand, class) in
        [(scope, Class::InsufficientScope), (step_up, Class::StepUp), (limit, Class::RateLimited)]
    {
        let world = World::new(api(ApiConfig::named("api").demand(demand))).await;
        let answer = world.client.get(world.url("/things")).send().await.unwrap();
        let Some(Judged { reading, .. }) = answer.extensions().get() else { panic!("not judged") };
        assert_eq!(reading.class, class);
        match class {
            Class::InsufficientScope => assert_eq!(reading.scope, ["admin", "root"]),
            Class::StepUp => {
                assert_eq!(
                    (&reading.acr_values[..], reading.max_age),
                    (&["gold".into()][..], Some(60))
                );
            }
            _ => assert_eq!(reading.retry_after, Some(Duration::from_secs(7))),
        }
        assert!(answer.extensions().get::<RetryMark>().is_none());
        assert_eq!(world.counts(), (0, 1));
    }
}

#[tokio::test]
async fn a_200_that_is_a_rejection_is_one_where_the_profile_says_so_and_nowhere_else() {
    let slack = || api(ApiConfig::named("api").rejection(Rejection::OkFalse));
    let world = World::with(slack(), profiled("slack")).await;
    world.sandbox.expire_access_tokens();
    let answer = world.client.get(world.url("/things")).send().await.unwrap();
    assert!(answer.text().await.unwrap().contains(r#""ok":true"#));
    assert_eq!(world.counts(), (1, 2));

    let world = World::new(slack()).await;
    world.sandbox.expire_access_tokens();
    let answer = world.client.get(world.url("/things")).send().await.unwrap();
    let Some(Judged { reading, .. }) = answer.extensions().get() else { panic!("not judged") };
    assert_eq!(reading.class, Class::NotAuth);
    assert!(answer.text().await.unwrap().contains("token_expired"));
    assert_eq!(world.counts(), (0, 1));
}

/// Longer than what is read ahead of the caller, 64 KiB, and not all alike.
fn long() -> String {
    let items: Vec<_> = (0..20_000).map(|n| n.to_string()).collect();
    format!(r#"{{"ok":false,"error":"token_expired","items":[{}]}}"#, items.join(","))
}

/// Answers 200 in ways that are hard to look into.
async fn open_handed(uri: http::Uri) -> Response {
    let (content_type, body) = match uri.path() {
        "/whole" => ("application/json", Body::from(long())),
        "/chunked" => ("application/json", Body::from_stream(Chunks(long().into_bytes()))),
        // Never ends, as streams of events do not.
        _ => ("text/event-stream", Body::from_stream(Endless(0))),
    };
    Response::builder().header(CONTENT_TYPE, content_type).body(body).unwrap()
}

/// A body in pieces of 1000 bytes.
struct Chunks(Vec<u8>);

impl futures_core::Stream for Chunks {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let size = self.0.len().min(1_000);
        let chunk: Vec<_> = self.0.drain(..size).collect();
        std::task::Poll::Ready((size > 0).then(|| Ok(chunk.into())))
    }
}

/// Three events, and then silence.
struct Endless(u8);

impl futures_core::Stream for Endless {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        if self.0 == 3 {
            return std::task::Poll::Pending;
        }
        self.0 += 1;
        std::task::Poll::Ready(Some(Ok(format!("data: {}\n\n", self.0).into())))
    }
}

#[tokio::test]
async fn a_good_answer_comes_untouched_and_in_order_though_the_profile_reads_such_bodies() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(open_handed)).await });
    let world = World::with(Config::default(), profiled("slack")).await;
    world.session.allow(Origin::parse(&url).unwrap()).await.unwrap();
    let call = async |path: &str| world.client.get(format!("{url}{path}")).send().await.unwrap();
    let has = |answer: &reqwest::Response, name: HeaderName| answer.headers().contains_key(name);

    let whole = call("/whole").await;
    assert!(has(&whole, CONTENT_LENGTH) && whole.content_length() == Some(long().len() as u64));
    assert!(whole.text().await.unwrap() == long());
    let chunked = call("/chunked").await;
    assert!(!has(&chunked, CONTENT_LENGTH) && chunked.content_length().is_none());
    assert!(chunked.text().await.unwrap() == long());

    let mut events = call("/events").await;
    let mut heard = String::new();
    while !heard.ends_with("3\n\n") {
        let next = tokio::time::timeout(Duration::from_secs(10), events.chunk());
        let chunk = next.await.expect("an event within 10 s").unwrap().unwrap();
        heard.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    assert_eq!(heard, "data: 1\n\ndata: 2\n\ndata: 3\n\n");
    // What was too long to be looked into is no rejection.
    assert_eq!(world.counts(), (0, 0));
}
