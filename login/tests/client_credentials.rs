//! A program that logs in as itself, and what a token endpoint can say to it.

mod common;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use common::{Says, Server, grant, http, request, says_json};
use regrant_core::{Cause, ClientAuthentication, Renewal, Secret};
use regrant_login::{ClientCredentialsError, TokenError, client_credentials};
use serde_json::json;

#[tokio::test]
async fn a_program_logs_in_as_itself() {
    let server = Server::with("/token", |_| says_json(&grant())).await;
    let mut request = request();
    request.authentication = ClientAuthentication::ClientSecretBasic;
    request.client_secret = Some(Secret::new("canary:é".into()));
    request.resources = vec!["https://api.example".into()];
    request.parameters = vec![("audience".into(), "api".into())];
    let logged_in = client_credentials(&http(), &server.endpoints(), &request).await.unwrap();
    assert_eq!(logged_in.grant.access_token.expose(), "canary-access");
    assert_eq!(logged_in.client.renewal, Renewal::ClientCredentials);
    assert_eq!(logged_in.client.scope.as_deref(), Some("openid offline"));
    assert!(logged_in.client.client_secret.unwrap().is(&request.client_secret.clone().unwrap()));
    let seen = &server.seen()[0];
    // app:canary%3A%C3%A9, by RFC 6749 section 2.3.1.
    assert_eq!(seen.headers["authorization"], "Basic YXBwOmNhbmFyeSUzQSVDMyVBOQ==");
    assert_eq!(seen.field("grant_type").unwrap(), "client_credentials");
    assert_eq!(seen.field("scope").unwrap(), "openid offline");
    assert_eq!(seen.field("resource").unwrap(), "https://api.example");
    assert_eq!(seen.field("audience").unwrap(), "api");
    assert_eq!((seen.field("client_id"), seen.field("client_secret")), (None, None));

    request.authentication = ClientAuthentication::ClientSecretPost;
    client_credentials(&http(), &server.endpoints(), &request).await.unwrap();
    let seen = &server.seen()[1];
    assert_eq!(seen.field("client_secret").unwrap(), "canary:é");
    assert_eq!(seen.field("client_id").unwrap(), "app");
    assert!(!seen.headers.contains_key("authorization"));
}

#[tokio::test]
async fn an_answer_that_is_no_grant_says_who_must_act() {
    for (body, status, cause) in [
        ("{\"error\":\"invalid_client\"}", 401, Cause::ClientMisconfigured),
        ("<html>canary</html>", 200, Cause::NotOauth),
        ("", 302, Cause::EndpointMoved),
        ("canary", 503, Cause::Unavailable),
        ("{\"access_token\":\"a\",\"access_token\":\"b\"}", 200, Cause::NotOauth),
    ] {
        let says = move |_: &str| Says(status, vec![], body.into());
        let server = Server::with("/token", says).await;
        let error = client_credentials(&http(), &server.endpoints(), &request()).await.unwrap_err();
        assert!(!error.to_string().contains("canary"), "{error}");
        let ClientCredentialsError::Token(TokenError::Failed { cause: found, .. }) = error else {
            panic!("{body}: {error}")
        };
        assert_eq!(found, cause, "{body}");
    }
}

#[tokio::test]
async fn an_id_token_for_somebody_else_is_no_login() {
    for (iss, aud, good) in
        [("BASE", "app", true), ("BASE", "other", false), ("https://evil.example", "app", false)]
    {
        let server = Server::with("/token", move |base| {
            let claims = json!({"iss": iss.replace("BASE", base), "aud": aud, "sub": "u"});
            let mut grant = grant();
            let payload = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
            grant["id_token"] = format!("e30.{payload}.c2ln").into();
            says_json(&grant)
        })
        .await;
        let logged_in = client_credentials(&http(), &server.endpoints(), &request()).await;
        assert_eq!(logged_in.is_ok(), good, "{iss} {aud}: {logged_in:?}");
    }
}
