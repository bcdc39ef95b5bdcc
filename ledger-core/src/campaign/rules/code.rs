//! The word for a failed rule: on the wire, in the log, in explanations.

use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

/// A rule that failed, as a word for machines: one of our own checks, or a rule that a campaign
/// names. [`RuleCode::customer`] and [`RuleCode::staff`] say it in sentences; a named rule's own
/// are in its terms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuleCode {
    /// Booked before `starts_at`.
    BeforeCampaign,
    /// Booked at or after `ends_at`, or the campaign has ended.
    AfterCampaign,
    /// The campaign is paused.
    CampaignPaused,
    /// Booked before the customer enrolled.
    BeforeEnrolment,
    /// The customer is excluded from draws.
    AccountExcluded,
    /// Money came in instead of going out.
    CreditTransaction,
    /// The line gives a purchase back.
    Refund,
    /// Nothing was paid.
    AmountZero,
    /// Another currency than the campaign's.
    CurrencyMismatch,
    /// The line names no merchant.
    NoMerchant,
    /// The category is not on the list of allowed ones.
    MccNotAllowed,
    /// The category is on the list of denied ones.
    MccDenied,
    /// The merchant is not on the list of allowed ones.
    MerchantNotAllowed,
    /// The merchant is on the list of denied ones.
    MerchantDenied,
    /// Below `amount_min_minor`.
    AmountTooSmall,
    /// Above `amount_max_minor`.
    AmountTooLarge,
    /// The customer has won often enough on this day.
    WinsPerDay,
    /// Recorded after the epoch's grace was over.
    TooLate,
    /// No epoch was scheduled for the day, and later ones were.
    NoEpoch,
    /// The day was after the campaign's last epoch.
    AfterLastEpoch,
    /// The epoch was halted.
    EpochHalted,
    /// A rule gave no answer; its own code comes before it.
    RuleError,
    /// A rule that the campaign's own terms name.
    Named(CompactString),
}

/// Every word with a variant of its own, in the order of the variants.
const KNOWN: [RuleCode; 22] = [
    RuleCode::BeforeCampaign,
    RuleCode::AfterCampaign,
    RuleCode::CampaignPaused,
    RuleCode::BeforeEnrolment,
    RuleCode::AccountExcluded,
    RuleCode::CreditTransaction,
    RuleCode::Refund,
    RuleCode::AmountZero,
    RuleCode::CurrencyMismatch,
    RuleCode::NoMerchant,
    RuleCode::MccNotAllowed,
    RuleCode::MccDenied,
    RuleCode::MerchantNotAllowed,
    RuleCode::MerchantDenied,
    RuleCode::AmountTooSmall,
    RuleCode::AmountTooLarge,
    RuleCode::WinsPerDay,
    RuleCode::TooLate,
    RuleCode::NoEpoch,
    RuleCode::AfterLastEpoch,
    RuleCode::EpochHalted,
    RuleCode::RuleError,
];

impl From<&str> for RuleCode {
    /// One word has one code: what is written `refund` is always [`RuleCode::Refund`].
    fn from(word: &str) -> RuleCode {
        let known = KNOWN.iter().find(|known| known.as_str() == word);
        known.cloned().unwrap_or_else(|| RuleCode::Named(word.into()))
    }
}

impl fmt::Display for RuleCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RuleCode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RuleCode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::serde_text::read(deserializer, |text| Ok::<_, std::convert::Infallible>(text.into()))
    }
}

