//! Tokens for a client that uses DPoP (RFC 9449).
#![expect(clippy::unwrap_used, reason = "a test that is not as expected panics")]

mod common;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use common::{access, call_status, client, header, json_of, refresh_token, start};
use regrant_sandbox::{Config, Fault, Sandbox};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A proof with some of its members replaced, or left out where null.
fn proof(members: &Value) -> String {
    let head = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": { "kty": "EC" } });
    proof_with_head(&head, members)
}

fn proof_with_head(head: &Value, members: &Value) -> String {
    let mut payload = json!({ "htm": "POST", "iat": 1_700_000_000 });
    for (name, value) in members.as_object().unwrap() {
        payload[name] = value.clone();
    }
    payload.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}.c2lnbmF0dXJl", encode(head), encode(&payload))
}

/// A refresh with these proofs: status, code and demanded nonce.
async fn refresh(sandbox: &Sandbox, token: &str, proofs: &[String]) -> (u16, Value, String) {
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("client_id", "sandbox-client"),
    ];
    let mut request = client().post(sandbox.token_endpoint()).form(&form);
    for proof in proofs {
        request = request.header("DPoP", proof);
    }
    let response = request.send().await.unwrap();
    let nonce = header(&response, "dpop-nonce").unwrap_or_default();
    (response.status().as_u16(), response.json().await.unwrap(), nonce)
}

#[tokio::test]
async fn a_nonce_is_demanded_once_and_then_a_proof_with_it_is_enough() {
    let sandbox = start(Config { dpop: true, ..Config::default() });
    let login = sandbox.issue();
    assert_eq!(login["token_type"], "DPoP");
    let htu = sandbox.token_endpoint();
    let first = proof(&json!({ "htu": htu, "jti": "1" }));
    let (status, body, nonce) = refresh(&sandbox, &refresh_token(&login), &[first]).await;
    assert_eq!((status, &body["error"]), (400, &json!("use_dpop_nonce")));
    assert!(!nonce.is_empty());
    let second = proof(&json!({ "htu": htu, "jti": "2", "nonce": nonce }));
    let (status, tokens, _) = refresh(&sandbox, &refresh_token(&login), &[second]).await;
    assert_eq!((status, &tokens["token_type"]), (200, &json!("DPoP")), "{tokens}");
    let third = proof(&json!({ "htu": htu, "jti": "3", "nonce": nonce }));
    let (status, tokens, _) = refresh(&sandbox, &refresh_token(&tokens), &[third]).await;
    assert_eq!(status, 200, "{tokens}");
    let stats = sandbox.stats();
    assert_eq!((stats.nonce_demands, stats.granted, stats.refused), (1, 2, 0));
    let metadata = format!("{}/.well-known/oauth-authorization-server", sandbox.issuer_url());
    assert_eq!(json_of(metadata).await["dpop_signing_alg_values_supported"], json!(["ES256"]));
}

#[tokio::test]
async fn a_new_nonce_can_be_demanded_at_any_time() {
    let sandbox = start(Config { dpop: true, ..Config::default() });
    let token = refresh_token(&sandbox.issue());
    let htu = sandbox.token_endpoint();
    let (_, _, old) = refresh(&sandbox, &token, &[proof(&json!({ "htu": htu, "jti": "1" }))]).await;
    sandbox.inject(Fault::UseDpopNonce);
    let stale = |jti| proof(&json!({ "htu": htu, "jti": jti, "nonce": old }));
    let (status, body, new) = refresh(&sandbox, &token, &[stale("2")]).await;
    assert_eq!((status, &body["error"]), (400, &json!("use_dpop_nonce")));
    assert_ne!(new, old);
    let (_, body, again) = refresh(&sandbox, &token, &[stale("3")]).await;
    assert_eq!((&body["error"], &again), (&json!("use_dpop_nonce"), &new));
    let fresh = proof(&json!({ "htu": htu, "jti": "4", "nonce": new }));
    assert_eq!(refresh(&sandbox, &token, &[fresh]).await.0, 200);
    assert_eq!(sandbox.stats().nonce_demands, 3);
}

