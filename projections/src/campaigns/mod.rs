//! Campaigns: their terms, what they have spent, and (in [`epochs`]) each day's draws.
//!
//! Draws and wins are counted from the decisions themselves, so they are right while an epoch is
//! still open; spend is the campaign's own running total. Amounts are minor units of the budget's
//! currency.

pub mod epochs;

mod fold;

use std::sync::Arc;

use ledger_core::campaign::in_force::InForce;
use ledger_core::campaign::terms::Terms;
use ledger_core::draw::PrizeTable;
use ledger_core::ids::{CampaignId, Digest};
use ledger_core::log::Position;
use ledger_core::time::{Epoch, Timestamp};

pub(crate) use self::fold::Campaigns;
use crate::column::{Column as _, words};
use crate::connection::{Connection, values};
use crate::error::ProjectionError;
use crate::page::{self, Page};
use crate::table::{TableRow as _, table};

words! {
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

table! {
    /// One campaign.
    pub CampaignRow in "campaigns", key 1, by (campaign_id: CampaignId) {
        /// Which.
        campaign_id: CampaignId,
        /// Where it was drafted: its place in lists, and the cursor.
        position: Position,
        /// Of the terms in force, from 1; before the first approval, of the latest.
        version: u32,
        /// Where it stands.
        status: CampaignStatus,
        /// That version's: name, window, rules, prizes, and the budget's currency.
        terms: Terms,
        /// All funding.
        funded_minor: i64,
        /// All wins.
        spent_minor: i64,
        /// All reversals; they count again from the next epoch that opens.
        reversed_minor: i64,
        /// Draws so far, lost or won.
        draws: u64,
        /// Draws won so far.
        wins: u64,
    }
}

table! {
    /// One version of a campaign's terms.
    pub(crate) VersionRow in "campaign_versions", key 2, by (campaign_id: CampaignId, version: u32) {
        /// Whose.
        campaign_id: CampaignId,
        /// From 1.
        version: u32,
        /// Where it was written.
        position: Position,
        /// As they were written.
        terms: Terms,
        /// Who wrote them.
        author: String,
        /// Who approved them, if anybody did.
        approved_by: Option<String>,
    }
}

table! {
    /// A table that draws are made from.
    pub(crate) PrizeTableRow in "prize_tables", key 2, by (campaign_id: CampaignId, table_hash: Digest) {
        /// Whose.
        campaign_id: CampaignId,
        /// Which.
        table_hash: Digest,
        /// The table.
        prize_table: PrizeTable,
    }
}

/// The campaign of this id.
pub fn campaign(conn: &Connection, id: &CampaignId) -> Result<Option<CampaignRow>, ProjectionError> {
    CampaignRow::find(conn, "WHERE campaign_id = $1", &values![id])
}

/// Campaigns, newest first: those drafted before `after`, or of these only those that have started.
pub fn campaigns(
    conn: &Connection,
    only_started: bool,
    after: Option<Position>,
    first: usize,
) -> Result<Page<CampaignRow>, ProjectionError> {
    let started = if only_started { "AND status NOT IN ('draft', 'approved', 'scheduled')" } else { "" };
    let rest = format!("WHERE position < $1 {started} ORDER BY position DESC LIMIT $2");
    let rows = CampaignRow::select(conn, &rest, &values![page::before(after), page::limit(first)])?;
    Ok(Page::of(rows, first))
}

/// The terms of one version, in force or not. Never change.
pub fn terms_of(conn: &Connection, id: &CampaignId, version: u32) -> Result<Option<Terms>, ProjectionError> {
    let found = VersionRow::find(conn, "WHERE campaign_id = $1 AND version = $2", &values![id, version])?;
    Ok(found.map(|row| row.terms))
}

/// The table a draw was made from, by the hash that the draw records. Never changes.
pub fn prize_table(
    conn: &Connection,
    id: &CampaignId,
    hash: &Digest,
) -> Result<Option<PrizeTable>, ProjectionError> {
    let found = PrizeTableRow::find(conn, "WHERE campaign_id = $1 AND table_hash = $2", &values![id, hash])?;
    Ok(found.map(|row| row.prize_table))
}

/// The prizes of this moment; days that are committed to keep theirs when terms are revised.
pub fn in_force(conn: &Connection, row: &CampaignRow, now: Timestamp) -> Result<InForce, ProjectionError> {
    let id = &row.campaign_id;
    let committed = epochs::from(conn, id, Epoch::of(now))?;
    let with_table = |(day, hash)| {
        let table = prize_table(conn, id, &hash)?.ok_or(ProjectionError::Damaged { column: "table_hash" })?;
        Ok((day, Arc::new(table)))
    };
    let committed: Vec<_> = committed.into_iter().map(with_table).collect::<Result<_, ProjectionError>>()?;
    let (approved, ended) = (Arc::new(row.terms.prize_table.clone()), row.status == CampaignStatus::Ended);
    Ok(InForce::at(now, &committed, approved, row.terms.ends_at, ended))
}

#[cfg(test)]
mod tests;