impl RuleCode {
    /// The word on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            RuleCode::BeforeCampaign => "before_campaign",
            RuleCode::AfterCampaign => "after_campaign",
            RuleCode::CampaignPaused => "campaign_paused",
            RuleCode::BeforeEnrolment => "before_enrolment",
            RuleCode::AccountExcluded => "account_excluded",
            RuleCode::CreditTransaction => "credit_transaction",
            RuleCode::Refund => "refund",
            RuleCode::AmountZero => "amount_zero",
            RuleCode::CurrencyMismatch => "currency_mismatch",
            RuleCode::NoMerchant => "no_merchant",
            RuleCode::MccNotAllowed => "mcc_not_allowed",
            RuleCode::MccDenied => "mcc_denied",
            RuleCode::MerchantNotAllowed => "merchant_not_allowed",
            RuleCode::MerchantDenied => "merchant_denied",
            RuleCode::AmountTooSmall => "amount_too_small",
            RuleCode::AmountTooLarge => "amount_too_large",
            RuleCode::WinsPerDay => "wins_per_day",
            RuleCode::TooLate => "too_late",
            RuleCode::NoEpoch => "no_epoch",
            RuleCode::AfterLastEpoch => "after_last_epoch",
            RuleCode::EpochHalted => "epoch_halted",
            RuleCode::RuleError => "rule_error",
            RuleCode::Named(word) => word,
        }
    }

    /// Whether a check of ours has this code, so that no campaign's rule may. The short form's
    /// codes are free: they name the same rules there and here.
    pub fn is_reserved(&self) -> bool {
        match self {
            RuleCode::MccNotAllowed
            | RuleCode::MccDenied
            | RuleCode::MerchantNotAllowed
            | RuleCode::MerchantDenied
            | RuleCode::AmountTooSmall
            | RuleCode::AmountTooLarge
            | RuleCode::WinsPerDay
            | RuleCode::Named(_) => false,
            RuleCode::BeforeCampaign
            | RuleCode::AfterCampaign
            | RuleCode::CampaignPaused
            | RuleCode::BeforeEnrolment
            | RuleCode::AccountExcluded
            | RuleCode::CreditTransaction
            | RuleCode::Refund
            | RuleCode::AmountZero
            | RuleCode::CurrencyMismatch
            | RuleCode::NoMerchant
            | RuleCode::TooLate
            | RuleCode::NoEpoch
            | RuleCode::AfterLastEpoch
            | RuleCode::EpochHalted
            | RuleCode::RuleError => true,
        }
    }

    /// A sentence for the customer.
    pub fn customer(&self) -> &'static str {
        match self {
            RuleCode::BeforeCampaign => "This purchase was made before the campaign began.",
            RuleCode::AfterCampaign => "This purchase was made after the campaign ended.",
            RuleCode::CampaignPaused => "The campaign was paused when this purchase reached us.",
            RuleCode::BeforeEnrolment => "This purchase was made before you joined.",
            RuleCode::AccountExcluded => "Your account does not take part in draws.",
            RuleCode::CreditTransaction => "Money you receive does not take part.",
            RuleCode::Refund => "Refunds do not take part.",
            RuleCode::AmountZero => "Nothing was paid.",
            RuleCode::CurrencyMismatch => "This purchase was in a currency that does not take part.",
            RuleCode::NoMerchant => "This transaction was not a purchase from a merchant.",
            RuleCode::MccNotAllowed | RuleCode::MccDenied => "Purchases of this kind do not take part.",
            RuleCode::MerchantNotAllowed | RuleCode::MerchantDenied => "This merchant does not take part.",
            RuleCode::AmountTooSmall => "This purchase was below the minimum amount.",
            RuleCode::AmountTooLarge => "This purchase was above the maximum amount.",
            RuleCode::WinsPerDay => "You had already won as often as one can on that day.",
            RuleCode::TooLate => "The draw of that day was over before this purchase could enter it.",
            RuleCode::NoEpoch => "There was no draw on the day of this purchase.",
            RuleCode::AfterLastEpoch => "The campaign's last draw was before the day of this purchase.",
            RuleCode::EpochHalted => "The draw of that day was stopped.",
            RuleCode::RuleError => "We could not check one of the campaign's conditions.",
            RuleCode::Named(_) => "This purchase did not meet one of the campaign's conditions.",
        }
    }

    /// A sentence for staff. Names the rule, never the purchase.
    pub fn staff(&self) -> &'static str {
        match self {
            RuleCode::BeforeCampaign => "booked before terms.starts_at",
            RuleCode::AfterCampaign => {
                "booked at or after terms.ends_at, or recorded after the campaign ended"
            }
            RuleCode::CampaignPaused => "recorded while the campaign was paused",
            RuleCode::BeforeEnrolment => {
                "booked before the account was opened and terms.eligible_from is enrolment"
            }
            RuleCode::AccountExcluded => "the account was excluded when the transaction was recorded",
            RuleCode::CreditTransaction => "direction is credit",
            RuleCode::Refund => "refund_of is set",
            RuleCode::AmountZero => "amount.minor is 0",
            RuleCode::CurrencyMismatch => "amount.currency is not terms.prize_table.currency",
            RuleCode::NoMerchant => "the transaction has no merchant",
            RuleCode::MccNotAllowed => "merchant.mcc is missing or not in terms.rules.mcc_allowed",
            RuleCode::MccDenied => "merchant.mcc is in terms.rules.mcc_denied",
            RuleCode::MerchantNotAllowed => "merchant.id is missing or not in terms.rules.merchants_allowed",
            RuleCode::MerchantDenied => "merchant.id is in terms.rules.merchants_denied",
            RuleCode::AmountTooSmall => "amount.minor is below terms.rules.amount_min_minor",
            RuleCode::AmountTooLarge => "amount.minor is above terms.rules.amount_max_minor",
            RuleCode::WinsPerDay => "terms.rules.wins_per_day reached on the campaign-local day of booking",
            RuleCode::TooLate => {
                "decided after the epoch's grace was over: recorded late, or its beacon never came"
            }
            RuleCode::NoEpoch => {
                "booked on a day for which no epoch was scheduled, before the last scheduled one"
            }
            RuleCode::AfterLastEpoch => "booked on a day after the campaign's last scheduled epoch",
            RuleCode::EpochHalted => "the epoch of the booking day is halted",
            RuleCode::RuleError => "the rule before this one gave no answer: see the log of that time",
            RuleCode::Named(_) => "a rule of this campaign's terms; they are not at hand",
        }
    }
}
