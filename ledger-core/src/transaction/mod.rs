//! A transaction: one line of a bank statement, as a feed brings it.
//!
//! [`wire`] parses the JSON of `docs/concepts/wire-format.md` and names the field of every fault;
//! [`pan`](crate::text::pan) masks or refuses card numbers. What is personal about a line is [`Personal`]: it shows
//! itself to nobody by accident.

pub mod bank_account;
mod booked_at;

pub mod wire;

pub use booked_at::BookedAt;

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, Source, TransactionId};
use crate::money::Money;
use crate::time::Timestamp;

/// A value about a person. Has no `Display`, no `Serialize`, and a `Debug` that shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Personal<T>(T);

impl<T> Personal<T> {
    /// Takes a value into custody.
    pub fn new(value: T) -> Personal<T> {
        Personal(value)
    }

    /// The value, for the few places that need it: rules, sealing, resolvers with the right scope.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[personal]")
    }
}

/// Where a line stands at the bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// May still change or vanish; recorded for display, decides nothing.
    Pending,
    /// Final: this is when the draw happens.
    Booked,
    /// The bank has taken the line back; nothing but its ids means anything then.
    Removed,
}

/// Which way money moved, seen from the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// The customer paid.
    Debit,
    /// The customer received.
    Credit,
}

impl Direction {
    /// Whether a line of this direction spends money: every debit does but a refund.
    pub fn is_purchase(self, is_refund: bool) -> bool {
        self == Direction::Debit && !is_refund
    }
}

/// An ISO 18245 merchant category code: four digits, zeros kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mcc(u16);

impl Mcc {
    /// Three or four ASCII digits: ISO 20022 lets the first zero be left out.
    pub fn parse(text: &str) -> Option<Mcc> {
        ((3..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()))
            .then(|| Mcc(text.parse().expect("four digits fit u16")))
    }

    /// The number; zeros in front are not part of it.
    pub fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Mcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

impl fmt::Debug for Mcc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who was paid. Every field may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Merchant {
    /// The feed's id of the merchant, 1–128 printable characters.
    pub id: Option<Personal<String>>,
    /// At most 500 characters.
    pub name: Option<Personal<String>>,
    /// The category.
    pub mcc: Option<Personal<Mcc>>,
    /// ISO 3166-1 alpha-2, upper case.
    pub country: Option<Personal<String>>,
}

/// One line of a bank statement. `Debug` shows ids and times only.
#[derive(Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Who feeds us the line.
    pub source: Source,
    /// The line's id, unique within its source.
    pub transaction_id: TransactionId,
    /// Whose line it is.
    pub account_id: AccountId,
    /// Where it stands at the bank.
    pub status: Status,
    /// The bank's booking time; where it gives a date alone, the midnight UTC at which that begins.
    pub booked_at: Timestamp,
    /// Whether the bank gives a time.
    pub time_known: bool,
    /// From zero.
    pub amount: Personal<Money>,
    /// Which way the money went.
    pub direction: Direction,
    /// The bank account money left. A debit always has it.
    pub from_account: Option<Personal<String>>,
    /// The bank account money reached. A credit always has it.
    pub to_account: Option<Personal<String>>,
    /// What the statement says; at most 500 characters.
    pub description: Option<Personal<String>>,
    /// Who was paid.
    pub merchant: Option<Merchant>,
    /// The id this line had while pending, where the bank says so.
    pub pending_transaction_id: Option<TransactionId>,
    /// The purchase this line gives back.
    pub refund_of: Option<TransactionId>,
}

impl Transaction {
    /// When it was booked.
    pub fn booked(&self) -> BookedAt {
        BookedAt { at: self.booked_at, time_known: self.time_known }
    }

    /// The customer's bank account: the one that money left, or reached.
    pub fn own_account(&self) -> Option<&Personal<String>> {
        match self.direction {
            Direction::Debit => self.from_account.as_ref(),
            Direction::Credit => self.to_account.as_ref(),
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("source", &self.source)
            .field("transaction_id", &self.transaction_id)
            .field("status", &self.status)
            .field("booked_at", &self.booked_at)
            .finish_non_exhaustive()
    }
}

/// Why a row is refused, as a word for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowCode {
    /// Not what the field holds: no JSON, a wrong type, unprintable characters.
    Malformed,
    /// A required field is absent, null or blank.
    Missing,
    /// A number or time outside its range.
    OutOfRange,
    /// More characters, bytes or rows than the limit.
    TooLong,
    /// Not one of the words the field knows.
    UnknownValue,
    /// No ISO 4217 currency with minor units, in use or retired.
    CurrencyUnknown,
    /// Booked more than 24 hours ahead.
    BookedInFuture,
    /// No such account, and the service does not open accounts by itself.
    AccountUnknown,
    /// The account is closed.
    AccountClosed,
    /// The customer's data have been erased.
    AccountErased,
    /// The account cannot be read or sealed for; ours to repair: send the row again later.
    AccountUnavailable,
    /// The token may not write for this source.
    SourceNotAllowed,
    /// A card number where none belongs.
    PanDetected,
    /// The same id was booked before with another amount, currency or bank account, or more than 31
    /// days apart.
    Conflict,
}

impl RowCode {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            RowCode::Malformed => "malformed",
            RowCode::Missing => "missing",
            RowCode::OutOfRange => "out_of_range",
            RowCode::TooLong => "too_long",
            RowCode::UnknownValue => "unknown_value",
            RowCode::CurrencyUnknown => "currency_unknown",
            RowCode::BookedInFuture => "booked_in_future",
            RowCode::AccountUnknown => "account_unknown",
            RowCode::AccountClosed => "account_closed",
            RowCode::AccountErased => "account_erased",
            RowCode::AccountUnavailable => "account_unavailable",
            RowCode::SourceNotAllowed => "source_not_allowed",
            RowCode::PanDetected => "pan_detected",
            RowCode::Conflict => "conflict",
        }
    }
}

/// One refused row: which rule, which field, and a sentence that never repeats the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize)]
#[error("{field}: {message}")]
pub struct RowError {
    /// The rule.
    pub code: RowCode,
    /// A dotted path such as `amount.minor`; empty for a row that is no object.
    pub field: Cow<'static, str>,
    /// What is expected, in words.
    pub message: Cow<'static, str>,
}

impl RowError {
    /// An error about `field`.
    pub fn new(code: RowCode, field: &'static str, message: impl Into<Cow<'static, str>>) -> RowError {
        RowError { code, field: Cow::Borrowed(field), message: message.into() }
    }
}
