//! What was won beside what the odds promised, for a person to read and sign.
//!
//! [`Fairness`] reads the log along with the draw audit, which derives every number again;
//! [`statistics`] judges the counts; [`page`] shows them. Days are UTC days of recording, since
//! that is the order in which evidence came in.

mod commitments;
mod incident;
pub mod page;
mod sheet;
pub mod statistics;

pub use commitments::LateCommitment;
pub use incident::Incident;
pub use sheet::{CampaignReport, DayReport, MaskReport, TableReport, TierReport, Winner};

use std::collections::BTreeMap;

use serde::Serialize;

use crate::draws;
use incident::Incidents;
use ledger_core::account::AccountEvent;
use ledger_core::campaign::CampaignEvent;
use ledger_core::event::LedgerEvent;
use ledger_core::ids::CampaignId;
use ledger_core::log::StoredEvent;
use ledger_core::time::Timestamp;
use sheet::Sheet;

/// Reads along.
#[derive(Default)]
pub struct Fairness {
    only: Option<CampaignId>,
    sheets: BTreeMap<CampaignId, Sheet>,
    titles: BTreeMap<CampaignId, Title>,
    incidents: Incidents,
    until: Timestamp,
}

/// What a campaign is called, and what a revision that waits for its approval would call it.
#[derive(Default)]
struct Title {
    approved: bool,
    current: String,
    revised: Option<String>,
}

impl Title {
    fn take(&mut self, event: &CampaignEvent) {
        match event {
            CampaignEvent::CampaignRevised { terms, .. } if self.approved => {
                self.revised = Some(terms.name.clone());
            }
            CampaignEvent::CampaignDrafted { terms, .. } | CampaignEvent::CampaignRevised { terms, .. } => {
                self.current.clone_from(&terms.name);
            }
            CampaignEvent::CampaignApproved { .. } => {
                self.approved = true;
                self.current = self.revised.take().unwrap_or_else(|| std::mem::take(&mut self.current));
            }
            _ => {}
        }
    }
}

/// What it came to.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Nothing contradicts the draws: no finding of the draw audit, and no campaign's evidence
    /// reached the alarm. Says nothing of numbers that wait for their seed; see `complete`.
    pub holds: bool,
    /// Every draw counted here was derived again with its seed. Before the last day's reveal it is
    /// not.
    pub complete: bool,
    /// The last event read.
    pub position: String,
    /// When that was recorded.
    pub recorded_until: Timestamp,
    /// Draws of the campaigns reported on.
    pub draws: u64,
    /// Of these, derived again with their seed.
    pub rederived: u64,
    /// Of these, waiting for their seed's reveal: checked in everything but the number.
    pub waiting_for_reveal: u64,
    /// Of these, drawn on days whose grace was over at the end of the log and whose seed is still
    /// secret.
    pub reveal_overdue: u64,
    /// What the draw audit found in the whole log, whichever the campaign, at most
    /// [`draws::FINDINGS_MAX`] in full.
    pub findings: Vec<draws::Finding>,
    /// How many there were.
    pub findings_total: u64,
    /// By campaign.
    pub campaigns: BTreeMap<CampaignId, CampaignReport>,
    /// How many incidents of each event.
    pub incident_counts: BTreeMap<String, u64>,
    /// What people did, and what waited for them: to these campaigns, to accounts, to the whole
    /// system.
    pub incidents: Vec<Incident>,
}

impl Fairness {
    /// A report on one campaign, or on all.
    pub fn of(only: Option<CampaignId>) -> Fairness {
        Fairness { only, ..Fairness::default() }
    }

    /// Takes the next event of the log.
    pub fn take(&mut self, stored: &StoredEvent, event: Option<&LedgerEvent>) {
        self.until = stored.recorded_at;
        self.incidents.take(stored, self.only.as_ref());
        if let Some(LedgerEvent::Campaign(event)) = event
            && let Ok(campaign) = CampaignId::parse(&stored.stream.id)
            && self.includes(&campaign)
        {
            self.titles.entry(campaign.clone()).or_default().take(event);
            if let CampaignEvent::EpochScheduled { .. } = event {
                self.sheets.entry(campaign).or_default().commit(event, stored.recorded_at);
            }
        }
        if let Some(LedgerEvent::Account(AccountEvent::TransactionEvaluated { line, draws, .. })) = event {
            for draw in draws {
                if self.includes(&draw.campaign_id) {
                    let sheet = self.sheets.entry(draw.campaign_id.clone()).or_default();
                    sheet.draw(stored, line.booked_at, draw);
                }
            }
        }
    }

    /// The end, beside what the draw audit came to.
    pub fn finish(self, audit: draws::Report) -> Report {
        let included = audit.campaigns.iter().filter(|(id, _)| self.includes(id)).map(|(_, summary)| summary);
        let reveal_overdue = included.clone().map(|summary| summary.reveal_overdue).sum();
        // Draws of campaigns that the log does not have belong to none, and to the whole.
        let counts = match &self.only {
            None => audit.counts,
            Some(_) => included.map(|summary| summary.counts).next().unwrap_or_default(),
        };
        let incident_counts = self.incidents.counts();
        let mut titles = self.titles;
        let sheets = self.sheets.into_iter().map(|(id, sheet)| {
            let title = titles.remove(&id).unwrap_or_default();
            (id, sheet.finish(title.current))
        });
        let campaigns: BTreeMap<_, _> = sheets.collect();
        Report {
            holds: audit.holds && campaigns.values().all(|campaign| campaign.alarm_on.is_none()),
            complete: counts.rederived == counts.draws,
            position: audit.position,
            recorded_until: self.until,
            draws: counts.draws,
            rederived: counts.rederived,
            waiting_for_reveal: counts.waiting_for_reveal,
            reveal_overdue,
            findings: audit.findings,
            findings_total: audit.findings_total,
            campaigns,
            incident_counts,
            incidents: self.incidents.list,
        }
    }

    fn includes(&self, campaign: &CampaignId) -> bool {
        self.only.as_ref().is_none_or(|only| only == campaign)
    }
}

#[cfg(test)]
mod tests;
