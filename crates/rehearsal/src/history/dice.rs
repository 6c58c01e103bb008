//! Chance, from the seed alone.
//!
//! Two kinds: [`Dice`] draws by name (the fault of the n-th call of an operation at a door), so that a draw does not
//! depend on how often something else was drawn; [`Stream`] draws one after the other (what happens next).

use std::sync::Mutex;

use tradepost_marketplace::doors::Entropy;

/// The finalizer of `SplitMix64`: every bit of the input counts in every bit of the output.
const fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// Draws by name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(mix(seed.wrapping_add(STEP)))
    }

    /// The n-th draw of a name.
    pub(super) fn draw(self, name: &str, n: u64) -> u64 {
        // FNV-1a, then mixed: names are short and few.
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        mix(mix(hash ^ self.0).wrapping_add(n.wrapping_mul(STEP)))
    }
}

/// Draws in order.
#[derive(Debug)]
pub(super) struct Stream(u64);

impl Stream {
    pub(super) fn new(dice: Dice, name: &str) -> Self {
        Self(dice.draw(name, 0))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// From 0 up to, not including, `end`; 0 if that is empty.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let drawn = self.next() % u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from(drawn).unwrap_or(0)
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = high.abs_diff(low).saturating_add(1);
        low.saturating_add_unsigned(self.next() % span)
    }

    /// True `per_cent` times in a hundred.
    pub(super) fn chance(&mut self, per_cent: u64) -> bool {
        self.next() % 100 < per_cent
    }

    pub(super) fn pick<'a, T>(&mut self, all: &'a [T]) -> Option<&'a T> {
        let index = self.below(all.len());
        all.get(index)
    }
}

/// Entropy of one process of the provider, drawn.
pub(super) struct Drawn(Mutex<Stream>);

impl Drawn {
    pub(super) fn new(dice: Dice, name: &str) -> Self {
        Self(Mutex::new(Stream::new(dice, name)))
    }
}

impl Entropy for Drawn {
    fn fill(&self, buffer: &mut [u8]) {
        let mut stream = super::lock(&self.0);
        for chunk in buffer.chunks_mut(8) {
            let bytes = stream.next().to_le_bytes();
            chunk.copy_from_slice(&bytes[..chunk.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_by_seed_name_and_number() {
        let of = |seed, name, n| Dice::new(seed).draw(name, n);
        assert_eq!(of(1, "store/get", 3), of(1, "store/get", 3));
        let all = [of(1, "a", 1), of(2, "a", 1), of(1, "b", 1), of(1, "a", 2)];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }

    #[test]
    fn a_stream_keeps_its_bounds() {
        let mut stream = Stream::new(Dice::new(1), "script");
        for _ in 0..1_000 {
            assert!((-3..=3).contains(&stream.between(-3, 3)));
            assert!(stream.below(5) < 5);
        }
        assert_eq!((stream.below(0), stream.pick::<u8>(&[])), (0, None));
    }
}
