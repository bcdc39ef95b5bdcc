//! The prize table: tiers in order, odds in parts per 10^9.

use std::collections::{BTreeMap, HashSet};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use super::notation::{OddsText, ShareText};
use crate::ids::Digest;
use crate::money::{BasisPoints, Currency, Money};
use crate::text::check_name;

/// The whole of probability: odds are parts of this.
pub const ODDS_WHOLE_PPB: u32 = 1_000_000_000;
/// A mask has a bit for every tier.
pub const TIERS_MAX: usize = 32;

/// What can be won, in one currency. `table_hash` is taken over its RFC 8785 JSON, so the names of
/// its fields are fixed for ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PrizeTable {
    /// Of all prizes.
    pub currency: Currency,
    /// In order of the draw.
    pub tiers: Vec<Tier>,
}

/// One prize and its odds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tier {
    /// For people, unique in its table.
    pub name: String,
    /// Parts per 10^9, above zero.
    pub odds_ppb: u32,
    /// What it pays.
    pub prize: Prize,
}

/// What a tier pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
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
    /// Checks what a draw needs and the types do not say: 1–32 tiers with unique names, odds above
    /// zero whose sum is at most 10^9, prizes above zero and within what JSON numbers hold exactly.
    pub fn validate(&self) -> Result<(), TableError> {
        if self.tiers.is_empty() || self.tiers.len() > TIERS_MAX {
            return Err(error("tiers", format!("must have 1 to {TIERS_MAX} tiers")));
        }
        let mut names = HashSet::new();
        let mut odds_left_ppb = ODDS_WHOLE_PPB;
        for (index, tier) in self.tiers.iter().enumerate() {
            let at = |field: &str, message: String| Err(error(format!("tiers[{index}].{field}"), message));
            if !names.insert(&tier.name) {
                return at("name", "must differ from the names before it".into());
            }
            if tier.odds_ppb == 0 || tier.odds_ppb > ODDS_WHOLE_PPB {
                return at("odds_ppb", format!("must be 1 to {ODDS_WHOLE_PPB}"));
            }
            match odds_left_ppb.checked_sub(tier.odds_ppb) {
                Some(left) => odds_left_ppb = left,
                None => {
                    return at("odds_ppb", format!("the odds up to here sum to more than {ODDS_WHOLE_PPB}"));
                }
            }
            if let Err((field, message)) = tier.prize.check() {
                return at(field, message);
            }
        }
        Ok(())
    }

    /// Checks the names: 1–100 printable characters without surrounding space, no card number.
    /// Tables are drawn from whatever they were called by earlier releases, so only terms that are
    /// written now are asked.
    pub fn check_names(&self) -> Result<(), TableError> {
        for (index, tier) in self.tiers.iter().enumerate() {
            check_name(&tier.name, NAME_CHARACTERS_MAX)
                .map_err(|fault| error(format!("tiers[{index}].name"), fault.to_string()))?;
        }
        Ok(())
    }

    /// `SHA-256(T ‖ "prize-table" ‖ RFC 8785 JSON)`.
    pub fn hash(&self) -> Digest {
        let mut message = [super::DOMAIN, b"prize-table"].concat();
        let json = serde_json_canonicalizer::to_vec(self).expect("a table has only texts and whole numbers");
        message.extend_from_slice(&json);
        super::sha256(&message)
    }

    /// The tier that `r` falls into, or `None` (no prize); a masked tier's share is no prize.
    pub fn tier(&self, r: u32, tier_mask: u32) -> Option<usize> {
        let mut odds_before = 0_u64;
        for (index, tier) in self.tiers.iter().enumerate() {
            odds_before += u64::from(tier.odds_ppb);
            if u64::from(r) < odds_before {
                return (!is_masked(tier_mask, index)).then_some(index);
            }
        }
        None
    }

    /// Bit i is set where tier i could cost more than `budget_left_minor`.
    pub fn mask(&self, budget_left_minor: i64) -> u32 {
        let too_dear = self.tiers.iter().take(TIERS_MAX).enumerate();
        too_dear
            .filter(|(_, tier)| tier.prize.max_minor() > budget_left_minor)
            .fold(0, |mask, (index, _)| mask | 1 << index)
    }

    /// Sum of the odds of the tiers that are not masked, in parts per 10^9.
    pub fn odds_ppb(&self, tier_mask: u32) -> u32 {
        let open = self.tiers.iter().enumerate().filter(|(index, _)| !is_masked(tier_mask, *index));
        open.fold(0, |sum, (_, tier)| sum.saturating_add(tier.odds_ppb))
    }

    /// Bit i is set where tier i has been won as often as the inventory has it.
    pub fn sold_out(&self, inventory: &BTreeMap<String, u64>, wins: impl Fn(&str) -> u64) -> u32 {
        let tiers = self.tiers.iter().take(TIERS_MAX).enumerate();
        let gone =
            tiers.filter(|(_, tier)| inventory.get(&tier.name).is_some_and(|most| wins(&tier.name) >= *most));
        gone.fold(0, |mask, (index, _)| mask | 1 << index)
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

    /// What it pays for a transaction of this amount (both in the table's currency). A small share
    /// of a small amount rounds down to nothing.
    pub fn amount(&self, transaction: Money) -> Money {
        let minor = match *self {
            Prize::Fixed { fixed } => fixed,
            Prize::Share { share_bps, max } => transaction.share(share_bps).minor().min(max),
        };
        Money::new(minor, transaction.currency()).expect("a valid table has no prize below zero")
    }

    fn check(&self) -> Result<(), (&'static str, String)> {
        let (field, minor) = match *self {
            Prize::Share { share_bps, .. } if share_bps.get() == 0 => {
                return Err(("prize.share_bps", "must be 1 to 10000".into()));
            }
            Prize::Share { max, .. } => ("prize.max", max),
            Prize::Fixed { fixed } => ("prize.fixed", fixed),
        };
        if (1..=JSON_EXACT_MAX).contains(&minor) {
            Ok(())
        } else {
            Err((field, format!("must be 1 to {JSON_EXACT_MAX} minor units")))
        }
    }
}

