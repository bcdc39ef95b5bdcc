//! One epoch of a campaign as the log derives it: what it was committed to, whether it draws, what
//! it has drawn.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::drawn::Drawn;
use super::findings::{Findings, Place};
use super::report::Counts;
use ledger_core::campaign::CampaignEvent;
use ledger_core::draw::{self, Draw, EpochKey, PrizeTable, Roll};
use ledger_core::ids::{CampaignId, Digest, EntryId};
use ledger_core::log::merkle;
use ledger_core::time::{DAY_MICROS, Epoch, Timestamp};

/// One epoch.
pub(super) struct EpochBook {
    commitment: Digest,
    /// Recorded when the day had begun.
    pub(super) committed_late: bool,
    pub(super) table: Arc<PrizeTable>,
    pub(super) table_hash: Digest,
    pub(super) beacon_spec: String,
    /// The most wins of a tier over the campaign's life, by its name.
    pub(super) inventory: BTreeMap<String, u64>,
    pub(super) seals_at: Timestamp,
    /// What it may bring the campaign's spend to; `None` before it opens.
    pub(super) cap_minor: Option<i128>,
    /// With the seed at hand.
    pub(super) key: Option<EpochKey>,
    pub(super) halted: bool,
    /// Who has proposed since it was halted that it goes on.
    pub(super) resumption_by: Option<String>,
    pub(super) closed: bool,
    pub(super) revealed: bool,
    /// Of the last draw: the next one's has at least these bits.
    pub(super) mask: u32,
    /// Until it is closed.
    entries: Vec<EntryId>,
    pub(super) draws: u64,
    pub(super) wins: Vec<u64>,
    pub(super) paid_minor: i128,
}

impl EpochBook {
    /// What an `EpochScheduled` of this time commits to; `None` of any other event.
    pub(super) fn of(event: &CampaignEvent, recorded_at: Timestamp) -> Option<EpochBook> {
        let CampaignEvent::EpochScheduled {
            opens_at,
            closes_at,
            grace_days,
            commitment,
            prize_table,
            table_hash,
            beacon_spec,
            inventory,
            ..
        } = event
        else {
            return None;
        };
        Some(EpochBook {
            commitment: *commitment,
            committed_late: recorded_at >= *opens_at,
            table: Arc::new(prize_table.clone()),
            table_hash: *table_hash,
            beacon_spec: beacon_spec.clone(),
            inventory: inventory.clone(),
            seals_at: closes_at.plus_micros(i64::from(*grace_days) * DAY_MICROS),
            cap_minor: None,
            key: None,
            halted: false,
            resumption_by: None,
            closed: false,
            revealed: false,
            mask: 0,
            entries: Vec::new(),
            draws: 0,
            wins: vec![0; prize_table.tiers.len()],
            paid_minor: 0,
        })
    }

    pub(super) fn check_commitment(
        &self,
        place: &Place,
        id: &CampaignId,
        epoch: Epoch,
        seed: &draw::Seed,
        findings: &mut Findings,
    ) {
        let expected = draw::commitment(id, epoch, &self.table_hash, &self.beacon_spec, seed);
        findings.compare(place, "commitment", expected, self.commitment);
    }

    pub(super) fn count(&mut self, draw: &Draw) {
        self.draws += 1;
        self.entries.push(draw.entry_id);
        self.mask |= draw.tier_mask;
        let Some(amount) = draw.amount else { return };
        self.paid_minor += i128::from(amount.minor());
        if let Some(wins) = draw.tier.and_then(|tier| self.wins.get_mut(tier as usize)) {
            *wins += 1;
        }
    }

    /// Whether it draws at all.
    pub(super) fn standing(&self, drawn: &Drawn<'_>, place: &Place, findings: &mut Findings) {
        let standing = if self.cap_minor.is_none() {
            "not open yet"
        } else if self.closed {
            "closed"
        } else if self.halted {
            "halted"
        } else if drawn.stored.recorded_at >= self.seals_at {
            "beyond its grace"
        } else {
            return;
        };
        findings.add(place, "epoch", format!("{} open", drawn.draw.epoch), standing);
    }

    /// The number: derived where the seed is known, else the recorded one.
    pub(super) fn number(
        &self,
        draw: &Draw,
        place: &Place,
        counts: &mut Counts,
        findings: &mut Findings,
    ) -> u32 {
        let Some(key) = &self.key else {
            counts.waiting_for_reveal += 1;
            return draw.r;
        };
        counts.rederived += 1;
        let Roll { r, rejections } = draw::roll(key, &draw.entry_id);
        findings.compare(place, "r", r, draw.r);
        findings.compare(place, "rejections", rejections, draw.rejections);
        r
    }

    /// RFC 6962 root over the entries so far, which are forgotten: it is closed now.
    pub(super) fn close(&mut self) -> Digest {
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_unstable();
        self.closed = true;
        merkle::root(entries.iter().map(|entry| entry.0.as_slice()))
    }
}
