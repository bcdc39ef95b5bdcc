//! Time enters from outside: nothing below the engine asks a clock. Microseconds since 1970, UTC.

use std::fmt;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chrono::{DateTime, Datelike as _, NaiveDate, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// Microseconds in a second.
pub const SECOND_MICROS: i64 = 1_000_000;
/// Microseconds in an hour.
pub const HOUR_MICROS: i64 = 3_600 * SECOND_MICROS;
/// Microseconds in a day of 24 hours.
pub const DAY_MICROS: i64 = 86_400 * SECOND_MICROS;

/// An instant in microseconds since 1970-01-01T00:00:00Z, shown as RFC 3339.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since 1970.
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// Microseconds since 1970.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// This instant as chrono has it.
    pub fn to_utc(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// The UTC day.
    pub fn date(self) -> NaiveDate {
        self.to_utc().date_naive()
    }

    /// Later (or, below zero, earlier) by `micros`, held at the ends of the range.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(micros))
    }

    /// Midnight UTC at which `date` begins.
    pub fn start_of(date: NaiveDate) -> Timestamp {
        Timestamp(date.signed_duration_since(NaiveDate::default()).num_days() * DAY_MICROS)
    }
}

impl From<DateTime<Utc>> for Timestamp {
    /// A leap second is the last microsecond of its day: 23:59:60 is not tomorrow.
    fn from(time: DateTime<Utc>) -> Self {
        let micros = time.timestamp_subsec_micros().min(999_999);
        Timestamp(time.timestamp() * SECOND_MICROS + i64::from(micros))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::serde_text::read(deserializer, |text| {
            let time = DateTime::parse_from_rfc3339(text).map_err(|_| NOT_A_TIME)?.to_utc();
            // In UTC it may lie in a year that RFC 3339 cannot write: what is recorded must be
            // readable for ever.
            let is_writable = (0..=9_999).contains(&time.year());
            if is_writable { Ok(time.into()) } else { Err("must lie in the years 0 to 9999 UTC") }
        })
    }
}

const NOT_A_TIME: &str = "must be a time with its offset, such as 2026-12-01T00:00:00Z (RFC 3339)";

/// One UTC day of one campaign's draws, written `YYYY-MM-DD`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Epoch(NaiveDate);

/// A text that is no day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a day, such as 2026-12-01")]
pub struct NotADay;

impl Epoch {
    /// The epoch a booking time falls into: its UTC day, always.
    pub fn of(booked_at: Timestamp) -> Epoch {
        Epoch(booked_at.date())
    }

    /// The epoch of this day.
    pub fn on(date: NaiveDate) -> Epoch {
        Epoch(date)
    }

    /// Its day.
    pub fn date(self) -> NaiveDate {
        self.0
    }

    /// Midnight UTC at which it opens.
    pub fn opens_at(self) -> Timestamp {
        Timestamp::start_of(self.0)
    }

    /// Midnight UTC at which it closes (exclusive).
    pub fn closes_at(self) -> Timestamp {
        self.opens_at().plus_micros(DAY_MICROS)
    }

    /// The next day.
    #[must_use]
    pub fn next(self) -> Epoch {
        Epoch(self.0 + TimeDelta::days(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Epoch {
    type Err = NotADay;
    fn from_str(text: &str) -> Result<Self, NotADay> {
        NaiveDate::parse_from_str(text, "%Y-%m-%d").map(Epoch).map_err(|_| NotADay)
    }
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::serde_text::read(deserializer, str::parse)
    }
}

/// Where time comes from. May jump either way: the engine records a time that never goes back, and
/// waits when it leaps ahead.
pub trait Clock: Send + Sync {
    /// The present, in microseconds since 1970 UTC.
    fn now(&self) -> Timestamp;

    /// The time since some moment, by a clock that nobody sets. It may stand still while the
    /// machine is suspended.
    fn monotonic(&self) -> Duration {
        BEGINNING.elapsed()
    }
}

/// The first reading of the monotonic clock.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The operating system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "the one place that asks the operating system")]
        let now = Utc::now();
        now.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_the_utc_day_of_booking() {
        let late = DateTime::parse_from_rfc3339("2026-11-22T23:30:00-02:00").unwrap().to_utc();
        let epoch = Epoch::of(late.into());
        assert_eq!(epoch.to_string(), "2026-11-23");
        assert_eq!(epoch.opens_at().to_string(), "2026-11-23T00:00:00Z");
        assert_eq!(epoch.next().to_string(), "2026-11-24");
    }

    /// What is written once must be readable for ever.
    #[test]
    fn a_time_whose_year_in_utc_cannot_be_written_is_refused() {
        for text in ["9999-12-31T23:59:59-05:00", "0000-01-01T00:00:00+01:00"] {
            let read = serde_json::from_value::<Timestamp>(text.into());
            assert!(read.unwrap_err().to_string().contains("0 to 9999"), "{text}");
        }
        for text in ["9999-12-31T23:59:59Z", "0000-01-01T00:00:00Z"] {
            let read = serde_json::from_value::<Timestamp>(text.into()).unwrap();
            assert_eq!(serde_json::to_value(read).unwrap(), text);
        }
    }

    #[test]
    fn times_survive_json() {
        let time = Timestamp::from_micros(1_795_000_000_123_456);
        let json = serde_json::to_string(&time).unwrap();
        assert_eq!(serde_json::from_str::<Timestamp>(&json).unwrap(), time);
    }
}
