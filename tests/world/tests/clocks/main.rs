//! Whatever any clock reads: a rejection leads to a token request, a token does not go again to who
//! rejected it, and nothing overflows, spins or waits for longer than it may.
//!
//! Every reading is drawn from the edges: the epoch, the end of time, a millisecond around the
//! moment, a year away, equal to another. The seed is fixed; `PROPTEST_CASES` and
//! `PROPTEST_RNG_SEED` ask for more cases and for others.

mod host;
mod stamps;

use std::time::Duration;

use host::{Host, LATEST};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use regrant_core::protocol::{TokenReply, read_token_reply};
use regrant_core::{
    Answer, Applied, Cause, Failure, Input, Policy, Record, StateKind, StoreFault, Strength,
    Timestamp,
};
use regrant_world::origin;
use stamps::{GENERATION, Stamp, Stamped, grant, lifetime, login, policy, stamp, stamped, start};

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// As many cases as are asked for, or `usual`.
fn config(usual: u32) -> ProptestConfig {
    let given = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { given.cases } else { usual };
    let rng_seed =
        if given.rng_seed == RngSeed::Random { RngSeed::Fixed(1) } else { given.rng_seed };
    // A failing case is printed whole; it becomes a test with a name and no file.
    ProptestConfig { cases, rng_seed, failure_persistence: None, ..given }
}

/// For how long what stands in the record may delay the refresh that a rejection by x calls for.
fn longest_delay(record: &Record, policy: &Policy, now: Timestamp) -> Duration {
    let mut most = Duration::ZERO;
    if record.cool_down.as_ref().is_some_and(|cool_down| !cool_down.ahead_only) {
        most += policy.retry_after_cap.max(policy.cool_down_cap);
    }
    if record.budget.full_at > now {
        most += policy.refill;
    }
    if record.attempt.is_some() {
        // It is looked after once a second.
        most += policy.intent() + Duration::from_secs(1);
    }
    if record.in_flight_until.is_some() {
        most += policy.intent();
    }
    // What x rejected before, its mark says: then its rejection is its own matter for a while.
    if record.marks.iter().any(|mark| mark.origin == origin("x")) {
        most += policy.weak_cool_down.max(policy.cool_down_cap);
    }
    most
}

/// Asks for a token at x, until one is asked for or the time is over. At the end of time itself
/// there is nothing to wait with.
fn asks_within(host: &mut Host, most: Duration) -> bool {
    let before = host.asked;
    let end = host.now + most;
    if most > Duration::ZERO && end > LATEST {
        return true;
    }
    // In few steps; none is so long that a wait of a second would be overlooked at the end.
    let least = (most / 100).max(MILLISECOND);
    loop {
        host.tell(Input::Wanted { origin: origin("x") });
        if host.asked > before || host.needs_login() {
            return host.asked > before;
        }
        if host.now >= end {
            return false;
        }
        host.step(least, end);
    }
}

