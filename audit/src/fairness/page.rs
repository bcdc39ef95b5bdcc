//! The report as one HTML page: no network, no script, readable on paper.

#![expect(clippy::float_arithmetic, reason = "places on a page are no money")]
#![expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]

use std::fmt::Write as _;

use super::statistics::ALARM;
use super::{CampaignReport, Report, TableReport, Winner};
use ledger_core::ids::CampaignId;

/// Winners and incidents listed; the JSON has all of them.
const ROWS_MAX: usize = 5_000;
const STYLE: &str = include_str!("page.css");
const STATEMENT: &str = include_str!("statement.html");

/// The whole page.
pub fn page(report: &Report) -> String {
    let mut page = String::new();
    put(
        &mut page,
        format_args!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Fairness of draws</title><style>{STYLE}</style>\n\
         <h1>Fairness of draws</h1><p>As of log position {}. <strong>{}</strong></p>\n\
         <p>{} draws; {} derived again from their seeds, {} waiting for the reveal of theirs, {} findings in the whole log.</p>\n",
            escape(&report.position),
            verdict(report),
            report.draws,
            report.rederived,
            report.waiting_for_reveal,
            report.findings_total
        ),
    );
    if report.reveal_overdue > 0 {
        put(
            &mut page,
            format_args!(
                "<p><strong>{} draws are of days whose grace is over and whose seed is still not revealed.</strong></p>\n",
                report.reveal_overdue
            ),
        );
    }
    findings(&mut page, report);
    for (id, campaign) in &report.campaigns {
        section(&mut page, id, campaign);
    }
    incidents(&mut page, report);
    let list = report.campaigns.keys().map(CampaignId::as_str).collect::<Vec<_>>().join(", ");
    page + &statement(report, &escape(&list))
}

/// What exit code 0 means, and what it does not.
fn verdict(report: &Report) -> String {
    let Report { draws, rederived, .. } = report;
    if !report.holds {
        "Not all of it holds: see below.".into()
    } else if report.complete {
        format!("Nothing contradicts it, and all {draws} draws were derived again.")
    } else {
        format!(
            "Nothing contradicts it so far: {rederived} of {draws} draws were derived again, the numbers of the others not yet."
        )
    }
}

/// Claims no more draws than were derived.
fn statement(report: &Report, campaigns: &str) -> String {
    let Report { draws, rederived, .. } = report;
    let (derived, waiting, as_far) = if report.complete {
        (format!("all {draws} draws"), String::new(), "")
    } else {
        let waiting = format!(
            "The seeds of the other {} draws were not public: of these I have checked everything but the number, and state \
             nothing of their numbers. ",
            draws - rederived
        );
        (format!("{rederived} of the {draws} draws"), waiting, ", and as far as the seeds are public")
    };
    STATEMENT
        .replace("{position}", &escape(&report.position))
        .replace("{derived}", &derived)
        .replace("{waiting}", &waiting)
        .replace("{as_far}", as_far)
        .replace("{campaigns}", campaigns)
}

fn findings(page: &mut String, report: &Report) {
    if report.findings.is_empty() {
        return;
    }
    page.push_str("<h2>Findings</h2>\n<table><tr><th>position<th>entry<th>check<th>expected<th>found\n");
    for found in &report.findings {
        let entry = found.entry_id.map(|entry| entry.to_string()).unwrap_or_default();
        row(page, &[&found.position, &entry, found.check, &found.expected, &found.found]);
    }
    page.push_str("</table>\n");
}

