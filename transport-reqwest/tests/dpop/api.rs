//! Requests to an API.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use http::Extensions;
use http::header::AUTHORIZATION;
use regrant::{Grant, Origin, Proof, ProofError, ProofSigner, Secret};
use regrant_core::protocol::Class;
use regrant_reqwest::{Judged, Middleware, NotReplayable, RequestError, RetryMark, client_builder};
use reqwest::{Body, Request, Response};
use reqwest_middleware::{ClientBuilder, Next};

use crate::bound::{Bound, bound_client, session, token_client};
use crate::guard::{Guard, Nonces};
use crate::signer::Signer;

#[tokio::test]
async fn a_bound_token_goes_out_with_a_proof_of_its_own_each_time() {
    let bound = Bound::new().await;
    for _ in 0..3 {
        assert_eq!(bound.status().await, 200);
    }
    assert_eq!(bound.guard.counts(), (0, 3));
    // The server takes each jti once, and the URL without query and fragment.
    assert_eq!(bound.signer.asked(), 3);
}

#[tokio::test]
async fn a_nonce_that_is_wanted_costs_one_more_request_and_no_refresh() {
    let bound = Bound::wanting(Nonces::Rotated, Nonces::Unwanted).await;
    assert_eq!(bound.status().await, 200);
    assert_eq!(bound.guard.counts(), (0, 2));
}

#[tokio::test]
async fn a_nonce_on_a_good_answer_is_in_the_next_proof() {
    let bound = Bound::wanting(Nonces::Rotated, Nonces::Unwanted).await;
    for _ in 0..4 {
        assert_eq!(bound.status().await, 200);
    }
    assert_eq!(bound.guard.counts(), (0, 5));
}

#[tokio::test]
async fn a_server_that_is_never_content_gets_one_more_request_and_no_other() {
    let bound = Bound::wanting(Nonces::NeverRight, Nonces::Unwanted).await;
    let answer = bound.client.get(bound.url()).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let Some(Judged { reading, .. }) = answer.extensions().get() else { panic!("not judged") };
    assert_eq!(reading.class, Class::DpopNonce);
    assert!(answer.extensions().get::<RetryMark>().is_none());
    assert_eq!(bound.guard.counts(), (0, 2));
}

#[tokio::test]
async fn a_nonce_that_was_in_the_proof_already_is_no_reason_to_send_again() {
    let bound = Bound::wanting(Nonces::AlwaysTheSame, Nonces::Unwanted).await;
    assert_eq!(bound.status().await, 401);
    assert_eq!(bound.guard.counts(), (0, 2));
    assert_eq!(bound.status().await, 401);
    assert_eq!(bound.guard.counts(), (0, 3));
}

#[tokio::test]
async fn a_wrong_clock_is_healed_by_the_date_of_the_answer() {
    for ahead in [3_600, -3_600] {
        let bound = Bound::new().await;
        bound.guard.state().ahead = ahead;
        assert_eq!(bound.status().await, 200, "{ahead}");
        assert_eq!(bound.guard.counts(), (0, 2), "{ahead}");
        assert_eq!(bound.status().await, 200, "{ahead}");
        assert_eq!(bound.guard.counts(), (0, 3), "{ahead}");
    }
}

#[tokio::test]
async fn a_proof_that_is_refused_though_it_was_on_time_is_the_callers() {
    let signer = Arc::new(Signer::new());
    let guard = Guard::start(Signer::new().public_key()).await;
    let bound = Bound::with(guard, &signer, signer.clone()).await;
    let answer = bound.client.get(bound.url()).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let Some(Judged { reading, .. }) = answer.extensions().get() else { panic!("not judged") };
    assert_eq!(reading.reason.as_deref(), Some("dpop_proof"));
    assert_eq!(bound.guard.counts(), (0, 1));
}

#[tokio::test]
async fn a_rejected_token_is_refreshed_and_replayed_with_new_proofs() {
    let bound = Bound::wanting(Nonces::Rotated, Nonces::Rotated).await;
    assert_eq!(bound.status().await, 200);
    bound.expire();
    let answer = bound.client.post(bound.url()).body("again").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "again");
    // The server's nonce on the rejection is in the proof of the replay.
    assert_eq!(bound.guard.counts(), (2, 4));
}

