//! Schedules that broke the machine once, found in a review. Each stays a test.

#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

use std::time::Duration;

use regrant_core::{
    Access, Action, Answer, Applied, Cause, CoolDown, Event, Failure, Id, Input, Intent,
    LoginReason, Machine, Mark, Outcome, Output, Policy, Record, Refresh, Rotation, Secret,
    StoreFault, Stored, Strength, Timestamp, Version,
};
use regrant_world::{Answered, Hold, Kind, Server, World, origin};

/// Seconds.
fn s(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// Whether the API answered.
fn good(a: &Answered) -> bool {
    matches!(a, Answered::Accepted(..))
}

/// X rejects the record's token.
fn rejection(record: &Record) -> Input {
    let (id, strength) = (record.token_id(), Strength::Strong);
    Input::Rejected { id, origin: origin("x"), strength, claims: None }
}

/// Somebody who is logged in, with something in the stored record that a wrong clock has written.
fn by_a_wrong_clock(change: impl FnOnce(&mut Record, Timestamp)) -> (World, usize) {
    let mut w = World::new(Kind::NoRotation);
    let mut record = w.stored().unwrap().clone();
    change(&mut record, w.now());
    w.restore(record);
    let p = w.start(Policy::default());
    (w, p)
}

/// The answer of X to a request an hour, as soon as there is one, and for so many hours at most.
fn answered_within(w: &mut World, p: usize, hours: u32) -> Answered {
    let mut last = w.request(p, &origin("x"));
    for _ in 0..hours {
        if good(&last) {
            break;
        }
        w.pass(s(3600));
        last = w.request(p, &origin("x"));
    }
    last
}

#[test]
fn bucket_of_a_wrong_clock_fills_again() {
    let (mut w, p) = by_a_wrong_clock(|record, now| {
        record.budget.full_at = now + s(365 * 86_400);
    });
    w.server.expire();
    let last = answered_within(&mut w, p, 48);
    assert!(good(&last), "{last:?}");
}

#[test]
fn cool_down_of_a_wrong_clock_ends() {
    let (mut w, p) = by_a_wrong_clock(|record, now| {
        record.cool_down = Some(CoolDown {
            until: now + s(365 * 86_400),
            cause: Cause::Unavailable,
            code: None,
            streak: 1,
            ahead_only: false,
        });
        record.slots.get_mut(&0).unwrap().access = Access::Rejected;
    });
    w.server.expire();
    let last = answered_within(&mut w, p, 72);
    assert!(good(&last), "{last:?}");
}

#[test]
fn intent_of_a_wrong_clock_is_taken_over() {
    let (mut w, p) = by_a_wrong_clock(|record, now| {
        let at = now + s(86_400 * 30);
        record.attempt = Some(Intent {
            nonce: Id([9; 16]),
            owner: Id([8; 16]),
            at,
            deadline: at + s(25),
            raised: false,
        });
        record.slots.get_mut(&0).unwrap().access = Access::Rejected;
    });
    w.pass(s(3600));
    let last = w.request(p, &origin("x"));
    assert!(good(&last), "{last:?}");
}

#[test]
fn mark_of_a_wrong_clock_ends() {
    let (mut w, p) = by_a_wrong_clock(|record, now| {
        record.slots.get_mut(&0).unwrap().lifetime_ms = None;
        record.marks.push(Mark {
            origin: origin("y"),
            rejected: record.token_id(),
            until: now + s(86_400 * 365),
            streak: 1,
            still: false,
            weak: false,
        });
    });
    w.pass(s(7300));
    let last = w.request(p, &origin("y"));
    assert!(good(&last), "{last:?}");
}

#[test]
fn logout_unknown_applied_revokes() {
    let mut w = World::new(Kind::Strict);
    let p = w.start(Policy::default());
    w.fail_saves(p, StoreFault::Unavailable, true, true);
    w.tell(p, Input::LoggedOut);
    w.pass(s(30));
    assert!(w.stored().unwrap().is_logged_out());
    assert_eq!(w.answers(p), vec![Ok(())]);
    assert_eq!(w.server.revoked.len(), 2, "{:?} {:?}", w.server.revoked, w.events(p));
}

#[test]
fn reconsider_while_valid_is_spent() {
    let mut w = World::new(Kind::Refuse);
    let p = w.start(Policy::default());
    let q = w.start(Policy::default());
    w.tell(p, Input::Reconsider);
    w.server.refuse_all = true;
    w.server.expire();
    let _ = w.request(q, &origin("x"));
    w.pass(s(60));
    let a = w.request(p, &origin("x"));
    assert!(matches!(a, Answered::Login(_)), "{a:?}");
    assert_eq!(w.server.requests, 1);
}

#[test]
fn reconsider_keeps_doubt() {
    let mut w = World::new(Kind::Refuse);
    let mut r = w.stored().unwrap().clone();
    r.refresh = Refresh::InDoubt { since: w.now() };
    w.restore(r);
    let p = w.start(Policy::default());
    w.tell(p, Input::Reconsider);
    assert!(matches!(w.machine(p).record().unwrap().refresh, Refresh::InDoubt { .. }));
}

#[test]
fn logout_is_not_undone_by_a_backup_of_the_same_generation() {
    let mut w = World::new(Kind::NoRotation);
    let p = w.start(Policy::default());
    let backup = w.stored().unwrap().clone();
    w.tell(p, Input::LoggedOut);
    w.restore(backup);
    w.pass(s(60));
    assert!(w.stored().unwrap().is_logged_out(), "{:?}", w.machine(p).state());
}

#[test]
fn late_grant_for_another_subject() {
    let mut w = World::empty(Kind::GraceSiblings);
    w.server.subject = Some("alice".into());
    let login = w.new_login();
    let p = w.start(Policy::default());
    w.tell(p, Input::LoggedIn(Box::new(login)));
    w.server.expire();
    w.server.subject = Some("bob".into());
    w.hold(p, Hold::AfterServer);
    w.try_out(p, &origin("x"));
    w.pass(s(22)); // overdue: given up
    w.unhold(p, Hold::AfterServer);
    assert_ne!(w.stored().unwrap().subject.as_deref(), Some("bob"));
}

#[test]
fn short_retry_after_is_no_storm() {
    for ra in [0, 1, 5] {
        let mut w = World::new(Kind::Strict);
        let p = w.start(Policy::default());
        w.server.expire();
        let mut f = Server::unavailable();
        f.retry_after = Some(s(ra));
        w.server.fault = Some(f);
        w.try_out(p, &origin("x"));
        w.pass(s(36_000));
        assert!(w.server.requests <= 30 + 600 + 6, "{ra}: {}", w.server.requests);
    }
}

#[test]
fn no_lease_hold_is_looked_at() {
    let mut w = World::new(Kind::GraceSiblings);
    w.unlockable = true;
    let p = w.start(Policy::default());
    let q = w.start(Policy::default());
    w.server.expire();
    let (iq, vq) = w.send(q, &origin("x")).unwrap();
    w.hold(p, Hold::AfterServer);
    w.try_out(p, &origin("x"));
    w.report(q, &origin("x"), iq, vq);
    w.pass(s(1));
    w.unhold(p, Hold::AfterServer);
    let t = w.now();
    let a = w.request(q, &origin("x"));
    assert!(good(&a), "{a:?}");
    let took = w.now().since(t);
    assert!(took < s(3), "{took:?}");
}

#[test]
fn raised_after_holding_is_raised() {
    let mut pol = Policy::default();
    pol.rotation = Rotation::GraceKeepsEarlier;
    let mut w = World::new(Kind::GraceSiblings);
    let ps: Vec<_> = (0..3).map(|_| w.start(pol.clone())).collect();
    w.server.expire();
    let sent: Vec<_> = ps.iter().map(|p| w.send(*p, &origin("x")).unwrap()).collect();
    w.hold(ps[0], Hold::BeforeServer);
    w.report(ps[0], &origin("x"), sent[0].0, sent[0].1);
    w.hold(ps[0], Hold::Everything);
    for i in [1, 2] {
        w.report(ps[i], &origin("x"), sent[i].0, sent[i].1);
    }
    w.hold(ps[1], Hold::BeforeServer);
    w.hold(ps[1], Hold::Saves);
    w.hold(ps[2], Hold::Saves);
    w.hold(ps[2], Hold::BeforeServer);
    w.pass(s(26));
    w.unhold(ps[1], Hold::Saves);
    w.unhold(ps[2], Hold::Saves);
    assert!(w.stored().unwrap().intent_is_raised());
    w.hold(ps[1], Hold::Everything);
    let n = w.stored().unwrap().attempt.clone().unwrap().nonce;
    for _ in 0..60 {
        w.pass(s(1));
        let a = w.stored().unwrap().attempt.clone();
        if let Some(a) = a
            && a.nonce != n
        {
            assert!(a.raised, "taken over unraised without the lease");
            return;
        }
    }
    panic!("never {:?}", w.stored());
}

#[test]
fn second_logout_over_damage_is_believed() {
    let mut w = World::new(Kind::NoRotation);
    let p = w.start(Policy::default());
    let q = w.start(Policy::default());
    // logout over damage by q (fresh: nothing read)
    w.kill(q);
    let go = |w: &mut World, q: usize| {
        for _ in 0..3 {
            w.fail_load(q, StoreFault::Corrupt);
        }
        w.restart(q, Policy::default());
        w.tell(q, Input::LoggedOut);
    };
    go(&mut w, q);
    w.pass(s(10));
    assert!(w.stored().unwrap().is_logged_out(), "first");
    let l = w.new_login();
    w.tell(p, Input::LoggedIn(Box::new(l)));
    w.pass(s(10));
    go(&mut w, q);
    w.pass(s(20));
    assert!(w.stored().unwrap().is_logged_out(), "second");
}

#[test]
fn saved_at_last_not_told_by_logout() {
    let mut w = World::new(Kind::Strict);
    let p = w.start(Policy::default());
    w.server.expire();
    w.hold(p, Hold::AfterServer);
    w.try_out(p, &origin("x"));
    w.fail_saves(p, StoreFault::Full, false, false);
    w.unhold(p, Hold::AfterServer);
    assert!(w.machine(p).view().unsaved().is_some());
    w.tell(p, Input::LoggedOut);
    w.pass(s(20));
    assert!(w.stored().unwrap().is_logged_out());
    let told = w.events(p);
    assert!(!told.iter().any(|e| matches!(e, Event::SavedAtLast { .. })), "{told:#?}");
}

#[test]
fn an_origin_more_than_there_are_marks_is_sent_the_token_once() {
    let mut w = World::empty(Kind::Strict);
    let mut l = w.new_login();
    let os: Vec<_> = (0..18).map(|i| origin(&format!("o{i}"))).collect();
    l.origins = os.clone();
    let p = w.start(Policy::default());
    w.tell(p, Input::LoggedIn(Box::new(l)));
    w.server.fault = Some(Server::unavailable());
    w.server.expire();
    for _ in 0..3 {
        for o in &os {
            if let Some((id, v)) = w.send(p, o) {
                w.report(p, o, id, v);
            }
            w.pass(s(10));
        }
    }
    let mut c = std::collections::BTreeMap::new();
    for (o, id) in &w.sent {
        *c.entry((format!("{o:?}"), id.generation)).or_insert(0) += 1;
    }
    assert_eq!(c.len(), os.len(), "each API was asked: {c:?}");
    assert!(c.values().all(|n| *n == 1), "{c:?}");
}

#[test]
fn mismatching_store_is_no_endless_loop() {
    // A store that says mismatch to every save.
    let mut m = Machine::new(Policy::default(), [1; 32], Timestamp::from_millis(1_000_000));
    let rec = World::new(Kind::Strict).stored().unwrap().clone();
    let st = || Some(Box::new(Stored { record: rec.clone(), version: Version::new(vec![1]) }));
    let now = Timestamp::from_millis(1_000_000);
    let mut told = false;
    let mut saves = 0;
    loop {
        match m.poll_output() {
            Output::Act { id, action, .. } => {
                let outcome = match action {
                    Action::Load => Outcome::Loaded(st()),
                    Action::Acquire => Outcome::Acquired { proves_death: true },
                    Action::Save { .. } => {
                        saves += 1;
                        assert!(saves < 1000, "no bound");
                        Outcome::Mismatch(st())
                    }
                    Action::Release => Outcome::Released,
                    Action::Ask { .. } | Action::Revoke { .. } => {
                        panic!("nothing is asked or revoked")
                    }
                };
                m.handle_input(Input::Done { id, outcome }, now);
            }
            Output::Timeout(_) if !told => {
                told = true;
                m.handle_input(rejection(&rec), now);
            }
            Output::Timeout(_) => break,
            Output::Event(_) | Output::Answered(_) | Output::Stopped => {}
        }
    }
    assert!(saves > 0, "nothing was to be saved");
}

/// A successor that came in an unusable answer, and whose save fails a few times.
#[test]
fn successor_of_an_unusable_answer_is_not_lost() {
    let mut m = Machine::new(Policy::default(), [1; 32], Timestamp::from_millis(1_000_000));
    let mut rec = World::new(Kind::Strict).stored().unwrap().clone();
    let mut ver = 1u8;
    let mut now = Timestamp::from_millis(1_000_000);
    let mut told = false;
    let mut asked = 0;
    let mut failing = false;
    while now < Timestamp::from_millis(1_000_000) + s(600) {
        match m.poll_output() {
            Output::Act { id, action, .. } => {
                let outcome = match action {
                    Action::Load => Outcome::Loaded(Some(Box::new(Stored {
                        record: rec.clone(),
                        version: Version::new(vec![ver]),
                    }))),
                    Action::Acquire => Outcome::Acquired { proves_death: true },
                    Action::Save { record, .. } => {
                        if failing {
                            Outcome::Failed(StoreFault::Full)
                        } else {
                            rec = *record;
                            ver += 1;
                            Outcome::Saved(Version::new(vec![ver]))
                        }
                    }
                    Action::Release => Outcome::Released,
                    Action::Ask { refresh_token, .. } => {
                        asked += 1;
                        if asked == 1 {
                            failing = true;
                            Outcome::Answered(Answer::Unusable {
                                refresh_token: Secret::new("next".into()),
                                failure: Failure {
                                    cause: Cause::NotOauth,
                                    applied: Applied::No,
                                    retry_after: None,
                                    code: None,
                                },
                            })
                        } else {
                            assert_eq!(
                                refresh_token.unwrap().expose(),
                                "next",
                                "the spent one is redeemed again"
                            );
                            return;
                        }
                    }
                    Action::Revoke { .. } => panic!("nothing is to be revoked"),
                };
                m.handle_input(Input::Done { id, outcome }, now);
            }
            Output::Timeout(_) if !told => {
                told = true;
                m.handle_input(rejection(&rec), now);
            }
            Output::Timeout(at) => {
                now = at.max(now + Duration::from_millis(1));
                if now > Timestamp::from_millis(1_000_000) + s(60) {
                    failing = false;
                }
                m.handle_input(Input::TimePassed, now);
            }
            Output::Event(_) | Output::Answered(_) | Output::Stopped => {}
        }
    }
    panic!("it is not redeemed");
}

#[test]
fn a_first_load_that_failed_is_tried_again() {
    let mut w = World::new(Kind::Strict);
    let p = w.start(Policy::default());
    w.kill(p);
    w.fail_load(p, StoreFault::Unavailable);
    w.restart(p, Policy::default());
    w.pass(s(120));
    assert!(w.machine(p).state().is_some(), "{:?}", w.machine(p).view().access(&origin("x")));
}

#[test]
fn a_logout_elsewhere_ends_the_wait_for_a_stopped_holder() {
    let mut w = World::new(Kind::Strict);
    let ps: Vec<_> = (0..3).map(|_| w.start(Policy::default())).collect();
    w.server.expire();
    let a = w.send(ps[0], &origin("x")).unwrap();
    let b = w.send(ps[1], &origin("x")).unwrap();
    w.hold(ps[0], Hold::BeforeServer);
    w.report(ps[0], &origin("x"), a.0, a.1);
    w.hold(ps[0], Hold::Everything);
    w.report(ps[1], &origin("x"), b.0, b.1);
    w.pass(s(1));
    w.tell(ps[2], Input::LoggedOut);
    w.pass(s(5));
    let got = w.request(ps[1], &origin("x"));
    assert_eq!(got, Answered::Login(LoginReason::LoggedOut));
}

/// A holder whose request is under way, and a process whose clock is two days ahead of its own:
/// to that one, the holder's intent is long over. The server would serve both.
fn beside_a_clock_that_is_ahead(holding: Hold) -> (World, usize, usize) {
    let mut policy = Policy::default();
    policy.rotation = Rotation::GraceKeepsEarlier;
    let mut w = World::new(Kind::GraceSiblings);
    let (holder, ahead) = (w.start(policy.clone()), w.start(policy));
    w.server.expire();
    w.hold(holder, holding);
    w.try_out(holder, &origin("x"));
    let mut r = w.stored().unwrap().clone();
    let intent = r.attempt.as_mut().unwrap();
    intent.at = w.now() - s(2 * 86_400);
    intent.deadline = intent.at + s(25);
    w.restore(r);
    (w, holder, ahead)
}

#[test]
fn a_process_whose_clock_is_ahead_passes_no_live_holder_over() {
    let (mut w, holder, ahead) = beside_a_clock_that_is_ahead(Hold::AfterServer);
    w.try_out(ahead, &origin("x"));
    w.pass(s(15));
    assert_eq!(w.server.requests, 1, "passed over");
    w.unhold(holder, Hold::AfterServer);
    assert!(good(&w.request(ahead, &origin("x"))));
    assert_eq!((w.server.requests, w.server.reuse), (1, 0));
}

#[test]
fn a_holder_of_another_clock_is_passed_over_after_an_intent_s_length() {
    let (mut w, holder, ahead) = beside_a_clock_that_is_ahead(Hold::BeforeServer);
    w.hold(holder, Hold::Everything);
    // Before its caller's 30 s are over.
    assert!(good(&w.request(ahead, &origin("x"))));
}

#[test]
fn a_logout_over_a_store_that_does_not_answer_is_tried_again() {
    let mut w = World::new(Kind::Strict);
    let p = w.start(Policy::default());
    w.fail_load(p, StoreFault::Unavailable);
    w.tell(p, Input::LoggedOut);
    w.pass(s(30));
    assert_eq!(w.answers(p), vec![Ok(())]);
    assert!(w.stored().unwrap().is_logged_out());
    assert_eq!(w.server.revoked.len(), 2);
}

#[test]
fn a_logout_from_a_locked_store_says_so_at_once() {
    let mut w = World::new(Kind::Strict);
    let p = w.start(Policy::default());
    w.fail_load(p, StoreFault::Locked);
    w.tell(p, Input::LoggedOut);
    w.settle();
    assert_eq!(w.answers(p), vec![Err(StoreFault::Locked)]);
}
