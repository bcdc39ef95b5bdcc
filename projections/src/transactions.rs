//! Statement lines as we know them, one row per line and name, with their decision once there is one.
//!
//! A line's place in lists is where it was first recorded and never changes. A pending line booked under
//! another id is the same purchase: its row gives way to the booked one, and its id becomes an alias that
//! finds it. So does an id that the bank gives a known line later. A removed line keeps its decision; one that
//! was never decided is found by id but no longer listed. Details stay sealed and go with an erasure.

use ledger_core::account::AccountEvent;
use ledger_core::account::event::{Considered, DeferReason, Line, Outcome};
use ledger_core::draw::Draw;
use ledger_core::ids::{AccountId, Source, TransactionId};
use ledger_core::log::Position;
use ledger_core::log::decode::LedgerEvent;
use ledger_core::seal::Sealed;
use ledger_core::time::Timestamp;

use crate::connection::{Connection, Row, Value, values};
use crate::error::ProjectionError;
use crate::page::{self, Page};
use crate::projection::{Fold, Projection, Record};
use crate::row;

const THIS: Projection = Projection::Transactions;
/// By name: `*` would change under a prepared statement when a migration adds a column.
const COLUMNS: &str = "position, source, transaction_id, account_id, status, booked_at, recorded_at, details, \
     pending_transaction_id, outcome, defer_reason, considered, draws, removed_at";

