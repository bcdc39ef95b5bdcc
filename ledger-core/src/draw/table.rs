//! The prize table: tiers in order, odds in parts per 10^9.

use serde::{Deserialize, Serialize};

use crate::ids::Digest;
use crate::money::{BasisPoints, Currency, Money};

/// The whole of probability: odds are parts of this.
pub const ODDS_WHOLE_PPB: u32 = 1_000_000_000;
/// A mask has a bit for every tier.
pub const TIERS_MAX: usize = 32;

/// What can be won, in one currency. Its RFC 8785 JSON is what `table_hash` is taken over, so neither names
/// nor order of its fields can be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrizeTable {
    /// Of all prizes.
    pub currency: Currency,
    /// In order of the draw.
    pub tiers: Vec<Tier>,
}

/// One prize and its odds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// For people, unique in its table.
    pub name: String,
    /// Parts per 10^9, above zero.
    pub odds_ppb: u32,
    /// What it pays.
    pub prize: Prize,
}

/// What a tier pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Prize {
    /// Always the same.
    Fixed {
        /// Minor units.
        fixed: i64,
    },
    /// A share of the transaction, rounded down.
    Share {
        /// Basis points of the transaction's amount.
        share_bps: BasisPoints,
        /// At most this, in minor units.
        max: i64,
    },
}

/// Why a table cannot be drawn from. `field` is a path below the table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct TableError {
    /// Such as `tiers[1].odds_ppb`.
    pub field: String,
    /// What is expected.
    pub message: String,
}

impl PrizeTable {
    /// Checks what the types do not: 1–32 tiers with unique names, odds above zero whose sum is at most
    /// 10^9, prizes above zero.
    pub fn validate(&self) -> Result<(), TableError> {
        todo!()
    }

    /// `SHA-256(T ‖ "prize-table" ‖ RFC 8785 JSON)`.
    pub fn hash(&self) -> Digest {
        todo!()
    }

    /// The tier that `r` falls into, or `None` (no prize); a masked tier's share is no prize.
    pub fn tier(&self, r: u32, tier_mask: u32) -> Option<usize> {
        let _ = (r, tier_mask);
        todo!()
    }

    /// Bit i is set where tier i could cost more than `budget_left_minor`.
    pub fn mask(&self, budget_left_minor: i64) -> u32 {
        let _ = budget_left_minor;
        todo!()
    }

    /// Sum of the odds of the tiers that are not masked, in parts per 10^9.
    pub fn odds_ppb(&self, tier_mask: u32) -> u32 {
        let _ = tier_mask;
        todo!()
    }
}

impl Prize {
    /// The most it can cost, in minor units.
    pub fn max_minor(&self) -> i64 {
        match *self {
            Prize::Fixed { fixed } => fixed,
            Prize::Share { max, .. } => max,
        }
    }

    /// What it pays for a transaction of this amount (both in the table's currency).
    pub fn amount(&self, transaction: Money) -> Money {
        let _ = transaction;
        todo!()
    }
}
