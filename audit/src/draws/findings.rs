//! What does not fit: where, which entry, what was expected and what was found.

use serde::Serialize;

use ledger_core::ids::EntryId;
use ledger_core::log::{Position, StoredEvent};

/// Findings kept in full; more are only counted.
pub const FINDINGS_MAX: usize = 100;

/// One thing that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The event's place.
    pub position: String,
    /// Its stream.
    pub stream: String,
    /// The draw it is about, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entry_id: Option<EntryId>,
    /// What was checked, such as `r` or `tier_mask`.
    pub check: &'static str,
    /// What the rules of draw-1 give.
    pub expected: String,
    /// What the log says.
    pub found: String,
}

/// Where something is found.
pub(super) struct Place {
    pub(super) position: Position,
    pub(super) stream: String,
    pub(super) entry: Option<EntryId>,
}

impl Place {
    pub(super) fn of(stored: &StoredEvent, entry: Option<EntryId>) -> Place {
        Place { position: stored.position, stream: stored.stream.to_string(), entry }
    }
}

/// All that was found so far.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) kept: Vec<Finding>,
    pub(super) total: u64,
}

impl Findings {
    #[expect(clippy::needless_pass_by_value, reason = "callers give texts, numbers and references alike")]
    pub(super) fn add(
        &mut self,
        place: &Place,
        check: &'static str,
        expected: impl ToString,
        found: impl ToString,
    ) {
        self.total += 1;
        if self.kept.len() < FINDINGS_MAX {
            self.kept.push(Finding {
                position: place.position.to_string(),
                stream: place.stream.clone(),
                entry_id: place.entry,
                check,
                expected: expected.to_string(),
                found: found.to_string(),
            });
        }
    }

    /// Adds a finding unless both are equal.
    pub(super) fn compare<T: PartialEq + ToString>(
        &mut self,
        place: &Place,
        check: &'static str,
        expected: T,
        found: T,
    ) {
        if expected != found {
            self.add(place, check, expected, found);
        }
    }
}
