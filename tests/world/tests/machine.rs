//! What the machine does, one sentence a test, in virtual time.
//!
//! The file is long because it is one list of sentences about one thing.

use std::time::Duration;

use regrant_core::{
    Access, Applied, Blocked, Cause, Client, Event, Failure, Input, LoginReason, Machine, Output,
    Policy, Record, Refresh, Rotation, StateKind, StoreFault, Strength, Timestamp, TokenId, Use,
    Verdict,
};
use regrant_world::{Answered, Hold, Kind, Server, World, origin};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn start(kind: Kind) -> (World, usize) {
    let mut w = World::new(kind);
    let p = w.start(Policy::default());
    (w, p)
}

fn with(rotation: Rotation) -> Policy {
    let mut policy = Policy::default();
    policy.rotation = rotation;
    policy
}

fn accepted(answered: &Answered) -> u64 {
    match answered {
        Answered::Accepted(id, _) => id.generation,
        other => panic!("not accepted: {other:?}"),
    }
}

fn reject_now(w: &mut World, p: usize) {
    w.server.expire();
    let (id, verdict) = w.send(p, &origin("x")).expect("a token");
    assert!(matches!(verdict, Verdict::Rejected(_)));
    w.report(p, &origin("x"), id, verdict);
}

#[test]
fn the_server_wins_over_the_local_clock() {
    let (mut w, p) = start(Kind::Strict);
    w.server.expire();
    assert_eq!(
        w.request(p, &origin("x")),
        Answered::Accepted(TokenId { slot: 0, generation: 2 }, 1)
    );
    assert_eq!(w.server.requests, 1);
    assert_eq!(w.sent.len(), 2);
    // Intent, grant, and the acceptance off the caller's path.
    assert_eq!(w.saves, 3);
    assert_eq!(w.stored().unwrap().state(), StateKind::Valid);
}

#[test]
fn the_story_of_a_rejection_is_told_state_by_state() {
    let (mut w, p) = start(Kind::Strict);
    w.server.expire();
    let _ = w.request(p, &origin("x"));
    let path: Vec<StateKind> = w
        .events(p)
        .iter()
        .filter_map(|event| match event {
            Event::StateChanged { to, .. } => Some(*to),
            _ => None,
        })
        .collect();
    let expected = [
        StateKind::Valid,
        StateKind::ServerRejected,
        StateKind::Refreshing,
        StateKind::Retrying,
        StateKind::Valid,
    ];
    assert_eq!(path, expected);
    let refreshed = |e: &&Event| matches!(e, Event::Refreshed { .. });
    assert_eq!(w.events(p).iter().filter(refreshed).count(), 1);
}

#[test]
fn a_rejection_refreshes_whatever_the_clock_reads() {
    for expires_in in [None, Some(1), Some(3_600), Some(u64::from(u32::MAX))] {
        for skew in [0_u64, 1, 1_000, u64::MAX / 2] {
            let mut w = World::empty(Kind::Strict);
            w.server.expires_in = expires_in;
            let mut login = w.new_login();
            login.obtained_at = Timestamp::from_millis(skew);
            w.restore(Record::login(&login, None));
            let p = w.start(Policy::default());
            w.server.expire();
            accepted(&w.request(p, &origin("x")));
            assert!(w.server.requests >= 1, "{expires_in:?} {skew}");
        }
    }
}

#[test]
fn a_clock_at_either_end_neither_panics_nor_spins() {
    for now in [Timestamp::EPOCH, Timestamp::from_millis(u64::MAX - 1), Timestamp::NEVER] {
        let mut machine = Machine::new(Policy::default(), [1; 32], now);
        for _ in 0..100 {
            match machine.poll_output() {
                Output::Timeout(_) => machine.handle_input(Input::TimePassed, now),
                Output::Act { .. } | Output::Event(_) | Output::Answered(_) | Output::Stopped => {}
            }
        }
    }
}

#[test]
fn many_rejections_of_one_token_cost_one_token_request() {
    let (mut w, p) = start(Kind::Strict);
    w.server.expire();
    let x = origin("x");
    let sent: Vec<_> = (0..64).filter_map(|_| w.send(p, &x)).collect();
    for (id, verdict) in sent {
        w.report(p, &x, id, verdict);
    }
    assert_eq!(w.server.requests, 1);
    assert_eq!(accepted(&w.request(p, &x)), 2);
}

