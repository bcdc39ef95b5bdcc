//! The clock that the ledger goes by: the system's, as long as it does not leap ahead.
//!
//! What is recorded is never recorded earlier than what stands before it, so a leap ahead cannot be
//! taken back: days would be closed before their lines come. At every reading the wall clock is
//! therefore compared with the monotonic one, and regularly with that of the log's server where
//! there is one. Beyond a bound the writer waits ([`ClockAhead`]), until the clock has come back,
//! the server's clock agrees with it, or a person accepts it.
//!
//! Steps below the bound add up: what was trusted follows the clock by a tenth of the time that
//! passes, and no faster. A clock that creeps is never told from a good one. One that is set back
//! is told of, and recorded time waits for it.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::log::WriterLease;
use crate::time::{Clock, DAY_MICROS, SECOND_MICROS, Timestamp};

/// Why nothing can be recorded: the clock may have leapt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the clock is {seconds} s ahead of the time that has passed; nothing is recorded until it is right or accepted"
)]
pub struct ClockAhead {
    /// By how much, rounded down.
    pub seconds: i64,
}

/// What the clock shows, and what it should show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockState {
    /// What it shows.
    pub shows: Timestamp,
    /// What it would show if nobody had set it.
    pub expected: Timestamp,
    /// Set while nothing is recorded.
    pub ahead: Option<ClockAhead>,
}

/// A clock that is compared with others. Its [`now`](Clock::now) is the expected time while it is
/// ahead.
pub struct WatchedClock {
    source: Arc<dyn Clock>,
    ahead_max_micros: i64,
    state: Mutex<State>,
}

#[derive(Clone)]
struct State {
    /// What the clock should show when the monotonic one shows `at`.
    trusted: Timestamp,
    at: Duration,
    /// What the server's clock showed when the monotonic one showed this.
    server: Option<(Timestamp, Duration)>,
    /// How far ahead of the server's clock somebody has accepted ours to be.
    accepted_micros: i64,
    told: Told,
    told_server_is_ahead: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    InOrder,
    Ahead,
    Behind,
}

/// An answer that took longer says too little about the time.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How often the clock is compared with the server's.
const COMPARE_EVERY: Duration = Duration::from_secs(5);
/// And while nothing is recorded.
const COMPARE_HELD: Duration = Duration::from_secs(1);
/// A gap between the last event and the start that a person is told of.
const GAP_TOLD_MICROS: i64 = DAY_MICROS;
/// What was trusted follows the clock at most once in this time.
const FOLLOW_EVERY: Duration = Duration::from_secs(1);
/// By this part of the time that has passed.
const FOLLOW_PART: i64 = 10;

impl WatchedClock {
    /// Trusts what the clock shows now, and from then on as much beyond as `ahead_max`.
    pub fn new(source: Arc<dyn Clock>, ahead_max: Duration) -> WatchedClock {
        let (trusted, at) = (source.now(), source.monotonic());
        let state = State {
            trusted,
            at,
            server: None,
            accepted_micros: 0,
            told: Told::InOrder,
            told_server_is_ahead: false,
        };
        WatchedClock { source, ahead_max_micros: micros(ahead_max), state: Mutex::new(state) }
    }

    /// The time to record, if it may be recorded.
    pub fn read(&self) -> Result<Timestamp, ClockAhead> {
        let ClockState { shows, ahead, .. } = self.state();
        ahead.map_or(Ok(shows), Err)
    }

    /// Compares the clock with the monotonic one.
    pub fn state(&self) -> ClockState {
        let mut state = self.lock();
        let (shows, monotonic) = (self.source.now(), self.source.monotonic());
        let passed = micros(monotonic.saturating_sub(state.at));
        let expected = state.trusted.plus_micros(passed);
        let lead = shows.micros().saturating_sub(expected.micros());
        let seconds = lead / SECOND_MICROS;
        let is_ahead = lead > self.ahead_max_micros;
        if !is_ahead && passed >= micros(FOLLOW_EVERY) {
            let follow = passed / FOLLOW_PART;
            state.trusted = expected.plus_micros(lead.clamp(-follow, follow));
            state.at = monotonic;
        }
        state.tell(
            if is_ahead {
                Told::Ahead
            } else if lead < -self.ahead_max_micros {
                Told::Behind
            } else {
                Told::InOrder
            },
            seconds,
        );
        ClockState { shows, expected, ahead: is_ahead.then_some(ClockAhead { seconds }) }
    }

