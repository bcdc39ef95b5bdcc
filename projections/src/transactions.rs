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
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::ProjectionError;
use crate::page::{self, Page};
use crate::projection::{Fold, Projection, Record};
use crate::row;

const THIS: Projection = Projection::Transactions;

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
    let mut statement =
        conn.prepare_cached("SELECT * FROM transactions WHERE source = ?1 AND transaction_id = ?2")?;
    if let Some(found) = statement.query_row([source.as_str(), id.as_str()], read).optional()? {
        return Ok(Some(found));
    }
    match booked_as(conn, source, id)? {
        Some(booked) => Ok(statement.query_row([source.as_str(), &booked], read).optional()?),
        None => Ok(None),
    }
}

/// An account's lines, newest first: those recorded before `after`.
pub fn transactions(
    conn: &Connection,
    account: &AccountId,
    after: Option<Position>,
    first: usize,
) -> Result<Page<TransactionRow>, ProjectionError> {
    let mut statement = conn.prepare_cached(
        "SELECT * FROM transactions
         WHERE account_id = ?1 AND position < ?2 AND (status <> 'removed' OR outcome IS NOT NULL)
         ORDER BY position DESC LIMIT ?3",
    )?;
    let after = after.map_or(i64::MAX, row::stored);
    let rows = statement.query_map(params![account.as_str(), after, page::limit(first)], read)?;
    Ok(Page::of(rows.collect::<Result<_, _>>()?, first))
}

fn read(row: &Row<'_>) -> rusqlite::Result<TransactionRow> {
    Ok(TransactionRow {
        position: row::position(row, "position")?,
        source: row::text(row, "source")?,
        transaction_id: row::text(row, "transaction_id")?,
        account_id: row::text(row, "account_id")?,
        status: row::text(row, "status")?,
        booked_at: row::time(row, "booked_at")?,
        recorded_at: row::time(row, "recorded_at")?,
        details: row::sealed_opt(row, "details")?,
        pending_transaction_id: row::text_opt(row, "pending_transaction_id")?,
        outcome: row::word_opt(row, "outcome")?,
        defer_reason: row::word_opt(row, "defer_reason")?,
        considered: row::json_opt(row, "considered")?.unwrap_or_default(),
        draws: row::json_opt(row, "draws")?.unwrap_or_default(),
        removed_at: row::time_opt(row, "removed_at")?,
    })
}

