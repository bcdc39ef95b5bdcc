//! draw-1: how a winner is chosen so that anyone can check it. The specification is `draw-1.md`; its
//! vectors are this module's tests.
//!
//! All of it is pure: a seed committed to beforehand and ids that only the bank assigns go in, a number
//! below 10^9 comes out. Odds are parts per 10^9, amounts minor units.

mod table;

pub use table::{Prize, PrizeTable, TableError, Tier};

use serde::{Deserialize, Serialize};

use crate::ids::{CampaignId, Digest, EntryId};
use crate::money::Money;
use crate::time::Epoch;

/// One draw as its decision records it: all that a second implementation needs to derive it again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// Names the draw; the idempotency key of all that follows.
    pub entry_id: EntryId,
    /// In which campaign.
    pub campaign_id: CampaignId,
    /// Under which version of its terms.
    pub campaign_version: u32,
    /// The UTC day of booking.
    pub epoch: Epoch,
    /// The campaign's local day of booking, by which "per day" counts.
    pub day: chrono::NaiveDate,
    /// The table drawn from.
    pub table_hash: Digest,
    /// Bit i set: tier i was removed before the draw because the budget could not cover it.
    pub tier_mask: u32,
    /// What the budget still had for this epoch before the draw.
    pub budget_left_minor: i64,
    /// The number drawn, below 10^9.
    pub r: u32,
    /// Words rejected before it to keep it exactly uniform; nearly always 0.
    pub rejections: u32,
    /// The tier won, counted from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<u32>,
    /// What it pays; `None` when nothing was won.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// `draw-1`.
    pub algorithm: Algorithm,
}

/// The name of the procedure, so that history outlives its successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// This one.
    #[serde(rename = "draw-1")]
    Draw1,
}

/// 32 secret bytes behind one epoch's draws. Wiped when dropped, shown by nothing.
pub struct Seed(zeroize::Zeroizing<[u8; 32]>);

impl Seed {
    /// Takes 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Seed {
        Seed(zeroize::Zeroizing::new(bytes))
    }

    /// The bytes, for sealing and for the reveal.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The key of one opened epoch.
#[derive(Clone)]
pub struct EpochKey(std::sync::Arc<aws_lc_rs::hmac::Key>);

/// What the generator gave for one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roll {
    /// Below 10^9.
    pub r: u32,
    /// Words rejected first.
    pub rejections: u32,
}

/// Names the draw of one line in one campaign.
pub fn entry_id(
    campaign: &CampaignId,
    source: &crate::ids::Source,
    transaction: &crate::ids::TransactionId,
) -> EntryId {
    let _ = (campaign, source, transaction);
    todo!()
}

/// What is published before the epoch opens.
pub fn commitment(
    campaign: &CampaignId,
    epoch: Epoch,
    table_hash: &Digest,
    beacon_spec: &str,
    seed: &Seed,
) -> Digest {
    let _ = (campaign, epoch, table_hash, beacon_spec, seed);
    todo!()
}

/// HKDF-SHA256 over the seed with the beacon as salt.
pub fn epoch_key(seed: &Seed, beacon: &Digest, campaign: &CampaignId, epoch: Epoch) -> EpochKey {
    let _ = (seed, beacon, campaign, epoch);
    todo!()
}

/// The number of one entry under an epoch's key.
pub fn roll(key: &EpochKey, entry: &EntryId) -> Roll {
    let _ = (key, entry);
    todo!()
}
