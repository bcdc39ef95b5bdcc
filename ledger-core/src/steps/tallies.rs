//! What the log says of each day's draws, kept up with it: one pass for all campaigns and days,
//! with a cursor of its own.
//!
//! A page of the log leaves one row for each day it draws in: the ids of its draws, sorted, and
//! sums. So a day is counted from its rows alone, and the log is read once, whatever is restarted.
//! Ids are sorted in shares of bounded size.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::account::AccountEvent;
use crate::campaign::CampaignEvent;
use crate::campaign::command::EpochTally;
use crate::event::{LedgerEvent, decode};
use crate::ids::{CampaignId, EntryId};
use crate::log::merkle::Tree;
use crate::log::{EventLog, LogError, Position, StoredEvent};
use crate::time::Epoch;

use super::store::{Chunk, StepStore, StepStoreError};

/// Names the cursor.
pub const NAME: &str = "tally";

/// Events in a page.
const PAGE: usize = 2_000;
/// Rows read at once.
const ROWS: usize = 32;
/// Ids that are sorted at once: 32 MB.
const SORTED_MAX: u64 = 1_000_000;

/// Counts draws.
pub(super) struct Tallies {
    log: Arc<dyn EventLog>,
    rows: Arc<dyn StepStore>,
}

/// Why draws cannot be counted.
#[derive(Debug, thiserror::Error)]
pub enum TallyError {
    /// The log failed.
    #[error("the log cannot be read")]
    Log(#[from] LogError),
    /// The rows failed.
    #[error("the tallies cannot be kept")]
    Rows(#[from] StepStoreError),
    /// The tally does not fit its numbers.
    #[error("the tally of epoch {0} overflows")]
    Overflow(Epoch),
}

type Day = (CampaignId, Epoch);

/// What a page says of a day.
#[derive(Default)]
struct Sums {
    entries: Vec<EntryId>,
    wins: Vec<u64>,
    paid_minor: i64,
}

impl Tallies {
    pub(super) fn new(log: Arc<dyn EventLog>, rows: Arc<dyn StepStore>) -> Tallies {
        Tallies { log, rows }
    }

    /// Reads the log up to this place at least.
    pub(super) async fn follow(&self, to: Position) -> Result<(), TallyError> {
        loop {
            let from = self.rows.get(NAME).await?;
            if from >= to {
                return Ok(());
            }
            let page = self.log.read_after(from, PAGE).await?;
            let Some(last) = page.last().map(|stored| stored.position) else { return Ok(()) };
            let (mut days, mut over) = (BTreeMap::new(), vec![]);
            for stored in &page {
                take(stored, &mut days, &mut over)?;
            }
            let chunks: Vec<Chunk> = days.into_iter().map(|(day, sums)| sums.chunk(day, last)).collect();
            // Another process may have been here: then what it kept counts.
            self.rows.keep_tallies(from, last, &chunks, &over).await?;
        }
    }

    /// Counts a day's draws up to where the log was followed.
    pub(super) async fn count(
        &self,
        campaign: &CampaignId,
        epoch: Epoch,
        tiers: usize,
    ) -> Result<EpochTally, TallyError> {
        let overflow = || TallyError::Overflow(epoch);
        let (mut wins, mut paid_minor, mut ids) = (vec![0_u64; tiers], 0_i64, 0_u64);
        let mut after = 0;
        while let Some(chunks) = self.next(campaign, epoch, &mut after).await? {
            for chunk in chunks {
                ids += chunk.entries().count() as u64;
                paid_minor = paid_minor.checked_add(chunk.paid_minor).ok_or_else(overflow)?;
                for (tier, won) in chunk.wins.iter().enumerate().filter(|(_, won)| **won > 0) {
                    *wins.get_mut(tier).ok_or_else(overflow)? += won;
                }
            }
        }
        let (mut tree, mut draws) = (Tree::default(), 0);
        for share in shares(ids) {
            let (mut sorted, mut after) = (Vec::new(), 0);
            while let Some(chunks) = self.next(campaign, epoch, &mut after).await? {
                for chunk in &chunks {
                    sorted.extend(chunk.entries().filter(|id| share.contains(&u16::from(id[0]))));
                }
            }
            sorted.sort_unstable();
            sorted.dedup();
            draws += sorted.len() as u64;
            for id in &sorted {
                tree.push(id);
            }
        }
        Ok(EpochTally { draws, wins, paid_minor, root: tree.root() })
    }

    async fn next(
        &self,
        campaign: &CampaignId,
        epoch: Epoch,
        after: &mut u64,
    ) -> Result<Option<Vec<Chunk>>, StepStoreError> {
        let chunks = self.rows.tallies(campaign.as_str(), &epoch.to_string(), *after, ROWS).await?;
        let Some(last) = chunks.last() else { return Ok(None) };
        *after = last.position;
        Ok(Some(chunks))
    }
}

/// First bytes of ids, cut into as many shares as it takes for one to be sorted at once. Ids are
/// hashes, so shares are of like size.
fn shares(ids: u64) -> Vec<std::ops::Range<u16>> {
    let shares = u16::try_from(ids.div_ceil(SORTED_MAX).clamp(1, 256)).unwrap_or(256);
    let width = 256_u16.div_ceil(shares);
    (0..256).step_by(usize::from(width)).map(|from| from..(from + width).min(256)).collect()
}

fn take(
    stored: &StoredEvent,
    days: &mut BTreeMap<Day, Sums>,
    over: &mut Vec<(String, String)>,
) -> Result<(), TallyError> {
    if !matches!(&*stored.event_type, "TransactionEvaluated" | "EpochRevealed") {
        return Ok(());
    }
    match decode(stored)? {
        LedgerEvent::Account(AccountEvent::TransactionEvaluated { draws, .. }) => {
            for draw in draws {
                let sums = days.entry((draw.campaign_id, draw.epoch)).or_default();
                sums.entries.push(draw.entry_id);
                if let (Some(tier), Some(amount)) = (draw.tier, draw.amount) {
                    let tier = tier as usize;
                    if sums.wins.len() <= tier {
                        sums.wins.resize(tier + 1, 0);
                    }
                    sums.wins[tier] += 1;
                    let paid = sums.paid_minor.checked_add(amount.minor());
                    sums.paid_minor = paid.ok_or(TallyError::Overflow(draw.epoch))?;
                }
            }
        }
        // Told, and never counted again.
        LedgerEvent::Campaign(CampaignEvent::EpochRevealed { epoch, .. }) => {
            over.push((stored.stream.id.to_string(), epoch.to_string()));
        }
        _ => {}
    }
    Ok(())
}

impl Sums {
    fn chunk(mut self, (campaign, epoch): Day, position: Position) -> Chunk {
        self.entries.sort_unstable();
        Chunk {
            campaign: campaign.to_string(),
            epoch: epoch.to_string(),
            position: position.0,
            entries: self.entries.iter().flat_map(|entry| entry.0).collect(),
            wins: self.wins,
            paid_minor: self.paid_minor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_every_first_byte_once_and_are_as_few_as_may_be() {
        for (ids, expected) in
            [(0, 1), (1, 1), (SORTED_MAX, 1), (SORTED_MAX + 1, 2), (3 * SORTED_MAX, 3), (u64::MAX, 256)]
        {
            let shares = shares(ids);
            assert_eq!(shares.len(), expected, "{ids}");
            let bytes: Vec<u16> = shares.into_iter().flatten().collect();
            assert_eq!(bytes, (0..256).collect::<Vec<u16>>());
        }
    }
}
