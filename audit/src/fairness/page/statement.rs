//! What an auditor signs. It claims no more draws than were derived, and excepts the days whose
//! seed was chosen when purchases were known already. Where something contradicts the log, or no
//! draw could be derived, there is nothing to sign.

use maud::{Markup, html};

use super::{Report, count, date, so_many, title};
use crate::fairness::LateCommitment;
use ledger_core::draw::Prize;
use ledger_core::time::SECOND_MICROS;

pub(super) fn statement(report: &Report) -> Markup {
    let Report { draws, rederived, campaigns, .. } = report;
    if !report.holds || *rederived == 0 {
        return nothing_to_sign(report);
    }
    let names = campaigns.iter().map(|(id, one)| title(id, one)).collect::<Vec<_>>().join(", ");
    let late: Vec<_> = campaigns
        .iter()
        .flat_map(|(id, one)| one.committed_late.iter().map(move |day| (title(id, one), day)))
        .collect();
    let plain: u64 = campaigns.values().map(|one| one.draws_without_beacon).sum();
    let tiers = campaigns.values().flat_map(|one| one.tables.values()).flat_map(|table| &table.tiers);
    let shares: u64 =
        tiers.filter(|tier| matches!(tier.prize, Prize::Share { .. })).map(|tier| tier.won).sum();
    html! {
        h2 { "Statement of the independent auditor" }
        p {
            "I have derived again, from the audit bundle up to log position " (report.position)
            " and with an implementation that is not the operator's, "
            @if report.complete { "all " (so_many(*draws, "draw")) }
            @else { (count(*rederived)) " of the " (so_many(*draws, "draw")) }
            " of the campaigns " (names) ": that each seed is the one committed to before its day opened"
            @if !late.is_empty() { ", except on " (so_many(late.len() as u64, "day")) " named here" }
            "; that each entry was drawn exactly once; and that each number, tier, mask and fixed prize is what draw-1 "
            "gives."
            @if !report.complete {
                " The seeds of the other " (so_many(draws - rederived, "draw")) " were not public: of these I have checked "
                "everything but the number, and state nothing of their numbers."
            }
            " I have compared what was won with the odds published. I have read the list of what people did above and "
            "asked about it."
        }
        @if !late.is_empty() {
            p {
                "Committed to after the day had begun, when purchases of that day were known: "
                (so_many(late.len() as u64, "day")) "."
            }
            ul { @for (campaign, day) in &late { (exception(campaign, day)) } }
        }
        @if plain > 0 {
            p {
                (so_many(plain, "draw")) " used no public randomness: only the operator knew the seed. I state nothing of how "
                "those seeds were chosen."
            }
        }
        @if shares > 0 {
            p {
                (so_many(shares, "win")) " took a share of the purchase: I have checked that each is within its prize's maximum, and "
                "state nothing of its amount."
            }
        }
        p { "Whether prizes were paid is not part of this statement." }
        p { "Other exceptions, if any:" }
        div.blank {}
        div.blank {}
        p {
            "Except for these" @if !report.complete { ", and as far as the seeds are public" }
            ", the prizes were drawn as published, by chance alone, and without influence of the operator."
        }
        table.sign {
            tbody {
                @for what in ["Name", "Body or firm", "Place and date", "Signature"] {
                    tr { th scope="row" { (what) } td {} }
                }
            }
        }
    }
}

fn nothing_to_sign(report: &Report) -> Markup {
    html! {
        h2 { "Nothing to sign" }
        p {
            @if report.holds { "The seed of no draw is public yet: there is nothing that an auditor could state of a number." }
            @else { "Not all of it holds, as is said above. What it means has to be found out before anybody signs." }
        }
    }
}

fn exception(campaign: &str, day: &LateCommitment) -> Markup {
    let minutes = (day.committed_at.micros() - day.opens_at.micros()) / (60 * SECOND_MICROS);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    html! {
        li {
            (campaign) ", " (date(day.epoch.date())) ": committed to at " (super::time(day.committed_at)) ", "
            (hours) " h " (minutes) " min after the day had begun; " (so_many(day.draws, "draw")) ", "
            (count(day.booked_before)) " of them for purchases booked before that."
        }
    }
}
