//! Two things measured in turns, so that whatever else the machine does meets both.

use std::time::Instant;

/// How often each is measured. Odd, so that there is one in the middle.
const ROUNDS: usize = 301;

/// How often each is done before, so that caches and pages are there.
const WARM_UP: usize = 20;

#[derive(Clone, Copy)]
pub(crate) struct Measured {
    pub(crate) median_ns: f64,
    pub(crate) slowest_ns: f64,
}

/// Measures both, one after the other in every round.
pub(crate) fn in_turns(
    mut one: impl FnMut() -> anyhow::Result<()>,
    mut other: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<(Measured, Measured)> {
    for _ in 0..WARM_UP {
        one()?;
        other()?;
    }
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Who comes second meets what the first one left to the disk. So they change places.
        if round % 2 == 0 {
            ones.push(timed(&mut one)?);
            others.push(timed(&mut other)?);
        } else {
            others.push(timed(&mut other)?);
            ones.push(timed(&mut one)?);
        }
    }
    Ok((measured(ones), measured(others)))
}

fn timed(work: &mut impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_nanos() as f64)
}

fn measured(mut times: Vec<f64>) -> Measured {
    times.sort_by(f64::total_cmp);
    Measured { median_ns: times[times.len() / 2], slowest_ns: times[times.len() - 1] }
}
