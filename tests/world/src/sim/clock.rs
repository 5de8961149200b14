//! A process's notion of time, as the driver has it.

/// A wall clock that is ahead by more than this was set: 30 s, as in the driver.
const JUMP: u64 = 30_000;

/// The wall clock at the beginning of a script: 2025-06-15, any day well after the epoch, so that
/// clocks can be years behind.
pub(super) const BEGINNING: u64 = 1_750_000_000_000;

/// Begins with the wall clock and then goes by the steady one, which counts suspend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    now: u64,
    steady: u64,
}

/// What the wall clock shows whose host has set it by `offset`.
pub(super) fn wall(offset: i64, true_time: u64) -> u64 {
    (BEGINNING + true_time).saturating_add_signed(offset)
}

impl Clock {
    pub(super) fn new(offset: i64, true_time: u64) -> Self {
        Self { now: wall(offset, true_time), steady: true_time }
    }

    /// Steps back are ignored, forward jumps are taken.
    pub(super) fn now(&mut self, offset: i64, true_time: u64) -> u64 {
        self.now += true_time - self.steady;
        self.steady = true_time;
        let wall = wall(offset, true_time);
        if wall.saturating_sub(self.now) > JUMP {
            self.now = wall;
        }
        self.now
    }
}