#[tokio::test]
async fn a_proof_that_proves_something_else_is_refused() {
    let sandbox = start(Config { dpop: true, ..Config::default() });
    let token = refresh_token(&sandbox.issue());
    let htu = sandbox.token_endpoint();
    let demand = proof(&json!({ "htu": htu, "jti": "0" }));
    let (_, _, nonce) = refresh(&sandbox, &token, &[demand]).await;
    let good = json!({ "htu": htu, "jti": "1", "nonce": nonce });
    let but = |name: &str, value: Value| {
        let mut members = good.clone();
        members[name] = value;
        vec![proof(&members)]
    };
    let head = |name: &str, value: Value| {
        let mut head = json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": { "kty": "EC" } });
        head[name] = value;
        vec![proof_with_head(&head, &good)]
    };
    let elsewhere = format!("{}/revoke", sandbox.issuer_url());
    for proofs in [
        vec![],
        vec![proof(&good), proof(&good)],
        vec!["no.jwt".to_owned()],
        but("jti", Value::Null),
        but("jti", json!("")),
        but("iat", Value::Null),
        but("htm", Value::Null),
        but("htm", json!("GET")),
        but("htu", Value::Null),
        but("htu", json!(elsewhere)),
        head("typ", json!("JWT")),
        head("alg", json!("none")),
        head("alg", json!("HS256")),
        head("jwk", Value::Null),
        head("jwk", json!({ "kty": "EC", "d": "private" })),
    ] {
        let (status, body, _) = refresh(&sandbox, &token, &proofs).await;
        assert_eq!((status, &body["error"]), (400, &json!("invalid_dpop_proof")), "{proofs:?}");
    }
    let once = proof(&good);
    let (status, tokens, _) = refresh(&sandbox, &token, std::slice::from_ref(&once)).await;
    assert_eq!(status, 200, "none of these spent the proof or the token: {tokens}");
    let (_, body, _) = refresh(&sandbox, &refresh_token(&tokens), &[once]).await;
    assert_eq!(body["error"], "invalid_dpop_proof", "a proof serves one request");
    assert_eq!(sandbox.stats().refused, 16);
}

#[tokio::test]
async fn an_api_takes_a_bound_token_only_with_a_proof_for_it() {
    let sandbox = start(Config { dpop: true, ..Config::default() });
    let token = access(&sandbox.issue());
    let url = format!("{}/things", sandbox.api_url("api"));
    let call = |jti: &str, ath: String| {
        let proof = proof(&json!({ "htm": "GET", "htu": url, "jti": jti, "ath": ath }));
        let request = client().get(format!("{url}?a=b")).header("DPoP", proof);
        let request = request.header("authorization", format!("DPoP {token}"));
        async move { request.send().await.unwrap() }
    };
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(&token));
    assert_eq!(call("1", hash.clone()).await.status(), 200);
    let replayed = call("1", hash).await;
    assert_eq!(replayed.status(), 401);
    let challenge = header(&replayed, "www-authenticate").unwrap();
    assert!(challenge.starts_with("DPoP realm=\"sandbox\", error=\"invalid_token\""));
    assert!(challenge.ends_with("algs=\"ES256\""), "{challenge}");
    assert_eq!(call("2", "another".to_owned()).await.status(), 401);
    assert_eq!(call_status(&sandbox, "api", &token).await, 401, "it is no bearer token");
    assert_eq!(sandbox.stats().api("api").rejected, 3);
}

#[tokio::test]
async fn without_dpop_no_proof_is_wanted() {
    let sandbox = start(Config::default());
    let token = refresh_token(&sandbox.issue());
    let (status, tokens, _) = refresh(&sandbox, &token, &["nonsense".to_owned()]).await;
    assert_eq!((status, &tokens["token_type"]), (200, &json!("Bearer")));
}
