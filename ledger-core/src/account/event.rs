//! The facts of a reward account. Payloads are externally tagged JSON; fields are added with
//! defaults, never renamed or reused.

mod values;

use cqrs_es::DomainEvent;
use serde::{Deserialize, Serialize};

pub use values::{Considered, DeferReason, Exclusion, Line, Outcome, Verdict};
use values::{first_fingerprint, is_first_fingerprint};

use crate::draw::Draw;
use crate::ids::{CampaignId, EntryId, Fingerprint, PayoutReference, Source, TransactionId};
use crate::money::Money;
use crate::posting::Posting;
use crate::time::Timestamp;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// A fact of one reward account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountEvent {
    /// The customer takes part from now on.
    AccountOpened {
        /// When.
        enrolled_at: Timestamp,
    },
    /// Nothing new is accepted; what is owed is still paid.
    AccountClosed {
        /// When.
        closed_at: Timestamp,
        /// Why, in the operator's words. Never personal details.
        reason: String,
    },
    /// Transactions are still recorded, but enter no draw of any campaign.
    AccountExcluded {
        /// When.
        excluded_at: Timestamp,
        /// Why, in one word.
        #[serde(default, skip_serializing_if = "Exclusion::is_other")]
        kind: Exclusion,
        /// Why, in the operator's words.
        reason: String,
    },
    /// Takes part again.
    AccountReinstated {
        /// When.
        reinstated_at: Timestamp,
        /// Why, in the operator's words.
        reason: String,
    },
    /// A pending line, for display.
    TransactionNoted {
        /// The line.
        line: Line,
    },
    /// A booked line that waits.
    TransactionDeferred {
        /// The line.
        line: Line,
        /// For what.
        reason: DeferReason,
    },
    /// A booked line decided.
    TransactionEvaluated {
        /// The line.
        line: Line,
        /// How.
        outcome: Outcome,
        /// Every campaign considered, in order.
        considered: Vec<Considered>,
        /// Every draw it entered; at most one unless a campaign is stackable.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        draws: Vec<Draw>,
    },
    /// The bank has booked a known purchase by another id, which is from now on another name of it.
    TransactionLinked {
        /// Who says so.
        source: Source,
        /// The new name.
        transaction_id: TransactionId,
        /// The name under which it was first booked.
        linked_to: TransactionId,
        /// The terms under the new name, by which a repeat of it is told from a conflict.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fingerprint: Option<Fingerprint>,
        /// How that was made.
        #[serde(default = "first_fingerprint", skip_serializing_if = "is_first_fingerprint")]
        fingerprint_version: u8,
    },
    /// The bank took a line back.
    TransactionRemoved {
        /// Who says so.
        source: Source,
        /// Which line.
        transaction_id: TransactionId,
        /// When we learnt of it.
        removed_at: Timestamp,
        /// It had never been decided: booked again, it may be released. Events of earlier releases
        /// do not say and are taken for decided.
        #[serde(default, skip_serializing_if = "is_false")]
        undecided: bool,
        /// The linked name by which the bank took it back, where that is another.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        named: Option<TransactionId>,
    },
    /// One person has looked at a held line; another has to agree.
    ReviewProposed {
        /// Who fed the transaction.
        source: Source,
        /// Which line.
        transaction_id: TransactionId,
        /// What is to become of it.
        verdict: Verdict,
        /// Why, in the operator's words.
        reason: String,
        /// By whom.
        by: String,
        /// When.
        proposed_at: Timestamp,
    },
    /// Two people have looked at a held line.
    TransactionReviewed {
        /// Who fed the transaction.
        source: Source,
        /// Which line.
        transaction_id: TransactionId,
        /// What becomes of it.
        verdict: Verdict,
        /// Why, in the operator's words.
        reason: String,
        /// Who proposed it.
        proposed_by: String,
        /// Who agreed.
        by: String,
        /// When.
        reviewed_at: Timestamp,
    },
    /// A won reward is booked as a liability.
    RewardIssued {
        /// The draw that won it.
        entry_id: EntryId,
        /// The campaign that pays.
        campaign_id: CampaignId,
        /// How much.
        amount: Money,
        /// When.
        issued_at: Timestamp,
        /// Debit the budget, credit rewards payable.
        posting: Posting,
    },
    /// The customer has been told.
    CustomerNotified {
        /// Of which reward.
        entry_id: EntryId,
        /// When.
        notified_at: Timestamp,
    },
    /// A payment may be under way from now on. Its key at the rail is `entry_id:attempt`.
    CreditRequested {
        /// For which reward.
        entry_id: EntryId,
        /// From 1; rises only after a recorded refusal.
        attempt: u32,
        /// How much.
        amount: Money,
        /// When.
        requested_at: Timestamp,
    },
    /// The rail has paid.
    RewardCredited {
        /// Which reward.
        entry_id: EntryId,
        /// By which attempt.
        attempt: u32,
        /// How much.
        amount: Money,
        /// What the rail calls the payment.
        payout_reference: PayoutReference,
        /// When we learnt of it.
        credited_at: Timestamp,
        /// Debit rewards payable (or, after a reversal, customer receivable), credit the rail.
        posting: Posting,
    },
    /// The rail has refused for good.
    CreditFailed {
        /// Which reward.
        entry_id: EntryId,
        /// Which attempt.
        attempt: u32,
        /// The rail's word for it.
        reason: String,
        /// When we learnt of it.
        failed_at: Timestamp,
    },
    /// A reward taken back.
    RewardReversed {
        /// Which reward.
        entry_id: EntryId,
        /// The campaign that gets it back.
        campaign_id: CampaignId,
        /// How much.
        amount: Money,
        /// Why: `transaction_removed`, or the operator's words.
        reason: String,
        /// When.
        reversed_at: Timestamp,
        /// Whether the budget may give it away again: only if no payment can have been made.
        budget_returned: bool,
        /// Debit rewards payable (or, once paid, customer receivable), credit the budget.
        posting: Posting,
    },
    /// The key of this account's details has been destroyed.
    PersonalDataErased {
        /// When.
        erased_at: Timestamp,
    },
}