/// Reads the two shapes by hand, so that whoever writes a campaign hears which word is wrong.
/// Serde's own untagged enum answers every slip with "did not match any variant".
impl<'de> Deserialize<'de> for Prize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Prize, D::Error> {
        let fields = PrizeFields::deserialize(deserializer)?;
        match fields {
            PrizeFields { fixed: Some(fixed), share_bps: None, share: None, max: None } => {
                Ok(Prize::Fixed { fixed })
            }
            PrizeFields { fixed: None, share_bps: Some(share_bps), share: None, max: Some(max) }
            | PrizeFields {
                fixed: None,
                share_bps: None,
                share: Some(ShareText(share_bps)),
                max: Some(max),
            } => Ok(Prize::Share { share_bps, max }),
            PrizeFields { fixed: None, share_bps: Some(_), share: None, max: None }
            | PrizeFields { fixed: None, share_bps: None, share: Some(_), max: None } => {
                Err(D::Error::missing_field("max"))
            }
            PrizeFields { fixed: None, share_bps: None, share: None, max: Some(_) } => {
                Err(D::Error::missing_field("share_bps"))
            }
            _ => Err(D::Error::custom("a prize is either `fixed` or `share_bps` with `max`")),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename = "Prize", deny_unknown_fields)]
struct PrizeFields {
    #[serde(default, deserialize_with = "present")]
    fixed: Option<i64>,
    #[serde(default, deserialize_with = "present")]
    share_bps: Option<BasisPoints>,
    #[serde(default, deserialize_with = "present")]
    share: Option<ShareText>,
    #[serde(default, deserialize_with = "present")]
    max: Option<i64>,
}

/// Odds are parts per 10^9, or as people write them: `1 in 500`, `0.2 %`. What is recorded are the
/// parts.
impl<'de> Deserialize<'de> for Tier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Tier, D::Error> {
        let TierFields { name, odds_ppb, odds, prize } = TierFields::deserialize(deserializer)?;
        let odds_ppb = match (odds_ppb, odds) {
            (Some(parts), None) | (None, Some(OddsText(parts))) => parts,
            (None, None) => return Err(D::Error::missing_field("odds_ppb")),
            (Some(_), Some(_)) => return Err(D::Error::custom("odds are either `odds_ppb` or `odds`")),
        };
        Ok(Tier { name, odds_ppb, prize })
    }
}

#[derive(Deserialize)]
#[serde(rename = "Tier", deny_unknown_fields)]
struct TierFields {
    name: String,
    #[serde(default, deserialize_with = "present")]
    odds_ppb: Option<u32>,
    #[serde(default, deserialize_with = "present")]
    odds: Option<OddsText>,
    prize: Prize,
}

/// A field that may be absent but not null.
fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The largest whole number that RFC 8785's numbers (IEEE doubles) tell from its neighbours.
const JSON_EXACT_MAX: i64 = 1 << 53;
const NAME_CHARACTERS_MAX: usize = 100;

/// Whether a tier cannot be won under this mask.
pub fn is_masked(tier_mask: u32, index: usize) -> bool {
    index < TIERS_MAX && tier_mask >> index & 1 == 1
}

