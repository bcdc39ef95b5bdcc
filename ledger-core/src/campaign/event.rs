//! The facts of a campaign: its terms, its budget, its epochs.

use std::collections::BTreeMap;

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

use crate::campaign::terms::Terms;
use crate::draw::PrizeTable;
use crate::ids::{BeaconSignature, Digest};
use crate::keys::Sealed;
use crate::money::Money;
use crate::posting::Posting;
use crate::time::{Epoch, Timestamp};

/// A fact of one campaign. Who did it is in the event's metadata (`actor`), and in `by` where it
/// decides what the same person may do next; `version` is that of the terms in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CampaignEvent {
    /// Version 1 of the terms.
    CampaignDrafted {
        /// 1.
        version: u32,
        /// The terms.
        terms: Terms,
        /// Whose draft it is.
        #[serde(default)]
        by: String,
    },
    /// Someone other than its author approved a version: it is in force from now on. Rules count at
    /// once, a prize table from the first epoch not yet scheduled.
    CampaignApproved {
        /// Which.
        version: u32,
        /// Who approved it.
        #[serde(default)]
        by: String,
    },
    /// It is to start by itself.
    CampaignScheduled {
        /// Under which version.
        version: u32,
        /// When.
        start_at: Timestamp,
    },
    /// Draws may happen from now on.
    CampaignStarted {
        /// When.
        started_at: Timestamp,
        /// Under which version.
        #[serde(default)]
        version: u32,
    },
    /// Lines are declined `campaign_paused` until it resumes.
    CampaignPaused {
        /// When.
        paused_at: Timestamp,
        /// Why.
        reason: String,
        /// Under which version.
        #[serde(default)]
        version: u32,
    },
    /// On again.
    CampaignResumed {
        /// When.
        resumed_at: Timestamp,
        /// Under which version.
        #[serde(default)]
        version: u32,
    },
    /// New terms, in force once someone else approves them.
    CampaignRevised {
        /// From 2.
        version: u32,
        /// The terms.
        terms: Terms,
        /// Whose revision it is.
        #[serde(default)]
        by: String,
    },
    /// No draw after this one; open epochs still close and are revealed.
    CampaignEnded {
        /// When.
        ended_at: Timestamp,
        /// Under which version.
        #[serde(default)]
        version: u32,
    },
    /// Someone wants to put more into the budget than one person may.
    FundingProposed {
        /// How much.
        amount: Money,
        /// What finance calls it, unique in the campaign.
        reference: String,
        /// Who proposes it.
        by: String,
        /// Of the terms in force.
        #[serde(default)]
        version: u32,
    },
    /// Money put into the budget; counts from the next epoch that opens.
    BudgetFunded {
        /// How much.
        amount: Money,
        /// All funding so far, this one included.
        funded_minor: i64,
        /// What finance calls it, unique in the campaign; empty for the budget of the terms.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reference: String,
        /// Debit the sponsor, credit the budget.
        posting: Posting,
        /// Of the terms in force.
        #[serde(default)]
        version: u32,
    },
    /// Running totals after a batch that spent or gave back.
    BudgetSpent {
        /// All wins so far.
        spent_minor: i64,
        /// All reversals so far; count from the next epoch that opens.
        reversed_minor: i64,
        /// All wins so far of each tier that was won in this batch, by its name. Reversals give
        /// nothing back. Logs of the first releases name only tiers whose number was limited.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        tier_wins: BTreeMap<String, u64>,
        /// Of the terms in force.
        #[serde(default)]
        version: u32,
    },
    /// The spend has reached a share of what was funded. Each share is told once until more is
    /// funded.
    BudgetAlerted {
        /// 50, 80 or 95; 100 once no tier can be covered any more.
        percent: u8,
        /// All wins so far.
        spent_minor: i64,
        /// Funded plus reversed.
        funded_minor: i64,
        /// Of the terms in force.
        #[serde(default)]
        version: u32,
    },
    /// The seed of one day's draws is committed to.
    EpochScheduled {
        /// The day.
        epoch: Epoch,
        /// Its first instant (00:00 UTC).
        opens_at: Timestamp,
        /// Its end (exclusive).
        closes_at: Timestamp,
        /// Days between close and reveal in which late transactions still draw.
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
        /// Under which version of the terms.
        #[serde(default)]
        version: u32,
        /// The most wins of a tier over the whole campaign, by its name; a tier that has had them
        /// is masked.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        inventory: BTreeMap<String, u64>,
    },
    /// Draws of this day may happen.
    EpochOpened {
        /// The day.
        epoch: Epoch,
        /// When.
        opened_at: Timestamp,
        /// 32 bytes of public randomness; zeros for `none`.
        beacon: Digest,
        /// Funded plus reversed when it opened: wins of this epoch happen only while the campaign's
        /// spend stays within it.
        budget_cap_minor: i64,
        /// What the randomness is the SHA-256 of, so that anyone can check it offline; absent for
        /// `none`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        beacon_signature: Option<BeaconSignature>,
        /// Of the terms in force.
        #[serde(default)]
        version: u32,
    },
    /// The seed of a day was opened: whoever did could have foreseen its draws.
    SeedOpened {
        /// The day.
        epoch: Epoch,
        /// What for: `draw`, or an operator's words.
        purpose: String,
        /// Of the terms in force.
        #[serde(default)]
        version: u32,
    },
    /// Suspicion: nothing draws in it any more unless two people resume it. Lines wait meanwhile.
    /// Said again, it ends a resumption that one person has proposed.
    EpochHalted {
        /// The day.
        epoch: Epoch,
        /// Why.
        reason: String,
        /// Of the terms in force.
        #[serde(default)]
        version: u32,
    },
    /// The first of two people says that it may go on.
    EpochResumptionProposed {
        /// The day.
        epoch: Epoch,
        /// Why.
        reason: String,
        /// Who.
        by: String,
        /// Of the terms in force.
        #[serde(default)]
        version: u32,
    },
    /// The second says so too: it goes on, and what waits is decided.
    EpochResumed {
        /// The day.
        epoch: Epoch,
        /// Why.
        reason: String,
        /// The first of the two.
        proposed_by: String,
        /// The second.
        by: String,
        /// Of the terms in force.
        #[serde(default)]
        version: u32,
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
        /// Of the terms in force.
        #[serde(default)]
        version: u32,
    },
    /// Anyone can recompute its draws from now on.
    EpochRevealed {
        /// The day.
        epoch: Epoch,
        /// The seed, 32 bytes.
        seed: Digest,
        /// Of the terms in force.
        #[serde(default)]
        version: u32,
    },
}

