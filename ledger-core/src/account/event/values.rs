//! What the facts of a reward account are made of.

use serde::{Deserialize, Serialize};

use crate::campaign::terms::RuleCode;
use crate::ids::{CampaignId, Fingerprint, MerchantTag, Source, TransactionId, TransactionKey};
use crate::keys::{FINGERPRINT_VERSION_FIRST, Sealed, SealedAmount};
use crate::time::Timestamp;
use crate::transaction::BookedAt;

/// What the log keeps of a statement line. Its details are sealed; ids and times are in the clear.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// Who fed it.
    pub source: Source,
    /// Its id there.
    pub transaction_id: TransactionId,
    /// The bank's booking time; where it gave a date alone, the midnight UTC at which that begins.
    pub booked_at: Timestamp,
    /// Whether the bank gave a time.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub time_known: bool,
    /// Keyed hash of bank account, direction, amount and currency: tells a repeat from a conflict.
    pub fingerprint: Fingerprint,
    /// How it was made.
    #[serde(default = "first_fingerprint", skip_serializing_if = "is_first_fingerprint")]
    pub fingerprint_version: u8,
    /// Amount, merchant, description, bank accounts. Absent where they belong to another account's
    /// key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Sealed>,
    /// The id it had while pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending_transaction_id: Option<TransactionId>,
    /// Where the purchase was made, as a hash that means nothing outside this account; see
    /// [`MerchantTag`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<MerchantTag>,
    /// What a purchase cost, sealed by itself: what rules about spending open. Absent on credits
    /// and refunds, and in events of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<SealedAmount>,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_yes(yes: &bool) -> bool {
    *yes
}

pub(super) fn first_fingerprint() -> u8 {
    FINGERPRINT_VERSION_FIRST
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub(super) fn is_first_fingerprint(version: &u8) -> bool {
    *version == FINGERPRINT_VERSION_FIRST
}

impl Line {
    /// When it was booked.
    pub fn booked(&self) -> BookedAt {
        BookedAt { at: self.booked_at, time_known: self.time_known }
    }

    /// The key of the id that it had while pending, if that was another.
    pub fn pending_key(&self) -> Option<TransactionKey> {
        let pending_id = self.pending_transaction_id.as_ref().filter(|id| **id != self.transaction_id)?;
        Some(TransactionKey::of(&self.source, pending_id))
    }
}

/// Why a customer takes part in no draw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Exclusion {
    /// Works for the operator: staff never win.
    Staff,
    /// Has asked to be kept from games of chance.
    SelfExcluded,
    /// Does not want to take part.
    OptedOut,
    /// As the reason says; all exclusions before there were kinds.
    #[default]
    Other,
}

impl Exclusion {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
    pub(super) fn is_other(&self) -> bool {
        *self == Exclusion::Other
    }
}

/// How a booked line was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// No campaign admitted it; every failed rule is recorded.
    Declined,
    /// It was drawn and won nothing.
    Lost,
    /// It was drawn and won.
    Won,
}

/// One campaign that was considered for a line, and every rule that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Considered {
    /// Which campaign.
    pub campaign_id: CampaignId,
    /// Under which version of its terms.
    pub campaign_version: u32,
    /// Empty where the line was admitted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<RuleCode>,
}

/// Why a line waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeferReason {
    /// Booked (at most 24 hours) ahead: its epoch has not opened.
    EpochNotOpen,
    /// Its epoch was halted on suspicion, and two people may let it go on; or a person has halted
    /// all draws.
    DrawsHalted,
    /// A person has to look at it (booked again after it was removed).
    Held,
}

/// What two people made of a held line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It is decided as any line that waits.
    Released,
    /// It is not decided, for good.
    Dismissed,
}

impl Verdict {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::Released => "released",
            Verdict::Dismissed => "dismissed",
        }
    }
}
