//! Chance that a seed repeats.

/// SplitMix64 (Steele, Lea, Flood 2014): a counter and a mixer, the same on every machine.
#[derive(Clone, Copy, Debug)]
pub struct Dice(u64);

impl Dice {
    /// The dice of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Dice for one purpose, which roll the same whatever else is rolled.
    pub fn of(seed: u64, purpose: &[u64]) -> Self {
        Self(purpose.iter().fold(seed, |state, word| mixed(state.rotate_left(17) ^ mixed(*word))))
    }

    /// The next word.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0)
    }

    /// From zero to `sides - 1`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.word() % sides.max(1)
    }

    /// Both ends included.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.roll(most.saturating_sub(least) + 1)
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.roll(times) == 0
    }

    /// One of these.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let at = usize::try_from(self.roll(of.len() as u64)).unwrap_or(0);
        of[at]
    }

    /// A length whose logarithm is even: as many below the middle of the scale as above.
    pub fn scaled(&mut self, least: u64, most: u64) -> u64 {
        let doublings = (most.max(1) / least.max(1)).ilog2();
        let doubled = least.max(1) << self.roll(u64::from(doublings) + 1);
        self.between(doubled, doubled * 2).clamp(least, most)
    }
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
