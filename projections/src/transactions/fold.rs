//! How events become lines.

use compact_str::CompactString;
use ledger_core::account::AccountEvent;
use ledger_core::account::event::{DeferReason, Line, Outcome, Verdict};
use ledger_core::account::line::Proposal;
use ledger_core::ids::{Source, TransactionId};
use ledger_core::log::Position;
use ledger_core::log::decode::LedgerEvent;
use ledger_core::seal::Sealed;
use ledger_core::time::Timestamp;

use super::TransactionStatus;
use crate::connection::{Connection, values};
use crate::error::ProjectionError;
use crate::projection::Projection;
use crate::record::Record;
use crate::registry::Fold;
use crate::table::{Rows, table, text};

pub(super) const THIS: Projection = Projection::Transactions;

table! {
    /// A line. JSON stays the text that it was written as.
    Stored in "transactions", key 1, by (source: CompactString, transaction_id: CompactString) {
        position: Position,
        source: CompactString,
        transaction_id: CompactString,
        account_id: CompactString,
        status: TransactionStatus,
        booked_at: Timestamp,
        recorded_at: Timestamp,
        details: Option<Sealed>,
        pending_transaction_id: Option<CompactString>,
        outcome: Option<Outcome>,
        defer_reason: Option<DeferReason>,
        considered: Option<String>,
        draws: Option<String>,
        removed_at: Option<Timestamp>,
        verdict: Option<Verdict>,
        proposal: Option<String>,
    }
}

table! {
    /// Another name of a line.
    Alias in "transaction_aliases", key 2, by (source: CompactString, transaction_id: CompactString) {
        source: CompactString,
        transaction_id: CompactString,
        booked_as: CompactString,
    }
}

/// The lines and names of a page.
pub(crate) struct Transactions {
    lines: Rows<Stored>,
    aliases: Rows<Alias>,
    /// Accounts whose other lines lose their details too.
    erased: Vec<CompactString>,
}

/// A feed and an id there.
type Name = (CompactString, CompactString);

fn name(source: &Source, id: &TransactionId) -> Name {
    (text(source.as_str()), text(id.as_str()))
}

/// The id that a line had while it was pending, if that was another.
fn pending(line: &Line) -> Option<&TransactionId> {
    line.pending_transaction_id.as_ref().filter(|pending| **pending != line.transaction_id)
}

impl Fold for Transactions {
    fn load(conn: &Connection, page: &[Record]) -> Result<Self, ProjectionError> {
        let (mut names, mut noted) = (vec![], vec![]);
        for record in page {
            let LedgerEvent::Account(event) = &record.event else { continue };
            match event {
                AccountEvent::TransactionNoted { line } => {
                    let name = name(&line.source, &line.transaction_id);
                    noted.push(name.clone());
                    names.push(name);
                }
                AccountEvent::TransactionDeferred { line, .. }
                | AccountEvent::TransactionEvaluated { line, .. } => {
                    names.push(name(&line.source, &line.transaction_id));
                    names.extend(pending(line).map(|id| name(&line.source, id)));
                }
                AccountEvent::TransactionLinked { source, transaction_id, .. }
                | AccountEvent::ReviewProposed { source, transaction_id, .. }
                | AccountEvent::TransactionReviewed { source, transaction_id, .. }
                | AccountEvent::TransactionRemoved { source, transaction_id, .. } => {
                    names.push(name(source, transaction_id));
                }
                // What `apply` changes nothing for, or what touches lines by their account.
                _ => {}
            }
        }
        let (lines, aliases) = (Rows::load(conn, names)?, Rows::load(conn, noted)?);
        Ok(Transactions { lines, aliases, erased: vec![] })
    }

