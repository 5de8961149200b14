//! Nothing of a token or a secret in any log, at any level. One test, for loggers are global.
#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "common/captured.rs"]
mod captured;
mod common;

use std::collections::BTreeSet;
use std::io::Write as _;

use captured::Captured;
use common::World;
use regrant_core::Record;
use regrant_sandbox::{Config, Fault};

fn secrets(record: &Record, seen: &mut BTreeSet<String>) {
    seen.extend(record.refresh_token.iter().map(|token| token.expose().to_owned()));
    seen.extend(record.slot().iter().map(|slot| slot.access_token.expose().to_owned()));
}

#[tokio::test]
async fn no_log_has_a_token_or_a_secret() {
    let captured = Captured::everything();
    let secret = "canary-client-secret";
    let config = Config { client_secret: Some(secret.to_owned()), ..Config::default() };
    let world = World::new(config).await;
    let mut seen = BTreeSet::from([secret.to_owned()]);
    secrets(&world.record().await, &mut seen);
    for fault in [None, Some(Fault::ServerError), Some(Fault::Html)] {
        world.sandbox.expire_access_tokens();
        if let Some(fault) = fault {
            world.sandbox.inject(fault);
        }
        assert_eq!(world.status().await, 200);
        secrets(&world.record().await, &mut seen);
    }
    writeln!(captured.clone(), "{:?} {:?}", world.session, world.session.status().await).unwrap();
    let answer = world.client.get(world.url("/things")).send().await.unwrap();
    writeln!(captured.clone(), "{answer:?}").unwrap();
    world.sandbox.revoke_all();
    let error = world.client.get(world.url("/things")).send().await.unwrap_err();
    writeln!(captured.clone(), "{error} {error:?} {:?}", world.client).unwrap();
    world.session.log_out().await.unwrap();
    world.closed().await;
    assert_eq!(world.counts(), (6, 8));

    let text = captured.text();
    assert!(text.contains("token request sent") && text.contains("connecting"), "{text}");
    // A login and three refreshes, at least two tokens each, and the secret.
    assert!(seen.len() >= 9, "{}", seen.len());
    for secret in &seen {
        let tail = ["sandbox_at_", "sandbox_rt_"].iter().find_map(|kind| secret.strip_prefix(kind));
        let tail = tail.unwrap_or(secret);
        assert!(tail.len() >= 16, "a tail that can be searched for");
        for part in [&tail[..8], &tail[tail.len() - 8..]] {
            assert!(!text.contains(part), "{part} is in the log");
        }
    }
    assert!(!text.contains("Y2FuYXJ5"), "the secret is in the log, in base64");
}
