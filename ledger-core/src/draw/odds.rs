//! What a prize table promises and costs, exactly: whole numbers only.

use super::table::{ODDS_WHOLE_PPB, PrizeTable, Tier};

impl PrizeTable {
    /// What one draw costs on average, in 10^-9 minor units; a share prize counts as its `max`.
    pub fn expected_cost_ppb(&self) -> u128 {
        let cost = |tier: &Tier| {
            u128::from(tier.odds_ppb) * u128::try_from(tier.prize.max_minor()).unwrap_or_default()
        };
        self.tiers.iter().map(cost).sum()
    }

    /// The chance to win anything, for the terms, such as `1 in 10 (10.0000000 %)`.
    pub fn odds_text(&self) -> String {
        let odds: u64 = self.tiers.iter().map(|tier| u64::from(tier.odds_ppb)).sum();
        odds_text(odds)
    }
}

impl Tier {
    /// The chance of this tier, in the same words.
    pub fn odds_text(&self) -> String {
        odds_text(u64::from(self.odds_ppb))
    }
}

fn odds_text(odds_ppb: u64) -> String {
    let whole = u64::from(ODDS_WHOLE_PPB);
    let divisor = greatest_common_divisor(odds_ppb, whole);
    // A part per 10^9 is 10^-7 of a per cent: seven places are exact.
    let (percent, rest) = (odds_ppb / 10_000_000, odds_ppb % 10_000_000);
    format!("{} in {} ({percent}.{rest:07} %)", odds_ppb / divisor, whole / divisor)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Prize;
    use crate::money::{BasisPoints, Currency};

    fn table(tiers: &[(u32, Prize)]) -> PrizeTable {
        let tier = |(n, (odds_ppb, prize)): (usize, &(u32, Prize))| Tier {
            name: format!("tier {n}"),
            odds_ppb: *odds_ppb,
            prize: prize.clone(),
        };
        let currency = Currency::from_code("GBP").unwrap();
        PrizeTable { currency, tiers: tiers.iter().enumerate().map(tier).collect() }
    }

    fn text(odds: &[u32]) -> String {
        let tiers: Vec<_> = odds.iter().map(|odds| (*odds, Prize::Fixed { fixed: 1 })).collect();
        table(&tiers).odds_text()
    }

    #[test]
    fn odds_are_told_exactly_for_the_whole_table() {
        assert_eq!(text(&[100_000_000]), "1 in 10 (10.0000000 %)");
        assert_eq!(text(&[100_000_000, 200_000_000]), "3 in 10 (30.0000000 %)");
        assert_eq!(text(&[333_333_333]), "333333333 in 1000000000 (33.3333333 %)");
        assert_eq!(text(&[1]), "1 in 1000000000 (0.0000001 %)");
        assert_eq!(text(&[1_000_000_000]), "1 in 1 (100.0000000 %)");
    }

    #[test]
    fn the_cost_of_a_draw_is_exact_also_where_it_is_large() {
        let share = Prize::Share { share_bps: BasisPoints::new(500).unwrap(), max: 10_00 };
        let everyday = table(&[(20_000, Prize::Fixed { fixed: 100_000 }), (50_000_000, share)]);
        assert_eq!(everyday.expected_cost_ppb(), 2_000_000_000 + 50_000_000_000);
        let large = table(&[(1_000_000_000, Prize::Fixed { fixed: 1 << 53 })]);
        assert_eq!(large.expected_cost_ppb(), (1 << 53) * 1_000_000_000);
    }
}
