//! The terms of a campaign: window, rules, prizes, budget, as its file states them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::draw::{ODDS_WHOLE_PPB, PrizeTable};
use crate::ids::CampaignId;
use crate::money::Money;
use crate::time::Timestamp;

/// One version of a campaign's terms. Immutable once drafted; `campaign.example.yaml` shows the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The campaign's id: 1–128 printable characters.
    pub campaign_id: CampaignId,
    /// For people, at most 200 characters.
    pub name: String,
    /// IANA zone in which "per day" counts.
    pub time_zone: chrono_tz::Tz,
    /// The first booking time that takes part.
    pub starts_at: Timestamp,
    /// The first booking time that no longer takes part; open-ended where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Timestamp>,
    /// From when a customer's lines count.
    #[serde(default)]
    pub eligible_from: EligibleFrom,
    /// Its place among campaigns that run at once: the smallest is asked first, then by id.
    #[serde(default, skip_serializing_if = "is_default")]
    pub precedence: i32,
    /// Whether a line enters this draw besides another campaign's. Of the others it enters only the first that
    /// admits it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub stackable: bool,
    /// Which lines are admitted.
    #[serde(default)]
    pub rules: Rules,
    /// What can be won.
    pub prize_table: PrizeTable,
    /// The most wins of a tier over the whole campaign, by its name; a tier not named here is not limited.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inventory: BTreeMap<String, u64>,
    /// Funded when the campaign starts; its currency is the table's.
    pub budget: Money,
    /// How many draws the budget is meant for. Where it is given, their expected cost must be within the budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_draws: Option<u64>,
    /// Minor units above which a funding needs a second person; absent: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub funding_limit_minor: Option<i64>,
    /// Days between an epoch's close and its reveal in which late lines still draw, at most 60.
    #[serde(default = "default_grace_days")]
    pub grace_days: u32,
    /// `none`, until public beacons are supported.
    #[serde(default = "default_beacon")]
    pub beacon: String,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

fn default_grace_days() -> u32 {
    31
}

fn default_beacon() -> String {
    "none".into()
}

/// From when a customer's lines count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EligibleFrom {
    /// Lines booked before the customer's enrolment do not: a first poll of 30 days buys no tickets.
    #[default]
    Enrolment,
    /// Every line inside the campaign's window does.
    CampaignStart,
}

/// Which lines are admitted. An absent list or bound admits all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Only these merchant category codes, single (`"5411"`) or ranges (`"5811-5814"`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcc_allowed: Option<Vec<MccRange>>,
    /// Never these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mcc_denied: Vec<MccRange>,
    /// Only these merchants' ids.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchants_allowed: Option<BTreeSet<String>>,
    /// Never these.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub merchants_denied: BTreeSet<String>,
    /// Inclusive, in minor units of the table's currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_min_minor: Option<i64>,
    /// Inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub amount_max_minor: Option<i64>,
    /// Wins per customer and local day of booking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wins_per_day: Option<u32>,
}

/// An inclusive range of merchant category codes, written `5411` or `5811-5814`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct MccRange {
    /// The lowest code.
    pub first: u16,
    /// The highest code.
    pub last: u16,
}

impl fmt::Debug for MccRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for MccRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{:04}", self.first)
        } else {
            write!(f, "{:04}-{:04}", self.first, self.last)
        }
    }
}

impl std::str::FromStr for MccRange {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = |digits: &str| crate::transaction::Mcc::parse(digits).map(crate::transaction::Mcc::number);
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (code(first), code(last)) {
            (Some(first), Some(last)) if first <= last => Ok(MccRange { first, last }),
            _ => Err("expected a category code of four digits such as \"5411\", or a range \"5811-5814\""),
        }
    }
}

impl Serialize for MccRange {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MccRange {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Why terms cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct TermsError {
    /// A dotted path such as `prize_table.tiers[0].odds_ppb`.
    pub field: String,
    /// What is expected.
    pub message: String,
}

impl Terms {
    /// Checks what the types do not.
    pub fn validate(&self) -> Result<(), TermsError> {
        let fail =
            |field: &str, message: &str| Err(TermsError { field: field.into(), message: message.into() });
        self.prize_table
            .validate()
            .map_err(|e| TermsError { field: format!("prize_table.{}", e.field), message: e.message })?;
        if self.name.trim().is_empty()
            || self.name.chars().count() > 200
            || !self.name.chars().all(crate::ids::is_printable)
        {
            return fail("name", "must be 1 to 200 printable characters");
        }
        if self.ends_at.is_some_and(|end| end <= self.starts_at) {
            return fail("ends_at", "must be after starts_at");
        }
        if self.budget.currency() != self.prize_table.currency {
            return fail("budget.currency", "must be the prize table's currency");
        }
        if self.budget.is_zero() {
            return fail("budget.minor", "must be above zero");
        }
        if let Some(name) = self.inventory.keys().find(|name| !self.has_tier(name)) {
            return fail(&format!("inventory.{name}"), "must be the name of a tier of the prize table");
        }
        if self.inventory.values().any(|most| *most == 0) {
            return fail("inventory", "must be at least 1; to pay no such prize, leave the tier out");
        }
        if self.funding_limit_minor.is_some_and(|limit| limit < 0) {
            return fail("funding_limit_minor", "must not be negative");
        }
        if let Some(too_dear) = self.too_dear().or_else(|| self.over_budget()) {
            return fail("budget.minor", &too_dear);
        }
        if self.grace_days > 60 {
            return fail("grace_days", "must be at most 60");
        }
        if self.beacon != "none" {
            return fail("beacon", "must be \"none\": public beacons are not supported yet");
        }
        if self.rules.amount_min_minor.is_some_and(|min| min < 0) {
            return fail("rules.amount_min_minor", "must not be negative");
        }
        if let (Some(min), Some(max)) = (self.rules.amount_min_minor, self.rules.amount_max_minor)
            && min > max
        {
            return fail("rules.amount_max_minor", "must be at least amount_min_minor");
        }
        if self.rules.wins_per_day == Some(0) {
            return fail("rules.wins_per_day", "must be at least 1; to stop wins, pause the campaign");
        }
        Ok(())
    }
}

impl Terms {
    fn has_tier(&self, name: &str) -> bool {
        self.prize_table.tiers.iter().any(|tier| tier.name == name)
    }

