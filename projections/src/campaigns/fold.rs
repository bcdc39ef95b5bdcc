//! How events become campaigns and epochs.
//!
//! While an epoch is open its totals are counted from decisions; `EpochClosed` puts its own in
//! their place.

use ledger_core::account::AccountEvent;
use ledger_core::campaign::CampaignEvent;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::{Draw, TIERS_MAX};
use ledger_core::ids::CampaignId;
use ledger_core::log::Position;
use ledger_core::time::Epoch;

use super::epochs::{EpochRow, EpochStatus, TierWinsRow};
use super::{CampaignRow, CampaignStatus, PrizeTableRow, VersionRow};
use crate::error::{Contradiction, ProjectionError};
use crate::fold::{Event, Fold, Record};
use crate::projection::Projection;
use crate::table::{Rows, TableRows};

pub(super) const THIS: Projection = Projection::Campaigns;

/// The campaigns of a page, and what belongs to them.
#[derive(Default)]
pub(crate) struct Campaigns {
    all: Rows<CampaignRow>,
    versions: Rows<VersionRow>,
    prize_tables: Rows<PrizeTableRow>,
    epochs: Rows<EpochRow>,
    wins: Rows<TierWinsRow>,
}

impl Fold for Campaigns {
    fn tables(&mut self) -> Vec<&mut dyn TableRows> {
        vec![&mut self.all, &mut self.versions, &mut self.prize_tables, &mut self.epochs, &mut self.wins]
    }

    fn name(&mut self, record: &Record) {
        match &record.event {
            Event::Account(_, AccountEvent::TransactionEvaluated { draws, .. }) => {
                for Draw { campaign_id: id, epoch, tier, .. } in draws {
                    self.all.name(id.clone());
                    self.epochs.name((id.clone(), *epoch));
                    if let Some(tier) = tier {
                        self.wins.name((id.clone(), *epoch, *tier));
                    }
                }
            }
            Event::Campaign(id, event) => {
                self.all.name(id.clone());
                match event {
                    CampaignEvent::CampaignDrafted { version, .. }
                    | CampaignEvent::CampaignRevised { version, .. }
                    | CampaignEvent::CampaignApproved { version, .. } => {
                        self.versions.name((id.clone(), *version));
                    }
                    CampaignEvent::EpochScheduled { epoch, .. }
                    | CampaignEvent::EpochOpened { epoch, .. }
                    | CampaignEvent::EpochHalted { epoch, .. }
                    | CampaignEvent::EpochResumed { epoch, .. }
                    | CampaignEvent::EpochRevealed { epoch, .. } => self.epochs.name((id.clone(), *epoch)),
                    CampaignEvent::EpochClosed { epoch, .. } => {
                        self.epochs.name((id.clone(), *epoch));
                        tiers().for_each(|tier| self.wins.name((id.clone(), *epoch, tier)));
                    }
                    _ => {}
                }
            }
            Event::Account(..) | Event::System => {}
        }
    }

    fn apply(&mut self, record: &Record) -> Result<(), ProjectionError> {
        match &record.event {
            Event::Account(_, event) => self.account(record.position, event),
            Event::Campaign(id, event @ CampaignEvent::EpochScheduled { .. }) => {
                self.schedule(record, id, event)
            }
            Event::Campaign(id, event) => self.campaign(record.position, id, event),
            Event::System => Ok(()),
        }
    }
}

impl Campaigns {
    fn account(&mut self, position: Position, event: &AccountEvent) -> Result<(), ProjectionError> {
        match event {
            AccountEvent::TransactionEvaluated { draws, .. } => {
                draws.iter().try_for_each(|draw| self.count(position, draw))
            }
            AccountEvent::AccountOpened { .. }
            | AccountEvent::AccountClosed { .. }
            | AccountEvent::AccountExcluded { .. }
            | AccountEvent::AccountReinstated { .. }
            | AccountEvent::TransactionNoted { .. }
            | AccountEvent::TransactionDeferred { .. }
            | AccountEvent::TransactionLinked { .. }
            | AccountEvent::TransactionRemoved { .. }
            | AccountEvent::ReviewProposed { .. }
            | AccountEvent::TransactionReviewed { .. }
            | AccountEvent::RewardIssued { .. }
            | AccountEvent::CustomerNotified { .. }
            | AccountEvent::CreditRequested { .. }
            | AccountEvent::RewardCredited { .. }
            | AccountEvent::CreditFailed { .. }
            | AccountEvent::RewardReversed { .. }
            | AccountEvent::PersonalDataErased { .. } => Ok(()),
        }
    }

