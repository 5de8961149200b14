//! Random schedules of small worlds: whatever happens, the rules hold. A failing seed is printed,
//! and `REGRANT_SEED=N` replays it alone.

use std::time::Duration;

use regrant_core::{Input, LoginReason, Policy, Rotation, StateKind, StoreFault, Strength};
use regrant_world::{Answered, Hold, Kind, Server, World, origin};

/// SplitMix64.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

fn policy(rotation: Rotation) -> Policy {
    let mut policy = Policy::default();
    policy.rotation = rotation;
    // Months pass here; a look every ten minutes is enough.
    policy.reread = Duration::from_secs(600);
    policy
}

/// Which troubles a run may meet.
#[derive(Clone, Copy, Debug)]
struct Troubles {
    crashes: bool,
    lost_answers: bool,
    stops: bool,
    store: bool,
    outages: bool,
    logins: bool,
    bad_api: bool,
}

/// Runs one seed; returns the world after everything is mended again, and its processes.
fn run(seed: u64, kind: Kind, rotation: Rotation, troubles: Troubles) -> (World, Vec<usize>) {
    let mut dice = Dice(seed);
    let mut w = World::new(kind);
    let ps: Vec<usize> = (0..3).map(|_| w.start(policy(rotation))).collect();
    let origins = [origin("x"), origin("y")];
    for _ in 0..60 {
        let p = ps[dice.roll(3) as usize];
        let to = &origins[dice.roll(2) as usize];
        match dice.roll(22) {
            0..=6 => {
                if let Some((id, verdict)) = w.send(p, to) {
                    w.report(p, to, id, verdict);
                } else {
                    w.tell(p, Input::Wanted { origin: to.clone() });
                }
            }
            7 | 8 => w.server.expire(),
            9 | 10 => w.pass(Duration::from_millis(dice.roll(40_000))),
            11 if dice.roll(3) == 0 => w.pass(Duration::from_secs(dice.roll(7_200))),
            12 if troubles.crashes => w.restart(p, policy(rotation)),
            13 if troubles.stops => w.hold(p, Hold::Everything),
            // An answer that does not come in time is a lost one.
            14 if troubles.lost_answers => w.hold(p, Hold::AfterServer),
            15 => {
                for hold in [Hold::Everything, Hold::AfterServer, Hold::BeforeServer, Hold::Saves] {
                    w.unhold(p, hold);
                }
            }
            16 if troubles.lost_answers => w.lose_requests(p, &Server::reset()),
            17 if troubles.store => {
                let unknown = dice.roll(2) == 0;
                let applied = unknown && dice.roll(2) == 0;
                w.fail_saves(p, StoreFault::Full, applied, unknown);
            }
            18 if troubles.outages => {
                w.server.fault = match dice.roll(3) {
                    0 => Some(Server::unavailable()),
                    1 => Some(Server::unreachable()),
                    _ => None,
                };
            }
            19 if troubles.logins => {
                let login = w.new_login();
                w.tell(p, Input::LoggedIn(Box::new(login)));
            }
            20 if troubles.bad_api => {
                if dice.roll(2) == 0 {
                    let strength =
                        if dice.roll(2) == 0 { Strength::Weak } else { Strength::Strong };
                    w.rejecting.insert(to.clone(), strength);
                } else {
                    w.rejecting.remove(to);
                }
            }
            _ => w.hold(p, Hold::BeforeServer),
        }
    }
    w.server.fault = None;
    w.rejecting.clear();
    for p in &ps {
        for hold in [Hold::Everything, Hold::AfterServer, Hold::BeforeServer, Hold::Saves] {
            w.unhold(*p, hold);
        }
    }
    (w, ps)
}

