//! Rules ready to evaluate: sorted ranges and sets instead of lists, programs instead of texts. All
//! rules that fail are named, in the order of the terms.

use std::collections::HashSet;

use super::condition::{Condition, HourRange, Missing, Spending, Velocity};
use super::expression::{self, Expression, Failed};
use super::facts::CelFacts;
use super::subject::{Local, Period, Subject};
use super::{MccRange, Rule, RuleCode};
use crate::transaction::Mcc;

/// The rules of one version of a campaign's terms, compiled.
pub struct CompiledRules {
    pub(super) rules: Vec<(RuleCode, Check)>,
    has_expressions: bool,
    /// Hours after midnight that rules allow only as the end of a window that began the day before.
    nights: [bool; 24],
}

pub(super) enum Check {
    /// `allowed`: one of them; else none of them.
    Merchant {
        ids: HashSet<String>,
        allowed: bool,
        missing: bool,
    },
    Mcc {
        ranges: Vec<MccRange>,
        allowed: bool,
        missing: bool,
    },
    Country {
        countries: HashSet<String>,
        allowed: bool,
        missing: bool,
    },
    AmountMin(i64),
    AmountMax(i64),
    FirstPurchase {
        missing: bool,
    },
    Weekdays([bool; 7]),
    Hours {
        open: [bool; 24],
        missing: bool,
    },
    WinsMax(Period, u32),
    WonMax(Period, i64),
    AgeMin(u32),
    TransactionsMax(Velocity),
    SpentMax(Spending),
    Cel(Expression),
    /// An expression of an old log that is none any more: it fails every line.
    Broken,
}

impl CompiledRules {
    /// Compiles rules, whose validity is their campaign's business: what cannot be compiled never
    /// passes.
    pub fn new(named: &[Rule]) -> CompiledRules {
        let rules: Vec<_> = named.iter().map(|rule| (rule.code.clone(), Check::of(rule))).collect();
        let has_expressions = rules.iter().any(|(_, check)| matches!(check, Check::Cel(_)));
        let ranges = || rules_of_hours(named).flatten().copied();
        let ends_a_night =
            |hour| ranges().any(|range| range.is_over_midnight() && hour < usize::from(range.to));
        let begins_today = |hour| ranges().any(|range| !range.is_over_midnight() && holds(range, hour));
        let nights = std::array::from_fn(|hour| ends_a_night(hour) && !begins_today(hour));
        CompiledRules { rules, has_expressions, nights }
    }

    /// Adds the code of every rule that the line fails, in order; after one that gave no answer,
    /// [`RuleCode::RuleError`].
    pub fn check(&self, subject: &Subject<'_>, failed: &mut Vec<RuleCode>) {
        self.check_those(subject, failed, |_| true);
    }

    /// The same of some rules.
    pub(super) fn check_those(
        &self,
        subject: &Subject<'_>,
        failed: &mut Vec<RuleCode>,
        those: impl Fn(&Check) -> bool,
    ) {
        if self.rules.is_empty() {
            return;
        }
        let facts = CelFacts::new(subject);
        let local = facts.local;
        let is_night = subject.nights_begin && local.hour.is_some_and(|hour| self.nights[hour]);
        let weekday = if is_night { (local.weekday + 6) % 7 } else { local.weekday };
        let context = self.has_expressions.then(|| expression::context(&facts));
        for (code, check) in self.rules.iter().filter(|(_, check)| those(check)) {
            let passes = match (check, &context) {
                (Check::Cel(expression), Some(context)) => expression.is_true(context),
                (Check::Cel(_) | Check::Broken, _) => Err(Failed),
                // An amount that the account remembers may not open.
                (Check::SpentMax(most), _) => subject.spends_at_most(*most).ok_or(Failed),
                (Check::Weekdays(days), _) => Ok(days[weekday]),
                (check, _) => Ok(check.passes(subject, local)),
            };
            if passes == Ok(true) {
                continue;
            }
            failed.push(code.clone());
            if passes.is_err() {
                failed.push(RuleCode::RuleError);
            }
        }
    }
}

