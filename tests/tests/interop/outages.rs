//! The provider dies in the middle of a refresh, and another process takes its place.

use std::time::Duration;

use regrant::{AccessError, Event, LoginReason, Policy};
use serde_json::json;
use tokio::time::timeout;

use crate::provider::{Provider, SOON};
use crate::user::User;

/// A program in a hurry: its attempts and pauses are over in no time.
fn hasty() -> Policy {
    let mut policy = Policy::default();
    policy.attempt = Duration::from_secs(1);
    policy.backoff = Duration::from_millis(10);
    policy.cool_down = Duration::from_millis(10);
    policy.cool_down_cap = Duration::from_millis(100);
    // A slow machine starts a provider slowly, and this one asks all the while.
    policy.burst = 10_000;
    policy
}

/// A program whose provider dies at its token request.
async fn outage(provider: &mut Provider, when: &str) -> User {
    let user = User::with(provider, "public", hasty()).await;
    user.call().await.unwrap();
    provider.kill_access_tokens().await;
    provider.control("/die", &json!({ "when": when })).await;
    let error = user.call().await.unwrap_err();
    assert!(matches!(error, AccessError::Delayed { .. }), "an outage is no logout: {error:?}");
    user
}

/// Starts it again, and waits until the open session has found that out by itself.
async fn recovered(provider: &mut Provider, user: &User) {
    let mut events = user.session.events();
    provider.start_again();
    let settled = async {
        loop {
            let event = events.next().await.unwrap().unwrap();
            if matches!(event, Event::Refreshed { .. } | Event::LoginNeeded { .. }) {
                break;
            }
        }
    };
    timeout(SOON, settled).await.unwrap();
}

#[tokio::test]
async fn killed_before_it_acts_it_costs_no_login() {
    let Some(mut provider) = Provider::start(json!({})).await else { return };
    let user = outage(&mut provider, "before").await;
    recovered(&mut provider, &user).await;
    assert_eq!(user.call().await.unwrap()["sub"], "alice");
    assert_eq!(provider.refreshes().await, json!({ "granted": 1 }));
    user.close().await;
}

/// Nobody can save it: the provider has rotated, its answer is lost, and it has no grace. But it
/// is named for what it is.
#[tokio::test]
async fn killed_after_it_has_rotated_the_reason_is_told() {
    let Some(mut provider) = Provider::start(json!({})).await else { return };
    let user = outage(&mut provider, "after").await;
    recovered(&mut provider, &user).await;
    assert_eq!(user.needs_login().await.0, LoginReason::RotationLost);
    assert_eq!(provider.refreshes().await, json!({ "invalid_grant": 1 }));
    user.close().await;
}
