//! A seed becomes a script.

use std::fmt;
use std::str::FromStr;

use crate::server::Kind;
use crate::sim::dice::Dice;
use crate::sim::ops::{
    Api, ApiFault, Lease, Op, Outage, P, Point, Profile, Says, Script, Setup, StoreTrouble,
    Unreadable, Whose, Wire,
};

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Which faults are on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// All but a server that refuses everybody.
    All,
    /// None; tokens expire, programs come and go, APIs reject.
    Calm,
    /// The token endpoint is away. Nothing may be lost.
    Outage,
    /// The store fails, on one host. Nothing may be lost.
    Store,
    /// Clocks are wrong and are set. Nothing may be lost.
    Clocks,
    /// One crash or lost answer per window of grace. Nothing may be lost.
    Grace,
    /// Crashes and stops at the points of a refresh.
    Points,
    /// Logins, logouts, other subjects, copies of the store.
    Users,
    /// A bad deployment refuses everybody for a while.
    Deployment,
    /// APIs that reject, and callers that insist.
    Storm,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::All,
        Self::Calm,
        Self::Outage,
        Self::Store,
        Self::Clocks,
        Self::Grace,
        Self::Points,
        Self::Users,
        Self::Deployment,
        Self::Storm,
    ];

    /// Whether nothing of what happens in this mode may cost a login that nobody ended.
    pub fn is_lossless(self) -> bool {
        match self {
            Self::Calm | Self::Outage | Self::Store | Self::Clocks | Self::Grace | Self::Storm => {
                true
            }
            Self::All | Self::Points | Self::Users | Self::Deployment => false,
        }
    }

    /// How often each kind of op comes, of all that are drawn.
    fn weights(self) -> &'static [(Draw, u64)] {
        match self {
            Self::All => &[
                (Draw::Traffic, 40),
                (Draw::Expiry, 8),
                (Draw::Crash, 8),
                (Draw::Point, 6),
                (Draw::Stop, 6),
                (Draw::Quit, 3),
                (Draw::Clock, 3),
                (Draw::User, 4),
                (Draw::Wire, 8),
                (Draw::Away, 5),
                (Draw::Api, 4),
                (Draw::Store, 7),
                (Draw::Lease, 2),
                (Draw::Copy, 1),
                (Draw::Decision, 1),
            ],
            Self::Calm => {
                &[(Draw::Traffic, 60), (Draw::Expiry, 20), (Draw::Quit, 5), (Draw::Api, 5)]
            }
            Self::Outage => &[(Draw::Traffic, 60), (Draw::Expiry, 20), (Draw::Away, 25)],
            Self::Store => &[(Draw::Traffic, 60), (Draw::Expiry, 20), (Draw::Store, 25)],
            Self::Clocks => {
                &[(Draw::Traffic, 60), (Draw::Expiry, 20), (Draw::Clock, 15), (Draw::Away, 5)]
            }
            Self::Grace => &[(Draw::Traffic, 60), (Draw::Expiry, 15)],
            Self::Points => &[
                (Draw::Traffic, 50),
                (Draw::Expiry, 20),
                (Draw::Crash, 6),
                (Draw::Point, 20),
                (Draw::Stop, 10),
                (Draw::Wire, 8),
            ],
            Self::Users => &[
                (Draw::Traffic, 50),
                (Draw::Expiry, 15),
                (Draw::User, 25),
                (Draw::Point, 5),
                (Draw::Copy, 6),
                (Draw::Decision, 5),
                (Draw::Store, 5),
            ],
            Self::Deployment => &[
                (Draw::Traffic, 60),
                (Draw::Expiry, 20),
                (Draw::Refusal, 8),
                (Draw::Crash, 5),
                (Draw::User, 3),
            ],
            Self::Storm => &[(Draw::Burst, 60), (Draw::Expiry, 15), (Draw::Api, 25)],
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl FromStr for Mode {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let named = |mode: &Self| mode.to_string() == text;
        Self::ALL.into_iter().find(named).ok_or_else(|| Unreadable(text.to_owned()))
    }
}

/// What an op is drawn from.
#[derive(Clone, Copy, Debug)]
enum Draw {
    Traffic,
    Burst,
    Expiry,
    Crash,
    Point,
    Stop,
    Quit,
    Clock,
    User,
    Wire,
    Away,
    Api,
    Store,
    Lease,
    Copy,
    Decision,
    Refusal,
}