#[test]
fn a_late_rejection_of_an_old_token_refreshes_nothing() {
    let (mut w, p) = start(Kind::Strict);
    let (old, _) = w.send(p, &origin("y")).unwrap();
    reject_now(&mut w, p);
    let told = w.events(p).len();
    w.report(p, &origin("y"), old, Verdict::Rejected(Strength::Strong));
    assert_eq!(w.events(p).len(), told, "nothing happened");
    w.pass(HOUR / 4);
    assert_eq!(w.server.requests, 1);
    assert_eq!(accepted(&w.request(p, &origin("y"))), 2);
}

#[test]
fn processes_that_wait_adopt_what_one_of_them_brought() {
    let mut w = World::new(Kind::Strict);
    let ps: Vec<usize> = (0..8).map(|_| w.start(Policy::default())).collect();
    w.server.expire();
    for p in &ps {
        if let Some((id, verdict)) = w.send(*p, &origin("x")) {
            w.report(*p, &origin("x"), id, verdict);
        }
    }
    for p in &ps {
        assert_eq!(accepted(&w.request(*p, &origin("x"))), 2);
    }
    assert_eq!((w.server.requests, w.server.reuse), (1, 0));
}

#[test]
fn a_refusal_is_the_end_until_a_login_and_costs_one_request_for_ever() {
    let (mut w, p) = start(Kind::Strict);
    w.server.kill();
    let x = origin("x");
    assert_eq!(w.request(p, &x), Answered::Login(LoginReason::Refused));
    assert_eq!(w.machine(p).view().code(), Some("invalid_grant"));
    for _ in 0..5 {
        assert_eq!(w.request(p, &x), Answered::Login(LoginReason::Refused));
        w.pass(3 * HOUR);
        w.restart(p, Policy::default());
    }
    assert_eq!((w.server.requests, w.sent.len()), (1, 1));
    let needed = |e: &&Event| matches!(e, Event::LoginNeeded { .. });
    assert_eq!(w.events(p).iter().filter(needed).count(), 6, "once in each process");

    // A login of another process ends it without a word to this one.
    let other = w.start(Policy::default());
    let login = w.new_login();
    w.tell(other, Input::LoggedIn(Box::new(login)));
    assert_eq!(w.answers(other), [Ok(())]);
    assert_eq!(accepted(&w.request(p, &x)), 2);
    assert_eq!(w.server.requests, 1);
}

#[test]
fn a_refused_token_is_forgotten_after_seven_days() {
    let (mut w, p) = start(Kind::Strict);
    w.server.kill();
    let _ = w.request(p, &origin("x"));
    assert!(w.stored().unwrap().refresh_token.is_some());
    w.pass(Duration::from_secs(8 * 86_400));
    w.tell(p, Input::OriginAllowed(origin("z")));
    assert!(w.stored().unwrap().refresh_token.is_none());
}

#[test]
fn a_wrong_refusal_can_be_reconsidered() {
    let (mut w, p) = start(Kind::Strict);
    w.server.refuse_all = true;
    w.server.expire();
    let x = origin("x");
    assert_eq!(w.request(p, &x), Answered::Login(LoginReason::Refused));
    w.server.refuse_all = false;
    w.tell(p, Input::Reconsider);
    assert_eq!(accepted(&w.request(p, &x)), 2);
    assert_eq!(w.server.requests, 2);
}

#[test]
fn two_refusals_of_the_server_and_one_answer_of_it_by_turns_need_no_login() {
    let (mut w, p) = start(Kind::Strict);
    w.server.fault = Some(Server::unavailable());
    reject_now(&mut w, p);
    assert_eq!(w.server.requests, 1);
    w.pass(Duration::from_millis(600));
    w.server.fault = None;
    assert_eq!(accepted(&w.request(p, &origin("x"))), 2);
}

#[test]
fn an_outage_never_asks_for_a_login_and_ends_by_itself() {
    let (mut w, p) = start(Kind::Strict);
    w.server.fault = Some(Server::unreachable());
    reject_now(&mut w, p);
    w.pass(MINUTE);
    let tries = w.server.requests;
    assert!((2..=6).contains(&tries), "{tries} tries in one attempt");
    assert!(matches!(w.request(p, &origin("x")), Answered::Blocked(Blocked::CoolDown(_))));
    w.pass(Duration::from_secs(30 * 86_400));
    assert_eq!(w.machine(p).state(), Some(StateKind::ServerRejected));
    // An attempt an hour, of six tries at most.
    assert!(w.server.requests < 30 * 24 * 7, "{} requests", w.server.requests);
    w.server.fault = None;
    w.pass(HOUR + MINUTE);
    assert_eq!(accepted(&w.request(p, &origin("x"))), 2);
}

