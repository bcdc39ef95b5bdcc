//! Campaigns: their terms, what they have spent, and (in [`epochs`]) each day's draws.
//!
//! Draws and wins are counted from the decisions themselves, so they are right while an epoch is
//! still open; spend is the campaign's own running total. Amounts are minor units of the budget's
//! currency.

pub mod epochs;

use std::collections::{BTreeMap, HashMap};

use compact_str::CompactString;
use ledger_core::account::AccountEvent;
use ledger_core::campaign::CampaignEvent;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::{Draw, PrizeTable};
use ledger_core::event::LedgerEvent;
use ledger_core::ids::{CampaignId, Digest};
use ledger_core::log::Position;
use ledger_core::time::Epoch;

use crate::connection::{Connection, Row, Value, values};
use crate::error::ProjectionError;
use crate::page::{self, Page};
use crate::projection::{Fold, Projection, Record};
use crate::row;

const THIS: Projection = Projection::Campaigns;
/// By name: `*` would change under a prepared statement when a migration adds a column.
const COLUMNS: &str = "campaign_id, position, version, status, terms, funded_minor, spent_minor, reversed_minor, draws, \
     wins";
const NEVER_DRAFTED: &str = "a campaign that was never drafted";

row::words! {
    /// Where a campaign stands.
    CampaignStatus {
        /// No version is approved.
        Draft = "draft",
        /// Ready to start.
        Approved = "approved",
        /// Starts by itself.
        Scheduled = "scheduled",
        /// Draws happen.
        Active = "active",
        /// Lines are declined until it resumes.
        Paused = "paused",
        /// No draw any more.
        Ended = "ended",
    }
}

impl CampaignStatus {
    /// Whether draws have happened or may: what is not public before.
    pub fn has_started(self) -> bool {
        match self {
            CampaignStatus::Draft | CampaignStatus::Approved | CampaignStatus::Scheduled => false,
            CampaignStatus::Active | CampaignStatus::Paused | CampaignStatus::Ended => true,
        }
    }
}

/// One campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignRow {
    /// Where it was drafted: its place in lists, and the cursor.
    pub position: Position,
    /// Which.
    pub campaign_id: CampaignId,
    /// Of the terms in force, from 1; before the first approval, of the latest.
    pub version: u32,
    /// Where it stands.
    pub status: CampaignStatus,
    /// That version's: name, window, rules, prizes, and the budget's currency.
    pub terms: Terms,
    /// All funding.
    pub funded_minor: i64,
    /// All wins.
    pub spent_minor: i64,
    /// All reversals; they count again from the next epoch that opens.
    pub reversed_minor: i64,
    /// Draws so far, lost or won.
    pub draws: u64,
    /// Draws won so far.
    pub wins: u64,
}

/// The campaign of this id.
pub fn campaign(conn: &Connection, id: &CampaignId) -> Result<Option<CampaignRow>, ProjectionError> {
    let found =
        conn.row(&format!("SELECT {COLUMNS} FROM campaigns WHERE campaign_id = ?1"), &values![id.as_str()])?;
    found.as_ref().map(read).transpose()
}

/// Campaigns, newest first: those drafted before `after`, or of these only those that have started.
pub fn campaigns(
    conn: &Connection,
    only_started: bool,
    after: Option<Position>,
    first: usize,
) -> Result<Page<CampaignRow>, ProjectionError> {
    let started = if only_started { "AND status NOT IN ('draft', 'approved', 'scheduled')" } else { "" };
    let rows = conn.rows(
        &format!(
            "SELECT {COLUMNS} FROM campaigns WHERE position < ?1 {started} ORDER BY position DESC LIMIT ?2"
        ),
        &values![page::before(after), page::limit(first)],
    )?;
    Page::read(&rows, first, read)
}

/// The terms of one version, in force or not. Never change.
pub fn terms_of(conn: &Connection, id: &CampaignId, version: u32) -> Result<Option<Terms>, ProjectionError> {
    let found = conn.row(
        "SELECT terms FROM campaign_versions WHERE campaign_id = ?1 AND version = ?2",
        &values![id.as_str(), version],
    )?;
    found.map(|row| row.json("terms")).transpose()
}