row::words! {
    /// Where a line stands with us.
    TransactionStatus {
        /// Not final at the bank.
        Pending = "pending",
        /// Decided.
        Booked = "booked",
        /// Booked, waits for its epoch or for draws to be switched on.
        Deferred = "deferred",
        /// Booked, waits for a person.
        Held = "held",
        /// The bank took it back.
        Removed = "removed",
    }
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionRow {
    /// Where it was first recorded: its place in lists, and the cursor.
    pub position: Position,
    /// Who fed it.
    pub source: Source,
    /// Its id there; the one under which it was first booked, once it was.
    pub transaction_id: TransactionId,
    /// Whose it is.
    pub account_id: AccountId,
    /// Where it stands.
    pub status: TransactionStatus,
    /// The bank's booking time.
    pub booked_at: Timestamp,
    /// When we recorded it as it stands: decided, or else deferred or noted.
    pub recorded_at: Timestamp,
    /// Amount, merchant and so on. Absent once erased.
    pub details: Option<Sealed>,
    /// The id it had while pending.
    pub pending_transaction_id: Option<TransactionId>,
    /// How it was decided; kept when it is removed.
    pub outcome: Option<Outcome>,
    /// Why it waits, while it does.
    pub defer_reason: Option<DeferReason>,
    /// Every campaign considered.
    pub considered: Vec<Considered>,
    /// Every draw it entered.
    pub draws: Vec<Draw>,
    /// When the bank took it back.
    pub removed_at: Option<Timestamp>,
}

/// The line that goes by this id now, or went by it while pending.
pub fn transaction(
    conn: &Connection,
    source: &Source,
    id: &TransactionId,
) -> Result<Option<TransactionRow>, ProjectionError> {
    let named = |id: &str| {
        let sql = &format!("SELECT {COLUMNS} FROM transactions WHERE source = ?1 AND transaction_id = ?2");
        conn.row(sql, &values![source.as_str(), id])
    };
    let found = match named(id.as_str())? {
        Some(found) => Some(found),
        None => match booked_as(conn, source, id)? {
            Some(booked) => named(&booked)?,
            None => None,
        },
    };
    found.as_ref().map(read).transpose()
}

/// An account's lines, newest first: those recorded before `after`.
pub fn transactions(
    conn: &Connection,
    account: &AccountId,
    after: Option<Position>,
    first: usize,
) -> Result<Page<TransactionRow>, ProjectionError> {
    let rows = conn.rows(
        &format!(
            "SELECT {COLUMNS} FROM transactions
         WHERE account_id = ?1 AND position < ?2 AND (status <> 'removed' OR outcome IS NOT NULL)
         ORDER BY position DESC LIMIT ?3"
        ),
        &values![account.as_str(), page::before(after), page::limit(first)],
    )?;
    Page::read(&rows, first, read)
}

fn read(row: &Row) -> Result<TransactionRow, ProjectionError> {
    Ok(TransactionRow {
        position: row.get("position")?,
        source: row.get("source")?,
        transaction_id: row.get("transaction_id")?,
        account_id: row.get("account_id")?,
        status: row.get("status")?,
        booked_at: row.get("booked_at")?,
        recorded_at: row.get("recorded_at")?,
        details: row.get("details")?,
        pending_transaction_id: row.get("pending_transaction_id")?,
        outcome: row.word_opt("outcome")?,
        defer_reason: row.word_opt("defer_reason")?,
        considered: row.json_opt("considered")?.unwrap_or_default(),
        draws: row.json_opt("draws")?.unwrap_or_default(),
        removed_at: row.get("removed_at")?,
    })
}

fn booked_as(
    conn: &Connection,
    source: &Source,
    id: &TransactionId,
) -> Result<Option<String>, ProjectionError> {
    let found = conn.row(
        "SELECT booked_as FROM transaction_aliases WHERE source = ?1 AND transaction_id = ?2",
        &values![source.as_str(), id.as_str()],
    )?;
    found.map(|row| row.get("booked_as")).transpose()
}

/// Writes every line at once: a batch seldom has one twice.
pub(crate) struct Transactions;

impl Fold for Transactions {
    fn apply(&mut self, conn: &Connection, record: &Record) -> Result<(), ProjectionError> {
        let event = match &record.event {
            LedgerEvent::Account(event) => event,
            // No event of a campaign's stream is about one line.
            LedgerEvent::Campaign(_) => return Ok(()),
        };
        match event {
            AccountEvent::TransactionNoted { line } => note(conn, record, line),
            AccountEvent::TransactionDeferred { line, reason } => {
                defer(conn, record, line, *reason)?;
                take_over_pending(conn, line)
            }
            AccountEvent::TransactionEvaluated { line, outcome, considered, draws } => {
                decide(conn, record, line, *outcome, considered, draws)?;
                take_over_pending(conn, line)
            }
            AccountEvent::TransactionLinked { source, transaction_id, linked_to } => {
                add_alias(conn, source, transaction_id, linked_to)
            }
            AccountEvent::TransactionRemoved { source, transaction_id, removed_at } => {
                remove(conn, record, source, transaction_id, *removed_at)
            }
            AccountEvent::PersonalDataErased { .. } => conn.write(
                "UPDATE transactions SET details = NULL WHERE account_id = ?1",
                &values![&record.stream_id],
            ),
            AccountEvent::AccountOpened { .. }
            | AccountEvent::AccountClosed { .. }
            | AccountEvent::AccountExcluded { .. }
            | AccountEvent::AccountReinstated { .. }
            | AccountEvent::RewardIssued { .. }
            | AccountEvent::CustomerNotified { .. }
            | AccountEvent::CreditRequested { .. }
            | AccountEvent::RewardCredited { .. }
            | AccountEvent::CreditFailed { .. }
            | AccountEvent::RewardReversed { .. } => Ok(()),
        }
    }
}

/// The first eight columns of every statement that writes a line.
fn line_values<'a>(record: &'a Record, line: &'a Line) -> [Value<'a>; 8] {
    values![
        record.position,
        line.source.as_str(),
        line.transaction_id.as_str(),
        &record.stream_id,
        line.booked_at,
        record.recorded_at,
        line.details.as_ref(),
        line.pending_transaction_id.as_ref().map(TransactionId::as_str),
    ]
}

/// A pending line may change until it is booked. One that is booked by now, under whatever name and through
/// whichever account, is not pending again.
fn note(conn: &Connection, record: &Record, line: &Line) -> Result<(), ProjectionError> {
    conn.write(
        "INSERT INTO transactions (position, source, transaction_id, account_id, booked_at, recorded_at, details,
                                   pending_transaction_id, status)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'pending'
         WHERE NOT EXISTS (SELECT 1 FROM transaction_aliases WHERE source = ?2 AND transaction_id = ?3)
         ON CONFLICT (source, transaction_id) DO UPDATE SET
             booked_at = excluded.booked_at, recorded_at = excluded.recorded_at, details = excluded.details,
             status = 'pending', removed_at = NULL
         WHERE transactions.account_id = excluded.account_id
             AND transactions.status IN ('pending', 'removed') AND transactions.outcome IS NULL",
        &line_values(record, line),
    )
}

