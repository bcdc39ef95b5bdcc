//! How events become lines.
//!
//! A page's writes are put off. On PostgreSQL they go to the tables kind by kind, so that those of
//! a kind are a few statements, however the kinds take turns in the log. Writes about different
//! names may change places; those about one name keep their order: what would overtake another of
//! its name goes with the next *wave* of kinds. On SQLite they go in the order of the log, which
//! appends rows by position.

use std::collections::HashMap;

use ledger_core::account::AccountEvent;
use ledger_core::account::event::{Considered, DeferReason, Line, Outcome, Verdict};
use ledger_core::account::line::Proposal;
use ledger_core::draw::Draw;
use ledger_core::event::LedgerEvent;
use ledger_core::ids::{Source, TransactionId};
use ledger_core::log::Position;
use ledger_core::time::Timestamp;

use super::TransactionStatus;
use crate::connection::{Connection, Value, values};
use crate::error::{Contradiction, ProjectionError};
use crate::projection::{Fold, Projection, Record};

pub(super) const THIS: Projection = Projection::Transactions;

/// Writes of a page that wait for their turn.
#[derive(Default)]
pub(crate) struct Transactions<'r> {
    /// As the log has them.
    staged: Vec<Write<'r>>,
    /// Which of them touched a name last.
    last: HashMap<Name<'r>, usize>,
}

/// A wave, and a kind in it. A slot touches a name once.
type Slot = (usize, Kind);

/// A feed and an id there.
type Name<'r> = (&'r Source, &'r TransactionId);

/// In the order within a wave: that of a line's usual life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Note,
    Defer,
    Propose,
    Release,
    Dismiss,
    Decide,
    GiveWay,
    AddAlias,
    Remove,
}

struct Write<'r> {
    slot: Slot,
    values: Vec<Value<'r>>,
    /// What is wrong if it does not write exactly one row, if that is wrong.
    otherwise: Option<Contradiction>,
}

impl<'r> Fold<'r> for Transactions<'r> {
    fn apply(&mut self, conn: &Connection, record: &'r Record) -> Result<(), ProjectionError> {
        // No event of another stream is about one line.
        let LedgerEvent::Account(event) = &record.event else { return Ok(()) };
        match event {
            AccountEvent::TransactionNoted { line } => self.note(record, line),
            AccountEvent::TransactionDeferred { line, reason } => {
                self.defer(record, line, *reason);
                self.take_over_pending(line);
            }
            AccountEvent::TransactionEvaluated { line, outcome, considered, draws } => {
                self.decide(record, line, *outcome, considered, draws)?;
                self.take_over_pending(line);
            }
            AccountEvent::TransactionLinked { source, transaction_id, linked_to, .. } => {
                self.add_alias(source, transaction_id, linked_to);
            }
            AccountEvent::ReviewProposed { source, transaction_id, verdict, reason, by, proposed_at } => {
                let (reason, by) = (reason.clone(), by.clone());
                let proposal = Proposal { verdict: *verdict, by, reason, proposed_at: *proposed_at };
                self.propose(source, transaction_id, &proposal)?;
            }
            AccountEvent::TransactionReviewed { source, transaction_id, verdict, .. } => {
                self.review(source, transaction_id, *verdict);
            }
            AccountEvent::TransactionRemoved { source, transaction_id, removed_at, .. } => {
                self.remove(record, source, transaction_id, *removed_at);
            }
            AccountEvent::PersonalDataErased { .. } => self.erase(conn, record)?,
            AccountEvent::AccountOpened { .. }
            | AccountEvent::AccountClosed { .. }
            | AccountEvent::AccountExcluded { .. }
            | AccountEvent::AccountReinstated { .. }
            | AccountEvent::RewardIssued { .. }
            | AccountEvent::CustomerNotified { .. }
            | AccountEvent::CreditRequested { .. }
            | AccountEvent::RewardCredited { .. }
            | AccountEvent::CreditFailed { .. }
            | AccountEvent::RewardReversed { .. } => {}
        }
        Ok(())
    }

    fn flush(&mut self, conn: &Connection, _: Position) -> Result<(), ProjectionError> {
        self.write_staged(conn)
    }
}

impl<'r> Transactions<'r> {
    fn note(&mut self, record: &'r Record, line: &'r Line) {
        let name = (&line.source, &line.transaction_id);
        self.stage(Kind::Note, name, line_values(record, line).into(), None);
    }