proptest! {
    #![proptest_config(config(4_096))]

    #[test]
    fn a_rejection_leads_to_a_token_request_whatever_any_clock_reads(
        (policy, start, stamped) in (policy(), start(), stamped()),
        readings in proptest::collection::vec(stamp(), 0..3),
        weak in any::<bool>(),
    ) {
        let mut host = Host::start(policy, Some(stamped.record(start)), start);
        for reading in readings {
            host.reading = reading.alone(host.now);
            host.tell(Input::TimePassed);
        }
        let record = host.stored.as_ref().expect("it was stored").0.clone();
        let most = longest_delay(&record, &host.policy, host.now);
        let strength = if weak { Strength::Weak } else { Strength::Strong };
        let before = host.asked;
        host.reject(&origin("x"), strength);
        prop_assert!(host.asked > before || asks_within(&mut host, most), "not within {most:?}");
    }

    #[test]
    fn a_step_back_at_rest_does_nothing_at_all(
        (policy, start) in (policy(), start()),
        readings in proptest::collection::vec(stamp(), 1..8),
    ) {
        let record = Record::login(&login(0, start, None), None);
        let mut host = Host::start(policy, Some(record), start);
        host.said = Some(Vec::new());
        for reading in &readings {
            host.reading = reading.alone(start).min(start);
            host.tell(Input::TimePassed);
        }
        // The wake is named again, and nothing else is said.
        prop_assert_eq!(host.said.map(|said| said.len()), Some(readings.len()));
        prop_assert_eq!(host.asked, 0);
        prop_assert_eq!(host.machine.state(), Some(StateKind::Valid));
    }

    #[test]
    fn any_lifetime_is_lived_with(
        (policy, start) in (policy(), start()),
        (announced, of_refresh) in (announced("expires_in"), announced("refresh_expires_in")),
        obtained_at in stamp(),
    ) {
        // An hour must be left.
        let start = start.min(LATEST - HOUR * 2);
        let tokens = r#""access_token":"a","token_type":"Bearer","refresh_token":"r""#;
        let body = format!("{{{tokens}{announced}{of_refresh}}}");
        let reply = TokenReply { status: 200, body: body.as_bytes(), ..TokenReply::default() };
        let reading = read_token_reply(&reply, None);
        let Answer::Granted(grant) = reading.answer else {
            panic!("{body} is a grant");
        };
        let mut login = login(0, obtained_at.alone(start), None);
        let (lifetime, ends) = (grant.expires_in, grant.refresh_expires_in);
        login.grant = grant;
        let mut host = Host::start(policy, Some(Record::login(&login, None)), start);
        host.lifetime = lifetime;
        let wakes = (0..5_000).take_while(|_| {
            let more = host.wake <= start + HOUR && host.wake < Timestamp::NEVER;
            if more {
                host.step(Duration::ZERO, Timestamp::NEVER);
            }
            more
        });
        // Each token request is a few wakes, each look at the store one.
        prop_assert!(wakes.count() < 1_000, "woken without end");
        let most = host.policy.burst + 60;
        prop_assert!(host.asked <= most, "{} token requests in an hour", host.asked);
        if lifetime.is_none() && ends.is_none() {
            prop_assert_eq!(host.asked, 0, "a lifetime that nobody knows");
        }
    }
}

proptest! {
    // Each of these is a schedule of up to two dozen steps, so fewer of them take as long.
    #![proptest_config(config(1_024))]

    #[test]
    fn an_outage_is_over_in_time_whatever_it_said(
        (policy, start, stamped) in (policy(), start(), stamped()),
        outage in proptest::collection::vec(failure(), 1..6),
    ) {
        let mut host = Host::start(policy, Some(stamped.record(start)), start);
        host.reject(&origin("x"), Strength::Strong);
        let first = host.id().generation;
        host.answers.extend(outage.iter().cloned());
        host.reject(&origin("x"), Strength::Strong);
        host.reject(&origin("y"), Strength::Strong);
        // Each failure may bring the greatest delay of all, and so may what stood there before.
        for _ in 0..=outage.len() + 1 {
            let record = host.stored.as_ref().expect("it was stored").0.clone();
            let all = longest_delay(&record, &host.policy, host.now)
                + host.policy.retry_after_cap
                + host.policy.intent();
            let _ = asks_within(&mut host, all);
        }
        prop_assert!(!host.needs_login(), "an outage led to a login");
        if host.now + HOUR * 24 * 14 < LATEST {
            let left = host.answers.len();
            prop_assert_eq!(left, 0, "answers that were never asked for");
            prop_assert!(host.id().generation > first, "nothing was granted");
        }
    }

    #[test]
    fn a_clock_that_steps_back_is_a_clock_that_stands_still(
        (policy, start, stamped) in (policy(), start(), stamped()),
        ops in ops(),
    ) {
        let mut back = Host::start(policy.clone(), Some(stamped.record(start)), start);
        let mut still = Host::start(policy, Some(stamped.record(start)), start);
        (back.said, still.said) = (Some(Vec::new()), Some(Vec::new()));
        for op in ops {
            if matches!(op, Op::Restart) {
                continue;
            }
            act(&mut back, &op);
            act(&mut still, &op);
            still.reading = still.reading.max(still.now);
        }
        prop_assert_eq!(back.said, still.said);
    }

    #[test]
    fn whatever_happens_by_whatever_clock_no_token_goes_back_to_who_rejected_it(
        (policy, start, stamped) in (policy(), start(), stamped()),
        ops in ops(),
    ) {
        let mut host = Host::start(policy, Some(stamped.record(start)), start);
        for op in ops {
            act(&mut host, &op);
        }
    }
}

