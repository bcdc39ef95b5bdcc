use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

use super::special::ln_gamma;
use super::*;

fn close(found: f64, expected: f64) {
    let error = (found - expected).abs() / expected.abs().max(1e-300);
    assert!(error < 1e-9, "{found} is not {expected}");
}

/// The values of ln Γ are those of Python's `math.lgamma`, which is the C library's.
#[test]
fn the_special_functions_have_their_published_values() {
    close(ln_gamma(0.5), 0.572_364_942_924_700_1);
    close(ln_gamma(3.7), 1.428_072_326_665_388_3);
    close(ln_gamma(1e6), 12_815_504.569_147_61);
    // I_0.5(2, 3) = 11/16; symmetric ones are one half.
    close(beta_regularized(0.5, 2.0, 3.0), 0.6875);
    close(beta_regularized(0.5, 40.0, 40.0), 0.5);
    // Where a fraction cut off early would be wrong.
    close(beta_regularized(0.5, 1e6, 1e6), 0.5);
    // Q(1, x) = e^-x, on both sides of the switch.
    close(gamma_upper_regularized(1.0, 0.5), (-0.5_f64).exp());
    close(gamma_upper_regularized(1.0, 9.0), (-9.0_f64).exp());
}

#[test]
fn intervals_are_the_exact_ones() {
    // 0 of n: 1 − (α/2)^(1/n); n of n by symmetry.
    let (low, high) = clopper_pearson(0, 20, 0.05);
    assert_eq!(low.to_bits(), 0.0_f64.to_bits());
    close(high, 1.0 - 0.025_f64.powf(1.0 / 20.0));
    let (low, high) = clopper_pearson(20, 20, 0.05);
    close(low, 0.025_f64.powf(1.0 / 20.0));
    assert_eq!(high.to_bits(), 1.0_f64.to_bits());
    assert_eq!(clopper_pearson(0, 0, 0.05), (0.0, 1.0));
    // At the ends the tails of the binomial are α/2: summed directly.
    let (low, high) = clopper_pearson(7, 50, 0.01);
    let at_least_7: f64 = (7..=50).map(|k| binomial(50, low)[k]).sum();
    let at_most_7: f64 = (0..=7).map(|k| binomial(50, high)[k]).sum();
    assert!(
        (at_least_7 - 0.005).abs() < 1e-9 && (at_most_7 - 0.005).abs() < 1e-9,
        "{at_least_7} {at_most_7}"
    );
}

#[test]
fn a_loaded_wheel_is_not_uniform() {
    let (_, p) = chi_square_uniform(&[1_000; 100]);
    close(p, 1.0);
    let mut bins = [1_000; 100];
    bins[0] = 1_300;
    let (chi_square, p) = chi_square_uniform(&bins);
    assert!(chi_square > 80.0 && p > 0.5, "one of a hundred bins may stray: {p}");
    bins[..20].fill(1_150);
    let (_, p) = chi_square_uniform(&bins);
    assert!(p < 1e-4, "{p}");
    // One degree of freedom: erfc(√(χ²/2)), here of √2.
    let (chi_square, p) = chi_square_uniform(&[60, 40]);
    close(chi_square, 4.0);
    close(p, 0.045_500_263_896_358_42);
}

/// All probabilities of a binomial distribution.
fn binomial(n: u32, p: f64) -> Vec<f64> {
    let ln = |k: u32| {
        let (k, n) = (f64::from(k), f64::from(n));
        ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0) + k * p.ln() + (n - k) * (-p).ln_1p()
    };
    (0..=n).map(|k| ln(k).exp()).collect()
}

/// Wins a day, drawn from their exact distribution by inversion.
struct Days {
    cumulative: Vec<f64>,
    generator: ChaCha20Rng,
}

const DRAWS_A_DAY: u32 = 20_000;
const CONFIGURED_PPB: u32 = 55_000_000;

impl Days {
    fn of(truth: f64, seed: u8) -> Days {
        let mut sum = 0.0;
        let add = |p: f64| {
            sum += p;
            sum
        };
        let cumulative = binomial(DRAWS_A_DAY, truth).into_iter().map(add).collect();
        Days { cumulative, generator: ChaCha20Rng::from_seed([seed; 32]) }
    }

    fn wins(&mut self) -> u64 {
        let uniform = (self.generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        self.cumulative.partition_point(|below| *below < uniform) as u64
    }

    /// The day of the alarm within so many days.
    fn alarm(&mut self, days: u32) -> Option<u32> {
        let mut evidence = Evidence::default();
        (1..=days).find(|_| {
            evidence.observe(CONFIGURED_PPB, u64::from(DRAWS_A_DAY), self.wins());
            evidence.ln_e() >= ALARM.ln()
        })
    }
}

#[test]
fn fair_quarters_raise_a_false_alarm_in_less_than_one_of_a_hundred() {
    let mut fair = Days::of(0.055, 1);
    let quarters = 2_000;
    let alarms = (0..quarters).filter(|_| fair.alarm(91).is_some()).count();
    println!("{alarms} false alarms in {quarters} fair quarters of 91 days, looked at every day");
    assert!(alarms * 100 < quarters, "{alarms}");
}

#[test]
fn an_error_of_a_tenth_in_the_odds_is_found_within_days() {
    for (truth, seed) in [(0.0605, 2), (0.0495, 3)] {
        let mut wrong = Days::of(truth, seed);
        let mut days: Vec<u32> = (0..2_000).map(|_| wrong.alarm(91).expect("found in a quarter")).collect();
        days.sort_unstable();
        let (median, late) = (days[days.len() / 2], days[days.len() * 95 / 100]);
        println!(
            "odds of 5.5 % that are {:.2} %: found after {median} days (median), {late} (95th percentile)",
            truth * 100.0
        );
        assert!(median <= 3 && late <= 5, "{truth}: {median} and {late} days");
    }
}

#[test]
fn what_cannot_happen_is_endless_evidence() {
    let mut evidence = Evidence::default();
    evidence.observe(0, 1_000, 0);
    evidence.observe(1_000_000_000, 50, 50);
    assert_eq!(evidence.ln_e().to_bits(), 0.0_f64.to_bits(), "as it must be");
    evidence.observe(0, 1, 1);
    assert!(evidence.ln_e().is_infinite());
}
