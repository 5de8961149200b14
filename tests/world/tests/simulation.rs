//! The simulation, as far as half a minute goes: seeds of every mode, lives of a year, and every
//! list of operations that ever broke a rule. `regrant-sim` runs as many more as one likes.
#![expect(clippy::unwrap_used, reason = "a test that panics has failed, and that is all")]

use std::path::Path;

use regrant_world::Kind;
use regrant_world::sim::generate::{Mode, generate};
use regrant_world::sim::ops::{Op, P, Script, StoreTrouble, Whose};
use regrant_world::sim::report::{Counters, Finding};
use regrant_world::sim::run::{play, play_and_log};
use regrant_world::sim::shrink::shrink;
use regrant_world::sim::years::life;

/// Seeds of each mode: 120, which with the lives is some ten seconds on two cores.
const SEEDS: u64 = 120;
/// Lives: 60, a few seconds.
const LIVES: u64 = 60;

/// Plays this mode's seeds; a broken rule is shrunk, and printed as a file to be kept.
fn all_hold(mode: Mode) -> Counters {
    let mut total = Counters::default();
    for seed in 0..SEEDS {
        let script = generate(seed, mode);
        let played = play(&script, mode.is_lossless());
        total.add(&played.counters);
        if let Some(broken) = played.broken {
            let (script, shortest) = shrink(&script, mode.is_lossless());
            let shortest = shortest.unwrap();
            panic!("\n{}", Finding { seed, mode: mode.to_string(), broken, script, shortest });
        }
    }
    assert!(total.refreshed > SEEDS && total.served > 10 * SEEDS, "{total}");
    total
}

#[test]
fn no_schedule_breaks_a_rule() {
    for mode in [Mode::All, Mode::Points, Mode::Users] {
        let total = all_hold(mode);
        assert!(total.ended > 0 || mode == Mode::Users, "{total}");
        assert!(total.logins_asked > 0, "{total}");
    }
}

#[test]
fn what_can_be_saved_is_saved() {
    for mode in [Mode::Calm, Mode::Outage, Mode::Store, Mode::Clocks, Mode::Grace, Mode::Storm] {
        let total = all_hold(mode);
        assert!(total.losses.is_empty(), "{mode}: {total}");
    }
}

#[test]
fn a_bad_deployment_costs_a_login_and_no_storm() {
    let total = all_hold(Mode::Deployment);
    assert!(total.losses.keys().any(|(_, loss)| loss.is_meant()), "{total}");
}

#[test]
fn no_life_of_a_year_loses_a_login_falsely() {
    let mut total = Counters::default();
    for seed in 0..LIVES {
        let script = life(seed);
        let played = play(&script, false);
        total.add(&played.counters);
        if let Some(broken) = played.broken {
            let (script, shortest) = shrink(&script, false);
            let shortest = shortest.unwrap();
            panic!("\n{}", Finding { seed, mode: "years".into(), broken, script, shortest });
        }
    }
    assert!(total.refreshed > 20 * LIVES, "{total}");
}

/// Every list of operations that once broke a rule is played for ever.
#[test]
fn what_was_broken_once_stays_mended() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kept");
    let mut played = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{name} does not say what it once broke");
        let script: Script = text.parse().unwrap();
        let broken = play(&script, false).broken;
        assert!(broken.is_none(), "{name}: {broken:?}");
        played += 1;
    }
    assert!(played > 0, "nothing is kept");
}

#[test]
fn a_script_reads_back_as_it_was_written() {
    for seed in 0..200 {
        for mode in Mode::ALL {
            let script = generate(seed, mode);
            assert_eq!(script.to_string().parse::<Script>().unwrap(), script);
        }
        let script = life(seed);
        assert_eq!(script.to_string().parse::<Script>().unwrap(), script);
    }
    assert!("world kind=strict".parse::<Script>().is_err());
    assert!("kill".parse::<Op>().is_err());
    assert!("kill p0 p1".parse::<Op>().is_err());
    assert!("eat p0".parse::<Op>().is_err());
}

#[test]
fn a_script_plays_the_same_every_time() {
    for seed in 0..3 {
        let script = generate(seed, Mode::All);
        assert_eq!(play_and_log(&script, false, true).log, play_and_log(&script, false, true).log);
    }
}

/// A loss that this script brings about, in a mode that says there is none, hidden among what does
/// nothing: the shrinker finds the three operations that it takes.
#[test]
fn the_shrinker_leaves_what_it_takes() {
    let mut script = generate(3, Mode::Calm);
    script.setup.kind = Kind::Strict;
    let middle = script.ops.len() / 2;
    let at = script.ops[middle].0;
    let loss = ["expire", "kill-at p0 delivered", "request p0 x 1 0"];
    for line in loss.into_iter().rev() {
        script.ops.insert(middle, (at, line.parse().unwrap()));
    }
    let of = Whose(Some(P(0)));
    script.ops.push((at + 100_000, Op::Store { of, how: StoreTrouble::Full, length: 10 }));
    let (shortest, broken) = shrink(&script, true);
    assert!(broken.is_some(), "nothing is broken");
    assert!(shortest.ops.len() <= 4, "{shortest}");
    assert!(shortest.ops.iter().any(|(_, op)| matches!(op, Op::KillAt { .. })), "{shortest}");
    // What is left still plays, from its text.
    let again: Script = shortest.to_string().parse().unwrap();
    assert_eq!(play(&again, true).broken.map(|b| b.rule), broken.map(|b| b.rule));
}

/// The same script breaks nothing where the loss may be: no client can save that login.
#[test]
fn what_no_client_can_save_is_counted_apart() {
    let text = "\
world kind=strict grace=0 ends=1 profile=unknown life=3600000 says=honest replaces=0 lease=lock \
processes=1 reread=60000 returns=0 jitter=1
@0 expire
@0 kill-at p0 delivered
@1 request p0 x 1 0
@60000 start p0
";
    let script: Script = text.parse().unwrap();
    let played = play(&script, false);
    assert!(played.broken.is_none(), "{:?}", played.broken);
    let losses: Vec<_> = played.counters.losses.keys().map(|(_, loss)| *loss).collect();
    assert_eq!(losses, [regrant_world::sim::loss::Loss::DiedSaving]);
}
