//! Concurrency across processes and hosts, where virtual time shows it. What takes real processes
//! is in `tests/processes` and in the tests of the command.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use regrant::{
    AccessError, Event, Holder, LoginReason, Origin, RefreshLease, StoreError, StoreFault,
    Timestamp,
};
use regrant_core::{Access, Refresh};
use regrant_storage::{HeldLease, Tried};
use regrant_tests::NoLocks;

use crate::scene::{Fate, HOUR, SECOND, Scene, expired, granted, happened, refused, reply, tokens};

/// While servers accept the token, an open session looks at the store every five seconds.
const LOOK: Duration = Duration::from_millis(5_100);

#[tokio::test(start_paused = true)]
async fn cx_02_adopt_newer_generation() {
    let scene = Scene::new().await;
    let other = scene.another();
    scene.rejects("at-0", expired());
    assert_eq!(other.call().await.status(), 200);
    assert_eq!(scene.refresh_tokens(), ["rt-0"]);
    // This one holds the spent token, and does not send it.
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!(scene.tokens(), ["at-0", "at-1", "at-0", "at-1"]);
    assert_eq!(scene.refresh_tokens(), ["rt-0"]);
}

#[tokio::test(start_paused = true)]
async fn cx_02_b_a_login_elsewhere_is_taken_over_without_a_restart() {
    for rejected in [true, false] {
        let scene = Scene::new().await;
        let other = scene.another();
        assert_eq!(scene.call().await.status(), 200);
        other.log_in("new", "rt-new").await;
        if rejected {
            scene.rejects("at-0", expired());
        } else {
            scene.pass(LOOK).await;
        }
        assert_eq!(scene.call().await.status(), 200);
        assert_eq!(scene.tokens().last().unwrap(), "new");
        assert_eq!(scene.posts(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn cx_02_c_a_logout_elsewhere_is_noticed() {
    for rejected in [true, false] {
        let scene = Scene::new().await;
        let other = scene.another();
        assert_eq!(scene.call().await.status(), 200);
        let saves = scene.shelf.saves();
        other.session.log_out().await.unwrap();
        if rejected {
            scene.rejects("at-0", expired());
        } else {
            scene.pass(LOOK).await;
        }
        assert_eq!(scene.call().await.login_reason(), LoginReason::LoggedOut);
        assert_eq!((scene.posts(), scene.shelf.saves()), (0, saves), "rejected: {rejected}");
    }
}

#[tokio::test(start_paused = true)]
async fn cx_03_destructive_clear_by_loser() {
    let scene = Scene::new().await;
    let other = scene.another();
    scene.rejects("at-0", expired());
    scene.next([Fate::After(SECOND, refused("invalid_grant"))]);
    let call = scene.begin_call();
    scene.pass(SECOND / 2).await;
    other.log_in("at-w", "rt-w").await;
    let won = scene.record().await;
    assert_eq!(call.await.unwrap().status(), 200);
    scene.pass(SECOND * 10).await;
    let record = scene.record().await;
    assert_eq!(scene.stored().await, tokens("at-w", "rt-w"));
    assert_eq!(record.generation, won.generation);
    assert_eq!((&record.refresh, record.access()), (&Refresh::Usable, Access::Trusted));
    assert_eq!((scene.call().await.status(), scene.refresh_tokens()), (200, vec!["rt-0".into()]));
    assert_eq!(scene.tokens(), ["at-0", "at-w", "at-w"]);
}

#[tokio::test(start_paused = true)]
async fn cx_03_b_a_dead_login_leaves_a_tombstone_with_its_reason() {
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    scene.always(refused("invalid_grant"));
    assert_eq!(scene.call().await.login_reason(), LoginReason::Refused);
    let record = scene.record().await;
    let Refresh::Dead { reason, code, at } = &record.refresh else { panic!("{record:?}") };
    assert_eq!((*reason, code.as_deref()), (LoginReason::Refused, Some("invalid_grant")));
    assert!(*at > Timestamp::EPOCH);
    assert_eq!(record.generation, 1);
    // What was refused is kept for a week: an authorization server can be wrong.
    assert_eq!(scene.stored().await, tokens("at-0", "rt-0"));
}

/// A lease that runs out after five seconds unless it is renewed, as a row in a database does.
/// Whoever takes it over learns nothing about whom it was taken from.
#[derive(Debug, Default)]
struct RunsOut {
    clock: Arc<AtomicU64>,
    until: Arc<AtomicU64>,
}

const TERM: Duration = Duration::from_secs(5);

#[derive(Debug)]
struct HeldForATerm(RunsOut, u64);

impl RunsOut {
    fn again(&self) -> Self {
        Self { clock: Arc::clone(&self.clock), until: Arc::clone(&self.until) }
    }
}

#[async_trait]
impl RefreshLease for RunsOut {
    async fn try_acquire(&self, _: &str, now: Timestamp) -> Result<Tried, StoreError> {
        self.clock.store(now.as_millis(), Ordering::SeqCst);
        if self.until.load(Ordering::SeqCst) > now.as_millis() {
            return Ok(Tried::Busy(Holder::default()));
        }
        let until = (now + TERM).as_millis();
        self.until.store(until, Ordering::SeqCst);
        Ok(Tried::Held(Box::new(HeldForATerm(self.again(), until))))
    }

    fn proves_death(&self) -> bool {
        false
    }
}

#[async_trait]
impl HeldLease for HeldForATerm {
    async fn renew(&mut self) -> Result<(), StoreError> {
        // Only one's own.
        let longer = self.1 + TERM.as_secs() * 1_000;
        match self.0.until.compare_exchange(self.1, longer, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => {
                self.1 = longer;
                Ok(())
            }
            Err(_) => Err(StoreError::new(StoreFault::Unavailable, "it is another's by now")),
        }
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        let _ = self.0.until.compare_exchange(self.1, 0, Ordering::SeqCst, Ordering::SeqCst);
        Ok(())
    }

    fn time_left(&self) -> Option<Duration> {
        let left = self.1.saturating_sub(self.0.clock.load(Ordering::SeqCst));
        Some(Duration::from_millis(left))
    }
}

#[tokio::test(start_paused = true)]
async fn cx_04_b_a_request_of_three_terms_is_the_only_one_under_way() {
    let scene = Scene::at(Arc::new(RunsOut::default()), |_, _| {}).await;
    let other = scene.another();
    scene.rejects("at-0", expired());
    scene.next([Fate::After(TERM * 3, granted("at-1", "rt-1"))]);
    let (one, two) = tokio::join!(scene.calls(5), other.calls(5));
    assert!(one.iter().chain(&two).all(|got| got.status() == 200));
    let (posts, at_once) = scene.network(|network| (network.posts.len(), network.most_at_once));
    assert_eq!((posts, at_once), (1, 1));
    assert!(scene.elapsed() >= TERM * 3);
}

#[tokio::test(start_paused = true)]
async fn cx_05_cannot_get_lock() {
    let scene = Scene::new().await;
    scene.rejects("at-0", expired());
    let Tried::Held(held) = scene.lease.try_acquire("default", Timestamp::EPOCH).await.unwrap()
    else {
        panic!("nobody has it")
    };
    let call = tokio::time::timeout(SECOND * 60, scene.call());
    let got = call.await.expect("the caller's patience is shorter than that");
    assert!(matches!(got.error(), AccessError::Busy { .. }), "{got:?}");
    assert_eq!((scene.posts(), scene.elapsed()), (0, SECOND * 30));
    held.release().await.unwrap();
    assert_eq!((scene.call().await.status(), scene.posts()), (200, 1));
}

#[tokio::test(start_paused = true)]
async fn cx_05_b_what_the_peer_brought_is_the_answer() {
    let scene = Scene::new().await;
    let peer = scene.another();
    scene.rejects("at-0", expired());
    scene.next([Fate::After(SECOND * 10, granted("at-1", "rt-1"))]);
    let peers = peer.begin_call();
    scene.pass(SECOND).await;
    assert_eq!(scene.call().await.status(), 200);
    assert_eq!((scene.posts(), &*scene.tokens()[2]), (1, "at-1"));
    assert!(scene.elapsed() < SECOND * 11, "{:?}", scene.elapsed());
    assert_eq!(peers.await.unwrap().status(), 200);
}

#[tokio::test(start_paused = true)]
async fn cx_05_c_where_nothing_can_be_locked_one_process_works_and_says_so_once() {
    let scene = Scene::at(Arc::new(NoLocks), |_, _| {}).await;
    let mut events = scene.session.events();
    for (round, old) in ["at-0", "at-1", "at-2"].into_iter().enumerate() {
        scene.rejects(old, expired());
        assert_eq!(scene.call().await.status(), 200);
        assert_eq!(scene.posts(), round + 1);
    }
    let told = happened(&mut events).await;
    let warned = told.iter().filter(|event| matches!(event, Event::Unlockable)).count();
    assert_eq!(warned, 1, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn cx_05_d_a_dead_neighbour_with_a_stalled_server_holds_nobody_up() {
    let dead = Scene::new().await;
    dead.rejects("at-0", expired());
    dead.always(Fate::Silent(Duration::from_secs(600)));
    let good = dead.account("good").await;
    let stalled = dead.begin_call();
    dead.pass(SECOND).await;
    assert_eq!(dead.posts(), 1);
    let before = good.elapsed();
    // Eight starts, each of which finds the store as it is.
    let mut programs = Vec::new();
    for _ in 0..8 {
        programs.push(good.another());
    }
    for program in &programs {
        assert_eq!(program.call().await.status(), 200);
    }
    assert_eq!((good.posts(), good.elapsed()), (0, before));
    assert!(!stalled.is_finished());
    stalled.abort();
}

/// Whatever code the server has for a refresh token that the other one has spent.
#[tokio::test(start_paused = true)]
async fn cx_06_credential_copied_to_another_host() {
    for code in ["invalid_grant", "refresh_token_reused"] {
        let scene = Scene::new().await;
        let mut copy = scene.copied().await;
        let mut events = copy.session.events();
        scene.rejects("at-0", expired());
        assert_eq!(scene.call().await.status(), 200);
        scene.next([refused(code)]);
        assert_eq!(copy.call().await.login_reason(), LoginReason::LineageForked, "{code}");
        let told = happened(&mut events).await;
        let reasons = told.iter().filter_map(|event| match event {
            Event::LoginNeeded { reason, .. } => Some(*reason),
            _ => None,
        });
        assert_eq!(reasons.collect::<Vec<_>>(), [LoginReason::LineageForked], "it is said once");
        // It knows that after a restart, too, and tries nothing more.
        for _ in 0..24 {
            copy.pass(HOUR).await;
            assert_eq!(copy.call().await.login_reason(), LoginReason::LineageForked);
            copy.restart().await;
        }
        assert_eq!(scene.refresh_tokens()[..2], ["rt-0", "rt-0"], "one of each");
        // Nothing was wiped: not the copy, and on the other side all goes on.
        assert_eq!(copy.stored().await, tokens("at-0", "rt-0"));
        assert_eq!(scene.call().await.status(), 200);
        let spent = scene.refresh_tokens().into_iter().filter(|token| token == "rt-0").count();
        assert_eq!((spent, scene.record().await.generation > 1), (2, true), "{code}");
        // A login of its own ends it, and touches the other side as little.
        let others = scene.stored().await;
        copy.log_in("own", "rt-own").await;
        assert_eq!(copy.call().await.status(), 200);
        assert_eq!((scene.stored().await, copy.tokens().pop().unwrap()), (others, "own".into()));
    }
}

#[tokio::test(start_paused = true)]
async fn cx_06_b_a_credential_that_was_moved_and_renewed_is_no_copy() {
    let scene = Scene::new().await;
    scene.session.close(HOUR).await.unwrap();
    let moved = scene.copied().await;
    moved.rejects("at-0", expired());
    assert_eq!(moved.call().await.status(), 200);
    assert_eq!(moved.record().await.written_by.as_deref(), Some("there"));
    // What is refused now was granted here.
    moved.rejects("at-1", expired());
    moved.next([refused("invalid_grant")]);
    assert_eq!(moved.call().await.login_reason(), LoginReason::Refused);
    assert_eq!(moved.refresh_tokens(), ["rt-0", "rt-1"]);
}

#[tokio::test(start_paused = true)]
async fn cx_07_b_a_rotated_token_survives_saves_that_meet_others() {
    let scene = Scene::new().await;
    // The intent is saved by now; the next save is that of the grant.
    let call = scene.call_in_mid_refresh().await;
    assert_eq!(scene.posts(), 1);
    scene.shelf.contend(3);
    assert_eq!(call.await.unwrap().status(), 200);
    scene.pass(SECOND).await;
    assert_eq!((scene.stored().await, scene.posts()), (tokens("at-1", "rt-1"), 1));
    let record = scene.record().await;
    let others = (1..=3).map(|n| Origin::parse(&format!("https://api-{n}.example")).unwrap());
    assert!(others.into_iter().all(|origin| record.origins.contains(&origin)), "{record:?}");
    assert!(record.attempt.is_none());
}

#[tokio::test(start_paused = true)]
async fn cx_08_profile_or_account_collision() {
    let scene = Scene::new().await;
    let other = scene.account("other").await;
    let kept = serde_json::to_vec(&other.record().await).unwrap();
    scene.rejects("at-0", expired());
    for _ in 0..3 {
        assert_eq!(scene.call().await.status(), 200);
        let current = scene.tokens().pop().unwrap();
        scene.rejects(current.leak(), expired());
    }
    assert_eq!(scene.posts(), 3);
    assert_eq!(serde_json::to_vec(&other.record().await).unwrap(), kept);
    assert_eq!(other.posts(), 0);
}

#[tokio::test(start_paused = true)]
async fn cx_08_b_a_token_for_somebody_else_is_handed_to_nobody() {
    let scene = Scene::with(|client, grant| {
        client.profile = Some(r#"{"name":"own","revokes":"token"}"#.into());
        client.revocation_endpoint = Some("https://as.example/revoke".into());
        grant.subject = Some("ada".into());
    })
    .await;
    scene.rejects("at-0", expired());
    let body = r#"{"access_token":"bobs","refresh_token":"rt-bobs","sub":"bob"}"#;
    scene.next([reply(200, body)]);
    assert_eq!(scene.call().await.login_reason(), LoginReason::AccountMismatch);
    scene.pass(SECOND).await;
    assert_eq!(scene.stored().await, tokens("at-0", "rt-0"));
    assert_eq!(scene.record().await.subject.as_deref(), Some("ada"));
    assert!(matches!(scene.record().await.refresh, Refresh::Dead { .. }));
    assert_eq!(scene.revoked(), ["rt-bobs", "bobs"]);
    scene.pass(HOUR).await;
    assert_eq!(scene.call().await.login_reason(), LoginReason::AccountMismatch);
    assert_eq!((scene.posts(), scene.tokens()), (1, vec!["at-0".into()]));
}
