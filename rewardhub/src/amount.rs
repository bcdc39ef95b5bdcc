//! Money on the command line, as people write it: `5000.00 GBP`.

use ledger_core::money::{Currency, Money};

/// An amount as it is typed. A bare number of pounds is refused: earlier releases took it for
/// pence.
pub(crate) fn parse(text: &str) -> Result<Money, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [number, code] = words[..] else {
        return Err("must be an amount and a currency such as 5000.00 GBP".into());
    };
    let currency = Currency::from_code(code).ok_or("must end with an ISO 4217 code in use such as GBP")?;
    let decimals = usize::from(currency.exponent());
    let example = if decimals == 0 { "5000".into() } else { format!("5000.{}", "0".repeat(decimals)) };
    let wrong =
        || format!("must be written with {decimals} decimals and nothing between digits: {example} {code}");
    let (major, minor) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if major.is_empty() || !digits(major) || !digits(minor) || minor.len() != decimals {
        return Err(wrong());
    }
    if number.contains('.') != (decimals > 0) {
        return Err(wrong());
    }
    let minor = format!("{major}{minor}").parse().map_err(|_| "is more than can be held")?;
    Money::new(minor, currency).map_err(|error| error.to_string())
}

/// The same way back.
pub(crate) fn text(money: Money) -> String {
    decimal(u128::from(money.minor().unsigned_abs()), money.currency().exponent(), money.currency())
}

/// The same of minor units that the service counts.
pub(crate) fn text_of(minor: i64, currency: Currency) -> String {
    Money::new(minor, currency).map_or_else(|_| format!("{minor} {currency}"), text)
}

/// What a draw costs: parts per 10^9 of a minor unit, rounded up to a hundredth of one.
pub(crate) fn cost_text(ppb_minor: u128, currency: Currency) -> String {
    decimal(ppb_minor.div_ceil(10_000_000), currency.exponent() + 2, currency)
}

fn decimal(units: u128, decimals: u16, currency: Currency) -> String {
    if decimals == 0 {
        return format!("{units} {currency}");
    }
    let unit = 10_u128.pow(u32::from(decimals));
    format!("{}.{:0width$} {currency}", units / unit, units % unit, width = usize::from(decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_and_written_as_people_write_it() {
        for written in ["5000.00 GBP", "0.01 GBP", "12 JPY", "1.234 BHD", "0.00 GBP"] {
            assert_eq!(text(parse(written).unwrap()), written);
        }
        assert_eq!(parse(" 5000.00   GBP ").unwrap().minor(), 500_000);
    }

    #[test]
    fn an_amount_that_may_be_meant_otherwise_is_refused() {
        for (written, says) in [
            ("5000 GBP", "5000.00 GBP"),
            ("5,000.00 GBP", "5000.00 GBP"),
            ("50.0 GBP", "2 decimals"),
            ("50.000 GBP", "2 decimals"),
            ("5000.00", "an amount and a currency"),
            ("GBP 5000.00", "ISO 4217"),
            ("5000.00 GBX", "ISO 4217"),
            ("-1.00 GBP", "5000.00 GBP"),
            (".50 GBP", "5000.00 GBP"),
            ("12.0 JPY", "5000 JPY"),
            ("99999999999999999999.00 GBP", "more than can be held"),
        ] {
            let said = parse(written).unwrap_err();
            assert!(said.contains(says), "{written}: {said}");
        }
    }

    #[test]
    fn what_a_draw_costs_is_rounded_up() {
        let gbp = Currency::from_code("GBP").unwrap();
        assert_eq!(cost_text(16_500_000_000, gbp), "0.1650 GBP");
        assert_eq!(cost_text(16_500_000_001, gbp), "0.1651 GBP");
    }
}
