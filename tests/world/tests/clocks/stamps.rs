//! Readings of clocks, right and wrong, and records that are stamped with them.

use std::time::Duration;

use proptest::prelude::*;
use regrant_core::{
    Access, Budget, Cause, Client, CoolDown, Grant, Id, Intent, Login, Mark, Policy, Record,
    Refresh, Rotation, Secret, Timestamp, TokenId,
};
use regrant_world::origin;

/// The current generation of every record here; earlier ones can be marked.
pub(crate) const GENERATION: u64 = 5;

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// Where a reading lies, seen from a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stamp {
    Zero,
    One,
    YearBack,
    JustBefore,
    At,
    JustAfter,
    Ahead(u16),
    YearAhead,
    AlmostNever,
    Never,
    /// The same as the stamp before.
    Again,
}

impl Stamp {
    fn read(self, now: Timestamp, last: &mut Timestamp) -> Timestamp {
        let millisecond = Duration::from_millis(1);
        let at = match self {
            Self::Zero => Timestamp::EPOCH,
            Self::One => Timestamp::EPOCH + millisecond,
            Self::YearBack => now - YEAR,
            Self::JustBefore => now - millisecond,
            Self::At => now,
            Self::JustAfter => now + millisecond,
            Self::Ahead(seconds) => now + Duration::from_secs(seconds.into()),
            Self::YearAhead => now + YEAR,
            Self::AlmostNever => Timestamp::NEVER - millisecond,
            Self::Never => Timestamp::NEVER,
            Self::Again => *last,
        };
        *last = at;
        at
    }

    /// The reading of a clock.
    pub(crate) fn alone(self, now: Timestamp) -> Timestamp {
        self.read(now, &mut { now })
    }
}

pub(crate) fn stamp() -> impl Strategy<Value = Stamp> {
    prop_oneof![
        Just(Stamp::Zero),
        Just(Stamp::One),
        Just(Stamp::YearBack),
        Just(Stamp::JustBefore),
        Just(Stamp::At),
        Just(Stamp::JustAfter),
        any::<u16>().prop_map(Stamp::Ahead),
        Just(Stamp::YearAhead),
        Just(Stamp::AlmostNever),
        Just(Stamp::Never),
        Just(Stamp::Again),
    ]
}

/// The reading at which a process starts.
pub(crate) fn start() -> impl Strategy<Value = Timestamp> {
    let usual = 1_750_000_000_000;
    prop_oneof![
        4 => Just(usual),
        1 => Just(0),
        1 => Just(1),
        1 => Just(60_000),
        1 => Just(u64::MAX),
        1 => Just(u64::MAX - 1),
        1 => any::<u64>(),
    ]
    .prop_map(Timestamp::from_millis)
}

/// An announced lifetime.
pub(crate) fn lifetime() -> impl Strategy<Value = Option<Duration>> {
    prop_oneof![
        3 => Just(Some(Duration::from_secs(3_600))),
        1 => Just(None),
        1 => Just(Some(Duration::from_millis(1))),
        1 => Just(Some(Duration::from_millis(u64::MAX))),
        1 => Just(Some(Duration::MAX)),
        1 => (1_u64..200_000).prop_map(|seconds| Some(Duration::from_secs(seconds))),
    ]
}

/// What stands in a record, and by which clock.
#[derive(Clone, Debug)]
pub(crate) struct Stamped {
    access: Access,
    obtained_at: Stamp,
    lifetime: Option<Duration>,
    in_doubt: Option<Stamp>,
    refresh_expires_at: Option<Stamp>,
    refreshed_at: Option<Stamp>,
    in_flight_until: Option<Stamp>,
    intent: Option<(Stamp, Stamp, bool)>,
    cool_down: Option<(Stamp, bool)>,
    full_at: Stamp,
    /// Of x and of y: until when, for which generation, still rejected, weak.
    marks: [Option<(Stamp, u64, bool, bool)>; 2],
}