fn section(page: &mut String, id: &CampaignId, campaign: &CampaignReport) {
    put(page, format_args!("<h2>Campaign {}</h2><p>{} draws.</p>\n", escape(id.as_str()), campaign.draws));
    for (hash, table) in &campaign.tables {
        put(page, format_args!("<h3>Prize table <code>{hash}</code></h3><p>{} draws.</p>\n", table.draws));
        tiers(page, table);
        masks(page, table);
    }
    put(
        page,
        format_args!(
            "<h3>Numbers drawn</h3>{}<p>In {} equal bins: chi-square {:.1}, p = {:.3}. Read once, at the end of a period.</p>\n",
            histogram(&campaign.bins),
            campaign.bins.len(),
            campaign.chi_square,
            campaign.chi_square_p
        ),
    );
    let alarm = campaign.alarm_on.map_or("It never reached the alarm.".into(), |day| {
        format!("<strong>It reached the alarm on {day}.</strong>")
    });
    put(
        page,
        format_args!(
            "<h3>Evidence against the odds, day by day</h3>{}<p>The average of an e-process (a betting martingale) for each \
         tier and one for a win of any tier: at fair odds the chance that it ever reaches {ALARM} is at most 1 % (Ville \
         1939; Vovk and Wang 2021), however often one looks. {alarm}</p>\n",
            evidence(campaign)
        ),
    );
    winners(page, &campaign.winners);
}

fn tiers(page: &mut String, table: &TableReport) {
    page.push_str(
        "<table><tr><th>tier<th>odds, ppb<th>expected<th>by number<th>masked draws<th>won<th>paid, minor units\
         <th>exact 99 % interval, ppb<th>odds within<th>E\n",
    );
    for tier in &table.tiers {
        let (low, high) = tier.interval_ppb;
        row(
            page,
            &[
                &tier.name,
                &tier.odds_ppb.to_string(),
                &format!("{:.1}", tier.expected),
                &tier.by_number.to_string(),
                &tier.masked.to_string(),
                &tier.won.to_string(),
                &tier.paid_minor.to_string(),
                &format!("{low:.0} to {high:.0}"),
                if tier.within { "yes" } else { "no" },
                &shown(tier.log10_e),
            ],
        );
    }
    let any = shown(table.log10_e_any);
    put(page, format_args!("</table>\n<p>E of a win of any tier: {any}.</p>\n{}", intervals(table)));
}

fn masks(page: &mut String, table: &TableReport) {
    for mask in &table.masks {
        let tiers = escape(&mask.tiers.join(", "));
        put(
            page,
            format_args!("<p>{} draws while masked by budget or inventory: {tiers}.</p>\n", mask.draws),
        );
    }
}

fn winners(page: &mut String, winners: &[Winner]) {
    put(page, format_args!("<h3>Winners</h3><p>{} in all.", winners.len()));
    if winners.len() > ROWS_MAX {
        put(page, format_args!(" The first {ROWS_MAX} are listed; the JSON report has all."));
    }
    page.push_str("</p>\n<table><tr><th>day<th>account<th>tier<th>amount<th>entry\n");
    for winner in winners.iter().take(ROWS_MAX) {
        let (day, entry) = (winner.day.to_string(), winner.entry_id.to_string());
        row(page, &[&day, &winner.account, &winner.tier, &winner.amount.to_string(), &entry]);
    }
    page.push_str("</table>\n");
}

