//! Clocks: wrong ones, stepped ones, and the arithmetic of expiry.

use std::time::Duration;

use regrant::StateKind;

use crate::scene::{DAY, HOUR, SECOND, Scene, expired, reply};

#[tokio::test(start_paused = true)]
async fn ck_01_wrong_or_stepped_wall_clock() {
    let scene = Scene::new().await;
    let day = 86_400_000;
    let steps = [-3 * day, 2 * 3_600_000, 30 * day, -30 * day, 30 * day, -60 * day];
    for (at, step) in steps.into_iter().enumerate() {
        let before = scene.posts();
        scene.clocks.step_wall(step);
        for _ in 0..10 {
            assert_eq!(scene.call().await.status(), 200, "step {at}");
            scene.pass(Duration::from_secs(1)).await;
        }
        assert!(scene.posts() <= before + 1, "step {at}");
        // The next step is not taken for the last one's echo.
        scene.pass(Duration::from_secs(40)).await;
    }
    assert!(scene.stored().await.1.is_some());
}

#[tokio::test(start_paused = true)]
async fn ck_02_leeway_sign_size_and_in_flight() {
    // A leeway as long as the lifetime: no token is stale when it comes.
    let scene = Scene::with(|_, grant| grant.expires_in = Some(Duration::from_secs(300))).await;
    for _ in 0..100 {
        assert_eq!(scene.call().await.status(), 200);
    }
    assert_eq!(scene.posts(), 0);
    // A caller that waits before it tries again, and meanwhile the token ends, sends the new one.
    scene.pass(SECOND * 235).await;
    scene.rejects("at-0", reply(503, ""));
    assert_eq!((scene.call().await.status(), scene.posts()), (503, 0));
    scene.pass(SECOND * 70).await;
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!((scene.posts(), &scene.tokens()[100..]), (1, &["at-0".into(), "at-1".into()][..]));
}

#[tokio::test(start_paused = true)]
async fn ck_03_expiry_arithmetic() {
    for lifetime in ["2592000", "315360000", "18446744073709551615", "1e300", "-1e300"] {
        let scene = Scene::new().await;
        let body =
            format!(r#"{{"access_token":"at-1","refresh_token":"rt-1","expires_in":{lifetime}}}"#);
        scene.next([reply(200, &body)]);
        scene.rejects("at-0", expired());
        assert_eq!(scene.call().await.status(), 200, "{lifetime}");
        scene.pass(DAY).await;
        assert_eq!(scene.call().await.status(), 200, "{lifetime}");
        assert_eq!(scene.posts(), 1, "{lifetime}");
    }
}

#[tokio::test(start_paused = true)]
async fn ck_03_b_a_moment_of_thirteen_digits_is_in_milliseconds() {
    let scene = Scene::new().await;
    // Half an hour after the answer's own date, by a server whose clock is a year behind.
    let body = r#"{"access_token":"at-1","refresh_token":"rt-1","expires_at":1718451000000}"#;
    scene.next([reply(200, body).with("date", "Sat, 15 Jun 2024 11:00:00 GMT")]);
    scene.rejects("at-0", expired());
    assert_eq!(scene.call().await.status(), 200);
    let record = scene.record().await;
    assert_eq!(record.slot().unwrap().lifetime_ms, Some(1_800_000));
    scene.pass(HOUR).await;
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!(scene.status().await.state, Some(StateKind::Valid));
}
