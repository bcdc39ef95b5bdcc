//! Statistics of counts, apart from where the counts come from. Floats live here and on the page,
//! never in money or draws.

#![expect(clippy::float_arithmetic, reason = "probabilities are no money")]
#![expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]

mod evidence;
mod special;

pub use evidence::{ALARM, Evidence, SplitEvidence};

use special::{beta_regularized, gamma_upper_regularized};

/// The exact (Clopper–Pearson, 1934) interval for a probability after `wins` of `draws`, at
/// confidence `1 − alpha`. Right also where a handful of wins makes any bell curve wrong.
pub fn clopper_pearson(wins: u64, draws: u64, alpha: f64) -> (f64, f64) {
    if draws == 0 {
        return (0.0, 1.0);
    }
    let (k, n) = (wins as f64, draws as f64);
    let low = if wins == 0 { 0.0 } else { root(|p| beta_regularized(p, k, n - k + 1.0), alpha / 2.0) };
    let high =
        if wins == draws { 1.0 } else { root(|p| beta_regularized(p, k + 1.0, n - k), 1.0 - alpha / 2.0) };
    (low, high)
}

/// Pearson's chi-square of equally likely bins, and how probable one as large is by chance. To be
/// read once, at the end of a period: looked at every day it cries wolf.
pub fn chi_square_uniform(bins: &[u64]) -> (f64, f64) {
    let total: u64 = bins.iter().sum();
    if total == 0 {
        return (0.0, 1.0);
    }
    let expected = total as f64 / bins.len() as f64;
    let square = |count: &u64| (*count as f64 - expected).powi(2) / expected;
    let chi_square: f64 = bins.iter().map(square).sum();
    let degrees = (bins.len() - 1) as f64;
    (chi_square, gamma_upper_regularized(degrees / 2.0, chi_square / 2.0))
}

/// Where a rising function of a probability reaches `level`.
fn root(rising: impl Fn(f64) -> f64, level: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if rising(middle) < level { low = middle } else { high = middle }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod simulations;
#[cfg(test)]
mod tests;
