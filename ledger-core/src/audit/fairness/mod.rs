//! What was won beside what the odds promised, for a person to read and sign.
//!
//! [`Fairness`] reads the log along with the draw audit, which derives every number again; [`statistics`] judges the
//! counts; [`page`] shows them. Days are UTC days of recording, since that is the order in which evidence came in.

mod incident;
pub mod page;
mod sheet;
pub mod statistics;

pub use incident::Incident;
pub use sheet::{CampaignReport, DayReport, MaskReport, TableReport, TierReport, Winner};

use std::collections::BTreeMap;

use serde::Serialize;

use crate::account::AccountEvent;
use crate::audit::draws;
use crate::campaign::CampaignEvent;
use crate::ids::CampaignId;
use crate::log::StoredEvent;
use crate::log::decode::LedgerEvent;
use sheet::Sheet;

/// Reads along.
#[derive(Default)]
pub struct Fairness {
    only: Option<CampaignId>,
    sheets: BTreeMap<CampaignId, Sheet>,
    incidents: Vec<Incident>,
}

/// What it came to.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Every draw holds and no campaign's evidence reached the alarm.
    pub holds: bool,
    /// The last event read.
    pub position: String,
    /// Draws in the whole log.
    pub draws: u64,
    /// Of these, derived again with their seed.
    pub rederived: u64,
    /// Of these, waiting for their seed's reveal.
    pub waiting_for_reveal: u64,
    /// What the draw audit found, at most [`draws::FINDINGS_MAX`] in full.
    pub findings: Vec<draws::Finding>,
    /// How many there were.
    pub findings_total: u64,
    /// By campaign.
    pub campaigns: BTreeMap<CampaignId, CampaignReport>,
    /// What people did, and what waited for them.
    pub incidents: Vec<Incident>,
}

impl Fairness {
    /// A report on one campaign, or on all.
    pub fn of(only: Option<CampaignId>) -> Fairness {
        Fairness { only, ..Fairness::default() }
    }

    /// Takes the next event of the log.
    pub fn take(&mut self, stored: &StoredEvent, event: Option<&LedgerEvent>) {
        if let Some(incident) = Incident::of(stored) {
            self.incidents.push(incident);
        }
        if let Some(LedgerEvent::Campaign(CampaignEvent::EpochScheduled { table_hash, prize_table, .. })) =
            event
            && let Ok(campaign) = CampaignId::parse(&stored.stream.id)
            && self.includes(&campaign)
        {
            self.sheets.entry(campaign).or_default().table(*table_hash, prize_table);
        }
        if let Some(LedgerEvent::Account(AccountEvent::TransactionEvaluated { draws, .. })) = event {
            for draw in draws {
                if self.includes(&draw.campaign_id) {
                    self.sheets.entry(draw.campaign_id.clone()).or_default().draw(stored, draw);
                }
            }
        }
    }

    /// The end, beside what the draw audit came to.
    pub fn finish(self, audit: draws::Report) -> Report {
        let sheets = self.sheets.into_iter().map(|(id, sheet)| (id, sheet.finish()));
        let campaigns: BTreeMap<_, _> = sheets.collect();
        Report {
            holds: audit.holds && campaigns.values().all(|campaign| campaign.alarm_on.is_none()),
            position: audit.position,
            draws: audit.counts.draws,
            rederived: audit.counts.rederived,
            waiting_for_reveal: audit.counts.waiting_for_reveal,
            findings: audit.findings,
            findings_total: audit.findings_total,
            campaigns,
            incidents: self.incidents,
        }
    }

    fn includes(&self, campaign: &CampaignId) -> bool {
        self.only.as_ref().is_none_or(|only| only == campaign)
    }
}

#[cfg(test)]
mod tests;
