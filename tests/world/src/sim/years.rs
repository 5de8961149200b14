//! The false-login rate: lives of a year each, by the hundred thousand.
//!
//! # What is counted
//!
//! One life is one credential of one user for one year: one to three processes that share a
//! store, an authorization server of any kind, two or three APIs, and every access token is
//! refreshed when it is due or when it is rejected. A *false login* is a `NeedsLogin` told to a
//! caller or to people without a refusal of the refresh token that the store held, a logout, or
//! nothing to renew with; and a login that is lost though its newest refresh token had reached a
//! live process in time, or lay in the store. Both break a rule of the
//! [reference](crate::sim::reference), and the count must be zero.
//!
//! Counted apart are the logins that no client can save, by cause: a crash or a lost answer
//! between the server's commit and the save where the server has no grace, or where its window
//! closed before anybody could ask again. When one is lost the user logs in again a minute
//! later, and the life goes on.
//!
//! Not counted, because no life has them here: servers that end logins by their own decision,
//! wrong deployments, users who log out, restored backups, other users' grants. The other modes of
//! the simulation have those.

use crate::server::Kind;
use crate::sim::dice::Dice;
use crate::sim::ops::{
    Api, ApiFault, Lease, Op, Outage, P, Point, Profile, Says, Script, Setup, StoreTrouble, Whose,
    Wire,
};
use crate::sim::report::YEAR;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Something that happens at a rate.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Crash,
    CrashInRefresh,
    Outage,
    Suspend,
    Stop,
    Clock,
    LostAnswer,
    SlowAnswer,
    Store,
    Api,
}

/// How often a year, on the average, and why.
const RATES: &[(Fault, u64)] = &[
    // A program or its machine ends once a month without being asked.
    (Fault::Crash, 12),
    // In the tenth of a second in which a refresh is under way, this would be once in thousands of
    // years; once a year is what makes it seen at all.
    (Fault::CrashInRefresh, 1),
    // A token endpoint with 99.9 % is away for 9 hours a year: in 12 pieces.
    (Fault::Outage, 12),
    // A laptop sleeps, not every night through a lease or a request: once a week.
    (Fault::Suspend, 52),
    // A debugger, a container that is frozen and goes on.
    (Fault::Stop, 6),
    // Two clocks a year are set: a dead battery, somebody's hand.
    (Fault::Clock, 2),
    // One answer in some fifty is lost or cut: far more than on any good line, and twice a year.
    (Fault::LostAnswer, 2),
    // And as many come after everybody has stopped to wait.
    (Fault::SlowAnswer, 2),
    // A full disk, a locked database, a share that is gone: every other month, for hours.
    (Fault::Store, 6),
    // An API that rejects everybody, or is down, after a bad release.
    (Fault::Api, 4),
];

/// One life.
pub fn life(seed: u64) -> Script {
    let mut dice = Dice::of(seed, &[YEAR]);
    let setup = setup(&mut dice);
    let mut ops = Vec::new();
    let by = |dice: &mut Dice| P(u8::try_from(dice.roll(u64::from(setup.processes))).unwrap_or(0));
    // A handful of requests in the life of each access token: five.
    let mut at = 0;
    while at < YEAR {
        at += dice.between(1, setup.life * 2 / 5);
        let to = Api(dice.pick(&[0, 0, 0, 1, 2]));
        ops.push((at, Op::Request { by: by(&mut dice), to, count: 1, apart: 0 }));
    }
    for (fault, rate) in RATES {
        for _ in 0..dice.roll(2 * rate + 1) {
            let (at, by) = (dice.roll(YEAR), by(&mut dice));
            happen(&mut dice, *fault, at, by, &mut ops);
        }
    }
    ops.sort_by_key(|(at, _)| *at);
    ops.retain(|(at, _)| *at <= YEAR);
    Script { setup, ops }
}