#[test]
fn a_cool_down_is_shared_and_survives_a_restart() {
    let (mut w, p) = start(Kind::Strict);
    let limited = Failure {
        cause: Cause::RateLimited,
        applied: Applied::No,
        retry_after: Some(2 * MINUTE),
        code: None,
    };
    w.server.fault = Some(limited);
    reject_now(&mut w, p);
    w.server.fault = None;
    for _ in 0..20 {
        let other = w.start(Policy::default());
        let blocked = Answered::Blocked(Blocked::CoolDown(Cause::RateLimited));
        assert_eq!(w.request(other, &origin("x")), blocked);
        w.restart(p, Policy::default());
        w.pass(Duration::from_secs(5));
    }
    assert_eq!(w.server.requests, 1);
    w.pass(MINUTE);
    assert_eq!(accepted(&w.request(p, &origin("x"))), 2);
    assert_eq!(w.server.requests, 2);
}

#[test]
fn a_cool_down_of_another_clock_counts_from_now() {
    let mut w = World::new(Kind::Strict);
    let text = String::from_utf8(w.stored().unwrap().encode().to_vec()).unwrap();
    let far = text.replace(
        "\"refresh\":",
        "\"cool_down\":{\"until\":99999999999999,\"cause\":\"unavailable\",\"streak\":1},\"refresh\":",
    );
    w.restore(Record::decode(far.as_bytes()).unwrap());
    let p = w.start(Policy::default());
    reject_now(&mut w, p);
    w.pass(Duration::from_secs(86_401));
    assert_eq!(accepted(&w.request(p, &origin("x"))), 2);
}

#[test]
fn a_locally_expired_token_is_refreshed_before_it_is_sent() {
    let (mut w, p) = start(Kind::Strict);
    w.hold(p, Hold::Everything);
    w.pass(2 * HOUR);
    w.server.expire();
    w.unhold(p, Hold::Everything);
    assert_eq!(accepted(&w.request(p, &origin("x"))), 2);
    assert_eq!((w.server.requests, w.sent.len()), (1, 1));
}

#[test]
fn a_locally_expired_token_is_sent_when_no_better_one_can_be_had() {
    let (mut w, p) = start(Kind::Strict);
    w.server.fault = Some(Server::unreachable());
    w.pass(2 * HOUR);
    assert_eq!(accepted(&w.request(p, &origin("x"))), 1);
    assert!(matches!(w.machine(p).view().access(&origin("x")), Use::Token { stale: true, .. }));
}

#[test]
fn a_refresh_ahead_of_need_happens_between_one_and_two_leeways_before_the_expiry() {
    let (mut w, p) = start(Kind::Strict);
    w.pass(HOUR - 2 * MINUTE - Duration::from_secs(1));
    assert_eq!(w.server.requests, 0);
    w.pass(MINUTE + Duration::from_secs(1));
    assert_eq!(w.server.requests, 1);
    assert_eq!(w.machine(p).state(), Some(StateKind::Retrying));
}

#[test]
fn no_lifetime_makes_a_fresh_token_stale() {
    for seconds in [1, 2, 10, 300, 86_400, 30 * 86_400, 315_360_000] {
        let mut w = World::empty(Kind::Strict);
        w.server.expires_in = Some(seconds);
        let login = w.new_login();
        w.restore(Record::login(&login, None));
        let p = w.start(Policy::default());
        for _ in 0..100 {
            accepted(&w.request(p, &origin("x")));
        }
        assert_eq!(w.server.requests, 0, "a lifetime of {seconds} s");
    }
}

#[test]
fn an_outage_ahead_of_need_disturbs_nobody_and_costs_one_try() {
    let (mut w, p) = start(Kind::Strict);
    w.server.fault = Some(Server::unavailable());
    w.pass(HOUR - MINUTE - Duration::from_secs(1));
    assert_eq!(w.server.requests, 1);
    assert_eq!(w.machine(p).state(), Some(StateKind::Valid));
    assert_eq!(accepted(&w.request(p, &origin("x"))), 1);
    // The cool-down of a try ahead does not delay a refresh that a rejection calls for.
    w.server.fault = None;
    w.server.expire();
    assert_eq!(accepted(&w.request(p, &origin("x"))), 2);
}

#[test]
fn a_refusal_ahead_of_need_leaves_an_accepted_token_in_use() {
    let (mut w, p) = start(Kind::Strict);
    w.server.refuse_all = true;
    w.pass(HOUR - MINUTE);
    assert_eq!(w.server.requests, 1);
    assert_eq!(w.machine(p).state(), Some(StateKind::Valid));
    assert_eq!(accepted(&w.request(p, &origin("x"))), 1);
    w.server.expire();
    assert_eq!(w.request(p, &origin("x")), Answered::Login(LoginReason::Refused));
    assert_eq!(w.server.requests, 1);
}

