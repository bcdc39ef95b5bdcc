//! The rail's books: one SQLite file, one row per key, final once written. Amounts in minor units,
//! times in microseconds since 1970.

use std::path::Path;

use ledger_core::ids::{AccountId, EntryId, PayoutReference};
use ledger_core::money::{Currency, Money};
use ledger_core::steps::ports::{Payout, PayoutKey, PayoutStatus};
use ledger_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, named_params, params};
use stores::files;
use stores::sqlite::use_wal;

const SCHEMA: &str = include_str!("../../../../migrations/sqlite/rail.sql");
const SCHEMA_VERSION: i64 = 1;
/// Beyond it the write-ahead log is emptied at once.
pub(super) const WAL_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What can go wrong with the books.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The database refused.
    #[error("reading or writing the rail's books")]
    Sqlite(#[from] rusqlite::Error),
    /// Written by another release.
    #[error("the rail's books have schema version {found}, this release knows {SCHEMA_VERSION}")]
    Schema {
        /// What the file says.
        found: i64,
    },
    /// A row that we could not have written.
    #[error("the rail's books hold an unreadable {0}")]
    Corrupt(&'static str),
}

/// One line of the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The idempotency key.
    pub key: PayoutKey,
    /// To whom.
    pub account_id: AccountId,
    /// How much.
    pub amount: Money,
    /// `Paid` or `Refused`.
    pub status: PayoutStatus,
    /// When, if it was paid.
    pub paid_at: Option<Timestamp>,
}

impl Payment {
    /// Whether this line is about the same money to the same account.
    pub(super) fn is_for(&self, payout: &Payout) -> bool {
        self.account_id == payout.account_id && self.amount == payout.amount
    }
}

/// Opens the file, creating it where there is none.
pub(super) fn open(path: &Path) -> Result<Connection, BooksError> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    use_wal(&connection)?;
    connection.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX)?;
    // A payment that was answered must survive a power cut.
    connection.pragma_update(None, "synchronous", "FULL")?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match transaction.pragma_query_value(None, "user_version", |row| row.get(0))? {
        0 => {
            transaction.execute_batch(SCHEMA)?;
            transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        SCHEMA_VERSION => {}
        found => return Err(BooksError::Schema { found }),
    }
    transaction.commit()?;
    Ok(connection)
}

/// Opens the file beside whoever writes it.
pub(super) fn open_read_only(path: &Path, still: bool) -> Result<Connection, BooksError> {
    let connection = files::open_read_only(path, still)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    match connection.pragma_query_value(None, "user_version", |row| row.get(0))? {
        SCHEMA_VERSION => Ok(connection),
        found => Err(BooksError::Schema { found }),
    }
}

/// Begins a batch of payments.
pub(super) fn begin(connection: &mut Connection) -> Result<Transaction<'_>, BooksError> {
    Ok(connection.transaction_with_behavior(TransactionBehavior::Immediate)?)
}

/// Writes a new line.
pub(super) fn insert(connection: &Connection, payment: &Payment) -> Result<(), BooksError> {
    let (status, reference, reason) = match &payment.status {
        PayoutStatus::Paid(reference) => ("paid", Some(reference.as_str()), None),
        PayoutStatus::Refused { reason } => ("refused", None, Some(reason.as_str())),
        PayoutStatus::NotFound => return Err(BooksError::Corrupt("status")),
    };
    connection
        .prepare_cached(
            "INSERT INTO payments (key, account_id, amount_minor, currency, reference, status, reason, paid_at)
             VALUES (:key, :account_id, :amount_minor, :currency, :reference, :status, :reason, :paid_at)",
        )?
        .execute(named_params! {
            ":key": payment.key.to_string(),
            ":account_id": payment.account_id.as_str(),
            ":amount_minor": payment.amount.minor(),
            ":currency": payment.amount.currency().code(),
            ":reference": reference,
            ":status": status,
            ":reason": reason,
            ":paid_at": payment.paid_at.map(Timestamp::micros),
        })?;
    Ok(())
}

/// The line under a key.
pub(super) fn find(connection: &Connection, key: PayoutKey) -> Result<Option<Payment>, BooksError> {
    connection
        .prepare_cached("SELECT * FROM payments WHERE key = ?1")?
        .query_row([key.to_string()], |row| Ok(read(row)))
        .optional()?
        .transpose()
}

/// Up to `limit` lines in the order of their keys' text, after `after`.
pub(super) fn page(
    connection: &Connection,
    after: Option<PayoutKey>,
    limit: u32,
) -> Result<Vec<Payment>, BooksError> {
    let after = after.map(|key| key.to_string()).unwrap_or_default();
    let mut statement =
        connection.prepare_cached("SELECT * FROM payments WHERE key > ?1 ORDER BY key LIMIT ?2")?;
    let mut rows = statement.query(params![after, limit])?;
    let mut payments = Vec::new();
    while let Some(row) = rows.next()? {
        payments.push(read(row)?);
    }
    Ok(payments)
}

/// How many payments were made and how many keys were refused.
pub(super) fn count(connection: &Connection) -> Result<(u64, u64), BooksError> {
    Ok(connection.query_row(
        "SELECT count(*) FILTER (WHERE status = 'paid'), count(*) FILTER (WHERE status = 'refused') FROM payments",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?)
}

/// What was paid, in minor units per currency, currencies in alphabetical order.
pub(super) fn totals(connection: &Connection) -> Result<Vec<(Currency, i64)>, BooksError> {
    let mut statement = connection.prepare_cached(
        "SELECT currency, sum(amount_minor) FROM payments WHERE status = 'paid' GROUP BY currency ORDER BY currency",
    )?;
    let mut rows = statement.query([])?;
    let mut totals = Vec::new();
    while let Some(row) = rows.next()? {
        let currency: String = row.get(0)?;
        totals.push((Currency::recorded(&currency).ok_or(BooksError::Corrupt("currency"))?, row.get(1)?));
    }
    Ok(totals)
}

fn read(row: &Row<'_>) -> Result<Payment, BooksError> {
    let key: String = row.get("key")?;
    let account_id: String = row.get("account_id")?;
    let currency: String = row.get("currency")?;
    let status: String = row.get("status")?;
    let currency = Currency::recorded(&currency).ok_or(BooksError::Corrupt("currency"))?;
    let status = match status.as_str() {
        "paid" => {
            let reference: String = row.get("reference")?;
            PayoutStatus::Paid(
                PayoutReference::parse(&reference).map_err(|_| BooksError::Corrupt("reference"))?,
            )
        }
        "refused" => PayoutStatus::Refused { reason: row.get("reason")? },
        _ => return Err(BooksError::Corrupt("status")),
    };
    Ok(Payment {
        key: parse_key(&key).ok_or(BooksError::Corrupt("key"))?,
        account_id: AccountId::parse(&account_id).map_err(|_| BooksError::Corrupt("account id"))?,
        amount: Money::new(row.get("amount_minor")?, currency).map_err(|_| BooksError::Corrupt("amount"))?,
        status,
        paid_at: row.get::<_, Option<i64>>("paid_at")?.map(Timestamp::from_micros),
    })
}

fn parse_key(text: &str) -> Option<PayoutKey> {
    let (entry_id, attempt) = text.split_once(':')?;
    Some(PayoutKey { entry_id: EntryId::from_hex(entry_id)?, attempt: attempt.parse().ok()? })
}
