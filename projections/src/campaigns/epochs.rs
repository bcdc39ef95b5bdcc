//! A campaign's epochs: what was committed to, what was drawn, and after the reveal the seed.
//!
//! While an epoch is open its totals are counted from decisions; `EpochClosed` puts its own in
//! their place.

use ledger_core::campaign::CampaignEvent;
use ledger_core::ids::{BeaconSignature, CampaignId, Digest};
use ledger_core::log::Position;
use ledger_core::time::{Epoch, Timestamp};

use super::{Drawn, THIS};
use crate::connection::{Connection, Row, Value, values};
use crate::error::ProjectionError;
use crate::page::{self, Page};
use crate::projection::Record;
use crate::row;

const NEVER_SCHEDULED: &str = "an epoch that was never scheduled";
/// By name: `*` would change under a prepared statement when a migration adds a column.
const COLUMNS: &str = "campaign_id, epoch, status, opens_at, closes_at, grace_days, commitment, table_hash, beacon_spec, \
     at_once, opened_at, beacon, beacon_signature, budget_cap_minor, halt_reason, draws, paid_minor, root, seed";

row::words! {
    /// Where an epoch stands.
    EpochStatus {
        /// Its seed is committed to.
        Scheduled = "scheduled",
        /// Draws happen.
        Open = "open",
        /// Stopped on suspicion.
        Halted = "halted",
        /// No draw any more.
        Closed = "closed",
        /// Anyone can recompute its draws.
        Revealed = "revealed",
    }
}

/// One day of one campaign's draws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochRow {
    /// Which campaign.
    pub campaign_id: CampaignId,
    /// Which day: its place in lists, and the cursor.
    pub epoch: Epoch,
    /// Where it stands.
    pub status: EpochStatus,
    /// Its first instant.
    pub opens_at: Timestamp,
    /// Its end (exclusive).
    pub closes_at: Timestamp,
    /// Days between close and reveal in which late lines still draw.
    pub grace_days: u32,
    /// To the seed, the table and the beacon.
    pub commitment: Digest,
    /// The table drawn from; see [`super::prize_table`].
    pub table_hash: Digest,
    /// `none`, or a public beacon round.
    pub beacon_spec: String,
    /// Whether it was scheduled less than 24 hours ahead.
    pub at_once: bool,
    /// When it opened.
    pub opened_at: Option<Timestamp>,
    /// The public randomness, once open.
    pub beacon: Option<Digest>,
    /// What the randomness is the SHA-256 of; absent for `none`.
    pub beacon_signature: Option<BeaconSignature>,
    /// What may be spent in it, in minor units, once open.
    pub budget_cap_minor: Option<i64>,
    /// Why it was halted, if ever.
    pub halt_reason: Option<String>,
    /// Draws, lost or won.
    pub draws: u64,
    /// Wins per tier in table order; as long as the highest tier won.
    pub wins: Vec<u64>,
    /// Minor units won.
    pub paid_minor: i64,
    /// RFC 6962 root over the sorted entry ids, once closed.
    pub root: Option<Digest>,
    /// The seed, once revealed.
    pub seed: Option<Digest>,
}

/// One epoch.
pub fn epoch(
    conn: &Connection,
    campaign: &CampaignId,
    epoch: Epoch,
) -> Result<Option<EpochRow>, ProjectionError> {
    let found = conn.row(
        &format!("SELECT {COLUMNS} FROM epochs WHERE campaign_id = ?1 AND epoch = ?2"),
        &values![campaign.as_str(), epoch.to_string()],
    )?;
    found.map(|row| read(conn, &row)).transpose()
}

/// A campaign's epochs, newest first: those before `after`.
pub fn epochs(
    conn: &Connection,
    campaign: &CampaignId,
    after: Option<Epoch>,
    first: usize,
) -> Result<Page<EpochRow>, ProjectionError> {
    // Every day comes before a tilde.
    let rows = conn.rows(
        &format!("SELECT {COLUMNS} FROM epochs WHERE campaign_id = ?1 AND epoch < coalesce(?2, '~') ORDER BY epoch DESC LIMIT ?3"),
        &values![campaign.as_str(), after.map(|epoch| epoch.to_string()), page::limit(first)],
    )?;
    Page::read(&rows, first, |row| read(conn, row))
}

/// With its wins, from their own table.
fn read(conn: &Connection, row: &Row) -> Result<EpochRow, ProjectionError> {
    let mut epoch = EpochRow {
        campaign_id: row.get("campaign_id")?,
        epoch: row.get("epoch")?,
        status: row.get("status")?,
        opens_at: row.get("opens_at")?,
        closes_at: row.get("closes_at")?,
        grace_days: row.get("grace_days")?,
        commitment: row.get("commitment")?,
        table_hash: row.get("table_hash")?,
        beacon_spec: row.get("beacon_spec")?,
        at_once: row.get("at_once")?,
        opened_at: row.get("opened_at")?,
        beacon: row.get("beacon")?,
        beacon_signature: row.get("beacon_signature")?,
        budget_cap_minor: row.get("budget_cap_minor")?,
        halt_reason: row.get("halt_reason")?,
        draws: row.get("draws")?,
        wins: vec![],
        paid_minor: row.get("paid_minor")?,
        root: row.get("root")?,
        seed: row.get("seed")?,
    };
    let wins = conn.rows(
        "SELECT tier, wins FROM epoch_wins WHERE campaign_id = ?1 AND epoch = ?2 ORDER BY tier",
        &values![epoch.campaign_id.as_str(), epoch.epoch.to_string()],
    )?;
    for row in wins {
        let tier: u32 = row.get("tier")?;
        epoch.wins.resize(tier as usize, 0);
        epoch.wins.push(row.get("wins")?);
    }
    Ok(epoch)
}