#[test]
fn a_fleet_started_together_does_not_ask_together() {
    let mut seconds = std::collections::BTreeMap::new();
    for seed in 0..200_u8 {
        let mut w = World::new(Kind::Strict);
        for _ in 0..seed {
            let _ = w.new_login();
        }
        let _ = w.start(Policy::default());
        for second in 0..3_600_u64 {
            w.pass(Duration::from_secs(1));
            if w.server.requests > 0 {
                *seconds.entry(second).or_insert(0) += 1;
                break;
            }
        }
    }
    assert_eq!(seconds.values().sum::<i32>(), 200);
    assert!(seconds.values().all(|n| *n <= 10), "more than a twentieth in one second: {seconds:?}");
}

#[test]
fn an_api_that_flips_stays_within_the_budget() {
    let (mut w, p) = start(Kind::Strict);
    let x = origin("x");
    for round in 0..7_200_u32 {
        if round % 2 == 0 {
            w.server.expire();
        }
        let _ = w.request(p, &x);
        w.pass(Duration::from_secs(1));
    }
    let hours = w.now().since(Timestamp::from_millis(1_750_000_000_000)).as_secs() / 60;
    assert!(u64::from(w.server.requests) <= 30 + hours + 1, "{} in {hours} min", w.server.requests);
}

/// Token requests in an hour of four processes that all call an API which rejects every token.
fn rejected_everywhere(claims: Option<&str>) -> u32 {
    let mut w = World::new(Kind::Strict);
    let processes: Vec<_> = (0..4).map(|_| w.start(Policy::default())).collect();
    let x = origin("x");
    w.rejecting.insert(x.clone(), Strength::Strong);
    w.claims = claims.map(str::to_owned);
    for _ in 0..3_600 {
        let sent: Vec<_> = processes.iter().map(|p| (*p, w.send(*p, &x))).collect();
        for (p, answer) in sent {
            match answer {
                Some((id, verdict)) => w.report(p, &x, id, verdict),
                None => w.tell(p, Input::Wanted { origin: x.clone() }),
            }
        }
        w.pass(Duration::from_secs(1));
    }
    w.server.requests
}

#[test]
fn an_api_that_rejects_everything_costs_many_processes_no_more_than_one() {
    let requests = rejected_everywhere(None);
    assert!(requests <= 10, "{requests} token requests");
}

#[test]
fn claims_that_no_token_satisfies_cost_many_processes_no_more_than_one() {
    let requests = rejected_everywhere(Some("{}"));
    assert!(requests <= 12, "{requests} token requests");
}

#[test]
fn a_logout_that_cannot_be_saved_yet_keeps_nobody_busy() {
    let (mut w, p) = start(Kind::Strict);
    w.fail_saves(p, StoreFault::Full, false, false);
    w.tell(p, Input::LoggedOut);
    // It is tried again later; the world gives up on a machine that spins meanwhile.
    reject_now(&mut w, p);
    w.pass(MINUTE);
    assert_eq!((w.server.requests, w.stored().unwrap().is_logged_out()), (0, true));
}

#[test]
fn a_bare_401_of_one_origin_cools_down_for_an_hour() {
    let mut w = World::empty(Kind::Strict);
    w.server.expires_in = None;
    let login = w.new_login();
    w.restore(Record::login(&login, None));
    let p = w.start(Policy::default());
    let y = origin("y");
    w.rejecting.insert(y.clone(), Strength::Weak);
    assert!(matches!(w.request(p, &y), Answered::Rejected(_)));
    w.pass(HOUR - MINUTE);
    assert_eq!(w.request(p, &y), Answered::Blocked(Blocked::StillRejected));
    w.rejecting.clear();
    w.pass(2 * MINUTE);
    accepted(&w.request(p, &y));
}

#[test]
fn a_store_that_cannot_be_written_spends_no_token() {
    let (mut w, p) = start(Kind::Strict);
    for _ in 0..50 {
        w.fail_saves(p, StoreFault::ReadOnly, false, false);
    }
    reject_now(&mut w, p);
    let blocked = Answered::Blocked(Blocked::Store(StoreFault::ReadOnly));
    assert_eq!(w.request(p, &origin("x")), blocked);
    w.pass(MINUTE);
    assert_eq!(w.server.requests, 0);
    w.pass(HOUR);
    assert_eq!(accepted(&w.request(p, &origin("x"))), 2);
}

