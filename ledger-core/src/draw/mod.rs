//! draw-1: how a winner is chosen so that anyone can check it. The specification is
//! `docs/concepts/draw-1.md`; its vectors are this module's tests.
//!
//! All of it is pure: a seed committed to beforehand and ids that only the bank assigns go in, a
//! number below 10^9 comes out. Odds are parts per 10^9, amounts minor units.

pub mod beacon;
mod notation;
mod odds;
mod table;

pub use table::is_masked;
pub use table::{ODDS_WHOLE_PPB, Prize, PrizeTable, TIERS_MAX, TableError, Tier};

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::{digest, hkdf, hmac};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::ids::{CampaignId, Digest, EntryId, ID_CHARACTERS_MAX, Source, TransactionId, push_lp, update_lp};
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

impl Algorithm {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Draw1 => "draw-1",
        }
    }
}

/// 32 secret bytes behind one epoch's draws. Wiped when dropped, shown by nothing.
pub struct Seed(Zeroizing<[u8; 32]>);

impl Seed {
    /// Takes 32 bytes.
    pub fn new(bytes: [u8; 32]) -> Seed {
        Seed(Zeroizing::new(bytes))
    }

    /// 32 fresh bytes from the operating system's generator; fails only where that does.
    pub fn generate() -> Result<Seed, Unspecified> {
        let mut seed = Seed::new([0; 32]);
        aws_lc_rs::rand::fill(&mut *seed.0)?;
        Ok(seed)
    }

    /// The bytes, for sealing and for the reveal.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[seed]")
    }
}

/// The key of one opened epoch.
#[derive(Clone)]
pub struct EpochKey(Arc<hmac::Key>);

impl fmt::Debug for EpochKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[epoch key]")
    }
}

/// What the generator gave for one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roll {
    /// Below 10^9.
    pub r: u32,
    /// Words rejected first.
    pub rejections: u32,
}

/// Names the draw of one line in one campaign.
pub fn entry_id(campaign: &CampaignId, source: &Source, transaction: &TransactionId) -> EntryId {
    // Built on the stack and hashed in one call: this runs for every line and must not allocate.
    let mut message = EntryMessage { bytes: [0; ENTRY_MESSAGE_MAX], length: 0 };
    message.push(DOMAIN);
    message.push(b"entry");
    message.push_lp(campaign.as_str());
    message.push_lp(source.as_str());
    message.push_lp(transaction.as_str());
    EntryId(sha256(&message.bytes[..message.length]).0)
}

/// What is published before the first draw of the epoch.
pub fn commitment(
    campaign: &CampaignId,
    epoch: Epoch,
    table_hash: &Digest,
    beacon_spec: &str,
    seed: &Seed,
) -> Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(DOMAIN);
    context.update(b"commit");
    update_lp(&mut context, campaign.as_str().as_bytes());
    update_lp(&mut context, epoch.to_string().as_bytes());
    update_lp(&mut context, &table_hash.0);
    update_lp(&mut context, beacon_spec.as_bytes());
    context.update(seed.expose());
    Digest(context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

/// HKDF-SHA256 over the seed with the beacon as salt.
pub fn epoch_key(seed: &Seed, beacon: &Digest, campaign: &CampaignId, epoch: Epoch) -> EpochKey {
    let bytes = epoch_key_bytes(seed, beacon, campaign, epoch);
    EpochKey(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &*bytes)))
}

/// The number of one entry under an epoch's key.
pub fn roll(key: &EpochKey, entry: &EntryId) -> Roll {
    let (r, rejections) = below(*draw_seed(key, entry), u64::from(ODDS_WHOLE_PPB));
    Roll { r: u32::try_from(r).expect("below 10^9"), rejections }
}

/// `T`: in front of everything that is hashed, so that no hash of ours means two things.
const DOMAIN: &[u8] = b"rewardhub/draw-1/";
/// `T ‖ "entry"` and three ids of at most 4 bytes a character, each with its length.
const ENTRY_MESSAGE_MAX: usize = DOMAIN.len() + 5 + 3 * (4 + 4 * ID_CHARACTERS_MAX);

/// What an entry's id is the hash of.
struct EntryMessage {
    bytes: [u8; ENTRY_MESSAGE_MAX],
    length: usize,
}

impl EntryMessage {
    fn push(&mut self, bytes: &[u8]) {
        self.bytes[self.length..][..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    fn push_lp(&mut self, id: &str) {
        let length = u32::try_from(id.len()).expect("an id has at most 512 bytes");
        self.push(&length.to_be_bytes());
        self.push(id.as_bytes());
    }
}

fn sha256(message: &[u8]) -> Digest {
    let digest = digest::digest(&digest::SHA256, message);
    Digest(digest.as_ref().try_into().expect("SHA-256 has 32 bytes"))
}

fn epoch_key_bytes(seed: &Seed, beacon: &Digest, campaign: &CampaignId, epoch: Epoch) -> Zeroizing<[u8; 32]> {
    let mut info = [DOMAIN, b"key"].concat();
    push_lp(&mut info, campaign.as_str().as_bytes());
    push_lp(&mut info, epoch.to_string().as_bytes());
    let mut key = Zeroizing::new([0; 32]);
    hkdf::Salt::new(hkdf::HKDF_SHA256, &beacon.0)
        .extract(seed.expose())
        .expand(&[&info], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut *key))
        .expect("HKDF-SHA256 gives up to 8160 bytes");
    key
}

fn draw_seed(key: &EpochKey, entry: &EntryId) -> Zeroizing<[u8; 32]> {
    const PREFIX: &[u8; 21] = b"rewardhub/draw-1/draw";
    let mut message = [0; PREFIX.len() + 32];
    message[..PREFIX.len()].copy_from_slice(PREFIX);
    message[PREFIX.len()..].copy_from_slice(&entry.0);
    let tag = hmac::sign(&key.0, &message);
    Zeroizing::new(tag.as_ref().try_into().expect("HMAC-SHA256 has 32 bytes"))
}

/// A number below `n`, exactly uniform, and how many words were rejected for it.
///
/// Words at or above the largest multiple of `n` are rejected: kept, they would favour the small
/// numbers.
fn below(seed: [u8; 32], n: u64) -> (u64, u32) {
    let last = u64::MAX - n.wrapping_neg() % n; // zone − 1, where zone = 2^64 − (2^64 mod n) may be 2^64
    let mut generator = ChaCha20Rng::from_seed(seed);
    let mut rejections = 0;
    loop {
        let word = generator.next_u64();
        if word <= last {
            return (word % n, rejections);
        }
        rejections += 1;
    }
}

#[cfg(test)]
mod tests;
