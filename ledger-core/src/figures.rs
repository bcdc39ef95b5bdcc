//! Numbers as metrics want them.

/// The number as a gauge or a histogram takes it: exact to 2^53, which is 9 * 10^15 events.
pub fn figure(number: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact to 2^53; beyond it a gauge needs no last digit")]
    let figure = number as f64;
    figure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_exact_beyond_32_bits() {
        for number in [0, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, (1 << 53) - 1, 1 << 53] {
            let text = format!("{:.0}", figure(number));
            assert_eq!(text, number.to_string());
        }
        assert!(figure(u64::MAX) < f64::MAX, "never what nobody counts");
    }
}