#[test]
fn a_grant_that_cannot_be_saved_is_used_said_and_saved_later() {
    let (mut w, p) = start(Kind::Strict);
    w.server.expire();
    let x = origin("x");
    w.hold(p, Hold::AfterServer);
    w.try_out(p, &x);
    for _ in 0..3 {
        w.fail_saves(p, StoreFault::Full, false, false);
    }
    w.unhold(p, Hold::AfterServer);
    assert_eq!(w.machine(p).view().unsaved(), Some(StoreFault::Full));
    assert_eq!(accepted(&w.request(p, &x)), 2);
    assert!(w.events(p).contains(&Event::NotSaved { fault: StoreFault::Full }));
    assert_eq!(w.stored().unwrap().generation, 1);
    // Nobody else redeems the spent token meanwhile: the lease is kept.
    let other = w.start(Policy::default());
    w.pass(MINUTE);
    assert_eq!(w.stored().unwrap().generation, 2);
    assert_eq!(accepted(&w.request(other, &x)), 2);
    assert_eq!((w.server.requests, w.server.reuse), (1, 0));
    assert!(w.events(p).iter().any(|e| matches!(e, Event::SavedAtLast { generation: 2 })));
}

#[test]
fn an_unsaved_token_that_is_rejected_is_blocked_by_the_store() {
    let (mut w, p) = start(Kind::Strict);
    let x = origin("x");
    w.hold(p, Hold::AfterServer);
    reject_now(&mut w, p);
    for _ in 0..100 {
        w.fail_saves(p, StoreFault::Full, false, false);
    }
    w.unhold(p, Hold::AfterServer);
    w.server.expire();
    let blocked = Answered::Blocked(Blocked::Store(StoreFault::Full));
    assert_eq!(w.request(p, &x), blocked);
    assert_eq!((w.server.requests, w.server.reuse), (1, 0));
}

#[test]
fn a_grant_whose_save_has_an_unknown_outcome_is_read_back() {
    for applied in [true, false] {
        let (mut w, p) = start(Kind::Strict);
        w.hold(p, Hold::AfterServer);
        reject_now(&mut w, p);
        w.fail_saves(p, StoreFault::Unavailable, applied, true);
        w.unhold(p, Hold::AfterServer);
        w.pass(MINUTE);
        assert_eq!(w.stored().unwrap().generation, 2, "applied: {applied}");
        assert!(w.stored_is_live());
        assert_eq!(accepted(&w.request(p, &origin("x"))), 2);
        assert_eq!(w.server.requests, 1);
    }
}

#[test]
fn a_lost_answer_is_replayed_once_at_once() {
    let (mut w, p) = start(Kind::GraceSame);
    w.hold(p, Hold::AfterServer);
    reject_now(&mut w, p);
    let from = w.now();
    w.lose_requests(p, &Server::reset());
    w.unhold(p, Hold::AfterServer);
    assert_eq!(accepted(&w.request(p, &origin("x"))), 2);
    assert_eq!((w.server.requests, w.now().since(from)), (2, Duration::ZERO));
    assert!(matches!(w.stored().unwrap().refresh, Refresh::Usable));
}

#[test]
fn a_refusal_in_doubt_is_a_lost_rotation() {
    let (mut w, p) = start(Kind::Strict);
    w.hold(p, Hold::AfterServer);
    reject_now(&mut w, p);
    w.lose_requests(p, &Server::reset());
    w.unhold(p, Hold::AfterServer);
    assert_eq!(w.request(p, &origin("x")), Answered::Login(LoginReason::RotationLost));
    w.pass(3 * HOUR);
    assert_eq!(w.server.requests, 2);
}

#[test]
fn without_a_grace_nothing_in_doubt_is_replayed_ahead_of_need() {
    let mut w = World::new(Kind::Strict);
    let p = w.start(with(Rotation::WithoutGrace));
    w.hold(p, Hold::AfterServer);
    w.pass(HOUR - MINUTE);
    w.lose_requests(p, &Server::reset());
    w.unhold(p, Hold::AfterServer);
    w.server.expire();
    w.accepting.push(origin("x"));
    w.pass(3 * HOUR);
    assert_eq!(w.server.requests, 1);
    // The token that is still accepted stays in use.
    assert_eq!(accepted(&w.request(p, &origin("x"))), 1);
    // A rejection asks once more.
    w.accepting.clear();
    assert_eq!(w.request(p, &origin("x")), Answered::Login(LoginReason::RotationLost));
    assert_eq!(w.server.requests, 2);
}

