//! The one file that reads clocks.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use regrant_core::Timestamp;
use tokio::time::Instant;

/// A wall clock that is ahead by more than this was set, or a suspend went uncounted: 30 s, more
/// than any drift between two readings, less than anything a token's lifetime would notice.
const JUMP: Duration = Duration::from_secs(30);

/// Where the readings of clocks come from.
///
/// # Duties
///
/// - [`wall`](Self::wall) is the time of day, right or wrong; it may be set back and forth.
/// - [`steady`](Self::steady) never goes back. If the platform has such a clock, it counts the
///   time that the machine is suspended.
pub trait TimeSource: Send + Sync + fmt::Debug {
    /// The wall clock.
    fn wall(&self) -> Timestamp;

    /// The time since any one moment, the same for every reading.
    fn steady(&self) -> Duration;
}

/// The clocks of the system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClocks;

impl TimeSource for SystemClocks {
    #[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
    fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Timestamp::EPOCH + since
    }

    fn steady(&self) -> Duration {
        steady()
    }
}

/// `CLOCK_BOOTTIME` counts suspend; `CLOCK_MONOTONIC` does so on Apple's systems alone.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn steady() -> Duration {
    use rustix::time::{ClockId, clock_gettime};

    #[cfg(target_vendor = "apple")]
    let time = clock_gettime(ClockId::Monotonic);
    #[cfg(not(target_vendor = "apple"))]
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Where this clock stops in a suspend, the wall clock's jump afterwards is taken for it.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
fn steady() -> Duration {
    use std::sync::LazyLock;

    static START: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);
    START.elapsed()
}

/// Clocks for tests: they go with tokio's clock, so they stand still and jump with it where a
/// test has paused it, and can be set.
#[derive(Debug)]
pub struct VirtualClocks {
    start: Timestamp,
    began: Instant,
    stepped_ms: AtomicI64,
    suspended_ms: AtomicU64,
}

impl VirtualClocks {
    /// Clocks whose wall clock shows `start` now.
    pub fn new(start: Timestamp) -> Self {
        Self {
            start,
            began: monotonic(),
            stepped_ms: AtomicI64::new(0),
            suspended_ms: AtomicU64::new(0),
        }
    }

    /// Sets the wall clock forward, or back by a negative number.
    pub fn step_wall(&self, milliseconds: i64) {
        self.stepped_ms.fetch_add(milliseconds, Ordering::Relaxed);
    }

    /// What a suspend of this length leaves behind: both clocks have gone on, tokio's has not.
    pub fn suspend(&self, length: Duration) {
        let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        self.suspended_ms.fetch_add(millis, Ordering::Relaxed);
    }
}

impl TimeSource for VirtualClocks {
    fn wall(&self) -> Timestamp {
        let stepped = self.stepped_ms.load(Ordering::Relaxed);
        let length = Duration::from_millis(stepped.unsigned_abs());
        let now = self.start + self.steady();
        if stepped < 0 { now - length } else { now + length }
    }

    fn steady(&self) -> Duration {
        let suspended = Duration::from_millis(self.suspended_ms.load(Ordering::Relaxed));
        monotonic().duration_since(self.began) + suspended
    }
}

/// The moment by which timers are set, a clock that a suspend may stop.
#[expect(clippy::disallowed_methods, reason = "this is the file that reads the clock")]
pub(crate) fn monotonic() -> Instant {
    Instant::now()
}

/// The driver's clock: begins with the wall clock and then goes by the steady one.
#[derive(Debug)]
pub(crate) struct Clock {
    source: Arc<dyn TimeSource>,
    reckoning: Mutex<Reckoning>,
}

impl Clock {
    pub(crate) fn new(source: Arc<dyn TimeSource>) -> Self {
        let reckoning = Reckoning::new(source.wall(), source.steady());
        Self { source, reckoning: Mutex::new(reckoning) }
    }

    pub(crate) fn now(&self) -> Timestamp {
        let mut reckoning = self.reckoning.lock().unwrap_or_else(PoisonError::into_inner);
        // Read under the lock, so that the readings come in order.
        reckoning.now(self.source.wall(), self.source.steady())
    }
}

/// What time it is, reckoned from one reading of both clocks to the next.
#[derive(Debug)]
struct Reckoning {
    now: Timestamp,
    /// What of the steady clock is not in `now` yet is less than a millisecond.
    steady: Duration,
}

impl Reckoning {
    fn new(wall: Timestamp, steady: Duration) -> Self {
        Self { now: wall, steady }
    }

    fn now(&mut self, wall: Timestamp, steady: Duration) -> Timestamp {
        let gone = steady.saturating_sub(self.steady);
        let gone = Duration::from_millis(u64::try_from(gone.as_millis()).unwrap_or(u64::MAX));
        self.steady += gone;
        self.now = self.now + gone;
        if wall.since(self.now) > JUMP {
            self.now = wall;
        }
        self.now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: u64 = 3_600_000;

    const fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    const fn steady(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn steps_back_are_ignored() {
        let mut reckoning = Reckoning::new(at(10 * HOUR_MS), steady(0));
        assert_eq!(reckoning.now(at(2 * HOUR_MS), steady(1_000)), at(10 * HOUR_MS + 1_000));
        assert_eq!(reckoning.now(at(0), steady(2_000)), at(10 * HOUR_MS + 2_000));
        // Set right again, it is no jump either.
        let right = at(10 * HOUR_MS + 3_000);
        assert_eq!(reckoning.now(right, steady(3_000)), right);
    }

    #[test]
    fn a_jump_of_the_wall_clock_is_taken_though_the_steady_clock_stands_still() {
        let mut reckoning = Reckoning::new(at(0), steady(0));
        assert_eq!(reckoning.now(at(8 * HOUR_MS), steady(0)), at(8 * HOUR_MS));
        assert_eq!(reckoning.now(at(8 * HOUR_MS + 5), steady(5)), at(8 * HOUR_MS + 5));
    }

    #[test]
    fn a_small_step_forward_is_not_taken() {
        let mut reckoning = Reckoning::new(at(0), steady(0));
        assert_eq!(reckoning.now(at(30_000), steady(0)), at(0));
        assert_eq!(reckoning.now(at(30_001), steady(0)), at(30_001));
    }

    #[test]
    fn a_suspend_counts() {
        let mut reckoning = Reckoning::new(at(0), steady(0));
        assert_eq!(reckoning.now(at(0), steady(8 * HOUR_MS)), at(8 * HOUR_MS));
    }

    #[test]
    fn it_never_goes_back_and_loses_no_part_of_a_millisecond() {
        let mut reckoning = Reckoning::new(at(0), steady(5));
        assert_eq!(reckoning.now(at(0), steady(3)), at(0));
        for step in 1..=10_u32 {
            reckoning.now(at(0), steady(5) + Duration::from_micros(300) * step);
        }
        assert_eq!(reckoning.now(at(0), steady(8)), at(3));
    }

    #[test]
    fn the_clocks_of_the_system_can_be_read() {
        let clock = Clock::new(Arc::new(SystemClocks));
        let first = clock.now();
        assert!(first > at(1_600_000_000_000), "{first:?}");
        assert!(clock.now() >= first);
    }
}
