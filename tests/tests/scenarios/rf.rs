//! What APIs answer to a request with a token that is not what the RFCs say.

use std::time::Duration;

use regrant::{AccessError, StoreFault};
use regrant_core::protocol::Class;

use crate::scene::{Got, HOUR, Scene, challenge, expired, html, reply};

#[tokio::test(start_paused = true)]
async fn rf_01_nonstandard_rejection_signal() {
    let dead = r#"{"code":"TOKEN_GONE"}"#;
    for status in [200, 307, 400, 403, 404, 498, 500] {
        let own = format!(
            r#"{{"name":"own","api":[{{"name":"gone","class":"TokenRejected",
                "when":{{"status":[{status}],"json":[{{"path":"/code","eq":"TOKEN_GONE"}}]}}}}]}}"#
        );
        let scene = Scene::with(|client, _| client.profile = Some(own)).await;
        scene.rejects("at-0", reply(status, dead));
        let Got::Answer { judged, .. } = scene.call().await else { panic!() };
        assert_eq!(judged.reading.class, Class::NotAuth, "{status}");
        assert_eq!((scene.posts(), scene.requests()), (1, 2), "{status}");

        let scene = Scene::new().await;
        scene.rejects("at-0", reply(status, dead));
        let got = scene.call().await;
        assert_eq!((got.status(), scene.posts(), scene.requests()), (status, 0, 1), "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn rf_02_403_that_must_not_refresh() {
    let scene = Scene::new().await;
    let line = r#"Bearer error="insufficient_scope", scope="files:write""#;
    scene.rejects("at-0", challenge(403, line));
    let Got::Answer { status, judged, .. } = scene.call().await else { panic!() };
    assert_eq!((status, judged.reading.class), (403, Class::InsufficientScope));
    assert_eq!(judged.reading.scope, ["files:write"]);
    scene.rejects("at-0", html(403));
    assert_eq!(scene.call().await.status(), 403);
    assert_eq!((scene.posts(), scene.record().await.generation), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn rf_03_expired_token_answered_429() {
    let limited = reply(429, "").with("retry-after", "60");
    let mut scene = Scene::new().await;
    scene.rejects("at-0", limited.clone());
    scene.session.close(HOUR).await.unwrap();
    scene.pass(HOUR * 2).await;
    scene.restart().await;
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!((scene.posts(), scene.tokens()), (1, vec!["at-1".into()]));
    // On a good token it is a rate limit and nothing else.
    scene.rejects("at-1", limited);
    let Got::Answer { status, judged, .. } = scene.call().await else { panic!() };
    assert_eq!((status, judged.reading.class), (429, Class::RateLimited));
    assert_eq!(judged.reading.retry_after, Some(Duration::from_secs(60)));
    assert_eq!(scene.posts(), 1);
}

#[tokio::test(start_paused = true)]
async fn rf_04_silent_anonymous_request() {
    let scene = Scene::new().await;
    scene.session.log_out().await.unwrap();
    for _ in 0..10 {
        assert!(matches!(scene.call().await.error(), AccessError::NeedsLogin { .. }));
    }
    assert_eq!((scene.requests(), scene.posts()), (0, 0));
    // Neither does one leave because the token could not be read.
    for fault in [StoreFault::Unavailable, StoreFault::Locked, StoreFault::WrongKey] {
        let blind = Scene::new().await.another();
        blind.shelf.fail_loads(Some(fault));
        for _ in 0..10 {
            let got = blind.call().await;
            let AccessError::Store { fault: told, .. } = got.error() else { panic!("{got:?}") };
            assert_eq!((*told, blind.requests(), blind.posts()), (fault, 0, 0));
        }
        blind.shelf.fail_loads(None);
        assert_eq!((blind.call().await.status(), blind.tokens()), (200, vec!["at-0".into()]));
    }
    // Whatever the authorization server gives, no request leaves with nothing in it.
    for empty in ["", " ", "\\t", "\\u0000"] {
        let scene = Scene::new().await;
        scene.rejects("at-0", expired());
        let body = format!(r#"{{"access_token":"{empty}","refresh_token":"rt-1"}}"#);
        scene.always(reply(200, &body));
        let _ = scene.call().await;
        let lines = scene.network(|network| network.requests.clone());
        let filled = lines.iter().all(|(line, _)| line.trim().len() > "Bearer ".len());
        assert!(filled && !lines.is_empty(), "{empty:?}: {lines:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn rf_05_retry_replay_correctness() {
    let scene = Scene::new().await;
    scene.api(|token| match token {
        "at-0" => expired(),
        _ => reply(201, r#"{"made":true}"#),
    });
    let body: Vec<u8> = (0..1_u32 << 20).map(|at| (at % 251) as u8).collect();
    let Got::Answer { status, body: answer, .. } = scene.post(body.clone(), true).await else {
        panic!()
    };
    assert_eq!((status, &*answer), (201, r#"{"made":true}"#));
    let sent = scene.network(|network| network.requests.clone());
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|(_, sent)| *sent == body), "the body differs");
    assert_eq!((&*sent[0].0, &*sent[1].0), ("Bearer at-0", "Bearer at-1"));
}

#[tokio::test(start_paused = true)]
async fn rf_05_b_what_must_not_be_replayed_gets_its_own_401() {
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    let Got::Answer { status, retry_mark, .. } = scene.post("once", false).await else { panic!() };
    assert_eq!((status, retry_mark), (401, true));
    assert_eq!((scene.posts(), scene.requests()), (1, 1));
    assert_eq!(scene.stored().await.1.as_deref(), Some("rt-1"));
}