fn setup(dice: &mut Dice) -> Setup {
    let (kind, grace, profile) = dice.pick(&[
        (Kind::Strict, 0, Profile::Unknown),
        (Kind::Strict, 0, Profile::WithoutGrace),
        (Kind::Refuse, 0, Profile::Unknown),
        (Kind::GraceSame, 30_000, Profile::Unknown),
        (Kind::GraceSame, 5 * MINUTE, Profile::KeepsEarlier),
        (Kind::GraceSiblings, 30_000, Profile::Unknown),
        (Kind::GraceSiblings, 5 * MINUTE, Profile::KeepsEarlier),
        (Kind::GraceLatest, 5 * MINUTE, Profile::KillsEarlier),
        (Kind::NoRotation, 0, Profile::Unknown),
        (Kind::NoRotation, 0, Profile::Never),
    ]);
    Setup {
        kind,
        grace,
        ends: u8::from(dice.once_in(2)),
        profile,
        life: dice.scaled(DAY, 30 * DAY),
        says: dice.pick(&[Says::Honest, Says::Honest, Says::Nothing, Says::Longer]),
        replaces: u8::from(dice.once_in(3)),
        lease: dice.pick(&[Lease::Lock, Lease::Lock, Lease::Row]),
        processes: u8::try_from(dice.pick(&[1, 1, 2, 3])).unwrap_or(1),
        // A look at the store every few seconds through a year would be all that this computes;
        // requests and rejections read it anyway.
        reread: 40 * DAY,
        returns: MINUTE,
        jitter: dice.word(),
    }
}

fn happen(dice: &mut Dice, fault: Fault, at: u64, by: P, ops: &mut Vec<(u64, Op)>) {
    let soon = |dice: &mut Dice| at + dice.scaled(100, HOUR);
    match fault {
        Fault::Crash => ops.extend([(at, Op::Kill { by }), (soon(dice), Op::Start { by })]),
        Fault::CrashInRefresh => {
            let point = dice.pick(Point::ALL);
            ops.extend([(at, Op::Expire {}), (at, Op::KillAt { by, point })]);
            ops.push((at + 1, Op::Request { by, to: Api(0), count: 1, apart: 0 }));
            ops.push((soon(dice) + 40_000, Op::Start { by }));
        }
        Fault::Outage => {
            let how = dice.pick(Outage::ALL);
            ops.push((at, Op::Away { how, length: dice.scaled(MINUTE, 12 * HOUR) }));
        }
        Fault::Suspend => ops.push((at, Op::Suspend { by, length: dice.scaled(MINUTE, 3 * DAY) })),
        Fault::Stop => ops.push((at, Op::Stop { by, length: dice.scaled(1_000, HOUR) })),
        Fault::Clock => {
            let wrong = i64::try_from(dice.scaled(1_000, 3 * DAY)).unwrap_or(0);
            let step = if dice.once_in(2) { wrong } else { -wrong };
            // And set right again.
            ops.push((at, Op::Clock { by, step }));
            ops.push((at + dice.scaled(HOUR, 10 * DAY), Op::Clock { by, step: -step }));
        }
        Fault::LostAnswer => {
            let fault = dice.pick(Wire::ALL);
            ops.extend([(at, Op::Expire {}), (at, Op::Wire { by, fault })]);
            ops.push((at + 1, Op::Request { by, to: Api(0), count: 1, apart: 0 }));
        }
        Fault::SlowAnswer => {
            let (there, back) = (dice.scaled(10, 20_000), dice.scaled(1_000, 60_000));
            ops.extend([(at, Op::Expire {}), (at, Op::SlowWire { by, there, back })]);
            ops.push((at + 1, Op::Request { by, to: Api(0), count: 1, apart: 0 }));
        }
        Fault::Store => {
            let how = dice.pick(StoreTrouble::ALL);
            let of = Whose(dice.once_in(2).then_some(by));
            ops.push((at, Op::Store { of, how, length: dice.scaled(MINUTE, 12 * HOUR) }));
        }
        Fault::Api => {
            let how = dice.pick(ApiFault::ALL);
            ops.push((at, Op::Api { of: Api(1), how, length: dice.scaled(MINUTE, 12 * HOUR) }));
        }
    }
}
