//! What each class of answer may cause: token requests, requests of the API, and the state.

use regrant::{AccessError, LoginReason, StateKind};
use regrant_core::protocol::Class;

use crate::scene::{DAY, Got, Reply, Scene, challenge, html, refused, reply};

/// The answer that the first token gets, and what a caller and the servers see of it.
struct Row {
    what: &'static str,
    profile: Option<&'static str>,
    first: Reply,
    /// What the caller gets in the end.
    status: u16,
    class: Class,
    posts: usize,
    requests: usize,
}

fn rows() -> Vec<Row> {
    let slack = |error: &str| reply(200, &format!(r#"{{"ok":false,"error":"{error}"}}"#));
    let row = |what, first, status, class, posts, requests| Row {
        what,
        profile: None,
        first,
        status,
        class,
        posts,
        requests,
    };
    let slack_row = |what, error: &str, status, class, posts, requests| Row {
        what,
        profile: Some("slack"),
        first: slack(error),
        status,
        class,
        posts,
        requests,
    };
    let step_up =
        r#"Bearer error="insufficient_user_authentication", acr_values="gold", max_age=5"#;
    vec![
        row(
            "a strong rejection is refreshed and replayed",
            challenge(401, "Bearer error=invalid_token"),
            200,
            Class::NotAuth,
            1,
            2,
        ),
        row("so is a weak one", challenge(401, "Basic realm=x"), 200, Class::NotAuth, 1, 2),
        slack_row("so is a revocation", "token_revoked", 200, Class::NotAuth, 1, 2),
        row(
            "a claims challenge is refreshed with the claims and replayed",
            challenge(401, r#"Bearer error="insufficient_claims", claims="eyJhIjoxfQ""#),
            200,
            Class::NotAuth,
            1,
            2,
        ),
        row(
            "a missing scope is the caller's",
            challenge(403, "Bearer error=insufficient_scope"),
            403,
            Class::InsufficientScope,
            0,
            1,
        ),
        slack_row("in a body too", "missing_scope", 200, Class::InsufficientScope, 0, 1),
        row("a step-up is the user's", challenge(401, step_up), 401, Class::StepUp, 0, 1),
        row("a rate limit is waited out", reply(429, ""), 429, Class::RateLimited, 0, 1),
        slack_row("in a body too", "ratelimited", 200, Class::RateLimited, 0, 1),
        row("a WAF's page is none of ours", html(403), 403, Class::NotAuth, 0, 1),
        row("an outage is none of ours", reply(503, ""), 503, Class::NotAuth, 0, 1),
        row("a proxy is none of ours", reply(407, ""), 407, Class::NotAuth, 0, 1),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_class_costs_what_it_may_and_no_more() {
    for row in rows() {
        let Row { what, profile, first, .. } = row;
        let scene = Scene::with(|client, _| client.profile = profile.map(str::to_owned)).await;
        scene.rejects("at-0", first);
        let Got::Answer { status, judged, .. } = scene.call().await else { panic!("{what}") };
        assert_eq!((status, judged.reading.class), (row.status, row.class), "{what}");
        assert_eq!((scene.posts(), scene.requests()), (row.posts, row.requests), "{what}");
        let generation = scene.record().await.generation;
        assert_eq!(generation, 1 + row.posts as u64, "{what}");
        assert_eq!(scene.status().await.state, Some(StateKind::Valid), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_weak_rejection_costs_one_refresh_of_that_origin_for_an_hour() {
    let scene = Scene::new().await;
    scene.api(|_| challenge(401, "Basic realm=x"));
    let Got::Answer { status, rejected, .. } = scene.call().await else { panic!() };
    assert_eq!((status, rejected), (401, true));
    for _ in 0..50 {
        scene.pass(std::time::Duration::from_secs(60)).await;
        assert!(matches!(scene.call().await.error(), AccessError::StillRejected { .. }));
    }
    assert_eq!((scene.posts(), scene.requests()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_revocation_is_believed_only_when_the_authorization_server_says_it() {
    let scene = Scene::with(|client, _| client.profile = Some("slack".into())).await;
    scene.api(|_| reply(200, r#"{"ok":false,"error":"token_revoked"}"#));
    scene.always(reply(200, r#"{"ok":false,"error":"invalid_refresh_token"}"#));
    let got = scene.call().await;
    let AccessError::NeedsLogin { reason, code, .. } = got.error() else { panic!("{got:?}") };
    assert_eq!((*reason, code.as_deref()), (LoginReason::Refused, Some("invalid_refresh_token")));
    scene.pass(DAY).await;
    assert!(matches!(scene.call().await.error(), AccessError::NeedsLogin { .. }));
    assert_eq!((scene.posts(), scene.requests()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn claims_are_asked_for_once_also_right_after_a_refresh_without_them() {
    let scene = Scene::new().await;
    let line = r#"Bearer error="insufficient_claims", claims="eyJhIjoxfQ""#;
    scene.api(move |token| match token {
        "at-0" => challenge(401, "Bearer error=invalid_token"),
        "at-1" => challenge(401, line),
        _ => reply(200, "{}"),
    });
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!(scene.tokens(), ["at-0", "at-1", "at-2"]);
    let asked = |body: &String| body.contains("claims=");
    assert_eq!(scene.network(|n| n.posts.iter().map(asked).collect::<Vec<_>>()), [false, true]);

    // An API that wants them of every token gets one refresh with them, and then cools down.
    let scene = Scene::new().await;
    scene.api(move |_| challenge(401, line));
    let Got::Answer { status, rejected, .. } = scene.call().await else { panic!() };
    assert_eq!((status, rejected), (401, true));
    for _ in 0..100 {
        assert!(matches!(scene.call().await.error(), AccessError::StillRejected { .. }));
    }
    assert_eq!(scene.posts(), 1);
}

#[tokio::test(start_paused = true)]
async fn claims_that_the_authorization_server_does_not_take_are_that_apis_matter() {
    let scene = Scene::new().await;
    let line = r#"Bearer error="insufficient_claims", claims="eyJhIjoxfQ""#;
    scene.api(move |_| challenge(401, line));
    scene.next([refused("invalid_request")]);
    let Got::Answer { status, rejected, .. } = scene.call().await else { panic!() };
    assert_eq!((status, rejected), (401, true));
    let asked = |body: &String| body.contains("claims=");
    assert_eq!(scene.network(|n| n.posts.iter().map(asked).collect::<Vec<_>>()), [true, false]);
    let record = scene.record().await;
    assert!(record.cool_down.is_none() && record.generation == 2, "the other APIs go on");
    for _ in 0..100 {
        assert!(matches!(scene.call().await.error(), AccessError::StillRejected { .. }));
    }
    assert_eq!(scene.posts(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_just_issued_is_given_time_where_the_provider_wants_it() {
    let own = r#"{"name":"own","fresh_token_lag_ms":3000}"#;
    let scene = Scene::with(|client, _| client.profile = Some(own.into())).await;
    let mut seen = 0;
    scene.api(move |token| {
        seen += usize::from(token == "at-1");
        match (token, seen) {
            ("at-0", _) | ("at-1", 1) => challenge(401, "Bearer error=invalid_token"),
            _ => reply(200, "{}"),
        }
    });
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!(
        (scene.posts(), scene.tokens()),
        (1, vec!["at-0".into(), "at-1".into(), "at-1".into()])
    );
}