#[test]
fn a_misconfigured_client_keeps_everything_and_goes_on_once_it_is_mended() {
    let (mut w, p) = start(Kind::Strict);
    let wrong = Failure {
        cause: Cause::ClientMisconfigured,
        applied: Applied::No,
        retry_after: None,
        code: Some("invalid_client".into()),
    };
    w.server.fault = Some(wrong);
    reject_now(&mut w, p);
    let blocked = Answered::Blocked(Blocked::CoolDown(Cause::ClientMisconfigured));
    assert_eq!(w.request(p, &origin("x")), blocked);
    assert_eq!((w.server.requests, w.machine(p).view().code()), (1, Some("invalid_client")));
    w.server.fault = None;
    let client = Client::new("https://as.example/token", "mended");
    w.tell(p, Input::ConfigurationChanged(Box::new(client)));
    assert_eq!(accepted(&w.request(p, &origin("x"))), 2);
    assert_eq!(w.server.requests, 2);
}

#[test]
fn a_grant_for_somebody_else_is_not_taken() {
    let mut w = World::empty(Kind::Strict);
    w.server.subject = Some("ada".into());
    let login = w.new_login();
    w.restore(Record::login(&login, None));
    let p = w.start(Policy::default());
    w.server.subject = Some("eve".into());
    w.server.expire();
    assert_eq!(w.request(p, &origin("x")), Answered::Login(LoginReason::AccountMismatch));
    assert_eq!(w.stored().unwrap().generation, 1);
    assert_eq!(w.stored().unwrap().subject.as_deref(), Some("ada"));
}

#[test]
fn a_login_needs_no_lease_and_drops_the_older_attempt() {
    let (mut w, p) = start(Kind::Strict);
    w.hold(p, Hold::AfterServer);
    reject_now(&mut w, p);
    let login = w.new_login();
    w.tell(p, Input::LoggedIn(Box::new(login)));
    assert_eq!(w.answers(p), [Ok(())]);
    assert_eq!(w.machine(p).state(), Some(StateKind::Valid));
    w.unhold(p, Hold::AfterServer);
    let stored = w.stored().unwrap();
    assert_eq!((stored.generation, stored.access()), (2, Access::Trusted));
    assert_eq!(accepted(&w.request(p, &origin("x"))), 2);
}

#[test]
fn a_login_after_a_logout_has_a_higher_generation() {
    let (mut w, p) = start(Kind::Strict);
    w.tell(p, Input::LoggedOut);
    assert_eq!(w.server.revoked.len(), 2, "refresh token and access token");
    assert!(w.events(p).contains(&Event::LoggedOut { revoked: true }));
    assert_eq!(w.request(p, &origin("x")), Answered::Login(LoginReason::LoggedOut));
    let login = w.new_login();
    w.tell(p, Input::LoggedIn(Box::new(login)));
    assert_eq!(w.answers(p), [Ok(()), Ok(())]);
    assert_eq!(accepted(&w.request(p, &origin("x"))), 2);
}

#[test]
fn a_logout_elsewhere_is_seen_within_the_rereading_interval() {
    let mut w = World::new(Kind::Strict);
    let (p, other) = (w.start(Policy::default()), w.start(Policy::default()));
    w.tell(other, Input::LoggedOut);
    w.pass(Duration::from_secs(6));
    assert_eq!(w.request(p, &origin("x")), Answered::Login(LoginReason::LoggedOut));
    assert_eq!((w.server.requests, w.sent.len()), (0, 0));
}

#[test]
fn a_store_that_cannot_be_read_is_not_a_logout_and_recovers() {
    let mut w = World::new(Kind::Strict);
    let p = w.start(Policy::default());
    w.kill(p);
    w.fail_load(p, StoreFault::Locked);
    w.fail_load(p, StoreFault::Locked);
    w.restart(p, Policy::default());
    let blocked = Answered::Blocked(Blocked::Store(StoreFault::Locked));
    assert_eq!(w.request(p, &origin("x")), blocked);
    assert_eq!(accepted(&w.request(p, &origin("x"))), 1);
}

#[test]
fn a_login_takes_the_place_of_what_is_damaged() {
    let mut w = World::empty(Kind::Strict);
    let p = w.start(Policy::default());
    w.kill(p);
    w.fail_load(p, StoreFault::Corrupt);
    w.restart(p, Policy::default());
    w.fail_load(p, StoreFault::Corrupt);
    let login = w.new_login();
    w.tell(p, Input::LoggedIn(Box::new(login)));
    assert_eq!(w.answers(p), [Ok(())]);
    accepted(&w.request(p, &origin("x")));
}

