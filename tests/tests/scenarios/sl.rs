//! Long sleep and offline.

use std::time::Duration;

use regrant::{AccessError, Cause, Event, LoginReason, StateKind, TimeSource as _};
use regrant_core::Refresh;

use crate::scene::{Fate, HOUR, SECOND, Scene, expired, happened, refused, reply, tokens};

/// No login was asked for, ever.
#[track_caller]
fn no_prompt(told: &[Event]) {
    let asked = told.iter().any(|event| matches!(event, Event::LoginNeeded { .. }));
    assert!(!asked, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn sl_01_wake_before_network() {
    let scene = Scene::new().await;
    let mut events = scene.session.events();
    scene.rejects("at-0", expired());
    scene.clocks.suspend(HOUR * 8);
    scene.always(Fate::Unsent(Cause::Unreachable));
    let woke = scene.elapsed();
    assert_eq!(scene.call().await.delayed(), Cause::Unreachable);
    assert_eq!(scene.stored().await, tokens("at-0", "rt-0"));
    let since = scene.elapsed() - woke;
    scene.pass((SECOND * 20).saturating_sub(since)).await;
    scene.mended();
    // Within the first cool-down, by itself.
    scene.pass(SECOND * 60).await;
    assert!(matches!(scene.status().await.state, Some(StateKind::Retrying)));
    assert_eq!(scene.call().await.status(), 200);
    no_prompt(&happened(&mut events).await);
}

/// A server that rotated when the first request came, and for half a minute gives the successor to
/// whoever sends the spent token again.
#[tokio::test(start_paused = true)]
async fn sl_01_b_an_answer_that_was_cut_after_the_rotation_is_fetched_within_the_grace() {
    // The tries are spread by dice, so once is not enough.
    for round in 0..20 {
        let scene = Scene::by_other_dice(round).await;
        let mut events = scene.session.events();
        scene.rejects("at-0", expired());
        let rotated = scene.elapsed();
        scene.next([Fate::Lost]);
        scene.always(Fate::Unsent(Cause::Unreachable));
        let call = scene.begin_call();
        scene.pass(SECOND * 20).await;
        scene.mended();
        let _ = call.await.unwrap();
        while scene.record().await.generation == 1 {
            scene.pass(SECOND / 10).await;
            let since = scene.elapsed() - rotated;
            assert!(since < SECOND * 30, "round {round}: the grace is over");
        }
        assert_eq!(scene.call().await.status(), 200);
        no_prompt(&happened(&mut events).await);
    }
}

#[tokio::test(start_paused = true)]
async fn sl_02_timer_missed_during_suspend() {
    for counted in [true, false] {
        let scene = Scene::new().await;
        scene.rejects("at-0", expired());
        assert_eq!(scene.posts(), 0);
        if counted {
            scene.clocks.suspend(HOUR * 8);
        } else {
            // A machine whose steady clock stops in a suspend.
            scene.clocks.step_wall(8 * 3_600_000);
        }
        assert_eq!(scene.call().await.status(), 200, "counted: {counted}");
        // One rejection may come before the clock is looked at, and no second one.
        let old = scene.tokens().iter().filter(|token| *token == "at-0").count();
        assert!(old <= 1, "{:?}", scene.tokens());
        assert_eq!(scene.posts(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn sl_02_b_at_the_next_look_at_the_clock_the_old_token_is_not_sent() {
    for counted in [true, false] {
        let scene = Scene::new().await;
        if counted {
            scene.clocks.suspend(HOUR * 8);
        } else {
            scene.clocks.step_wall(8 * 3_600_000);
        }
        scene.pass(SECOND * 30).await;
        assert_eq!(scene.call().await.status(), 200);
        assert_eq!((scene.posts(), scene.tokens()), (1, vec!["at-1".into()]), "{counted}");
    }
}

#[tokio::test(start_paused = true)]
async fn sl_03_offline_is_not_logged_out() {
    let mut scene = Scene::new().await;
    scene.session.close(HOUR).await.unwrap();
    scene.pass(HOUR * 2).await;
    scene.restart().await;
    let mut events = scene.session.events();
    scene.always(Fate::Unsent(Cause::Unreachable));
    let stored = scene.stored().await;
    // Whatever is tried without a network, the API knows the token for expired.
    scene.rejects("at-0", expired());
    assert_eq!(scene.call().await.delayed(), Cause::Unreachable);
    assert_ne!(scene.status().await.state, Some(StateKind::NeedsLogin));
    for _ in 0..12 {
        scene.pass(HOUR).await;
        assert_eq!(scene.call().await.delayed(), Cause::Unreachable);
        assert_ne!(scene.status().await.state, Some(StateKind::NeedsLogin));
        no_prompt(&happened(&mut events).await);
    }
    assert_eq!(scene.stored().await, stored);
    let offline = scene.posts();
    scene.mended();
    // The greatest cool-down.
    scene.pass(HOUR).await;
    assert_eq!((scene.call().await.status(), scene.posts()), (200, offline + 1));
    no_prompt(&happened(&mut events).await);
}

/// A login whose refresh token, says the server, ends after a month, and whose access token ends
/// when the API says so.
async fn for_a_month() -> Scene {
    Scene::with(|_, grant| {
        grant.expires_in = None;
        grant.refresh_expires_in = Some(MONTH);
    })
    .await
}

const MONTH: Duration = Duration::from_secs(30 * 86_400);

#[tokio::test(start_paused = true)]
async fn sl_04_refresh_token_lifetime() {
    for (code, reason) in [
        ("invalid_grant", LoginReason::Refused),
        ("refresh_token_expired", LoginReason::Refused),
        ("login_required", LoginReason::InteractionRequired),
    ] {
        let mut scene = for_a_month().await;
        let began = scene.clocks.wall();
        scene.session.close(HOUR).await.unwrap();
        scene.pass(MONTH * 2).await;
        scene.restart().await;
        let record = scene.status().await.record.unwrap();
        assert_eq!(record.refresh_expires_at, Some(began + MONTH), "what the server said of it");
        scene.rejects("at-0", expired());
        scene.always(refused(code));
        // That it ended by its own account is a hint: it is tried, and the server decides.
        let got = scene.call().await;
        let AccessError::NeedsLogin { reason: told, code: told_code, .. } = got.error() else {
            panic!("{got:?}")
        };
        assert_eq!((*told, told_code.as_deref()), (reason, Some(code)));
        for _ in 0..24 {
            scene.pass(HOUR).await;
            scene.restart().await;
            assert_eq!(scene.call().await.login_reason(), reason);
        }
        assert_eq!((scene.posts(), scene.requests()), (1, 1));
        // What it says does not send anybody after the wrong cause, here or after a restart.
        let refresh = scene.record().await.refresh;
        assert!(matches!(refresh, Refresh::Dead { code: Some(ref kept), .. } if kept == code));
    }
}

#[tokio::test(start_paused = true)]
async fn sl_04_b_a_known_window_is_kept_open_once_by_all_processes() {
    /// As many as fifty days have room for, and one more.
    const WINDOWS: usize = 5;
    let first = for_a_month().await;
    // Each grant is good for another month, and each refresh token for one use.
    first.next((1..=WINDOWS).map(|n| {
        let kept = format!(
            r#"{{"access_token":"kept-{n}","refresh_token":"rt-{n}","refresh_expires_in":2592000}}"#
        );
        reply(200, &kept)
    }));
    first.session.close(HOUR).await.unwrap();
    // Now and then two programs are open for a moment, and send nothing to the API.
    for _ in 0..100 {
        first.pass(HOUR * 12).await;
        let (one, other) = (first.another(), first.another());
        one.pass(SECOND).await;
        one.session.close(HOUR).await.unwrap();
        other.session.close(HOUR).await.unwrap();
    }
    let at = first.network(|network| network.posted_at.clone());
    // Once in half a month. No window has seen its end, and none was spent on a second request.
    assert_eq!(at.len(), 3, "{at:?}");
    assert_eq!(first.refresh_tokens(), ["rt-0", "rt-1", "rt-2"]);
    let mut began = Duration::ZERO;
    for at in at {
        let life = at - began;
        assert!(life > MONTH * 2 / 5 && life < MONTH * 3 / 5, "{life:?}");
        began = at;
    }
    // Somebody comes by after all that time.
    assert_eq!(first.another().call().await.status(), 200);
    assert_eq!(first.tokens(), ["kept-3"]);
    assert_eq!(first.requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn sl_04_c_a_refresh_token_that_lives_as_short_is_not_run_to_its_end() {
    let scene = Scene::with(|_, grant| grant.refresh_expires_in = grant.expires_in).await;
    scene.pass(HOUR * 11 / 20).await;
    assert_eq!(scene.posts(), 1);
    let at = scene.network(|network| network.posted_at[0]);
    assert!(at <= HOUR / 2 + SECOND, "{at:?}");
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!(scene.tokens(), ["at-1"]);
}

#[tokio::test(start_paused = true)]
async fn sl_04_d_an_end_that_does_not_slide_costs_a_few_requests() {
    let scene = Scene::with(|_, grant| {
        grant.expires_in = None;
        grant.refresh_expires_in = Some(HOUR * 12);
    })
    .await;
    // The refresh token stays, and nothing is said of its end.
    scene.always(reply(200, r#"{"access_token":"again"}"#));
    scene.pass(HOUR * 13).await;
    // After 6 h, and then at half of what is left each time, down to ten minutes.
    let posts = scene.posts();
    assert!((4..=8).contains(&posts), "{posts}");
    assert_eq!(scene.call().await.status(), 200, "the token is used until it is rejected");
    assert_eq!(scene.posts(), posts);
}
