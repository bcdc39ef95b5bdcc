//! One campaign on the page: its prizes with what was won of them, the numbers drawn, the evidence,
//! and its winners by day and tier.

#![expect(clippy::float_arithmetic, reason = "places on a page are no money")]
#![expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]

use std::collections::BTreeMap;

use chrono::NaiveDate;
use maud::{Markup, html};

use super::{CampaignReport, count, date, folded, so_many, table, title};
use crate::fairness::statistics::ALARM;
use crate::fairness::{TableReport, TierReport};
use crate::page::plot::{Plot, Shape, round_up, share};
use crate::page::{hash, percent};
use ledger_core::draw::Prize;
use ledger_core::ids::CampaignId;
use ledger_core::money::Currency;

pub(super) fn section(id: &CampaignId, one: &CampaignReport) -> Markup {
    html! {
        h2 { (title(id, one)) }
        @if one.draws == 0 { p { "No draws yet." } }
        @else {
            p { (outcome(one)) }
            @for (hash, table) in &one.tables { (prizes(&hash.to_string(), table)) }
            (numbers(one))
            (evidence(one))
        }
    }
}

/// What one would tell somebody.
fn outcome(one: &CampaignReport) -> Markup {
    let wins: u64 = one.days.iter().map(|day| day.wins).sum();
    let expected: f64 = one.days.iter().map(|day| day.expected).sum();
    html! {
        (so_many(one.draws, "draw")) "; " (count(wins)) " won, where the odds promised " (about(expected)) ". "
        @match one.alarm_on {
            None => { "The evidence against the odds never reached the alarm." }
            Some(day) => { span.warn { "The evidence against the odds reached the alarm on " (date(day)) "." } }
        }
    }
}

fn prizes(table_hash: &str, one: &TableReport) -> Markup {
    let head = html! {
        th { "Prize" } th.n { "Pays" } th.n { "Odds" } th.n { "Promised wins" } th.n { "Numbers in its range" }
        th.n { "Taken out" } th.n { "Won" } th.n { "Prizes won" } th.n { "Odds as observed, 99 % sure" }
        th { "Odds within" } th.n { "Evidence against the odds" }
    };
    let rows = html! {
        @for tier in &one.tiers {
            @let (low, high) = tier.interval_ppb;
            tr {
                td { (tier.name) }
                td.n { (pays(&tier.prize, one.currency)) }
                td.n { (percent(tier.odds_ppb.into())) }
                td.n { (about(tier.expected)) }
                td.n { (count(tier.by_number)) }
                td.n { (count(tier.masked)) }
                td.n { (count(tier.won)) }
                td.n { (one.currency.amount(tier.paid_minor)) }
                td.n { (in_percent(low)) " to " (in_percent(high)) }
                td { (match tier.within { Some(true) => "yes", Some(false) => "no", None => "no draws" }) }
                td.n { (factor(tier.log10_e)) }
            }
        }
    };
    let masks = html! {
        ul { @for mask in &one.masks { li { (so_many(mask.draws, "draw")) ": " (mask.tiers.join(", ")) } } }
    };
    html! {
        h3 { "Prizes, " (so_many(one.draws, "draw")) }
        p.quiet { "Prize table " (hash(table_hash)) }
        @if one.draws == 0 { p { "No draws from this table yet." } }
        @else {
            (table("Prizes", &head, &rows))
            p.quiet {
                "Taken out: draws in which the budget or the inventory could not cover the prize any more. "
                "The evidence against the odds of any prize at all is " (factor(one.log10_e_any)) "; the alarm is at "
                (ALARM) "."
            }
            @if !one.masks.is_empty() {
                (folded("Which prizes were taken out together", &masks))
            }
            (intervals(one))
        }
    }
}

fn pays(prize: &Prize, currency: Currency) -> String {
    match prize {
        Prize::Fixed { fixed } => currency.amount((*fixed).into()),
        Prize::Share { share_bps, max } => {
            let share = percent(u64::from(share_bps.get()) * 100_000);
            format!("{share}, at most {}", currency.amount((*max).into()))
        }
    }
}