/// The decision of a line that was removed and is booked again stays, beside the reason why it waits.
fn defer(
    conn: &Connection,
    record: &Record,
    line: &Line,
    reason: DeferReason,
) -> Result<(), ProjectionError> {
    let (status, reason) = match reason {
        DeferReason::EpochNotOpen => (TransactionStatus::Deferred, "epoch_not_open"),
        DeferReason::DrawsHalted => (TransactionStatus::Deferred, "draws_halted"),
        DeferReason::Held => (TransactionStatus::Held, "held"),
    };
    conn.write_one(
        "INSERT INTO transactions (position, source, transaction_id, account_id, booked_at, recorded_at, details,
                                   pending_transaction_id, status, defer_reason)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (source, transaction_id) DO UPDATE SET
             account_id = excluded.account_id, booked_at = excluded.booked_at, recorded_at = excluded.recorded_at,
             details = excluded.details, pending_transaction_id = excluded.pending_transaction_id,
             status = excluded.status, defer_reason = excluded.defer_reason
         WHERE transactions.status <> 'booked'",
        &[&line_values(record, line)[..], &values![status, reason]].concat(),
        THIS.contradiction(record.position, "a decided line is deferred"),
    )
}

fn decide(
    conn: &Connection,
    record: &Record,
    line: &Line,
    outcome: Outcome,
    considered: &[Considered],
    draws: &[Draw],
) -> Result<(), ProjectionError> {
    let outcome = match outcome {
        Outcome::Declined => "declined",
        Outcome::Lost => "lost",
        Outcome::Won => "won",
    };
    let considered = serde_json::to_string(considered)?;
    let draws = if draws.is_empty() { None } else { Some(serde_json::to_string(draws)?) };
    // Decided at most once, for ever: the last place that would notice.
    conn.write_one(
        "INSERT INTO transactions (position, source, transaction_id, account_id, booked_at, recorded_at, details,
                                   pending_transaction_id, status, outcome, considered, draws)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'booked', ?9, ?10, ?11)
         ON CONFLICT (source, transaction_id) DO UPDATE SET
             account_id = excluded.account_id, booked_at = excluded.booked_at, recorded_at = excluded.recorded_at,
             details = excluded.details, pending_transaction_id = excluded.pending_transaction_id,
             status = excluded.status, outcome = excluded.outcome, considered = excluded.considered,
             draws = excluded.draws, defer_reason = NULL, removed_at = NULL
         WHERE transactions.outcome IS NULL",
        &[&line_values(record, line)[..], &values![outcome, considered, draws]].concat(),
        THIS.contradiction(record.position, "a line is decided twice"),
    )
}

fn take_over_pending(conn: &Connection, line: &Line) -> Result<(), ProjectionError> {
    match &line.pending_transaction_id {
        Some(pending) if *pending != line.transaction_id => {
            add_alias(conn, &line.source, pending, &line.transaction_id)
        }
        Some(_) | None => Ok(()),
    }
}

/// What was pending under the alias gives way. What was booked under it keeps its row: a name's own row is
/// found before an alias.
fn add_alias(
    conn: &Connection,
    source: &Source,
    alias: &TransactionId,
    booked_as: &TransactionId,
) -> Result<(), ProjectionError> {
    conn.write(
        "DELETE FROM transactions WHERE source = ?1 AND transaction_id = ?2 AND outcome IS NULL
             AND status IN ('pending', 'removed')",
        &values![source.as_str(), alias.as_str()],
    )?;
    conn.write(
        "INSERT INTO transaction_aliases (source, transaction_id, booked_as) VALUES (?1, ?2, ?3)
         ON CONFLICT (source, transaction_id) DO UPDATE SET booked_as = excluded.booked_as",
        &values![source.as_str(), alias.as_str(), booked_as.as_str()],
    )
}

/// A name's own row comes before what it is an alias of. A line may be removed before we ever saw it: there is
/// nothing to show then.
fn remove(
    conn: &Connection,
    record: &Record,
    source: &Source,
    id: &TransactionId,
    removed_at: Timestamp,
) -> Result<(), ProjectionError> {
    conn.write(
        "UPDATE transactions SET status = 'removed', removed_at = ?4, defer_reason = NULL
         WHERE source = ?1 AND account_id = ?3 AND transaction_id = coalesce(
             (SELECT own.transaction_id FROM transactions own
              WHERE own.source = ?1 AND own.transaction_id = ?2 AND own.account_id = ?3),
             (SELECT booked_as FROM transaction_aliases alias
              WHERE alias.source = ?1 AND alias.transaction_id = ?2))",
        &values![source.as_str(), id.as_str(), &record.stream_id, removed_at],
    )
}

#[cfg(test)]
mod tests;
