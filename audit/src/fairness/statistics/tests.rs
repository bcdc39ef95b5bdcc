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

#[test]
fn what_cannot_happen_is_endless_evidence() {
    let mut evidence = Evidence::default();
    evidence.observe(0, 1_000, 0);
    evidence.observe(1_000_000_000, 50, 50);
    assert_eq!(evidence.ln_e().to_bits(), 0.0_f64.to_bits(), "as it must be");
    evidence.observe(0, 1, 1);
    assert!(evidence.ln_e().is_infinite());
}

#[test]
fn a_split_stake_is_the_average_of_its_parts() {
    let mut split = SplitEvidence::of(2);
    split.observe([100_000_000, 200_000_000].into_iter(), 1_000, &[(0, 150), (1, 150)]);
    let of = |odds_ppb, wins| {
        let mut evidence = Evidence::default();
        evidence.observe(odds_ppb, 1_000, wins);
        evidence.ln_e()
    };
    let parts = [of(300_000_000, 300), of(100_000_000, 150), of(200_000_000, 150)];
    let average = parts.iter().map(|part| part.exp()).sum::<f64>() / 3.0;
    close(split.ln_e(), average.ln());
    assert!(parts[0] < 0.0 && split.ln_e() > ALARM.ln(), "as many won, but not the same prizes: {parts:?}");
    // Masked, a tier has no odds; a win of it cannot be.
    split.observe([0, 200_000_000].into_iter(), 1, &[(0, 1)]);
    assert!(split.ln_e().is_infinite());
}
