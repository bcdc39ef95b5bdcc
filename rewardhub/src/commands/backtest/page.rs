//! The report as one page: what it says in a sentence, the campaigns side by side in figures, then
//! each with its plots. Plots of one kind have one scale, so that the dearer campaign looks dearer.

mod plots;

use ::audit::backtest::{Quantiles, Summary};
use ::audit::page::{count, document, facts, so_many, table};
use chrono::NaiveDate;
use maud::{Markup, html};

use super::Report;
use plots::Scales;

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let title = match &report.campaigns[..] {
        [one] => format!("Back-test of {}", one.name),
        all => format!("Back-test: {}", all.iter().map(|one| &*one.name).collect::<Vec<_>>().join(" and ")),
    };
    let scales = Scales::of(&report.campaigns);
    let body = html! {
        h1 { (title) }
        @for one in &report.campaigns { p.lead { (sentence(one)) } }
        (summary(report))
        h2 { "At a glance" }
        (glance(report))
        (how_to_read(report))
        div.side {
            @for one in &report.campaigns { (section(one, &scales)) }
        }
    };
    document(&title, &body)
}

/// What one would tell somebody.
fn sentence(one: &Summary) -> Markup {
    let (cost, budget) = (&one.cost_minor, money(one, one.budget_minor));
    let period = match (one.spent_by_day.first(), one.spent_by_day.last()) {
        (Some(first), Some(last)) => format!("from {} to {}", date(first.day), date(last.day)),
        _ => "over these transactions".into(),
    };
    html! {
        strong { (one.name) }
        @if one.admitted == 0 {
            ": none of " (so_many(one.lines, "transaction")) " is admitted, so it costs nothing, which says nothing."
        } @else {
            " would most likely have cost " strong.keep { (money(one, cost.p50)) } " " (period) ", and in 19 of 20 runs at most "
            strong.keep { (money(one, cost.p95)) } ". The budget of " span.keep { (budget) } " "
            @match &one.ran_out_day {
                None => { "was never used up." }
                Some(day) => {
                    "was used up in " (count(one.ran_out as u64)) " of " (so_many(one.seeds as u64, "run")) ", in the middle on "
                    (date(day.p50)) "."
                }
            }
        }
    }
}

fn summary(report: &Report) -> Markup {
    let files = report.campaigns.iter().zip(&report.files);
    let first = report.campaigns.first();
    let source = report.source.file.as_deref().unwrap_or("the ledger's own log");
    facts(&[
        (
            "Campaigns",
            html! { @for (one, file) in files { div { (one.name) " (" (one.campaign_id) "), " (file) } } },
        ),
        (
            "Transactions",
            html! { (source) @if let Some(one) = first { ": " (count(one.lines)) " booked, of " (so_many(one.customers as u64, "customer")) } },
        ),
        ("Rejected rows", html! { (count(report.source.rejected)) }),
        ("Taken back by the bank", html! { (count(report.source.taken_back)) ", left out" }),
        (
            "As if from",
            html! { @if let Some(day) = report.as_if_from { (day) } @else { "the dates of the files" } },
        ),
        ("Runs", html! { (count(report.seeds as u64)) ", seeds from " (report.first_seed) }),
        ("Written", html! { (report.written_at.to_utc().format("%-d %B %Y, %H:%M UTC")) }),
    ])
}

/// Campaigns side by side, a line for each question.
fn glance(report: &Report) -> Markup {
    type Say = fn(&Summary) -> String;
    let lines: [(&str, Say); 9] = [
        ("Odds of any prize", |one| one.odds.clone()),
        ("Most likely cost", |one| money(one, one.cost_minor.p50)),
        ("Cost in 19 of 20 runs at most", |one| money(one, one.cost_minor.p95)),
        ("Cost in 99 of 100 runs at most", |one| money(one, one.cost_minor.p99)),
        ("Budget", |one| money(one, one.budget_minor)),
        ("Transactions that entered the draw", |one| count(one.admitted as u64)),
        ("Wins, most likely", |one| count(one.wins.p50)),
        ("Customers who won at least once", |one| plots::share_of_customers(one, 1..)),
        ("Customers of whom nothing was admitted", |one| count(one.never_qualified)),
    ];
    let head = html! { th { "" } @for one in &report.campaigns { th.n { (one.name) } } };
    let rows = html! {
        @for (question, say) in lines {
            tr { th scope="row" { (question) } @for one in &report.campaigns { td.n { (say(one)) } } }
        }
    };
    table("At a glance", &head, &rows)
}

