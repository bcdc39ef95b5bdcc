//! The JSON of `docs/concepts/wire-format.md`: parsed in one pass, every fault named by its field.
//!
//! [`split_body`] cuts a request into raw rows, [`parse_row`] makes a [`Transaction`] of one of
//! them or says what is wrong: a code, a dotted field, and a sentence that never repeats the value.
//! Amounts are minor units, lengths are characters (Unicode scalar values) unless they say bytes.

mod body;
mod codes;
mod forgiving;
mod raw;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveTime};
use serde_json::value::RawValue;

pub use body::{BODY_BYTES_MAX, BodyError, BodyFormat, ROWS_MAX, split_body};

use self::codes::{country, mcc};
use self::forgiving::forgiving_text;
use self::raw::{Object, RawAmount, RawMerchant, RawRow, Scalar, Slot};
use super::bank_account;
use super::{BookedAt, Direction, Merchant, Personal, RowCode, RowError, Status, Transaction};
use crate::ids::{AccountId, ID_CHARACTERS_MAX, IdError, Source, TransactionId, check_id};
use crate::money::{Currency, Money};
use crate::text::pan;
use crate::time::{DAY_MICROS, Timestamp};

/// The longest row, in bytes (8 KiB).
pub const ROW_BYTES_MAX: usize = 8 * 1024;
/// The longest description or merchant name, in characters.
pub const TEXT_CHARACTERS_MAX: usize = 500;
/// The longest name of a bank account, in characters.
pub const BANK_ACCOUNT_CHARACTERS_MAX: usize = 64;

/// A row that is refused, and its id where it has a good one, for the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct RejectedRow {
    /// The row's `transaction_id`, if that is a valid id and no card number.
    pub transaction_id: Option<TransactionId>,
    /// What is wrong.
    pub error: RowError,
}

/// Reads one transaction from one JSON object of at most [`ROW_BYTES_MAX`] bytes.
///
/// `now` bounds the booking time: at most 24 hours ahead. Of several faults the first is reported:
/// length, JSON, then the fields in the order of `docs/concepts/wire-format.md`.
pub fn parse_row(bytes: &[u8], now: Timestamp) -> Result<Transaction, RejectedRow> {
    let mut row = RawRow::default();
    let read = raw::read(bytes, &mut row);
    let outcome = if bytes.len() > ROW_BYTES_MAX {
        Err(RowError::new(RowCode::TooLong, "", format!("must be at most {ROW_BYTES_MAX} bytes")))
    } else {
        read.and_then(|()| check_row(&row, now))
    };
    outcome.map_err(|error| RejectedRow {
        transaction_id: id("transaction_id", &row.transaction_id).ok(),
        error,
    })
}

// Faults are reported in this order.
fn check_row(row: &RawRow<'_>, now: Timestamp) -> Result<Transaction, RowError> {
    let source = id("source", &row.source)?;
    let transaction_id = id("transaction_id", &row.transaction_id)?;
    let account_id = account_id(&row.account_id)?;
    let status = status(&row.status)?;
    if status == Status::Removed {
        return Ok(removal(source, transaction_id, account_id, now));
    }
    let BookedAt { at: booked_at, time_known } = booked_at(&row.booked_at, now)?;
    let amount = amount(&row.amount)?;
    let direction = direction(&row.direction)?;
    let (from, to) = (own(direction == Direction::Debit), own(direction == Direction::Credit));
    Ok(Transaction {
        source,
        transaction_id,
        account_id,
        status,
        booked_at,
        time_known,
        amount,
        direction,
        from_account: from("from_account", bank_account("from_account", &row.from_account)?)?,
        to_account: to("to_account", bank_account("to_account", &row.to_account)?)?,
        description: free_text("description", &row.description)?,
        merchant: merchant(&row.merchant)?,
        pending_transaction_id: optional_id("pending_transaction_id", &row.pending_transaction_id)?,
        refund_of: optional_id("refund_of", &row.refund_of)?,
    })
}

