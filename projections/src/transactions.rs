//! Statement lines as we know them, one row per line and name, with their decision once there is
//! one.
//!
//! A line's place in lists is where it was first recorded and never changes. A pending line booked
//! under another id is the same purchase: its row gives way to the booked one, and its id becomes
//! an alias that finds it. So does an id that the bank gives a known line later. A removed line
//! keeps its decision; one that was never decided is found by id but no longer listed. One that is
//! booked again is held until people have reviewed it: released it is deferred once more, dismissed
//! it is removed as before, or declined where it was never decided. Details stay sealed and go with
//! an erasure.

use ledger_core::account::event::{Considered, DeferReason, Outcome, Verdict};
use ledger_core::account::line::Proposal;
use ledger_core::draw::Draw;
use ledger_core::ids::{AccountId, Source, TransactionId};
use ledger_core::keys::Sealed;
use ledger_core::log::Position;
use ledger_core::time::Timestamp;

mod fold;

pub(crate) use self::fold::Transactions;
use crate::connection::{Connection, Row, values};
use crate::error::ProjectionError;
use crate::page::{self, Page};
use crate::row;

/// By name: `*` would change under a prepared statement when a migration adds a column.
const COLUMNS: &str = "position, source, transaction_id, account_id, status, booked_at, recorded_at, details, \
     pending_transaction_id, outcome, defer_reason, considered, draws, removed_at, verdict, proposal";

row::words! {
    /// Where a line stands with us.
    TransactionStatus {
        /// Not final at the bank.
        Pending = "pending",
        /// Decided.
        Booked = "booked",
        /// Booked, waits for its epoch or for draws to be switched on.
        Deferred = "deferred",
        /// Booked, waits for people.
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
    /// What two people made of it when it was last held.
    pub verdict: Option<Verdict>,
    /// What one person has proposed, while it is held.
    pub proposal: Option<Proposal>,
}

/// The line that goes by this id now, or went by it while pending; with an owner only if it is his.
/// What is someone else's is not read: that it takes as long as what there is not tells nobody of
/// it.
pub fn transaction(
    conn: &Connection,
    source: &Source,
    id: &TransactionId,
    owner: Option<&AccountId>,
) -> Result<Option<TransactionRow>, ProjectionError> {
    let named = |id: &TransactionId| {
        let sql = &format!(
            "SELECT {COLUMNS} FROM transactions
             WHERE source = ?1 AND transaction_id = ?2 AND (?3 = '' OR account_id = ?3)"
        );
        conn.row(sql, &values![source.as_str(), id.as_str(), owner.map_or("", AccountId::as_str)])
    };
    let found = match named(id)? {
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

/// Lines that wait for people, oldest first: those first recorded after `after`.
pub fn held(
    conn: &Connection,
    after: Option<Position>,
    first: usize,
) -> Result<Page<TransactionRow>, ProjectionError> {
    let rows = conn.rows(
        &format!(
            "SELECT {COLUMNS} FROM transactions WHERE status = 'held' AND position > ?1 ORDER BY position LIMIT ?2"
        ),
        &values![after.unwrap_or_default(), page::limit(first)],
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
        verdict: row.word_opt("verdict")?,
        proposal: row.json_opt("proposal")?,
    })
}

fn booked_as(
    conn: &Connection,
    source: &Source,
    id: &TransactionId,
) -> Result<Option<TransactionId>, ProjectionError> {
    let found = conn.row(
        "SELECT booked_as FROM transaction_aliases WHERE source = ?1 AND transaction_id = ?2",
        &values![source.as_str(), id.as_str()],
    )?;
    found.map(|row| row.get("booked_as")).transpose()
}

#[cfg(test)]
mod tests;