/// Each tier's interval as a multiple of its odds, from none to twice: one scale for all campaigns.
fn intervals(one: &TableReport) -> Markup {
    let tiers: Vec<&TierReport> = one.tiers.iter().filter(|tier| tier.expected > 0.0).collect();
    let height = |index: usize| 1.0 - (index as f64 + 0.5) / tiers.len() as f64;
    let mut shapes = vec![Shape::LimitUp(0.5)];
    for (index, tier) in tiers.iter().enumerate() {
        let (odds, up) = (f64::from(tier.odds_ppb), height(index));
        let (low, high) = (tier.interval_ppb.0 / odds / 2.0, tier.interval_ppb.1 / odds / 2.0);
        shapes.push(Shape::Span((low, up), (high, up)));
        shapes.push(Shape::Dot((tier.by_number as f64 / tier.expected / 2.0, up)));
    }
    let named = tiers.iter().enumerate().map(|(index, tier)| (height(index), clipped(&tier.name)));
    Plot {
        label: "How often each prize was drawn beside its odds",
        bottom: [(0.0, "never"), (0.5, "as promised"), (1.0, "twice as often")].map(words).to_vec(),
        left: named.collect(),
        shapes,
        caption: html! {
            "How often the numbers fell into each prize's range (dot) and what that leaves open, 99 % sure (line), beside "
            "the odds (dashed). What is beyond twice stands at the edge."
        },
    }
    .figure()
}

fn numbers(one: &CampaignReport) -> Markup {
    let most = one.bins.iter().copied().max().unwrap_or(0);
    let top = round_up(most.into(), 1);
    let width = 1.0 / one.bins.len().max(1) as f64;
    let bars = one
        .bins
        .iter()
        .enumerate()
        .map(|(index, count)| Shape::Bar(index as f64 * width, width, share(i128::from(*count), top)));
    let mean = one.draws as f64 / one.bins.len().max(1) as f64;
    let mut shapes: Vec<_> = bars.collect();
    shapes.push(Shape::LimitAcross(mean / top as f64));
    let figure = Plot {
        label: "Numbers drawn",
        bottom: [(0.0, "0"), (0.5, "500,000,000"), (1.0, "999,999,999")].map(words).to_vec(),
        left: vec![(0.0, "0".into()), (1.0, count(top))],
        shapes,
        caption: html! {
            "Draws by the number drawn, in " (one.bins.len()) " equal ranges; dashed what each would have on average. "
            "Chi-square " (format!("{:.1}", one.chi_square)) ": as uneven or more by chance in "
            (format!("{:.1} %", one.chi_square_p * 100.0)) " of cases. Read once, at the end of a period."
        },
    };
    html! { h3 { "Numbers drawn" } (figure.figure()) }
}

