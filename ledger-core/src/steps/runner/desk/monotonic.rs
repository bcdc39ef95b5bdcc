//! The time by which items are tried again.

use tokio::time::Instant;

use crate::time::{Clock as _, SystemClock, Timestamp};

/// UTC when this process began, and from there on by the clock that never leaps.
pub(super) struct Monotonic {
    base: Timestamp,
    from: Instant,
}

impl Monotonic {
    pub(super) fn start() -> Monotonic {
        Monotonic { base: SystemClock.now(), from: Instant::now() }
    }

    pub(super) fn now(&self) -> i64 {
        self.base.micros().saturating_add(i64::try_from(self.from.elapsed().as_micros()).unwrap_or(i64::MAX))
    }
}