#[test]
fn a_place_without_locks_works_with_one_warning() {
    let mut w = World::new(Kind::Strict);
    w.unlockable = true;
    let p = w.start(Policy::default());
    for _ in 0..3 {
        w.server.expire();
        accepted(&w.request(p, &origin("x")));
        w.pass(2 * MINUTE);
    }
    assert_eq!(w.server.requests, 3);
    assert_eq!(w.events(p).iter().filter(|e| **e == Event::Unlockable).count(), 1);
}

#[test]
fn an_origin_that_the_credential_is_not_bound_to_is_foreign() {
    let (mut w, p) = start(Kind::Strict);
    let z = origin("z");
    assert_eq!(w.request(p, &z), Answered::Foreign);
    let id = w.machine(p).view().token_id();
    w.report(p, &z, id, Verdict::Rejected(Strength::Strong));
    assert_eq!(w.machine(p).state(), Some(StateKind::Valid));
    w.tell(p, Input::OriginAllowed(z.clone()));
    assert_eq!(accepted(&w.request(p, &z)), 1);
    assert!(w.stored().unwrap().origins.contains(&z));
}

#[test]
fn a_token_without_a_refresh_token_asks_for_a_login_only_when_it_is_rejected() {
    let mut w = World::empty(Kind::Strict);
    let mut login = w.new_login();
    login.grant.refresh_token = None;
    w.restore(Record::login(&login, None));
    let p = w.start(Policy::default());
    w.pass(2 * HOUR);
    accepted(&w.request(p, &origin("x")));
    w.server.expire();
    assert_eq!(w.request(p, &origin("x")), Answered::Login(LoginReason::NoRefreshToken));
    assert_eq!(w.server.requests, 0);
    assert_eq!(w.stored().unwrap().state(), StateKind::NeedsLogin, "the rejection is durable");
}

#[test]
fn stopping_ends_what_is_under_way_and_begins_nothing() {
    let (mut w, p) = start(Kind::Strict);
    w.hold(p, Hold::AfterServer);
    reject_now(&mut w, p);
    w.tell(p, Input::Stop);
    assert!(!w.has_stopped(p));
    w.unhold(p, Hold::AfterServer);
    assert!(w.has_stopped(p));
    assert_eq!(w.stored().unwrap().generation, 2);
}

#[test]
fn a_stop_before_anything_was_sent_leaves_nothing_behind() {
    let (mut w, p) = start(Kind::Strict);
    w.hold(p, Hold::Saves);
    reject_now(&mut w, p);
    w.tell(p, Input::Stop);
    w.unhold(p, Hold::Saves);
    assert!(w.has_stopped(p));
    let stored = w.stored().unwrap();
    assert_eq!((stored.attempt.is_none(), stored.cool_down.is_none()), (true, true));
    assert_eq!(w.server.requests, 0);
    let q = w.start(Policy::default());
    assert_eq!(accepted(&w.request(q, &origin("x"))), 2);
}

#[test]
fn a_login_that_waits_keeps_the_old_token_from_being_spent() {
    let (mut w, p) = start(Kind::Strict);
    w.hold(p, Hold::Saves);
    reject_now(&mut w, p);
    let login = w.new_login();
    w.tell(p, Input::LoggedIn(Box::new(login)));
    w.unhold(p, Hold::Saves);
    assert_eq!(accepted(&w.request(p, &origin("x"))), 2);
    assert_eq!(w.server.requests, 0);
    assert!(w.stored().unwrap().cool_down.is_none());
}

#[test]
fn nonsense_from_the_host_is_ignored() {
    let (mut w, p) = start(Kind::Strict);
    for id in [0, 1, 7, u64::MAX] {
        let outcome = regrant_core::Outcome::Released;
        w.tell(p, Input::Done { id, outcome });
    }
    let id = TokenId { slot: 9, generation: u64::MAX };
    w.report(p, &origin("x"), id, Verdict::Rejected(Strength::Strong));
    w.report(p, &origin("x"), id, Verdict::Accepted);
    assert_eq!(w.machine(p).state(), Some(StateKind::Valid));
    accepted(&w.request(p, &origin("x")));
}

#[test]
fn a_process_that_was_stopped_before_it_sent_sends_nothing_past_its_deadline() {
    let (mut w, p) = start(Kind::Strict);
    w.hold(p, Hold::Saves);
    reject_now(&mut w, p);
    w.hold(p, Hold::Everything);
    w.pass(MINUTE);
    w.unhold(p, Hold::Saves);
    w.unhold(p, Hold::Everything);
    assert!(!w.events(p).iter().any(|event| matches!(event, Event::Asked { .. })));
    w.pass(2 * MINUTE);
    assert_eq!(accepted(&w.request(p, &origin("x"))), 2);
    assert_eq!((w.server.requests, w.server.reuse), (1, 0));
}