impl CampaignEvent {
    /// The event's name, as in the log's `event_type`.
    pub fn name(&self) -> &'static str {
        match self {
            CampaignEvent::CampaignDrafted { .. } => "CampaignDrafted",
            CampaignEvent::CampaignApproved { .. } => "CampaignApproved",
            CampaignEvent::CampaignScheduled { .. } => "CampaignScheduled",
            CampaignEvent::CampaignStarted { .. } => "CampaignStarted",
            CampaignEvent::CampaignPaused { .. } => "CampaignPaused",
            CampaignEvent::CampaignResumed { .. } => "CampaignResumed",
            CampaignEvent::CampaignRevised { .. } => "CampaignRevised",
            CampaignEvent::CampaignEnded { .. } => "CampaignEnded",
            CampaignEvent::FundingProposed { .. } => "FundingProposed",
            CampaignEvent::BudgetFunded { .. } => "BudgetFunded",
            CampaignEvent::BudgetSpent { .. } => "BudgetSpent",
            CampaignEvent::BudgetAlerted { .. } => "BudgetAlerted",
            CampaignEvent::EpochScheduled { .. } => "EpochScheduled",
            CampaignEvent::EpochOpened { .. } => "EpochOpened",
            CampaignEvent::SeedOpened { .. } => "SeedOpened",
            CampaignEvent::EpochHalted { .. } => "EpochHalted",
            CampaignEvent::EpochResumptionProposed { .. } => "EpochResumptionProposed",
            CampaignEvent::EpochResumed { .. } => "EpochResumed",
            CampaignEvent::EpochClosed { .. } => "EpochClosed",
            CampaignEvent::EpochRevealed { .. } => "EpochRevealed",
        }
    }

    /// Who did it, where the event itself says so: the `actor` of its metadata. Drafts, revisions
    /// and approvals of earlier releases name nobody.
    pub fn by(&self) -> Option<&str> {
        match self {
            CampaignEvent::CampaignDrafted { by, .. }
            | CampaignEvent::CampaignRevised { by, .. }
            | CampaignEvent::CampaignApproved { by, .. } => Some(by.as_str()).filter(|by| !by.is_empty()),
            CampaignEvent::FundingProposed { by, .. }
            | CampaignEvent::EpochResumptionProposed { by, .. }
            | CampaignEvent::EpochResumed { by, .. } => Some(by),
            CampaignEvent::CampaignScheduled { .. }
            | CampaignEvent::CampaignStarted { .. }
            | CampaignEvent::CampaignPaused { .. }
            | CampaignEvent::CampaignResumed { .. }
            | CampaignEvent::CampaignEnded { .. }
            | CampaignEvent::BudgetFunded { .. }
            | CampaignEvent::BudgetSpent { .. }
            | CampaignEvent::BudgetAlerted { .. }
            | CampaignEvent::EpochScheduled { .. }
            | CampaignEvent::EpochOpened { .. }
            | CampaignEvent::SeedOpened { .. }
            | CampaignEvent::EpochHalted { .. }
            | CampaignEvent::EpochClosed { .. }
            | CampaignEvent::EpochRevealed { .. } => None,
        }
    }

    /// The posting this event makes, if it moves money.
    pub fn posting(&self) -> Option<&Posting> {
        match self {
            CampaignEvent::BudgetFunded { posting, .. } => Some(posting),
            CampaignEvent::CampaignDrafted { .. }
            | CampaignEvent::CampaignApproved { .. }
            | CampaignEvent::CampaignScheduled { .. }
            | CampaignEvent::CampaignStarted { .. }
            | CampaignEvent::CampaignPaused { .. }
            | CampaignEvent::CampaignResumed { .. }
            | CampaignEvent::CampaignRevised { .. }
            | CampaignEvent::CampaignEnded { .. }
            | CampaignEvent::FundingProposed { .. }
            | CampaignEvent::BudgetSpent { .. }
            | CampaignEvent::BudgetAlerted { .. }
            | CampaignEvent::EpochScheduled { .. }
            | CampaignEvent::EpochOpened { .. }
            | CampaignEvent::SeedOpened { .. }
            | CampaignEvent::EpochHalted { .. }
            | CampaignEvent::EpochResumptionProposed { .. }
            | CampaignEvent::EpochResumed { .. }
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
