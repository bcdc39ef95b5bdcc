//! A clock that stands still until it is told otherwise.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::time::{Clock, Timestamp};

/// Shows the time it was last given; may be shared and may be set back.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> ManualClock {
        ManualClock(AtomicI64::new(now.micros()))
    }

    /// Shows `now` from here on.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.micros(), Ordering::SeqCst);
    }

    /// Moves on by so many microseconds, or back if negative.
    pub fn advance(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
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
    }
}
