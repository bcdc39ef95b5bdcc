//! An account as staff may see it: how it stands, counts, and by name only the lines that wait for
//! people. No amount, no merchant.

use std::collections::{BTreeMap, BTreeSet};

use cqrs_es::Aggregate as _;
use futures::TryStreamExt as _;
use ledger_core::account::event::{DeferReason, Exclusion, Line, Outcome, Verdict};
use ledger_core::account::{AccountEvent, RewardAccount};
use ledger_core::event::{LedgerEvent, decode};
use ledger_core::ids::{AccountId, TransactionKey};
use ledger_core::log::{EventLog, LogError, Position, StoredEvent, StreamId, follow};
use ledger_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

/// One account, from its whole stream; `None` where there is none of this id.
pub async fn show(log: &dyn EventLog, id: &AccountId) -> Result<Option<Value>, LogError> {
    let stream = StreamId::account(id);
    let (mut shown, mut events) = (Shown::default(), 0);
    let mut read = follow(log, Some(&stream), Position(0));
    while let Some(stored) = read.try_next().await? {
        events = stored.sequence;
        if let LedgerEvent::Account(event) = decode(&stored)? {
            shown.take(&stored, event);
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
    deferred: BTreeSet<TransactionKey>,
    held: BTreeMap<TransactionKey, Held>,
    /// What the account itself remembers: it says what may be released.
    account: RewardAccount,
    decided: Decided,
    /// Which lines those were.
    decided_lines: BTreeSet<TransactionKey>,
    rewards: Rewards,
}

struct Held {
    line: Line,
    position: Position,
    since: Timestamp,
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
    fn take(&mut self, stored: &StoredEvent, event: AccountEvent) {
        let was_booked_otherwise = match &event {
            AccountEvent::TransactionRemoved { source, transaction_id, .. } => {
                self.account.is_booked_otherwise(TransactionKey::of(source, transaction_id))
            }
            _ => false,
        };
        self.account.apply(event.clone());
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
                let (position, since) = (stored.position, stored.recorded_at);
                self.held.insert(key(&line), Held { line, position, since });
            }
            AccountEvent::TransactionDeferred { line, .. } => {
                self.deferred.insert(key(&line));
            }
            AccountEvent::TransactionEvaluated { line, outcome, .. } => {
                let key = key(&line);
                self.deferred.remove(&key);
                self.held.remove(&key);
                self.decided_lines.insert(key);
                match outcome {
                    Outcome::Declined => self.decided.declined += 1,
                    Outcome::Lost => self.decided.lost += 1,
                    Outcome::Won => self.decided.won += 1,
                }
            }
            AccountEvent::TransactionRemoved { source, transaction_id, .. } => {
                let key = TransactionKey::of(&source, &transaction_id);
                self.deferred.remove(&key);
                self.held.remove(&key);
                // The name that a settled purchase had while pending: nothing was taken back.
                if !was_booked_otherwise || self.decided_lines.contains(&key) {
                    self.decided.removed += 1;
                }
            }
            AccountEvent::TransactionReviewed { source, transaction_id, verdict, .. } => {
                let key = TransactionKey::of(&source, &transaction_id);
                self.held.remove(&key);
                if verdict == Verdict::Released {
                    self.deferred.insert(key);
                }
            }
            AccountEvent::RewardIssued { .. } => self.rewards.issued += 1,
            AccountEvent::RewardCredited { .. } => self.rewards.credited += 1,
            AccountEvent::RewardReversed { .. } => self.rewards.reversed += 1,
            AccountEvent::PersonalDataErased { .. } => self.erased = true,
            AccountEvent::TransactionNoted { .. }
            | AccountEvent::ReviewProposed { .. }
            | AccountEvent::TransactionLinked { .. }
            | AccountEvent::CustomerNotified { .. }
            | AccountEvent::CreditRequested { .. }
            | AccountEvent::CreditFailed { .. } => {}
        }
    }

    fn to_json(&self, id: &AccountId, events: u64) -> Value {
        let Shown { enrolled_at, closed, excluded, erased, deferred, held, decided, rewards, .. } = self;
        let Decided { declined, lost, won, removed } = decided;
        json!({
            "account_id": id, "events": events, "enrolled_at": enrolled_at, "closed": closed, "excluded": excluded,
            "erased": erased, "rewards": rewards,
            "transactions": {
                "declined": declined, "lost": lost, "won": won, "deferred": deferred.len(), "held": held.len(),
                "removed": removed,
            },
            "held": held.iter().map(|(key, held)| self.held_to_json(*key, held)).collect::<Vec<_>>(),
        })
    }

    fn held_to_json(&self, key: TransactionKey, held: &Held) -> Value {
        let Held { line: Line { source, transaction_id, booked_at, .. }, position, since } = held;
        let check = self.account.check_release(source, transaction_id);
        json!({
            "source": source, "transaction_id": transaction_id, "booked_at": booked_at,
            "position": position.to_string(), "held_since": since, "may_be_released": check.is_ok(),
            "why_not": check.err().map(|rejection| rejection.to_string()), "proposal": self.account.proposal(key),
        })
    }
}

fn key(line: &Line) -> TransactionKey {
    TransactionKey::of(&line.source, &line.transaction_id)
}
