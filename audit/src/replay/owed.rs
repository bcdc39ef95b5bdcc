//! Wins that were never issued and rewards that were never paid, by the log alone: what a step passed over, whatever its
//! cursor says.

use std::collections::HashMap;

use ledger_core::account::AccountEvent;
use ledger_core::ids::EntryId;
use ledger_core::log::{Position, StoredEvent};
use ledger_core::time::Timestamp;

/// A step that is at work takes seconds. Measured by the log's own last event, so that a ledger at rest does not turn red.
const PATIENCE_MICROS: i64 = 10 * 60 * 1_000_000;

type Since = (Position, Timestamp);

/// What is outstanding, and since when.
#[derive(Default)]
pub(super) struct Owed {
    won: HashMap<EntryId, Since>,
    /// Neither paid nor refused for good nor taken back.
    issued: HashMap<EntryId, Since>,
    last: Option<Timestamp>,
}

impl Owed {
    pub(super) fn seen(&mut self, stored: &StoredEvent) {
        self.last = Some(stored.recorded_at);
    }

    pub(super) fn take(&mut self, stored: &StoredEvent, event: &AccountEvent) {
        let since = (stored.position, stored.recorded_at);
        match event {
            AccountEvent::TransactionEvaluated { draws, .. } => {
                let won = draws.iter().filter(|draw| draw.amount.is_some());
                self.won.extend(won.map(|draw| (draw.entry_id, since)));
            }
            AccountEvent::RewardIssued { entry_id, .. } => {
                self.won.remove(entry_id);
                self.issued.insert(*entry_id, since);
            }
            // A new attempt after a refusal.
            AccountEvent::CreditRequested { entry_id, .. } => {
                self.issued.entry(*entry_id).or_insert(since);
            }
            AccountEvent::RewardCredited { entry_id, .. }
            | AccountEvent::CreditFailed { entry_id, .. }
            | AccountEvent::RewardReversed { entry_id, .. } => {
                self.won.remove(entry_id);
                self.issued.remove(entry_id);
            }
            AccountEvent::AccountOpened { .. }
            | AccountEvent::AccountClosed { .. }
            | AccountEvent::AccountExcluded { .. }
            | AccountEvent::AccountReinstated { .. }
            | AccountEvent::TransactionNoted { .. }
            | AccountEvent::TransactionDeferred { .. }
            | AccountEvent::TransactionLinked { .. }
            | AccountEvent::TransactionRemoved { .. }
            | AccountEvent::ReviewProposed { .. }
            | AccountEvent::TransactionReviewed { .. }
            | AccountEvent::CustomerNotified { .. }
            | AccountEvent::PersonalDataErased { .. } => {}
        }
    }

    /// What is overdue, in the order of the log.
    pub(super) fn overdue(&self) -> Vec<String> {
        let overdue = |outstanding: &HashMap<EntryId, Since>, what: &'static str| {
            let late = outstanding.values().filter(|(_, since)| {
                self.last.is_some_and(|last| last.micros() - since.micros() > PATIENCE_MICROS)
            });
            late.map(move |(position, _)| (*position, what)).collect::<Vec<_>>()
        };
        let mut all = overdue(&self.won, "was won and never issued");
        all.extend(overdue(&self.issued, "was issued and never paid, refused or taken back"));
        all.sort_unstable();
        all.into_iter().map(|(position, what)| format!("a reward of {position} {what}")).collect()
    }
}
