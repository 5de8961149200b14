//! Clients that show who they are by a key (RFC 7523).
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[cfg(feature = "private-key-jwt")]
#[path = "common/captured.rs"]
mod captured;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::{Form, State};
use regrant::{
    Answer, Applied, Cause, Client, ClientAuthentication, Failure, Renewing, Secret,
    TokenEndpoint as _,
};
use regrant_reqwest::{Assertion, AssertionError, AssertionSigner, TokenClient};

const SOON: Duration = Duration::from_secs(20);

type Parameters = BTreeMap<String, String>;

/// A token and revocation endpoint that takes everybody and notes what they said.
#[derive(Clone, Default)]
struct Server {
    url: String,
    said: Arc<Mutex<Vec<Parameters>>>,
}

async fn endpoint(State(server): State<Server>, Form(form): Form<Parameters>) -> &'static str {
    server.said.lock().unwrap().push(form);
    r#"{"access_token":"at","token_type":"Bearer"}"#
}

impl Server {
    async fn start() -> Self {
        // Installed already by another test of this process is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = Self { url, ..Self::default() };
        let router = Router::new().fallback(endpoint).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    fn client(&self) -> Client {
        let mut client = Client::new(format!("{}/token", self.url), "app \"1\"");
        client.authentication = ClientAuthentication::PrivateKeyJwt;
        client.revocation_endpoint = Some(format!("{}/revoke", self.url));
        client
    }

    /// The assertions that came, each under the name of its type.
    fn assertions(&self) -> Vec<String> {
        let said = self.said.lock().unwrap();
        let jwt = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        assert!(said.iter().all(|form| form["client_assertion_type"] == jwt));
        assert!(said.iter().all(|form| !form.contains_key("client_secret")));
        said.iter().map(|form| form["client_assertion"].clone()).collect()
    }
}

async fn refresh(endpoint: &TokenClient, client: &Client) -> Answer {
    endpoint.renew(Renewing::refresh(client, &Secret::new("rt".into())), SOON).await
}

fn failure(answer: Answer) -> Failure {
    let Answer::Failed(failure) = answer else { panic!("{answer:?}") };
    failure
}

/// A host's own key, of which this test wants to know nothing.
#[derive(Debug)]
struct Hardware {
    is_there: bool,
}

#[async_trait]
impl AssertionSigner for Hardware {
    async fn sign(&self, assertion: &Assertion<'_>) -> Result<Secret, AssertionError> {
        if !self.is_there {
            return Err(AssertionError::new("the slot is empty"));
        }
        let Assertion { client, audience, .. } = assertion;
        Ok(Secret::new(format!("{} for {audience}", client.client_id)))
    }
}

#[tokio::test]
async fn a_signer_of_the_host_signs_token_requests_and_revocations() {
    let server = Server::start().await;
    let signer = Arc::new(Hardware { is_there: true });
    let endpoint = TokenClient::new().unwrap().with_assertions(signer);
    let mut client = server.client();
    assert!(matches!(refresh(&endpoint, &client).await, Answer::Granted(_)));
    client.issuer = Some("https://as.example".into());
    let token = Secret::new("rt".into());
    assert!(endpoint.revoke(&client, &token, "refresh_token", SOON).await);
    let token_endpoint = &client.token_endpoint;
    assert_eq!(
        server.assertions(),
        [format!("app \"1\" for {token_endpoint}"), "app \"1\" for https://as.example".into()]
    );
}

#[tokio::test]
async fn a_signer_that_fails_lets_nothing_out() {
    let server = Server::start().await;
    let signer = Arc::new(Hardware { is_there: false });
    let endpoint = TokenClient::new().unwrap().with_assertions(signer);
    let failure = failure(refresh(&endpoint, &server.client()).await);
    assert_eq!((failure.cause, failure.applied), (Cause::Unreachable, Applied::No));
    assert!(!endpoint.revoke(&server.client(), &Secret::new("rt".into()), "x", SOON).await);
    assert!(server.said.lock().unwrap().is_empty());
}

#[tokio::test]
async fn without_a_key_the_client_is_misconfigured_and_nothing_is_sent() {
    let server = Server::start().await;
    let mut client = server.client();
    // With the feature, a key that is none; without it, whatever stands there.
    for key in [
        None,
        Some("not a key"),
        Some("-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"),
    ] {
        client.client_secret = key.map(|key| Secret::new(key.to_owned()));
        let failure = failure(refresh(&TokenClient::new().unwrap(), &client).await);
        let no = (Cause::ClientMisconfigured, Applied::No);
        assert_eq!((failure.cause, failure.applied), no, "{key:?}");
    }
    assert!(server.said.lock().unwrap().is_empty());
}

/// The keys in the folder, made by OpenSSL.
#[cfg(feature = "private-key-jwt")]
mod key_in_the_configuration {
    use std::collections::HashSet;
    use std::io::Write as _;

    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    use regrant::{SystemClocks, TimeSource as _};
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
        UnparsedPublicKey, VerificationAlgorithm,
    };
    use serde_json::Value;

