//! Exact money: integer minor units of an ISO 4217 currency, checked arithmetic, nothing negative.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::figures::grouped;

/// A currency by its ISO 4217 code; its minor unit has an exponent (GBP has 2, JPY 0, BHD 3).
///
/// What enters the ledger is in use ([`Currency::from_code`]). What a log or a store has was in use
/// once, whatever today's table says: any three letters are read, and the exponent is from a list
/// of our own that never changes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(u16);

const LETTERS: usize = 26;

/// Every code there can be, so that a currency is a number and its code a text.
static CODES: [u8; LETTERS * LETTERS * LETTERS * 3] = {
    let mut codes = [0; LETTERS * LETTERS * LETTERS * 3];
    let mut number = 0;
    while number < LETTERS * LETTERS * LETTERS {
        codes[number * 3] = letter(number / (LETTERS * LETTERS));
        codes[number * 3 + 1] = letter(number / LETTERS % LETTERS);
        codes[number * 3 + 2] = letter(number % LETTERS);
        number += 1;
    }
    codes
};

#[expect(clippy::cast_possible_truncation, reason = "there are 26 letters")]
const fn letter(number: usize) -> u8 {
    b'A' + number as u8
}

/// Currencies without minor units, with three decimals, and with four; all others have two. Only
/// added to: an amount in an old event must not change by a factor of a hundred.
const EXPONENT_0: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF";
const EXPONENT_3: &str = "BHD IQD JOD KWD LYD OMR TND";
const EXPONENT_4: &str = "CLF UYW";

/// Codes that ISO 4217 has withdrawn (list A.3 of February 2026). Only intake asks.
const RETIRED: &str = "\
ADP AFA ALK ANG AOK AON AOR ARA ARP ARY ATS AYM AZM BAD BEC BEF BEL BGJ BGK BGL BGN BOP BRB BRC \
BRE BRN BRR BUK BYB BYR CHC CSD CSJ CSK CUC CYP DDM DEM ECS ECV EEK ESA ESB ESP FIM FRF GEK GHC \
GHP GNE GNS GQE GRD GWE GWP HRD HRK IEP ILP ILR ISJ ITL LAJ LSM LTL LTT LUC LUF LUL LVL LVR MGF \
MLF MRO MTL MTP MVQ MXP MZE MZM NIC NLG PEH PEI PES PLZ PTE RHD ROK ROL RUR SDD SDP SIT SKK SLL \
SRG STD SUR TJR TMM TPE TRL UAK UGS UGW USS UYN UYP VEB VEF VNC XEU XFO XFU XRE YDD YUD YUM YUN \
ZAL ZMK ZRN ZRZ ZWC ZWD ZWL ZWN ZWR";

impl Currency {
    /// The currency in use with this upper-case alphabetic code, or `None` where ISO 4217 has no
    /// such code or the code has no minor units.
    pub fn from_code(code: &str) -> Option<Currency> {
        Currency::recorded(code).filter(|currency| currency.is_in_use())
    }

    /// The same, or one that ISO 4217 has withdrawn: a statement may still hold it, no campaign
    /// may.
    pub fn in_use_or_retired(code: &str) -> Option<Currency> {
        let is_retired = || RETIRED.split(' ').any(|retired| retired == code);
        Currency::recorded(code).filter(|currency| currency.is_in_use() || is_retired())
    }

    /// The currency that a log or a store calls so: any three upper-case letters.
    pub fn recorded(code: &str) -> Option<Currency> {
        let mut letters = code.bytes().map(|b| b.is_ascii_uppercase().then(|| u16::from(b - b'A')));
        let number = letters.try_fold(0, |number: u16, letter| number.checked_mul(26)?.checked_add(letter?));
        number.filter(|_| code.len() == 3).map(Currency)
    }

    /// Whether an amount may be in it today.
    pub fn is_in_use(self) -> bool {
        // The library takes VES for replaced by VED. ISO 4217 keeps both (amendment 170).
        let in_use = |c: iso_currency::Currency| c.is_superseded().is_none() || c.code() == "VES";
        iso_currency::Currency::from_code(self.code()).is_some_and(|c| c.exponent().is_some() && in_use(c))
    }