/// From a thousandth to a thousand, as a logarithm: one scale for all campaigns.
fn evidence(one: &CampaignReport) -> Markup {
    let up = |log10: f64| (log10 + 3.0) / 6.0;
    let step = 1.0 / one.days.len().max(1) as f64;
    let at =
        |(index, day): (usize, &crate::fairness::DayReport)| ((index as f64 + 0.5) * step, up(day.log10_e));
    let mut line = vec![(0.0, up(0.0))];
    line.extend(one.days.iter().enumerate().map(at));
    let dots = line.iter().skip(1).take(62).copied().map(Shape::Dot).collect::<Vec<_>>();
    let mut shapes = vec![Shape::LimitAcross(up(ALARM.log10())), Shape::Line(line)];
    if one.days.len() <= 62 {
        shapes.extend(dots);
    }
    let day =
        |day: Option<&crate::fairness::DayReport>| day.map(|day| day.day.to_string()).unwrap_or_default();
    let bottom = match one.days.len() {
        0 | 1 => vec![(0.5, day(one.days.first()))],
        _ => vec![(0.0, day(one.days.first())), (1.0, day(one.days.last()))],
    };
    let figure = Plot {
        label: "Evidence against the odds, day by day",
        bottom,
        left: [(-3.0, "1/1,000"), (0.0, "1"), (2.0, "alarm: 100"), (3.0, "1,000")]
            .map(|(log10, text)| (up(log10), text.to_owned()))
            .to_vec(),
        shapes,
        caption: html! {
            "By which factor somebody who bets against the odds would have multiplied his stake. At fair odds the chance that "
            "it ever reaches " (ALARM) " is at most 1 %, however often one looks (an e-process; Ville 1939, Vovk and Wang "
            "2021)."
        },
    };
    let head = html! {
        th { "Day" } th.n { "Draws" } th.n { "Won" } th.n { "Promised wins" } th.n { "Evidence" }
    };
    let rows = html! {
        @for day in &one.days {
            tr {
                td.keep { (day.day) }
                td.n { (count(day.draws)) }
                td.n { (count(day.wins)) }
                td.n { (about(day.expected)) }
                td.n { (factor(day.log10_e)) }
            }
        }
    };
    html! {
        h3 { "Evidence against the odds, day by day" }
        (figure.figure())
        (folded(&format!("{} in numbers", so_many(one.days.len() as u64, "day")), &table("Days", &head, &rows)))
    }
}

/// By day of booking and tier: a quarter of a bank's wins would be hundreds of thousands of rows.
pub(super) fn winners(id: &CampaignId, one: &CampaignReport) -> Markup {
    let mut sums: BTreeMap<(NaiveDate, &str), (u64, i128, Currency)> = BTreeMap::new();
    for win in &one.winners {
        let currency = win.amount.currency();
        let sum = sums.entry((win.day, &win.tier)).or_insert((0, 0, currency));
        sum.0 += 1;
        sum.1 += i128::from(win.amount.minor());
    }
    let head = html! { th { "Day" } th { "Prize" } th.n { "Winners" } th.n { "Sum" } };
    let rows = html! {
        @for ((day, tier), (wins, minor, currency)) in &sums {
            tr {
                td.keep { (day) }
                td { (tier) }
                td.n { (count(*wins)) }
                td.n { (currency.amount(*minor)) }
            }
        }
    };
    let summary = format!("{}: {}", title(id, one), so_many(one.winners.len() as u64, "winner"));
    folded(&summary, &table("Winners", &head, &rows))
}

fn words((place, text): (f64, &str)) -> (f64, String) {
    (place, text.to_owned())
}

/// A name as long as there is room beside a plot.
fn clipped(name: &str) -> String {
    const ROOM: usize = 13;
    if name.chars().count() <= ROOM {
        return name.to_owned();
    }
    name.chars().take(ROOM - 1).chain(['…']).collect()
}

/// Wins that are promised: a jackpot's are few.
fn about(expected: f64) -> String {
    match expected {
        whole if whole >= 1_000.0 => rounded(whole),
        some if some >= 10.0 => format!("{some:.1}"),
        few => format!("{few:.2}"),
    }
}

fn rounded(number: f64) -> String {
    format!("{number:.0}").parse::<u128>().map_or_else(|_| format!("{number:.0}"), count)
}

fn in_percent(ppb: f64) -> String {
    let percent = ppb / 10_000_000.0;
    if percent >= 1.0 { format!("{percent:.2} %") } else { format!("{percent:.4} %") }
}

/// `1.93`, `0.012`, and beyond what people read at a glance a power of ten.
fn factor(log10_e: f64) -> String {
    if log10_e > 6.0 {
        return format!("more than 10^{:.0}", log10_e.floor().min(300.0));
    }
    let factor = 10_f64.powf(log10_e);
    match factor {
        large if large >= 100.0 => rounded(large),
        middle if middle >= 0.1 => format!("{middle:.2}"),
        small if small >= 0.001 => format!("{small:.4}"),
        _ => "less than 0.001".into(),
    }
}
