//! A civil time zone by its IANA name. A name that today's table does not have is still a name:
//! history stays readable, and what has to know the time there waits.

use std::fmt;

use chrono_tz::Tz;
use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A zone, such as `Europe/London`.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone {
    name: CompactString,
    table: Option<Tz>,
}

impl Zone {
    /// The zone of this name, whether or not the table has it.
    pub fn named(name: &str) -> Zone {
        Zone { name: name.into(), table: name.parse().ok() }
    }

    /// The zone, if the table has it.
    pub fn known(&self) -> Option<Tz> {
        self.table
    }

    /// The zone; UTC in the place of one that is not known, where nothing is decided by it.
    pub fn or_utc(&self) -> Tz {
        self.table.unwrap_or(Tz::UTC)
    }
}

impl From<Tz> for Zone {
    fn from(zone: Tz) -> Zone {
        Zone { name: zone.name().into(), table: Some(zone) }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::serde_text::read(deserializer, |name| Ok::<_, std::convert::Infallible>(Zone::named(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zone_that_the_table_lost_keeps_its_name() {
        for (name, known) in [("Europe/London", true), ("Mars/Olympus", false), ("", false)] {
            let zone: Zone = serde_json::from_value(name.into()).unwrap();
            assert_eq!((zone.known().is_some(), serde_json::to_value(&zone).unwrap()), (known, name.into()));
        }
        assert_eq!(Zone::named("Europe/London"), Zone::from(chrono_tz::Europe::London));
    }
}