    /// The three-letter code.
    pub fn code(self) -> &'static str {
        let start = usize::from(self.0) * 3;
        std::str::from_utf8(&CODES[start..start + 3]).expect("letters are ASCII")
    }

    /// Decimal places of the minor unit: GBP 1234 minor units with exponent 2 are 12.34 pounds.
    pub fn exponent(self) -> u16 {
        let has = |codes: &str| codes.split(' ').any(|code| code == self.code());
        match () {
            () if has(EXPONENT_0) => 0,
            () if has(EXPONENT_3) => 3,
            () if has(EXPONENT_4) => 4,
            () => 2,
        }
    }

    /// So many minor units as people read them, also below zero: `GBP 30,000.00`.
    pub fn amount(self, minor: i128) -> String {
        let unit = 10_u128.pow(u32::from(self.exponent()));
        let sign = if minor < 0 { "-" } else { "" };
        let (major, rest) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
        let major = grouped(major);
        match usize::from(self.exponent()) {
            0 => format!("{self} {sign}{major}"),
            width => format!("{self} {sign}{major}.{rest:0width$}"),
        }
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
        crate::serde_text::read(deserializer, |code| {
            Currency::recorded(code).ok_or("expected a currency's code of three capital letters")
        })
    }
}

/// An exact amount in minor units: GBP 12.34 is `1234`.
///
/// Invariant: `0 <= minor`. Direction belongs to the entry of a posting, so no sign slips into a
/// payout.
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

    /// `rate` of this amount, rounded down: nobody is paid a fraction of a penny that no budget
    /// funded.
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

/// Writes major units as people read them: `GBP 1,012.34`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.currency.amount(i128::from(self.minor)))
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
    use std::collections::{BTreeMap, BTreeSet};

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
    fn a_code_that_left_the_table_is_read_and_not_taken() {
        for retired in ["ANG", "BGN", "ZWL", "SLL", "ZZZ", "XAU"] {
            let read: Currency = serde_json::from_value(retired.into()).unwrap();
            assert_eq!((read.code(), read.exponent()), (retired, 2));
            assert_eq!(Currency::from_code(retired), None, "{retired}");
        }
        assert_eq!(Money::new(5, Currency::recorded("BHD").unwrap()).unwrap().to_string(), "BHD 0.005");
        for no in ["gbp", "GB", "GBPX", "", "G P", "ÉUR", "4111111111111111"] {
            assert!(serde_json::from_value::<Currency>(no.into()).is_err(), "{no}");
        }
        assert!(Currency::from_code("VES").is_some() && Currency::from_code("VED").is_some());
    }

    /// The standard's lists are the oracle, for every code there can be.
    #[test]
    fn the_currencies_in_use_and_the_retired_ones_are_those_of_iso_4217() {
        let listed = include_str!("../../tests/data/iso4217/codes-all.csv");
        let (mut in_use, mut withdrawn) = (BTreeMap::new(), BTreeSet::new());
        for line in listed.lines().skip(1) {
            // From the right: a country's name may hold commas.
            let mut columns = line.rsplit(',');
            let (date, minor_unit) = (columns.next().unwrap(), columns.next().unwrap());
            let code = columns.nth(1).unwrap();
            if date.is_empty() {
                in_use.insert(code, minor_unit.parse::<u16>().ok());
            } else {
                withdrawn.insert(code);
            }
        }
        for code in CODES.chunks(3).map(|code| std::str::from_utf8(code).unwrap()) {
            let standard = in_use.get(code).copied().flatten();
            assert_eq!(Currency::from_code(code).map(Currency::exponent), standard, "{code}");
            let is_retired = withdrawn.contains(code) && !in_use.contains_key(code);
            let is_taken = Currency::in_use_or_retired(code).is_some();
            assert_eq!(is_taken, standard.is_some() || is_retired, "{code}");
        }
    }

    /// A newer table may add a currency: its exponent then belongs into our list, before anybody is
    /// paid in it.
    #[test]
    fn our_exponents_are_those_of_iso_4217() {
        for a in 'A'..='Z' {
            for code in ('A'..='Z').flat_map(|b| ('A'..='Z').map(move |c| format!("{a}{b}{c}"))) {
                let ours = Currency::recorded(&code).unwrap();
                assert_eq!(ours.code(), code);
                let theirs =
                    iso_currency::Currency::from_code(&code).and_then(iso_currency::Currency::exponent);
                assert!(theirs.is_none_or(|exponent| exponent == ours.exponent()), "{code}: {theirs:?}");
            }
        }
    }

    #[test]
    fn people_read_major_units() {
        assert_eq!(gbp(1205).to_string(), "GBP 12.05");
        assert_eq!(gbp(100_000_000).to_string(), "GBP 1,000,000.00");
        let amount = |code: &str, minor| Currency::recorded(code).unwrap().amount(minor);
        assert_eq!(amount("JPY", 1_234_567), "JPY 1,234,567");
        assert_eq!(amount("BHD", -1_234_567), "BHD -1,234.567");
        assert_eq!(amount("GBP", -5), "GBP -0.05");
    }
}
