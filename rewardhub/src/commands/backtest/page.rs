//! The report as one HTML page: no network, no script, readable on paper. Campaigns stand side by
//! side.

#![expect(clippy::float_arithmetic, reason = "places on a page are no money")]
#![expect(clippy::cast_precision_loss, reason = "what is drawn need not be exact")]

use std::fmt::Write as _;

use ::audit::backtest::Summary;

use super::Report;

const STYLE: &str = include_str!("page.css");
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 180.0;
/// Room below a plot for its scale.
const SCALE: f64 = 20.0;
const BINS: usize = 40;

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Back-test</title><style>{STYLE}</style>\n\
         <h1>Back-test</h1><p>{} seeds from {} over the same transactions. Drawn with a plain generator: it says how a \
         campaign behaves, never who wins.</p>\n<div class=\"side\">\n",
        report.seeds, report.first_seed
    );
    for summary in &report.campaigns {
        section(&mut page, summary);
    }
    page.push_str("</div>\n");
    page
}

fn section(page: &mut String, summary: &Summary) {
    let Summary { cost_minor: cost, currency, .. } = summary;
    let amount = |minor: i64| escape(&money(minor, currency.exponent(), currency.code()));
    put(
        page,
        format_args!(
            "<section><h2>{}</h2><p>{} <code>{}</code></p>\n",
            escape(&summary.name),
            escape(&summary.odds),
            escape(&summary.campaign_id)
        ),
    );
    page.push_str("<h3>What it would have cost</h3>\n<table><tr><th>P5<th>P50<th>P95<th>P99<th>budget\n");
    row(
        page,
        &[
            &amount(cost.p5),
            &amount(cost.p50),
            &amount(cost.p95),
            &amount(cost.p99),
            &amount(summary.budget_minor),
        ],
    );
    page.push_str("</table>\n");
    page.push_str(&histogram(&summary.costs_minor, amount));
    let ran_out = match &summary.ran_out_day {
        Some(day) => format!(
            "Under {} of {} seeds no tier could be covered any more, in the middle from {} on (P5 {}, P95 {}).",
            summary.ran_out, summary.seeds, day.p50, day.p5, day.p95
        ),
        None => "Under no seed did the budget run out.".into(),
    };
    put(
        page,
        format_args!(
            "<h3>Spent by the end of each day</h3>\n{}<p>P5 to P95, and the middle. {ran_out}</p>\n",
            fan(summary, amount)
        ),
    );
    page.push_str("<h3>Tiers</h3>\n<table><tr><th>tier<th>odds<th>wins P5<th>P50<th>P95<th>P99\n");
    for tier in &summary.tiers {
        let wins = [tier.wins.p5, tier.wins.p50, tier.wins.p95, tier.wins.p99].map(|wins| wins.to_string());
        row(page, &[&escape(&tier.name), &escape(&tier.odds), &wins[0], &wins[1], &wins[2], &wins[3]]);
    }
    page.push_str("</table>\n<h3>Customers by how often they won</h3>\n");
    page.push_str(&bars(summary));
    let streak = &summary.losing_streak;
    put(
        page,
        format_args!(
            "<p>{} customers. Longest row of lost draws of a customer: P5 {}, P50 {}, P95 {}, P99 {}, at most {}.</p>\n",
            summary.customers, streak.p5, streak.p50, streak.p95, streak.p99, summary.losing_streak_max
        ),
    );
    put(
        page,
        format_args!(
            "<h3>Who never qualifies</h3><p>{} of {} customers; of {} transactions {} were admitted.</p>\n<table><tr><th>rule<th>transactions it declined<th>customers who never qualified\n",
            summary.never_qualified, summary.customers, summary.lines, summary.admitted
        ),
    );
    for (rule, lines) in &summary.declined_by_rule {
        let never = summary.never_qualified_by_rule.get(rule).copied().unwrap_or(0);
        row(page, &[&format!("<code>{}</code>", escape(rule)), &lines.to_string(), &never.to_string()]);
    }
    page.push_str("</table></section>\n");
}

