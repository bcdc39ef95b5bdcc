//! Chance for simulations: the same seed, purpose and index always throw the same numbers. Never
//! used for draws, which have their own rules.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Parts in a million that make a certainty.
pub(crate) const MILLION: u32 = 1_000_000;

/// A stream of numbers of its own.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// The dice of the `index`-th thing of one `purpose`.
    pub(crate) fn new(seed: u64, purpose: u64, index: u64) -> Dice {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        bytes[8..16].copy_from_slice(&purpose.to_le_bytes());
        bytes[16..24].copy_from_slice(&index.to_le_bytes());
        Dice::from_bytes(bytes)
    }

    /// The dice named by 32 bytes.
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Dice {
        Dice(ChaCha8Rng::from_seed(bytes))
    }

    /// Below `bound`, which is above zero. Of bounds under 2^32, none is off by more than 2^-32.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        debug_assert!(bound > 0, "nothing is below zero");
        let product = u128::from(self.0.next_u64()) * u128::from(bound);
        u64::try_from(product >> 64).expect("the upper half of 128 bits fits 64")
    }

    /// From `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True `ppm` times in a million.
    pub(crate) fn chance(&mut self, ppm: u32) -> bool {
        self.below(u64::from(MILLION)) < u64::from(ppm)
    }

    /// A place in something of `length`, which is above zero.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("below a usize")
    }

    /// One of several.
    pub(crate) fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.index(choices.len())]
    }

    /// From `low` to `high`, small values far more often than large ones, most in the middle
    /// octaves: the way prices are spread, in integers.
    pub(crate) fn price(&mut self, low: u64, high: u64) -> u64 {
        let low = low.max(1);
        let octaves = u64::from((high / low).max(1).ilog2()) + 1;
        let octave = self.below(octaves).midpoint(self.below(octaves));
        let base = low << octave;
        (base + self.below(base)).min(high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_throws_the_same_numbers() {
        let throw = |seed, purpose, index| Dice::new(seed, purpose, index).below(u64::MAX);
        assert_eq!(throw(1, 2, 3), throw(1, 2, 3));
        assert_ne!(throw(1, 2, 3), throw(1, 2, 4));
        assert_ne!(throw(1, 2, 3), throw(1, 3, 3));
        assert_ne!(throw(1, 2, 3), throw(2, 2, 3));
    }

    #[test]
    fn throws_stay_in_bounds_and_reach_both_ends() {
        let mut dice = Dice::new(7, 0, 0);
        let throws: Vec<u64> = (0..1_000).map(|_| dice.between(3, 6)).collect();
        assert_eq!((throws.iter().min(), throws.iter().max()), (Some(&3), Some(&6)));
        assert!((0..10_000).all(|_| (100..=20_000).contains(&dice.price(100, 20_000))));
    }

    #[test]
    fn small_prices_are_more_common_than_large_ones() {
        let mut dice = Dice::new(7, 0, 1);
        let below_middle = (0..10_000).filter(|_| dice.price(100, 20_000) < 10_000).count();
        assert!(below_middle > 8_000, "{below_middle}");
    }
}