/// One thing that happens.
#[derive(Clone, Debug)]
enum Op {
    Read(Stamp),
    Wake,
    Reject { y: bool, weak: bool },
    Accept { y: bool },
    Disown { y: bool },
    Want { y: bool },
    Restart,
    Login(u8, Stamp, Option<Duration>),
    Reconsider,
    Answer(Answer),
    Fault(StoreFault),
    Store(Box<Stamped>),
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let y = any::<bool>;
    let op = prop_oneof![
        4 => stamp().prop_map(Op::Read),
        4 => Just(Op::Wake),
        6 => (y(), any::<bool>()).prop_map(|(y, weak)| Op::Reject { y, weak }),
        3 => y().prop_map(|y| Op::Accept { y }),
        1 => y().prop_map(|y| Op::Disown { y }),
        3 => y().prop_map(|y| Op::Want { y }),
        1 => Just(Op::Restart),
        1 => (1..250_u8, stamp(), lifetime()).prop_map(|(n, at, length)| Op::Login(n, at, length)),
        1 => Just(Op::Reconsider),
        3 => failure().prop_map(Op::Answer),
        1 => Just(Op::Fault(StoreFault::Locked)),
        1 => stamped().prop_map(|stamped| Op::Store(Box::new(stamped))),
    ];
    proptest::collection::vec(op, 1..24)
}

fn act(host: &mut Host, op: &Op) {
    let at = |y: &bool| origin(if *y { "y" } else { "x" });
    match op {
        Op::Read(stamp) => {
            host.reading = stamp.alone(host.now);
            host.tell(Input::TimePassed);
        }
        Op::Wake => host.step(Duration::ZERO, Timestamp::NEVER),
        Op::Reject { y, weak } => {
            let strength = if *weak { Strength::Weak } else { Strength::Strong };
            host.reject(&at(y), strength);
        }
        Op::Accept { y } => host.accept(at(y)),
        Op::Disown { y } => host.tell(Input::Disowned { id: host.id(), origin: at(y) }),
        Op::Want { y } => host.tell(Input::Wanted { origin: at(y) }),
        Op::Restart => host.restart(),
        Op::Login(n, obtained_at, lifetime) => {
            let mut login = login(*n, obtained_at.alone(host.now), *lifetime);
            // The same login may come again, the same token never does.
            host.logins += 1;
            login.grant = grant(&format!("login-again-{}", host.logins), *lifetime);
            host.tell(Input::LoggedIn(Box::new(login)));
        }
        Op::Reconsider => host.tell(Input::Reconsider),
        Op::Answer(answer) => host.answers.push_back(answer.clone()),
        Op::Fault(fault) => host.faults.push_back(*fault),
        Op::Store(stamped) => {
            // Another process saves the same token with stamps of its own clock.
            let mut news = stamped.record(host.now);
            if let Some((record, revision)) = &mut host.stored
                && record.generation == GENERATION
                && record.incarnation == news.incarnation
            {
                // It changes no mark but its own.
                news.marks.clone_from(&record.marks);
                (*record, *revision) = (news, *revision + 1);
            }
        }
    }
}

/// A token request that brings neither a grant nor a refusal.
fn failure() -> impl Strategy<Value = Answer> {
    let retry_after = prop_oneof![
        Just(None),
        Just(Some(Duration::ZERO)),
        Just(Some(MILLISECOND)),
        Just(Some(Duration::from_secs(86_400))),
        Just(Some(Duration::from_millis(u64::MAX))),
        Just(Some(Duration::MAX)),
    ];
    let applied =
        prop_oneof![Just(Applied::No), Just(Applied::Perhaps), Just(Applied::PerhapsLater)];
    (proptest::sample::select(Cause::ALL), applied, retry_after).prop_map(
        |(cause, applied, retry_after)| {
            Answer::Failed(Failure { cause, applied, retry_after, code: None })
        },
    )
}

/// A member of a token answer that announces a lifetime, sense or nonsense.
fn announced(name: &'static str) -> impl Strategy<Value = String> {
    let values = [
        "0",
        "-1",
        "1",
        "3600",
        "\"3600\"",
        "\"0\"",
        "\"-1\"",
        "\"soon\"",
        "\"\"",
        "null",
        "true",
        "[]",
        "{}",
        "0.5",
        "-0.0",
        "1e3",
        "1e400",
        "18446744073709551615",
        "18446744073709551616",
        "9007199254740993",
        "-9223372036854775809",
        "\"18446744073709551615\"",
    ];
    prop_oneof![
        1 => Just(String::new()),
        20 => proptest::sample::select(values.to_vec())
            .prop_map(move |value| format!(r#","{name}":{value}"#)),
    ]
}
