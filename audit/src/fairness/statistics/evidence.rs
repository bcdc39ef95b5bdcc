//! An e-process: evidence against the configured odds that may be looked at every day, or after
//! every draw.
//!
//! Under honest odds its value is a martingale that starts at 1 and never falls below 0, so by
//! Ville's inequality (J. Ville, *Étude critique de la notion de collectif*, 1939) the chance that
//! it ever reaches 100 is at most 1 %, however often one looks and whenever one stops. It is the
//! wealth of somebody who bets against the odds (G. Shafer, *Testing by betting*, JRSS A 184, 2021;
//! I. Waudby-Smith and A. Ramdas, *Estimating means of bounded random variables by betting*, JRSS B
//! 86, 2024), spread over all alternatives at once as in Robbins' mixture (H. Robbins, *Statistical
//! methods related to the law of the iterated logarithm*, 1970): here a Beta distribution around
//! the odds, so that odds too high and too low are found alike.
//!
//! Odds moved from one tier to another leave "won or not" as it was. So the stake is split evenly
//! between one such process for each tier and one for a win of any tier ([`SplitEvidence`]): an
//! average of e-processes is an e-process (V. Vovk and R. Wang, *E-values: calibration, combination
//! and applications*, Annals of Statistics 49, 2021; for processes A. Ramdas, P. Grünwald, V. Vovk
//! and G. Shafer, *Game-theoretic statistics and safe anytime-valid inference*, Statistical Science
//! 38, 2023), however much one tier's wins tell of another's.

use std::collections::BTreeMap;

use super::special::ln_beta;

/// Reached once, it is an alarm: in fair draws that happens in at most 1 of 100 campaigns, ever.
pub const ALARM: f64 = 100.0;

/// The bets are spread over true odds about this far (one standard deviation) from the configured
/// ones.
const SPREAD: f64 = 0.1;

/// Draws and wins by the odds in force. A mask that leaves other odds has bets of its own, and
/// wealths multiply: which odds are in force is known before each draw.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    by_odds: BTreeMap<u32, Count>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    draws: u64,
    wins: u64,
}

impl Evidence {
    /// Takes draws made at these odds (parts per 10^9) and how many of them won.
    pub fn observe(&mut self, odds_ppb: u32, draws: u64, wins: u64) {
        let count = self.by_odds.entry(odds_ppb).or_default();
        count.draws += draws;
        count.wins += wins;
    }

    /// The natural logarithm of the e-process now; infinite where something impossible happened.
    pub fn ln_e(&self) -> f64 {
        self.by_odds.iter().map(|(odds_ppb, count)| count.ln_e(*odds_ppb)).sum()
    }
}

/// Evidence against the odds of one table: of each tier, and of a win of any tier. Each bets on an
/// even part of the stake, so its own alarm is one of [`ALARM`] times the number of parts.
#[derive(Clone, Debug)]
pub struct SplitEvidence {
    any: Evidence,
    tiers: Vec<Evidence>,
}

impl SplitEvidence {
    /// Of a table with so many tiers.
    pub fn of(tiers: usize) -> SplitEvidence {
        SplitEvidence { any: Evidence::default(), tiers: vec![Evidence::default(); tiers] }
    }

    /// Takes draws made at these odds, tier by tier (parts per 10^9, 0 where it was masked), and
    /// how often tiers won.
    pub fn observe(&mut self, odds_ppb: impl Iterator<Item = u32>, draws: u64, wins: &[(usize, u64)]) {
        let mut all_ppb = 0_u32;
        for (index, (evidence, odds_ppb)) in self.tiers.iter_mut().zip(odds_ppb).enumerate() {
            let of_tier = wins.iter().filter(|(tier, _)| *tier == index).map(|(_, wins)| wins).sum();
            evidence.observe(odds_ppb, draws, of_tier);
            all_ppb = all_ppb.saturating_add(odds_ppb);
        }
        self.any.observe(all_ppb, draws, wins.iter().map(|(_, wins)| wins).sum());
    }

    /// The natural logarithm of the average now.
    pub fn ln_e(&self) -> f64 {
        let parts = || std::iter::once(self.ln_e_any()).chain(self.ln_e_of_tiers());
        // Apart from the largest, so that none is too large for a float.
        let largest = parts().fold(f64::NEG_INFINITY, f64::max);
        if largest.is_infinite() {
            return largest;
        }
        let sum: f64 = parts().map(|part| (part - largest).exp()).sum();
        largest + (sum / (self.tiers.len() + 1) as f64).ln()
    }

    /// Of a win of any tier.
    pub fn ln_e_any(&self) -> f64 {
        self.any.ln_e()
    }

    /// Tier by tier.
    pub fn ln_e_of_tiers(&self) -> impl Iterator<Item = f64> {
        self.tiers.iter().map(Evidence::ln_e)
    }
}

impl Count {
    /// `ln ∫ q^k (1−q)^(n−k) / (p^k (1−p)^(n−k)) dBeta(q; a, b)`.
    fn ln_e(self, odds_ppb: u32) -> f64 {
        let (wins, losses) = (self.wins as f64, (self.draws - self.wins) as f64);
        let p = f64::from(odds_ppb) / 1e9;
        if odds_ppb == 0 || odds_ppb >= ledger_core::draw::ODDS_WHOLE_PPB {
            let impossible = if odds_ppb == 0 { wins } else { losses };
            return if impossible > 0.0 { f64::INFINITY } else { 0.0 };
        }
        let weight = ((1.0 - p) / p).max(p / (1.0 - p)) / (SPREAD * SPREAD);
        let (a, b) = (p * weight, (1.0 - p) * weight);
        ln_beta(a + wins, b + losses) - ln_beta(a, b) - wins * p.ln() - losses * (-p).ln_1p()
    }
}
