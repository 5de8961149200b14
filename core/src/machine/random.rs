//! Numbers from the host's seed: jitter and names. Not for keys.

use core::time::Duration;

use crate::id::Id;

/// SplitMix64 (Steele, Lea, Flood 2014), which needs no more than a counter.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
    stream: u64,
}

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let word = |at: usize| {
            let bytes: [u8; 8] = core::array::from_fn(|i| seed[at + i]);
            u64::from_le_bytes(bytes)
        };
        Self { state: word(0) ^ word(16).rotate_left(32), stream: (word(8) ^ word(24)) | 1 }
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_add(self.stream << 1);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Anything from zero to `length`: full jitter.
    pub(crate) fn within(&mut self, length: Duration) -> Duration {
        let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.word() % millis.saturating_add(1))
    }

    pub(crate) fn id(&mut self) -> Id {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.word().to_le_bytes());
        bytes[8..].copy_from_slice(&self.word().to_le_bytes());
        Id(bytes)
    }
}