    /// The decision of a line that was removed and is booked again stays, beside the reason why it
    /// waits.
    fn defer(&mut self, record: &'r Record, line: &'r Line, reason: DeferReason) {
        let (status, reason) = match reason {
            DeferReason::EpochNotOpen => (TransactionStatus::Deferred, "epoch_not_open"),
            DeferReason::DrawsHalted => (TransactionStatus::Deferred, "draws_halted"),
            DeferReason::Held => (TransactionStatus::Held, "held"),
        };
        let name = (&line.source, &line.transaction_id);
        let mut values = Vec::from(line_values(record, line));
        values.extend(values![status, reason]);
        let otherwise = THIS.contradiction(record.position, "a decided line is deferred");
        self.stage(Kind::Defer, name, values, Some(otherwise));
    }

    fn decide(
        &mut self,
        record: &'r Record,
        line: &'r Line,
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
        let name = (&line.source, &line.transaction_id);
        let mut values = Vec::from(line_values(record, line));
        values.extend(values![outcome, considered, draws]);
        // Decided at most once, for ever: the last place that would notice.
        let otherwise = THIS.contradiction(record.position, "a line is decided twice");
        self.stage(Kind::Decide, name, values, Some(otherwise));
        Ok(())
    }

    fn propose(
        &mut self,
        source: &'r Source,
        id: &'r TransactionId,
        proposal: &Proposal,
    ) -> Result<(), ProjectionError> {
        let values = values![source.as_str(), id.as_str(), serde_json::to_string(proposal)?];
        self.stage(Kind::Propose, (source, id), values.into(), None);
        Ok(())
    }

    fn review(&mut self, source: &'r Source, id: &'r TransactionId, verdict: Verdict) {
        let kind = match verdict {
            Verdict::Released => Kind::Release,
            Verdict::Dismissed => Kind::Dismiss,
        };
        let values = values![source.as_str(), id.as_str()];
        self.stage(kind, (source, id), values.into(), None);
    }

    fn take_over_pending(&mut self, line: &'r Line) {
        match &line.pending_transaction_id {
            Some(pending) if *pending != line.transaction_id => {
                self.add_alias(&line.source, pending, &line.transaction_id);
            }
            Some(_) | None => {}
        }
    }

    /// What was pending under the alias gives way. What was booked under it keeps its row: a name's
    /// own row is found before an alias.
    fn add_alias(&mut self, source: &'r Source, alias: &'r TransactionId, booked_as: &'r TransactionId) {
        let name = (source, alias);
        self.give_way(source, alias);
        let values = values![source.as_str(), alias.as_str(), booked_as.as_str()];
        self.stage(Kind::AddAlias, name, values.into(), None);
    }

    /// A note that would be deleted next is not written: whatever row it finds or makes, the delete
    /// leaves the same.
    fn give_way(&mut self, source: &'r Source, id: &'r TransactionId) {
        let name = (source, id);
        let values = values![source.as_str(), id.as_str()].into();
        let last = self.last.get(&name).map(|last| &mut self.staged[*last]);
        match last {
            Some(write) if write.slot.1 == Kind::Note => {
                *write = Write { slot: (write.slot.0, Kind::GiveWay), values, otherwise: None };
            }
            Some(_) | None => self.stage(Kind::GiveWay, name, values, None),
        }
    }

    /// The event says which line the bank took back. A name that it only had while pending is
    /// another's: a purchase that has settled stays, though the bank then removes its pending line.
    fn remove(
        &mut self,
        record: &'r Record,
        source: &'r Source,
        id: &'r TransactionId,
        removed_at: Timestamp,
    ) {
        let values = values![source.as_str(), id.as_str(), &record.stream_id, removed_at];
        self.stage(Kind::Remove, (source, id), values.into(), None);
    }

    /// Every line of an account: nothing can pass it.
    fn erase(&mut self, conn: &Connection, record: &Record) -> Result<(), ProjectionError> {
        self.write_staged(conn)?;
        conn.write(
            "UPDATE transactions SET details = NULL WHERE account_id = ?1",
            &values![&record.stream_id],
        )
    }

    /// Puts a write into the first wave that comes after all that was staged for this name.
    fn stage(
        &mut self,
        kind: Kind,
        name: Name<'r>,
        values: Vec<Value<'r>>,
        otherwise: Option<Contradiction>,
    ) {
        let wave = match self.last.get(&name).map(|last| self.staged[*last].slot) {
            Some((wave, before)) if before < kind => wave,
            Some((wave, _)) => wave + 1,
            None => 0,
        };
        self.last.insert(name, self.staged.len());
        self.staged.push(Write { slot: (wave, kind), values, otherwise });
    }

