//! Numbers from the host's seed: jitter and names. Not for keys.

use core::time::Duration;

use crate::id::Id;

/// SplitMix64 (Steele, Lea, Flood 2014), which needs no more than a counter, with a second word
/// that tells two streams apart whose counters meet.
#[derive(Clone, Debug)]
pub(crate) struct Random {
    state: u64,
    stream: u64,
    /// Without jitter, this is the name of the process, and names are this and a counter.
    #[cfg(feature = "model")]
    plain: Option<u64>,
}

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Random {
    /// Every byte of the seed counts.
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        let folded = |start: u64| {
            seed.chunks_exact(8).fold(start, |state, chunk| {
                let word: [u8; 8] = core::array::from_fn(|at| chunk[at]);
                mixed(state.rotate_left(17).wrapping_add(u64::from_le_bytes(word)))
            })
        };
        Self {
            state: folded(0x9e37_79b9_7f4a_7c15),
            stream: folded(0xd1b5_4a32_d192_ed03),
            #[cfg(feature = "model")]
            plain: None,
        }
    }

    /// Every length is the shortest, and names are `number` and a counter.
    #[cfg(feature = "model")]
    pub(crate) fn without_jitter(number: u64) -> Self {
        Self { state: 0, stream: 0, plain: Some(number) }
    }

    pub(crate) fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.state) ^ mixed(self.state ^ self.stream)
    }

    /// Anything from zero to `length`: full jitter.
    pub(crate) fn within(&mut self, length: Duration) -> Duration {
        #[cfg(feature = "model")]
        if self.plain.is_some() {
            return Duration::ZERO;
        }
        let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.word() % millis.saturating_add(1))
    }

    pub(crate) fn id(&mut self) -> Id {
        let mut bytes = [0; 16];
        #[cfg(feature = "model")]
        if let Some(number) = self.plain {
            self.state += 1;
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            bytes[8..].copy_from_slice(&self.state.to_le_bytes());
            return Id(bytes);
        }
        bytes[..8].copy_from_slice(&self.word().to_le_bytes());
        bytes[8..].copy_from_slice(&self.word().to_le_bytes());
        Id(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_the_seed_counts() {
        let first = |seed| Random::new(seed).id();
        let plain = first([0; 32]);
        for at in 0..32 {
            let mut seed = [0; 32];
            seed[at] = 1;
            assert_ne!(first(seed), plain, "byte {at}");
        }
        assert_ne!(first([1; 32]), first([2; 32]));
    }

    #[test]
    fn jitter_stays_within_its_length() {
        let mut random = Random::new([3; 32]);
        let length = Duration::from_millis(50);
        let all: alloc::vec::Vec<_> = (0..1_000).map(|_| random.within(length)).collect();
        assert!(all.iter().all(|delay| *delay <= length));
        assert!(all.iter().any(|delay| *delay < length / 10));
        assert!(all.iter().any(|delay| *delay > length * 9 / 10));
    }

    #[cfg(feature = "model")]
    #[test]
    fn without_jitter_no_name_is_given_twice() {
        let mut names = alloc::collections::BTreeSet::new();
        for process in 0..3 {
            let mut random = Random::without_jitter(process);
            assert_eq!(random.within(Duration::from_secs(1)), Duration::ZERO);
            assert!((0..10).all(|_| names.insert(random.id())));
        }
    }
}
