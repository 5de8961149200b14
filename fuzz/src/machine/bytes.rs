//! The bytes that decide, read from front to end; zeroes follow the last.

use std::time::Duration;

use regrant_core::Timestamp;

pub(super) struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(super) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    pub(super) fn bit(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub(super) fn word(&mut self) -> u64 {
        u64::from_be_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// As many bytes as the next two say, or as there are.
    pub(super) fn text(&mut self) -> &'a [u8] {
        let wanted = usize::from(u16::from_be_bytes([self.byte(), self.byte()]));
        let (text, rest) = self.0.split_at(wanted.min(self.0.len()));
        self.0 = rest;
        text
    }

    /// The lengths by which anything changes: each limit of the policy, and some beyond.
    pub(super) fn length(&mut self) -> Duration {
        const MILLIS: [u64; 16] = [
            0,
            1,
            5,
            500,
            999,
            2_000,
            5_001,
            8_000,
            21_001,
            25_000,
            60_000,
            3_600_000,
            86_400_000,
            7 * 86_400_000,
            400 * 86_400_000,
            1 << 50,
        ];
        Duration::from_millis(self.one_of(&MILLIS))
    }

    /// A stamp as some clock wrote it: near `now`, or at either end of time.
    pub(super) fn stamp(&mut self, now: Timestamp) -> Timestamp {
        match self.byte() % 8 {
            0 => Timestamp::EPOCH,
            1 => Timestamp::NEVER,
            2 => now,
            3 => Timestamp::from_millis(self.word()),
            4 => now - self.length(),
            _ => now + self.length(),
        }
    }
}
