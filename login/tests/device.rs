//! The login on another device against a server that is real, or wrong.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::{SOON, Says, Server, grant, http, request, says_error, says_json};
use regrant_core::{Cause, ClientAuthentication, Renewal};
use regrant_login::{
    ClientCredentialsError, DeviceError, DeviceLogin, Endpoints, RequestError, ServerMetadata,
    TokenError, client_credentials,
};
use serde_json::{Value, json};
use tokio::time::timeout;

fn codes(base: &str) -> Value {
    json!({
        "device_code": "canary-device", "user_code": "WDJB-MJHT",
        "verification_uri": format!("{base}/verify"),
        "verification_uri_complete": format!("{base}/verify?user_code=WDJB-MJHT"),
        "expires_in": 900, "interval": 1,
    })
}

/// A server that grants at the second poll.
async fn server() -> Server {
    let polls = AtomicUsize::new(0);
    Server::start(move |seen, base| match seen.target.as_str() {
        "/device" => says_json(&codes(base)),
        "/token" if polls.fetch_add(1, Ordering::Relaxed) == 0 => {
            says_error("authorization_pending")
        }
        "/token" => says_json(&grant()),
        other => panic!("{other}"),
    })
    .await
}

async fn begun(
    says: impl Fn(&str) -> Says + Send + Sync + 'static,
) -> Result<DeviceLogin, DeviceError> {
    let server = Server::with("/device", says).await;
    DeviceLogin::begin(&http(), &server.endpoints(), &request()).await
}

