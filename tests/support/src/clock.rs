//! A clock that stands still until it is told otherwise.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use ledger_core::time::{Clock, Timestamp};

/// Shows the time it was last given; may be shared, set back, and made to leap.
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicI64,
    /// Microseconds that have passed, whatever the wall clock shows.
    passed: AtomicI64,
}

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> ManualClock {
        ManualClock { wall: AtomicI64::new(now.micros()), passed: AtomicI64::new(0) }
    }

    /// Shows `now` from here on. If that is later, the time until then has passed.
    pub fn set(&self, now: Timestamp) {
        let before = self.wall.swap(now.micros(), Ordering::SeqCst);
        self.passed.fetch_add((now.micros() - before).max(0), Ordering::SeqCst);
    }

    /// So many microseconds pass; if negative, it is set back by them.
    pub fn advance(&self, micros: i64) {
        self.wall.fetch_add(micros, Ordering::SeqCst);
        self.passed.fetch_add(micros.max(0), Ordering::SeqCst);
    }

    /// Somebody sets it ahead by so many microseconds, or back if negative: no time passes.
    pub fn leap(&self, micros: i64) {
        self.wall.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.passed.load(Ordering::SeqCst)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_still_until_it_is_moved() {
        let clock = ManualClock::at(Timestamp::from_micros(5));
        assert_eq!((clock.now(), clock.now()), (Timestamp::from_micros(5), Timestamp::from_micros(5)));
        clock.advance(-7);
        assert_eq!(clock.now(), Timestamp::from_micros(-2));
        clock.set(Timestamp::from_micros(9));
        assert_eq!(clock.now(), Timestamp::from_micros(9));
        assert_eq!(clock.monotonic(), Duration::from_micros(11));
        clock.leap(100);
        assert_eq!(
            (clock.now(), clock.monotonic()),
            (Timestamp::from_micros(109), Duration::from_micros(11))
        );
    }
}
