//! Exact money: integer minor units of an ISO 4217 currency, checked arithmetic, nothing negative.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An ISO 4217 currency that has minor units (GBP has 2, JPY 0, BHD 3).
///
/// Codes without an exponent (gold, test codes) are not currencies a reward can be paid in.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The currency with this upper-case alphabetic code, or `None` where ISO 4217 has no such code or
    /// the code has no minor units.
    pub fn from_code(code: &str) -> Option<Currency> {
        iso_currency::Currency::from_code(code)
            .filter(|c| c.exponent().is_some() && c.is_superseded().is_none())
            .map(Currency)
    }

    /// The three-letter code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// Decimal places of the minor unit: GBP 1234 minor units with exponent 2 are 12.34 pounds.
    pub fn exponent(self) -> u16 {
        self.0.exponent().expect("from_code admits only currencies with an exponent")
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::texts::read(deserializer, |code| {
            Currency::from_code(code).ok_or_else(|| format!("unknown currency {code:?}"))
        })
    }
}

/// An exact amount in minor units: GBP 12.34 is `1234`.
///
/// Invariant: `0 <= minor`. Direction belongs to the entry of a posting, so no sign slips into a payout.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "MoneyParts", into = "MoneyParts")]
pub struct Money {
    minor: i64,
    currency: Currency,
}

/// What arithmetic on money refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Amounts are never negative.
    #[error("an amount of money cannot be negative")]
    Negative,
    /// The result does not fit 63 bits.
    #[error("the sum does not fit")]
    Overflow,
    /// Pounds and euros do not add up.
    #[error("{0} and {1} are different currencies")]
    CurrencyMismatch(Currency, Currency),
}

impl Money {
    /// `minor` units of `currency`.
    pub fn new(minor: i64, currency: Currency) -> Result<Money, MoneyError> {
        if minor < 0 { Err(MoneyError::Negative) } else { Ok(Money { minor, currency }) }
    }

    /// Nothing, in `currency`.
    pub fn zero(currency: Currency) -> Money {
        Money { minor: 0, currency }
    }

    /// Minor units, never negative.
    pub fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub fn currency(self) -> Currency {
        self.currency
    }

    /// Whether there is nothing.
    pub fn is_zero(self) -> bool {
        self.minor == 0
    }

    /// The sum, of one currency.
    pub fn checked_add(self, other: Money) -> Result<Money, MoneyError> {
        let minor = self.minor.checked_add(self.same(other)?).ok_or(MoneyError::Overflow)?;
        Ok(Money { minor, ..self })
    }

    /// The difference, never below zero.
    pub fn checked_sub(self, other: Money) -> Result<Money, MoneyError> {
        let minor = self.minor - self.same(other)?;
        Money::new(minor, self.currency)
    }

    /// `rate` of this amount, rounded down: nobody is paid a fraction of a penny that no budget funded.
    #[must_use]
    pub fn share(self, rate: BasisPoints) -> Money {
        let minor = i128::from(self.minor) * i128::from(rate.0) / 10_000;
        Money { minor: i64::try_from(minor).expect("a share of at most 100 % is at most the amount"), ..self }
    }

    fn same(self, other: Money) -> Result<i64, MoneyError> {
        if self.currency == other.currency {
            Ok(other.minor)
        } else {
            Err(MoneyError::CurrencyMismatch(self.currency, other.currency))
        }
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.currency, self.minor)
    }
}

/// Writes major units as people read them: `GBP 12.34`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exponent = u32::from(self.currency.exponent());
        if exponent == 0 {
            return write!(f, "{} {}", self.currency, self.minor);
        }
        let unit = 10_i64.pow(exponent);
        let (major, minor) = (self.minor / unit, self.minor % unit);
        write!(f, "{} {major}.{minor:0width$}", self.currency, width = exponent as usize)
    }
}

#[derive(Serialize, Deserialize)]
struct MoneyParts {
    minor: i64,
    currency: Currency,
}

impl From<Money> for MoneyParts {
    fn from(money: Money) -> Self {
        MoneyParts { minor: money.minor, currency: money.currency }
    }
}

impl TryFrom<MoneyParts> for Money {
    type Error = MoneyError;
    fn try_from(parts: MoneyParts) -> Result<Self, MoneyError> {
        Money::new(parts.minor, parts.currency)
    }
}

/// Hundredths of a per cent, at most 10,000 (100 %).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct BasisPoints(u16);

impl BasisPoints {
    /// `None` above 10,000.
    pub fn new(points: u16) -> Option<BasisPoints> {
        (points <= 10_000).then_some(BasisPoints(points))
    }

    /// The number of basis points.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for BasisPoints {
    type Error = &'static str;
    fn try_from(points: u16) -> Result<Self, Self::Error> {
        BasisPoints::new(points).ok_or("more than 10000 basis points")
    }
}

impl From<BasisPoints> for u16 {
    fn from(points: BasisPoints) -> u16 {
        points.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gbp(minor: i64) -> Money {
        Money::new(minor, Currency::from_code("GBP").unwrap()).unwrap()
    }

    #[test]
    fn arithmetic_is_checked() {
        assert_eq!(gbp(1).checked_add(gbp(2)), Ok(gbp(3)));
        assert_eq!(gbp(i64::MAX).checked_add(gbp(1)), Err(MoneyError::Overflow));
        assert_eq!(gbp(1).checked_sub(gbp(2)), Err(MoneyError::Negative));
        let eur = Money::zero(Currency::from_code("EUR").unwrap());
        assert!(matches!(gbp(1).checked_add(eur), Err(MoneyError::CurrencyMismatch(..))));
    }

    #[test]
    fn a_share_rounds_down_and_never_overflows() {
        let five_percent = BasisPoints::new(500).unwrap();
        assert_eq!(gbp(199).share(five_percent), gbp(9));
        assert_eq!(gbp(i64::MAX).share(BasisPoints::new(10_000).unwrap()), gbp(i64::MAX));
    }

    #[test]
    fn codes_without_minor_units_are_no_currencies() {
        assert!(Currency::from_code("XAU").is_none());
        assert!(Currency::from_code("gbp").is_none());
        assert_eq!(Currency::from_code("JPY").unwrap().exponent(), 0);
    }

    #[test]
    fn people_read_major_units() {
        assert_eq!(gbp(1205).to_string(), "GBP 12.05");
    }
}