/// What a bank says of a line that it takes back: which one. Whatever else comes with it is not
/// looked at.
fn removal(
    source: Source,
    transaction_id: TransactionId,
    account_id: AccountId,
    now: Timestamp,
) -> Transaction {
    let no_currency = Currency::recorded("XXX").expect("three capital letters");
    Transaction {
        source,
        transaction_id,
        account_id,
        status: Status::Removed,
        booked_at: now,
        time_known: true,
        amount: Personal::new(Money::zero(no_currency)),
        direction: Direction::Debit,
        from_account: None,
        to_account: None,
        description: None,
        merchant: None,
        pending_transaction_id: None,
        refund_of: None,
    }
}

type BankAccount = Option<Personal<String>>;

/// The customer's own side has to be there, and whole; the other side may be as the bank has it.
fn own(is_own: bool) -> impl Fn(&'static str, BankAccount) -> Result<BankAccount, RowError> {
    const MASKED: &str = "must be the customer's whole account: masked ones cannot be told apart";
    move |field, account| match account {
        None if is_own => required(field, None),
        Some(own) if is_own && bank_account::is_masked(own.expose()) => Err(malformed(field, MASKED)),
        account => Ok(account),
    }
}

fn malformed(field: &'static str, message: &'static str) -> RowError {
    RowError::new(RowCode::Malformed, field, message)
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, RowError> {
    value.ok_or_else(|| RowError::new(RowCode::Missing, field, "is required and must not be blank"))
}

fn given<'s, T>(field: &'static str, slot: &'s Slot<T>) -> Result<Option<&'s T>, RowError> {
    match slot {
        Slot::Absent => Ok(None),
        Slot::Given(value) => Ok(Some(value)),
        Slot::Repeated => Err(malformed(field, "must be given only once")),
    }
}

/// The text of a field; absent, null and blank are all the same nothing.
fn text<'s>(field: &'static str, slot: &'s Slot<Scalar<'_>>) -> Result<Option<&'s str>, RowError> {
    match given(field, slot)? {
        None | Some(Scalar::Null) => Ok(None),
        Some(Scalar::Text(text)) => Ok(Some(text.as_ref()).filter(|text| !text.trim().is_empty())),
        Some(Scalar::Number(_) | Scalar::Other) => Err(malformed(field, "must be a JSON string")),
    }
}

fn object<'s, T>(field: &'static str, slot: &'s Slot<Object<T>>) -> Result<Option<&'s T>, RowError> {
    match given(field, slot)? {
        None | Some(Object::Null) => Ok(None),
        Some(Object::Fields(fields)) => Ok(Some(fields)),
        Some(Object::Other) => Err(malformed(field, "must be a JSON object")),
    }
}

fn too_long(field: &'static str, characters_max: usize) -> RowError {
    RowError::new(RowCode::TooLong, field, format!("must be at most {characters_max} characters"))
}

fn pan_detected(field: &'static str) -> RowError {
    RowError::new(RowCode::PanDetected, field, "must not hold a card number")
}

/// Printable characters without surrounding space, no more than the limit.
fn printable(field: &'static str, text: &str, characters_max: usize) -> Result<(), RowError> {
    let fits = text.len() <= characters_max || text.chars().count() <= characters_max;
    match check_id(text) {
        Err(IdError::Blank) => required(field, None),
        Err(IdError::TooLong) => Err(too_long(field, characters_max)),
        _ if !fits => Err(too_long(field, characters_max)),
        Err(IdError::Unprintable) => {
            Err(malformed(field, "must be printable characters without surrounding space"))
        }
        Ok(()) => Ok(()),
    }
}

fn optional_id<T: std::str::FromStr<Err = IdError>>(
    field: &'static str,
    slot: &Slot<Scalar<'_>>,
) -> Result<Option<T>, RowError> {
    let Some(text) = text(field, slot)? else {
        return Ok(None);
    };
    printable(field, text, ID_CHARACTERS_MAX)?;
    if pan::is_pan(text) {
        return Err(pan_detected(field));
    }
    text.parse().map(Some).map_err(|_| malformed(field, "must be an id"))
}

fn id<T: std::str::FromStr<Err = IdError>>(
    field: &'static str,
    slot: &Slot<Scalar<'_>>,
) -> Result<T, RowError> {
    required(field, optional_id(field, slot)?)
}

