//! How events become campaigns and epochs.

use compact_str::CompactString;
use ledger_core::account::AccountEvent;
use ledger_core::campaign::CampaignEvent;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::{Draw, TIERS_MAX};
use ledger_core::ids::{BeaconSignature, Digest};
use ledger_core::log::Position;
use ledger_core::log::decode::LedgerEvent;
use ledger_core::time::{Epoch, Timestamp};

use super::CampaignStatus;
use super::epochs::EpochStatus;
use crate::connection::Connection;
use crate::error::ProjectionError;
use crate::projection::{Contradiction, Projection};
use crate::record::Record;
use crate::registry::Fold;
use crate::table::{Rows, table, text};

pub(super) const THIS: Projection = Projection::Campaigns;

table! {
    /// A campaign.
    Stored in "campaigns", key 1, by (campaign_id: CompactString) {
        campaign_id: CompactString,
        position: Position,
        version: u32,
        status: CampaignStatus,
        terms: String,
        funded_minor: i64,
        spent_minor: i64,
        reversed_minor: i64,
        draws: i64,
        wins: i64,
    }
}

table! {
    /// A version of a campaign's terms.
    StoredTerms in "campaign_versions", key 2, by (campaign_id: CompactString, version: u32) {
        campaign_id: CompactString,
        version: u32,
        position: Position,
        terms: String,
        author: CompactString,
        approved_by: Option<CompactString>,
    }
}

table! {
    /// A prize table.
    StoredTable in "prize_tables", key 2, by (campaign_id: CompactString, table_hash: Digest) {
        campaign_id: CompactString,
        table_hash: Digest,
        prize_table: String,
    }
}

table! {
    /// An epoch.
    StoredEpoch in "epochs", key 2, by (campaign_id: CompactString, epoch: Epoch) {
        campaign_id: CompactString,
        epoch: Epoch,
        status: EpochStatus,
        opens_at: Timestamp,
        closes_at: Timestamp,
        grace_days: u32,
        commitment: Digest,
        table_hash: Digest,
        beacon_spec: CompactString,
        at_once: bool,
        opened_at: Option<Timestamp>,
        beacon: Option<Digest>,
        beacon_signature: Option<BeaconSignature>,
        budget_cap_minor: Option<i64>,
        halt_reason: Option<CompactString>,
        draws: i64,
        paid_minor: i64,
        root: Option<Digest>,
        seed: Option<Digest>,
    }
}

table! {
    /// How often a tier was won in an epoch.
    TierWins in "epoch_wins", key 3, by (campaign_id: CompactString, epoch: Epoch, tier: u32) {
        campaign_id: CompactString,
        epoch: Epoch,
        tier: u32,
        wins: i64,
    }
}

/// The rows of a page.
pub(crate) struct Campaigns {
    rows: Rows<Stored>,
    versions: Rows<StoredTerms>,
    tables: Rows<StoredTable>,
    epochs: Rows<StoredEpoch>,
    wins: Rows<TierWins>,
}

/// Every tier an epoch may have.
fn tiers() -> std::ops::Range<u32> {
    0..u32::try_from(TIERS_MAX).expect("there are 32 tiers at most")
}

