//! Logout and revocation.

use std::time::Duration;

use regrant::{Event, LoginReason};

use crate::scene::{SECOND, Scene, happened, tokens};

/// Whose server ends with a token that token alone, if the profile says so.
async fn revocable(profile: Option<&str>) -> Scene {
    Scene::with(|client, _| {
        client.revocation_endpoint = Some("https://as.example/revoke".into());
        client.profile = profile.map(str::to_owned);
    })
    .await
}

const TOKEN_ALONE: Option<&str> = Some(r#"{"name":"own","revokes":"token"}"#);

#[tokio::test(start_paused = true)]
async fn lo_01_revoke_on_logout_and_relogin() {
    for (first, both) in [(true, true), (false, false)] {
        let scene = revocable(None).await;
        scene.revocations(SECOND, [first]);
        let session = scene.session.clone();
        let logout = tokio::spawn(async move { session.log_out().await });
        scene.pass(SECOND / 2).await;
        // While the server is asked, the tombstone is there already.
        assert_eq!(scene.stored().await, (None, None));
        assert!(scene.record().await.is_logged_out());
        assert_eq!(logout.await.unwrap().unwrap().revoked, Some(both));
        assert_eq!(scene.revoked(), ["rt-0", "at-0"], "each on its own");
        assert_eq!(scene.call().await.login_reason(), LoginReason::LoggedOut);
        assert_eq!((scene.posts(), scene.requests()), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn lo_02_in_flight_refresh_resurrects() {
    let own = ["rt-0", "at-0"];
    let dropped = ["rt-1", "at-1"];
    for (profile, revoked) in [(TOKEN_ALONE, [own, dropped].concat()), (None, own.to_vec())] {
        let scene = revocable(profile).await;
        let mut events = scene.session.events();
        let call = scene.call_in_mid_refresh().await;
        scene.session.log_out().await.unwrap();
        assert_eq!(call.await.unwrap().login_reason(), LoginReason::LoggedOut);
        scene.pass(SECOND * 5).await;
        assert!(scene.record().await.is_logged_out());
        assert_eq!(scene.stored().await, (None, None));
        assert_eq!(scene.revoked(), revoked);
        let told = happened(&mut events).await;
        let said: Vec<_> = told
            .iter()
            .filter_map(|event| match event {
                Event::GrantDropped { revoked } => Some(*revoked),
                _ => None,
            })
            .collect();
        assert_eq!(said, [profile.is_some()]);
        assert!(!told.iter().any(|event| matches!(event, Event::Refreshed { .. })), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn lo_02_b_a_logout_in_another_process_is_not_undone() {
    let scene = revocable(TOKEN_ALONE).await;
    let other = scene.another();
    let call = scene.call_in_mid_refresh().await;
    other.session.log_out().await.unwrap();
    assert_eq!(call.await.unwrap().login_reason(), LoginReason::LoggedOut);
    scene.pass(SECOND * 5).await;
    assert!(scene.record().await.is_logged_out());
    assert_eq!(scene.revoked(), ["rt-0", "at-0", "rt-1", "at-1"]);
}

#[tokio::test(start_paused = true)]
async fn lo_02_c_a_late_result_of_the_old_login_leaves_the_new_one() {
    for by_another_process in [false, true] {
        let scene = revocable(TOKEN_ALONE).await;
        let other = scene.another();
        let call = scene.call_in_mid_refresh().await;
        let who = if by_another_process { &other } else { &scene };
        who.log_in("new", "rt-new").await;
        assert_eq!(call.await.unwrap().status(), 200);
        scene.pass(Duration::from_secs(10)).await;
        assert_eq!(scene.stored().await, tokens("new", "rt-new"));
        assert_eq!(scene.record().await.generation, 2);
        assert_eq!((scene.posts(), scene.tokens()), (1, vec!["at-0".into(), "new".into()]));
        assert_eq!(scene.revoked(), ["rt-1", "at-1"]);
    }
}
