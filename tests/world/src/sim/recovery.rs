//! After the last op nothing is wrong any more: everybody must be served again, in bounded time.

use crate::sim::calls::Ended;
use crate::sim::fleet::Fleet;
use crate::sim::reference::Rule;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;

/// When everybody asks, after the end of all faults: at once; after the first cool-down; after the
/// bucket's first minutes; after the longest cool-down, and one more; and after a day, the longest
/// that a Retry-After or a stamp of another clock can delay anything, and what follows from it.
const ROUNDS: [u64; 8] =
    [0, 70_000, 10 * MINUTE, 65 * MINUTE, 135 * MINUTE, 25 * HOUR, 27 * HOUR, 50 * HOUR];

/// By then, everybody is served whose clock is right and whom no server told to wait: the sixth.
const IN_ORDER: usize = 5;

/// How long one round is given: a caller's patience, and two replays, each as patient.
const ROUND: u64 = 100_000;

/// How the callers of one round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Round {
    Served,
    /// Everybody who was not served was told that a login is needed.
    Login,
    NotYet,
}

pub(super) fn recover(fleet: &mut Fleet<'_>) {
    fleet.store.mend();
    fleet.outage = None;
    fleet.stranger = false;
    fleet.reference.books.authority.refuses_until = 0;
    fleet.forget_traps();
    for api in &mut fleet.apis {
        api.fault = None;
    }
    fleet.thaw();
    // Those that were told to end may take their time for it.
    let now = fleet.now;
    fleet.play_until(now + 60_000);
    for process in 0..fleet.seats.len() {
        fleet.start(process);
    }
    if rounds(fleet) == Round::Login && fleet.reference.broken.is_none() {
        fleet.log_in(0);
        // The others look for it at their next request, and now and then by themselves.
        let now = fleet.now;
        fleet.play_until(now + 10_000);
        let after = rounds(fleet);
        let now = fleet.now;
        let served = after == Round::Served;
        fleet.reference.demand(served, Rule::Recovery, now, || {
            format!("after a login, somebody is not served: {after:?}")
        });
    }
    let unanswered = |fleet: &Fleet<'_>| {
        let waits = |call: &&crate::sim::calls::Call| {
            call.ended.is_none() && fleet.reference.books.lives(call.who)
        };
        fleet.calls.iter().filter(waits).count()
    };
    let waiting = unanswered(fleet);
    let now = fleet.now;
    fleet.reference.demand(waiting == 0, Rule::Patience, now, || {
        format!("{waiting} callers were never answered")
    });
}

/// Rounds until everybody is served, or everybody else is told to log in.
fn rounds(fleet: &mut Fleet<'_>) -> Round {
    let begin = fleet.now;
    let mut last = Round::NotYet;
    let mut how = Vec::new();
    for (number, after) in ROUNDS.into_iter().enumerate() {
        fleet.play_until(begin + after);
        (last, how) = round(fleet);
        let stuck = last == Round::NotYet && number == ROUNDS.len() - 1;
        let late = last == Round::NotYet && number == IN_ORDER && !fleet.reference.books.skewed;
        let now = fleet.now;
        fleet.reference.demand(!stuck && !late, Rule::Recovery, now, || {
            let records: Vec<_> =
                fleet.seats.iter().map(|s| s.process.as_ref()?.record()).collect();
            format!("somebody is not served: {how:?} {records:#?}")
        });
        if last == Round::Served || fleet.reference.broken.is_some() {
            return last;
        }
        // Twice, for a login that one process knows of and another not yet.
        if last == Round::Login && number > 0 {
            return last;
        }
    }
    let _ = how;
    last
}

fn round(fleet: &mut Fleet<'_>) -> (Round, Vec<(usize, usize, Option<Ended>)>) {
    let first = fleet.calls.len();
    for process in 0..fleet.seats.len() {
        for to in 0..3 {
            fleet.begin(process, to, true);
        }
    }
    let now = fleet.now;
    fleet.play_until(now + ROUND);
    let how: Vec<_> =
        fleet.calls[first..].iter().map(|call| (call.who.process, call.to, call.ended)).collect();
    let served = |ended: &Option<Ended>| *ended == Some(Ended::Served);
    let login = |ended: &Option<Ended>| matches!(ended, Some(Ended::Login(_)));
    let round = if how.iter().all(|(_, _, ended)| served(ended)) {
        Round::Served
    } else if how.iter().all(|(_, _, ended)| login(ended)) {
        Round::Login
    } else {
        Round::NotYet
    };
    (round, how)
}