impl Fold for Campaigns {
    fn load(conn: &Connection, page: &[Record]) -> Result<Self, ProjectionError> {
        let (mut campaigns, mut versions, mut tables, mut epochs, mut wins) =
            (vec![], vec![], vec![], vec![], vec![]);
        for record in page {
            let id = &record.stream_id;
            match &record.event {
                LedgerEvent::Campaign(event) => {
                    campaigns.push((id.clone(),));
                    match event {
                        CampaignEvent::CampaignDrafted { version, .. }
                        | CampaignEvent::CampaignRevised { version, .. }
                        | CampaignEvent::CampaignApproved { version, .. } => {
                            versions.push((id.clone(), *version));
                        }
                        CampaignEvent::EpochScheduled { epoch, table_hash, .. } => {
                            epochs.push((id.clone(), *epoch));
                            tables.push((id.clone(), *table_hash));
                        }
                        CampaignEvent::EpochClosed { epoch, .. } => {
                            epochs.push((id.clone(), *epoch));
                            wins.extend(tiers().map(|tier| (id.clone(), *epoch, tier)));
                        }
                        CampaignEvent::EpochOpened { epoch, .. }
                        | CampaignEvent::EpochHalted { epoch, .. }
                        | CampaignEvent::EpochResumed { epoch, .. }
                        | CampaignEvent::EpochRevealed { epoch, .. } => epochs.push((id.clone(), *epoch)),
                        // What touches the campaign's own row at most.
                        _ => {}
                    }
                }
                LedgerEvent::Account(AccountEvent::TransactionEvaluated { draws, .. }) => {
                    for draw in draws {
                        let id = text(draw.campaign_id.as_str());
                        wins.extend(draw.tier.map(|tier| (id.clone(), draw.epoch, tier)));
                        epochs.push((id.clone(), draw.epoch));
                        campaigns.push((id,));
                    }
                }
                LedgerEvent::Account(_) | LedgerEvent::System(_) => {}
            }
        }
        Ok(Campaigns {
            rows: Rows::load(conn, campaigns)?,
            versions: Rows::load(conn, versions)?,
            tables: Rows::load(conn, tables)?,
            epochs: Rows::load(conn, epochs)?,
            wins: Rows::load(conn, wins)?,
        })
    }

    fn apply(&mut self, record: &Record) -> Result<(), ProjectionError> {
        match &record.event {
            LedgerEvent::Campaign(event) => self.campaign(record, event),
            LedgerEvent::Account(event) => self.account(record, event),
            LedgerEvent::System(_) => Ok(()),
        }
    }

    fn write(self, conn: &Connection) -> Result<(), ProjectionError> {
        self.rows.write(conn)?;
        self.versions.write(conn)?;
        self.tables.write(conn)?;
        self.epochs.write(conn)?;
        self.wins.write(conn)
    }
}

