//! How long to wait before trying again: twice as long each time, up to a bound, and never all at
//! one moment.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The one policy of all that tries again.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// Before the second try.
    pub first: Duration,
    /// Never longer, jitter aside.
    pub longest: Duration,
}

impl Backoff {
    /// For a store or a ledger that is out of reach for a moment.
    pub const STORE: Backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(5) };

    /// The pause after so many tries, from 1; a quarter more or less, so that many who failed
    /// together do not come back together.
    pub fn pause(self, tries: u32) -> Duration {
        let doublings = tries.saturating_sub(1).min(20);
        let pause = self.first.saturating_mul(1 << doublings).min(self.longest);
        // The keys of a `RandomState` are random, which is all the randomness that jitter needs.
        let eighths = u32::try_from(RandomState::new().hash_one(tries) % 5).unwrap_or(0) + 6;
        pause.saturating_mul(eighths) / 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_differ() {
        let backoff = Backoff { first: Duration::from_millis(100), longest: Duration::from_mins(1) };
        for (tries, middle) in
            [(0, 100), (1, 100), (2, 200), (5, 1_600), (10, 51_200), (11, 60_000), (u32::MAX, 60_000)]
        {
            let pauses: Vec<u128> = (0..64).map(|_| backoff.pause(tries).as_millis()).collect();
            assert!(
                pauses.iter().all(|p| (middle * 3 / 4..=middle * 5 / 4).contains(p)),
                "{tries}: {pauses:?}"
            );
            assert!(pauses.iter().any(|p| *p != pauses[0]), "all at one moment: {pauses:?}");
        }
    }
}