/// After a day in which nothing is wrong, every process is served again.
fn recovers(w: &mut World, ps: &[usize], seed: u64) {
    w.pass(Duration::from_secs(86_400));
    for p in ps {
        for name in ["x", "y"] {
            let mut answered = w.request(*p, &origin(name));
            if !matches!(answered, Answered::Accepted(..)) {
                // An origin's own cool-down, or an attempt that just began to wait.
                w.pass(Duration::from_secs(3_700));
                answered = w.request(*p, &origin(name));
            }
            assert!(
                matches!(answered, Answered::Accepted(..)),
                "seed {seed}: process {p} at {name}: {answered:?}, {:?}\n{:#?}",
                w.machine(*p).record(),
                w.events(*p).iter().rev().take(12).collect::<Vec<_>>(),
            );
        }
    }
}

const ALL: Troubles = Troubles {
    crashes: true,
    lost_answers: true,
    stops: true,
    store: true,
    outages: true,
    logins: true,
    bad_api: true,
};

fn seeds() -> std::ops::Range<u64> {
    match std::env::var("REGRANT_SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..SEEDS,
    }
}

const SEEDS: u64 = 100;

#[test]
fn a_forgiving_server_never_loses_a_login() {
    for seed in seeds() {
        for (kind, rotation) in [
            (Kind::GraceSiblings, Rotation::Unknown),
            (Kind::GraceSiblings, Rotation::GraceKeepsEarlier),
            (Kind::NoRotation, Rotation::Never),
        ] {
            let (mut w, ps) = run(seed, kind, rotation, ALL);
            recovers(&mut w, &ps, seed);
        }
    }
}

#[test]
fn a_strict_server_sees_no_reuse_while_answers_arrive() {
    let troubles = Troubles { crashes: false, lost_answers: false, ..ALL };
    for seed in seeds() {
        let (mut w, ps) = run(seed, Kind::Strict, Rotation::Unknown, troubles);
        recovers(&mut w, &ps, seed);
        assert_eq!(w.server.reuse, 0, "seed {seed}");
    }
}

#[test]
fn an_outage_of_everything_asks_for_no_login() {
    let troubles = Troubles { logins: false, ..ALL };
    for seed in seeds() {
        let (mut w, ps) = run(seed, Kind::GraceSiblings, Rotation::Unknown, troubles);
        w.server.fault = Some(Server::unreachable());
        w.pass(Duration::from_secs(3 * 86_400));
        for p in &ps {
            let state = w.machine(*p).state();
            assert_ne!(state, Some(StateKind::NeedsLogin), "seed {seed}");
        }
        w.server.fault = None;
        recovers(&mut w, &ps, seed);
    }
}

#[test]
fn a_dead_grant_is_asked_for_twice_at_most() {
    for seed in seeds() {
        let (mut w, ps) = run(seed, Kind::Refuse, Rotation::Unknown, ALL);
        w.server.refuse_all = true;
        w.server.expire();
        let before = w.server.requests;
        for _ in 0..5 {
            for p in &ps {
                let _ = w.request(*p, &origin("x"));
                w.pass(Duration::from_secs(4_000));
            }
            for p in &ps {
                w.restart(*p, policy(Rotation::Unknown));
            }
        }
        let spent = w.server.requests - before;
        assert!(spent <= 2, "seed {seed}: {spent} token requests");
        for p in &ps {
            let answered = w.request(*p, &origin("x"));
            assert!(matches!(answered, Answered::Login(_)), "seed {seed}: {answered:?}");
        }
    }
}

#[test]
fn a_logout_stays() {
    for seed in seeds() {
        let troubles = Troubles { logins: false, store: false, ..ALL };
        let (mut w, ps) = run(seed, Kind::GraceSiblings, Rotation::Unknown, troubles);
        w.server.expire();
        for p in &ps {
            if let Some((id, verdict)) = w.send(*p, &origin("x")) {
                w.hold(*p, Hold::AfterServer);
                w.report(*p, &origin("x"), id, verdict);
            }
        }
        w.tell(ps[0], Input::LoggedOut);
        for p in &ps {
            w.unhold(*p, Hold::AfterServer);
        }
        w.pass(Duration::from_secs(86_400));
        assert!(w.stored().unwrap().is_logged_out(), "seed {seed}");
        for p in &ps {
            let answered = w.request(*p, &origin("x"));
            assert_eq!(answered, Answered::Login(LoginReason::LoggedOut), "seed {seed}");
        }
    }
}
