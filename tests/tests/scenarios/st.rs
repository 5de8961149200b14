//! Retries, storms, rate limits.

use std::time::Duration;

use regrant::{Cause, Event, LoginReason, StateKind, TimeSource as _, VirtualClocks};

use crate::scene::{DAY, Fate, HOUR, Reply, SECOND, Scene, expired, happened, refused, reply};

fn limited(retry_after: &str) -> Reply {
    reply(429, "").with("retry-after", retry_after)
}

#[tokio::test(start_paused = true)]
async fn st_01_429_cooldown_shared() {
    let mut scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene.next([limited("60")]);
    for run in 0..20 {
        scene.restart().await;
        assert_eq!(scene.call().await.delayed(), Cause::RateLimited);
        assert_eq!(scene.posts(), 1, "run {run}");
        scene.pass(Duration::from_millis(2_900)).await;
    }
    scene.pass(SECOND * 2).await;
    scene.restart().await;
    assert_eq!((scene.call().await.status(), scene.posts()), (200, 2));
}

#[tokio::test(start_paused = true)]
async fn st_01_b_absurd_waits_are_held_to_a_day_and_none_is_the_usual_one() {
    // A minute after the answer's own date.
    let date = ("date", "Sat, 15 Jun 2024 11:00:00 GMT");
    for (wait, most) in [
        ("315360000", DAY),
        ("-60", SECOND * 60),
        ("soon", SECOND * 60),
        ("0", SECOND * 60),
        ("Sat, 15 Jun 2024 11:10:00 GMT", SECOND * 600),
        ("Fri, 31 Dec 9999 23:59:59 GMT", DAY),
        ("Mon, 01 Jan 1990 00:00:00 GMT", SECOND * 60),
    ] {
        let scene = Scene::new().await;
        scene.rejects("at-0", expired());
        scene.always(limited(wait).with(date.0, date.1));
        let got = scene.call().await;
        assert_eq!(got.delayed(), Cause::RateLimited, "{wait}");
        let tried = scene.posts();
        scene.mended();
        let wait_until = got.error().retry_at().unwrap();
        let left = wait_until.since(scene.clocks.wall());
        assert!(left <= most, "{wait}: {left:?}");
        assert!(left > most.saturating_sub(SECOND * 20), "{wait}: {left:?}");
        scene.pass(left - SECOND).await;
        assert_eq!(scene.call().await.delayed(), Cause::RateLimited, "{wait}");
        assert_eq!(scene.posts(), tried, "{wait}");
        scene.pass(SECOND * 2).await;
        assert_eq!(scene.call().await.status(), 200, "{wait}");
    }
}

#[tokio::test(start_paused = true)]
async fn st_01_c_a_stamp_of_a_clock_that_was_years_ahead_ends_all_the_same() {
    let mut scene = Scene::new().await;
    scene.rejects("at-0", expired());
    let right = scene.clocks.wall();
    scene.restart_with(VirtualClocks::new(right + DAY * 3_650)).await;
    scene.next([limited("60")]);
    assert_eq!(scene.call().await.delayed(), Cause::RateLimited);
    assert_eq!(scene.posts(), 1);
    // The next one knows what time it is.
    scene.restart_with(VirtualClocks::new(right)).await;
    assert_eq!(scene.call().await.delayed(), Cause::RateLimited);
    scene.pass(DAY).await;
    assert_eq!((scene.call().await.status(), scene.posts()), (200, 2));
}

#[tokio::test(start_paused = true)]
async fn st_02_dead_token_storm() {
    const A_DAY_OF_CALLS: usize = 86_400;
    let mut scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene.always(refused("invalid_grant"));
    assert_eq!(scene.call().await.login_reason(), LoginReason::Refused);
    let mut warnings = 0;
    let mut events = scene.session.events();
    for call in 1..A_DAY_OF_CALLS {
        scene.pass(SECOND).await;
        assert_eq!(scene.call().await.login_reason(), LoginReason::Refused);
        if call % (A_DAY_OF_CALLS / 6) == 0 {
            warnings += happened(&mut events).await.len();
            scene.restart().await;
            events = scene.session.events();
        }
    }
    warnings += happened(&mut events).await.len();
    assert_eq!((scene.posts(), scene.tokens()), (1, vec!["at-0".into()]));
    // Each process says at its start how things stand, and nothing more.
    assert!(warnings <= 24, "{warnings}");
}

#[tokio::test(start_paused = true)]
async fn st_03_retry_amplification_and_hot_loop() {
    const OUTAGE: Duration = Duration::from_secs(600);
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene.always(reply(503, ""));
    let mut answered = 0;
    while scene.elapsed() < OUTAGE {
        for got in scene.calls(10).await {
            assert_eq!(got.delayed(), Cause::Unavailable);
            answered += 1;
        }
        scene.pass(SECOND).await;
    }
    assert!(answered > 1_000, "{answered}");
    // Attempts of six tries at most; after each a cool-down of 60, 120, 240 s, and the next
    // would end later than the outage.
    let posts = scene.posts();
    assert!((4..=4 * 6).contains(&posts), "{posts}");
    scene.mended();
    scene.pass(HOUR).await;
    assert_eq!(scene.status().await.state, Some(StateKind::Retrying));
    assert_eq!((scene.call().await.status(), scene.posts()), (200, posts + 1));
}

