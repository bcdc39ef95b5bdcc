//! Wins that were never issued and rewards that were never paid, by the log alone: what a step
//! passed over, whatever its cursor says.

use std::collections::HashMap;

use ledger_core::account::AccountEvent;
use ledger_core::ids::EntryId;
use ledger_core::log::{Position, StoredEvent};
use ledger_core::time::Timestamp;

/// A step that is at work takes seconds. Measured by the log's own last event, so that a ledger at
/// rest does not turn red.
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

#[cfg(test)]
mod tests {
    use super::*;
    use ledger_core::money::{Currency, Money};
    use ledger_core::posting::Posting;
    use support::{History, stream};

    /// What is overdue when the log ends so long after these events.
    fn overdue(events: &[AccountEvent], after_micros: i64) -> Vec<String> {
        let (mut owed, mut history) = (Owed::default(), History::default());
        for event in events {
            owed.take(&history.event(&stream("anna")), event);
        }
        history.recorded_at = history.recorded_at.plus_micros(after_micros);
        owed.seen(&history.event(&stream("anna")));
        owed.overdue()
    }

    #[test]
    fn a_reward_that_is_issued_and_never_paid_is_overdue_after_a_while_and_a_settled_one_never() {
        let (entry_id, at) = (EntryId([1; 32]), Timestamp::from_micros(0));
        let amount = Money::new(5, Currency::from_code("GBP").unwrap()).unwrap();
        let campaign_id = || "sure".parse().unwrap();
        let issued = || AccountEvent::RewardIssued {
            entry_id,
            campaign_id: campaign_id(),
            amount,
            issued_at: at,
            posting: Posting::issue(&campaign_id(), amount),
        };
        let requested =
            |attempt| AccountEvent::CreditRequested { entry_id, attempt, amount, requested_at: at };
        let failed =
            || AccountEvent::CreditFailed { entry_id, attempt: 1, reason: "closed".into(), failed_at: at };
        let credited = AccountEvent::RewardCredited {
            entry_id,
            attempt: 1,
            amount,
            payout_reference: "pay_1".parse().unwrap(),
            credited_at: at,
            posting: Posting::credit(amount),
        };
        let late = ["a reward of 0:1 was issued and never paid, refused or taken back"];
        assert_eq!(overdue(&[issued()], PATIENCE_MICROS), [""; 0]);
        assert_eq!(overdue(&[issued()], PATIENCE_MICROS + 1), late);
        assert_eq!(overdue(&[issued(), requested(1)], PATIENCE_MICROS + 1), late);
        assert_eq!(overdue(&[issued(), requested(1), credited], PATIENCE_MICROS + 1), [""; 0]);
        assert_eq!(overdue(&[issued(), requested(1), failed()], PATIENCE_MICROS + 1), [""; 0]);
        let again = overdue(&[issued(), requested(1), failed(), requested(2)], PATIENCE_MICROS + 1);
        assert_eq!(again, [late[0].replace("0:1", "0:4")]);
    }
}
