//! The runs of the large bound.

use regrant_core::Rotation;

use crate::Kind;
use crate::model::chance::Chance::{
    Backward, Crash, Expiry, FailedLoad, FailedSave, Forward, LateMessage, LateOperation, Login,
    Logout, LostAnswer, LostRequest, Outage, Reconsider, Rejection, Request, Restore, Revocation,
    StaleLoad, Stop, UnknownSave,
};
use crate::model::chance::{Chance, Chances};
use crate::model::run::{Exclusion, Run};

/// Every kind of server, with what its profile says of it or without a profile.
const SERVERS: [(Kind, Rotation, &str); 9] = [
    (Kind::Strict, Rotation::Unknown, "strict"),
    (Kind::Strict, Rotation::WithoutGrace, "strict, known"),
    (Kind::Refuse, Rotation::Unknown, "refuse"),
    (Kind::GraceSame, Rotation::Unknown, "grace, same"),
    (Kind::GraceSiblings, Rotation::Unknown, "grace, siblings"),
    (Kind::GraceSiblings, Rotation::GraceKeepsEarlier, "grace, siblings, known"),
    (Kind::GraceLatest, Rotation::GraceKillsEarlier, "grace, latest, known"),
    (Kind::NoRotation, Rotation::Never, "no rotation, known"),
    (Kind::NoRotation, Rotation::Unknown, "no rotation"),
];

/// What goes wrong together in the runs that take longer: with an expired token, one API, two
/// processes.
const TROUBLES: &[(&str, &[(Chance, u8)])] = &[
    ("crashes", &[(Request, 2), (Crash, 2), (LateMessage, 1)]),
    ("crash_and_lost_messages", &[(Request, 3), (Crash, 1), (LostAnswer, 1), (LostRequest, 1)]),
    ("stops", &[(Request, 2), (Stop, 2), (LateMessage, 1)]),
    ("stop_and_crash", &[(Request, 2), (Stop, 1), (Crash, 1)]),
    ("saves_fail_and_crash", &[(Request, 2), (FailedSave, 1), (UnknownSave, 1), (Crash, 1)]),
    (
        "slow_store",
        &[(Request, 2), (LateOperation, 1), (StaleLoad, 1), (FailedLoad, 1), (UnknownSave, 1)],
    ),
    ("logout_and_login", &[(Request, 2), (Login, 1), (Logout, 1), (LateMessage, 1)]),
    ("revoked", &[(Request, 3), (Revocation, 1), (Reconsider, 1), (Crash, 1), (LateMessage, 1)]),
    ("outage_and_crash", &[(Request, 3), (Outage, 2), (Crash, 1)]),
    ("clocks", &[(Request, 2), (Forward, 1), (Backward, 1), (Crash, 1)]),
];

/// What else is searched at length.
const MORE: &[Run] = &[
    Run {
        apis: 2,
        at_a_time: 2,
        good: true,
        ..Run::new("two_apis", Chances::of(&[(Request, 4), (Rejection, 3), (Outage, 1)]))
    },
    Run {
        apis: 2,
        good: true,
        kind: Kind::Refuse,
        ..Run::new(
            "two_apis_and_the_end",
            Chances::of(&[(Request, 4), (Rejection, 3), (Revocation, 1), (Login, 1)]),
        )
    },
    Run {
        good: true,
        lifetime: Some(6),
        ..Run::new("local_expiry", Chances::of(&[(Request, 3), (Rejection, 2), (Outage, 1)]))
    },
    Run {
        good: true,
        apis: 2,
        lifetime: Some(6),
        kind: Kind::Refuse,
        processes: 1,
        ..Run::new(
            "local_expiry_and_the_end",
            Chances::of(&[
                (Request, 4),
                (Rejection, 3),
                (Revocation, 1),
                (Reconsider, 1),
                (LateMessage, 1),
            ]),
        )
    },
    Run {
        good: true,
        lifetime: Some(6),
        ..Run::new(
            "local_expiry_and_crash",
            Chances::of(&[(Request, 2), (Rejection, 1), (Crash, 1), (LostAnswer, 1)]),
        )
    },
    Run {
        kind: Kind::Refuse,
        good: true,
        ..Run::new("backup", Chances::of(&[(Request, 2), (Expiry, 2), (Login, 1), (Restore, 1)]))
    },
    Run {
        apis: 2,
        burst: 2,
        good: true,
        ..Run::new("small_bucket", Chances::of(&[(Request, 4), (Rejection, 4), (Outage, 1)]))
    },
    Run {
        processes: 3,
        ..Run::new("three_processes", Chances::of(&[(Request, 3), (Crash, 1), (Stop, 1)]))
    },
    Run {
        processes: 3,
        kind: Kind::GraceSiblings,
        rotation: Rotation::GraceKeepsEarlier,
        ..Run::new("three_processes_pass", Chances::of(&[(Request, 3), (Stop, 2)]))
    },
];

/// The runs that take longer: every trouble at every kind of server, with a lock and, where it
/// makes a difference, with a row of a database; and more.
pub fn large() -> Vec<Run> {
    let mut runs = MORE.to_vec();
    for (name, chances) in TROUBLES {
        for (kind, rotation, server) in SERVERS {
            let lock = Run { kind, rotation, server, ..Run::new(name, Chances::of(chances)) };
            let row = Run { exclusion: Exclusion::Row, ..lock.clone() };
            let holds =
                chances.iter().any(|(chance, _)| matches!(chance, Stop | Crash | LateMessage));
            runs.push(lock);
            if holds {
                runs.push(row);
            }
        }
    }
    runs
}