/// How often what came up, in bins of one width.
fn histogram(sorted: &[i64], amount: impl Fn(i64) -> String) -> String {
    let (Some(low), Some(high)) = (sorted.first().copied(), sorted.last().copied()) else {
        return String::new();
    };
    let mut bins = [0_u32; BINS];
    for value in sorted {
        let bin = i128::from(value - low) * BINS as i128 / (i128::from(high - low) + 1);
        bins[usize::try_from(bin).map_or(0, |bin| bin.min(BINS - 1))] += 1;
    }
    let most = f64::from(bins.iter().copied().max().unwrap_or(1).max(1));
    let mut svg = open();
    for (bin, count) in bins.iter().enumerate() {
        let (x, height) = (bin as f64 * WIDTH / BINS as f64, HEIGHT * f64::from(*count) / most);
        put(
            &mut svg,
            format_args!(
                "<rect class=\"bar\" x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>",
                HEIGHT - height,
                WIDTH / BINS as f64 - 1.0
            ),
        );
    }
    scale(&mut svg, &amount(low), &amount(high));
    svg
}

/// The middle of what was spent, between its fifth and its ninety-fifth percentile.
fn fan(summary: &Summary, amount: impl Fn(i64) -> String) -> String {
    let days = &summary.spent_by_day;
    let most = days.iter().map(|day| day.spent_minor.p95).max().unwrap_or(0).max(1);
    let point = |(place, minor): (usize, i64)| {
        let x = place as f64 * WIDTH / (days.len().max(2) - 1) as f64;
        format!("{x:.1},{:.1}", HEIGHT - HEIGHT * minor as f64 / most as f64)
    };
    let line = |value: fn(&::audit::backtest::Quantiles<i64>) -> i64| -> Vec<String> {
        days.iter().map(|day| value(&day.spent_minor)).enumerate().map(point).collect()
    };
    let (low, middle, high) = (line(|q| q.p5), line(|q| q.p50), line(|q| q.p95));
    let band: Vec<String> = low.into_iter().chain(high.into_iter().rev()).collect();
    let mut svg = open();
    put(
        &mut svg,
        format_args!(
            "<polygon class=\"band\" points=\"{}\"/><polyline class=\"line\" points=\"{}\"/>",
            band.join(" "),
            middle.join(" ")
        ),
    );
    let day =
        |day: Option<&::audit::backtest::DaySummary>| day.map(|d| d.day.to_string()).unwrap_or_default();
    scale(&mut svg, &day(days.first()), &format!("{}, {}", day(days.last()), amount(most)));
    svg
}

fn bars(summary: &Summary) -> String {
    let most = summary.customers_by_wins.iter().map(|by| by.customers_milli).max().unwrap_or(1).max(1);
    let mut svg = open();
    let each = WIDTH / summary.customers_by_wins.len().max(1) as f64;
    for (place, by) in summary.customers_by_wins.iter().enumerate() {
        let height = HEIGHT * by.customers_milli as f64 / most as f64;
        put(
            &mut svg,
            format_args!(
                "<rect class=\"bar\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"><title>{} wins: {} customers</title></rect>",
                place as f64 * each,
                HEIGHT - height,
                each - 1.0,
                by.wins,
                by.customers_milli / 1_000
            ),
        );
    }
    let last = summary.customers_by_wins.last().map_or(0, |by| by.wins);
    scale(&mut svg, "never", &format!("{last} times or more"));
    svg
}

fn open() -> String {
    format!("<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\">", HEIGHT + SCALE)
}

fn scale(svg: &mut String, low: &str, high: &str) {
    let y = HEIGHT + SCALE - 5.0;
    put(
        svg,
        format_args!(
            "<text x=\"0\" y=\"{y}\">{low}</text><text x=\"{WIDTH}\" y=\"{y}\" class=\"end\">{high}</text></svg>\n"
        ),
    );
}

fn row(page: &mut String, cells: &[&str]) {
    put(page, format_args!("<tr><td>{}\n", cells.join("<td>")));
}

fn money(minor: i64, exponent: u16, code: &str) -> String {
    let unit = 10_i64.pow(exponent.into());
    match exponent {
        0 => format!("{code} {minor}"),
        _ => format!("{code} {}.{:0width$}", minor / unit, minor % unit, width = exponent.into()),
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a text takes any text");
}
