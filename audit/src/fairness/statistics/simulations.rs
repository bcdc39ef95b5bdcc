//! Quarters of 20,000 draws a day, through the accumulator that the report uses. Counts are drawn
//! from their exact distributions, seeds are fixed.

use chrono::NaiveDate;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::json;

use super::special::ln_gamma;
use crate::fairness::sheet::Sheet;
use ledger_core::draw::PrizeTable;
use ledger_core::ids::Digest;

const DRAWS_A_DAY: u64 = 20_000;
const DAYS: u32 = 91;
const QUARTERS: usize = 2_000;
/// 5.5 % in all, as the table says.
const TOLD: [f64; 3] = [0.000_5, 0.015, 0.039_5];

fn table() -> PrizeTable {
    serde_json::from_value(json!({ "currency": "GBP", "tiers": [
        { "name": "jackpot", "odds_ppb": 500_000, "prize": { "fixed": 100_000 } },
        { "name": "medium", "odds_ppb": 15_000_000, "prize": { "fixed": 1_000 } },
        { "name": "small", "odds_ppb": 39_500_000, "prize": { "fixed": 100 } },
    ] }))
    .unwrap()
}

struct Chance(ChaCha20Rng);

impl Chance {
    fn of(seed: u8) -> Chance {
        Chance(ChaCha20Rng::from_seed([seed; 32]))
    }

    /// Binomial, by inversion from the mode outwards.
    fn binomial(&mut self, n: u64, p: f64) -> u64 {
        if n == 0 || p <= 0.0 {
            return 0;
        }
        let of = n as f64;
        let mode = ((of + 1.0) * p).floor().min(of);
        let at_mode = (ln_gamma(of + 1.0) - ln_gamma(mode + 1.0) - ln_gamma(of - mode + 1.0)
            + mode * p.ln()
            + (of - mode) * (-p).ln_1p())
        .exp();
        let mut left = (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64 - at_mode;
        let (mut low, mut high) = ((mode, at_mode), (mode, at_mode));
        let mut found = mode;
        while left > 0.0 && (low.1 > 1e-18 || high.1 > 1e-18) {
            high = (high.0 + 1.0, high.1 * (of - high.0) / (high.0 + 1.0) * p / (1.0 - p));
            (found, left) = (high.0, left - high.1);
            if left > 0.0 && low.0 > 0.0 {
                low = (low.0 - 1.0, low.1 * low.0 / (of - low.0 + 1.0) * (1.0 - p) / p);
                (found, left) = (low.0, left - low.1);
            }
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, 0 to n")]
        let found = found as u64;
        found
    }

    /// Wins of each tier in so many draws: exclusive, so each is drawn from what the ones before it
    /// left.
    fn wins(&mut self, draws: u64, truth: [f64; 3]) -> [(usize, u64); 3] {
        let (mut draws, mut chance) = (draws, 1.0);
        let mut wins = [(0, 0), (1, 0), (2, 0)];
        for (tier, p) in truth.into_iter().enumerate() {
            wins[tier].1 = self.binomial(draws, p / chance);
            draws -= wins[tier].1;
            chance -= p;
        }
        wins
    }

    /// The day of the alarm in a quarter with these true odds. In every other draw the jackpot is
    /// masked.
    fn alarm(&mut self, table: &PrizeTable, hash: Digest, truth: [f64; 3]) -> Option<u32> {
        let mut sheet = Sheet::default();
        sheet.table(hash, table);
        let first = NaiveDate::from_ymd_opt(2026, 10, 1).unwrap();
        (0..=DAYS).find(|day| {
            let date = first + chrono::TimeDelta::days(i64::from(*day));
            let open = self.wins(DRAWS_A_DAY / 2, truth);
            let masked = self.wins(DRAWS_A_DAY / 2, [0.0, truth[1], truth[2]]);
            // A day is over when the next one's first draws come.
            sheet.observe(date, hash, 0, DRAWS_A_DAY / 2, &open);
            sheet.observe(date, hash, 1, DRAWS_A_DAY / 2, &masked[1..]);
            sheet.alarm_on().is_some()
        })
    }
}

/// Days until the alarm: the median and the 95th percentile of so many quarters.
fn found_after(truth: [f64; 3], seed: u8, quarters: usize) -> (u32, u32) {
    let (mut chance, table) = (Chance::of(seed), table());
    let hash = table.hash();
    let alarm = |_| chance.alarm(&table, hash, truth).unwrap_or(u32::MAX);
    let mut days: Vec<u32> = (0..quarters).map(alarm).collect();
    days.sort_unstable();
    let (median, late) = (days[days.len() / 2], days[days.len() * 95 / 100]);
    println!("true odds {truth:?}: found after {median} days (median), {late} (95th percentile)");
    (median, late)
}

#[test]
fn fair_quarters_raise_a_false_alarm_in_less_than_one_of_a_hundred() {
    let (mut chance, table) = (Chance::of(1), table());
    let hash = table.hash();
    let alarms = (0..QUARTERS).filter(|_| chance.alarm(&table, hash, TOLD).is_some()).count();
    println!("{alarms} false alarms in {QUARTERS} fair quarters of {DAYS} days, looked at every day");
    assert!(alarms * 100 < QUARTERS, "{alarms}");
}

#[test]
fn an_error_of_a_tenth_in_all_odds_is_found_within_days() {
    for (factor, seed) in [(1.1, 2), (0.9, 3)] {
        let (median, late) = found_after(TOLD.map(|odds| odds * factor), seed, 500);
        assert!(median <= 3 && late <= 5, "{factor}: {median} and {late} days");
    }
}

#[test]
fn odds_moved_between_two_tiers_are_found_though_as_many_win() {
    // A tenth of the medium prize's odds to the small one.
    let (median, late) = found_after([0.000_5, 0.013_5, 0.041], 4, 500);
    assert!(median <= 10 && late <= 20, "{median} and {late} days");
    // All of the jackpot's.
    let (median, late) = found_after([0.0, 0.015, 0.04], 5, 500);
    assert!(median <= 10 && late <= 14, "{median} and {late} days");
}
