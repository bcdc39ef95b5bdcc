//! What many seeds say together. Quantiles are nearest-rank: values that really came up.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::Serialize;

use super::plan::{Plan, Skipped};
use super::run::Run;
use ledger_core::campaign::rules::RuleCode;
use ledger_core::money::Currency;

/// 5, 50, 95 and 99 of a hundred seeds are at most this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Quantiles<T> {
    /// One in twenty is below.
    pub p5: T,
    /// The middle.
    pub p50: T,
    /// One in twenty is above.
    pub p95: T,
    /// One in a hundred is above.
    pub p99: T,
}

/// One campaign over past transactions, under many seeds.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Which.
    pub campaign_id: String,
    /// For people.
    pub name: String,
    /// Of all amounts.
    pub currency: Currency,
    /// How many seeds.
    pub seeds: usize,
    /// Booked lines, each once.
    pub lines: u64,
    /// Lines that take no part.
    pub skipped: Skipped,
    /// Who brought them.
    pub customers: usize,
    /// Lines that no rule declines but those that look at wins.
    pub admitted: usize,
    /// Lines by each rule they fail; rules that look at wins aside.
    pub declined_by_rule: BTreeMap<String, u64>,
    /// Lines that rules about wins kept out.
    pub declined_after_wins: Quantiles<u64>,
    /// Customers of whom no line was admitted.
    pub never_qualified: u64,
    /// They, by each rule that declined one of their lines.
    pub never_qualified_by_rule: BTreeMap<String, u64>,
    /// The chance to win anything.
    pub odds: String,
    /// Minor units a draw costs on average, in parts per 10^9; a share prize at its most.
    pub expected_cost_per_draw_ppb_minor: String,
    /// Of the terms.
    pub budget_minor: i64,
    /// What was won, in minor units.
    pub cost_minor: Quantiles<i64>,
    /// The same, of each seed, smallest first.
    pub costs_minor: Vec<i64>,
    /// Draws that won.
    pub wins: Quantiles<u64>,
    /// Wins per tier.
    pub tiers: Vec<TierSummary>,
    /// Seeds under which no tier could be covered any more.
    pub ran_out: usize,
    /// The day on which that was, of those seeds.
    pub ran_out_day: Option<Quantiles<NaiveDate>>,
    /// Customers who won so often, on average over the seeds; the last is that often or more.
    pub customers_by_wins: Vec<CustomersBy>,
    /// The longest row of lost draws of a customer, over customers and seeds; 1,000 is that long or
    /// longer.
    pub losing_streak: Quantiles<usize>,
    /// The longest of all; 1,000 is that long or longer.
    pub losing_streak_max: usize,
    /// What had been won by the end of each booking day (UTC), in minor units.
    pub spent_by_day: Vec<DaySummary>,
}

/// One tier.
#[derive(Clone, Debug, Serialize)]
pub struct TierSummary {
    /// Its name.
    pub name: String,
    /// Its odds.
    pub odds: String,
    /// How often it was won.
    pub wins: Quantiles<u64>,
}

/// Customers who won so often.
#[derive(Clone, Debug, Serialize)]
pub struct CustomersBy {
    /// How often.
    pub wins: usize,
    /// How many customers, in thousandths.
    pub customers_milli: u64,
}

/// One day.
#[derive(Clone, Debug, Serialize)]
pub struct DaySummary {
    /// Which.
    pub day: NaiveDate,
    /// Minor units won by its end.
    #[serde(flatten)]
    pub spent_minor: Quantiles<i64>,
}

impl<T: Copy + Ord> Quantiles<T> {
    /// Of at least one value.
    pub fn of(mut values: Vec<T>) -> Option<Quantiles<T>> {
        values.sort_unstable();
        let rank = |percent: usize| (values.len() * percent).div_ceil(100).clamp(1, values.len()) - 1;
        (!values.is_empty()).then(|| Quantiles {
            p5: values[rank(5)],
            p50: values[rank(50)],
            p95: values[rank(95)],
            p99: values[rank(99)],
        })
    }
}

