//! The plots of a back-test. Those of campaigns in one currency have one scale.

#![expect(clippy::float_arithmetic, reason = "places on a page are no money")]
#![expect(clippy::cast_precision_loss, reason = "what is drawn need not be exact")]

use std::ops::RangeBounds;

use ::audit::backtest::{CustomersBy, Quantiles, Summary};
use ::audit::page::plot::{Plot, Shape, round_up, share};
use ::audit::page::{count, folded, table};
use chrono::NaiveDate;
use maud::{Markup, html};

use super::money;

/// Of a histogram of costs.
const BINS: usize = 40;

/// What the axes end at, whichever campaign is drawn.
pub(super) struct Scales {
    /// The dearest run of all, by currency.
    cost: Vec<(&'static str, i128)>,
    /// Runs in the fullest bin.
    runs: i128,
    /// The first and the last day.
    days: Option<(NaiveDate, NaiveDate)>,
    /// The largest share of customers who won equally often, in thousandths.
    customers: f64,
    /// The longest list of these.
    wins: usize,
}

impl Scales {
    pub(super) fn of(campaigns: &[Summary]) -> Scales {
        let mut cost: Vec<(&'static str, i128)> = vec![];
        for one in campaigns {
            let most: i128 = one.costs_minor.last().copied().unwrap_or(0).into();
            match cost.iter_mut().find(|(code, _)| *code == one.currency.code()) {
                Some((_, so_far)) => *so_far = most.max(*so_far),
                None => cost.push((one.currency.code(), most)),
            }
        }
        // At least one major unit.
        for (_, most) in &mut cost {
            *most = round_up(*most, 100);
        }
        let mut scales = Scales { cost, runs: 1, days: None, customers: 0.0, wins: 1 };
        for one in campaigns {
            let fullest = scales.bins(one).into_iter().max().unwrap_or(1);
            scales.runs = scales.runs.max(fullest);
            let days = || {
                one.spent_by_day
                    .iter()
                    .map(|day| day.day)
                    .chain(scales.days.map(|(first, _)| first))
                    .chain(scales.days.map(|(_, last)| last))
            };
            scales.days = days().min().zip(days().max());
            scales.wins = scales.wins.max(won(one).len());
            for by in &one.customers_by_wins {
                scales.customers = scales.customers.max(portion(one, by.customers_milli));
            }
        }
        scales
    }

    fn cost(&self, one: &Summary) -> i128 {
        self.cost.iter().find(|(code, _)| *code == one.currency.code()).map_or(1, |(_, most)| *most)
    }

    /// Runs by what they cost.
    fn bins(&self, one: &Summary) -> [i128; BINS] {
        let (mut bins, top) = ([0; BINS], self.cost(one));
        for cost in &one.costs_minor {
            let bin = usize::try_from(i128::from(*cost) * BINS as i128 / top).unwrap_or(0);
            bins[bin.min(BINS - 1)] += 1;
        }
        bins
    }

    fn money_below(&self, one: &Summary) -> Vec<(f64, String)> {
        let top = self.cost(one);
        let at = |(place, minor): (f64, i128)| (place, one.currency.amount(minor));
        [(0.0, 0), (0.5, top / 2), (1.0, top)].map(at).to_vec()
    }
}

/// How often what came up.
pub(super) fn costs(one: &Summary, scales: &Scales) -> Markup {
    let top = scales.cost(one);
    let width = 1.0 / BINS as f64;
    let bars = scales.bins(one).into_iter().enumerate();
    let bars = bars.map(|(bin, runs)| Shape::Bar(bin as f64 * width, width, share(runs, scales.runs)));
    let mut shapes: Vec<_> = bars.collect();
    let budget = i128::from(one.budget_minor);
    if budget <= top {
        shapes.push(Shape::LimitUp(share(budget, top)));
    }
    Plot {
        label: "Runs by what they cost",
        bottom: scales.money_below(one),
        left: vec![(0.0, "0 runs".into()), (1.0, format!("{} runs", count(scales.runs)))],
        shapes,
        caption: html! { "Runs by what they cost. " (budget_said(one, budget <= top)) },
    }
    .figure()
}

/// The middle of what was spent, between low and high.
pub(super) fn days(one: &Summary, scales: &Scales) -> Markup {
    let Some((first, last)) = scales.days else { return html! { p { "Nothing was spent." } } };
    let top = scales.cost(one);
    let whole = (last - first).num_days();
    let across = |day: NaiveDate| share((day - first).num_days().into(), whole.max(1).into());
    let line = |value: fn(&Quantiles<i64>) -> i64| {
        let point = |day: &::audit::backtest::DaySummary| {
            (across(day.day), share(value(&day.spent_minor).into(), top))
        };
        one.spent_by_day.iter().map(point).collect::<Vec<_>>()
    };
    let mut shapes = vec![Shape::Band(line(|q| q.p5), line(|q| q.p95)), Shape::Line(line(|q| q.p50))];
    let budget = i128::from(one.budget_minor);
    if budget <= top {
        shapes.push(Shape::LimitAcross(share(budget, top)));
    }
    Plot {
        label: "Spent by the end of each day",
        bottom: vec![(0.0, first.to_string()), (1.0, last.to_string())],
        left: scales.money_below(one),
        shapes,
        caption: html! { "The middle (line), between low and high. " (budget_said(one, budget <= top)) },
    }
    .figure()
}

fn budget_said(one: &Summary, shown: bool) -> Markup {
    html! {
        "The budget of " (money(one, one.budget_minor))
        @if shown { " is dashed." } @else { " lies beyond the plot." }
    }
}

/// Customers by wins, up to the most that any of them had.
fn won(one: &Summary) -> &[CustomersBy] {
    let most = one.customers_by_wins.iter().rposition(|by| by.customers_milli > 0);
    &one.customers_by_wins[..most.map_or(0, |most| most + 1)]
}

pub(super) fn customers(one: &Summary, scales: &Scales) -> Markup {
    let width = 1.0 / scales.wins as f64;
    let top = (scales.customers * 10.0).ceil() / 10.0;
    // The last row of the list is so many or more.
    let last = one.customers_by_wins.len().saturating_sub(1);
    let or_more = |wins: usize| if wins == last { format!("{wins} or more") } else { wins.to_string() };
    let bars = won(one).iter().enumerate().map(|(place, by)| {
        Shape::Bar(place as f64 * width, width, portion(one, by.customers_milli) / top.max(0.1))
    });
    let figure = Plot {
        label: "Customers by how often they won",
        bottom: vec![
            (0.0, "never".into()),
            (1.0, format!("{} times", or_more(scales.wins.saturating_sub(1)))),
        ],
        left: vec![(0.0, "0 %".into()), (1.0, format!("{:.0} %", top * 100.0))],
        shapes: bars.collect(),
        caption: html! { "Share of customers by how often they won, on average over the runs." },
    };
    let head = html! { th { "Wins" } th.n { "Customers" } th.n { "Share" } };
    let rows = html! {
        @for by in won(one) {
            tr {
                td { (or_more(by.wins)) }
                td.n { (count(by.customers_milli.div_ceil(1_000))) }
                td.n { (format!("{:.1} %", portion(one, by.customers_milli) * 100.0)) }
            }
        }
    };
    html! { (figure.figure()) (folded("In numbers", &table("Customers by wins", &head, &rows))) }
}

/// Of customers who won so often: `41.2 %`.
pub(super) fn share_of_customers(one: &Summary, wins: impl RangeBounds<usize>) -> String {
    let of = one.customers_by_wins.iter().filter(|by| wins.contains(&by.wins));
    format!("{:.1} %", portion(one, of.map(|by| by.customers_milli).sum()) * 100.0)
}

fn portion(one: &Summary, customers_milli: u64) -> f64 {
    share(customers_milli.into(), one.customers as i128 * 1_000)
}
