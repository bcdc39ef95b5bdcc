//! The report as one page, for a person to read and sign: what it says in a sentence, the facts,
//! each campaign, what people did, the statement, and the winners as an annex.

mod campaign;
mod statement;

use std::collections::BTreeMap;

use chrono::NaiveDate;
use maud::{Markup, html};

use super::{CampaignReport, Report};
use crate::page::{count, document, facts, folded, so_many, table};
use ledger_core::ids::CampaignId;
use ledger_core::money::Currency;
use ledger_core::time::Timestamp;

/// Incidents listed; the JSON has all of them.
const ROWS_MAX: usize = 1_000;

/// The whole page, written at this time.
pub fn page(report: &Report, written_at: Timestamp) -> String {
    let sections = report.campaigns.iter().map(|(id, one)| campaign::section(id, one));
    let annex = report.campaigns.iter().filter(|(_, one)| !one.winners.is_empty());
    let body = html! {
        h1 { "Fairness of the draws" }
        p.lead { (sentence(report)) }
        (summary(report, written_at))
        (findings(report))
        @for section in sections { (section) }
        (incidents(report))
        @if report.draws > 0 { (statement::statement(report)) }
        @if report.campaigns.values().any(|one| !one.winners.is_empty()) {
            h2 { "Annex: winners" }
            p.quiet { "Days are days of booking. The JSON that the command prints names every winner with the entry." }
            @for (id, one) in annex { (campaign::winners(id, one)) }
        }
    };
    document("Fairness of the draws", &body)
}

/// What exit code 0 means, and what it does not.
fn sentence(report: &Report) -> Markup {
    let Report { draws, rederived, findings_total, .. } = report;
    if *draws == 0 {
        return html! { "No draws yet." @if !report.holds { " " (broken(*findings_total)) } };
    }
    let (period, won) = (period(report), won(report));
    let all = so_many(*draws, "draw");
    html! {
        @if !report.holds {
            (broken(*findings_total)) " "
            (all) " " (period) ", of which " (won) "."
        } @else if report.complete {
            "All " (all) " " (period) " were derived again, and nothing contradicts them: " (won) "."
        } @else {
            "Nothing contradicts the " (all) " " (period) " so far: " (won) ". " (count(*rederived)) " of "
            (all) " were derived again; the numbers of the others follow once their seeds are revealed."
        }
    }
}

fn broken(findings: u64) -> Markup {
    html! {
        span.warn {
            "Not all of it holds"
            @if findings > 0 { ": " (so_many(findings, "finding")) ", listed below." }
            @else { ": the evidence against the odds reached the alarm." }
        }
    }
}

fn period(report: &Report) -> String {
    let days = || report.campaigns.values().flat_map(|one| &one.days).map(|day| day.day);
    match (days().min(), days().max()) {
        (Some(first), Some(last)) if first == last => format!("of {}", date(first)),
        (Some(first), Some(last)) => format!("from {} to {}", date(first), date(last)),
        _ => String::new(),
    }
}

/// How many won, and what: a sum for each currency.
fn won(report: &Report) -> String {
    let mut sums: BTreeMap<&str, (Currency, i128)> = BTreeMap::new();
    let mut wins = 0;
    for table in report.campaigns.values().flat_map(|one| one.tables.values()) {
        let sum = sums.entry(table.currency.code()).or_insert((table.currency, 0));
        sum.1 += table.tiers.iter().map(|tier| tier.paid_minor).sum::<i128>();
        wins += table.tiers.iter().map(|tier| tier.won).sum::<u64>();
    }
    let sums: Vec<_> = sums.values().map(|(currency, minor)| currency.amount(*minor)).collect();
    format!("{} won {} in all", count(wins), sums.join(" and "))
}

fn summary(report: &Report, written_at: Timestamp) -> Markup {
    let Report { draws, rederived, waiting_for_reveal, reveal_overdue, findings_total, .. } = report;
    let names = report.campaigns.iter().map(|(id, one)| title(id, one));
    let names = names.collect::<Vec<_>>().join(", ");
    let late: usize = report.campaigns.values().map(|one| one.committed_late.len()).sum();
    let plain: u64 = report.campaigns.values().map(|one| one.draws_without_beacon).sum();
    facts(&[
        ("Campaigns", html! { (names) }),
        ("Read up to", html! { (time(report.recorded_until)) " (log position " (report.position) ")" }),
        ("Written", html! { (time(written_at)) }),
        ("Draws", html! { (count(*draws)) }),
        ("Derived again", html! { (count(*rederived)) " from their seeds" }),
        (
            "Waiting",
            html! {
                (count(*waiting_for_reveal)) " for the reveal of their seed"
                @if *reveal_overdue > 0 {
                    ", " span.warn { (count(*reveal_overdue)) " of them overdue: their grace is over" }
                }
            },
        ),
        ("Findings", html! { (count(*findings_total)) " in the whole log" }),
        (
            "Committed late",
            html! {
                @if late == 0 { "no day with draws" }
                @else { (so_many(late as u64, "day")) " after " (if late == 1 { "it" } else { "they" }) " had begun: see the statement" }
            },
        ),
        (
            "Public randomness",
            html! {
                @if plain == 0 { "in every draw" }
                @else { "none in " (so_many(plain, "draw")) ": only the operator knew the seed" }
            },
        ),
    ])
}

fn findings(report: &Report) -> Markup {
    if report.findings.is_empty() {
        return html! {};
    }
    let head = html! { th { "Position" } th { "Entry" } th { "Check" } th { "Expected" } th { "Found" } };
    let rows = html! {
        @for found in &report.findings {
            tr {
                td.keep { (found.position) }
                td { @if let Some(entry) = found.entry_id { (crate::page::hash(&entry.to_string())) } }
                td { (found.check) }
                td { (found.expected) }
                td { (found.found) }
            }
        }
    };
    html! { h2 { "Findings" } (table("Findings", &head, &rows)) }
}

fn incidents(report: &Report) -> Markup {
    let all = report.incidents.len();
    let head = html! {
        th { "When" } th { "Who" } th { "What" } th { "Where" } th { "Day" } th { "Reason" } th { "More" }
    };
    let rows = html! {
        @for one in report.incidents.iter().take(ROWS_MAX) {
            tr {
                td.keep { (time(one.recorded_at)) }
                td { (one.actor) }
                td { (one.event) }
                td { (one.stream) }
                td.keep { (one.epoch.as_deref().unwrap_or_default()) }
                td { (one.reason.as_deref().unwrap_or_default()) }
                td { @for (name, said) in &one.details { div { (name.replace('_', " ")) " " (said) } } }
            }
        }
    };
    html! {
        h2 { "What people did" }
        @if all == 0 { p { "Nothing." } }
        @else {
            ul { @for (event, times) in &report.incident_counts { li { (count(*times)) " " (event) } } }
            @if all > ROWS_MAX {
                p { "The first " (count(ROWS_MAX as u64)) " of " (count(all as u64)) " are listed; the JSON report has all." }
            }
            (folded(&format!("List of all {}", count(all.min(ROWS_MAX) as u64)), &table("What people did", &head, &rows)))
        }
    }
}

fn title(id: &CampaignId, one: &CampaignReport) -> String {
    if one.name.is_empty() { id.to_string() } else { format!("{} ({id})", one.name) }
}

/// `29 November 2026`.
fn date(day: NaiveDate) -> String {
    day.format("%-d %B %Y").to_string()
}

/// `29 November 2026, 23:57:11 UTC`.
fn time(time: Timestamp) -> String {
    time.to_utc().format("%-d %B %Y, %H:%M:%S UTC").to_string()
}