fn account_id(slot: &Slot<Scalar<'_>>) -> Result<AccountId, RowError> {
    let account: AccountId = id("account_id", slot)?;
    if account.as_str().contains('@') {
        return Err(malformed("account_id", "must be a pseudonym, not an e-mail address"));
    }
    // It stands in the paths of the API, where these are no names.
    if [".", ".."].contains(&account.as_str()) {
        return Err(malformed("account_id", "must not be . or .."));
    }
    Ok(account)
}

/// An account's id that comes alone, by the rules of `account_id` in a row.
pub fn parse_account_id(text: &str) -> Result<AccountId, RowError> {
    account_id(&Slot::Given(Scalar::Text(Cow::Borrowed(text))))
}

fn status(slot: &Slot<Scalar<'_>>) -> Result<Status, RowError> {
    match required("status", text("status", slot)?)? {
        "pending" => Ok(Status::Pending),
        "booked" => Ok(Status::Booked),
        "removed" => Ok(Status::Removed),
        _ => Err(RowError::new(RowCode::UnknownValue, "status", "must be pending, booked or removed")),
    }
}

fn direction(slot: &Slot<Scalar<'_>>) -> Result<Direction, RowError> {
    match required("direction", text("direction", slot)?)? {
        "debit" => Ok(Direction::Debit),
        "credit" => Ok(Direction::Credit),
        _ => Err(RowError::new(RowCode::UnknownValue, "direction", "must be debit or credit")),
    }
}

fn booked_at(slot: &Slot<Scalar<'_>>, now: Timestamp) -> Result<BookedAt, RowError> {
    const FIELD: &str = "booked_at";
    let out_of_range =
        || RowError::new(RowCode::OutOfRange, FIELD, "must lie between 1970 and 24 hours from now");
    let text = required(FIELD, text(FIELD, slot)?)?;
    let booked = if let Some(date) = date(text) {
        BookedAt { at: Timestamp::start_of(date), time_known: false }
    } else if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        if is_impossible_leap_second(time) {
            return Err(malformed(FIELD, "must exist: a leap second ends the last UTC day of a month"));
        }
        BookedAt { at: time.to_utc().into(), time_known: true }
    } else {
        return Err(if has_long_year(text) {
            out_of_range()
        } else {
            malformed(
                FIELD,
                "must be an RFC 3339 date and time that exists, with an offset, such as 2026-11-22T10:15:00Z, or a \
                 date alone, such as 2026-11-22",
            )
        });
    };
    if booked.at < Timestamp::from_micros(0) {
        return Err(out_of_range());
    }
    if booked.at > now.plus_micros(DAY_MICROS) {
        return Err(RowError::new(RowCode::BookedInFuture, FIELD, "must not be more than 24 hours ahead"));
    }
    Ok(booked)
}

/// RFC 3339's full-date, and nothing looser.
fn date(text: &str) -> Option<NaiveDate> {
    let is_one = text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    if is_one { NaiveDate::parse_from_str(text, "%Y-%m-%d").ok() } else { None }
}

/// A time, or a date, that would be RFC 3339 if its year had four digits: the year 10000 and later.
fn has_long_year(text: &str) -> bool {
    let rest = text.trim_start_matches('+').trim_start_matches(|c: char| c.is_ascii_digit());
    let text_of_2000 = format!("2000{rest}");
    let is_time = DateTime::parse_from_rfc3339(&text_of_2000).is_ok() || date(&text_of_2000).is_some();
    text.len() - rest.len() > 4 && is_time
}

/// RFC 3339, section 5.6 and appendix D: second 60 comes only at 23:59 UTC, at the end of a month.
fn is_impossible_leap_second(time: DateTime<FixedOffset>) -> bool {
    let is_leap_second = time.timestamp_subsec_nanos() >= 1_000_000_000;
    let next = DateTime::from_timestamp(time.timestamp() + 1, 0).unwrap_or_default();
    is_leap_second && (next.time() != NaiveTime::MIN || next.format("%d").to_string() != "01")
}

fn amount(slot: &Slot<Object<RawAmount<'_>>>) -> Result<Personal<Money>, RowError> {
    let fields = required("amount", object("amount", slot)?)?;
    let minor = minor(&fields.minor)?;
    let code = required("amount.currency", text("amount.currency", &fields.currency)?)?;
    let currency = Currency::in_use_or_retired(code).ok_or_else(|| {
        RowError::new(
            RowCode::CurrencyUnknown,
            "amount.currency",
            "must be an ISO 4217 code with minor units",
        )
    })?;
    Money::new(minor, currency).map(Personal::new).map_err(|_| minor_out_of_range())
}