fn incidents(page: &mut String, report: &Report) {
    page.push_str("<h2>What people did</h2>\n<p>");
    let counts = report.incident_counts.iter().map(|(event, count)| format!("{count} {}", escape(event)));
    put(page, format_args!("{} in all", report.incidents.len()));
    let counts: Vec<String> = counts.collect();
    if !counts.is_empty() {
        put(page, format_args!(": {}", counts.join(", ")));
    }
    page.push('.');
    if report.incidents.len() > ROWS_MAX {
        put(page, format_args!(" The first {ROWS_MAX} are listed; the JSON report has all."));
    }
    page.push_str("</p>\n<table><tr><th>when<th>who<th>what<th>where<th>day<th>reason<th>more\n");
    for one in report.incidents.iter().take(ROWS_MAX) {
        let (epoch, reason) = (one.epoch.as_deref().unwrap_or(""), one.reason.as_deref().unwrap_or(""));
        let more =
            one.details.iter().map(|(name, said)| format!("{name} {said}")).collect::<Vec<_>>().join(", ");
        let when = one.recorded_at.to_string();
        row(page, &[&when, &one.actor, &one.event, &one.stream, epoch, reason, &more]);
    }
    page.push_str("</table>\n");
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 160.0;

/// Each tier's interval as a multiple of its odds, from none to twice; beyond that it runs out of
/// the picture.
fn intervals(table: &TableReport) -> String {
    let height = 24.0 * table.tiers.len() as f64 + 20.0;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Intervals\">\n");
    let x = |multiple: f64| 140.0 + multiple.clamp(0.0, 2.0) * 280.0;
    put(
        &mut svg,
        format_args!("<line x1=\"{0}\" x2=\"{0}\" y1=\"0\" y2=\"{height}\" class=\"odds\"/>\n", x(1.0)),
    );
    for (index, tier) in table.tiers.iter().enumerate() {
        let (y, odds) = (24.0 * index as f64 + 16.0, f64::from(tier.odds_ppb));
        let (low, high) = (x(tier.interval_ppb.0 / odds), x(tier.interval_ppb.1 / odds));
        let observed = if tier.expected > 0.0 { tier.by_number as f64 / tier.expected } else { 1.0 };
        put(
            &mut svg,
            format_args!(
                "<text x=\"0\" y=\"{}\">{}</text><line x1=\"{low}\" x2=\"{high}\" y1=\"{y}\" y2=\"{y}\"/>\
             <circle cx=\"{}\" cy=\"{y}\" r=\"4\"/>\n",
                y + 4.0,
                escape(&tier.name),
                x(observed)
            ),
        );
    }
    svg + "</svg><p class=\"key\">Observed (dot) and interval beside the configured odds (dashed), from none to twice.</p>\n"
}

fn histogram(bins: &[u64]) -> String {
    let most = bins.iter().copied().max().unwrap_or(0).max(1) as f64;
    let width = WIDTH / bins.len().max(1) as f64;
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Numbers drawn\">\n");
    for (index, count) in bins.iter().enumerate() {
        let height = *count as f64 / most * HEIGHT;
        put(
            &mut svg,
            format_args!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\"/>\n",
                index as f64 * width,
                HEIGHT - height,
                width - 1.0
            ),
        );
    }
    svg + "</svg>\n"
}

/// From 10^-3 to 10^3, the alarm dashed.
fn evidence(campaign: &CampaignReport) -> String {
    let y = |log10: f64| HEIGHT / 2.0 - log10.clamp(-3.0, 3.0) * HEIGHT / 6.0;
    let step = WIDTH / campaign.days.len().max(1) as f64;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Evidence\">\n");
    put(
        &mut svg,
        format_args!(
            "<line x1=\"0\" x2=\"{WIDTH}\" y1=\"{0}\" y2=\"{0}\" class=\"odds\"/><text x=\"0\" y=\"{1}\">alarm at {ALARM}</text>\n",
            y(ALARM.log10()),
            y(ALARM.log10()) - 4.0
        ),
    );
    let points = campaign.days.iter().enumerate();
    let points: Vec<String> =
        points.map(|(n, day)| format!("{:.1},{:.1}", (n as f64 + 0.5) * step, y(day.log10_e))).collect();
    put(&mut svg, format_args!("<polyline points=\"0,{:.1} {}\"/>\n", y(0.0), points.join(" ")));
    svg += "</svg>\n<table><tr><th>day<th>draws<th>wins<th>expected<th>E\n";
    for day in &campaign.days {
        let (draws, wins) = (day.draws.to_string(), day.wins.to_string());
        let (expected, e) = (format!("{:.1}", day.expected), shown(day.log10_e));
        row(&mut svg, &[&day.day.to_string(), &draws, &wins, &expected, &e]);
    }
    svg + "</table>\n"
}

fn shown(log10_e: f64) -> String {
    if log10_e > 300.0 { "beyond 10^300".into() } else { format!("{:.3e}", 10_f64.powf(log10_e)) }
}

fn row(page: &mut String, cells: &[&str]) {
    page.push_str("<tr>");
    for cell in cells {
        put(page, format_args!("<td>{}", escape(cell)));
    }
    page.push('\n');
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("writing to a text does not fail");
}

/// Names come from operators and feeds: none of them may become markup.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}