#[tokio::test]
async fn a_nonce_is_counted_apart_from_the_replays_of_a_rejected_token() {
    let bound = Bound::wanting(Nonces::Rotated, Nonces::Unwanted).await;
    bound.expire();
    assert_eq!(bound.status().await, 200);
    // Without a nonce, with it and a dead token, with it and a new one.
    assert_eq!(bound.guard.counts(), (1, 3));
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
async fn what_cannot_or_must_not_be_sent_again_comes_back_with_a_mark_and_passes_the_next_time() {
    let bound = Bound::wanting(Nonces::Rotated, Nonces::Unwanted).await;
    let stream = || Body::wrap_stream(Once(Some("once")));
    let answer = bound.client.post(bound.url()).body(stream()).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.extensions().get::<RetryMark>().is_some());
    assert_eq!(bound.guard.counts(), (0, 1));
    let answer = bound.client.post(bound.url()).body(stream()).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "once");

    let bound = Bound::wanting(Nonces::Rotated, Nonces::Unwanted).await;
    let call = bound.client.post(bound.url()).body("pay").with_extension(NotReplayable);
    let answer = call.send().await.unwrap();
    assert!(answer.extensions().get::<RetryMark>().is_some());
    assert_eq!(bound.guard.counts(), (0, 1));
}

#[tokio::test]
async fn without_a_signer_a_bound_token_stays_here() {
    let guard = Guard::start(Signer::new().public_key()).await;
    let session = session(&guard, token_client()).await;
    let client = regrant_reqwest::client(session).unwrap();
    let error = client.get(&guard.url).send().await.unwrap_err();
    assert!(matches!(RequestError::of(&error), Some(RequestError::NoProofSigner)), "{error}");
    assert_eq!(guard.counts(), (0, 0));
}

#[tokio::test]
async fn a_bearer_token_goes_out_without_a_proof_and_no_signer_is_asked() {
    let bound = Bound::new().await;
    let (access, _) = bound.guard.state().issue();
    let api = Origin::parse(&bound.guard.url).unwrap();
    let grant = Grant::bearer(Secret::new(access));
    bound.session.install(bound_client(&bound.guard), [api], grant).await.unwrap();
    let client = ClientBuilder::new(client_builder().build().unwrap())
        .with(Middleware::new(bound.session.clone()).with_proofs(bound.signer.clone()))
        .with(Plain)
        .build();
    // The server wants a proof, and says so; that is no reason to make one up.
    assert_eq!(client.get(bound.url()).send().await.unwrap().status(), 401);
    assert_eq!((bound.guard.counts(), bound.signer.asked()), ((0, 1), 0));
}

/// Looks at each request on its way.
#[derive(Debug)]
struct Plain;

#[async_trait]
impl reqwest_middleware::Middleware for Plain {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        assert!(request.headers()[AUTHORIZATION].to_str().unwrap().starts_with("Bearer "));
        assert!(!request.headers().contains_key("dpop"));
        next.run(request, extensions).await
    }
}

/// A key that is not there.
#[derive(Debug)]
struct Gone;

#[async_trait]
impl ProofSigner for Gone {
    async fn sign(&self, _: &Proof<'_>) -> Result<Secret, ProofError> {
        Err(ProofError::new("the slot is empty"))
    }
}

#[tokio::test]
async fn where_the_signer_fails_the_caller_learns_why() {
    let signer = Arc::new(Signer::new());
    let guard = Guard::start(signer.public_key()).await;
    let bound = Bound::with(guard, &signer, Arc::new(Gone)).await;
    let error = bound.client.get(bound.url()).send().await.unwrap_err();
    let Some(RequestError::Proof(error)) = RequestError::of(&error) else { panic!("{error}") };
    let source = std::error::Error::source(error).unwrap();
    assert_eq!(source.to_string(), "the slot is empty");
    assert_eq!(bound.guard.counts(), (0, 0));
}

/// Looks at each request on its way.
#[derive(Debug)]
struct Sensitive;

#[async_trait]
impl reqwest_middleware::Middleware for Sensitive {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let headers = request.headers();
        assert!(headers[AUTHORIZATION].to_str().unwrap().starts_with("DPoP "));
        assert!(headers[AUTHORIZATION].is_sensitive() && headers["dpop"].is_sensitive());
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn token_and_proof_stand_in_sensitive_headers() {
    let bound = Bound::new().await;
    let client = ClientBuilder::new(client_builder().build().unwrap())
        .with(Middleware::new(bound.session.clone()).with_proofs(bound.signer.clone()))
        .with(Sensitive)
        .build();
    assert_eq!(client.get(bound.url()).send().await.unwrap().status(), 200);
}
