//! The token endpoint's client against a server that misbehaves.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use regrant::{
    Answer, Applied, Cause, Client, ClientAuthentication, Failure, Renewing, Secret,
    TokenEndpoint as _,
};
use regrant_reqwest::TokenClient;
use regrant_sandbox::{ApiConfig, Config, Fault, Sandbox};

const SOON: Duration = Duration::from_secs(20);

fn client(sandbox: &Sandbox) -> Client {
    let mut client = Client::new(sandbox.token_endpoint(), "sandbox-client");
    client.revocation_endpoint = Some(sandbox.revocation_endpoint().to_owned());
    client
}

fn refresh_token(sandbox: &Sandbox) -> Secret {
    Secret::new(sandbox.issue()["refresh_token"].as_str().unwrap().to_owned())
}

fn token_client() -> TokenClient {
    // Installed already by another test of this process is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    TokenClient::new().unwrap()
}

async fn refresh(client: &Client, token: &Secret, within: Duration) -> Answer {
    token_client().renew(Renewing::refresh(client, token), within).await
}

/// The failure that this fault makes, and how many requests came.
async fn failure(fault: Fault) -> (Failure, u64) {
    let apis = vec![ApiConfig::named("api")];
    let sandbox = Sandbox::start(Config { apis, ..Config::default() }).unwrap();
    sandbox.inject(fault.clone());
    match refresh(&client(&sandbox), &refresh_token(&sandbox), SOON).await {
        Answer::Failed(failure) => (failure, sandbox.stats().token_requests),
        other => panic!("{fault:?}: {other:?}"),
    }
}

#[tokio::test]
async fn a_grant_is_read() {
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let token = refresh_token(&sandbox);
    let Answer::Granted(grant) = refresh(&client(&sandbox), &token, SOON).await else {
        panic!("no grant")
    };
    assert!(grant.access_token.expose().starts_with("sandbox_at_"));
    assert!(!grant.refresh_token.unwrap().is(&token));
    assert_eq!(grant.expires_in, Some(Duration::from_secs(3_600)));
}

#[tokio::test]
async fn a_client_shows_its_secret_in_the_way_it_was_told() {
    let config = Config { client_secret: Some("s:1/é +".to_owned()), ..Config::default() };
    let sandbox = Sandbox::start(config).unwrap();
    for authentication in
        [ClientAuthentication::ClientSecretBasic, ClientAuthentication::ClientSecretPost]
    {
        let mut client = client(&sandbox);
        client.authentication = authentication;
        client.client_secret = Some(Secret::new("s:1/é +".into()));
        let answer = refresh(&client, &refresh_token(&sandbox), SOON).await;
        assert!(matches!(answer, Answer::Granted(_)), "{authentication:?}: {answer:?}");
        client.client_secret = Some(Secret::new("wrong".into()));
        let answer = refresh(&client, &refresh_token(&sandbox), SOON).await;
        let Answer::Failed(failure) = answer else { panic!("{answer:?}") };
        assert_eq!(failure.cause, Cause::ClientMisconfigured);
    }
    assert_eq!(sandbox.stats().unauthenticated, 2);
}

#[tokio::test]
async fn what_may_have_been_applied_is_told_from_what_was_not() {
    use Applied::{No, Perhaps};
    let big = || "x".repeat(2 << 20);
    let raw = |status, body| Fault::Raw { status, headers: Vec::new(), body };
    for (fault, cause, applied) in [
        (Fault::Reset, Cause::NoAnswer, Perhaps),
        (Fault::ResetAfterCommit, Cause::NoAnswer, Perhaps),
        (Fault::CutBody, Cause::NoAnswer, Perhaps),
        (Fault::StatusAfterCommit { code: 504 }, Cause::Unavailable, Perhaps),
        (Fault::Html, Cause::NotOauth, Perhaps),
        (raw(200, big()), Cause::NotOauth, Perhaps),
        (raw(404, big()), Cause::NotOauth, No),
        (Fault::ServerError, Cause::Unavailable, No),
        (Fault::InvalidClient, Cause::ClientMisconfigured, No),
    ] {
        let (failure, requests) = failure(fault.clone()).await;
        assert_eq!((failure.cause, failure.applied), (cause, applied), "{}", fault);
        assert_eq!(requests, 1, "{fault}");
    }
}

