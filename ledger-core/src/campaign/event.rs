//! The facts of a campaign: its terms, its budget, its epochs.

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::campaign::terms::Terms;
use crate::draw::PrizeTable;
use crate::ids::Digest;
use crate::money::Money;
use crate::posting::Posting;
use crate::seal::Sealed;
use crate::time::{Epoch, Timestamp};

/// A fact of one campaign. Who did it is in the event's metadata (`actor`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CampaignEvent {
    /// Version 1 of the terms.
    CampaignDrafted {
        /// 1.
        version: u32,
        /// The terms.
        terms: Terms,
    },
    /// Someone approved a version.
    CampaignApproved {
        /// Which.
        version: u32,
    },
    /// Draws may happen from now on.
    CampaignStarted {
        /// When.
        started_at: Timestamp,
    },
    /// Lines are declined `campaign_paused` until it resumes.
    CampaignPaused {
        /// When.
        paused_at: Timestamp,
        /// Why.
        reason: String,
    },
    /// On again.
    CampaignResumed {
        /// When.
        resumed_at: Timestamp,
    },
    /// New terms: rules at once, the prize table at the first epoch not yet scheduled.
    CampaignRevised {
        /// From 2.
        version: u32,
        /// The terms.
        terms: Terms,
    },
    /// No draw after this one; open epochs still close and are revealed.
    CampaignEnded {
        /// When.
        ended_at: Timestamp,
    },
    /// Money put into the budget; counts from the next epoch that opens.
    BudgetFunded {
        /// How much.
        amount: Money,
        /// All funding so far, this one included.
        funded_minor: i64,
        /// Debit the sponsor, credit the budget.
        posting: Posting,
    },
    /// Running totals after a batch that spent or gave back.
    BudgetSpent {
        /// All wins so far.
        spent_minor: i64,
        /// All reversals so far; count from the next epoch that opens.
        reversed_minor: i64,
    },
    /// The seed of one day's draws is committed to.
    EpochScheduled {
        /// The day.
        epoch: Epoch,
        /// Its first instant (00:00 UTC).
        opens_at: Timestamp,
        /// Its end (exclusive).
        closes_at: Timestamp,
        /// Days between close and reveal in which late lines still draw.
        grace_days: u32,
        /// `SHA-256(T ‖ "commit" ‖ …)`, see draw-1.
        commitment: Digest,
        /// The seed, under the draw key; nowhere else.
        sealed_seed: Sealed,
        /// The table drawn from.
        prize_table: PrizeTable,
        /// Its hash over RFC 8785 JSON.
        table_hash: Digest,
        /// `none`, or a public beacon round that did not exist yet.
        beacon_spec: String,
        /// Scheduled less than 24 hours ahead: a campaign's first epoch, or a gap after an outage.
        #[serde(default)]
        at_once: bool,
    },
    /// Draws of this day may happen.
    EpochOpened {
        /// The day.
        epoch: Epoch,
        /// When.
        opened_at: Timestamp,
        /// 32 bytes of public randomness; zeros for `none`.
        beacon: Digest,
        /// Funded plus reversed when it opened: wins of this epoch happen only while the campaign's spend
        /// stays within it.
        budget_cap_minor: i64,
    },
    /// Suspicion: nothing draws in it any more unless two people resume it.
    EpochHalted {
        /// The day.
        epoch: Epoch,
        /// Why.
        reason: String,
    },
    /// Sealed, and counted.
    EpochClosed {
        /// The day.
        epoch: Epoch,
        /// All draws, wins and losses.
        draws: u64,
        /// Wins per tier, in table order.
        wins: Vec<u64>,
        /// Minor units won.
        paid_minor: i64,
        /// RFC 6962 root over the sorted entry ids.
        root: Digest,
    },
    /// Anyone can recompute its draws from now on.
    EpochRevealed {
        /// The day.
        epoch: Epoch,
        /// The seed, 32 bytes.
        seed: Digest,
    },
}

impl CampaignEvent {
    /// The event's name, as in the log's `event_type`.
    pub fn name(&self) -> &'static str {
        match self {
            CampaignEvent::CampaignDrafted { .. } => "CampaignDrafted",
            CampaignEvent::CampaignApproved { .. } => "CampaignApproved",
            CampaignEvent::CampaignStarted { .. } => "CampaignStarted",
            CampaignEvent::CampaignPaused { .. } => "CampaignPaused",
            CampaignEvent::CampaignResumed { .. } => "CampaignResumed",
            CampaignEvent::CampaignRevised { .. } => "CampaignRevised",
            CampaignEvent::CampaignEnded { .. } => "CampaignEnded",
            CampaignEvent::BudgetFunded { .. } => "BudgetFunded",
            CampaignEvent::BudgetSpent { .. } => "BudgetSpent",
            CampaignEvent::EpochScheduled { .. } => "EpochScheduled",
            CampaignEvent::EpochOpened { .. } => "EpochOpened",
            CampaignEvent::EpochHalted { .. } => "EpochHalted",
            CampaignEvent::EpochClosed { .. } => "EpochClosed",
            CampaignEvent::EpochRevealed { .. } => "EpochRevealed",
        }
    }

    /// The posting this event makes, if it moves money.
    pub fn posting(&self) -> Option<&Posting> {
        match self {
            CampaignEvent::BudgetFunded { posting, .. } => Some(posting),
            CampaignEvent::CampaignDrafted { .. }
            | CampaignEvent::CampaignApproved { .. }
            | CampaignEvent::CampaignStarted { .. }
            | CampaignEvent::CampaignPaused { .. }
            | CampaignEvent::CampaignResumed { .. }
            | CampaignEvent::CampaignRevised { .. }
            | CampaignEvent::CampaignEnded { .. }
            | CampaignEvent::BudgetSpent { .. }
            | CampaignEvent::EpochScheduled { .. }
            | CampaignEvent::EpochOpened { .. }
            | CampaignEvent::EpochHalted { .. }
            | CampaignEvent::EpochClosed { .. }
            | CampaignEvent::EpochRevealed { .. } => None,
        }
    }
}

impl DomainEvent for CampaignEvent {
    fn event_type(&self) -> String {
        self.name().into()
    }
    fn event_version(&self) -> String {
        "1".into()
    }
}
