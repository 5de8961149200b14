//! What is never logged.

use std::io::Write as _;

use crate::bound::Bound;
use crate::captured::Captured;
use crate::guard::Nonces;

#[tokio::test]
async fn no_log_has_a_token_or_a_proof() {
    let captured = Captured::everything();
    let bound = Bound::wanting(Nonces::Rotated, Nonces::Rotated).await;
    for _ in 0..3 {
        bound.expire();
        assert_eq!(bound.status().await, 200);
    }
    let answer = bound.client.get(bound.url()).send().await.unwrap();
    writeln!(captured.clone(), "{:?} {answer:?}", bound.client).unwrap();
    bound.guard.state().live_access = None;
    bound.guard.state().live_refresh = None;
    let error = bound.client.get(bound.url()).send().await.unwrap_err();
    writeln!(captured.clone(), "{error} {error:?}").unwrap();

    let text = captured.text();
    assert!(text.contains("new proof") && text.contains("connecting"), "{text}");
    let state = bound.guard.state();
    // Four logins and refreshes of two tokens each, and a proof for every request.
    let requests = state.api.requests.len() + state.token.requests.len();
    assert_eq!(state.secrets.len(), 8 + requests);
    for secret in &state.secrets {
        // Of a proof also the claims and the signature alone.
        for part in secret.split('.').chain([&secret[secret.len() - 16..]]) {
            let is_head = part == secret.split('.').next().unwrap() && secret.contains('.');
            assert!(is_head || !text.contains(part), "{part} is in the log");
        }
    }
}