fn minor_out_of_range() -> RowError {
    RowError::new(RowCode::OutOfRange, "amount.minor", "must be from 0 to 9223372036854775807")
}

/// A JSON integer, or a string of ASCII digits. Zeros in front of a string's number are only zeros.
fn minor(slot: &Slot<&RawValue>) -> Result<i64, RowError> {
    const FIELD: &str = "amount.minor";
    let no_integer = || malformed(FIELD, "must be an integer, or a string of digits, in minor units");
    let json = required(FIELD, given(FIELD, slot)?)?.get();
    let digits = match json.as_bytes().first() {
        Some(b'0'..=b'9' | b'-') => Cow::Borrowed(json),
        Some(b'"') => match serde_json::from_str(json) {
            Ok(Scalar::Text(text)) => text,
            _ => return Err(no_integer()),
        },
        Some(b'n') => return required(FIELD, None),
        _ => return Err(no_integer()),
    };
    if digits.trim().is_empty() {
        return required(FIELD, None);
    }
    let magnitude = digits.strip_prefix('-').unwrap_or(&digits);
    if magnitude.is_empty() || !magnitude.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(no_integer());
    }
    // All digits: whatever does not parse is below zero or too large.
    magnitude.parse().ok().filter(|_| magnitude.len() == digits.len()).ok_or_else(minor_out_of_range)
}

/// The name of a bank account: an IBAN, or whatever the bank calls it.
fn bank_account(field: &'static str, slot: &Slot<Scalar<'_>>) -> Result<Option<Personal<String>>, RowError> {
    let Some(text) = text(field, slot)? else {
        return Ok(None);
    };
    // White space of any kind tells no accounts apart.
    let text: Cow<'_, str> = match text.trim() {
        plain if plain.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) => Cow::Borrowed(plain),
        other => other.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect(),
    };
    let slot = Slot::Given(Scalar::Text(text));
    personal(field, &slot, |text| printable(field, text, BANK_ACCOUNT_CHARACTERS_MAX))
}

/// Text of any language, which no rule reads: joiners and marks stay, since they are part of words.
/// A control character becomes a space, and a card number is masked.
fn free_text(field: &'static str, slot: &Slot<&RawValue>) -> Result<Option<Personal<String>>, RowError> {
    let read = match given(field, slot)? {
        None => Slot::Absent,
        Some(json) => Slot::Given(forgiving_text(json)),
    };
    let Some(text) = text(field, &read)? else {
        return Ok(None);
    };
    if text.len() > TEXT_CHARACTERS_MAX && text.chars().count() > TEXT_CHARACTERS_MAX {
        return Err(too_long(field, TEXT_CHARACTERS_MAX));
    }
    let text = if text.chars().any(char::is_control) {
        Cow::Owned(text.replace(char::is_control, " "))
    } else {
        Cow::Borrowed(text)
    };
    Ok((!text.trim().is_empty()).then(|| Personal::new(pan::mask(&text).into_owned())))
}

fn personal(
    field: &'static str,
    slot: &Slot<Scalar<'_>>,
    check: impl FnOnce(&str) -> Result<(), RowError>,
) -> Result<Option<Personal<String>>, RowError> {
    let Some(text) = text(field, slot)? else {
        return Ok(None);
    };
    check(text)?;
    if pan::holds_pan(text) {
        return Err(pan_detected(field));
    }
    Ok(Some(Personal::new(text.to_owned())))
}

fn merchant(slot: &Slot<Object<RawMerchant<'_>>>) -> Result<Option<Merchant>, RowError> {
    let Some(fields) = object("merchant", slot)? else {
        return Ok(None);
    };
    let merchant = Merchant {
        id: personal("merchant.id", &fields.id, |text| printable("merchant.id", text, ID_CHARACTERS_MAX))?,
        name: free_text("merchant.name", &fields.name)?,
        mcc: mcc(&fields.mcc)?,
        country: country(&fields.country)?,
    };
    Ok(Some(merchant).filter(|merchant| *merchant != Merchant::default()))
}