pub(crate) fn stamped() -> impl Strategy<Value = Stamped> {
    let maybe = || proptest::option::of(stamp());
    let mark = || {
        let generation = prop_oneof![Just(1), Just(GENERATION - 1), Just(GENERATION)];
        proptest::option::weighted(0.3, (stamp(), generation, any::<bool>(), any::<bool>()))
    };
    let access = prop_oneof![Just(Access::Trusted), Just(Access::Probation)];
    let renewal = (maybe(), maybe(), maybe());
    let waits = (
        proptest::option::weighted(0.3, stamp()),
        proptest::option::weighted(0.3, (stamp(), stamp(), any::<bool>())),
        proptest::option::weighted(0.3, (stamp(), any::<bool>())),
        stamp(),
    );
    (access, stamp(), lifetime(), renewal, waits, [mark(), mark()]).prop_map(
        |(access, obtained_at, lifetime, renewal, waits, marks)| {
            let (in_doubt, refresh_expires_at, refreshed_at) = renewal;
            let (in_flight_until, intent, cool_down, full_at) = waits;
            Stamped {
                access,
                obtained_at,
                lifetime,
                in_doubt,
                refresh_expires_at,
                refreshed_at,
                in_flight_until,
                intent,
                cool_down,
                full_at,
                marks,
            }
        },
    )
}

impl Stamped {
    /// The record, read at `now`.
    pub(crate) fn record(&self, now: Timestamp) -> Record {
        let mut last = now;
        let mut read = |stamp: Stamp| stamp.read(now, &mut last);
        let mut record = Record::login(&login(0, now, self.lifetime), None);
        record.generation = GENERATION;
        for slot in record.slots.values_mut() {
            slot.generation = GENERATION;
            slot.access = self.access;
            slot.obtained_at = read(self.obtained_at);
        }
        if let Some(since) = self.in_doubt {
            record.refresh = Refresh::InDoubt { since: read(since) };
        }
        record.refresh_expires_at = self.refresh_expires_at.map(&mut read);
        record.refreshed_at = self.refreshed_at.map(&mut read);
        record.in_flight_until = self.in_flight_until.map(&mut read);
        record.attempt = self.intent.map(|(at, deadline, raised)| Intent {
            nonce: Id([8; 16]),
            owner: Id([9; 16]),
            at: read(at),
            deadline: read(deadline),
            raised,
        });
        record.cool_down = self.cool_down.map(|(until, ahead_only)| CoolDown {
            until: read(until),
            cause: Cause::Unavailable,
            code: None,
            streak: u32::MAX,
            ahead_only,
        });
        record.budget = Budget { full_at: read(self.full_at) };
        for (mark, name) in self.marks.iter().zip(["x", "y"]) {
            if let Some((until, generation, still, weak)) = *mark {
                record.marks.push(Mark {
                    origin: origin(name),
                    rejected: TokenId { slot: 0, generation },
                    until: read(until),
                    streak: 2,
                    still,
                    weak,
                });
            }
        }
        record
    }
}

/// The `n`-th login.
pub(crate) fn login(n: u8, obtained_at: Timestamp, lifetime: Option<Duration>) -> Login {
    Login {
        incarnation: Id([n + 1; 16]),
        client: Client::new("https://as.example/token", "client"),
        origins: vec![origin("x"), origin("y")],
        grant: grant(&format!("login-{n}"), lifetime),
        obtained_at,
    }
}

pub(crate) fn grant(name: &str, lifetime: Option<Duration>) -> Grant {
    let mut grant = Grant::bearer(Secret::new(format!("access-{name}")));
    grant.refresh_token = Some(Secret::new(format!("refresh-{name}")));
    grant.expires_in = lifetime;
    grant
}

pub(crate) fn policy() -> impl Strategy<Value = Policy> {
    let rotation = prop_oneof![
        Just(Rotation::Unknown),
        Just(Rotation::Never),
        Just(Rotation::WithoutGrace),
        Just(Rotation::GraceKeepsEarlier),
        Just(Rotation::GraceKillsEarlier),
    ];
    rotation.prop_map(|rotation| {
        let mut policy = Policy::default();
        policy.rotation = rotation;
        // Days pass here; a look every ten minutes is enough.
        policy.reread = Duration::from_secs(600);
        policy
    })
}