    fn apply(&mut self, record: &Record) -> Result<(), ProjectionError> {
        let event = match &record.event {
            LedgerEvent::Account(event) => event,
            // No event of another stream is about one line.
            LedgerEvent::Campaign(_) | LedgerEvent::System(_) => return Ok(()),
        };
        match event {
            AccountEvent::TransactionNoted { line } => self.note(record, line),
            AccountEvent::TransactionDeferred { line, reason } => {
                self.defer(record, line, *reason)?;
                self.take_over_pending(line);
            }
            AccountEvent::TransactionEvaluated { line, outcome, considered, draws } => {
                let considered = serde_json::to_string(considered)?;
                let draws = if draws.is_empty() { None } else { Some(serde_json::to_string(draws)?) };
                self.decide(record, line, *outcome, considered, draws)?;
                self.take_over_pending(line);
            }
            AccountEvent::TransactionLinked { source, transaction_id, linked_to, .. } => {
                self.add_alias(source, transaction_id, linked_to);
            }
            AccountEvent::ReviewProposed { source, transaction_id, verdict, reason, by, proposed_at } => {
                let (reason, by) = (reason.clone(), by.clone());
                let proposal = Proposal { verdict: *verdict, by, reason, proposed_at: *proposed_at };
                let proposal = text(&serde_json::to_string(&proposal)?).into();
                // Another verdict takes the place of what was proposed before.
                if let Some(row) = self.lines.slot(name(source, transaction_id))
                    && row.status == TransactionStatus::Held
                {
                    row.proposal = Some(proposal);
                }
            }
            AccountEvent::TransactionReviewed { source, transaction_id, verdict, .. } => {
                if let Some(row) = self.lines.slot(name(source, transaction_id)) {
                    row.review(*verdict);
                }
            }
            AccountEvent::TransactionRemoved { source, transaction_id, removed_at, .. } => {
                self.remove(record, source, transaction_id, *removed_at);
            }
            AccountEvent::PersonalDataErased { .. } => {
                self.lines.change_all(|row| {
                    if row.account_id == record.stream_id {
                        row.details = None;
                    }
                });
                self.erased.push(record.stream_id.clone());
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
            | AccountEvent::RewardReversed { .. } => {}
        }
        Ok(())
    }

    fn write(self, conn: &Connection) -> Result<(), ProjectionError> {
        for account in &self.erased {
            // Before the page's own lines: what was recorded after the erasure stays.
            conn.write("UPDATE transactions SET details = NULL WHERE account_id = $1", &values![account])?;
        }
        self.lines.write(conn)?;
        self.aliases.write(conn)
    }
}

impl Transactions {
    /// A pending line may change until it is booked. One that is booked by now, under whatever name and through
    /// whichever account, is not pending again.
    fn note(&mut self, record: &Record, line: &Line) {
        let name = name(&line.source, &line.transaction_id);
        if self.aliases.has(&name) {
            return;
        }
        match self.lines.slot(name) {
            Some(row) if row.account_id == record.stream_id && row.is_open() => {
                row.booked_at = line.booked_at;
                row.recorded_at = record.recorded_at;
                row.details.clone_from(&line.details);
                row.status = TransactionStatus::Pending;
                row.removed_at = None;
            }
            Some(_) => {}
            none => *none = Some(Stored::new(record, line, TransactionStatus::Pending)),
        }
    }

    /// The decision of a line that was removed and is booked again stays, beside the reason why it waits.
    fn defer(&mut self, record: &Record, line: &Line, reason: DeferReason) -> Result<(), ProjectionError> {
        let status = match reason {
            DeferReason::EpochNotOpen | DeferReason::DrawsHalted => TransactionStatus::Deferred,
            DeferReason::Held => TransactionStatus::Held,
        };
        let row = self.lines.slot(name(&line.source, &line.transaction_id));
        if row.as_ref().is_some_and(|row| row.status == TransactionStatus::Booked) {
            return Err(THIS.contradiction(record.position, "a decided line is deferred").into());
        }
        let row = Stored::recorded(row, record, line, status);
        row.defer_reason = Some(reason);
        row.verdict = None;
        row.proposal = None;
        Ok(())
    }

