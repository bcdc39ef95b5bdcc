//! Money and times as the outside reads them.

use async_graphql::{Error, InputValueError, InputValueResult, Scalar, ScalarType, SimpleObject, Value};
use ledger_core::money::{Currency, Money as Amount};
use ledger_core::time::Timestamp;

use super::error::fault;

/// A number for an `Int`, which has 31 bits: a strict client fails a whole answer over one that is larger. What may
/// grow beyond is text instead.
pub(super) fn int(number: impl TryInto<i32>) -> Result<i32, Error> {
    number.try_into().map_err(|_| fault(&NoInt))
}

#[derive(Debug, thiserror::Error)]
#[error("a number does not fit an Int")]
struct NoInt;

/// An exact amount of money.
#[derive(Clone, Debug, PartialEq, Eq, SimpleObject)]
pub(super) struct Money {
    /// Minor units, as text: JavaScript loses integers above 2^53. GBP 12.34 is `"1234"`.
    minor: String,
    /// ISO 4217.
    currency: String,
    /// Decimal places of the minor unit.
    exponent: i32,
}

impl Money {
    /// Minor units that may be below zero (a difference, a balance the other way round).
    pub(super) fn signed(minor: impl Into<i128>, currency: Currency) -> Money {
        Money {
            minor: minor.into().to_string(),
            currency: currency.code().into(),
            exponent: currency.exponent().into(),
        }
    }

    /// Nothing, in no currency (ISO 4217 calls that `XXX`): the difference of empty books.
    pub(super) fn nothing() -> Money {
        Money { minor: "0".into(), currency: "XXX".into(), exponent: 0 }
    }
}

impl From<Amount> for Money {
    fn from(amount: Amount) -> Money {
        Money::signed(amount.minor(), amount.currency())
    }
}

/// A time in RFC 3339, UTC, such as `2026-11-22T10:15:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DateTime(Timestamp);

impl From<Timestamp> for DateTime {
    fn from(time: Timestamp) -> DateTime {
        DateTime(time)
    }
}

#[Scalar(name = "DateTime", specified_by_url = "https://datatracker.ietf.org/doc/html/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        let Value::String(text) = &value else {
            return Err(InputValueError::expected_type(value));
        };
        let time = chrono::DateTime::parse_from_rfc3339(text)?;
        Ok(DateTime(time.to_utc().into()))
    }

    fn to_value(&self) -> Value {
        Value::String(self.0.to_string())
    }
}