/// The script of this seed.
pub fn generate(seed: u64, mode: Mode) -> Script {
    let mut dice = Dice::of(seed, &[mode as u64]);
    // Minutes, hours, or weeks: how far apart things happen.
    let scale = dice.pick(&[20 * SECOND, 20 * SECOND, 10 * MINUTE, 12 * HOUR]);
    let setup = setup(&mut dice, mode, scale);
    let mut ops = Vec::new();
    if mode == Mode::Clocks || (mode == Mode::All && dice.once_in(4)) {
        for number in 0..setup.processes {
            let step = skew(&mut dice);
            ops.push((0, Op::Clock { by: P(number), step }));
        }
    }
    let mut at = 0;
    let length = dice.between(20, 120);
    let weights = mode.weights();
    let sum = weights.iter().map(|(_, weight)| weight).sum();
    let mut last_upset = 0;
    for _ in 0..length {
        at += match dice.roll(10) {
            0..=4 => dice.roll(2 * SECOND),
            5..=7 => dice.roll(scale.min(MINUTE)),
            _ => dice.roll(scale),
        };
        let mut rolled = dice.roll(sum);
        let draw = weights.iter().find(|(_, weight)| {
            let hit = rolled < *weight;
            rolled = rolled.saturating_sub(*weight);
            hit
        });
        let Some((draw, _)) = draw else { continue };
        for (after, op) in drawn(&mut dice, *draw, &setup, scale) {
            ops.push((at + after, op));
        }
        // One upset in four windows of grace, and the process is there again at once.
        if mode == Mode::Grace && at > last_upset + 4 * setup.grace {
            last_upset = at;
            upset(&mut dice, &setup, at, &mut ops);
        }
    }
    ops.sort_by_key(|(at, _)| *at);
    Script { setup, ops }
}

fn setup(dice: &mut Dice, mode: Mode, scale: u64) -> Setup {
    let lossless = mode.is_lossless();
    let kinds = [
        Kind::Strict,
        Kind::Strict,
        Kind::Refuse,
        Kind::GraceSame,
        Kind::GraceSiblings,
        Kind::GraceLatest,
        Kind::NoRotation,
    ];
    let kind = if mode == Mode::Grace { dice.pick(&kinds[3..6]) } else { dice.pick(&kinds) };
    let (grace, profiles): (u64, &[Profile]) = match kind {
        Kind::Strict | Kind::Refuse => (0, &[Profile::Unknown, Profile::WithoutGrace]),
        Kind::NoRotation => (0, &[Profile::Unknown, Profile::Never]),
        Kind::GraceSame | Kind::GraceSiblings => {
            (dice.pick(&[30 * SECOND, 5 * MINUTE]), &[Profile::Unknown, Profile::KeepsEarlier])
        }
        Kind::GraceLatest => {
            (dice.pick(&[30 * SECOND, 5 * MINUTE]), &[Profile::Unknown, Profile::KillsEarlier])
        }
    };
    let profile = dice.pick(profiles);
    // A replay that is too early kills the successor, where the profile does not say so.
    let profile =
        if lossless && kind == Kind::GraceLatest { Profile::KillsEarlier } else { profile };
    // A clock that jumps ahead while another is waited for finds the intent over, and where the
    // profile lets it, its process goes on. So does whoever finds an intent that a broken store
    // kept open until the grace was over.
    let wary = matches!(mode, Mode::Clocks | Mode::Store) && profile == Profile::KeepsEarlier;
    let profile = if wary { Profile::Unknown } else { profile };
    let grace = if mode == Mode::Grace { 5 * MINUTE } else { grace };
    Setup {
        kind,
        grace,
        ends: u8::from(dice.once_in(2)),
        profile,
        // Tokens that live for minutes are refreshed all through the weeks, and nothing else happens.
        life: dice.pick(&[2 * MINUTE, 10 * MINUTE, HOUR, DAY, 30 * DAY]).max(scale / 4),
        says: dice.pick(&[Says::Honest, Says::Honest, Says::Nothing, Says::Longer, Says::Shorter]),
        // A clock that is ahead takes the tokens of others for expired, and refreshes; where that
        // ends the token before, the others are rejected in turn, and nobody is at rest.
        replaces: u8::from(dice.once_in(3) && mode != Mode::Clocks),
        lease: if lossless {
            Lease::Lock
        } else {
            dice.pick(&[Lease::Lock, Lease::Lock, Lease::Row])
        },
        processes: u8::try_from(dice.pick(&[1, 2, 2, 3, 3, 4, 6, 8])).unwrap_or(1),
        // A look every five seconds through weeks would be all that this computes.
        reread: if scale > MINUTE { HOUR } else { dice.pick(&[5 * SECOND, MINUTE]) },
        returns: 0,
        jitter: dice.word(),
    }
}

/// How wrong a clock is: seconds, minutes, days, years, either way.
fn skew(dice: &mut Dice) -> i64 {
    let wrong = dice.scaled(SECOND, 400 * DAY);
    let wrong = i64::try_from(wrong).unwrap_or(0);
    if dice.once_in(2) { wrong } else { -wrong }
}