    fn write_staged(&mut self, conn: &Connection) -> Result<(), ProjectionError> {
        self.last.clear();
        let mut staged = std::mem::take(&mut self.staged);
        if conn.groups_writes() {
            staged.sort_by_key(|write| write.slot);
        }
        for Write { slot: (_, kind), values, otherwise } in staged {
            match otherwise {
                Some(wrong) => conn.write_one(kind.sql(), &values, wrong)?,
                None => conn.write(kind.sql(), &values)?,
            }
        }
        Ok(())
    }
}

/// The first eight columns of every statement that writes a line.
fn line_values<'r>(record: &'r Record, line: &'r Line) -> [Value<'r>; 8] {
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

impl Kind {
    fn sql(self) -> &'static str {
        match self {
            // A pending line may change until it is booked. One that is booked by now, under
            // whatever name and through whichever account, is not pending again.
            Kind::Note => {
                "INSERT INTO transactions (position, source, transaction_id, account_id, booked_at, recorded_at,
                                           details, pending_transaction_id, status)
                 SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'pending'
                 WHERE NOT EXISTS (SELECT 1 FROM transaction_aliases alias
                                   WHERE alias.source = ?2 AND alias.transaction_id = ?3)
                 ON CONFLICT (source, transaction_id) DO UPDATE SET
                     booked_at = excluded.booked_at, recorded_at = excluded.recorded_at,
                     details = excluded.details, status = 'pending', removed_at = NULL
                 WHERE transactions.account_id = excluded.account_id
                     AND transactions.status IN ('pending', 'removed') AND transactions.outcome IS NULL"
            }
            Kind::Defer => {
                "INSERT INTO transactions (position, source, transaction_id, account_id, booked_at, recorded_at,
                                           details, pending_transaction_id, status, defer_reason)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                 ON CONFLICT (source, transaction_id) DO UPDATE SET
                     account_id = excluded.account_id, booked_at = excluded.booked_at,
                     recorded_at = excluded.recorded_at, details = excluded.details,
                     pending_transaction_id = excluded.pending_transaction_id,
                     status = excluded.status, defer_reason = excluded.defer_reason, verdict = NULL,
                     proposal = NULL
                 WHERE transactions.status <> 'booked'"
            }
            // Of a line that is held: another verdict takes the place of what was proposed before.
            Kind::Propose => {
                "UPDATE transactions SET proposal = ?3
                 WHERE source = ?1 AND transaction_id = ?2 AND status = 'held'"
            }
            Kind::Release => {
                "UPDATE transactions SET status = 'deferred', defer_reason = NULL, removed_at = NULL,
                     verdict = 'released', proposal = NULL
                 WHERE source = ?1 AND transaction_id = ?2 AND outcome IS NULL"
            }
            // As it was before it was held. One that was never decided is not to be, which is a
            // decision.
            Kind::Dismiss => {
                "UPDATE transactions SET status = CASE WHEN outcome IS NULL THEN 'booked' ELSE 'removed' END,
                     removed_at = CASE WHEN outcome IS NULL THEN NULL ELSE removed_at END,
                     outcome = coalesce(outcome, 'declined'), defer_reason = NULL, verdict = 'dismissed',
                     proposal = NULL
                 WHERE source = ?1 AND transaction_id = ?2"
            }
            Kind::Decide => {
                "INSERT INTO transactions (position, source, transaction_id, account_id, booked_at, recorded_at,
                                           details, pending_transaction_id, status, outcome, considered, draws)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'booked', ?9, ?10, ?11)
                 ON CONFLICT (source, transaction_id) DO UPDATE SET
                     account_id = excluded.account_id, booked_at = excluded.booked_at,
                     recorded_at = excluded.recorded_at, details = excluded.details,
                     pending_transaction_id = excluded.pending_transaction_id,
                     status = excluded.status, outcome = excluded.outcome, considered = excluded.considered,
                     draws = excluded.draws, defer_reason = NULL, removed_at = NULL, proposal = NULL
                 WHERE transactions.outcome IS NULL"
            }
            Kind::GiveWay => {
                "DELETE FROM transactions WHERE source = ?1 AND transaction_id = ?2 AND outcome IS NULL
                     AND status IN ('pending', 'removed')"
            }
            Kind::AddAlias => {
                "INSERT INTO transaction_aliases (source, transaction_id, booked_as) VALUES (?1, ?2, ?3)
                 ON CONFLICT (source, transaction_id) DO UPDATE SET booked_as = excluded.booked_as"
            }
            // A line may be removed before we ever saw it: there is nothing to show then.
            Kind::Remove => {
                "UPDATE transactions SET status = 'removed', removed_at = ?4, defer_reason = NULL, proposal = NULL
                 WHERE source = ?1 AND transaction_id = ?2 AND account_id = ?3"
            }
        }
    }
}