fn how_to_read(report: &Report) -> Markup {
    html! {
        h2 { "How to read it" }
        p {
            "The campaign was drawn over the same transactions " (count(report.seeds as u64)) " times, each time with other "
            "luck; one such time is a run. " em { "Middle" } " is what half of the runs stay below (P50), " em { "low" }
            " what one run in 20 stays below (P5), " em { "high" } " what one in 20 exceeds (P95), " em { "very high" }
            " what one in 100 exceeds (P99)."
            @if report.campaigns.len() > 1 { " Both campaigns had the same luck, and their plots have the same scales." }
        }
        p { "It says how a campaign behaves, never who will win: its luck is not that of the ledger's draws." }
    }
}

fn section(one: &Summary, scales: &Scales) -> Markup {
    html! {
        section {
            h2 { (one.name) }
            @if one.admitted == 0 { p { "Nothing entered the draw." } }
            @else { (drawn(one, scales)) }
            h3 { "Who never qualifies" }
            (never(one))
        }
    }
}

fn drawn(one: &Summary, scales: &Scales) -> Markup {
    html! {
        h3 { "What it would have cost" }
        (table("Cost", &quantiles_head(""), &html! { tr { td { "Cost" } (quantiles(&one.cost_minor, |minor| money(one, minor))) } }))
        (plots::costs(one, scales))
        h3 { "Spent by the end of each day" }
        (plots::days(one, scales))
        h3 { "Prizes" }
        (prizes(one))
        h3 { "Customers by how often they won" }
        (plots::customers(one, scales))
        (losses(one))
    }
}

fn quantiles_head(first: &str) -> Markup {
    html! { th { (first) } th.n { "Low" } th.n { "Middle" } th.n { "High" } th.n { "Very high" } }
}

fn quantiles<T: Copy>(of: &Quantiles<T>, say: impl Fn(T) -> String) -> Markup {
    html! { @for value in [of.p5, of.p50, of.p95, of.p99] { td.n { (say(value)) } } }
}

fn prizes(one: &Summary) -> Markup {
    let head = html! { th { "Prize" } th { "Odds" } th.n { "Wins: low" } th.n { "Middle" } th.n { "High" } th.n { "Very high" } };
    let rows = html! {
        @for tier in &one.tiers {
            tr { td { (tier.name) } td.keep { (tier.odds) } (quantiles(&tier.wins, count)) }
        }
    };
    table("Prizes", &head, &rows)
}

fn losses(one: &Summary) -> Markup {
    let streak = &one.losing_streak;
    html! {
        p {
            "Longest row of lost draws of a customer: " (count(streak.p50 as u64)) " in the middle, "
            (count(streak.p95 as u64)) " for one in 20 (high), at most " (count(one.losing_streak_max as u64)) "."
        }
    }
}

fn never(one: &Summary) -> Markup {
    let head =
        html! { th { "Rule" } th.n { "Transactions it declined" } th.n { "Customers who never qualified" } };
    let rows = html! {
        @for (rule, lines) in &one.declined_by_rule {
            @let never = one.never_qualified_by_rule.get(rule).copied().unwrap_or(0);
            tr { td { (rule) } td.n { (count(*lines)) } td.n { (count(never)) } }
        }
    };
    html! {
        p {
            (count(one.never_qualified)) " of " (so_many(one.customers as u64, "customer")) "; of "
            (so_many(one.lines, "transaction")) " " (count(one.admitted as u64)) " were admitted."
        }
        @if !one.declined_by_rule.is_empty() { (table("Who never qualifies", &head, &rows)) }
    }
}

fn money(one: &Summary, minor: i64) -> String {
    one.currency.amount(minor.into())
}

/// `29 November 2026`.
fn date(day: NaiveDate) -> String {
    day.format("%-d %B %Y").to_string()
}