#[tokio::test]
async fn a_server_may_say_how_long_to_wait() {
    let (failure, _) = failure(Fault::RateLimit429 { retry_after: Some("60".into()) }).await;
    assert_eq!(failure.cause, Cause::RateLimited);
    assert_eq!(failure.retry_after, Some(Duration::from_secs(60)));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let sandbox = Sandbox::start(Config::default()).unwrap();
        let to = format!("{}/token", sandbox.api_url("api"));
        let headers = vec![("location".to_owned(), to)];
        sandbox.inject(Fault::Raw { status, headers, body: String::new() });
        let answer = refresh(&client(&sandbox), &refresh_token(&sandbox), SOON).await;
        let Answer::Failed(failure) = answer else { panic!("{answer:?}") };
        assert_eq!((failure.cause, failure.applied), (Cause::EndpointMoved, Applied::No));
        assert_eq!(sandbox.stats().api("api").requests, 0);
    }
}

#[tokio::test]
async fn where_nobody_listens_nothing_was_sent() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = Client::new(format!("http://127.0.0.1:{port}/token"), "app");
    let answer = refresh(&client, &Secret::new("rt".into()), SOON).await;
    let Answer::Failed(failure) = answer else { panic!("{answer:?}") };
    assert_eq!((failure.cause, failure.applied), (Cause::Unreachable, Applied::No));
}

/// `.invalid` is a name that nobody has (RFC 6761 section 6.4).
#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_as_that() {
    let client = Client::new("https://as.invalid/token", "app");
    let answer = refresh(&client, &Secret::new("rt".into()), SOON).await;
    let Answer::Failed(failure) = answer else { panic!("{answer:?}") };
    assert_eq!((failure.cause, failure.applied), (Cause::NameUnresolved, Applied::No));
}

#[tokio::test]
async fn what_speaks_no_tls_is_told_as_that() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    });
    let client = Client::new(format!("https://127.0.0.1:{port}/token"), "app");
    let answer = refresh(&client, &Secret::new("rt".into()), SOON).await;
    server.join().unwrap();
    let Answer::Failed(failure) = answer else { panic!("{answer:?}") };
    assert_eq!((failure.cause, failure.applied), (Cause::TlsFailed, Applied::No));
}

#[tokio::test]
async fn past_the_deadline_nothing_is_sent() {
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let token = refresh_token(&sandbox);
    let answer = refresh(&client(&sandbox), &token, Duration::ZERO).await;
    let Answer::Failed(failure) = answer else { panic!("{answer:?}") };
    assert_eq!((failure.cause, failure.applied), (Cause::Unreachable, Applied::No));
    assert_eq!(sandbox.stats().granted, 0);
}

#[tokio::test]
async fn a_secret_goes_to_no_place_in_the_clear() {
    for endpoint in ["http://as.example/token", "https://u:p@as.example/token", "nonsense"] {
        let answer = refresh(&Client::new(endpoint, "app"), &Secret::new("rt".into()), SOON).await;
        let Answer::Failed(failure) = answer else { panic!("{answer:?}") };
        assert_eq!((failure.cause, failure.applied), (Cause::ClientMisconfigured, Applied::No));
    }
}

#[tokio::test]
async fn a_revocation_is_confirmed_or_not() {
    let sandbox = Sandbox::start(Config::default()).unwrap();
    let token = refresh_token(&sandbox);
    let endpoint = token_client();
    assert!(endpoint.revoke(&client(&sandbox), &token, "refresh_token", SOON).await);
    assert_eq!(sandbox.stats().revocations, 1);
    sandbox.inject_at(regrant_sandbox::Endpoint::Revocation, Fault::ServerError);
    assert!(!endpoint.revoke(&client(&sandbox), &token, "refresh_token", SOON).await);
    let without = Client::new(sandbox.token_endpoint(), "sandbox-client");
    assert!(!endpoint.revoke(&without, &token, "refresh_token", SOON).await);
}
