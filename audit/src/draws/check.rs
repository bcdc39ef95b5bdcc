//! One draw compared with what draw-1 gives. Each field against what the rest implies, so that a
//! changed one is named and not its neighbours.

use super::campaign_ledger::CampaignLedger;
use super::drawn::Drawn;
use super::findings::{Findings, Place};
use ledger_core::draw::{self, Prize};
use ledger_core::money::Money;
use ledger_core::zone::{Clocks, ZoneTable};

impl CampaignLedger {
    /// One draw: compared with what the books say, then entered into them.
    pub(super) fn draw(
        &mut self,
        drawn: &Drawn<'_>,
        amount: Option<Money>,
        zones: &ZoneTable,
        findings: &mut Findings,
    ) {
        self.counts.draws += 1;
        self.names(drawn, &drawn.place(), zones, findings);
        self.check(drawn, amount, findings);
        self.enter(drawn, findings);
    }

    fn check(&mut self, drawn: &Drawn<'_>, amount: Option<Money>, findings: &mut Findings) {
        let (place, draw) = (drawn.place(), drawn.draw);
        let Some(epoch) = self.epochs.get(&draw.epoch) else {
            findings.add(&place, "epoch", "an epoch that was scheduled", draw.epoch);
            return;
        };
        epoch.standing(drawn, &place, findings);
        findings.compare(&place, "table_hash", epoch.table_hash, draw.table_hash);

        // The number, what the budget still had, what that masked, what the number wins, what that
        // pays.
        let r = epoch.number(draw, &place, &mut self.counts, findings);
        let cap_minor = epoch.cap_minor.unwrap_or(0);
        let left_minor = (cap_minor - self.spent_minor - self.drift_minor).max(0);
        let mask = self.mask(epoch, left_minor);
        findings.compare(&place, "tier_mask", mask, draw.tier_mask);
        if epoch.mask & !draw.tier_mask != 0 {
            findings.add(&place, "tier_mask", format!("at least {}, as before", epoch.mask), draw.tier_mask);
        }
        let table = &*epoch.table;
        let tier = table.tier(r, mask).and_then(|tier| u32::try_from(tier).ok());
        findings.compare(&place, "tier", shown(tier), shown(draw.tier));
        let prize = draw.tier.and_then(|tier| table.tiers.get(tier as usize)).map(|tier| &tier.prize);
        let expected = match prize {
            None => Ok(None),
            Some(Prize::Fixed { fixed }) => Ok(Money::new(*fixed, table.currency).ok()),
            Some(share @ Prize::Share { max, .. }) => {
                if let Some(amount) = amount {
                    self.counts.shares_checked += 1;
                    Ok(Some(share.amount(amount)).filter(|amount| !amount.is_zero()))
                } else {
                    self.counts.shares_bounded += 1;
                    Err(*max)
                }
            }
        };
        match expected {
            Ok(expected) => findings.compare(&place, "amount", money(expected), money(draw.amount)),
            Err(max) => {
                let within = |amount: Money| {
                    amount.currency() == table.currency && (1..=max).contains(&amount.minor())
                };
                if !draw.amount.is_none_or(within) {
                    findings.add(&place, "amount", format!("at most {max}"), money(draw.amount));
                }
            }
        }
        let found_left_minor = i128::from(draw.budget_left_minor);
        if left_minor != found_left_minor {
            findings.add(&place, "budget_left_minor", left_minor, found_left_minor);
            self.drift_minor = cap_minor - found_left_minor - self.spent_minor;
        }
    }

    /// What the draw is called and counted by.
    fn names(&self, drawn: &Drawn<'_>, place: &Place, zones: &ZoneTable, findings: &mut Findings) {
        let Drawn { line, draw, .. } = drawn;
        let entry = draw::entry_id(&draw.campaign_id, &line.source, &line.transaction_id);
        findings.compare(place, "entry_id", entry, draw.entry_id);
        match self.versions.in_force() {
            None => findings.add(place, "campaign_version", "a version of the terms", draw.campaign_version),
            Some((version, terms)) => {
                findings.compare(place, "campaign_version", version, draw.campaign_version);
                let clocks = zones.clocks(&terms.time_zone).unwrap_or(Clocks::UTC);
                findings.compare(place, "epoch", terms.epoch_of(line.booked()), draw.epoch);
                findings.compare(place, "day", line.booked().day(&clocks), draw.day);
            }
        }
    }
}

fn shown(tier: Option<u32>) -> String {
    tier.map_or("none".into(), |tier| tier.to_string())
}

fn money(amount: Option<Money>) -> String {
    amount.map_or("none".into(), |amount| amount.to_string())
}