#[test]
fn in_doubt_there_is_one_send_per_cool_down() {
    let (mut w, p) = start(Kind::Strict);
    w.hold(p, Hold::BeforeServer);
    reject_now(&mut w, p);
    let asked =
        |w: &World| w.events(p).iter().filter(|event| matches!(event, Event::Asked { .. })).count();
    // The first attempt began with a usable token: the request, and one replay at once.
    w.lose_requests(p, &Server::reset());
    assert_eq!(asked(&w), 2);
    w.lose_requests(p, &Server::reset());
    assert_eq!(asked(&w), 2);
    // Each later one begins in doubt: one request.
    for n in 3..6 {
        let from = w.now();
        while asked(&w) < n && w.now().since(from) < 2 * HOUR {
            w.pass(Duration::from_secs(1));
        }
        assert_eq!(asked(&w), n);
        w.lose_requests(p, &Server::reset());
        w.pass(Duration::from_secs(30));
        assert_eq!(asked(&w), n);
    }
}

#[test]
fn a_refusal_of_a_token_that_was_replaced_meanwhile_marks_nothing_dead() {
    let mut w = World::new(Kind::Refuse);
    let (p0, p1) = (w.start(Policy::default()), w.start(Policy::default()));
    w.hold(p0, Hold::AfterServer);
    reject_now(&mut w, p0);
    w.lose_lease();
    w.hold(p1, Hold::AfterServer);
    let x = origin("x");
    w.try_out(p1, &x);
    w.pass(Duration::from_secs(3));
    assert_eq!(w.server.requests, 2, "both sent the same refresh token");
    // The grant is saved first; then the refusal arrives.
    w.unhold(p0, Hold::AfterServer);
    w.unhold(p1, Hold::AfterServer);
    assert!(w.stored_is_live());
    assert_eq!(w.stored().unwrap().refresh, Refresh::Usable);
    assert_eq!(accepted(&w.request(p1, &x)), 2);
    assert!(!w.events(p1).iter().any(|event| matches!(event, Event::LoginNeeded { .. })));
}

#[test]
fn an_origin_that_cools_down_is_sent_nothing_whatever_the_generation() {
    let (mut w, p) = start(Kind::Strict);
    let (x, y) = (origin("x"), origin("y"));
    w.rejecting.insert(y.clone(), Strength::Strong);
    assert!(matches!(w.request(p, &y), Answered::Rejected(_)));
    let to_y = |w: &World| w.sent.iter().filter(|(to, _)| *to == y).count();
    let before = to_y(&w);
    for _ in 0..4 {
        w.server.expire();
        accepted(&w.request(p, &x));
        assert_eq!(w.request(p, &y), Answered::Blocked(Blocked::StillRejected));
        w.restart(p, Policy::default());
        assert_eq!(w.request(p, &y), Answered::Blocked(Blocked::StillRejected));
        w.pass(Duration::from_secs(10));
    }
    assert_eq!(to_y(&w), before);
    // Afterwards the token of today is tried.
    w.rejecting.clear();
    w.pass(MINUTE);
    accepted(&w.request(p, &y));
}

#[test]
fn a_token_that_a_script_disowns_is_refreshed_and_no_origin_cools_down_for_it() {
    let (mut w, p) = start(Kind::Strict);
    for generation in 1..6 {
        let id = w.machine(p).view().token_id();
        assert_eq!(id.generation, generation);
        w.server.expire();
        w.tell(p, Input::Disowned { id, origin: origin("x") });
        // Said again of the old one, it changes nothing.
        w.tell(p, Input::Disowned { id, origin: origin("x") });
    }
    assert_eq!(w.server.requests, 5);
    w.server.expire();
    assert_eq!(accepted(&w.request(p, &origin("x"))), 7);
}

#[test]
fn the_lease_is_kept_until_the_grant_is_saved() {
    let mut w = World::new(Kind::Strict);
    let (p0, p1) = (w.start(Policy::default()), w.start(Policy::default()));
    let x = origin("x");
    w.hold(p0, Hold::AfterServer);
    reject_now(&mut w, p0);
    w.hold(p0, Hold::Saves);
    w.unhold(p0, Hold::AfterServer);
    // The grant is here, its save takes a while, and another process meets the same rejection.
    w.try_out(p1, &x);
    w.pass(Duration::from_secs(4));
    assert_eq!((w.server.requests, w.server.reuse), (1, 0));
    w.unhold(p0, Hold::Saves);
    assert_eq!(accepted(&w.request(p1, &x)), 2);
    assert_eq!((w.server.requests, w.server.reuse), (1, 0));
    assert!(w.stored_is_live());
}
