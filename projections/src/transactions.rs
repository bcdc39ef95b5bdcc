//! Statement lines as we know them, one row per line and name, with their decision once there is
//! one.
//!
//! A line's place in lists is where it was first recorded and never changes. A pending line booked
//! under another id is the same purchase: its row gives way to the booked one, and its id becomes
//! an alias that finds it. So does an id that the bank gives a known line later. A removed line
//! keeps its decision; one that was never decided is found by id but no longer listed. One that is
//! booked again is held until people have reviewed it. Released, it is deferred once more.
//! Dismissed, it is removed as before, or declined if it was never decided. Details stay sealed and
//! go with an erasure.

use ledger_core::account::event::{Considered, DeferReason, Outcome, Verdict};
use ledger_core::account::line::Proposal;
use ledger_core::draw::Draw;
use ledger_core::ids::{AccountId, Source, TransactionId};
use ledger_core::keys::Sealed;
use ledger_core::log::Position;
use ledger_core::time::Timestamp;

mod fold;

pub(crate) use self::fold::Transactions;
use crate::column::{Column as _, words};
use crate::connection::{Connection, values};
use crate::error::ProjectionError;
use crate::page::{self, Page};
use crate::table::{TableRow as _, table};

words! {
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

table! {
    /// One line.
    pub TransactionRow in "transactions", key 1, by (source: Source, transaction_id: TransactionId) {
        /// Where it was first recorded: its place in lists, and the cursor.
        position: Position,
        /// Who fed it.
        source: Source,
        /// Its id there; the one under which it was first booked, once it was.
        transaction_id: TransactionId,
        /// Whose it is.
        account_id: AccountId,
        /// Where it stands.
        status: TransactionStatus,
        /// The bank's booking time.
        booked_at: Timestamp,
        /// When we recorded it as it stands: decided, or else deferred or noted.
        recorded_at: Timestamp,
        /// Amount, merchant and so on. Absent once erased.
        details: Option<Sealed>,
        /// The id it had while pending.
        pending_transaction_id: Option<TransactionId>,
        /// How it was decided; kept when it is removed.
        outcome: Option<Outcome>,
        /// Why it waits, while it does.
        defer_reason: Option<DeferReason>,
        /// Every campaign considered, once decided.
        considered: Option<Vec<Considered>>,
        /// Every draw it entered.
        draws: Vec<Draw>,
        /// When the bank took it back.
        removed_at: Option<Timestamp>,
        /// What two people made of it when it was last held.
        verdict: Option<Verdict>,
        /// What one person has proposed, while it is held.
        proposal: Option<Proposal>,
    }
}

table! {
    /// Another name of a line: its id while pending, or one its bank gave it later.
    pub(crate) AliasRow in "transaction_aliases", key 2, by (source: Source, transaction_id: TransactionId) {
        /// Who fed it.
        source: Source,
        /// The other name.
        transaction_id: TransactionId,
        /// The line's own.
        booked_as: TransactionId,
    }
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
        let rest = "WHERE source = $1 AND transaction_id = $2 AND account_id = coalesce($3, account_id)";
        TransactionRow::find(conn, rest, &values![source, id, owner.cloned()])
    };
    if let Some(found) = named(id)? {
        return Ok(Some(found));
    }
    match AliasRow::find(conn, "WHERE source = $1 AND transaction_id = $2", &values![source, id])? {
        Some(alias) => named(&alias.booked_as),
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
    let rest = "WHERE account_id = $1 AND position < $2 AND (status <> 'removed' OR outcome IS NOT NULL)
                ORDER BY position DESC LIMIT $3";
    let rows =
        TransactionRow::select(conn, rest, &values![account, page::before(after), page::limit(first)])?;
    Ok(Page::of(rows, first))
}

/// Lines that wait for people, oldest first: those first recorded after `after`.
pub fn held(
    conn: &Connection,
    after: Option<Position>,
    first: usize,
) -> Result<Page<TransactionRow>, ProjectionError> {
    let rest = "WHERE status = 'held' AND position > $1 ORDER BY position LIMIT $2";
    let rows = TransactionRow::select(conn, rest, &values![after.unwrap_or_default(), page::limit(first)])?;
    Ok(Page::of(rows, first))
}

#[cfg(test)]
mod tests;
