//! A script is played: what each op does to the fleet, and how all ends.

use crate::sim::authority::Ended;
use crate::sim::books::Kept;
use crate::sim::fleet::{Due, Fleet, Trap};
use crate::sim::ops::{Op, P, Script, StoreTrouble};
use crate::sim::process::Happened;
use crate::sim::recovery;
use crate::sim::reference::{Broken, Rule};
use crate::sim::report::Counters;
use crate::sim::store::Trouble;

/// What a script came to.
#[derive(Debug)]
pub struct Played {
    /// What was counted.
    pub counters: Counters,
    /// The first rule that was broken.
    pub broken: Option<Broken>,
    /// What happened, in words, if it was asked for.
    pub log: Vec<String>,
}

/// Plays a script to its end, and then until everybody is served again. `lossless`: nothing of
/// what happens may cost a login that nobody ended.
pub fn play(script: &Script, lossless: bool) -> Played {
    play_and_log(script, lossless, false)
}

/// The same, and `log` says whether what happens is told in words.
pub fn play_and_log(script: &Script, lossless: bool, log: bool) -> Played {
    let mut fleet = Fleet::new(script);
    fleet.log = log.then(Vec::new);
    fleet.read_script();
    let end = script.ops.last().map_or(0, |(at, _)| *at);
    fleet.play_until(end);
    recovery::recover(&mut fleet);
    let now = fleet.now;
    fleet.reference.ends(now);
    let kind = script.setup.kind;
    for loss in fleet.reference.told.values() {
        fleet.counters.lose(kind, *loss);
    }
    let lost: Vec<_> = fleet.reference.told.values().filter(|loss| !loss.is_meant()).collect();
    if lossless && fleet.reference.broken.is_none() && !lost.is_empty() {
        let what = format!("lost: {lost:?}");
        fleet.reference.broken = Some(Broken { rule: Rule::Savable, at: now, what });
    }
    fleet.counters.runs = 1;
    fleet.counters.virtual_ms = now;
    fleet.counters.broken = u64::from(fleet.reference.broken.is_some());
    let log = fleet.log.unwrap_or_default();
    Played { counters: fleet.counters, broken: fleet.reference.broken, log }
}

/// How long a fault waits for the token request that it is meant for: a minute, so that two faults
/// never meet in one window of grace because the first found nothing to happen to.
const SOON: u64 = 60_000;

/// Does one op.
pub(super) fn perform(fleet: &mut Fleet<'_>, op: Op) {
    let now = fleet.now;
    fleet.note(|| op.to_string());
    let seat = |p: P| usize::from(p.0) % fleet.seats.len();
    match op {
        Op::Request { by, to, count, apart } => {
            let (by, to) = (seat(by), usize::from(to.0));
            for number in 0..u64::from(count) {
                fleet.push_in(number * apart, Due::Begin { by, to, replayable: true });
            }
        }
        Op::OneShot { by, to } => fleet.begin(seat(by), usize::from(to.0), false),
        Op::Foreign { by } => fleet.begin(seat(by), 3, true),
        Op::Kill { by } => fleet.kill(seat(by)),
        Op::KillAt { by, point } => fleet.set_trap(seat(by), Trap::Kill(point)),
        Op::Start { by } => fleet.start(seat(by)),
        Op::Stop { by, length } => fleet.freeze(seat(by), length, false),
        Op::StopAt { by, point, length } => fleet.set_trap(seat(by), Trap::Stop(point, length)),
        Op::Suspend { by, length } => fleet.freeze(seat(by), length, true),
        Op::Quit { by } if fleet.runs(seat(by)) => fleet.tell(seat(by), Happened::Close),
        Op::Clock { by, step } => fleet.set_clock(seat(by), step),
        Op::Login { by } => fleet.log_in(seat(by)),
        Op::Logout { by } if fleet.runs(seat(by)) => fleet.tell(seat(by), Happened::LogOut),
        Op::Reconsider { by } if fleet.runs(seat(by)) => {
            fleet.reference.books.reconsiders(seat(by), now);
            fleet.tell(seat(by), Happened::Reconsider);
        }
        // Nobody is there to do it.
        Op::Quit { .. } | Op::Logout { .. } | Op::Reconsider { .. } => {}
        Op::Wire { by, fault } => {
            let by = seat(by);
            fleet.seats[by].wires.push_back((fault, now + SOON));
        }
        Op::SlowWire { by, there, back } => {
            let by = seat(by);
            fleet.seats[by].slow = Some(((there, back), now + SOON));
        }
        Op::Away { how, length } => fleet.outage = Some((how, now + length)),
        Op::Api { of, how, length } => {
            fleet.apis[usize::from(of.0)].fault = Some((how, now + length));
        }
        Op::Expire {} => fleet.reference.books.authority.expire(now),
        Op::EndGrant {} => {
            let authority = &mut fleet.reference.books.authority;
            if let Some(family) = authority.newest() {
                authority.end(family, Ended::ByServer, now);
            }
        }
        Op::RefuseAll { length } => {
            fleet.reference.books.authority.refuses_until = now + length;
        }
        Op::Stranger {} => fleet.stranger = true,
        Op::Store { of, how, length } => {
            let of = of.0.map(seat).filter(|_| how != StoreTrouble::Corrupt);
            fleet.store.trouble(Trouble { of, how, until: now + length });
        }
        Op::Backup {} => fleet.store.back_up(),
        Op::Restore {} => {
            if let Some(kept) = fleet.store.restore().map(Kept::of) {
                fleet.reference.books.stored(kept, true, now);
            }
        }
        Op::LoseLease {} => {
            let lost = fleet.store.lose();
            if let Some(host) = lost.and_then(|who| fleet.reference.books.host(who)) {
                host.lease_unsure = true;
            }
        }
        Op::Lockless { length } => {
            fleet.reference.books.lockless = true;
            fleet.store.lockless_until = now + length;
        }
    }
}
