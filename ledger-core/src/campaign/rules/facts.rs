//! The facts that an expression may name.

use cel::common::types::{CelBool, CelInt, CelString};
use cel::common::value::CowVal;
use cel::context::VariableResolver;

use super::subject::{Local, Period, Subject};

/// The facts about wins.
pub(super) const ABOUT_WINS: [&str; 6] = [
    "wins_today",
    "wins_this_week",
    "wins_this_month",
    "won_minor_today",
    "won_minor_this_week",
    "won_minor_this_month",
];

/// The facts about what was spent.
pub(super) const ABOUT_SPENDING: [&str; 3] =
    ["spent_minor_last_hour", "spent_minor_last_day", "spent_minor_last_week"];

/// One transaction's facts by name. A text that the transaction lacks is empty.
pub(super) struct CelFacts<'a> {
    subject: &'a Subject<'a>,
    pub(super) local: Local,
}

impl<'a> CelFacts<'a> {
    /// The facts there are.
    pub(super) const NAMES: [&'static str; 23] = [
        "amount_minor",
        "currency",
        "has_merchant",
        "merchant_id",
        "mcc",
        "country",
        "first_purchase_at_merchant",
        "day",
        "weekday",
        "hour",
        "account_age_days",
        "wins_today",
        "wins_this_week",
        "wins_this_month",
        "won_minor_today",
        "won_minor_this_week",
        "won_minor_this_month",
        "transactions_last_hour",
        "transactions_last_day",
        "transactions_last_week",
        "spent_minor_last_hour",
        "spent_minor_last_day",
        "spent_minor_last_week",
    ];

    /// The facts of this transaction.
    pub(super) fn new(subject: &'a Subject<'a>) -> CelFacts<'a> {
        CelFacts { subject, local: Local::of(subject) }
    }
}

impl VariableResolver for CelFacts<'_> {
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let CelFacts { subject, local } = self;
        let text = |text: Option<&'b str>| Some(CowVal::owned(CelString::from(text.unwrap_or_default())));
        let owned = |text: String| Some(CowVal::owned(CelString::from(text)));
        let number = |number: i64| Some(CowVal::owned(CelInt::from(number)));
        let truth = |truth: bool| Some(CowVal::owned(CelBool::from(truth)));
        let position = |position: usize| number(i64::try_from(position).unwrap_or(i64::MAX));
        let merchant = subject.merchant.unwrap_or_default();
        match name {
            "amount_minor" => number(subject.amount.minor()),
            "currency" => text(Some(subject.amount.currency().code())),
            "has_merchant" => truth(subject.merchant.is_some()),
            "merchant_id" => text(merchant.id),
            "mcc" => owned(merchant.mcc.map(|mcc| mcc.to_string()).unwrap_or_default()),
            "country" => text(merchant.country),
            "first_purchase_at_merchant" => truth(merchant.id.is_some() && !subject.history.knows_merchant()),
            "day" => owned(local.day.to_string()),
            "weekday" => position(local.weekday + 1),
            // Without an answer where the bank does not say the time.
            "hour" => position(local.hour?),
            "account_age_days" => number(subject.age_days()),
            "wins_today" => number(subject.won(*local, Period::Day).wins.into()),
            "wins_this_week" => number(subject.won(*local, Period::Week).wins.into()),
            "wins_this_month" => number(subject.won(*local, Period::Month).wins.into()),
            "won_minor_today" => number(subject.won(*local, Period::Day).minor),
            "won_minor_this_week" => number(subject.won(*local, Period::Week).minor),
            "won_minor_this_month" => number(subject.won(*local, Period::Month).minor),
            "transactions_last_hour" => number(subject.transactions(1).into()),
            "transactions_last_day" => number(subject.transactions(24).into()),
            "transactions_last_week" => number(subject.transactions(168).into()),
            "spent_minor_last_hour" => number(subject.spent(1)?),
            "spent_minor_last_day" => number(subject.spent(24)?),
            "spent_minor_last_week" => number(subject.spent(168)?),
            _ => None,
        }
    }
}
