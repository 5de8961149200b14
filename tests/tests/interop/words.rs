//! The words of the provider and of its API, to the letter, and what regrant takes them for.

use regrant::{Answer, Cause, Refusal, RefusalKind, Strength, Verdict};
use regrant_core::protocol::{ApiReply, read_api_reply};
use reqwest::RequestBuilder;
use reqwest::header::WWW_AUTHENTICATE;
use serde_json::{Value, json};

use crate::code_flow::{self, Reply, authenticated, meant, read};
use crate::provider::Provider;

const REFRESH: (&str, &str) = ("grant_type", "refresh_token");

/// An answer of the token endpoint, said aloud.
async fn said(why: &str, request: RequestBuilder) -> Reply {
    let reply = read(request).await;
    eprintln!("{why}: {} {} {}", reply.status, reply.content_type, reply.body);
    assert_eq!(reply.content_type, "application/json; charset=utf-8", "{why}");
    reply
}

/// Whatever became of the grant, the answer is the same. So nobody can tell from it whether a
/// refresh token was stolen, and every refusal is no more than that.
#[tokio::test]
async fn every_way_to_lose_a_grant_has_the_same_answer() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let refused = async |why: &str, client_id: &str, token: &str| {
        let form = [REFRESH, ("refresh_token", token)];
        let reply = said(why, authenticated(&provider, client_id, &form)).await;
        assert_eq!(reply.status, 400, "{why}");
        let expected =
            r#"{"error":"invalid_grant","error_description":"grant request is invalid"}"#;
        assert_eq!(reply.body, expected, "{why}");
        let Answer::Refused(refusal) = meant(&reply) else { panic!("{why}: {reply:?}") };
        let dead = Refusal { code: "invalid_grant".to_owned(), kind: RefusalKind::Dead };
        assert_eq!(refusal, dead, "{why}");
    };
    let log_in = async || {
        let grant = code_flow::log_in(&provider, "public").await;
        grant.refresh_token.unwrap().expose().to_owned()
    };

    let spent = log_in().await;
    let form = [REFRESH, ("refresh_token", &*spent)];
    let rotated = meant(&read(authenticated(&provider, "public", &form)).await);
    let Answer::Granted(newer) = rotated else { panic!("{rotated:?}") };
    refused("used before", "public", &spent).await;
    refused("used before, once more", "public", &spent).await;
    refused("its successor", "public", newer.refresh_token.unwrap().expose()).await;
    refused("of another client", "post", &log_in().await).await;
    refused("never issued", "public", "nobody was given this").await;
    let old = log_in().await;
    provider.control("/expire-refresh-tokens", &json!({})).await;
    refused("expired", "public", &old).await;
    let revoked = log_in().await;
    provider.control("/revoke-grants", &json!({})).await;
    refused("revoked", "public", &revoked).await;
}

#[tokio::test]
async fn a_client_that_is_wrong_is_not_a_login_that_is_dead() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let token = code_flow::log_in(&provider, "post").await.refresh_token.unwrap();
    let refresh = [REFRESH, ("refresh_token", token.expose())];
    let endpoint = provider.endpoint("token_endpoint");
    let by_basic = provider.post(endpoint, &refresh).basic_auth("post", Some("wrong"));
    let in_body = |pairs: &[(&'static str, &'static str)]| {
        provider.post(endpoint, &[&refresh[..], pairs].concat())
    };
    for (why, request) in [
        ("a wrong secret, by basic", by_basic),
        ("a wrong secret", in_body(&[("client_id", "post"), ("client_secret", "wrong")])),
        ("an unknown client", in_body(&[("client_id", "nobody")])),
        ("no client", in_body(&[])),
    ] {
        let reply = said(why, request).await;
        let Answer::Failed(failure) = meant(&reply) else { panic!("{why}: {reply:?}") };
        assert_eq!(failure.cause, Cause::ClientMisconfigured, "{why}");
    }
    let Answer::Granted(_) = meant(&read(authenticated(&provider, "post", &refresh)).await) else {
        panic!("the login is spent")
    };
}

#[tokio::test]
async fn the_api_names_the_token_as_the_reason_and_says_who_issues_better_ones() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let api = provider.api();
    let url = format!("{api}/me");
    let metadata = format!("{api}/.well-known/oauth-protected-resource");
    let challenge = async |token: Option<&str>| {
        let request = provider.get(&url);
        let request = token.map_or_else(|| provider.get(&url), |token| request.bearer_auth(token));
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 401);
        answer.headers()[WWW_AUTHENTICATE].to_str().unwrap().to_owned()
    };
    assert_eq!(challenge(None).await, format!("Bearer resource_metadata=\"{metadata}\""));
    let line = challenge(Some("nobody was given this")).await;
    let expected = format!(
        "Bearer error=\"invalid_token\", error_description=\"the token is not active\", \
         resource_metadata=\"{metadata}\""
    );
    assert_eq!(line, expected);
    let reply = ApiReply {
        scheme: Some("Bearer"),
        status: 401,
        headers: &[("www-authenticate", line.as_bytes())],
        ..ApiReply::default()
    };
    let reading = read_api_reply(&reply, None);
    assert_eq!(reading.verdict, Verdict::Rejected(Strength::Strong));
    assert_eq!(reading.resource_metadata.as_ref(), Some(&metadata));
    let about: Value = provider.get(&metadata).send().await.unwrap().json().await.unwrap();
    assert_eq!(about["resource"], api);
    assert_eq!(about["authorization_servers"], json!([provider.issuer()]));
}

#[tokio::test]
async fn a_program_on_its_own_behalf_gets_no_refresh_token() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let form = [("grant_type", "client_credentials"), ("scope", "read")];
    let reply = read(authenticated(&provider, "machine", &form)).await;
    let Answer::Granted(grant) = meant(&reply) else { panic!("{reply:?}") };
    assert!(grant.refresh_token.is_none());
    assert_eq!(grant.scope.as_deref(), Some("read"));
    let me = provider.get(&format!("{}/me", provider.api()));
    let answer = me.bearer_auth(grant.access_token.expose()).send().await.unwrap();
    assert_eq!(answer.json::<Value>().await.unwrap()["client_id"], "machine");
}

/// So a poll that is sent once more, because its answer was lost, costs the login that it brought.
#[tokio::test]
async fn a_device_code_that_comes_again_ends_the_grant_that_it_brought() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let form = [("client_id", "public"), ("scope", "read")];
    let asked = provider.post(provider.endpoint("device_authorization_endpoint"), &form);
    let codes: Value = asked.send().await.unwrap().json().await.unwrap();
    // RFC 8628 section 3.2: without an interval, it is 5 s.
    assert_eq!(codes["interval"], Value::Null);
    let device_code = codes["device_code"].as_str().unwrap();
    let poll = async || {
        let grant_type = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
        let form = [grant_type, ("device_code", device_code)];
        let reply = read(authenticated(&provider, "public", &form)).await;
        (reply.status, serde_json::from_str::<Value>(&reply.body).unwrap())
    };
    let (status, body) = poll().await;
    assert_eq!((status, &body["error"]), (400, &json!("authorization_pending")));
    provider.control("/approve-device", &json!({ "user_code": codes["user_code"] })).await;
    let (status, granted) = poll().await;
    assert_eq!(status, 200, "{granted}");
    let token = granted["access_token"].as_str().unwrap();
    assert_eq!(provider.introspected(token).await["active"], true);
    let (status, body) = poll().await;
    assert_eq!((status, &body["error"]), (400, &json!("invalid_grant")));
    assert_eq!(provider.introspected(token).await, json!({ "active": false }));
}