    use super::*;
    use crate::captured::Captured;

    /// The key, its public half, how many bytes of that are the bare key, and the algorithm.
    type Pair =
        (&'static str, &'static [u8], usize, &'static str, &'static dyn VerificationAlgorithm);

    const PAIRS: [Pair; 4] = [
        (
            include_str!("keys/rsa.pem"),
            include_bytes!("keys/rsa.pub.der"),
            270,
            "RS256",
            &RSA_PKCS1_2048_8192_SHA256,
        ),
        (
            include_str!("keys/p256.pem"),
            include_bytes!("keys/p256.pub.der"),
            65,
            "ES256",
            &ECDSA_P256_SHA256_FIXED,
        ),
        (
            include_str!("keys/p384.pem"),
            include_bytes!("keys/p384.pub.der"),
            97,
            "ES384",
            &ECDSA_P384_SHA384_FIXED,
        ),
        (
            include_str!("keys/ed25519.pem"),
            include_bytes!("keys/ed25519.pub.der"),
            32,
            "EdDSA",
            &ED25519,
        ),
    ];

    fn decoded(part: &str) -> Vec<u8> {
        BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()
    }

    #[tokio::test]
    async fn every_kind_of_key_signs_what_its_public_half_verifies() {
        for (pem, public, length, algorithm, verification) in PAIRS {
            let server = Server::start().await;
            let mut client = server.client();
            client.client_secret = Some(Secret::new(pem.to_owned()));
            let now = SystemClocks.wall().as_millis() / 1_000;
            let endpoint = TokenClient::new().unwrap();
            for _ in 0..2 {
                let answer = refresh(&endpoint, &client).await;
                assert!(matches!(answer, Answer::Granted(_)), "{algorithm}: {answer:?}");
            }
            let mut seen = HashSet::new();
            for assertion in server.assertions() {
                let (message, signature) = assertion.rsplit_once('.').unwrap();
                UnparsedPublicKey::new(verification, &public[public.len() - length..])
                    .verify(message.as_bytes(), &decoded(signature))
                    .unwrap_or_else(|_| panic!("{algorithm}"));
                let (head, claims) = message.split_once('.').unwrap();
                let head: Value = serde_json::from_slice(&decoded(head)).unwrap();
                let claims: Value = serde_json::from_slice(&decoded(claims)).unwrap();
                assert_eq!(head["alg"], algorithm);
                assert_eq!((&claims["iss"], &claims["sub"]), (&"app \"1\"".into(), &claims["iss"]));
                assert_eq!(claims["aud"], *client.token_endpoint);
                let (iat, exp) = (claims["iat"].as_u64().unwrap(), claims["exp"].as_u64().unwrap());
                assert!((now..now + 20).contains(&iat) && exp == iat + 60, "{claims}");
                assert!(seen.insert(claims["jti"].as_str().unwrap().to_owned()));
            }
        }
    }

    #[tokio::test]
    async fn no_log_has_the_key_or_an_assertion() {
        let captured = Captured::everything();
        let server = Server::start().await;
        let mut client = server.client();
        client.client_secret = Some(Secret::new(PAIRS[1].0.to_owned()));
        let endpoint = TokenClient::new().unwrap();
        assert!(matches!(refresh(&endpoint, &client).await, Answer::Granted(_)));
        client.client_secret = Some(Secret::new("not a key at all".to_owned()));
        let answer = refresh(&endpoint, &client).await;
        writeln!(captured.clone(), "{answer:?} {endpoint:?} {client:?}").unwrap();
        let (text, assertion) = (captured.text(), server.assertions().remove(0));
        assert!(text.contains("connecting") && text.contains("PKCS #8"), "{text}");
        let (_, signed) = assertion.split_once('.').unwrap();
        let key = PAIRS[1].0.lines().nth(1).unwrap();
        for secret in signed.split('.').chain([key, "not a key at all"]) {
            assert!(!text.contains(secret), "{secret} is in the log");
        }
    }

    #[tokio::test]
    async fn a_signer_of_the_host_goes_before_the_key() {
        let server = Server::start().await;
        let mut client = server.client();
        client.client_secret = Some(Secret::new(PAIRS[1].0.to_owned()));
        let signer = Arc::new(Hardware { is_there: true });
        let endpoint = TokenClient::new().unwrap().with_assertions(signer);
        assert!(matches!(refresh(&endpoint, &client).await, Answer::Granted(_)));
        assert!(server.assertions()[0].starts_with("app \"1\" for "));
    }
}
