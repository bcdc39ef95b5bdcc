//! What can be asked of a campaign, and what it answers.

use crate::aggregate::Command;
use crate::campaign::terms::{Terms, TermsError};
use crate::draw::beacon::BeaconError;
use crate::ids::{BeaconSignature, Digest};
use crate::keys::Sealed;
use crate::money::Money;
use crate::person::told;
use crate::time::{Epoch, Timestamp};

/// One command.
pub type CampaignCommand = Command<CampaignCommandKind, CampaignAnswer>;

/// What is asked.
#[derive(Clone, Debug)]
pub enum CampaignCommandKind {
    /// Version 1 of the terms.
    Draft(Box<Terms>),
    /// Other terms, to be approved before they are in force.
    Revise(Box<Terms>),
    /// Approve the latest terms; not by their author.
    Approve {
        /// The version that was looked at. `None`: whichever is the latest.
        version: Option<u32>,
    },
    /// Let it start by itself.
    Schedule {
        /// When.
        start_at: Timestamp,
    },
    /// Let draws begin; the first start funds the budget of the terms.
    Start,
    /// Stop for the time being.
    Pause {
        /// Why.
        reason: String,
    },
    /// Go on.
    Resume,
    /// Stop for good.
    End,
    /// Put more money into the budget. Above the limit of the terms it is only proposed.
    Fund {
        /// How much.
        amount: Money,
        /// What finance calls it, unique in the campaign: the same again changes nothing.
        reference: String,
    },
    /// Agree to a proposed funding; not by who proposed it.
    ApproveFunding {
        /// Which.
        reference: String,
    },
    /// The engine's running totals after a batch.
    RecordSpend {
        /// Wins of the batch.
        won_minor: i64,
        /// Reversals of the batch.
        reversed_minor: i64,
        /// Wins of the batch by epoch and tier.
        wins: Vec<(Epoch, u32, u64)>,
    },
    /// Commit to one day's seed.
    ScheduleEpoch {
        /// The day.
        epoch: Epoch,
        /// Of the seed, with this campaign's table and beacon.
        commitment: Digest,
        /// The seed under the draw key.
        sealed_seed: Sealed,
    },
    /// Let one day's draws begin.
    OpenEpoch {
        /// The day.
        epoch: Epoch,
        /// Of the beacon's round, whose randomness follows from it; none for `none`.
        signature: Option<BeaconSignature>,
    },
    /// The engine has opened a seed.
    RecordSeedOpening {
        /// The day.
        epoch: Epoch,
        /// What for.
        purpose: String,
    },
    /// Let a halted epoch go on: proposed by one, agreed to by another.
    ResumeEpoch {
        /// The day.
        epoch: Epoch,
        /// Why.
        reason: String,
    },
    /// Let nothing draw in this epoch any more.
    HaltEpoch {
        /// The day.
        epoch: Epoch,
        /// Why.
        reason: String,
    },
    /// Count and reveal one day's draws, after its grace.
    CloseEpoch {
        /// The day.
        epoch: Epoch,
        /// What the log says of it.
        tally: EpochTally,
        /// The seed, opened.
        seed: Digest,
    },
}

/// What the log says of an epoch after its grace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochTally {
    /// Wins and losses.
    pub draws: u64,
    /// Per tier, in table order.
    pub wins: Vec<u64>,
    /// Minor units won.
    pub paid_minor: i64,
    /// RFC 6962 root over the sorted entry ids.
    pub root: Digest,
}

/// What a campaign answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CampaignAnswer {
    /// Done now.
    Done,
    /// Recorded; a second person has to agree.
    Proposed,
    /// Was done before; nothing new.
    Unchanged,
}

impl CampaignAnswer {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            CampaignAnswer::Done => "done",
            CampaignAnswer::Proposed => "proposed",
            CampaignAnswer::Unchanged => "unchanged",
        }
    }
}

/// A command that is refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CampaignRejection {
    /// No such campaign.
    #[error("there is no such campaign")]
    Unknown,
    /// The id is taken by other terms.
    #[error("a campaign of this id exists with other terms")]
    ExistsWithDifferentTerms,
    /// Terms that cannot be run.
    #[error(transparent)]
    Terms(#[from] TermsError),
    /// The author cannot approve.
    #[error("version {version} was written by {}; somebody else has to approve it", told(author))]
    AuthorCannotApprove {
        /// Which.
        version: u32,
        /// Who wrote it.
        author: String,
    },
    /// Another version than the one that was looked at.
    #[error("version {asked} is not the latest: that is {latest}")]
    NotTheLatest {
        /// Which one was to be approved.
        asked: u32,
        /// The latest.
        latest: u32,
    },
    /// One person cannot do it alone.
    #[error("{} has proposed it; somebody else has to agree", told(proposed_by))]
    SecondPersonNeeded {
        /// The first person.
        proposed_by: String,
    },
    /// No such proposal.
    #[error("nobody has proposed a funding {0:?}")]
    UnknownFunding(String),
    /// The reference is taken by another amount.
    #[error("a funding {0:?} exists with another amount")]
    FundingExistsWithOtherAmount(String),
    /// Not approved yet.
    #[error("the campaign has not been approved")]
    NotApproved,
    /// Started already.
    #[error("the campaign has started")]
    Started,
    /// The window of its terms is over.
    #[error("the campaign's window ended at {0}")]
    WindowOver(Timestamp),
    /// Paused already, for another reason.
    #[error("the campaign is paused already, for another reason; resume it first")]
    PausedBefore,
    /// Not started yet.
    #[error("the campaign has not started")]
    NotStarted,
    /// Over.
    #[error("the campaign has ended")]
    Ended,
    /// Funding in another currency, or beyond 63 bits.
    #[error("the budget cannot take this amount: {0}")]
    Budget(#[from] crate::money::MoneyError),
    /// The batch would spend more than was funded; the engine's masks should have prevented it.
    #[error("the budget of {funded_minor} minor units does not cover {spent_minor}")]
    OverBudget {
        /// Funded plus reversed.
        funded_minor: i64,
        /// What the spend would come to.
        spent_minor: i64,
    },
    /// More of a tier would be won than there is; the engine's masks should have prevented it.
    #[error("there are {most} of tier {tier} and no more")]
    OverInventory {
        /// Its name.
        tier: String,
        /// How many there are.
        most: u64,
    },
    /// Public randomness that is not what the epoch was committed to.
    #[error("epoch {epoch} cannot be opened: {source}")]
    Beacon {
        /// The day.
        epoch: Epoch,
        /// What is wrong with it.
        source: BeaconError,
    },
    /// Not scheduled, not open, or in a state that does not allow it.
    #[error("epoch {epoch} is {state}")]
    EpochState {
        /// The day.
        epoch: Epoch,
        /// How it stands.
        state: &'static str,
    },
}
