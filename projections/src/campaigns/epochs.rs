//! A campaign's epochs: what was committed to, what was drawn, and after the reveal the seed.
//!
//! While an epoch is open its totals are counted from decisions; `EpochClosed` puts its own in their place.

use ledger_core::campaign::CampaignEvent;
use ledger_core::ids::{CampaignId, Digest};
use ledger_core::log::Position;
use ledger_core::time::{Epoch, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Drawn, THIS};
use crate::error::ProjectionError;
use crate::page::{self, Page};
use crate::projection::Record;
use crate::row;

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
    let mut statement = conn.prepare_cached("SELECT * FROM epochs WHERE campaign_id = ?1 AND epoch = ?2")?;
    let found = statement.query_row([campaign.as_str(), &epoch.to_string()], read).optional()?;
    found.map(|row| with_wins(conn, row)).transpose()
}

/// A campaign's epochs, newest first: those before `after`.
pub fn epochs(
    conn: &Connection,
    campaign: &CampaignId,
    after: Option<Epoch>,
    first: usize,
) -> Result<Page<EpochRow>, ProjectionError> {
    let mut statement = conn.prepare_cached(
        "SELECT * FROM epochs WHERE campaign_id = ?1 AND (?2 IS NULL OR epoch < ?2) ORDER BY epoch DESC LIMIT ?3",
    )?;
    let after = after.map(|epoch| epoch.to_string());
    let rows = statement.query_map(params![campaign.as_str(), after, page::limit(first)], read)?;
    let rows = rows.map(|row| with_wins(conn, row?)).collect::<Result<_, _>>()?;
    Ok(Page::of(rows, first))
}

fn read(row: &Row<'_>) -> rusqlite::Result<EpochRow> {
    Ok(EpochRow {
        campaign_id: row::text(row, "campaign_id")?,
        epoch: row::text(row, "epoch")?,
        status: row::text(row, "status")?,
        opens_at: row::time(row, "opens_at")?,
        closes_at: row::time(row, "closes_at")?,
        grace_days: row.get("grace_days")?,
        commitment: row::digest(row, "commitment")?,
        table_hash: row::digest(row, "table_hash")?,
        beacon_spec: row.get("beacon_spec")?,
        at_once: row.get("at_once")?,
        opened_at: row::time_opt(row, "opened_at")?,
        beacon: row::digest_opt(row, "beacon")?,
        budget_cap_minor: row.get("budget_cap_minor")?,
        halt_reason: row.get("halt_reason")?,
        draws: row::unsigned(row, "draws")?,
        wins: vec![],
        paid_minor: row.get("paid_minor")?,
        root: row::digest_opt(row, "root")?,
        seed: row::digest_opt(row, "seed")?,
    })
}