    fn decide(
        &mut self,
        record: &Record,
        line: &Line,
        outcome: Outcome,
        considered: String,
        draws: Option<String>,
    ) -> Result<(), ProjectionError> {
        let row = self.lines.slot(name(&line.source, &line.transaction_id));
        // Decided at most once, for ever: the last place that would notice.
        if row.as_ref().is_some_and(|row| row.outcome.is_some()) {
            return Err(THIS.contradiction(record.position, "a line is decided twice").into());
        }
        let row = Stored::recorded(row, record, line, TransactionStatus::Booked);
        row.outcome = Some(outcome);
        row.considered = Some(considered);
        row.draws = draws;
        row.defer_reason = None;
        row.removed_at = None;
        row.proposal = None;
        Ok(())
    }

    fn take_over_pending(&mut self, line: &Line) {
        if let Some(pending) = pending(line) {
            self.add_alias(&line.source, pending, &line.transaction_id);
        }
    }

    /// What was pending under the alias gives way. What was booked under it keeps its row: a name's own row is
    /// found before an alias.
    fn add_alias(&mut self, source: &Source, alias: &TransactionId, booked_as: &TransactionId) {
        let (source, alias) = name(source, alias);
        let row = self.lines.slot((source.clone(), alias.clone()));
        if row.as_ref().is_some_and(Stored::is_open) {
            *row = None;
        }
        self.aliases.put(Alias { source, transaction_id: alias, booked_as: text(booked_as.as_str()) });
    }

    /// The event says which line the bank took back. A name that it only had while pending is another's: a purchase that
    /// has settled stays, though the bank then removes its pending line. A line may be removed before we ever saw it:
    /// there is nothing to show then.
    fn remove(&mut self, record: &Record, source: &Source, id: &TransactionId, removed_at: Timestamp) {
        if let Some(row) = self.lines.slot(name(source, id))
            && row.account_id == record.stream_id
        {
            row.status = TransactionStatus::Removed;
            row.removed_at = Some(removed_at);
            row.defer_reason = None;
            row.proposal = None;
        }
    }
}

impl Stored {
    fn new(record: &Record, line: &Line, status: TransactionStatus) -> Stored {
        let (source, transaction_id) = name(&line.source, &line.transaction_id);
        Stored {
            position: record.position,
            source,
            transaction_id,
            account_id: record.stream_id.clone(),
            status,
            booked_at: line.booked_at,
            recorded_at: record.recorded_at,
            details: line.details.clone(),
            pending_transaction_id: line.pending_transaction_id.as_ref().map(|id| text(id.as_str())),
            outcome: None,
            defer_reason: None,
            considered: None,
            draws: None,
            removed_at: None,
            verdict: None,
            proposal: None,
        }
    }

    /// The line as it is recorded now, in the place that it has.
    fn recorded<'r>(
        slot: &'r mut Option<Stored>,
        record: &Record,
        line: &Line,
        status: TransactionStatus,
    ) -> &'r mut Stored {
        let new = Stored::new(record, line, status);
        let new = match slot.take() {
            None => new,
            Some(old) => Stored {
                account_id: new.account_id,
                status,
                booked_at: new.booked_at,
                recorded_at: new.recorded_at,
                details: new.details,
                pending_transaction_id: new.pending_transaction_id,
                ..old
            },
        };
        slot.insert(new)
    }

    /// Whether it is neither decided nor waits to be.
    fn is_open(&self) -> bool {
        self.outcome.is_none()
            && matches!(self.status, TransactionStatus::Pending | TransactionStatus::Removed)
    }

    fn review(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Released if self.outcome.is_some() => return,
            Verdict::Released => {
                self.status = TransactionStatus::Deferred;
                self.removed_at = None;
            }
            // As it was before it was held. One that was never decided is not to be, which is a decision.
            Verdict::Dismissed if self.outcome.is_none() => {
                self.status = TransactionStatus::Booked;
                self.removed_at = None;
                self.outcome = Some(Outcome::Declined);
            }
            Verdict::Dismissed => self.status = TransactionStatus::Removed,
        }
        self.defer_reason = None;
        self.verdict = Some(verdict);
        self.proposal = None;
    }
}
