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
const SERVERS: [(Kind, Rotation); 9] = [
    (Kind::Strict, Rotation::Unknown),
    (Kind::Strict, Rotation::WithoutGrace),
    (Kind::Refuse, Rotation::Unknown),
    (Kind::GraceSame, Rotation::Unknown),
    (Kind::GraceSiblings, Rotation::Unknown),
    (Kind::GraceSiblings, Rotation::GraceKeepsEarlier),
    (Kind::GraceLatest, Rotation::GraceKillsEarlier),
    (Kind::NoRotation, Rotation::Never),
    (Kind::NoRotation, Rotation::Unknown),
];

/// What goes wrong together in the runs that take longer: with an expired token, one API, two
/// processes. Each comes to its end before most of the servers, within the states of its bound.
const TROUBLES: &[(&str, &[(Chance, u8)])] = &[
    ("crashes", &[(Request, 1), (Crash, 2), (LateMessage, 1)]),
    ("crash_and_late_message", &[(Request, 2), (Crash, 1), (LateMessage, 1)]),
    ("crash_and_lost_messages", &[(Request, 3), (Crash, 1), (LostAnswer, 1), (LostRequest, 1)]),
    ("stops", &[(Request, 2), (Stop, 2)]),
    ("stop_and_late_message", &[(Request, 2), (Stop, 1), (LateMessage, 1)]),
    ("stop_and_crash", &[(Request, 2), (Stop, 1), (Crash, 1)]),
    ("saves_fail_and_crash", &[(Request, 2), (FailedSave, 1), (UnknownSave, 1), (Crash, 1)]),
    (
        "slow_store",
        &[(Request, 2), (LateOperation, 1), (StaleLoad, 1), (FailedLoad, 1), (UnknownSave, 1)],
    ),
    ("logout_and_login", &[(Request, 1), (Login, 1), (Logout, 1), (LateMessage, 1)]),
    ("revoked", &[(Request, 2), (Revocation, 1), (Reconsider, 1), (Crash, 1)]),
    ("outage_and_crash", &[(Request, 1), (Outage, 1), (Crash, 1)]),
    ("clocks", &[(Request, 1), (Forward, 1), (Backward, 1), (Crash, 1)]),
];

/// What else is searched at length.
const MORE: &[Run] = &[
    Run {
        apis: 2,
        at_a_time: 2,
        good: true,
        ..Run::new("two_apis", Chances::of(&[(Request, 3), (Rejection, 2), (Outage, 1)]))
    },
    Run {
        apis: 2,
        good: true,
        kind: Kind::Refuse,
        ..Run::new(
            "two_apis_and_the_end",
            Chances::of(&[(Request, 3), (Rejection, 2), (Revocation, 1)]),
        )
    },
    Run {
        good: true,
        lifetime: Some(6),
        ticks: Some(8),
        ..Run::new("local_expiry", Chances::of(&[(Request, 2), (Rejection, 1), (Outage, 1)]))
    },
    Run {
        good: true,
        apis: 2,
        lifetime: Some(6),
        ticks: Some(6),
        kind: Kind::Refuse,
        processes: 1,
        ..Run::new(
            "local_expiry_and_the_end",
            Chances::of(&[(Request, 3), (Rejection, 2), (Revocation, 1), (Reconsider, 1)]),
        )
    },
    Run {
        good: true,
        lifetime: Some(6),
        ticks: Some(8),
        ..Run::new(
            "local_expiry_and_crash",
            Chances::of(&[(Request, 2), (Rejection, 1), (Crash, 1), (LostAnswer, 1)]),
        )
    },
    Run {
        kind: Kind::Refuse,
        good: true,
        ..Run::new("backup", Chances::of(&[(Request, 2), (Expiry, 1), (Login, 1), (Restore, 1)]))
    },
    Run {
        apis: 2,
        burst: 2,
        good: true,
        ..Run::new("small_bucket", Chances::of(&[(Request, 3), (Rejection, 3)]))
    },
    Run {
        processes: 3,
        ..Run::new("three_processes_crash", Chances::of(&[(Request, 3), (Crash, 1)]))
    },
    Run {
        processes: 3,
        ..Run::new("three_processes_stop", Chances::of(&[(Request, 3), (Stop, 1)]))
    },
    Run {
        processes: 3,
        kind: Kind::GraceSiblings,
        rotation: Rotation::GraceKeepsEarlier,
        ..Run::new("three_processes_pass", Chances::of(&[(Request, 3), (Stop, 1)]))
    },
];

/// The runs that take longer: every trouble at every kind of server, with a lock and, where it
/// makes a difference, with a row of a database; and more.
pub fn large() -> Vec<Run> {
    let mut runs = MORE.to_vec();
    for (name, chances) in TROUBLES {
        for (kind, rotation) in SERVERS {
            let lock = Run { kind, rotation, ..Run::new(name, Chances::of(chances)) };
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