/// The table a draw was made from, by the hash that the draw records. Never changes.
pub fn prize_table(
    conn: &Connection,
    id: &CampaignId,
    hash: &Digest,
) -> Result<Option<PrizeTable>, ProjectionError> {
    let found = conn.row(
        "SELECT prize_table FROM prize_tables WHERE campaign_id = ?1 AND table_hash = ?2",
        &values![id.as_str(), hash],
    )?;
    found.map(|row| row.json("prize_table")).transpose()
}

fn read(row: &Row) -> Result<CampaignRow, ProjectionError> {
    Ok(CampaignRow {
        position: row.get("position")?,
        campaign_id: row.get("campaign_id")?,
        version: row.get("version")?,
        status: row.get("status")?,
        terms: row.json("terms")?,
        funded_minor: row.get("funded_minor")?,
        spent_minor: row.get("spent_minor")?,
        reversed_minor: row.get("reversed_minor")?,
        draws: row.get("draws")?,
        wins: row.get("wins")?,
    })
}

/// Gathers a batch's draws per epoch and the last running total of spend per campaign.
#[derive(Default)]
pub(crate) struct Campaigns {
    drawn: HashMap<(CompactString, Epoch), Drawn>,
    spent: HashMap<CompactString, Spent>,
}

/// What a batch adds to an epoch and its campaign.
#[derive(Default)]
pub(crate) struct Drawn {
    draws: i64,
    wins: i64,
    paid: i64,
    wins_by_tier: BTreeMap<u32, i64>,
}

struct Spent {
    spent: i64,
    reversed: i64,
}

impl Fold<'_> for Campaigns {
    fn apply(&mut self, conn: &Connection, record: &Record) -> Result<(), ProjectionError> {
        match &record.event {
            LedgerEvent::Campaign(event) => self.campaign(conn, record, event),
            LedgerEvent::Account(event) => self.account(record, event),
            LedgerEvent::System(_) => Ok(()),
        }
    }

    fn flush(&mut self, conn: &Connection, position: Position) -> Result<(), ProjectionError> {
        for ((campaign, epoch), drawn) in self.drawn.drain() {
            conn.write_one(
                "UPDATE campaigns SET draws = draws + ?2, wins = wins + ?3 WHERE campaign_id = ?1",
                &values![&campaign, drawn.draws, drawn.wins],
                THIS.contradiction(position, "a draw in a campaign that was never drafted"),
            )?;
            epochs::add(conn, position, &campaign, epoch, &drawn)?;
        }
        for (campaign, Spent { spent, reversed }) in self.spent.drain() {
            conn.write_one(
                "UPDATE campaigns SET spent_minor = ?2, reversed_minor = ?3 WHERE campaign_id = ?1",
                &values![&campaign, spent, reversed],
                THIS.contradiction(position, "spend of a campaign that was never drafted"),
            )?;
        }
        Ok(())
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
        let drawn = self.drawn.entry((draw.campaign_id.as_str().into(), draw.epoch)).or_default();
        drawn.draws += 1;
        if let (Some(tier), Some(amount)) = (draw.tier, draw.amount) {
            drawn.wins += 1;
            *drawn.wins_by_tier.entry(tier).or_default() += 1;
            THIS.add(&mut drawn.paid, amount.minor(), position)?;
        }
        Ok(())
    }

    fn campaign(
        &mut self,
        conn: &Connection,
        record: &Record,
        event: &CampaignEvent,
    ) -> Result<(), ProjectionError> {
        let id = record.stream_id.as_str();
        let change = |sql, value: Value<'_>| {
            conn.write_one(sql, &[id.into(), value], THIS.contradiction(record.position, NEVER_DRAFTED))
        };
        let become_ = |status: CampaignStatus| {
            change("UPDATE campaigns SET status = ?2 WHERE campaign_id = ?1", status.into())
        };
        match event {
            CampaignEvent::CampaignDrafted { version, terms, by } => draft(conn, record, *version, terms, by),
            CampaignEvent::CampaignApproved { version, by } => approve(conn, record, *version, by),
            CampaignEvent::CampaignScheduled { .. } => become_(CampaignStatus::Scheduled),
            CampaignEvent::CampaignStarted { .. } | CampaignEvent::CampaignResumed { .. } => {
                become_(CampaignStatus::Active)
            }
            CampaignEvent::CampaignPaused { .. } => become_(CampaignStatus::Paused),
            CampaignEvent::CampaignEnded { .. } => become_(CampaignStatus::Ended),
            CampaignEvent::CampaignRevised { version, terms, by } => {
                add_version(conn, record, *version, terms, by)?;
                replace_draft(conn, record, *version)
            }
            CampaignEvent::BudgetFunded { funded_minor, .. } => change(
                "UPDATE campaigns SET funded_minor = ?2 WHERE campaign_id = ?1",
                (*funded_minor).into(),
            ),
            CampaignEvent::BudgetSpent { spent_minor, reversed_minor, .. } => {
                self.spent.insert(id.into(), Spent { spent: *spent_minor, reversed: *reversed_minor });
                Ok(())
            }
            CampaignEvent::EpochScheduled { prize_table, table_hash, .. } => {
                add_prize_table(conn, id, prize_table, table_hash)?;
                epochs::apply(conn, record, event)
            }
            CampaignEvent::EpochClosed { .. } => {
                // The totals it states take the place of what was counted, this batch's draws
                // included.
                self.flush(conn, record.position)?;
                epochs::apply(conn, record, event)
            }
            CampaignEvent::EpochOpened { .. }
            | CampaignEvent::EpochHalted { .. }
            | CampaignEvent::EpochResumed { .. }
            | CampaignEvent::EpochRevealed { .. } => epochs::apply(conn, record, event),
            CampaignEvent::FundingProposed { .. }
            | CampaignEvent::BudgetAlerted { .. }
            | CampaignEvent::SeedOpened { .. }
            | CampaignEvent::EpochResumptionProposed { .. } => Ok(()),
        }
    }
}