impl Check {
    fn of(rule: &Rule) -> Check {
        let missing = rule.missing.or_else(|| rule.condition.missing()) == Some(Missing::Pass);
        let merchant = |ids: &[String], allowed| Check::Merchant { ids: set(ids), allowed, missing };
        let mcc = |list: &[MccRange], allowed| Check::Mcc { ranges: sorted(list), allowed, missing };
        let country = |list: &[String], allowed| Check::Country { countries: set(list), allowed, missing };
        match &rule.condition {
            Condition::MerchantsAllowed(ids) => merchant(ids, true),
            Condition::MerchantsDenied(ids) => merchant(ids, false),
            Condition::MccAllowed(ranges) => mcc(ranges, true),
            Condition::MccDenied(ranges) => mcc(ranges, false),
            Condition::CountriesAllowed(countries) => country(countries, true),
            Condition::CountriesDenied(countries) => country(countries, false),
            Condition::AmountMinMinor(minor) => Check::AmountMin(*minor),
            Condition::AmountMaxMinor(minor) => Check::AmountMax(*minor),
            Condition::FirstPurchaseAtMerchant(_) => Check::FirstPurchase { missing },
            Condition::Weekdays(days) => {
                Check::Weekdays(std::array::from_fn(|day| days.iter().any(|d| *d as usize == day)))
            }
            Condition::Hours(ranges) => {
                let open = std::array::from_fn(|hour| ranges.iter().any(|range| holds(*range, hour)));
                Check::Hours { open, missing }
            }
            Condition::WinsPerDay(most) => Check::WinsMax(Period::Day, *most),
            Condition::WinsPerWeek(most) => Check::WinsMax(Period::Week, *most),
            Condition::WinsPerMonth(most) => Check::WinsMax(Period::Month, *most),
            Condition::WonMinorPerDay(most) => Check::WonMax(Period::Day, *most),
            Condition::WonMinorPerWeek(most) => Check::WonMax(Period::Week, *most),
            Condition::WonMinorPerMonth(most) => Check::WonMax(Period::Month, *most),
            Condition::AccountAgeDaysMin(days) => Check::AgeMin(*days),
            Condition::TransactionsMax(velocity) => Check::TransactionsMax(*velocity),
            Condition::SpentMax(spending) => Check::SpentMax(*spending),
            Condition::Cel(source) => Expression::compile(source).map_or(Check::Broken, Check::Cel),
        }
    }

    /// Rules about the merchant are not asked of a line without one: `no_merchant` has said it.
    fn passes(&self, subject: &Subject<'_>, local: Local) -> bool {
        let merchant = subject.merchant.as_ref();
        match self {
            Check::Merchant { ids, allowed, missing } => merchant
                .is_none_or(|merchant| merchant.id.map_or(*missing, |id| ids.contains(id) == *allowed)),
            Check::Mcc { ranges, allowed, missing } => merchant
                .is_none_or(|merchant| merchant.mcc.map_or(*missing, |mcc| is_in(mcc, ranges) == *allowed)),
            Check::Country { countries, allowed, missing } => merchant.is_none_or(|merchant| {
                merchant.country.map_or(*missing, |country| countries.contains(country) == *allowed)
            }),
            Check::FirstPurchase { missing } => merchant
                .is_none_or(|merchant| merchant.id.map_or(*missing, |_| !subject.history.knows_merchant())),
            Check::AmountMin(min) => !subject.in_currency || subject.amount.minor() >= *min,
            Check::AmountMax(max) => !subject.in_currency || subject.amount.minor() <= *max,
            Check::Hours { open, missing } => local.hour.map_or(*missing, |hour| open[hour]),
            Check::WinsMax(period, most) => subject.won(local, *period).wins < *most,
            Check::WonMax(period, most) => subject.won(local, *period).minor < *most,
            Check::AgeMin(days) => subject.age_days() >= i64::from(*days),
            Check::TransactionsMax(most) => subject.transacts_at_most(*most),
            Check::Weekdays(_) | Check::SpentMax(_) | Check::Cel(_) | Check::Broken => false,
        }
    }
}

fn rules_of_hours(rules: &[Rule]) -> impl Iterator<Item = &[HourRange]> {
    rules.iter().filter_map(|rule| match &rule.condition {
        Condition::Hours(ranges) => Some(ranges.as_slice()),
        _ => None,
    })
}

fn set(texts: &[String]) -> HashSet<String> {
    texts.iter().cloned().collect()
}

/// In order and without overlaps, for a binary search.
fn sorted(ranges: &[MccRange]) -> Vec<MccRange> {
    let mut sorted = ranges.to_vec();
    sorted.sort_by_key(|range| range.first);
    let mut apart: Vec<MccRange> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match apart.last_mut() {
            Some(last) if range.first <= last.last => last.last = last.last.max(range.last),
            _ => apart.push(range),
        }
    }
    apart
}

fn is_in(mcc: Mcc, ranges: &[MccRange]) -> bool {
    let after = ranges.partition_point(|range| range.first <= mcc.number());
    after.checked_sub(1).is_some_and(|index| mcc.number() <= ranges[index].last)
}

fn holds(range: HourRange, hour: usize) -> bool {
    let (from, to) = (usize::from(range.from), usize::from(range.to));
    if range.is_over_midnight() { hour >= from || hour < to } else { (from..to).contains(&hour) }
}
