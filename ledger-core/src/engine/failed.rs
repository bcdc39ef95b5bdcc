//! Why a batch did not become durable.

use crate::faults;

use super::clock::ClockAhead;

/// Why a batch did not become durable.
pub(super) enum Failed {
    /// Nothing was written; with memory dropped it may be decided again at once.
    Again,
    /// The same; what made it fail has been set apart.
    SetApart,
    /// The log cannot be written, or is in doubt, just now.
    Unavailable,
    /// Nothing was staged: the clock may be wrong.
    Clock(ClockAhead),
    /// Another writer has the log.
    Fenced,
}

const UNDECIDED: &str = "a batch cannot be decided: its callers are told to come back";

/// A fault while something was being read or opened.
pub(super) fn unavailable(doing: &'static str, error: &(dyn std::error::Error + 'static)) -> Failed {
    faults::error(UNDECIDED, doing, error);
    Failed::Unavailable
}

/// Batches are decided again.
pub(super) fn available() {
    faults::over(UNDECIDED);
}
