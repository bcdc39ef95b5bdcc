//! Gamma and beta functions, as far as intervals and p-values need them.
//!
//! Three functions, so not a crate of them. A million draws need about √max(a, b), a thousand,
//! terms of the incomplete beta's fraction (Numerical Recipes, 3rd ed., 6.4), so it goes on until
//! it converges. Both fractions are evaluated by Lentz's method as given there.

/// More than any counts of ours need; reached, the value would be wrong, so it is no value.
const TERMS_MAX: u32 = 1_000_000;
const TINY: f64 = 1e-300;

/// `ln Γ(x)` for `x > 0`: Stirling's series from 10 on, below it by recurrence.
pub(super) fn ln_gamma(x: f64) -> f64 {
    let (mut x, mut shift) = (x, 0.0);
    while x < 10.0 {
        shift -= x.ln();
        x += 1.0;
    }
    let square = x * x;
    // B_2k / (2k (2k − 1) x^(2k − 1)); the next term is below 1e-16 from 10 on.
    let series = 1.0 / 12.0
        - (1.0 / 360.0
            - (1.0 / 1260.0
                - (1.0 / 1680.0 - (1.0 / 1188.0 - 691.0 / (360_360.0 * square)) / square) / square)
                / square)
            / square;
    shift + (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series / x
}

/// `ln B(a, b)`.
pub(super) fn ln_beta(a: f64, b: f64) -> f64 {
    ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b)
}

/// The regularized incomplete beta function `I_x(a, b)`: the chance that a Beta(a, b) variable is
/// below `x`.
pub(super) fn beta_regularized(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (a * x.ln() + b * (-x).ln_1p() - ln_beta(a, b)).exp();
    // The fraction converges fast on this side of the mean; the other side by symmetry.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(x, a, b) / a
    } else {
        1.0 - front * beta_fraction(1.0 - x, b, a) / b
    }
}

#[expect(clippy::many_single_char_names, reason = "the names of the formula")]
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for term in 1..=TERMS_MAX {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        value *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        value *= d * c;
        if (d * c - 1.0).abs() < f64::EPSILON {
            return value;
        }
    }
    f64::NAN
}

/// `Q(a, x) = Γ(a, x) / Γ(a)`: the chance that a chi-square variable of `2a` degrees is above `2x`.
pub(super) fn gamma_upper_regularized(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 { 1.0 - front * gamma_series(a, x) } else { front * gamma_fraction(a, x) }
}

fn gamma_series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum) = (1.0 / a, 1.0 / a);
    for n in 1..=TERMS_MAX {
        term *= x / (a + f64::from(n));
        sum += term;
        if term < sum * f64::EPSILON {
            return sum;
        }
    }
    f64::NAN
}

#[expect(clippy::many_single_char_names, reason = "the names of the formula")]
fn gamma_fraction(a: f64, x: f64) -> f64 {
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / away_from_zero(b);
    let mut value = d;
    for n in 1..=TERMS_MAX {
        let n = f64::from(n);
        let step = -n * (n - a);
        b += 2.0;
        d = 1.0 / away_from_zero(step * d + b);
        c = away_from_zero(b + step / c);
        value *= d * c;
        if (d * c - 1.0).abs() < f64::EPSILON {
            return value;
        }
    }
    f64::NAN
}

fn away_from_zero(x: f64) -> f64 {
    if x.abs() < TINY { TINY } else { x }
}