fn drawn(dice: &mut Dice, draw: Draw, setup: &Setup, scale: u64) -> Vec<(u64, Op)> {
    let by = P(u8::try_from(dice.roll(u64::from(setup.processes))).unwrap_or(0));
    let to = Api(dice.pick(&[0, 0, 0, 1, 1, 2]));
    let length = dice.scaled(100, (4 * scale).max(MINUTE));
    let short = dice.scaled(100, 2 * MINUTE);
    let op = match draw {
        Draw::Traffic => match dice.roll(12) {
            0 => Op::OneShot { by, to },
            1 => Op::Foreign { by },
            2..=5 => Op::Request { by, to, count: 6, apart: dice.roll(50) },
            _ => Op::Request { by, to, count: 1, apart: 0 },
        },
        Draw::Burst => {
            let count = u8::try_from(dice.between(5, 60)).unwrap_or(5);
            Op::Request { by, to, count, apart: dice.scaled(100, 30 * SECOND) }
        }
        Draw::Expiry => {
            // All at once, as fleets do.
            let all = (0..setup.processes).map(|number| {
                (dice.roll(50), Op::Request { by: P(number), to, count: 2, apart: 1 })
            });
            return [(0, Op::Expire {})].into_iter().chain(all.collect::<Vec<_>>()).collect();
        }
        Draw::Crash => {
            let back = dice.scaled(10, MINUTE);
            return vec![(0, Op::Kill { by }), (back, Op::Start { by })];
        }
        Draw::Point => {
            let point = dice.pick(Point::ALL);
            let trap = if dice.once_in(3) {
                Op::StopAt { by, point, length: dice.scaled(100, 5 * MINUTE) }
            } else {
                Op::KillAt { by, point }
            };
            let back = dice.scaled(100, 5 * MINUTE);
            let request = Op::Request { by, to, count: 1, apart: 0 };
            return vec![(0, Op::Expire {}), (0, trap), (1, request), (back, Op::Start { by })];
        }
        Draw::Stop if dice.once_in(2) => Op::Stop { by, length: short },
        Draw::Stop => Op::Suspend { by, length },
        Draw::Quit => {
            return vec![(0, Op::Quit { by }), (dice.scaled(SECOND, MINUTE), Op::Start { by })];
        }
        Draw::Clock => Op::Clock { by, step: skew(dice) },
        Draw::User => match dice.roll(5) {
            0 | 1 => Op::Logout { by },
            2 => Op::Reconsider { by },
            _ => Op::Login { by },
        },
        Draw::Wire if dice.once_in(4) => Op::SlowWire {
            by,
            there: dice.scaled(10, 40 * SECOND),
            back: dice.scaled(10, 60 * SECOND),
        },
        Draw::Wire => Op::Wire { by, fault: dice.pick(Wire::ALL) },
        Draw::Away => Op::Away { how: dice.pick(Outage::ALL), length },
        Draw::Api => Op::Api { of: to, how: dice.pick(ApiFault::ALL), length },
        Draw::Store => {
            let of = Whose(dice.once_in(2).then_some(by));
            Op::Store { of, how: dice.pick(StoreTrouble::ALL), length: short.max(length / 4) }
        }
        Draw::Lease if dice.once_in(2) => Op::LoseLease {},
        Draw::Lease => Op::Lockless { length },
        Draw::Copy if dice.once_in(2) => Op::Backup {},
        Draw::Copy => Op::Restore {},
        Draw::Decision if dice.once_in(2) => Op::EndGrant {},
        Draw::Decision => Op::Stranger {},
        Draw::Refusal => Op::RefuseAll { length },
    };
    vec![(0, op)]
}

/// One crash or one lost answer, in a refresh that is made to happen, and callers who insist.
fn upset(dice: &mut Dice, setup: &Setup, at: u64, ops: &mut Vec<(u64, Op)>) {
    let by = P(u8::try_from(dice.roll(u64::from(setup.processes))).unwrap_or(0));
    let lost = [Wire::LostBack, Wire::ResetBack, Wire::Gateway, Wire::ResetThere, Wire::LostThere];
    let op = if dice.once_in(2) {
        Op::KillAt { by, point: dice.pick(Point::ALL) }
    } else {
        Op::Wire { by, fault: dice.pick(&lost) }
    };
    ops.extend([(at, Op::Expire {}), (at, op)]);
    ops.push((at + 10, Op::Request { by, to: Api(0), count: 1, apart: 0 }));
    // Back within seconds of any of the points, and asked again and again through the window.
    for back in [1, 2, 5, 15, 32] {
        ops.push((at + back * SECOND, Op::Start { by }));
    }
    ops.push((at + 2 * SECOND, Op::Request { by, to: Api(1), count: 60, apart: SECOND }));
}
