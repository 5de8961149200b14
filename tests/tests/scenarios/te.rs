//! Token endpoints that misbehave.

use std::time::Duration;

use regrant::{AccessError, Cause, Event, LoginReason, Secret, StateKind};

use crate::scene::{DAY, Fate, HOUR, Reply, Scene, expired, happened, html, refused, reply};

/// A scene whose token the API has rejected, so that every call needs a refresh.
async fn rejected() -> Scene {
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene
}

#[tokio::test(start_paused = true)]
async fn te_01_transient_is_not_logout() {
    let minute = Duration::from_secs(60);
    let mut faults = vec![Fate::Lost, Fate::Silent(minute * 10)];
    faults.extend([Cause::Unreachable, Cause::NameUnresolved, Cause::TlsFailed].map(Fate::Unsent));
    faults.extend([408, 425, 429, 500, 502, 503, 504].map(|status| reply(status, "").into()));
    for code in ["server_error", "temporarily_unavailable"] {
        faults.push(refused(code).into());
    }
    for fault in faults {
        let scene = rejected().await;
        scene.always(fault.clone());
        let mut events = scene.session.events();
        let stored = scene.stored().await;
        let cause = scene.call().await.delayed();
        if let Fate::Unsent(unsent) = fault {
            assert_eq!(cause, unsent);
        }
        scene.pass(HOUR * 8).await;
        assert!(scene.posts() < 200, "{fault:?}: {} token requests", scene.posts());
        let state = scene.status().await.state.unwrap();
        assert_ne!(state, StateKind::NeedsLogin, "{fault:?}");
        assert_eq!(scene.stored().await, stored, "{fault:?}");
        scene.mended();
        scene.pass(HOUR).await;
        assert_eq!(scene.call().await.status(), 200, "{fault:?}");
        let told = happened(&mut events).await;
        assert!(!told.iter().any(|event| matches!(event, Event::LoginNeeded { .. })), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn te_02_terminal_by_error_code_not_status() {
    let object = |code: &str| format!(r#"{{"error":{{"code":"{code}","message":"x"}}}}"#);
    let terminal = [
        reply(400, r#"{"error":"invalid_grant"}"#),
        reply(401, r#"{"error":"invalid_grant"}"#),
        reply(403, r#"{"error":"invalid_grant"}"#),
        reply(404, r#"{"error":"invalid_grant"}"#),
        reply(498, r#"{"error":"invalid_grant"}"#),
        reply(200, r#"{"error":"bad_refresh_token"}"#),
        reply(401, &object("refresh_token_expired")),
        reply(400, &object("refresh_token_invalidated")),
        reply(401, r#"{"code":"refresh_token_expired"}"#),
        reply(403, r#"{"error":"mfa_required"}"#),
        reply(400, r#"{"error":"invalid_scope"}"#),
    ];
    for answer in terminal {
        let scene = rejected().await;
        scene.always(answer.clone());
        let got = scene.call().await;
        assert!(matches!(got.error(), AccessError::NeedsLogin { .. }), "{answer:?}: {got:?}");
        scene.pass(DAY).await;
        assert!(matches!(scene.call().await.error(), AccessError::NeedsLogin { .. }));
        assert_eq!(scene.posts(), 1, "{answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn te_02_b_an_unknown_code_is_tried_thrice_and_kept() {
    let scene = rejected().await;
    scene.always(refused("something_new"));
    let stored = scene.stored().await;
    let got = scene.call().await;
    let AccessError::Delayed { cause, code, .. } = got.error() else { panic!("{got:?}") };
    assert_eq!((*cause, code.as_deref()), (Cause::UnknownError, Some("something_new")));
    assert_eq!(scene.posts(), 3);
    // Then it is left alone for the longest that there is, and the code is shown meanwhile.
    scene.pass(HOUR - Duration::from_secs(60)).await;
    let got = scene.call().await;
    let AccessError::Delayed { code, .. } = got.error() else { panic!("{got:?}") };
    assert_eq!((code.as_deref(), scene.posts()), (Some("something_new"), 3));
    // An attempt an hour, each of three tries.
    scene.pass(DAY).await;
    assert!(scene.posts() <= 3 * (1 + 24), "{} token requests", scene.posts());
    assert_ne!(scene.status().await.state, Some(StateKind::NeedsLogin));
    assert_eq!(scene.stored().await, stored);
}

#[tokio::test(start_paused = true)]
async fn te_03_not_an_oauth_success() {
    let long = format!(r#"{{"access_token":"x","pad":"{}"}}"#, "p".repeat(10 << 20));
    let inputs = [
        reply(200, r#"{"hello":"world"}"#),
        html(200),
        html(403),
        reply(200, ""),
        reply(200, &long),
        reply(200, r#"{"access_token":"#),
        reply(200, r#"{"access_token":"x","error":"invalid_grant"}"#),
    ];
    for (at, input) in inputs.into_iter().enumerate() {
        let scene = rejected().await;
        scene.always(input);
        let stored = scene.stored().await;
        assert_eq!(scene.call().await.delayed(), Cause::NotOauth, "{at}");
        assert_eq!(scene.stored().await, stored, "{at}");
    }
    // A form is an answer like any other.
    let scene = rejected().await;
    let form = Reply {
        status: 200,
        headers: vec![("content-type", "application/x-www-form-urlencoded".into())],
        body: "access_token=at-1&token_type=bearer&expires_in=60&refresh_token=rt-1".into(),
    };
    scene.next([form]);
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!(scene.stored().await.1.as_deref(), Some("rt-1"));
}

#[tokio::test(start_paused = true)]
async fn te_04_expires_in_variants() {
    let grant = |members: &str| {
        reply(200, &format!(r#"{{"access_token":"at-1","refresh_token":"rt-1"{members}}}"#))
    };
    let lifetime = |record: regrant_core::Record| record.slot().unwrap().lifetime_ms;
    let scene = rejected().await;
    scene.next([grant(r#","expires_in":"3600""#)]);
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!(lifetime(scene.record().await), Some(3_600_000));

    for unknown in ["", r#","expires_in":0"#, r#","expires_in":-1"#, r#","expires_in":"soon""#] {
        let scene = rejected().await;
        scene.next([grant(unknown)]);
        for _ in 0..24 {
            assert_eq!(scene.call().await.status(), 200, "{unknown}");
            scene.pass(HOUR).await;
        }
        // Nothing ahead of need; a rejection brings one more.
        assert_eq!((scene.posts(), lifetime(scene.record().await)), (1, None), "{unknown}");
        scene.rejects("at-1", expired());
        assert_eq!((scene.call().await.status(), scene.posts()), (200, 2), "{unknown}");
    }

    let scene = rejected().await;
    scene.next([grant(r#","expires_in":60,"refresh_expires_in":0"#)]);
    assert_eq!(scene.call().await.status(), 200);
    scene.pass(DAY).await;
    assert_eq!(scene.call().await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn te_05_client_config_errors() {
    let scene = rejected().await;
    scene.always(reply(401, r#"{"error":"invalid_client"}"#));
    let got = scene.call().await;
    assert_eq!((got.delayed(), scene.posts()), (Cause::ClientMisconfigured, 1));
    assert_eq!(scene.stored().await.1.as_deref(), Some("rt-0"));
    assert!(!got.error().to_string().contains("log in"));

    // Registered anew.
    scene.mended();
    let mut client = scene.record().await.client;
    client.client_id = "app-2".into();
    client.client_secret = Some(Secret::new("s".into()));
    scene.session.configure(client).await.unwrap();
    assert_eq!((scene.call().await.status(), scene.posts()), (200, 2));
    let bodies = scene.network(|network| network.posts.clone());
    assert!(bodies.iter().all(|body| !body.contains("scope=")), "{bodies:?}");
}

#[tokio::test(start_paused = true)]
async fn te_05_b_a_narrower_scope_is_told_once() {
    let scene = Scene::with(|_, grant| grant.scope = Some("a b".into())).await;
    scene.rejects("at-0", expired());
    let mut events = scene.session.events();
    scene.next([reply(200, r#"{"access_token":"at-1","refresh_token":"rt-1","scope":"a"}"#)]);
    assert_eq!(scene.call().await.status(), 200);
    scene.rejects("at-1", expired());
    scene.next([reply(200, r#"{"access_token":"at-2","refresh_token":"rt-2","scope":""}"#)]);
    assert_eq!(scene.call().await.status(), 200);
    let told = happened(&mut events).await;
    let changes = told.iter().filter(|event| matches!(event, Event::ScopeChanged { .. }));
    assert_eq!(changes.count(), 1, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn te_06_token_endpoint_redirect() {
    for status in [301, 302, 303, 307, 308] {
        let scene = rejected().await;
        scene.always(reply(status, "").with("location", "https://elsewhere.example/token"));
        let stored = scene.stored().await;
        let cause = scene.call().await.delayed();
        assert_eq!((cause, scene.posts()), (Cause::EndpointMoved, 1), "{status}");
        assert_eq!(scene.stored().await, stored, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn te_renewal_by_client_credentials_is_never_in_doubt() {
    let scene = Scene::with(|client, grant| {
        client.renewal = regrant::Renewal::ClientCredentials;
        client.scope = Some("jobs".into());
        grant.refresh_token = None;
    })
    .await;
    scene.rejects("at-0", expired());
    scene.next([Fate::Lost, Fate::Lost, reply(200, r#"{"access_token":"at-1"}"#).into()]);
    assert_eq!(scene.call().await.status(), 200);
    let bodies = scene.network(|network| network.posts.clone());
    assert_eq!(bodies.len(), 3);
    let body = "grant_type=client_credentials&scope=jobs&client_id=app";
    assert!(bodies.iter().all(|sent| sent == body), "{bodies:?}");
    // A refusal is one, and can be reconsidered.
    scene.rejects("at-1", expired());
    scene.always(refused("access_denied"));
    assert_eq!(scene.call().await.login_reason(), LoginReason::Refused);
    scene.mended();
    scene.session.reconsider().await.unwrap();
    assert_eq!(scene.call().await.status(), 200);
}
