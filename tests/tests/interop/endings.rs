//! How a login ends: by the user, by the provider, or by a thief.

use regrant::LoginReason;
use serde_json::{Value, json};

use crate::code_flow::{authenticated, read};
use crate::provider::Provider;
use crate::user::User;

/// Refused, as the provider has it: its code is the same whatever the reason.
fn refused() -> (LoginReason, Option<String>) {
    (LoginReason::Refused, Some("invalid_grant".to_owned()))
}

#[tokio::test]
async fn a_logout_ends_both_tokens_at_the_provider() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let user = User::of(&provider, "public").await;
    user.call().await.unwrap();
    let (access, refresh) = user.tokens().await;
    for token in [&access, &refresh] {
        assert_eq!(provider.introspected(token).await["active"], true);
    }
    assert_eq!(user.session.log_out().await.unwrap().revoked, Some(true));
    for token in [&access, &refresh] {
        assert_eq!(provider.introspected(token).await, json!({ "active": false }));
    }
    assert_eq!(user.needs_login().await.0, LoginReason::LoggedOut);
    assert_eq!(provider.refreshes().await, json!(null), "nothing was refreshed");
    user.close().await;
}

#[tokio::test]
async fn a_revoked_grant_needs_a_login_and_costs_one_token_request() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let user = User::of(&provider, "public").await;
    provider.control("/revoke-grants", &json!({})).await;
    for _ in 0..3 {
        assert_eq!(user.needs_login().await, refused());
    }
    assert_eq!(provider.refreshes().await, json!({ "invalid_grant": 1 }));
    assert_eq!(provider.api_answers().await, json!({ "401": 1 }));
    // And a login is all that is needed.
    user.log_in(&provider, "public").await;
    assert_eq!(user.call().await.unwrap()["sub"], "alice");
    user.close().await;
}

#[tokio::test]
async fn a_thief_who_comes_late_ends_the_grant_for_both() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let user = User::of(&provider, "public").await;
    let (_, stolen) = user.tokens().await;
    provider.kill_access_tokens().await;
    user.call().await.unwrap();
    // Spent by now, which tells the provider that somebody has it who should not.
    steal(&provider, &stolen, "invalid_grant").await;
    for _ in 0..3 {
        assert_eq!(user.needs_login().await, refused());
    }
    // Ours, the thief's, and ours again, once.
    assert_eq!(provider.refreshes().await, json!({ "granted": 1, "invalid_grant": 2 }));
    user.close().await;
}

#[tokio::test]
async fn a_thief_who_comes_first_is_found_out_by_our_refresh() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let user = User::of(&provider, "public").await;
    let (_, stolen) = user.tokens().await;
    let loot = steal(&provider, &stolen, "granted").await;
    provider.kill_access_tokens().await;
    for _ in 0..3 {
        assert_eq!(user.needs_login().await, refused());
    }
    assert_eq!(provider.refreshes().await, json!({ "granted": 1, "invalid_grant": 1 }));
    let kept = provider.introspected(loot["refresh_token"].as_str().unwrap()).await;
    assert_eq!(kept, json!({ "active": false }), "the thief has nothing either");
    user.close().await;
}

#[tokio::test]
async fn an_expired_refresh_token_needs_a_login() {
    let Some(provider) = Provider::start(json!({})).await else { return };
    let user = User::of(&provider, "public").await;
    provider.control("/expire-refresh-tokens", &json!({})).await;
    provider.kill_access_tokens().await;
    assert_eq!(user.needs_login().await, refused());
    assert_eq!(provider.refreshes().await, json!({ "invalid_grant": 1 }));
    user.close().await;
}

/// Redeems somebody else's refresh token.
async fn steal(provider: &Provider, token: &str, outcome: &str) -> Value {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    let reply = read(authenticated(provider, "public", &form)).await;
    eprintln!("thief: {} {}", reply.status, outcome);
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    let error = body["error"].as_str().unwrap_or("granted");
    assert_eq!(error, outcome, "{body}");
    body
}
