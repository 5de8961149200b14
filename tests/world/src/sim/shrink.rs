//! The shortest list of operations that still breaks a rule: delta debugging.

use crate::sim::ops::{Op, Script};
use crate::sim::reference::{Broken, Rule};
use crate::sim::run::play;

/// How many scripts are tried at most: 3,000, a minute or two.
const TRIES: u32 = 3_000;

/// Takes out of the script what the rule does not need to be broken. Gives the script as it is if
/// it breaks none.
pub fn shrink(script: &Script, lossless: bool) -> (Script, Option<Broken>) {
    let mut best = script.clone();
    let mut broken = play(script, lossless).broken;
    let Some(rule) = broken.as_ref().map(|broken| broken.rule) else { return (best, broken) };
    let mut tries = 0;
    loop {
        let before = best.clone();
        fewer_ops(&mut best, &mut broken, &mut tries, rule, lossless);
        simpler(&mut best, &mut broken, &mut tries, rule, lossless);
        if best == before || tries >= TRIES {
            return (best, broken);
        }
    }
}

/// Takes the shorter script if it breaks the same rule.
fn try_out(
    best: &mut Script,
    broken: &mut Option<Broken>,
    tries: &mut u32,
    rule: Rule,
    lossless: bool,
    candidate: Script,
) -> bool {
    if *tries >= TRIES {
        return false;
    }
    *tries += 1;
    let found = play(&candidate, lossless).broken;
    let same = found.as_ref().is_some_and(|found| found.rule == rule);
    if same {
        (*best, *broken) = (candidate, found);
    }
    same
}

/// Chunks of ops are left out, large ones first.
fn fewer_ops(
    best: &mut Script,
    broken: &mut Option<Broken>,
    tries: &mut u32,
    rule: Rule,
    lossless: bool,
) {
    let mut chunk = best.ops.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < best.ops.len() {
            let mut candidate = best.clone();
            candidate.ops.drain(at..(at + chunk).min(candidate.ops.len()));
            if !try_out(best, broken, tries, rule, lossless, candidate) {
                at += chunk;
            }
        }
        if chunk == 1 {
            return;
        }
        chunk = chunk.div_ceil(2);
    }
}

/// Fewer processes, fewer callers, shorter waits.
fn simpler(
    best: &mut Script,
    broken: &mut Option<Broken>,
    tries: &mut u32,
    rule: Rule,
    lossless: bool,
) {
    while best.setup.processes > 1 {
        let mut candidate = best.clone();
        candidate.setup.processes -= 1;
        if !try_out(best, broken, tries, rule, lossless, candidate) {
            break;
        }
    }
    for at in 0..best.ops.len() {
        let mut candidate = best.clone();
        if let Op::Request { count, apart, .. } = &mut candidate.ops[at].1
            && *count > 1
        {
            (*count, *apart) = (1, 0);
            try_out(best, broken, tries, rule, lossless, candidate);
        }
        // Everything from here on happens earlier.
        let before = if at == 0 { 0 } else { best.ops[at - 1].0 };
        let gap = best.ops[at].0 - before;
        for less in [gap, gap / 2] {
            let mut candidate = best.clone();
            for (time, _) in &mut candidate.ops[at..] {
                *time -= less;
            }
            if less > 0 && try_out(best, broken, tries, rule, lossless, candidate) {
                break;
            }
        }
    }
}