    fn count(&mut self, position: Position, draw: &Draw) -> Result<(), ProjectionError> {
        let Draw { campaign_id: id, epoch, .. } = draw;
        let won = draw.tier.zip(draw.amount);
        let campaign = self.row(position, id)?;
        campaign.draws += 1;
        campaign.wins += u64::from(won.is_some());
        let row = self.epoch(position, id, *epoch)?;
        row.draws += 1;
        if let Some((tier, amount)) = won {
            THIS.add(&mut row.paid_minor, amount.minor(), position)?;
            let wins = self.wins.slot(&(id.clone(), *epoch, tier))?;
            wins.get_or_insert_with(|| wins_of(id, *epoch, tier)).wins += 1;
        }
        Ok(())
    }

    fn campaign(
        &mut self,
        position: Position,
        id: &CampaignId,
        event: &CampaignEvent,
    ) -> Result<(), ProjectionError> {
        match event {
            CampaignEvent::CampaignDrafted { version, terms, by } => {
                self.draft(position, id, *version, terms, by)?;
            }
            // New terms take the place of a draft at once; those in force stay until the new ones
            // are approved.
            CampaignEvent::CampaignRevised { version, terms, by } => {
                self.add_version(position, id, *version, terms, by)?;
                let campaign = self.row(position, id)?;
                if campaign.status == CampaignStatus::Draft {
                    (campaign.version, campaign.terms) = (*version, terms.clone());
                }
            }
            // From now on a version is in force.
            CampaignEvent::CampaignApproved { version, by } => {
                let unwritten = || THIS.contradiction(position, "an approval of terms that nobody wrote");
                let approved = self.versions.slot(&(id.clone(), *version))?.as_mut().ok_or_else(unwritten)?;
                approved.approved_by = Some(by.clone());
                let terms = approved.terms.clone();
                let campaign = self.row(position, id)?;
                (campaign.version, campaign.terms) = (*version, terms);
                if campaign.status == CampaignStatus::Draft {
                    campaign.status = CampaignStatus::Approved;
                }
            }
            CampaignEvent::CampaignScheduled { .. } => {
                self.row(position, id)?.status = CampaignStatus::Scheduled;
            }
            CampaignEvent::CampaignStarted { .. } | CampaignEvent::CampaignResumed { .. } => {
                self.row(position, id)?.status = CampaignStatus::Active;
            }
            CampaignEvent::CampaignPaused { .. } => self.row(position, id)?.status = CampaignStatus::Paused,
            CampaignEvent::CampaignEnded { .. } => self.row(position, id)?.status = CampaignStatus::Ended,
            CampaignEvent::BudgetFunded { funded_minor, .. } => {
                self.row(position, id)?.funded_minor = *funded_minor;
            }
            CampaignEvent::BudgetSpent { spent_minor, reversed_minor, .. } => {
                let campaign = self.row(position, id)?;
                (campaign.spent_minor, campaign.reversed_minor) = (*spent_minor, *reversed_minor);
            }
            CampaignEvent::EpochOpened {
                epoch,
                opened_at,
                beacon,
                budget_cap_minor,
                beacon_signature,
                ..
            } => {
                let row = self.epoch(position, id, *epoch)?;
                row.status = EpochStatus::Open;
                (row.opened_at, row.beacon) = (Some(*opened_at), Some(*beacon));
                row.budget_cap_minor = Some(*budget_cap_minor);
                row.beacon_signature = *beacon_signature;
            }
            CampaignEvent::EpochHalted { epoch, reason, .. } => {
                let row = self.epoch(position, id, *epoch)?;
                (row.status, row.halt_reason) = (EpochStatus::Halted, Some(reason.clone()));
            }
            // One that was halted before it opened opens when it is due.
            CampaignEvent::EpochResumed { epoch, .. } => {
                let row = self.epoch(position, id, *epoch)?;
                let opened = row.opened_at.is_some();
                row.status = if opened { EpochStatus::Open } else { EpochStatus::Scheduled };
            }
            CampaignEvent::EpochClosed { epoch, draws, wins, paid_minor, root, .. } => {
                let row = self.epoch(position, id, *epoch)?;
                row.status = EpochStatus::Closed;
                (row.draws, row.paid_minor, row.root) = (*draws, *paid_minor, Some(*root));
                for tier in tiers() {
                    let stated = wins.get(tier as usize);
                    let stated = stated.map(|wins| TierWinsRow { wins: *wins, ..wins_of(id, *epoch, tier) });
                    *self.wins.slot(&(id.clone(), *epoch, tier))? = stated;
                }
            }
            CampaignEvent::EpochRevealed { epoch, seed, .. } => {
                let row = self.epoch(position, id, *epoch)?;
                (row.status, row.seed) = (EpochStatus::Revealed, Some(*seed));
            }
            // It needs its time as well: see `schedule`.
            CampaignEvent::EpochScheduled { .. }
            | CampaignEvent::FundingProposed { .. }
            | CampaignEvent::BudgetAlerted { .. }
            | CampaignEvent::SeedOpened { .. }
            | CampaignEvent::EpochResumptionProposed { .. } => {}
        }
        Ok(())
    }

