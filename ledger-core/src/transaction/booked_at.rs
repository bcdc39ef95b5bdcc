//! When the bank booked a line: an instant, or a day of which it does not say the time.

use chrono::NaiveDate;

use crate::time::{DAY_MICROS, Timestamp};
use crate::zone::Clocks;

/// When a line was booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookedAt {
    /// The instant; of a day without a time, the midnight UTC at which the day of that date begins.
    pub at: Timestamp,
    /// Whether the bank says the time.
    pub time_known: bool,
}

impl BookedAt {
    /// The day there. A day without a time is the same one everywhere.
    pub fn day(self, clocks: &Clocks) -> NaiveDate {
        if self.time_known { clocks.day(self.at) } else { self.at.date() }
    }

    /// Whether it was before an instant; by the day there where the time is not known.
    pub fn is_before(self, instant: Timestamp, clocks: &Clocks) -> bool {
        if self.time_known { self.at < instant } else { self.at.date() < clocks.day(instant) }
    }

    /// Whether it was when something had ended that did not hold at `end` any more; by its last day
    /// there where the time is not known.
    pub fn is_after(self, end: Timestamp, clocks: &Clocks) -> bool {
        if self.time_known { self.at >= end } else { self.at.date() > clocks.day(end.plus_micros(-1)) }
    }

    /// Whole days of 24 hours since an instant, none before it; of the calendar there where the
    /// time is not known.
    pub fn days_since(self, instant: Timestamp, clocks: &Clocks) -> i64 {
        let days = if self.time_known {
            (self.at.micros() - instant.micros()) / DAY_MICROS
        } else {
            (self.at.date() - clocks.day(instant)).num_days()
        };
        days.max(0)
    }

    /// How far apart two of them are, in microseconds; whole days where a time is not known.
    pub fn micros_apart(self, other: BookedAt) -> u64 {
        if self.time_known && other.time_known {
            return self.at.micros().abs_diff(other.at.micros());
        }
        (self.at.date() - other.at.date()).num_days().unsigned_abs().saturating_mul(DAY_MICROS.unsigned_abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zone::{Zone, ZoneTable};

    fn booked(text: &str) -> BookedAt {
        let time_known = text.contains('T');
        let text = if time_known { text.to_owned() } else { format!("{text}T00:00:00Z") };
        BookedAt { at: at(&text), time_known }
    }

    fn at(text: &str) -> Timestamp {
        serde_json::from_value(text.into()).unwrap()
    }

    fn clocks(zone: &str) -> Clocks {
        ZoneTable::new().clocks_to_be(&Zone::named(zone)).unwrap()
    }

    #[test]
    fn a_day_without_a_time_is_compared_by_the_day_there() {
        let (west, east) = (clocks("America/Los_Angeles"), clocks("Pacific/Kiritimati"));
        // Noon of 1 December there, and midnight at which it begins.
        for (clocks, noon, midnight) in [
            (&west, "2026-12-01T20:00:00Z", "2026-12-01T08:00:00Z"),
            (&east, "2026-11-30T22:00:00Z", "2026-11-30T10:00:00Z"),
        ] {
            let (before, on, after) = (booked("2026-11-30"), booked("2026-12-01"), booked("2026-12-02"));
            for instant in [at(noon), at(midnight)] {
                let is_before = [before, on, after].map(|day| day.is_before(instant, clocks));
                assert_eq!(is_before, [true, false, false]);
            }
            assert_eq!([before, on, after].map(|day| day.is_after(at(noon), clocks)), [false, false, true]);
            // What ends with a day does not hold on the next one.
            assert_eq!([before, on].map(|day| day.is_after(at(midnight), clocks)), [false, true]);
            assert_eq!(on.day(clocks).to_string(), "2026-12-01");
            assert_eq!([before, on, after].map(|day| day.days_since(at(noon), clocks)), [0, 0, 1]);
        }
    }

    #[test]
    fn an_instant_is_compared_as_it_is() {
        let (clocks, noon) = (clocks("America/Los_Angeles"), at("2026-12-01T20:00:00Z"));
        let (just_before, then) = (booked("2026-12-01T19:59:59.999999Z"), booked("2026-12-01T20:00:00Z"));
        assert_eq!((just_before.is_before(noon, &clocks), then.is_before(noon, &clocks)), (true, false));
        assert_eq!((just_before.is_after(noon, &clocks), then.is_after(noon, &clocks)), (false, true));
        let next = booked("2026-12-02T19:59:59.999999Z");
        assert_eq!((next.days_since(noon, &clocks), just_before.days_since(noon, &clocks)), (0, 0));
        assert_eq!(booked("2026-12-02T03:00:00Z").day(&clocks).to_string(), "2026-12-01");
    }

    #[test]
    fn what_has_no_time_is_whole_days_apart() {
        let days = |a, b| booked(a).micros_apart(booked(b)) / DAY_MICROS.unsigned_abs();
        assert_eq!(days("2026-11-01", "2026-12-02"), 31);
        assert_eq!(days("2026-12-02T23:59:59Z", "2026-11-01"), 31);
        assert_eq!(days("2026-11-01", "2026-12-03T00:00:00Z"), 32);
        let micros = booked("2026-11-01T00:00:00Z").micros_apart(booked("2026-12-02T00:00:00.000001Z"));
        assert_eq!(micros, 31 * DAY_MICROS.unsigned_abs() + 1);
    }
}
