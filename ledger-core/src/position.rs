//! A place in the log. Events and commands name it, and know nothing of the log itself.

use std::fmt;

/// An event's place in the log, from 1; 0 is before the first. Outside it is the opaque token
/// `0:<n>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Position {
        Position(self.0 + 1)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0:{}", self.0)
    }
}

impl std::str::FromStr for Position {
    type Err = &'static str;
    fn from_str(token: &str) -> Result<Self, Self::Err> {
        // `parse` would take a sign; a position has none.
        let digits = token.strip_prefix("0:").filter(|d| d.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|d| d.parse().ok()).map(Position).ok_or("not a position of this ledger")
    }
}
