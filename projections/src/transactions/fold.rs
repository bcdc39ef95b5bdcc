//! How events become lines.

use ledger_core::account::AccountEvent;
use ledger_core::account::event::{DeferReason, Line, Outcome, Verdict};
use ledger_core::account::line::Proposal;
use ledger_core::ids::{AccountId, Source, TransactionId};

use super::{AliasRow, TransactionRow, TransactionStatus};
use crate::column::Column as _;
use crate::connection::{Connection, values};
use crate::error::ProjectionError;
use crate::fold::{Event, Fold, Record};
use crate::projection::Projection;
use crate::table::{Rows, TableRows};

pub(super) const THIS: Projection = Projection::Transactions;

/// The lines of a page and their other names.
#[derive(Default)]
pub(crate) struct Transactions {
    lines: Rows<TransactionRow>,
    aliases: Rows<AliasRow>,
    erased: Option<AccountId>,
}

impl Fold for Transactions {
    fn tables(&mut self) -> Vec<&mut dyn TableRows> {
        vec![&mut self.lines, &mut self.aliases]
    }

    fn name(&mut self, record: &Record) {
        let Event::Account(_, event) = &record.event else { return };
        match event {
            AccountEvent::TransactionNoted { line } => {
                self.lines.name(name_of(line));
                self.aliases.name(name_of(line));
            }
            AccountEvent::TransactionDeferred { line, .. }
            | AccountEvent::TransactionEvaluated { line, .. } => {
                self.lines.name(name_of(line));
                let pending = line.pending_transaction_id.iter();
                pending.for_each(|pending| self.lines.name((line.source.clone(), pending.clone())));
            }
            AccountEvent::TransactionLinked { source, transaction_id, .. }
            | AccountEvent::ReviewProposed { source, transaction_id, .. }
            | AccountEvent::TransactionReviewed { source, transaction_id, .. }
            | AccountEvent::TransactionRemoved { source, transaction_id, .. } => {
                self.lines.name((source.clone(), transaction_id.clone()));
            }
            _ => {}
        }
    }