fn error(field: impl Into<String>, message: impl Into<String>) -> TableError {
    TableError { field: field.into(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> PrizeTable {
        let json = r#"{"currency":"GBP","tiers":[
            {"name":"ten","odds_ppb":100,"prize":{"fixed":1000}},
            {"name":"five per cent","odds_ppb":200,"prize":{"share_bps":500,"max":50}}]}"#;
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_masked_tiers_share_is_no_prize_and_moves_nowhere() {
        let table = table();
        assert_eq!(table.tier(0, 0), Some(0));
        assert_eq!(table.tier(99, 0), Some(0));
        assert_eq!(table.tier(100, 0), Some(1));
        assert_eq!(table.tier(299, 0), Some(1));
        assert_eq!(table.tier(300, 0), None);
        assert_eq!(table.tier(99, 0b01), None);
        assert_eq!(table.tier(100, 0b01), Some(1));
        assert_eq!(table.tier(100, 0b10), None);
        assert_eq!(
            [0b00, 0b01, 0b10, 0b11, u32::MAX].map(|mask| table.odds_ppb(mask)),
            [300, 200, 100, 0, 0]
        );
    }

    #[test]
    fn a_tier_is_masked_where_the_budget_could_not_pay_its_most() {
        let table = table();
        assert_eq!([1000, 999, 50, 49, 0].map(|left| table.mask(left)), [0b00, 0b01, 0b01, 0b11, 0b11]);
    }

    #[test]
    fn a_share_is_rounded_down_and_capped() {
        let gbp = |minor| Money::new(minor, Currency::from_code("GBP").unwrap()).unwrap();
        let [fixed, share] = [0, 1].map(|i| table().tiers[i].prize.clone());
        assert_eq!(fixed.amount(gbp(1)), gbp(1000));
        assert_eq!(share.amount(gbp(199)), gbp(9));
        assert_eq!(share.amount(gbp(i64::MAX)), gbp(50));
        assert_eq!(share.amount(gbp(19)), gbp(0));
    }

    #[test]
    fn a_refused_table_says_which_field_is_wrong() {
        type Change = fn(&mut PrizeTable);
        let fault = |change: Change| {
            let mut table = table();
            change(&mut table);
            table.validate().and_then(|()| table.check_names()).map_err(|error| error.field)
        };
        assert_eq!(fault(|_| ()), Ok(()));
        assert_eq!(fault(|t| t.tiers[1].odds_ppb = ODDS_WHOLE_PPB - 100), Ok(()));
        let cases: [(Change, &str); 19] = [
            (|t| t.tiers.clear(), "tiers"),
            (|t| t.tiers = vec![t.tiers[0].clone(); 33], "tiers"),
            (|t| t.tiers[0].name = " ".into(), "tiers[0].name"),
            (|t| t.tiers[0].name = "a\u{202e}b".into(), "tiers[0].name"),
            (|t| t.tiers[0].name = "a ".into(), "tiers[0].name"),
            (|t| t.tiers[0].name = "é".repeat(101), "tiers[0].name"),
            (|t| t.tiers[1].name = "a\u{fe0f}".into(), "tiers[1].name"),
            (|t| t.tiers[1].name = "4111 1111 1111 1111".into(), "tiers[1].name"),
            (|t| t.tiers[1].name = "ten".into(), "tiers[1].name"),
            (|t| t.tiers[0].odds_ppb = 0, "tiers[0].odds_ppb"),
            (|t| t.tiers[1].odds_ppb = ODDS_WHOLE_PPB + 1, "tiers[1].odds_ppb"),
            (|t| t.tiers[1].odds_ppb = ODDS_WHOLE_PPB - 99, "tiers[1].odds_ppb"),
            (|t| t.tiers[0].prize = Prize::Fixed { fixed: 0 }, "tiers[0].prize.fixed"),
            (|t| t.tiers[0].prize = Prize::Fixed { fixed: -1 }, "tiers[0].prize.fixed"),
            (|t| t.tiers[0].prize = Prize::Fixed { fixed: JSON_EXACT_MAX + 1 }, "tiers[0].prize.fixed"),
            (|t| t.tiers[1].prize = share(0, 1), "tiers[1].prize.share_bps"),
            (|t| t.tiers[1].prize = share(1, 0), "tiers[1].prize.max"),
            (|t| t.tiers[1].prize = share(1, i64::MIN), "tiers[1].prize.max"),
            (|t| t.tiers[1].prize = share(1, i64::MAX), "tiers[1].prize.max"),
        ];
        for (change, field) in cases {
            assert_eq!(fault(change), Err(field.to_owned()));
        }
    }

    fn share(bps: u16, max: i64) -> Prize {
        Prize::Share { share_bps: BasisPoints::new(bps).unwrap(), max }
    }

    #[test]
    fn a_misspelt_prize_is_refused_in_words() {
        let cases = [
            (r#"{"fixd":5}"#, "unknown field `fixd`"),
            (r#"{"fixed":5,"max":6}"#, "either `fixed` or `share_bps` with `max`"),
            (r#"{"fixed":5,"max":null}"#, "invalid type: null"),
            (r"{}", "either `fixed` or `share_bps` with `max`"),
            (r#"{"share_bps":5}"#, "missing field `max`"),
            (r#"{"max":5}"#, "missing field `share_bps`"),
            (r#"{"share_bps":10001,"max":5}"#, "more than 10000 basis points"),
            (r#"{"fixed":1.5}"#, "invalid type: floating point"),
            (r#"{"fixed":"5"}"#, "invalid type: string"),
            (r#"{"fixed":5,"fixed":6}"#, "duplicate field `fixed`"),
        ];
        for (json, expected) in cases {
            let error = serde_json::from_str::<Prize>(json).unwrap_err().to_string();
            assert!(error.contains(expected), "{json} was refused with {error:?}");
        }
    }
}