    /// A budget that cannot pay a tier even once can never pay it: its odds would be a lie.
    fn too_dear(&self) -> Option<String> {
        let dearest = self.prize_table.tiers.iter().max_by_key(|tier| tier.prize.max_minor())?;
        let most = dearest.prize.max_minor();
        (most > self.budget.minor())
            .then(|| format!("must cover tier {} at least once: {most} minor units", dearest.name))
    }

    /// Whether the draws it is planned for are expected to cost more than there is.
    fn over_budget(&self) -> Option<String> {
        let planned = u128::from(self.planned_draws?);
        let expected_ppb = self.prize_table.expected_cost_ppb().checked_mul(planned)?;
        let expected = expected_ppb.div_ceil(u128::from(ODDS_WHOLE_PPB));
        (expected > u128::try_from(self.budget.minor()).ok()?)
            .then(|| format!("{planned} planned draws are expected to cost up to {expected} minor units"))
    }
}

/// A rule that failed, as a word for machines. [`RuleCode::customer`] and [`RuleCode::staff`] say it in
/// sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// The day was before the campaign's first epoch.
    NoEpoch,
    /// The epoch was halted.
    EpochHalted,
}

impl RuleCode {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            RuleCode::BeforeCampaign => "before_campaign",
            RuleCode::AfterCampaign => "after_campaign",
            RuleCode::CampaignPaused => "campaign_paused",
            RuleCode::BeforeEnrolment => "before_enrolment",
            RuleCode::AccountExcluded => "account_excluded",
            RuleCode::CreditTransaction => "credit_transaction",
            RuleCode::Refund => "refund",
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
            RuleCode::EpochHalted => "epoch_halted",
        }
    }

    /// A sentence for the customer.
    pub fn customer(self) -> &'static str {
        match self {
            RuleCode::BeforeCampaign => "This purchase was made before the campaign began.",
            RuleCode::AfterCampaign => "This purchase was made after the campaign ended.",
            RuleCode::CampaignPaused => "The campaign was paused when this purchase reached us.",
            RuleCode::BeforeEnrolment => "This purchase was made before you joined.",
            RuleCode::AccountExcluded => "Your account does not take part in draws.",
            RuleCode::CreditTransaction => "Money you receive does not take part.",
            RuleCode::Refund => "Refunds do not take part.",
            RuleCode::CurrencyMismatch => "This purchase was in a currency that does not take part.",
            RuleCode::NoMerchant => "This transaction was not a purchase from a merchant.",
            RuleCode::MccNotAllowed | RuleCode::MccDenied => "Purchases of this kind do not take part.",
            RuleCode::MerchantNotAllowed | RuleCode::MerchantDenied => "This merchant does not take part.",
            RuleCode::AmountTooSmall => "This purchase was below the minimum amount.",
            RuleCode::AmountTooLarge => "This purchase was above the maximum amount.",
            RuleCode::WinsPerDay => "You had already won as often as one can on that day.",
            RuleCode::TooLate => "Your bank told us of this purchase after the day's draw was settled.",
            RuleCode::NoEpoch => "There was no draw on the day of this purchase.",
            RuleCode::EpochHalted => "The draw of that day was stopped.",
        }
    }

    /// A sentence for staff. Names the rule, never the purchase.
    pub fn staff(self) -> &'static str {
        match self {
            RuleCode::BeforeCampaign => "booked before terms.starts_at",
            RuleCode::AfterCampaign => {
                "booked at or after terms.ends_at, or recorded after the campaign ended"
            }
            RuleCode::CampaignPaused => "recorded while the campaign was paused",
            RuleCode::BeforeEnrolment => {
                "booked before the account was opened and terms.eligible_from is enrolment"
            }
            RuleCode::AccountExcluded => "the account was excluded when the line was recorded",
            RuleCode::CreditTransaction => "direction is credit",
            RuleCode::Refund => "refund_of is set",
            RuleCode::CurrencyMismatch => "amount.currency is not terms.prize_table.currency",
            RuleCode::NoMerchant => "the line has no merchant",
            RuleCode::MccNotAllowed => "merchant.mcc is missing or not in terms.rules.mcc_allowed",
            RuleCode::MccDenied => "merchant.mcc is in terms.rules.mcc_denied",
            RuleCode::MerchantNotAllowed => "merchant.id is missing or not in terms.rules.merchants_allowed",
            RuleCode::MerchantDenied => "merchant.id is in terms.rules.merchants_denied",
            RuleCode::AmountTooSmall => "amount.minor is below terms.rules.amount_min_minor",
            RuleCode::AmountTooLarge => "amount.minor is above terms.rules.amount_max_minor",
            RuleCode::WinsPerDay => "terms.rules.wins_per_day reached on the campaign-local day of booking",
            RuleCode::TooLate => "recorded after the epoch's grace was over",
            RuleCode::NoEpoch => "booked on a day before the campaign's first scheduled epoch",
            RuleCode::EpochHalted => "the epoch of the booking day is halted",
        }
    }
}
