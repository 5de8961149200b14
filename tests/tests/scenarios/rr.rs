//! Rotation and reuse.

use std::time::Duration;

use regrant::{Event, LoginReason, StateKind};

use crate::scene::{DAY, Fate, HOUR, Scene, expired, granted, happened, refused, reply, tokens};

#[tokio::test(start_paused = true)]
async fn rr_01_rotated_token_not_persisted() {
    let mut scene = Scene::new().await;
    for cycle in 1..=3_usize {
        let old: &'static str = ["at-0", "at-1", "at-2"][cycle - 1];
        scene.rejects(old, expired());
        assert_eq!(scene.call().await.status(), 200);
        scene.restart().await;
        let issued = tokens(&format!("at-{cycle}"), &format!("rt-{cycle}"));
        assert_eq!(scene.stored().await, issued);
    }
    assert_eq!(scene.refresh_tokens(), ["rt-0", "rt-1", "rt-2"]);
}

#[tokio::test(start_paused = true)]
async fn rr_02_refresh_token_omitted() {
    for member in ["", r#","refresh_token":null"#, r#","refresh_token":"""#] {
        let scene = Scene::new().await;
        for access in ["at-0", "at-1"] {
            let next = if access == "at-0" { "at-1" } else { "at-2" };
            scene.next([reply(200, &format!(r#"{{"access_token":"{next}"{member}}}"#))]);
            scene.rejects(access, expired());
            assert_eq!(scene.call().await.status(), 200, "{member}");
            assert_eq!(scene.stored().await.1.as_deref(), Some("rt-0"), "{member}");
        }
        assert_eq!(scene.refresh_tokens(), ["rt-0", "rt-0"], "{member}");
    }
}

#[tokio::test(start_paused = true)]
async fn rr_03_response_lost_after_rotation() {
    // With a grace the replay brings a successor.
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene.next([Fate::Lost, granted("at-1", "rt-1").into()]);
    let asked = tokio::time::timeout(Duration::from_secs(5), scene.call());
    assert_eq!(asked.await.expect("within five seconds").status(), 200);
    assert_eq!(scene.refresh_tokens(), ["rt-0", "rt-0"]);

    // Without one the replay is refused, which is neither "expired" nor "revoked".
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene.next([Fate::Lost, refused("invalid_grant").into()]);
    let got = scene.call().await;
    assert_eq!(got.login_reason(), LoginReason::RotationLost);
    assert!(!got.error().to_string().contains("expired"));
    scene.pass(DAY).await;
    assert_eq!(scene.call().await.login_reason(), LoginReason::RotationLost);
    assert_eq!(scene.posts(), 2);
}

#[tokio::test(start_paused = true)]
async fn rr_03_b_ahead_of_need_nothing_is_replayed_where_it_kills() {
    let own = r#"{"name":"own","rotation":"without_grace"}"#;
    let scene = Scene::with(|client, _| client.profile = Some(own.into())).await;
    scene.next([Fate::Lost]);
    scene.pass(HOUR - Duration::from_secs(50)).await;
    assert_eq!(scene.posts(), 1);
    assert_eq!(scene.call().await.status(), 200);
    scene.pass(HOUR).await;
    assert_eq!((scene.call().await.status(), scene.posts()), (200, 1));
    // The rejection forces the one replay.
    scene.rejects("at-0", expired());
    assert_eq!((scene.call().await.status(), scene.posts()), (200, 2));
}

#[tokio::test(start_paused = true)]
async fn rr_04_reuse_detected_is_terminal() {
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene.always(refused("refresh_token_reused"));
    assert_eq!(scene.call().await.login_reason(), LoginReason::ReuseDetected);
    for _ in 0..24 {
        scene.pass(HOUR).await;
        assert_eq!(scene.call().await.login_reason(), LoginReason::ReuseDetected);
    }
    assert_eq!((scene.posts(), scene.requests()), (1, 1));
    scene.log_in("new", "rt-new").await;
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!((scene.posts(), scene.tokens()), (1, vec!["at-0".into(), "new".into()]));
}

#[tokio::test(start_paused = true)]
async fn rr_04_b_a_restored_backup_costs_one_request_and_a_login() {
    let mut scene = Scene::new().await;
    let backup = scene.record().await;
    scene.rejects("at-0", expired());
    assert_eq!(scene.call().await.status(), 200);
    // Nobody runs meanwhile who would know better.
    scene.session.close(HOUR).await.unwrap();
    scene.shelf.put_back("default", &backup).await;
    scene.always(refused("refresh_token_reused"));
    for _ in 0..24 {
        scene.restart().await;
        assert_eq!(scene.call().await.login_reason(), LoginReason::ReuseDetected);
        scene.pass(HOUR).await;
    }
    assert_eq!(scene.refresh_tokens(), ["rt-0", "rt-0"]);
    assert_eq!(scene.tokens(), ["at-0", "at-1", "at-0"]);
    scene.log_in("new", "rt-new").await;
    assert_eq!((scene.call().await.status(), scene.posts()), (200, 2));
}

#[tokio::test(start_paused = true)]
async fn rr_04_c_a_program_that_runs_knows_a_restored_backup_for_what_it_is() {
    let scene = Scene::new().await;
    let mut events = scene.session.events();
    let backup = scene.record().await;
    scene.rejects("at-0", expired());
    assert_eq!(scene.call().await.status(), 200);
    scene.shelf.put_back("default", &backup).await;
    scene.api(|token| if token == "at-2" { reply(200, "{}") } else { expired() });
    assert_eq!(scene.call().await.status(), 200);
    // The spent token is not sent again, and the store has what is good.
    assert_eq!(scene.refresh_tokens(), ["rt-0", "rt-1"]);
    assert_eq!(scene.tokens(), ["at-0", "at-1", "at-1", "at-2"]);
    assert_eq!(scene.stored().await, tokens("at-2", "rt-2"));
    let told = happened(&mut events).await;
    assert!(told.iter().any(|event| matches!(event, Event::StoreRolledBack { .. })), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn rr_05_needless_or_early_refresh() {
    let mut scene = Scene::new().await;
    for _ in 0..20 {
        scene.restart().await;
        assert_eq!(scene.call().await.status(), 200);
    }
    assert_eq!(scene.posts(), 0);
}

#[tokio::test(start_paused = true)]
async fn rr_05_b_not_valid_yet_keeps_the_token_and_waits() {
    let own = r#"{"name":"own","token":{"rules":[{"name":"early","class":"Transient","when":
        {"json":[{"path":"/error_description","contains":"not valid yet"}]}}]}}"#;
    let scene = Scene::with(|client, _| client.profile = Some(own.into())).await;
    let early = r#"{"error":"invalid_grant","error_description":"refresh token not valid yet"}"#;
    scene.always(reply(400, early).with("retry-after", "120"));
    scene.pass(HOUR - Duration::from_secs(50)).await;
    assert_eq!((scene.posts(), scene.call().await.status()), (1, 200));
    assert_eq!(scene.status().await.state, Some(StateKind::Valid));
    scene.mended();
    scene.pass(Duration::from_secs(240)).await;
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!(scene.stored().await.1.as_deref(), Some("rt-2"));
}