fn booked_as(
    conn: &Connection,
    source: &Source,
    id: &TransactionId,
) -> Result<Option<String>, ProjectionError> {
    let mut statement = conn.prepare_cached(
        "SELECT booked_as FROM transaction_aliases WHERE source = ?1 AND transaction_id = ?2",
    )?;
    Ok(statement.query_row([source.as_str(), id.as_str()], |row| row.get(0)).optional()?)
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
            AccountEvent::PersonalDataErased { .. } => {
                conn.prepare_cached("UPDATE transactions SET details = NULL WHERE account_id = ?1")?
                    .execute([record.stream_id.as_str()])?;
                Ok(())
            }
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

/// A pending line may change until it is booked. One that is booked by now, under whatever name and through
/// whichever account, is not pending again.
fn note(conn: &Connection, record: &Record, line: &Line) -> Result<(), ProjectionError> {
    if booked_as(conn, &line.source, &line.transaction_id)?.is_some() {
        return Ok(());
    }
    conn.prepare_cached(
        "INSERT INTO transactions (position, source, transaction_id, account_id, booked_at, recorded_at, details,
                                   pending_transaction_id, status)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'pending')
         ON CONFLICT (source, transaction_id) DO UPDATE SET
             booked_at = excluded.booked_at, recorded_at = excluded.recorded_at, details = excluded.details,
             status = 'pending', removed_at = NULL
         WHERE account_id = excluded.account_id AND status IN ('pending', 'removed') AND outcome IS NULL",
    )?
    .execute(params![
        row::stored(record.position),
        line.source.as_str(),
        line.transaction_id.as_str(),
        record.stream_id.as_str(),
        line.booked_at.micros(),
        record.recorded_at.micros(),
        line.details.as_ref().map(Sealed::as_text),
        line.pending_transaction_id.as_ref().map(TransactionId::as_str),
    ])?;
    Ok(())
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
    let changed = conn
        .prepare_cached(
            "INSERT INTO transactions (position, source, transaction_id, account_id, booked_at, recorded_at, details,
                                       pending_transaction_id, status, defer_reason)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
             ON CONFLICT (source, transaction_id) DO UPDATE SET
                 account_id = excluded.account_id, booked_at = excluded.booked_at, recorded_at = excluded.recorded_at,
                 details = excluded.details, pending_transaction_id = excluded.pending_transaction_id,
                 status = excluded.status, defer_reason = excluded.defer_reason
             WHERE status <> 'booked'",
        )?
        .execute(params![
            row::stored(record.position),
            line.source.as_str(),
            line.transaction_id.as_str(),
            record.stream_id.as_str(),
            line.booked_at.micros(),
            record.recorded_at.micros(),
            line.details.as_ref().map(Sealed::as_text),
            line.pending_transaction_id.as_ref().map(TransactionId::as_str),
            status,
            reason,
        ])?;
    THIS.one_row(changed, record.position, "a decided line is deferred")
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
    let draws = if draws.is_empty() { None } else { Some(serde_json::to_string(draws)?) };
    // Decided at most once, for ever: the last place that would notice.
    let changed = conn
        .prepare_cached(
            "INSERT INTO transactions (position, source, transaction_id, account_id, booked_at, recorded_at, details,
                                       pending_transaction_id, status, outcome, considered, draws)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'booked', ?9, ?10, ?11)
             ON CONFLICT (source, transaction_id) DO UPDATE SET
                 account_id = excluded.account_id, booked_at = excluded.booked_at, recorded_at = excluded.recorded_at,
                 details = excluded.details, pending_transaction_id = excluded.pending_transaction_id,
                 status = excluded.status, outcome = excluded.outcome, considered = excluded.considered,
                 draws = excluded.draws, defer_reason = NULL, removed_at = NULL
             WHERE outcome IS NULL",
        )?
        .execute(params![
            row::stored(record.position),
            line.source.as_str(),
            line.transaction_id.as_str(),
            record.stream_id.as_str(),
            line.booked_at.micros(),
            record.recorded_at.micros(),
            line.details.as_ref().map(Sealed::as_text),
            line.pending_transaction_id.as_ref().map(TransactionId::as_str),
            outcome,
            serde_json::to_string(considered)?,
            draws,
        ])?;
    THIS.one_row(changed, record.position, "a line is decided twice")
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
    conn.prepare_cached(
        "DELETE FROM transactions WHERE source = ?1 AND transaction_id = ?2 AND outcome IS NULL
             AND status IN ('pending', 'removed')",
    )?
    .execute([source.as_str(), alias.as_str()])?;
    conn.prepare_cached(
        "INSERT INTO transaction_aliases (source, transaction_id, booked_as) VALUES (?1, ?2, ?3)
         ON CONFLICT (source, transaction_id) DO UPDATE SET booked_as = excluded.booked_as",
    )?
    .execute([source.as_str(), alias.as_str(), booked_as.as_str()])?;
    Ok(())
}

/// A line may be removed before we ever saw it: there is nothing to show then.
fn remove(
    conn: &Connection,
    record: &Record,
    source: &Source,
    id: &TransactionId,
    removed_at: Timestamp,
) -> Result<(), ProjectionError> {
    let mut statement = conn.prepare_cached(
        "UPDATE transactions SET status = 'removed', removed_at = ?4, defer_reason = NULL
         WHERE source = ?1 AND transaction_id = ?2 AND account_id = ?3",
    )?;
    let mut remove = |id: &str| {
        statement.execute(params![source.as_str(), id, record.stream_id.as_str(), removed_at.micros()])
    };
    if remove(id.as_str())? == 0
        && let Some(booked) = booked_as(conn, source, id)?
    {
        remove(&booked)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
