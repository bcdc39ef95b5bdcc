//! A campaign's epochs: what was committed to, what was drawn, and after the reveal the seed.

use ledger_core::ids::{BeaconSignature, CampaignId, Digest};
use ledger_core::log::Position;
use ledger_core::time::{DAY_MICROS, Epoch, Timestamp};

use crate::column::{Column as _, words};
use crate::connection::{Connection, values};
use crate::error::ProjectionError;
use crate::page::{self, Page};
use crate::table::{TableRow as _, table};

words! {
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

table! {
    /// One day of one campaign's draws.
    pub EpochRow in "epochs", key 2, by (campaign_id: CampaignId, epoch: Epoch) {
        /// Which campaign.
        campaign_id: CampaignId,
        /// Which day: its place in lists, and the cursor.
        epoch: Epoch,
        /// Where it stands.
        status: EpochStatus,
        /// Its first instant.
        opens_at: Timestamp,
        /// Its end (exclusive).
        closes_at: Timestamp,
        /// Days between close and reveal in which late lines still draw.
        grace_days: u32,
        /// To the seed, the table and the beacon.
        commitment: Digest,
        /// The table drawn from; see [`super::prize_table`].
        table_hash: Digest,
        /// `none`, or a public beacon round.
        beacon_spec: String,
        /// Whether it was scheduled less than 24 hours ahead.
        at_once: bool,
        /// When the commitment was recorded; on a campaign's first day perhaps after `opens_at`.
        committed_at: Option<Timestamp>,
        /// Where in the log.
        committed_in: Option<Position>,
        /// When it opened.
        opened_at: Option<Timestamp>,
        /// The public randomness, once open.
        beacon: Option<Digest>,
        /// What the randomness is the SHA-256 of; absent for `none`.
        beacon_signature: Option<BeaconSignature>,
        /// What may be spent in it, in minor units, once open.
        budget_cap_minor: Option<i64>,
        /// Why it was halted, if ever.
        halt_reason: Option<String>,
        /// Draws, lost or won.
        draws: u64,
        /// Minor units won.
        paid_minor: i64,
        /// RFC 6962 root over the sorted entry ids, once closed.
        root: Option<Digest>,
        /// The seed, once revealed.
        seed: Option<Digest>,
    } beside {
        /// Wins per tier in table order; as long as the highest tier won.
        wins: Vec<u64>,
    }
}

table! {
    /// How often a tier was won in an epoch.
    pub(crate) TierWinsRow in "epoch_wins", key 3, by (campaign_id: CampaignId, epoch: Epoch, tier: u32) {
        /// Which campaign.
        campaign_id: CampaignId,
        /// Which day.
        epoch: Epoch,
        /// In table order, from 0.
        tier: u32,
        /// So often.
        wins: u64,
    }
}

impl EpochRow {
    /// When its grace is over: from then on its seed is revealed.
    pub fn reveals_at(&self) -> Timestamp {
        self.closes_at.plus_micros(i64::from(self.grace_days) * DAY_MICROS)
    }
}

/// One epoch.
pub fn epoch(
    conn: &Connection,
    campaign: &CampaignId,
    epoch: Epoch,
) -> Result<Option<EpochRow>, ProjectionError> {
    let found = EpochRow::find(conn, "WHERE campaign_id = $1 AND epoch = $2", &values![campaign, epoch])?;
    found.map(|row| with_wins(conn, row)).transpose()
}

/// A campaign's epochs, newest first: those before `after`.
pub fn epochs(
    conn: &Connection,
    campaign: &CampaignId,
    after: Option<Epoch>,
    first: usize,
) -> Result<Page<EpochRow>, ProjectionError> {
    // Every day comes before a tilde.
    let rest = "WHERE campaign_id = $1 AND epoch < coalesce($2, '~') ORDER BY epoch DESC LIMIT $3";
    let rows = EpochRow::select(conn, rest, &values![campaign, after, page::limit(first)])?;
    let Page { rows, has_more } = Page::of(rows, first);
    let rows = rows.into_iter().map(|row| with_wins(conn, row)).collect::<Result<_, _>>()?;
    Ok(Page { rows, has_more })
}

/// Days from this one on with the hashes of their tables, oldest first; where there is none, the
/// last one. A campaign commits to few days ahead.
pub(super) fn from(
    conn: &Connection,
    campaign: &CampaignId,
    day: Epoch,
) -> Result<Vec<(Epoch, Digest)>, ProjectionError> {
    let rest = "WHERE campaign_id = $1 AND epoch >= $2 ORDER BY epoch LIMIT 10";
    let mut rows = EpochRow::select(conn, rest, &values![campaign, day])?;
    if rows.is_empty() {
        let rest = "WHERE campaign_id = $1 ORDER BY epoch DESC LIMIT 1";
        rows = EpochRow::select(conn, rest, &values![campaign])?;
    }
    Ok(rows.into_iter().map(|row| (row.epoch, row.table_hash)).collect())
}

fn with_wins(conn: &Connection, mut row: EpochRow) -> Result<EpochRow, ProjectionError> {
    let rest = "WHERE campaign_id = $1 AND epoch = $2 ORDER BY tier";
    for TierWinsRow { tier, wins, .. } in
        TierWinsRow::select(conn, rest, &values![row.campaign_id, row.epoch])?
    {
        row.wins.resize(tier as usize, 0);
        row.wins.push(wins);
    }
    Ok(row)
}