impl AccountEvent {
    /// The event's name, as in the log's `event_type`.
    pub fn name(&self) -> &'static str {
        match self {
            AccountEvent::AccountOpened { .. } => "AccountOpened",
            AccountEvent::AccountClosed { .. } => "AccountClosed",
            AccountEvent::AccountExcluded { .. } => "AccountExcluded",
            AccountEvent::AccountReinstated { .. } => "AccountReinstated",
            AccountEvent::TransactionNoted { .. } => "TransactionNoted",
            AccountEvent::TransactionDeferred { .. } => "TransactionDeferred",
            AccountEvent::TransactionEvaluated { .. } => "TransactionEvaluated",
            AccountEvent::TransactionLinked { .. } => "TransactionLinked",
            AccountEvent::TransactionRemoved { .. } => "TransactionRemoved",
            AccountEvent::ReviewProposed { .. } => "ReviewProposed",
            AccountEvent::TransactionReviewed { .. } => "TransactionReviewed",
            AccountEvent::RewardIssued { .. } => "RewardIssued",
            AccountEvent::CustomerNotified { .. } => "CustomerNotified",
            AccountEvent::CreditRequested { .. } => "CreditRequested",
            AccountEvent::RewardCredited { .. } => "RewardCredited",
            AccountEvent::CreditFailed { .. } => "CreditFailed",
            AccountEvent::RewardReversed { .. } => "RewardReversed",
            AccountEvent::PersonalDataErased { .. } => "PersonalDataErased",
        }
    }

    /// Who did it, where the event itself says so: the `actor` of its metadata.
    pub fn by(&self) -> Option<&str> {
        match self {
            AccountEvent::ReviewProposed { by, .. } | AccountEvent::TransactionReviewed { by, .. } => {
                Some(by)
            }
            AccountEvent::AccountOpened { .. }
            | AccountEvent::AccountClosed { .. }
            | AccountEvent::AccountExcluded { .. }
            | AccountEvent::AccountReinstated { .. }
            | AccountEvent::TransactionNoted { .. }
            | AccountEvent::TransactionDeferred { .. }
            | AccountEvent::TransactionEvaluated { .. }
            | AccountEvent::TransactionLinked { .. }
            | AccountEvent::TransactionRemoved { .. }
            | AccountEvent::RewardIssued { .. }
            | AccountEvent::CustomerNotified { .. }
            | AccountEvent::CreditRequested { .. }
            | AccountEvent::RewardCredited { .. }
            | AccountEvent::CreditFailed { .. }
            | AccountEvent::RewardReversed { .. }
            | AccountEvent::PersonalDataErased { .. } => None,
        }
    }

    /// The posting this event makes, if it moves money.
    pub fn posting(&self) -> Option<&Posting> {
        match self {
            AccountEvent::RewardIssued { posting, .. }
            | AccountEvent::RewardCredited { posting, .. }
            | AccountEvent::RewardReversed { posting, .. } => Some(posting),
            AccountEvent::AccountOpened { .. }
            | AccountEvent::AccountClosed { .. }
            | AccountEvent::AccountExcluded { .. }
            | AccountEvent::AccountReinstated { .. }
            | AccountEvent::TransactionNoted { .. }
            | AccountEvent::TransactionDeferred { .. }
            | AccountEvent::TransactionEvaluated { .. }
            | AccountEvent::TransactionLinked { .. }
            | AccountEvent::TransactionRemoved { .. }
            | AccountEvent::ReviewProposed { .. }
            | AccountEvent::TransactionReviewed { .. }
            | AccountEvent::CustomerNotified { .. }
            | AccountEvent::CreditRequested { .. }
            | AccountEvent::CreditFailed { .. }
            | AccountEvent::PersonalDataErased { .. } => None,
        }
    }
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        self.name().into()
    }
    fn event_version(&self) -> String {
        "1".into()
    }
}
