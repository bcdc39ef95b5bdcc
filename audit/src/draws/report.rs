//! What the audit comes to.

use std::collections::BTreeMap;

use serde::Serialize;

use super::findings::Finding;
use ledger_core::ids::CampaignId;

/// What the audit came to.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// No finding: nothing in the log contradicts another thing in it. Draws may still wait for
    /// their seed.
    pub holds: bool,
    /// Every draw was derived again with its seed.
    pub complete: bool,
    /// Events read.
    pub events: u64,
    /// The last one's place.
    pub position: String,
    /// How far draws could be derived again.
    #[serde(flatten)]
    pub counts: Counts,
    /// By campaign.
    pub campaigns: BTreeMap<CampaignId, Summary>,
    /// What does not fit, at most [`FINDINGS_MAX`](super::FINDINGS_MAX) in full.
    pub findings: Vec<Finding>,
    /// How many there were.
    pub findings_total: u64,
}

/// One campaign in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Scheduled so far.
    pub epochs: usize,
    /// Of these, revealed.
    pub epochs_revealed: usize,
    /// Committed to when their day had begun: the first day of a campaign, days made up for.
    pub epochs_committed_late: usize,
    /// Its draws, and how far they could be derived again.
    #[serde(flatten)]
    pub counts: Counts,
    /// Draws of epochs whose grace was over at the end of the log and whose seed is still not
    /// revealed.
    pub reveal_overdue: u64,
    /// Draws that paid something.
    pub wins: u64,
    /// Put into the budget.
    pub funded_minor: i128,
    /// Won in all.
    pub won_minor: i128,
    /// Given back to the budget by reversals.
    pub returned_minor: i128,
    /// Wins that have been paid.
    pub credited: u64,
    /// What they came to.
    pub credited_minor: i128,
    /// Wins neither paid nor reversed.
    pub outstanding: u64,
    /// What they come to.
    pub outstanding_minor: i128,
}

/// How far draws could be derived again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Wins and losses.
    pub draws: u64,
    /// Of these, with the seed: the number itself.
    pub rederived: u64,
    /// Without a seed: everything but the number.
    pub waiting_for_reveal: u64,
    /// Share prizes computed from disclosed details.
    pub shares_checked: u64,
    /// Share prizes of which only the bounds could be checked.
    pub shares_bounded: u64,
}

impl Counts {
    pub(super) fn add(&mut self, other: Counts) {
        self.draws += other.draws;
        self.rederived += other.rederived;
        self.waiting_for_reveal += other.waiting_for_reveal;
        self.shares_checked += other.shares_checked;
        self.shares_bounded += other.shares_bounded;
    }
}
