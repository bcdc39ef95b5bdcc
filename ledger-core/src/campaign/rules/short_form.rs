//! The short form of rules: one object, each rule at most once, under the codes it has always had.
//! History has it, and a campaign that needs no more may use it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Condition, MccRange, Rule, RuleCode};

/// Which lines are admitted. An absent list or bound admits all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShortRules {
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

impl ShortRules {
    /// The same rules with their names, in the order in which they have always been reported.
    pub(super) fn named(&self) -> Vec<Rule> {
        let texts = |list: &BTreeSet<String>| list.iter().cloned().collect::<Vec<_>>();
        let rule = |code, condition| Rule { code, customer: None, staff: None, missing: None, condition };
        let denied_mcc = (!self.mcc_denied.is_empty()).then(|| self.mcc_denied.clone());
        let denied_merchants = (!self.merchants_denied.is_empty()).then(|| texts(&self.merchants_denied));
        let rules = [
            self.mcc_allowed.clone().map(|l| rule(RuleCode::MccNotAllowed, Condition::MccAllowed(l))),
            denied_mcc.map(|l| rule(RuleCode::MccDenied, Condition::MccDenied(l))),
            self.merchants_allowed
                .as_ref()
                .map(|l| rule(RuleCode::MerchantNotAllowed, Condition::MerchantsAllowed(texts(l)))),
            denied_merchants.map(|l| rule(RuleCode::MerchantDenied, Condition::MerchantsDenied(l))),
            self.amount_min_minor.map(|n| rule(RuleCode::AmountTooSmall, Condition::AmountMinMinor(n))),
            self.amount_max_minor.map(|n| rule(RuleCode::AmountTooLarge, Condition::AmountMaxMinor(n))),
            self.wins_per_day.map(|n| rule(RuleCode::WinsPerDay, Condition::WinsPerDay(n))),
        ];
        rules.into_iter().flatten().collect()
    }
}
