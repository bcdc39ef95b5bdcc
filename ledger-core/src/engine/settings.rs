//! Bounds and policy.

use std::time::Duration;

use crate::time::{Clock as _, SystemClock};

/// Bounds and policy.
#[derive(Clone, Debug)]
pub struct EngineSettings {
    /// Names this writer in its lease: itself and no other, ever.
    pub holder: String,
    /// Whether a line of an unknown account opens it (`enrolment = open`).
    pub open_enrolment: bool,
    /// Transactions that may wait; beyond it [`SubmitError::Full`](super::SubmitError::Full). At
    /// least one request's 5,000.
    pub queue_transactions: usize,
    /// Commands in one append, at most.
    pub batch_max: usize,
    /// Accounts held in memory, by their number.
    pub accounts_max: usize,
    /// The same by what they take, roughly.
    pub accounts_bytes: usize,
    /// Transaction keys held in memory.
    pub keys_max: usize,
    /// Bits of the filter that tells which keys are surely new: 32 MiB unless set. At ten bits a
    /// key, one new transaction in 100 is looked up for nothing; at two bits a key, two in three
    /// are.
    pub filter_bits: usize,
    /// Events of one stream between two snapshots of it: a hydration reads about as many, and one
    /// state.
    pub snapshot_every: u64,
    /// Events read from the log at once, at most.
    pub page_events: usize,
    /// How far the clock may be ahead of the time that has passed, and of the log's server, before
    /// nothing is recorded.
    pub clock_ahead_max: Duration,
}

impl Default for EngineSettings {
    fn default() -> Self {
        EngineSettings {
            holder: unique_holder(),
            open_enrolment: false,
            queue_transactions: 50_000,
            batch_max: 5_000,
            accounts_max: usize::MAX,
            accounts_bytes: 1 << 30,
            keys_max: 500_000,
            filter_bits: 1 << 28,
            snapshot_every: 500,
            page_events: PAGE_EVENTS,
            clock_ahead_max: Duration::from_mins(1),
        }
    }
}

/// Some 20 MB, and far more than a batch's cold accounts have since their snapshots.
pub(super) const PAGE_EVENTS: usize = 20_000;

/// Where and which process for people, and a number that no other start has.
fn unique_holder() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let host = std::env::var("HOSTNAME").unwrap_or_else(|_| "localhost".into());
    let number = RandomState::new().hash_one(SystemClock.now());
    format!("process {} on {host} ({number:016x})", std::process::id())
}
