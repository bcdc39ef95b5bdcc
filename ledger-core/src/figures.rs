//! Numbers as metrics want them, and as people read them.

/// The number as a gauge or a histogram takes it: exact to 2^53, which is 9 * 10^15 events.
pub fn figure(number: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "exact to 2^53; beyond it a gauge needs no last digit")]
    let figure = number as f64;
    figure
}

/// With commas between thousands: `12,345,678`.
pub fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (123_456, "123,456"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_figure_is_exact_beyond_32_bits() {
        for number in [0, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, (1 << 53) - 1, 1 << 53] {
            let text = format!("{:.0}", figure(number));
            assert_eq!(text, number.to_string());
        }
        assert!(figure(u64::MAX) < f64::MAX, "never what nobody counts");
    }
}
