//! Merchant category codes, in ranges.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An inclusive range of merchant category codes, written `5411` or `5811-5814`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MccRange {
    /// The lowest code.
    pub first: u16,
    /// The highest code.
    pub last: u16,
}

impl fmt::Debug for MccRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for MccRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{:04}", self.first)
        } else {
            write!(f, "{:04}-{:04}", self.first, self.last)
        }
    }
}

impl std::str::FromStr for MccRange {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = |digits: &str| crate::transaction::Mcc::parse(digits).map(crate::transaction::Mcc::number);
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (code(first), code(last)) {
            (Some(first), Some(last)) if first <= last => Ok(MccRange { first, last }),
            _ => Err(
                "expected a category code of three or four digits such as \"5411\", or a range \"5811-5814\"",
            ),
        }
    }
}

impl Serialize for MccRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MccRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::serde_text::read(deserializer, str::parse)
    }
}