#[tokio::test(start_paused = true)]
async fn st_03_b_eight_hours_offline_cost_a_few_attempts_and_no_work_between() {
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene.always(Fate::Unsent(Cause::Unreachable));
    let mut events = scene.session.events();
    let loads = scene.shelf.loads();
    assert_eq!(scene.call().await.delayed(), Cause::Unreachable);
    scene.pass(HOUR * 8).await;
    let told = happened(&mut events).await;
    let attempts = told.iter().filter(|event| matches!(event, Event::Asked { attempt: 1, .. }));
    // At 0, 1, 3, 7, 15, 31 and 63 minutes, and then each hour.
    let attempts = attempts.count();
    assert!((12..=14).contains(&attempts), "{attempts}");
    // A look at the store every five seconds is all that goes on.
    let looks = scene.shelf.loads() - loads;
    assert!(looks <= 8 * 720 + 100, "{looks}");
    let gaps = scene.network(|network| {
        let pairs = network.posted_at.windows(2).map(|pair| pair[1] - pair[0]);
        pairs.max().unwrap()
    });
    assert!(gaps <= HOUR + SECOND * 20, "{gaps:?}");
    scene.mended();
    scene.pass(HOUR).await;
    assert_eq!(scene.call().await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn st_03_c_a_success_resets_the_backoff() {
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene.always(reply(503, ""));
    let first = wait(&scene).await;
    assert!(first <= SECOND * 60, "{first:?}");
    scene.pass(SECOND * 600).await;
    let later = wait(&scene).await;
    scene.mended();
    scene.pass(HOUR).await;
    assert_eq!(scene.call().await.status(), 200);
    let current: &'static str = scene.tokens().pop().unwrap().leak();
    scene.rejects(current, expired());
    scene.always(reply(503, ""));
    let again = wait(&scene).await;
    assert!(again <= SECOND * 60 && later > again, "{first:?} {later:?} {again:?}");
}

/// How long the authorization server is left alone now.
async fn wait(scene: &Scene) -> Duration {
    let got = scene.call().await;
    assert_eq!(got.delayed(), Cause::Unavailable);
    let cool_down = scene.record().await.cool_down.unwrap();
    assert_eq!(got.error().retry_at(), Some(cool_down.until));
    cool_down.until.since(scene.clocks.wall())
}

#[tokio::test(start_paused = true)]
async fn st_04_fleet_synchronised_refresh() {
    const INSTANCES: usize = 1_000;
    let lifetime = Duration::from_secs(600);
    let scene = Scene::with(|_, grant| grant.expires_in = Some(lifetime)).await;
    // Nobody refreshes before two leeways from the end. What is open before that only looks.
    scene.pass(lifetime * 3 / 4).await;
    let mut fleet = Vec::new();
    for _ in 0..INSTANCES {
        fleet.push(scene.copied().await);
    }
    scene.pass(lifetime / 4).await;
    let mut at = scene.network(|network| network.posted_at.clone());
    at.sort_unstable();
    assert_eq!(at.len(), INSTANCES + 1, "each once");
    let most = at.iter().map(|from| at.iter().filter(|at| **at >= *from && **at < *from + SECOND));
    let most = most.map(Iterator::count).max().unwrap();
    assert!(most <= INSTANCES / 20, "{most} in one second");
    // Between two leeways before the end and one, which are a tenth of the life at most.
    assert!(at[0] >= lifetime - lifetime / 5 && *at.last().unwrap() <= lifetime - lifetime / 10);
}

#[tokio::test(start_paused = true)]
async fn st_04_b_jitter_is_a_fraction_of_every_lifetime_and_none_where_it_is_urgent() {
    for seconds in [1, 2, 10, 59, 60, 300, 3_600, 14_400] {
        let lifetime = Duration::from_secs(seconds);
        let scene = Scene::with(|_, grant| grant.expires_in = Some(lifetime)).await;
        scene.pass(lifetime).await;
        let at = scene.network(|network| network.posted_at[0]);
        let leeway = (lifetime / 10).min(SECOND * 60);
        assert!(at > Duration::ZERO && at < lifetime, "{seconds}: {at:?}");
        // A timer of tokio ticks in milliseconds.
        let (first, last) = (lifetime - leeway * 2, lifetime - leeway + SECOND / 100);
        assert!((first..=last).contains(&at), "{seconds}: {at:?}");
    }
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    assert_eq!((scene.call().await.status(), scene.elapsed()), (200, Duration::ZERO));
}
