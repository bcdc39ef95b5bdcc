//! Campaigns: their terms, what they have spent, and (in [`epochs`]) each day's draws.
//!
//! Draws and wins are counted from the decisions themselves, so they are right while an epoch is still open;
//! spend is the campaign's own running total. Amounts are minor units of the budget's currency.

pub mod epochs;
pub(crate) mod fold;

use ledger_core::campaign::terms::Terms;
use ledger_core::draw::PrizeTable;
use ledger_core::ids::{CampaignId, Digest};
use ledger_core::log::Position;

use crate::connection::{Connection, Row, values};
use crate::error::ProjectionError;
use crate::page::{self, Page};
use crate::row;

/// By name: `*` would change under a prepared statement when a migration adds a column.
const COLUMNS: &str = "campaign_id, position, version, status, terms, funded_minor, spent_minor, reversed_minor, draws, \
     wins";

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
        conn.row(&format!("SELECT {COLUMNS} FROM campaigns WHERE campaign_id = $1"), &values![id.as_str()])?;
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
            "SELECT {COLUMNS} FROM campaigns WHERE position < $1 {started} ORDER BY position DESC LIMIT $2"
        ),
        &values![page::before(after), page::limit(first)],
    )?;
    Page::read(&rows, first, read)
}

/// The terms of one version, in force or not. Never change.
pub fn terms_of(conn: &Connection, id: &CampaignId, version: u32) -> Result<Option<Terms>, ProjectionError> {
    let found = conn.row(
        "SELECT terms FROM campaign_versions WHERE campaign_id = $1 AND version = $2",
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
        "SELECT prize_table FROM prize_tables WHERE campaign_id = $1 AND table_hash = $2",
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

#[cfg(test)]
mod tests;