    /// The clock of the log's server showed `server` in answer to what was asked when ours showed
    /// `asked`. While the two agree ours is right, whatever happened to it (a machine that was
    /// suspended). If ours is ahead, it is wrong.
    pub fn compare(&self, asked: ClockReading, server: Timestamp) {
        let answered = self.source.monotonic();
        if answered.saturating_sub(asked.monotonic) > ANSWER_MAX {
            return;
        }
        let mut state = self.lock();
        // The answer was given after the question: ours is further ahead than this by its way, if
        // by anything.
        let lead = asked.wall.micros().saturating_sub(server.micros()).saturating_sub(state.accepted_micros);
        state.server = Some((server, asked.monotonic));
        if lead > self.ahead_max_micros {
            (state.trusted, state.at) = (server.plus_micros(state.accepted_micros), asked.monotonic);
        } else if lead >= -self.ahead_max_micros {
            (state.trusted, state.at) = (asked.wall, asked.monotonic);
        }
        let (seconds, server_is_ahead) = (lead / SECOND_MICROS, lead < -self.ahead_max_micros);
        gauge("rewardhub_clock_ahead_of_server_seconds", seconds);
        if server_is_ahead && !state.told_server_is_ahead {
            let seconds = -seconds;
            tracing::warn!(seconds, "the database server's clock is ahead of ours; we go by ours");
        }
        state.told_server_is_ahead = server_is_ahead;
    }

    /// A ledger may rest for weeks, so a clock that has leapt meanwhile cannot be told from one
    /// that is right: a person is told how long it was.
    pub(super) fn tell_gap(&self, last: Option<Timestamp>) {
        let Some(last) = last else { return };
        let gap = self.source.now().micros().saturating_sub(last.micros());
        let seconds = gap / SECOND_MICROS;
        gauge("rewardhub_clock_gap_at_start_seconds", seconds);
        if gap > GAP_TOLD_MICROS {
            tracing::warn!(
                seconds,
                %last,
                "the last event is long ago; if the ledger has not rested, the clock is wrong: stop and set it"
            );
        } else if gap < 0 {
            let seconds = -seconds;
            tracing::warn!(seconds, %last, "the clock is behind the last event; recorded time waits for it");
        }
    }

    /// What is shown before the server is asked.
    pub fn reading(&self) -> ClockReading {
        ClockReading { wall: self.source.now(), monotonic: self.source.monotonic() }
    }

    /// A person says that the clock is right. What was trusted before comes back by
    /// [`WatchedClock::restore`].
    pub fn accept(&self) -> Trusted {
        let mut state = self.lock();
        let before = state.clone();
        (state.trusted, state.at) = (self.source.now(), self.source.monotonic());
        if let Some((server, at)) = state.server {
            let server = server.plus_micros(micros(state.at.saturating_sub(at)));
            state.accepted_micros = state.trusted.micros().saturating_sub(server.micros());
        }
        Trusted(before)
    }

    /// Takes an acceptance back.
    pub fn restore(&self, Trusted(before): Trusted) {
        let told = self.lock().told;
        *self.lock() = State { told, ..before };
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

/// What wall and monotonic clock show at one moment.
#[derive(Clone, Copy, Debug)]
pub struct ClockReading {
    wall: Timestamp,
    monotonic: Duration,
}

impl ClockReading {
    /// What the wall clock showed.
    pub fn wall(&self) -> Timestamp {
        self.wall
    }
}

/// What was trusted before somebody accepted the clock.
pub struct Trusted(State);

impl Clock for WatchedClock {
    fn now(&self) -> Timestamp {
        let ClockState { shows, expected, ahead } = self.state();
        if ahead.is_some() { expected } else { shows }
    }

    fn monotonic(&self) -> Duration {
        self.source.monotonic()
    }
}

/// Compares the clock with that of the log's server as long as the writer is there. A server that
/// cannot be asked says nothing about our clock.
pub(super) async fn keep_comparing(
    clock: Arc<WatchedClock>,
    lease: Arc<dyn WriterLease>,
    alive: impl Fn() -> bool,
) {
    while alive() {
        let asked = clock.reading();
        match lease.server_time().await {
            Ok(Some(server)) => clock.compare(asked, server),
            Ok(None) => return,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "the server's clock is unknown");
            }
        }
        let held = clock.state().ahead.is_some();
        tokio::time::sleep(if held { COMPARE_HELD } else { COMPARE_EVERY }).await;
    }
}

impl State {
    /// Once for each change.
    fn tell(&mut self, now: Told, seconds: i64) {
        gauge("rewardhub_clock_ahead_seconds", seconds);
        gauge("rewardhub_clock_held", i64::from(now == Told::Ahead));
        if self.told == now {
            return;
        }
        match now {
            Told::Ahead => tracing::error!(
                seconds,
                "the clock has leapt ahead; nothing is recorded until it is right again, the database's clock \
                 agrees with it, or a person accepts it (rewardhub clock accept; without a service, the next start)"
            ),
            Told::Behind => {
                tracing::warn!(seconds = -seconds, "the clock has been set back; recorded time waits for it")
            }
            Told::InOrder => tracing::warn!("the clock is in order again"),
        }
        self.told = now;
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

pub(super) fn gauge(name: &'static str, value: i64) {
    #[expect(clippy::cast_precision_loss, reason = "seconds in a gauge need no 2^53")]
    metrics::gauge!(name).set(value as f64);
}

#[cfg(test)]
mod tests;
