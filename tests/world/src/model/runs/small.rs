//! The runs of the small bound.

use regrant_core::Rotation;

use crate::Kind;
use crate::model::chance::Chance::{
    Backward, Crash, Expiry, FailedLoad, FailedSave, Forward, LateMessage, LateOperation, Login,
    Logout, LostAnswer, LostLease, LostRequest, Outage, Reconsider, Rejection, Request, Restore,
    Revocation, StaleLoad, Stop, Stray, UnknownSave,
};
use crate::model::chance::Chances;
use crate::model::run::{Exclusion, Run};

/// The runs that are searched to their end within a test.
pub const SMALL: &[Run] = &[
    Run::new("crash", Chances::of(&[(Request, 2), (Crash, 1)])),
    Run {
        kind: Kind::GraceSame,
        ..Run::new(
            "lost_answers_in_a_grace",
            Chances::of(&[(Request, 2), (LostAnswer, 2), (LostRequest, 1)]),
        )
    },
    Run {
        kind: Kind::GraceSiblings,
        ..Run::new(
            "crash_and_lost_answer_in_a_grace",
            Chances::of(&[(Request, 2), (LostAnswer, 1), (Crash, 1)]),
        )
    },
    Run {
        kind: Kind::Refuse,
        ..Run::new("late_messages", Chances::of(&[(Request, 2), (LateMessage, 2)]))
    },
    Run {
        kind: Kind::GraceLatest,
        rotation: Rotation::GraceKillsEarlier,
        ..Run::new(
            "crash_and_late_message_where_a_replay_kills",
            Chances::of(&[(Request, 1), (Crash, 1), (LateMessage, 1)]),
        )
    },
    Run::new("stopped_holder", Chances::of(&[(Request, 2), (Stop, 1)])),
    Run {
        kind: Kind::GraceSiblings,
        rotation: Rotation::GraceKeepsEarlier,
        ..Run::new("stopped_holder_is_passed", Chances::of(&[(Request, 2), (Stop, 1)]))
    },
    Run {
        kind: Kind::GraceSiblings,
        rotation: Rotation::GraceKeepsEarlier,
        ticks: Some(7),
        ..Run::new(
            "passed_holder_comes_back",
            Chances::of(&[(Request, 2), (Stop, 1), (LateMessage, 1)]),
        )
    },
    Run {
        kind: Kind::GraceLatest,
        rotation: Rotation::GraceKillsEarlier,
        exclusion: Exclusion::Row,
        ..Run::new("row_is_lost", Chances::of(&[(Request, 2), (LateMessage, 1), (LostLease, 1)]))
    },
    Run {
        exclusion: Exclusion::Row,
        ..Run::new("row_of_a_stopped_owner", Chances::of(&[(Request, 2), (Stop, 1)]))
    },
    Run {
        kind: Kind::GraceSame,
        exclusion: Exclusion::Row,
        ..Run::new("row_of_a_stopped_owner_in_a_grace", Chances::of(&[(Request, 2), (Stop, 1)]))
    },
    Run::new("saves_fail", Chances::of(&[(Request, 2), (FailedSave, 1), (UnknownSave, 1)])),
    Run::new(
        "slow_store",
        Chances::of(&[(Request, 1), (LateOperation, 1), (StaleLoad, 1), (FailedLoad, 1)]),
    ),
    Run {
        good: true,
        ..Run::new(
            "logout_and_login",
            Chances::of(&[(Request, 1), (Expiry, 1), (Login, 1), (Logout, 1)]),
        )
    },
    Run {
        apis: 2,
        good: true,
        ..Run::new("bad_api", Chances::of(&[(Request, 3), (Rejection, 2)]))
    },
    Run::new("outage", Chances::of(&[(Request, 2), (Outage, 1)])),
    Run {
        processes: 1,
        apis: 2,
        good: true,
        ..Run::new("outage_and_two_apis", Chances::of(&[(Request, 2), (Rejection, 1), (Outage, 1)]))
    },
    Run {
        kind: Kind::GraceSame,
        ..Run::new("clocks", Chances::of(&[(Request, 2), (Forward, 1), (Backward, 1)]))
    },
    Run {
        kind: Kind::Refuse,
        good: true,
        ..Run::new("backup", Chances::of(&[(Request, 1), (Expiry, 1), (Login, 1), (Restore, 1)]))
    },
    Run {
        good: true,
        ..Run::new("revoked", Chances::of(&[(Request, 2), (Revocation, 1), (Reconsider, 1)]))
    },
    Run {
        good: true,
        ..Run::new("stray", Chances::of(&[(Request, 2), (Rejection, 1), (Stray, 2)]))
    },
    Run { processes: 3, ..Run::new("three_processes", Chances::of(&[(Request, 3)])) },
    // Ahead of need: one process, whose tokens end by the clock too.
    Run {
        processes: 1,
        apis: 2,
        at_a_time: 2,
        good: true,
        lifetime: Some(6),
        ticks: Some(6),
        ..Run::new("ahead_of_need", Chances::of(&[(Request, 3), (Rejection, 2)]))
    },
    Run {
        processes: 1,
        good: true,
        lifetime: Some(3),
        ticks: Some(6),
        ..Run::new(
            "ahead_of_need_in_an_outage",
            Chances::of(&[(Request, 1), (Rejection, 1), (Outage, 1)]),
        )
    },
    Run {
        kind: Kind::Refuse,
        processes: 1,
        good: true,
        lifetime: Some(3),
        ticks: Some(3),
        ..Run::new(
            "ahead_of_need_and_refused",
            Chances::of(&[(Request, 2), (Rejection, 1), (Revocation, 1), (Reconsider, 1)]),
        )
    },
    Run {
        kind: Kind::Refuse,
        processes: 1,
        apis: 2,
        at_a_time: 2,
        good: true,
        lifetime: Some(3),
        ticks: Some(3),
        ..Run::new(
            "ahead_of_need_and_two_apis_refused",
            Chances::of(&[(Request, 2), (Rejection, 1), (Revocation, 1)]),
        )
    },
    Run {
        rotation: Rotation::WithoutGrace,
        processes: 1,
        apis: 2,
        good: true,
        lifetime: Some(3),
        ticks: Some(4),
        ..Run::new(
            "ahead_of_need_and_crash",
            Chances::of(&[(Request, 3), (Rejection, 2), (Crash, 1)]),
        )
    },
    Run {
        exclusion: Exclusion::Row,
        ended: true,
        ticks: Some(6),
        ..Run::new("refused_past_its_time", Chances::of(&[(Request, 2), (Stop, 1), (Outage, 1)]))
    },
    Run {
        ended: true,
        ticks: Some(1),
        ..Run::new(
            "reconsidered_elsewhere",
            Chances::of(&[(Request, 3), (Reconsider, 1), (Outage, 1)]),
        )
    },
    Run {
        processes: 1,
        good: true,
        ..Run::new("clock_back_at_a_start", Chances::of(&[(Request, 1), (Crash, 1), (Backward, 1)]))
    },
    Run {
        apis: 2,
        burst: 1,
        good: true,
        ..Run::new("small_bucket", Chances::of(&[(Request, 2), (Rejection, 2)]))
    },
    Run::new("logout_of_a_dead_grant", Chances::of(&[(Request, 1), (Revocation, 1), (Logout, 1)])),
    Run {
        good: true,
        lifetime: Some(3),
        ticks: Some(6),
        ..Run::new(
            "ahead_of_need_elsewhere",
            Chances::of(&[(Request, 1), (Rejection, 1), (Outage, 1)]),
        )
    },
];