fn draft(
    conn: &Connection,
    record: &Record,
    version: u32,
    terms: &Terms,
    by: &str,
) -> Result<(), ProjectionError> {
    conn.write(
        "INSERT INTO campaigns (campaign_id, position, version, status, terms) VALUES (?1, ?2, ?3, 'draft', ?4)",
        &values![&record.stream_id, record.position, version, serde_json::to_string(terms)?],
    )?;
    add_version(conn, record, version, terms, by)
}

fn add_version(
    conn: &Connection,
    record: &Record,
    version: u32,
    terms: &Terms,
    by: &str,
) -> Result<(), ProjectionError> {
    conn.write(
        "INSERT INTO campaign_versions (campaign_id, version, position, terms, author) VALUES (?1, ?2, ?3, ?4, ?5)",
        &values![&record.stream_id, version, record.position, serde_json::to_string(terms)?, by],
    )
}

/// New terms take the place of a draft at once; those in force stay until the new ones are
/// approved.
fn replace_draft(conn: &Connection, record: &Record, version: u32) -> Result<(), ProjectionError> {
    conn.write(
        "UPDATE campaigns SET version = ?2, terms = (SELECT v.terms FROM campaign_versions v
             WHERE v.campaign_id = ?1 AND v.version = ?2)
         WHERE campaign_id = ?1 AND status = 'draft'",
        &values![&record.stream_id, version],
    )
}

/// From now on a version is in force.
fn approve(conn: &Connection, record: &Record, version: u32, by: &str) -> Result<(), ProjectionError> {
    conn.write_one(
        "UPDATE campaign_versions SET approved_by = ?3 WHERE campaign_id = ?1 AND version = ?2",
        &values![&record.stream_id, version, by],
        THIS.contradiction(record.position, "an approval of terms that nobody wrote"),
    )?;
    conn.write_one(
        "UPDATE campaigns SET version = ?2, terms = (SELECT v.terms FROM campaign_versions v
                 WHERE v.campaign_id = ?1 AND v.version = ?2),
             status = CASE status WHEN 'draft' THEN 'approved' ELSE status END
         WHERE campaign_id = ?1",
        &values![&record.stream_id, version],
        THIS.contradiction(record.position, NEVER_DRAFTED),
    )
}

fn add_prize_table(
    conn: &Connection,
    id: &str,
    table: &PrizeTable,
    hash: &Digest,
) -> Result<(), ProjectionError> {
    conn.write(
        "INSERT INTO prize_tables (campaign_id, table_hash, prize_table) VALUES (?1, ?2, ?3)
         ON CONFLICT (campaign_id, table_hash) DO NOTHING",
        &values![id, hash, serde_json::to_string(table)?],
    )
}

#[cfg(test)]
mod tests;
