//! Token requests.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use regrant::{
    Answer, Applied, Cause, Client, Proof, ProofError, ProofSigner, Renewing, Secret,
    TokenEndpoint as _,
};
use regrant_reqwest::TokenClient;

use crate::bound::{Bound, bound_client, token_client};
use crate::guard::{Guard, Nonces};
use crate::signer::Signer;

const SOON: Duration = Duration::from_secs(20);

/// A server, and the refresh token that it takes.
async fn server(signer: &Signer) -> (Guard, Secret) {
    let guard = Guard::start(signer.public_key()).await;
    let (_, refresh) = guard.state().issue();
    (guard, Secret::new(refresh))
}

async fn refresh(endpoint: &TokenClient, client: &Client, token: &Secret) -> Answer {
    endpoint.renew(Renewing::refresh(client, token), SOON).await
}

fn failed(answer: &Answer) -> (Cause, Applied) {
    let Answer::Failed(failure) = answer else { panic!("{answer:?}") };
    (failure.cause, failure.applied)
}

#[tokio::test]
async fn a_public_and_a_confidential_client_prove_their_key() {
    for client_secret in [None, Some("s3cret")] {
        let signer = Arc::new(Signer::new());
        let (guard, token) = server(&signer).await;
        guard.state().client_secret = client_secret;
        let endpoint = token_client().with_proofs(signer);
        let answer = refresh(&endpoint, &bound_client(&guard), &token).await;
        let Answer::Granted(grant) = answer else { panic!("{answer:?}") };
        assert_eq!(grant.token_type, "DPoP");
    }
}

#[tokio::test]
async fn one_call_is_one_request_and_the_nonce_is_in_the_next() {
    let signer = Arc::new(Signer::new());
    let (guard, token) = server(&signer).await;
    guard.state().token.nonces = Nonces::Rotated;
    let (endpoint, client) = (token_client().with_proofs(signer), bound_client(&guard));
    let answer = refresh(&endpoint, &client, &token).await;
    assert!(matches!(answer, Answer::NonceWanted), "{answer:?}");
    assert_eq!(guard.counts(), (1, 0));
    // A clone knows it too.
    let Answer::Granted(grant) = refresh(&endpoint.clone(), &client, &token).await else {
        panic!("no grant")
    };
    // And the nonce that came with the grant.
    let answer = refresh(&endpoint, &client, &grant.refresh_token.unwrap()).await;
    assert!(matches!(answer, Answer::Granted(_)), "{answer:?}");
    assert_eq!(guard.counts(), (3, 0));
}

#[tokio::test]
async fn a_server_that_is_never_content_is_asked_twice() {
    let bound = Bound::wanting(Nonces::Unwanted, Nonces::NeverRight).await;
    bound.expire();
    assert!(bound.client.get(bound.url()).send().await.is_err());
    assert_eq!(bound.guard.counts(), (2, 1));
}

#[tokio::test]
async fn the_nonces_of_the_two_are_kept_apart_though_they_share_an_origin() {
    let bound = Bound::wanting(Nonces::Rotated, Nonces::Rotated).await;
    for _ in 0..3 {
        bound.expire();
        assert_eq!(bound.status().await, 200);
    }
    // Each was asked once without its nonce and never again: three refreshes and one challenge,
    // and at the API three rejections, three replays and one challenge.
    assert_eq!(bound.guard.counts(), (4, 7));
}

#[tokio::test]
async fn a_wrong_clock_is_healed_within_one_refresh() {
    for ahead in [3_600, -3_600] {
        let bound = Bound::new().await;
        assert_eq!(bound.status().await, 200);
        bound.expire();
        bound.guard.state().ahead = ahead;
        assert_eq!(bound.status().await, 200, "{ahead}");
        // Two token requests; the API heard a wrong time, a dead token, and then the new one.
        assert_eq!(bound.guard.counts(), (2, 1 + 3), "{ahead}");
    }
}

#[tokio::test]
async fn a_proof_that_is_refused_though_it_was_on_time_is_a_misconfigured_client() {
    let (guard, token) = server(&Signer::new()).await;
    let endpoint = token_client().with_proofs(Arc::new(Signer::new()));
    let answer = refresh(&endpoint, &bound_client(&guard), &token).await;
    assert_eq!(failed(&answer), (Cause::ClientMisconfigured, Applied::No));
}

#[tokio::test]
async fn without_a_signer_nothing_is_asked_for_a_client_that_must_prove() {
    let (guard, token) = server(&Signer::new()).await;
    let answer = refresh(&token_client(), &bound_client(&guard), &token).await;
    assert_eq!(failed(&answer), (Cause::ClientMisconfigured, Applied::No));
    assert_eq!(guard.counts(), (0, 0));
}

#[tokio::test]
async fn a_client_with_bearer_tokens_is_never_signed_for() {
    let signer = Arc::new(Signer::new());
    let (guard, token) = server(&signer).await;
    let mut client = bound_client(&guard);
    client.dpop = false;
    let answer = refresh(&token_client().with_proofs(signer.clone()), &client, &token).await;
    assert_eq!(failed(&answer), (Cause::ClientMisconfigured, Applied::No));
    // It came, without a proof.
    assert_eq!((guard.counts(), signer.asked()), ((1, 0), 0));
}

/// A key behind a prompt that nobody answers.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl ProofSigner for Silent {
    async fn sign(&self, _: &Proof<'_>) -> Result<Secret, ProofError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn a_signer_that_takes_longer_than_the_attempt_costs_no_doubt() {
    let (guard, token) = server(&Signer::new()).await;
    let (endpoint, client) = (token_client().with_proofs(Arc::new(Silent)), bound_client(&guard));
    let with = Renewing::refresh(&client, &token);
    let answer = endpoint.renew(with, Duration::from_millis(20)).await;
    assert_eq!(failed(&answer), (Cause::Unreachable, Applied::No));
    assert_eq!(guard.counts(), (0, 0));
}
