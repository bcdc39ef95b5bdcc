//! What an event says of draws: one decided transaction, one of its draws, one win.

use super::findings::{Findings, Place};
use ledger_core::account::event::{Considered, Line, Outcome};
use ledger_core::draw::{self, Draw};
use ledger_core::ids::CampaignId;
use ledger_core::log::StoredEvent;
use ledger_core::money::Money;

/// One draw and where it stands.
pub(super) struct Drawn<'e> {
    pub(super) stored: &'e StoredEvent,
    pub(super) line: &'e Line,
    pub(super) draw: &'e Draw,
}

/// One decided line.
pub(super) struct Evaluated<'e> {
    pub(super) stored: &'e StoredEvent,
    pub(super) line: &'e Line,
    pub(super) considered: &'e [Considered],
    pub(super) draws: &'e [Draw],
}

impl Evaluated<'_> {
    /// Here, and the entry that the line would have in this campaign.
    pub(super) fn place_in(&self, campaign: &CampaignId) -> Place {
        let entry = draw::entry_id(campaign, &self.line.source, &self.line.transaction_id);
        Place::of(self.stored, Some(entry))
    }

    /// The outcome is what the draws say, and whoever is admitted is drawn: a draw left out is a
    /// rule made up.
    pub(super) fn outcome(&self, outcome: Outcome, findings: &mut Findings) {
        let place = Place::of(self.stored, self.draws.first().map(|draw| draw.entry_id));
        let expected = match self.draws {
            [] => Outcome::Declined,
            draws if draws.iter().any(|draw| draw.amount.is_some()) => Outcome::Won,
            _ => Outcome::Lost,
        };
        findings.compare(&place, "outcome", format!("{expected:?}"), format!("{outcome:?}"));
        for considered in self.considered.iter().filter(|considered| considered.failed.is_empty()) {
            let campaign = &considered.campaign_id;
            if !self.draws.iter().any(|draw| draw.campaign_id == *campaign) {
                let place = self.place_in(campaign);
                findings.add(
                    &place,
                    "drawn",
                    format!("a draw in {campaign}, which admits the transaction"),
                    "none",
                );
            }
        }
        for draw in self.draws {
            let admits = |c: &Considered| c.campaign_id == draw.campaign_id && c.failed.is_empty();
            if !self.considered.iter().any(admits) {
                let place = Place::of(self.stored, Some(draw.entry_id));
                findings.add(&place, "drawn", "a campaign that admits the transaction", &draw.campaign_id);
            }
        }
    }
}

impl Drawn<'_> {
    pub(super) fn place(&self) -> Place {
        Place::of(self.stored, Some(self.draw.entry_id))
    }
}

/// One win and what became of it.
pub(super) struct Win {
    pub(super) campaign: CampaignId,
    pub(super) amount: Money,
    pub(super) issued: bool,
    pub(super) credited: bool,
    pub(super) reversed: bool,
}