/// Adds a batch's draws.
pub(super) fn add(
    conn: &Connection,
    position: Position,
    campaign: &str,
    epoch: Epoch,
    drawn: &Drawn,
) -> Result<(), ProjectionError> {
    let epoch = epoch.to_string();
    conn.write_one(
        "UPDATE epochs SET draws = draws + ?3, paid_minor = paid_minor + ?4 WHERE campaign_id = ?1 AND epoch = ?2",
        &values![campaign, &epoch, drawn.draws, drawn.paid],
        THIS.contradiction(position, "a draw in an epoch that was never scheduled"),
    )?;
    drawn.wins_by_tier.iter().try_for_each(|(tier, wins)| {
        conn.write(
            "INSERT INTO epoch_wins (campaign_id, epoch, tier, wins) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (campaign_id, epoch, tier) DO UPDATE SET wins = epoch_wins.wins + excluded.wins",
            &values![campaign, &epoch, *tier, *wins],
        )
    })
}

/// Applies the events about an epoch.
pub(super) fn apply(
    conn: &Connection,
    record: &Record,
    event: &CampaignEvent,
) -> Result<(), ProjectionError> {
    let id = record.stream_id.as_str();
    let change = |sql, values: &[Value<'_>]| {
        conn.write_one(sql, values, THIS.contradiction(record.position, NEVER_SCHEDULED))
    };
    match event {
        CampaignEvent::EpochScheduled {
            epoch,
            opens_at,
            closes_at,
            grace_days,
            commitment,
            table_hash,
            beacon_spec,
            at_once,
            sealed_seed: _,
            prize_table: _,
            version: _,
            inventory: _,
        } => conn.write(
            "INSERT INTO epochs (campaign_id, epoch, status, opens_at, closes_at, grace_days, commitment,
                                 table_hash, beacon_spec, at_once)
             VALUES (?1, ?2, 'scheduled', ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            &values![
                id,
                epoch.to_string(),
                *opens_at,
                *closes_at,
                *grace_days,
                commitment,
                table_hash,
                beacon_spec,
                *at_once,
            ],
        ),
        CampaignEvent::EpochOpened {
            epoch, opened_at, beacon, budget_cap_minor, beacon_signature, ..
        } => change(
            "UPDATE epochs SET status = 'open', opened_at = ?3, beacon = ?4, budget_cap_minor = ?5,
                 beacon_signature = ?6
             WHERE campaign_id = ?1 AND epoch = ?2",
            &values![id, epoch.to_string(), *opened_at, beacon, *budget_cap_minor, beacon_signature.as_ref()],
        ),
        CampaignEvent::EpochHalted { epoch, reason, .. } => change(
            "UPDATE epochs SET status = 'halted', halt_reason = ?3 WHERE campaign_id = ?1 AND epoch = ?2",
            &values![id, epoch.to_string(), reason],
        ),
        // One that was halted before it opened opens when it is due.
        CampaignEvent::EpochResumed { epoch, .. } => change(
            "UPDATE epochs SET status = CASE WHEN opened_at IS NULL THEN 'scheduled' ELSE 'open' END
             WHERE campaign_id = ?1 AND epoch = ?2",
            &values![id, epoch.to_string()],
        ),
        CampaignEvent::EpochClosed { epoch, draws, wins, paid_minor, root, .. } => {
            state_wins(conn, record, *epoch, wins)?;
            change(
                "UPDATE epochs SET status = 'closed', draws = ?3, paid_minor = ?4, root = ?5
                 WHERE campaign_id = ?1 AND epoch = ?2",
                &values![id, epoch.to_string(), count(record, *draws)?, *paid_minor, root],
            )
        }
        CampaignEvent::EpochRevealed { epoch, seed, .. } => change(
            "UPDATE epochs SET status = 'revealed', seed = ?3 WHERE campaign_id = ?1 AND epoch = ?2",
            &values![id, epoch.to_string(), seed],
        ),
        CampaignEvent::CampaignDrafted { .. }
        | CampaignEvent::CampaignApproved { .. }
        | CampaignEvent::CampaignScheduled { .. }
        | CampaignEvent::CampaignStarted { .. }
        | CampaignEvent::CampaignPaused { .. }
        | CampaignEvent::CampaignResumed { .. }
        | CampaignEvent::CampaignRevised { .. }
        | CampaignEvent::CampaignEnded { .. }
        | CampaignEvent::FundingProposed { .. }
        | CampaignEvent::BudgetFunded { .. }
        | CampaignEvent::BudgetSpent { .. }
        | CampaignEvent::BudgetAlerted { .. }
        | CampaignEvent::SeedOpened { .. }
        | CampaignEvent::EpochResumptionProposed { .. } => Ok(()),
    }
}

/// Puts the stated wins per tier in the place of those counted.
fn state_wins(conn: &Connection, record: &Record, epoch: Epoch, wins: &[u64]) -> Result<(), ProjectionError> {
    let id = record.stream_id.as_str();
    let epoch = epoch.to_string();
    conn.write("DELETE FROM epoch_wins WHERE campaign_id = ?1 AND epoch = ?2", &values![id, &epoch])?;
    (0_u32..).zip(wins).try_for_each(|(tier, wins)| {
        conn.write(
            "INSERT INTO epoch_wins (campaign_id, epoch, tier, wins) VALUES (?1, ?2, ?3, ?4)",
            &values![id, &epoch, tier, count(record, *wins)?],
        )
    })
}

fn count(record: &Record, n: u64) -> Result<i64, ProjectionError> {
    Ok(i64::try_from(n).map_err(|_| THIS.contradiction(record.position, "a count does not fit"))?)
}
