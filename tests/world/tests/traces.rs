//! Schedules that broke earlier drafts of the rules, each a test by its name. In virtual time,
//! with the real machine. g1, g2: generations; X, Y: two APIs; P0, P1: processes.

use std::time::Duration;

use regrant_core::{
    Answer, Blocked, Event, Input, LoginReason, Origin, Policy, Rotation, StateKind, StoreFault,
    Strength, Use,
};
use regrant_world::{Answered, Hold, Kind, Server, World, origin};

fn policy() -> Policy {
    Policy::default()
}

fn with(rotation: Rotation) -> Policy {
    let mut policy = Policy::default();
    policy.rotation = rotation;
    policy
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

fn generation(answered: &Answered) -> u64 {
    match answered {
        Answered::Accepted(id, _) => id.generation,
        other => panic!("not accepted: {other:?}"),
    }
}

/// Processes that are logged in with a token which the server has ended before its time, and X, an
/// API that will say so.
fn rejected<const N: usize>(kind: Kind, policy: &Policy) -> (World, [usize; N], Origin) {
    let mut w = World::new(kind);
    let processes = [(); N].map(|()| w.start(policy.clone()));
    w.server.expire();
    (w, processes, origin("x"))
}

/// P finds its token rejected, and is stopped when its token request has come so far.
fn stopped(w: &mut World, p: usize, so_far: Hold) {
    w.hold(p, so_far);
    w.try_out(p, &origin("x"));
    w.hold(p, Hold::Everything);
}

/// P goes on where it was stopped.
fn resumed(w: &mut World, p: usize, so_far: Hold) {
    w.unhold(p, Hold::Everything);
    w.unhold(p, so_far);
}

#[test]
fn probation_is_no_dead_end() {
    let (mut w, [p], x) = rejected(Kind::Strict, &policy());
    w.try_out(p, &x);
    assert_eq!(w.machine(p).state(), Some(StateKind::Retrying));
    // g2 expires at the server before anyone had it accepted.
    w.pass(2 * MINUTE);
    w.server.expire();
    assert_eq!(generation(&w.request(p, &x)), 3);
    assert_eq!(w.server.requests, 2);

    // The same within the cool-down of the first rejection: it ends, too.
    w.server.expire();
    assert_eq!(generation(&w.request(p, &x)), 4);
    let (id, verdict) = {
        w.server.expire();
        w.send(p, &x).unwrap()
    };
    w.report(p, &x, id, verdict);
    w.server.expire();
    assert!(matches!(w.request(p, &x), Answered::Rejected(_)));
    w.pass(MINUTE);
    assert!(matches!(w.request(p, &x), Answered::Accepted(..)));
}

#[test]
fn a_crash_between_acceptance_and_its_save_is_no_dead_end() {
    let (mut w, [p], x) = rejected(Kind::Strict, &policy());
    w.try_out(p, &x);
    w.hold(p, Hold::Saves);
    w.try_out(p, &x);
    w.restart(p, policy());
    assert_eq!(w.machine(p).state(), Some(StateKind::Retrying));
    w.pass(HOUR / 2);
    w.server.expire();
    assert_eq!(generation(&w.request(p, &x)), 3);
}

#[test]
fn one_bad_api_is_no_storm() {
    let mut w = World::new(Kind::Strict);
    let p = w.start(policy());
    let (x, y) = (origin("x"), origin("y"));
    w.rejecting.insert(y.clone(), Strength::Strong);
    for _ in 0..600 {
        let _ = w.request(p, &y);
        assert!(matches!(w.request(p, &x), Answered::Accepted(..)));
        w.pass(Duration::from_secs(1));
    }
    // Ten minutes: the first rejection, and one more at the end of each growing cool-down.
    assert!(w.server.requests <= 6, "{} token requests", w.server.requests);
}

#[test]
fn a_mark_ends() {
    let mut w = World::new(Kind::Strict);
    let p = w.start(policy());
    let y = origin("y");
    w.rejecting.insert(y.clone(), Strength::Strong);
    assert!(matches!(w.request(p, &y), Answered::Rejected(_)));
    assert_eq!(w.server.requests, 1);
    let sent = w.sent.len();
    assert_eq!(w.request(p, &y), Answered::Blocked(Blocked::StillRejected));
    assert_eq!(w.sent.len(), sent, "nothing is sent while the mark lasts");
    // Y is mended. Its mark goes when its cool-down ends, and one asks for a new generation:
    // the one that Y rejected is not sent to it again.
    w.rejecting.clear();
    w.pass(MINUTE);
    assert_eq!(generation(&w.request(p, &y)), 3);
    assert_eq!(w.server.requests, 2);
}

#[test]
fn the_streak_of_a_mark_stays() {
    let mut w = World::new(Kind::Strict);
    let p = w.start(policy());
    let y = origin("y");
    w.rejecting.insert(y.clone(), Strength::Strong);
    let mut blocked = Vec::new();
    for _ in 0..3 {
        assert!(matches!(w.request(p, &y), Answered::Rejected(_)));
        let from = w.now();
        while let Use::Blocked { .. } = w.machine(p).view().access(&y) {
            w.pass(Duration::from_secs(1));
        }
        blocked.push(w.now().since(from));
    }
    assert!(blocked[0] >= MINUTE - Duration::from_secs(1), "{blocked:?}");
    assert!(blocked[1] > blocked[0] && blocked[2] > blocked[1], "{blocked:?}");
}

#[test]
fn two_lost_requests_are_no_end() {
    for failure in [Server::reset(), Server::timeout()] {
        let (mut w, [p], x) = rejected(Kind::Strict, &policy());
        w.hold(p, Hold::BeforeServer);
        w.try_out(p, &x);
        for _ in 0..4 {
            w.lose_requests(p, &failure);
            w.pass(2 * MINUTE);
        }
        assert_eq!(w.server.requests, 0, "none of them arrived");
        w.unhold(p, Hold::BeforeServer);
        w.pass(2 * HOUR);
        assert!(matches!(w.request(p, &x), Answered::Accepted(..)), "{failure:?}");
        assert!(w.stored_is_live());
    }
}

#[test]
fn two_crashes_are_no_end() {
    let (mut w, [p], x) = rejected(Kind::Strict, &policy());
    for _ in 0..3 {
        w.hold(p, Hold::BeforeServer);
        if let Some((id, verdict)) = w.send(p, &x) {
            w.report(p, &x, id, verdict);
        }
        w.pass(Duration::from_secs(3));
        w.restart(p, policy());
    }
    w.pass(Duration::from_secs(3));
    assert!(matches!(w.request(p, &x), Answered::Accepted(..)));
    assert_eq!(w.server.requests, 1);
}

#[test]
fn logout_is_not_undone() {
    let mut revoking = policy();
    revoking.revokes_token_alone = true;
    let (mut w, [p0, p1], x) = rejected(Kind::Strict, &revoking);
    w.hold(p0, Hold::AfterServer);
    w.try_out(p0, &x);
    assert_eq!(w.server.requests, 1);
    w.tell(p1, Input::LoggedOut);
    w.unhold(p0, Hold::AfterServer);
    assert!(w.stored().unwrap().is_logged_out());
    assert!(w.stored().unwrap().refresh_token.is_none());
    assert_eq!(w.request(p0, &x), Answered::Login(LoginReason::LoggedOut));
    // The grant that came is revoked: refresh token and access token.
    assert_eq!(w.server.revoked.len(), 2 + 2, "{:?}", w.server.revoked);
    assert!(w.events(p0).contains(&Event::GrantDropped { revoked: true }));
}

#[test]
fn a_refusal_does_not_block_the_grant() {
    let (mut w, [p0, p1], x) = rejected(Kind::Refuse, &policy());
    // After the server's commit; its lease is lost to P1.
    stopped(&mut w, p0, Hold::AfterServer);
    w.lose_lease();
    w.try_out(p1, &x);
    w.pass(MINUTE);
    assert_eq!(w.machine(p1).state(), Some(StateKind::NeedsLogin));
    // P0 goes on with the live grant: it revives the credential, and P1 sees it.
    resumed(&mut w, p0, Hold::AfterServer);
    assert!(w.stored_is_live());
    assert!(matches!(w.request(p0, &x), Answered::Accepted(..)));
    assert!(matches!(w.request(p1, &x), Answered::Accepted(..)));
}

#[test]
fn a_stopped_holder_costs_no_login() {
    let (mut w, [p0, p1], x) = rejected(Kind::Strict, &policy());
    stopped(&mut w, p0, Hold::AfterServer);
    // P1 waits, and knows for whom.
    assert_eq!(w.request(p1, &x), Answered::TimedOut);
    assert_eq!(w.machine(p1).view().holder().unwrap().pid, Some(0));
    w.pass(10 * MINUTE);
    assert_eq!(w.server.requests, 1);
    resumed(&mut w, p0, Hold::AfterServer);
    assert!(matches!(w.request(p1, &x), Answered::Accepted(..)));
    assert_eq!((w.server.requests, w.server.reuse), (1, 0));
    assert!(w.stored_is_live());
}

#[test]
fn a_resumed_holder_sends_nothing_old() {
    let keeps = with(Rotation::GraceKeepsEarlier);
    let (mut w, [p0, p1], x) = rejected(Kind::GraceSiblings, &keeps);
    // P0 has saved its intent and is about to send when it is stopped.
    stopped(&mut w, p0, Hold::BeforeServer);
    // P1 waits out the intent, then passes it over without the lease.
    w.try_out(p1, &x);
    w.pass(MINUTE);
    assert_eq!(w.server.requests, 1);
    assert!(matches!(w.request(p1, &x), Answered::Accepted(..)));
    // P0 goes on: it is past its own deadline and sends nothing.
    resumed(&mut w, p0, Hold::BeforeServer);
    w.pass(MINUTE);
    assert_eq!(w.server.requests, 1);
    assert!(matches!(w.request(p0, &x), Answered::Accepted(..)));
}

#[test]
fn nobody_is_passed_over_where_it_could_cost_the_login() {
    for rotation in [Rotation::Unknown, Rotation::WithoutGrace, Rotation::GraceKillsEarlier] {
        let (mut w, [p0, p1], x) = rejected(Kind::Strict, &with(rotation));
        stopped(&mut w, p0, Hold::BeforeServer);
        w.try_out(p1, &x);
        w.pass(HOUR);
        assert_eq!(w.server.requests, 0, "{rotation:?}");
    }
}

#[test]
fn a_raised_intent_is_not_taken_over_at_once() {
    let keeps = with(Rotation::GraceKeepsEarlier);
    let (mut w, [p0, p1], x) = rejected(Kind::GraceSiblings, &keeps);
    stopped(&mut w, p0, Hold::BeforeServer);
    // P1 passes it over; its request is out and no answer comes.
    w.hold(p1, Hold::AfterServer);
    w.try_out(p1, &x);
    w.pass(Duration::from_secs(26));
    assert_eq!(w.server.requests, 1);
    assert!(w.stored().unwrap().intent_is_raised());
    // P0 resumes, gives its lock back, and takes it again: P1's intent is not "after a crash".
    resumed(&mut w, p0, Hold::BeforeServer);
    w.pass(Duration::from_secs(10));
    assert_eq!(w.server.requests, 1);
    w.unhold(p1, Hold::AfterServer);
    assert!(matches!(w.request(p0, &x), Answered::Accepted(..)));
    assert_eq!(w.server.requests, 1);
}

#[test]
fn an_expired_row_is_not_a_death() {
    for kind in [Kind::Strict, Kind::GraceLatest] {
        let (mut w, [p0, p1], x) = rejected(kind, &policy());
        w.proves_death = false;
        w.hold(p0, Hold::AfterServer);
        w.try_out(p0, &x);
        // The database lets P0's lease run out while its request is out.
        w.lose_lease();
        w.try_out(p1, &x);
        w.pass(Duration::from_secs(10));
        assert_eq!(w.server.requests, 1, "{kind:?}");
        w.unhold(p0, Hold::AfterServer);
        w.pass(MINUTE);
        assert_eq!(w.server.requests, 1, "{kind:?}");
        assert!(w.stored_is_live());
        assert!(matches!(w.request(p1, &x), Answered::Accepted(..)));
    }
}

#[test]
fn a_replay_waits_where_it_kills() {
    let kills = with(Rotation::GraceKillsEarlier);
    let (mut w, [p], x) = rejected(Kind::GraceLatest, &kills);
    w.hold(p, Hold::BeforeServer);
    w.try_out(p, &x);
    let sent = w.stored().unwrap().refresh_token.clone().unwrap();
    // A crash with the request under way; it arrives 20 s later.
    w.restart(p, kills);
    w.pass(Duration::from_secs(20));
    assert_eq!(w.server.requests, 0, "the replay waits for the intent's deadline");
    assert!(matches!(w.late_request(sent.expose()), Answer::Granted(_)));
    w.pass(Duration::from_secs(10));
    assert_eq!(w.server.requests, 2);
    assert!(w.stored_is_live());
    assert!(matches!(w.request(p, &x), Answered::Accepted(..)));
}

#[test]
fn a_replay_elsewhere_waits_two_seconds() {
    let (mut w, [p], x) = rejected(Kind::GraceSame, &policy());
    w.hold(p, Hold::AfterServer);
    w.try_out(p, &x);
    w.restart(p, policy());
    w.pass(Duration::from_millis(1_900));
    assert_eq!(w.server.requests, 1);
    w.pass(Duration::from_millis(200));
    assert_eq!(w.server.requests, 2);
    assert!(w.stored_is_live());
}

#[test]
fn a_loser_revokes_nothing_that_is_stored() {
    for kind in [Kind::NoRotation, Kind::GraceSame] {
        let mut lonely = policy();
        lonely.revokes_token_alone = true;
        let (mut w, [p0, p1], x) = rejected(kind, &lonely);
        stopped(&mut w, p0, Hold::AfterServer);
        w.lose_lease();
        w.try_out(p1, &x);
        w.pass(MINUTE);
        assert_eq!(w.server.requests, 2, "{kind:?}");
        resumed(&mut w, p0, Hold::AfterServer);
        assert_eq!(w.server.revoked, Vec::<String>::new(), "{kind:?}");
        assert!(w.stored_is_live(), "{kind:?}");
        assert!(matches!(w.request(p0, &x), Answered::Accepted(..)));
    }
}

#[test]
fn a_restored_backup_is_seen() {
    let mut w = World::new(Kind::Refuse);
    let (p0, p1) = (w.start(policy()), w.start(policy()));
    let x = origin("x");
    let backup = w.stored().unwrap().clone();
    w.hold(p1, Hold::Everything);
    let login = w.new_login();
    w.tell(p0, Input::LoggedIn(Box::new(login)));
    assert_eq!(w.stored().unwrap().generation, 2);
    // The backup (i1, g1) is put back, and P1, which knows of no later login, refreshes it.
    w.restore(backup);
    w.server.expire();
    w.unhold(p1, Hold::Everything);
    assert!(matches!(w.request(p1, &x), Answered::Accepted(..)));
    assert_eq!(w.stored().unwrap().generation, 2, "equal generations, another incarnation");
    // P0 knows i1 for superseded: it believes its own, and saves it over the backup's.
    w.server.expire();
    assert!(matches!(w.request(p0, &x), Answered::Accepted(..)));
    let told = w.events(p0).iter().any(|e| matches!(e, Event::StoreRolledBack { .. }));
    assert!(told, "{:?}", w.events(p0));
    assert_eq!(w.stored().unwrap().incarnation, w.machine(p0).record().unwrap().incarnation);
    // And P1 takes that for the login it is.
    assert!(matches!(w.request(p1, &x), Answered::Accepted(..)));
}

#[test]
fn an_outage_does_not_spread() {
    let mut w = World::new(Kind::Strict);
    let p = w.start(policy());
    let (x, y) = (origin("x"), origin("y"));
    w.rejecting.insert(y.clone(), Strength::Strong);
    w.accepting.push(x.clone());
    w.server.fault = Some(Server::unavailable());
    assert!(matches!(w.request(p, &y), Answered::Blocked(Blocked::CoolDown(_))));
    let to_y = |w: &World| w.sent.iter().filter(|(to, _)| *to == y).count();
    assert_eq!(to_y(&w), 1);
    for _ in 0..20 {
        assert_eq!(generation(&w.request(p, &x)), 1);
        assert!(!matches!(w.request(p, &y), Answered::Accepted(..) | Answered::Rejected(_)));
        w.pass(Duration::from_secs(1));
    }
    assert_eq!(to_y(&w), 1, "g1 is not sent again to the origin that rejected it");
}

#[test]
fn an_unknown_save_is_read_back() {
    let (mut w, [p], x) = rejected(Kind::Strict, &policy());
    w.fail_saves(p, StoreFault::Unavailable, true, true);
    assert_eq!(generation(&w.request(p, &x)), 2);
    assert_eq!((w.server.requests, w.server.reuse), (1, 0));
}

#[test]
fn a_trusted_save_overwrites_nothing() {
    let (mut w, [p0, p1], x) = rejected(Kind::Strict, &policy());
    let y = origin("y");
    w.try_out(p0, &x);
    // P0's acceptance of g2 is slow to be saved; meanwhile Y rejects g2 at P1, which begins.
    w.hold(p0, Hold::Saves);
    w.try_out(p0, &x);
    w.pass(Duration::from_secs(6));
    w.rejecting.insert(y.clone(), Strength::Strong);
    w.hold(p1, Hold::BeforeServer);
    w.try_out(p1, &y);
    assert_eq!(w.stored().unwrap().state(), StateKind::Refreshing);
    w.unhold(p0, Hold::Saves);
    assert_eq!(w.stored().unwrap().state(), StateKind::Refreshing, "the rejection stands");
    w.unhold(p1, Hold::BeforeServer);
    assert_eq!(w.stored().unwrap().generation, 3);
}
