//! Keys instead of secrets: bound tokens (RFC 9449) and client assertions (RFC 7523).

use std::sync::Arc;

use regrant::Secret;
use serde_json::json;

use crate::keys::Key;
use crate::provider::Provider;
use crate::user::User;

#[tokio::test]
async fn bound_tokens_are_refreshed_and_used_with_proofs_that_carry_the_servers_nonces() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let key = Arc::new(Key::new());
    let user = User::bound(&provider, &key).await;
    assert_eq!(user.call().await.unwrap()["sub"], "alice");
    let before = provider.api_answers().await["401"].as_u64().unwrap_or(0);
    assert_eq!(before, 1, "the API wants its nonce, once");
    provider.kill_access_tokens().await;
    assert_eq!(user.call().await.unwrap()["sub"], "alice");
    // The provider wants its own nonce first; that was no attempt of its own.
    let refreshes = provider.refreshes().await;
    assert_eq!(refreshes, json!({ "use_dpop_nonce": 1, "granted": 1 }));
    // With both nonces known, nothing is asked twice.
    provider.kill_access_tokens().await;
    assert_eq!(user.call().await.unwrap()["sub"], "alice");
    assert_eq!(provider.refreshes().await, json!({ "use_dpop_nonce": 1, "granted": 2 }));
    assert_eq!(provider.api_answers().await, json!({ "200": 3, "401": 3 }));
    user.close().await;
}

#[tokio::test]
async fn a_client_that_signs_refreshes_and_revokes() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let user = User::of(&provider, "jwt").await;
    provider.kill_access_tokens().await;
    assert_eq!(user.call().await.unwrap()["client_id"], "jwt");
    assert_eq!(provider.refreshes().await, json!({ "granted": 1 }));
    let (access, _) = user.tokens().await;
    assert_eq!(user.session.log_out().await.unwrap().revoked, Some(true));
    assert_eq!(provider.introspected(&access).await["active"], false);
    user.close().await;
}

#[tokio::test]
async fn a_key_that_the_provider_does_not_know_keeps_the_login() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let user = User::of(&provider, "jwt").await;
    let right = provider.client("jwt");
    let mut wrong = right.clone();
    wrong.client_secret = Some(Secret::new("no key".to_owned()));
    user.session.configure(wrong).await.unwrap();
    provider.kill_access_tokens().await;
    user.call().await.unwrap_err();
    assert_eq!(provider.refreshes().await, json!(null), "nothing was sent without an assertion");
    user.session.configure(right).await.unwrap();
    assert_eq!(user.call().await.unwrap()["client_id"], "jwt");
    user.close().await;
}