    fn apply(&mut self, record: &Record) -> Result<(), ProjectionError> {
        // No event of another stream is about one line.
        let Event::Account(account, event) = &record.event else { return Ok(()) };
        match event {
            AccountEvent::TransactionNoted { line } => self.note(record, account, line)?,
            AccountEvent::TransactionDeferred { line, reason } => {
                self.defer(record, account, line, *reason)?;
                self.take_over_pending(line)?;
            }
            AccountEvent::TransactionEvaluated { line, outcome, considered, draws } => {
                let row = self.restate(record, account, line)?;
                // Decided at most once, for ever: the last place that would notice.
                if row.outcome.is_some() {
                    return Err(THIS.contradiction(record.position, "a transaction is decided twice").into());
                }
                row.status = TransactionStatus::Booked;
                row.outcome = Some(*outcome);
                row.considered = Some(considered.clone());
                row.draws.clone_from(draws);
                (row.defer_reason, row.removed_at, row.proposal) = (None, None, None);
                self.take_over_pending(line)?;
            }
            AccountEvent::TransactionLinked { source, transaction_id, linked_to, .. } => {
                self.add_alias(source, transaction_id, linked_to)?;
            }
            AccountEvent::ReviewProposed { source, transaction_id, verdict, reason, by, proposed_at } => {
                let line = self.line(source, transaction_id)?.as_mut();
                if let Some(line) = line.filter(|line| line.status == TransactionStatus::Held) {
                    let (reason, by) = (reason.clone(), by.clone());
                    // Another verdict takes the place of what was proposed before.
                    line.proposal =
                        Some(Proposal { verdict: *verdict, by, reason, proposed_at: *proposed_at });
                }
            }
            AccountEvent::TransactionReviewed { source, transaction_id, verdict, .. } => {
                if let Some(line) = self.line(source, transaction_id)? {
                    review(line, *verdict);
                }
            }
            // The event says which line the bank took back. A name that it only had while pending
            // is another's: a purchase that has settled stays, though the bank then removes its
            // pending line. A line may be removed before we ever saw it: there is nothing to show.
            AccountEvent::TransactionRemoved { source, transaction_id, removed_at, .. } => {
                let line = self.line(source, transaction_id)?.as_mut();
                if let Some(line) = line.filter(|line| line.account_id == *account) {
                    line.status = TransactionStatus::Removed;
                    line.removed_at = Some(*removed_at);
                    (line.defer_reason, line.proposal) = (None, None);
                }
            }
            AccountEvent::PersonalDataErased { .. } => self.erased = Some(account.clone()),
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

    fn finish(&self, conn: &Connection) -> Result<(), ProjectionError> {
        let Some(account) = &self.erased else { return Ok(()) };
        let sql = "UPDATE transactions SET details = NULL WHERE account_id = $1";
        conn.rows(sql, &values![account]).map(drop)
    }
}

impl Transactions {
    fn line(
        &mut self,
        source: &Source,
        id: &TransactionId,
    ) -> Result<&mut Option<TransactionRow>, ProjectionError> {
        self.lines.slot(&(source.clone(), id.clone()))
    }

    /// A pending line may change until it is booked. One that is booked by now, under whatever name
    /// and through whichever account, is not pending again.
    fn note(&mut self, record: &Record, account: &AccountId, line: &Line) -> Result<(), ProjectionError> {
        if self.aliases.slot(&name_of(line))?.is_some() {
            return Ok(());
        }
        let slot = self.lines.slot(&name_of(line))?;
        match slot {
            None => *slot = Some(pending(record, account, line)),
            Some(row) if row.account_id == *account && gives_way(row) => {
                row.status = TransactionStatus::Pending;
                (row.booked_at, row.recorded_at) = (line.booked_at, record.recorded_at);
                row.details.clone_from(&line.details);
                row.removed_at = None;
            }
            Some(_) => {}
        }
        Ok(())
    }

    /// The decision of a line that was removed and is booked again stays, beside the reason why it
    /// waits.
    fn defer(
        &mut self,
        record: &Record,
        account: &AccountId,
        line: &Line,
        reason: DeferReason,
    ) -> Result<(), ProjectionError> {
        let row = self.restate(record, account, line)?;
        if row.status == TransactionStatus::Booked {
            return Err(THIS.contradiction(record.position, "a decided transaction is deferred").into());
        }
        row.status = match reason {
            DeferReason::EpochNotOpen | DeferReason::DrawsHalted => TransactionStatus::Deferred,
            DeferReason::Held => TransactionStatus::Held,
        };
        row.defer_reason = Some(reason);
        (row.verdict, row.proposal) = (None, None);
        Ok(())
    }

    /// A line, in its place if it has one, as it is booked now.
    fn restate(
        &mut self,
        record: &Record,
        account: &AccountId,
        line: &Line,
    ) -> Result<&mut TransactionRow, ProjectionError> {
        let slot = self.lines.slot(&name_of(line))?;
        let row = slot.get_or_insert_with(|| pending(record, account, line));
        row.account_id = account.clone();
        (row.booked_at, row.recorded_at) = (line.booked_at, record.recorded_at);
        row.details.clone_from(&line.details);
        row.pending_transaction_id.clone_from(&line.pending_transaction_id);
        Ok(row)
    }

    fn take_over_pending(&mut self, line: &Line) -> Result<(), ProjectionError> {
        match &line.pending_transaction_id {
            Some(pending) if *pending != line.transaction_id => {
                self.add_alias(&line.source, pending, &line.transaction_id)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// What was pending under the alias gives way. What was booked under it keeps its row: a name's
    /// own row is found before an alias.
    fn add_alias(
        &mut self,
        source: &Source,
        alias: &TransactionId,
        booked_as: &TransactionId,
    ) -> Result<(), ProjectionError> {
        self.line(source, alias)?.take_if(|row| gives_way(row));
        let (transaction_id, booked_as) = (alias.clone(), booked_as.clone());
        self.aliases.put(AliasRow { source: source.clone(), transaction_id, booked_as });
        Ok(())
    }
}

fn name_of(line: &Line) -> (Source, TransactionId) {
    (line.source.clone(), line.transaction_id.clone())
}

fn pending(record: &Record, account: &AccountId, line: &Line) -> TransactionRow {
    TransactionRow {
        position: record.position,
        source: line.source.clone(),
        transaction_id: line.transaction_id.clone(),
        account_id: account.clone(),
        status: TransactionStatus::Pending,
        booked_at: line.booked_at,
        recorded_at: record.recorded_at,
        details: line.details.clone(),
        pending_transaction_id: line.pending_transaction_id.clone(),
        outcome: None,
        defer_reason: None,
        considered: None,
        draws: vec![],
        removed_at: None,
        verdict: None,
        proposal: None,
    }
}

/// Whether a line was never booked.
fn gives_way(row: &TransactionRow) -> bool {
    row.outcome.is_none() && matches!(row.status, TransactionStatus::Pending | TransactionStatus::Removed)
}

fn review(line: &mut TransactionRow, verdict: Verdict) {
    match (verdict, line.outcome) {
        (Verdict::Released, Some(_)) => return,
        (Verdict::Released, None) => {
            line.status = TransactionStatus::Deferred;
            line.removed_at = None;
        }
        // As it was before it was held. For one that was never decided the dismissal is the
        // decision.
        (Verdict::Dismissed, Some(_)) => line.status = TransactionStatus::Removed,
        (Verdict::Dismissed, None) => {
            line.status = TransactionStatus::Booked;
            line.outcome = Some(Outcome::Declined);
            line.removed_at = None;
        }
    }
    line.verdict = Some(verdict);
    (line.defer_reason, line.proposal) = (None, None);
}