impl Plan {
    /// What these runs say. `None` of no runs.
    pub fn summarise(&self, runs: &[Run]) -> Option<Summary> {
        let of = |value: fn(&Run) -> u64| Quantiles::of(runs.iter().map(value).collect());
        let table = &self.terms.prize_table;
        let mut costs_minor: Vec<i64> = runs.iter().map(|run| run.cost_minor).collect();
        costs_minor.sort_unstable();
        let ran_out: Vec<NaiveDate> =
            runs.iter().filter_map(|run| self.days.get(run.ran_out?).copied()).collect();
        let streaks = sum(runs.iter().map(|run| &run.customers_by_streak));
        Some(Summary {
            campaign_id: self.terms.campaign_id.to_string(),
            name: self.terms.name.clone(),
            currency: table.currency,
            seeds: runs.len(),
            lines: self.lines,
            skipped: self.skipped,
            customers: self.customers,
            admitted: self.entries.len(),
            declined_by_rule: by_name(&self.declined),
            declined_after_wins: of(|run| run.declined)?,
            never_qualified: self.never_total,
            never_qualified_by_rule: by_name(&self.never),
            odds: table.odds_text(),
            expected_cost_per_draw_ppb_minor: table.expected_cost_ppb().to_string(),
            budget_minor: self.terms.budget.minor(),
            cost_minor: Quantiles::of(costs_minor.clone())?,
            costs_minor,
            wins: of(|run| run.wins)?,
            tiers: self.tiers(runs)?,
            ran_out: ran_out.len(),
            ran_out_day: Quantiles::of(ran_out),
            customers_by_wins: customers_by_wins(runs),
            losing_streak: Quantiles {
                p5: place(&streaks, 5),
                p50: place(&streaks, 50),
                p95: place(&streaks, 95),
                p99: place(&streaks, 99),
            },
            losing_streak_max: streaks.iter().rposition(|customers| *customers > 0).unwrap_or(0),
            spent_by_day: self.spent_by_day(runs)?,
        })
    }

    fn tiers(&self, runs: &[Run]) -> Option<Vec<TierSummary>> {
        let tier = |(index, tier): (usize, &ledger_core::draw::Tier)| {
            let wins = Quantiles::of(runs.iter().map(|run| run.tiers[index]).collect())?;
            Some(TierSummary { name: tier.name.clone(), odds: tier.odds_text(), wins })
        };
        self.terms.prize_table.tiers.iter().enumerate().map(tier).collect()
    }

    fn spent_by_day(&self, runs: &[Run]) -> Option<Vec<DaySummary>> {
        let mut spent = vec![0_i64; runs.len()];
        let day = |(place, day): (usize, &NaiveDate)| {
            spent.iter_mut().zip(runs).for_each(|(spent, run)| *spent += run.by_day[place]);
            Some(DaySummary { day: *day, spent_minor: Quantiles::of(spent.clone())? })
        };
        self.days.iter().enumerate().map(day).collect()
    }
}

fn customers_by_wins(runs: &[Run]) -> Vec<CustomersBy> {
    let customers = sum(runs.iter().map(|run| &run.customers_by_wins));
    let each = |(wins, customers): (usize, &u64)| CustomersBy {
        wins,
        customers_milli: customers * 1_000 / runs.len() as u64,
    };
    customers.iter().enumerate().map(each).collect()
}

fn by_name(rules: &BTreeMap<RuleCode, u64>) -> BTreeMap<String, u64> {
    rules.iter().map(|(code, count)| (code.as_str().to_owned(), *count)).collect()
}

fn sum<'a>(histograms: impl Iterator<Item = &'a Vec<u64>>) -> Vec<u64> {
    histograms.fold(vec![], |mut sum, histogram| {
        sum.resize(histogram.len(), 0);
        sum.iter_mut().zip(histogram).for_each(|(sum, more)| *sum += more);
        sum
    })
}

/// The value that so many of a hundred in a histogram do not exceed.
fn place(histogram: &[u64], percent: u64) -> usize {
    let wanted = (histogram.iter().sum::<u64>() * percent).div_ceil(100).max(1);
    let mut seen = 0;
    let found = histogram.iter().position(|count| {
        seen += count;
        seen >= wanted
    });
    found.unwrap_or(0)
}