    fn row(&mut self, position: Position, id: &CampaignId) -> Result<&mut CampaignRow, ProjectionError> {
        let none = || THIS.contradiction(position, "a campaign that was never drafted").into();
        self.all.slot(id)?.as_mut().ok_or_else(none)
    }

    fn epoch(
        &mut self,
        position: Position,
        id: &CampaignId,
        epoch: Epoch,
    ) -> Result<&mut EpochRow, ProjectionError> {
        let none = || THIS.contradiction(position, "an epoch that was never scheduled").into();
        self.epochs.slot(&(id.clone(), epoch))?.as_mut().ok_or_else(none)
    }

    fn draft(
        &mut self,
        position: Position,
        id: &CampaignId,
        version: u32,
        terms: &Terms,
        by: &str,
    ) -> Result<(), ProjectionError> {
        self.add_version(position, id, version, terms, by)?;
        let campaign = CampaignRow {
            campaign_id: id.clone(),
            position,
            version,
            status: CampaignStatus::Draft,
            terms: terms.clone(),
            funded_minor: 0,
            spent_minor: 0,
            reversed_minor: 0,
            draws: 0,
            wins: 0,
        };
        let before = self.all.slot(id)?.replace(campaign);
        Ok(new(before, position, "a campaign is drafted twice")?)
    }

    fn schedule(
        &mut self,
        record: &Record,
        id: &CampaignId,
        event: &CampaignEvent,
    ) -> Result<(), ProjectionError> {
        let CampaignEvent::EpochScheduled {
            epoch,
            opens_at,
            closes_at,
            grace_days,
            commitment,
            table_hash,
            beacon_spec,
            at_once,
            prize_table,
            sealed_seed: _,
            version: _,
            inventory: _,
        } = event
        else {
            return Ok(());
        };

        // A hash has one table.
        self.prize_tables.put(PrizeTableRow {
            campaign_id: id.clone(),
            table_hash: *table_hash,
            prize_table: prize_table.clone(),
        });
        let scheduled = EpochRow {
            campaign_id: id.clone(),
            epoch: *epoch,
            status: EpochStatus::Scheduled,
            opens_at: *opens_at,
            closes_at: *closes_at,
            grace_days: *grace_days,
            commitment: *commitment,
            table_hash: *table_hash,
            beacon_spec: beacon_spec.clone(),
            at_once: *at_once,
            committed_at: Some(record.recorded_at),
            committed_in: Some(record.position),
            opened_at: None,
            beacon: None,
            beacon_signature: None,
            budget_cap_minor: None,
            halt_reason: None,
            draws: 0,
            paid_minor: 0,
            root: None,
            seed: None,
            wins: vec![],
        };
        let before = self.epochs.slot(&(id.clone(), *epoch))?.replace(scheduled);
        Ok(new(before, record.position, "an epoch is scheduled twice")?)
    }

    fn add_version(
        &mut self,
        position: Position,
        id: &CampaignId,
        version: u32,
        terms: &Terms,
        by: &str,
    ) -> Result<(), ProjectionError> {
        let (campaign_id, terms, author) = (id.clone(), terms.clone(), by.into());
        let row = VersionRow { campaign_id, version, position, terms, author, approved_by: None };
        let before = self.versions.slot(&(id.clone(), version))?.replace(row);
        Ok(new(before, position, "terms are written twice")?)
    }
}

/// No prize table has more.
fn tiers() -> impl Iterator<Item = u32> {
    (0..).take(TIERS_MAX)
}

fn wins_of(id: &CampaignId, epoch: Epoch, tier: u32) -> TierWinsRow {
    TierWinsRow { campaign_id: id.clone(), epoch, tier, wins: 0 }
}

fn new<R>(before: Option<R>, position: Position, what: &'static str) -> Result<(), Contradiction> {
    before.map_or(Ok(()), |_| Err(THIS.contradiction(position, what)))
}
