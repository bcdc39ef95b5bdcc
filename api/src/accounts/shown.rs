//! An account as staff may see it: how it stands, and counts. No amount, no merchant, no id of a transaction.

use std::collections::BTreeSet;

use ledger_core::account::AccountEvent;
use ledger_core::account::event::{DeferReason, Exclusion, Line, Outcome};
use ledger_core::ids::{AccountId, TransactionKey};
use ledger_core::log::decode::{LedgerEvent, decode};
use ledger_core::log::{EventLog, LogError, Position, StreamId};
use ledger_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

/// Events read at a time.
const PAGE: usize = 2_000;

/// One account, from its whole stream; `None` where there is none of this id.
pub async fn show(log: &dyn EventLog, id: &AccountId) -> Result<Option<Value>, LogError> {
    let stream = StreamId::account(id);
    let (mut shown, mut events, mut after) = (Shown::default(), 0, Position::default());
    loop {
        let page = log.read_stream_after(&stream, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        (after, events) = (last.position, last.sequence);
        for stored in &page {
            if let LedgerEvent::Account(event) = decode(stored)? {
                shown.take(event);
            }
        }
    }
    Ok((events > 0).then(|| shown.to_json(id, events)))
}

#[derive(Default)]
struct Shown {
    enrolled_at: Option<Timestamp>,
    closed: Option<Closed>,
    excluded: Option<Excluded>,
    erased: bool,
    waiting: BTreeSet<TransactionKey>,
    held: BTreeSet<TransactionKey>,
    decided: Decided,
    rewards: Rewards,
}

#[derive(Serialize)]
struct Closed {
    at: Timestamp,
    reason: String,
}

#[derive(Serialize)]
struct Excluded {
    kind: Exclusion,
    at: Timestamp,
    reason: String,
}

#[derive(Default)]
struct Decided {
    declined: u64,
    lost: u64,
    won: u64,
    removed: u64,
}

#[derive(Default, Serialize)]
struct Rewards {
    issued: u64,
    credited: u64,
    reversed: u64,
}

impl Shown {
    fn take(&mut self, event: AccountEvent) {
        match event {
            AccountEvent::AccountOpened { enrolled_at } => self.enrolled_at = Some(enrolled_at),
            AccountEvent::AccountClosed { closed_at: at, reason } => {
                self.closed = Some(Closed { at, reason });
            }
            AccountEvent::AccountExcluded { excluded_at: at, kind, reason } => {
                self.excluded = Some(Excluded { kind, at, reason });
            }
            AccountEvent::AccountReinstated { .. } => self.excluded = None,
            AccountEvent::TransactionDeferred { line, reason: DeferReason::Held } => {
                self.held.insert(key(&line));
            }
            AccountEvent::TransactionDeferred { line, .. } => {
                self.waiting.insert(key(&line));
            }
            AccountEvent::TransactionEvaluated { line, outcome, .. } => {
                let key = key(&line);
                self.waiting.remove(&key);
                self.held.remove(&key);
                match outcome {
                    Outcome::Declined => self.decided.declined += 1,
                    Outcome::Lost => self.decided.lost += 1,
                    Outcome::Won => self.decided.won += 1,
                }
            }
            AccountEvent::TransactionRemoved { source, transaction_id, .. } => {
                let key = TransactionKey::of(&source, &transaction_id);
                self.waiting.remove(&key);
                self.held.remove(&key);
                self.decided.removed += 1;
            }
            AccountEvent::RewardIssued { .. } => self.rewards.issued += 1,
            AccountEvent::RewardCredited { .. } => self.rewards.credited += 1,
            AccountEvent::RewardReversed { .. } => self.rewards.reversed += 1,
            AccountEvent::PersonalDataErased { .. } => self.erased = true,
            AccountEvent::TransactionNoted { .. }
            | AccountEvent::TransactionLinked { .. }
            | AccountEvent::CustomerNotified { .. }
            | AccountEvent::CreditRequested { .. }
            | AccountEvent::CreditFailed { .. } => {}
        }
    }

    fn to_json(&self, id: &AccountId, events: u64) -> Value {
        let Shown { enrolled_at, closed, excluded, erased, waiting, held, decided, rewards } = self;
        let Decided { declined, lost, won, removed } = decided;
        json!({
            "account_id": id, "events": events, "enrolled_at": enrolled_at, "closed": closed, "excluded": excluded,
            "erased": erased, "rewards": rewards,
            "transactions": {
                "declined": declined, "lost": lost, "won": won, "waiting": waiting.len(), "held": held.len(),
                "removed": removed,
            },
        })
    }
}

fn key(line: &Line) -> TransactionKey {
    TransactionKey::of(&line.source, &line.transaction_id)
}