fn with_wins(conn: &Connection, mut epoch: EpochRow) -> Result<EpochRow, ProjectionError> {
    let mut statement = conn.prepare_cached(
        "SELECT tier, wins FROM epoch_wins WHERE campaign_id = ?1 AND epoch = ?2 ORDER BY tier",
    )?;
    let mut rows = statement.query([epoch.campaign_id.as_str(), &epoch.epoch.to_string()])?;
    while let Some(row) = rows.next()? {
        let tier: u32 = row.get("tier")?;
        epoch.wins.resize(tier as usize, 0);
        epoch.wins.push(row::unsigned(row, "wins")?);
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
    let changed = conn
        .prepare_cached(
            "UPDATE epochs SET draws = draws + ?3, paid_minor = paid_minor + ?4 WHERE campaign_id = ?1 AND epoch = ?2",
        )?
        .execute(params![campaign, epoch, drawn.draws, drawn.paid])?;
    THIS.one_row(changed, position, "a draw in an epoch that was never scheduled")?;
    let mut statement = conn.prepare_cached(
        "INSERT INTO epoch_wins (campaign_id, epoch, tier, wins) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (campaign_id, epoch, tier) DO UPDATE SET wins = wins + excluded.wins",
    )?;
    for (tier, wins) in &drawn.wins_by_tier {
        statement.execute(params![campaign, epoch, tier, wins])?;
    }
    Ok(())
}

/// Applies the events about an epoch.
pub(super) fn apply(
    conn: &Connection,
    record: &Record,
    event: &CampaignEvent,
) -> Result<(), ProjectionError> {
    let id = record.stream_id.as_str();
    let changed = match event {
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
        } => conn
            .prepare_cached(
                "INSERT INTO epochs (campaign_id, epoch, status, opens_at, closes_at, grace_days, commitment,
                                     table_hash, beacon_spec, at_once)
                 VALUES (?1, ?2, 'scheduled', ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                id,
                epoch.to_string(),
                opens_at.micros(),
                closes_at.micros(),
                grace_days,
                commitment.0,
                table_hash.0,
                beacon_spec,
                at_once,
            ])?,
        // A halted epoch that two people resume opens again.
        CampaignEvent::EpochOpened { epoch, opened_at, beacon, budget_cap_minor } => conn
            .prepare_cached(
                "UPDATE epochs SET status = 'open', opened_at = ?3, beacon = ?4, budget_cap_minor = ?5
                 WHERE campaign_id = ?1 AND epoch = ?2",
            )?
            .execute(params![id, epoch.to_string(), opened_at.micros(), beacon.0, budget_cap_minor])?,
        CampaignEvent::EpochHalted { epoch, reason } => conn
            .prepare_cached(
                "UPDATE epochs SET status = 'halted', halt_reason = ?3 WHERE campaign_id = ?1 AND epoch = ?2",
            )?
            .execute(params![id, epoch.to_string(), reason])?,
        CampaignEvent::EpochClosed { epoch, draws, wins, paid_minor, root } => {
            close(conn, record, *epoch, *draws, wins, *paid_minor, root)?
        }
        CampaignEvent::EpochRevealed { epoch, seed } => conn
            .prepare_cached(
                "UPDATE epochs SET status = 'revealed', seed = ?3 WHERE campaign_id = ?1 AND epoch = ?2",
            )?
            .execute(params![id, epoch.to_string(), seed.0])?,
        CampaignEvent::CampaignDrafted { .. }
        | CampaignEvent::CampaignApproved { .. }
        | CampaignEvent::CampaignStarted { .. }
        | CampaignEvent::CampaignPaused { .. }
        | CampaignEvent::CampaignResumed { .. }
        | CampaignEvent::CampaignRevised { .. }
        | CampaignEvent::CampaignEnded { .. }
        | CampaignEvent::BudgetFunded { .. }
        | CampaignEvent::BudgetSpent { .. } => return Ok(()),
    };
    THIS.one_row(changed, record.position, "an epoch that was never scheduled")
}

fn close(
    conn: &Connection,
    record: &Record,
    epoch: Epoch,
    draws: u64,
    wins: &[u64],
    paid_minor: i64,
    root: &Digest,
) -> Result<usize, ProjectionError> {
    let id = record.stream_id.as_str();
    let epoch = epoch.to_string();
    let count =
        |n: u64| i64::try_from(n).map_err(|_| THIS.contradiction(record.position, "a count does not fit"));
    conn.prepare_cached("DELETE FROM epoch_wins WHERE campaign_id = ?1 AND epoch = ?2")?
        .execute([id, &epoch])?;
    let mut statement = conn
        .prepare_cached("INSERT INTO epoch_wins (campaign_id, epoch, tier, wins) VALUES (?1, ?2, ?3, ?4)")?;
    for (tier, wins) in (0_u32..).zip(wins) {
        statement.execute(params![id, epoch, tier, count(*wins)?])?;
    }
    let changed = conn
        .prepare_cached(
            "UPDATE epochs SET status = 'closed', draws = ?3, paid_minor = ?4, root = ?5
             WHERE campaign_id = ?1 AND epoch = ?2",
        )?
        .execute(params![id, epoch, count(draws)?, paid_minor, root.0])?;
    Ok(changed)
}
