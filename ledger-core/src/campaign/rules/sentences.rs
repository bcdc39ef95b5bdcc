//! What customers and staff are told of a rule that failed, where its author has written nothing. A
//! sentence names the rule and what the terms say of it, never the purchase.

use std::borrow::Cow;

use super::{Condition, Missing, Rule};

impl Rule {
    /// A sentence for the customer.
    pub fn customer(&self) -> &str {
        if let Some(sentence) = &self.customer {
            return sentence;
        }
        match &self.condition {
            Condition::MerchantsAllowed(_) | Condition::MerchantsDenied(_) => {
                "This merchant does not take part."
            }
            Condition::MccAllowed(_) | Condition::MccDenied(_) => "Purchases of this kind do not take part.",
            Condition::CountriesAllowed(_) | Condition::CountriesDenied(_) => {
                "Purchases in this country do not take part."
            }
            Condition::AmountMinMinor(_) => "This purchase was below the minimum amount.",
            Condition::AmountMaxMinor(_) => "This purchase was above the maximum amount.",
            Condition::FirstPurchaseAtMerchant(_) => "Only your first purchase at a merchant takes part.",
            Condition::Weekdays(_) => "Purchases on this day of the week do not take part.",
            Condition::Hours(_) => "Only purchases at certain times of the day take part.",
            Condition::WinsPerDay(_) => "You had already won as often as one can on that day.",
            Condition::WinsPerWeek(_) => "You had already won as often as one can in that week.",
            Condition::WinsPerMonth(_) => "You had already won as often as one can in that month.",
            Condition::WonMinorPerDay(_) => "You had already won as much as one can on that day.",
            Condition::WonMinorPerWeek(_) => "You had already won as much as one can in that week.",
            Condition::WonMinorPerMonth(_) => "You had already won as much as one can in that month.",
            Condition::AccountAgeDaysMin(_) => "You had joined too recently when you made this purchase.",
            Condition::TransactionsMax(_) => "There were too many transactions in a short time.",
            Condition::SpentMax(_) => "Your purchases within a short time came to too much.",
            Condition::Cel(_) => "This purchase did not meet one of the campaign's conditions.",
        }
    }

    /// A sentence for staff.
    pub fn staff(&self) -> Cow<'_, str> {
        if let Some(sentence) = &self.staff {
            return sentence.into();
        }
        let kind = self.condition.kind();
        let or_missing = match self.missing.or_else(|| self.condition.missing()) {
            Some(Missing::Decline) => " or missing",
            Some(Missing::Pass) | None => "",
        };
        let said = match &self.condition {
            Condition::MerchantsAllowed(_) => format!("merchant.id is not in {kind}{or_missing}"),
            Condition::MerchantsDenied(_) => format!("merchant.id is in {kind}{or_missing}"),
            Condition::MccAllowed(_) => format!("merchant.mcc is not in {kind}{or_missing}"),
            Condition::MccDenied(_) => format!("merchant.mcc is in {kind}{or_missing}"),
            Condition::CountriesAllowed(_) => format!("merchant.country is not in {kind}{or_missing}"),
            Condition::CountriesDenied(_) => format!("merchant.country is in {kind}{or_missing}"),
            Condition::AmountMinMinor(minor) => format!("amount.minor is below {kind} {minor}"),
            Condition::AmountMaxMinor(minor) => format!("amount.minor is above {kind} {minor}"),
            Condition::FirstPurchaseAtMerchant(_) => format!("merchant.id was seen before{or_missing}"),
            Condition::Weekdays(_) => format!("the local day of booking is not in {kind}"),
            Condition::Hours(_) => format!("the local hour of booking is not in {kind}{or_missing}"),
            Condition::WinsPerDay(most) | Condition::WinsPerWeek(most) | Condition::WinsPerMonth(most) => {
                format!("{kind} {most} was reached")
            }
            Condition::WonMinorPerDay(most)
            | Condition::WonMinorPerWeek(most)
            | Condition::WonMinorPerMonth(most) => format!("{kind} {most} was reached"),
            Condition::AccountAgeDaysMin(days) => format!("booked less than {days} days after enrolment"),
            Condition::TransactionsMax(most) => {
                format!(
                    "more than {} transactions in {} hours, or than are remembered",
                    most.count, most.hours
                )
            }
            Condition::SpentMax(most) => {
                format!(
                    "purchases of more than {} in {} hours, or more than are remembered",
                    most.minor, most.hours
                )
            }
            Condition::Cel(source) => {
                format!("not true: {}", source.split_whitespace().collect::<Vec<_>>().join(" "))
            }
        };
        said.into()
    }
}