#[tokio::test]
async fn a_user_elsewhere_logs_in() {
    let server = server().await;
    let mut request = request();
    request.resources = vec!["https://api.example".into(), "https://b.example".into()];
    request.parameters = vec![("audience".into(), "a b".into())];
    let login = DeviceLogin::begin(&http(), &server.endpoints(), &request).await.unwrap();
    assert_eq!(login.user_code(), "WDJB-MJHT");
    assert_eq!(login.verification_uri().as_str(), format!("{}/verify", server.base));
    assert!(login.verification_uri_complete().unwrap().as_str().ends_with("=WDJB-MJHT"));
    assert_eq!(login.expires_in(), Duration::from_secs(900));
    assert!(!format!("{login:?}").contains("canary"));

    // A program may wait on any thread.
    let waiting = tokio::spawn(login.wait());
    let logged_in = timeout(SOON, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(logged_in.grant.access_token.expose(), "canary-access");
    assert_eq!(logged_in.grant.refresh_token.as_ref().unwrap().expose(), "canary-refresh");
    assert_eq!(logged_in.grant.expires_in, Some(Duration::from_secs(3600)));
    let client = &logged_in.client;
    assert_eq!(client.token_endpoint, format!("{}/token", server.base));
    assert_eq!(client.revocation_endpoint.as_deref().unwrap(), format!("{}/revoke", server.base));
    assert_eq!(client.issuer.as_deref(), Some(server.base.as_str()));
    assert_eq!((client.client_id.as_str(), client.renewal), ("app", Renewal::RefreshToken));
    assert_eq!(client.resource, request.resources);
    assert!(!format!("{logged_in:?}").contains("canary"));

    let [begin, first, second] = &server.seen()[..] else { panic!("{:?}", server.targets()) };
    assert_eq!(begin.field("client_id").unwrap(), "app");
    assert_eq!(begin.field("scope").unwrap(), "openid offline");
    assert_eq!(begin.field("audience").unwrap(), "a b");
    for poll in [first, second] {
        let grant_type = "urn:ietf:params:oauth:grant-type:device_code";
        assert_eq!(poll.field("grant_type").unwrap(), grant_type);
        assert_eq!(poll.field("device_code").unwrap(), "canary-device");
        assert_eq!(poll.fields("resource"), request.resources);
        assert_eq!(poll.field("audience"), None);
    }
    assert_eq!(begin.fields("resource"), request.resources);
}

#[tokio::test]
async fn numbers_may_be_text_and_addresses_have_an_older_name() {
    let login = begun(|base| {
        says_json(&json!({
            "device_code": "d", "user_code": "u", "verification_url": format!("{base}/v"),
            "expires_in": "600", "interval": null,
        }))
    })
    .await
    .unwrap();
    assert_eq!(login.expires_in(), Duration::from_secs(600));
    assert!(login.verification_uri().as_str().ends_with("/v"));
}

#[tokio::test]
async fn nobody_is_sent_where_a_login_does_not_go() {
    for member in ["verification_uri", "verification_uri_complete"] {
        for url in [
            "javascript:alert(1)",
            "data:text/html,<script>",
            "file:///etc/passwd",
            "http://as.example/verify",
            "https://user:p@as.example/verify",
            "https://10.0.0.1/verify",
            "https://as.example/verify#x",
            "/verify",
            "",
        ] {
            let begun = begun(move |base| {
                let mut codes = codes(base);
                codes[member] = url.into();
                says_json(&codes)
            });
            let error = begun.await.unwrap_err();
            assert!(matches!(error, DeviceError::VerificationUri { .. }), "{url}: {error}");
        }
    }
}

#[tokio::test]
async fn a_code_that_a_terminal_would_obey_is_cleaned() {
    let login = begun(|base| {
        let mut codes = codes(base);
        codes["user_code"] = "\u{1b}[2JAB\u{202e}CD\r\n".into();
        says_json(&codes)
    });
    assert_eq!(login.await.unwrap().user_code(), "[2JABCD");
}

#[tokio::test]
async fn codes_that_cannot_be_used_are_not_waited_for() {
    for (body, status) in [
        (json!({}), 200),
        (
            json!({"device_code": "d", "user_code": "u", "verification_uri": "https://a.example"}),
            200,
        ),
        (
            json!({"device_code": "", "user_code": "u", "verification_uri": "https://a.example", "expires_in": 9}),
            200,
        ),
        (
            json!({"device_code": "d", "user_code": "\u{7}", "verification_uri": "https://a.example", "expires_in": 9}),
            200,
        ),
        (json!({"device_code": "d", "user_code": "u", "expires_in": 9}), 200),
        (json!({"error": "device_flow_disabled"}), 200),
        (json!({"error": "unauthorized_client"}), 400),
        (json!({"error": "invalid_scope"}), 400),
        (json!("<html>"), 302),
    ] {
        let (text, shown) = (body.to_string(), body.to_string());
        let json = || vec![("content-type", "application/json".to_owned())];
        let error = begun(move |_| Says(status, json(), text.clone().into())).await.unwrap_err();
        let code = body.get("error").and_then(Value::as_str);
        match error {
            DeviceError::Token(TokenError::Failed { cause, code: found }) => {
                assert_eq!(found.as_deref(), code, "{shown}");
                if code == Some("unauthorized_client") || code == Some("invalid_scope") {
                    assert_eq!(cause, Cause::ClientMisconfigured, "{shown}");
                }
            }
            DeviceError::Malformed => assert_eq!(code, None, "{shown}"),
            other => panic!("{shown}: {other}"),
        }
    }
}

#[tokio::test]
async fn numbers_without_measure_overflow_nothing() {
    for interval in [json!(u64::MAX), json!(1e300), json!(-5), json!("1e300")] {
        let shown = interval.to_string();
        let login = begun(move |base| {
            let mut codes = codes(base);
            (codes["interval"], codes["expires_in"]) = (interval.clone(), interval.clone());
            says_json(&codes)
        });
        let day = Duration::from_secs(86_400);
        assert!(login.await.unwrap().expires_in() <= day, "{shown}");
    }
}

#[tokio::test]
async fn a_server_in_a_hurry_is_not_stormed() {
    let server = Server::start(|seen, base| {
        if seen.target == "/token" {
            return says_error("authorization_pending");
        }
        let mut codes = codes(base);
        (codes["interval"], codes["expires_in"]) = (0.into(), 2.into());
        says_json(&codes)
    })
    .await;
    let login = DeviceLogin::begin(&http(), &server.endpoints(), &request()).await.unwrap();
    let error = timeout(SOON, login.wait()).await.unwrap().unwrap_err();
    assert!(matches!(error, DeviceError::Expired), "{error}");
    // The codes, and a poll each second.
    assert!(server.seen().len() <= 3, "{:?}", server.targets());
}

#[tokio::test]
async fn a_server_without_devices_is_told_from_one_that_fails() {
    let server = server().await;
    let mut endpoints = server.endpoints();
    endpoints.device_authorization_endpoint = None;
    let error = DeviceLogin::begin(&http(), &endpoints, &request()).await.unwrap_err();
    assert!(matches!(error, DeviceError::Unsupported), "{error}");
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let elsewhere = format!("http://{gone}/device");
    let nobody =
        Endpoints { token: &elsewhere, device_authorization: Some(&elsewhere), ..<_>::default() };
    let nobody = ServerMetadata::explicit(&nobody).unwrap();
    let error = DeviceLogin::begin(&http(), &nobody, &request()).await.unwrap_err();
    assert!(matches!(error, DeviceError::Http(_)), "{error}");
}

#[tokio::test]
async fn nothing_is_sent_for_a_request_that_is_wrong() {
    let server = server().await;
    let mut request = request();
    request.authentication = ClientAuthentication::ClientSecretPost;
    let error = client_credentials(&http(), &server.endpoints(), &request).await.unwrap_err();
    let missing = matches!(error, ClientCredentialsError::Request(RequestError::SecretMissing));
    assert!(missing, "{error}");
    request.authentication = ClientAuthentication::PrivateKeyJwt;
    let error = DeviceLogin::begin(&http(), &server.endpoints(), &request).await.unwrap_err();
    let DeviceError::Request(RequestError::AuthenticationUnsupported { .. }) = error else {
        panic!("{error}")
    };
    assert!(server.seen().is_empty());
}