impl Campaigns {
    fn account(&mut self, record: &Record, event: &AccountEvent) -> Result<(), ProjectionError> {
        match event {
            AccountEvent::TransactionEvaluated { draws, .. } => {
                draws.iter().try_for_each(|draw| self.count(record.position, draw))
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
        let (id, missing) = (text(draw.campaign_id.as_str()), |what| THIS.contradiction(position, what));
        let campaign = self.rows.slot((id.clone(),)).as_mut();
        let campaign = campaign.ok_or_else(|| missing("a draw in a campaign that was never drafted"))?;
        let epoch = self.epochs.slot((id.clone(), draw.epoch)).as_mut();
        let epoch = epoch.ok_or_else(|| missing("a draw in an epoch that was never scheduled"))?;
        campaign.draws += 1;
        epoch.draws += 1;
        if let (Some(tier), Some(amount)) = (draw.tier, draw.amount) {
            campaign.wins += 1;
            THIS.add(&mut epoch.paid_minor, amount.minor(), position)?;
            let none = TierWins { campaign_id: id.clone(), epoch: draw.epoch, tier, wins: 0 };
            self.wins.slot((id, draw.epoch, tier)).get_or_insert(none).wins += 1;
        }
        Ok(())
    }

    fn drafted(&mut self, record: &Record) -> Result<&mut Stored, Contradiction> {
        let row = self.rows.slot((record.stream_id.clone(),)).as_mut();
        row.ok_or_else(|| THIS.contradiction(record.position, "a campaign that was never drafted"))
    }

    fn scheduled(&mut self, record: &Record, epoch: Epoch) -> Result<&mut StoredEpoch, Contradiction> {
        let row = self.epochs.slot((record.stream_id.clone(), epoch)).as_mut();
        row.ok_or_else(|| THIS.contradiction(record.position, "an epoch that was never scheduled"))
    }

    fn campaign(&mut self, record: &Record, event: &CampaignEvent) -> Result<(), ProjectionError> {
        match event {
            CampaignEvent::CampaignDrafted { version, terms, by } => {
                self.draft(record, *version, terms, by)?
            }
            CampaignEvent::CampaignApproved { version, by } => self.approve(record, *version, by)?,
            CampaignEvent::CampaignScheduled { .. } => {
                self.drafted(record)?.status = CampaignStatus::Scheduled;
            }
            CampaignEvent::CampaignStarted { .. } | CampaignEvent::CampaignResumed { .. } => {
                self.drafted(record)?.status = CampaignStatus::Active;
            }
            CampaignEvent::CampaignPaused { .. } => self.drafted(record)?.status = CampaignStatus::Paused,
            CampaignEvent::CampaignEnded { .. } => self.drafted(record)?.status = CampaignStatus::Ended,
            CampaignEvent::CampaignRevised { version, terms, by } => {
                self.revise(record, *version, terms, by)?;
            }
            CampaignEvent::BudgetFunded { funded_minor, .. } => {
                self.drafted(record)?.funded_minor = *funded_minor;
            }
            CampaignEvent::BudgetSpent { spent_minor, reversed_minor, .. } => {
                let row = self.drafted(record)?;
                row.spent_minor = *spent_minor;
                row.reversed_minor = *reversed_minor;
            }
            CampaignEvent::EpochScheduled { .. } => self.schedule(record, event)?,
            CampaignEvent::EpochOpened {
                epoch,
                opened_at,
                beacon,
                budget_cap_minor,
                beacon_signature,
                ..
            } => {
                let row = self.scheduled(record, *epoch)?;
                row.status = EpochStatus::Open;
                row.opened_at = Some(*opened_at);
                row.beacon = Some(*beacon);
                row.budget_cap_minor = Some(*budget_cap_minor);
                row.beacon_signature.clone_from(beacon_signature);
            }
            CampaignEvent::EpochHalted { epoch, reason, .. } => {
                let row = self.scheduled(record, *epoch)?;
                row.status = EpochStatus::Halted;
                row.halt_reason = Some(text(reason));
            }
            // One that was halted before it opened opens when it is due.
            CampaignEvent::EpochResumed { epoch, .. } => {
                let row = self.scheduled(record, *epoch)?;
                row.status = if row.opened_at.is_none() { EpochStatus::Scheduled } else { EpochStatus::Open };
            }
            CampaignEvent::EpochClosed { epoch, draws, wins, paid_minor, root, .. } => {
                let row = self.scheduled(record, *epoch)?;
                row.status = EpochStatus::Closed;
                row.draws = count(record, *draws)?;
                row.paid_minor = *paid_minor;
                row.root = Some(*root);
                self.state_wins(record, *epoch, wins)?;
            }
            CampaignEvent::EpochRevealed { epoch, seed, .. } => {
                let row = self.scheduled(record, *epoch)?;
                row.status = EpochStatus::Revealed;
                row.seed = Some(*seed);
            }
            CampaignEvent::FundingProposed { .. }
            | CampaignEvent::BudgetAlerted { .. }
            | CampaignEvent::SeedOpened { .. }
            | CampaignEvent::EpochResumptionProposed { .. } => {}
        }
        Ok(())
    }

    fn draft(
        &mut self,
        record: &Record,
        version: u32,
        terms: &Terms,
        by: &str,
    ) -> Result<(), ProjectionError> {
        self.add_version(record, version, terms, by)?;
        let slot = self.rows.slot((record.stream_id.clone(),));
        if slot.is_some() {
            return Err(THIS.contradiction(record.position, "a campaign is drafted twice").into());
        }
        *slot = Some(Stored {
            campaign_id: record.stream_id.clone(),
            position: record.position,
            version,
            status: CampaignStatus::Draft,
            terms: json(terms)?,
            funded_minor: 0,
            spent_minor: 0,
            reversed_minor: 0,
            draws: 0,
            wins: 0,
        });
        Ok(())
    }

    fn add_version(
        &mut self,
        record: &Record,
        version: u32,
        terms: &Terms,
        by: &str,
    ) -> Result<(), ProjectionError> {
        let slot = self.versions.slot((record.stream_id.clone(), version));
        if slot.is_some() {
            return Err(THIS.contradiction(record.position, "a version is written twice").into());
        }
        *slot = Some(StoredTerms {
            campaign_id: record.stream_id.clone(),
            version,
            position: record.position,
            terms: json(terms)?,
            author: text(by),
            approved_by: None,
        });
        Ok(())
    }

    /// New terms take the place of a draft at once; those in force stay until the new ones are approved.
    fn revise(
        &mut self,
        record: &Record,
        version: u32,
        terms: &Terms,
        by: &str,
    ) -> Result<(), ProjectionError> {
        self.add_version(record, version, terms, by)?;
        if let Some(row) = self.rows.slot((record.stream_id.clone(),))
            && row.status == CampaignStatus::Draft
        {
            row.version = version;
            row.terms = json(terms)?;
        }
        Ok(())
    }

    /// From now on a version is in force.
    fn approve(&mut self, record: &Record, version: u32, by: &str) -> Result<(), ProjectionError> {
        let what = "an approval of terms that nobody wrote";
        let written = self.versions.slot((record.stream_id.clone(), version)).as_mut();
        let written = written.ok_or_else(|| THIS.contradiction(record.position, what))?;
        written.approved_by = Some(text(by));
        let terms = written.terms.clone();
        let row = self.drafted(record)?;
        row.version = version;
        row.terms = terms;
        if row.status == CampaignStatus::Draft {
            row.status = CampaignStatus::Approved;
        }
        Ok(())
    }

    fn schedule(&mut self, record: &Record, event: &CampaignEvent) -> Result<(), ProjectionError> {
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
        let campaign_id = record.stream_id.clone();
        let table = self.tables.slot((campaign_id.clone(), *table_hash));
        if table.is_none() {
            let (campaign_id, table_hash) = (campaign_id.clone(), *table_hash);
            *table = Some(StoredTable { campaign_id, table_hash, prize_table: json(prize_table)? });
        }
        let slot = self.epochs.slot((campaign_id.clone(), *epoch));
        if slot.is_some() {
            return Err(THIS.contradiction(record.position, "an epoch is scheduled twice").into());
        }
        *slot = Some(StoredEpoch {
            campaign_id,
            epoch: *epoch,
            status: EpochStatus::Scheduled,
            opens_at: *opens_at,
            closes_at: *closes_at,
            grace_days: *grace_days,
            commitment: *commitment,
            table_hash: *table_hash,
            beacon_spec: text(beacon_spec),
            at_once: *at_once,
            opened_at: None,
            beacon: None,
            beacon_signature: None,
            budget_cap_minor: None,
            halt_reason: None,
            draws: 0,
            paid_minor: 0,
            root: None,
            seed: None,
        });
        Ok(())
    }

    /// Puts the stated wins per tier in the place of those counted.
    fn state_wins(&mut self, record: &Record, epoch: Epoch, wins: &[u64]) -> Result<(), ProjectionError> {
        for tier in tiers() {
            let campaign_id = record.stream_id.clone();
            let stated = wins.get(tier as usize).map(|wins| count(record, *wins)).transpose()?;
            let slot = self.wins.slot((campaign_id.clone(), epoch, tier));
            *slot = stated.map(|wins| TierWins { campaign_id, epoch, tier, wins });
        }
        Ok(())
    }
}

/// As the tables have it: a text of ours, without NUL.
fn json<T: serde::Serialize>(value: &T) -> Result<String, ProjectionError> {
    Ok(serde_json::to_string(value)?)
}

fn count(record: &Record, n: u64) -> Result<i64, Contradiction> {
    i64::try_from(n).map_err(|_| THIS.contradiction(record.position, "a count does not fit"))
}
