//! Step *credit*: an issued reward is paid through the rail, once.
//!
//! The attempt is recorded before anything is sent, and its key is `entry_id:attempt`. An unknown outcome is
//! asked about; beyond the rail's idempotency window nothing is sent again, only asked. The attempt rises
//! only after a recorded refusal. A payment outstanding when its reward is reversed is never sent again; it
//! counts as not sent only when the rail still does not know it in the second half of its window.

use std::sync::Arc;
use std::time::Duration;

use crate::account::command::Outstanding;
use crate::account::{AccountEvent, Answer, CommandKind, Rejection};
use crate::engine::{Context, Ledger, SubmitError};
use crate::ids::{AccountId, EntryId};
use crate::log::StoredEvent;
use crate::log::decode::LedgerEvent;

use super::issue::caused_by;
use super::ports::{Payout, PayoutKey, PayoutRail, PayoutStatus, PayoutUnknown};
use super::runner::{Step, persist};

/// Reads issued rewards, pays, records what the rail said.
pub struct Credit {
    ledger: Ledger,
    rail: Arc<dyn PayoutRail>,
}

/// One reward to pay.
pub struct Owed {
    account_id: AccountId,
    entry_id: EntryId,
    context: Context,
}

/// What to do next about a payment.
enum Next {
    /// Tell the account what the rail said.
    Record(CommandKind),
    /// Nobody knows: ask again later.
    Ask,
    /// Nobody will know by sending again: a person is needed, we keep asking.
    Park,
}

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

impl Credit {
    /// A step that commands this ledger and pays through this rail.
    pub fn new(ledger: Ledger, rail: Arc<dyn PayoutRail>) -> Credit {
        Credit { ledger, rail }
    }

    async fn command(
        &self,
        owed: &Owed,
        kind: CommandKind,
    ) -> Result<Result<Answer, Rejection>, SubmitError> {
        persist(|| self.ledger.account(owed.account_id.clone(), kind.clone(), owed.context.clone())).await
    }

    /// Sends or asks, by what the account says is outstanding.
    async fn next(&self, owed: &Owed, outstanding: Outstanding) -> Next {
        let Outstanding { attempt, amount, requested_at, fresh, reversed } = outstanding;
        let entry_id = owed.entry_id;
        let key = PayoutKey { entry_id, attempt };
        let payout = Payout { key, account_id: owed.account_id.clone(), amount };
        let mut status = if fresh { self.rail.pay(&payout).await } else { self.rail.lookup(key).await };
        if matches!(status, Ok(PayoutStatus::NotFound)) {
            // The time that the request was recorded by: the window counts while that clock is in order, or not at all.
            let Ok(now) = self.ledger.tick().await else { return Next::Ask };
            let age = Duration::from_micros(u64::try_from(now.micros() - requested_at.micros()).unwrap_or(0));
            let window = self.rail.idempotency_window();
            if age >= window {
                return Next::Park;
            }
            if reversed && age < window / 2 {
                // A request may still be on its way: not found is no refusal yet.
                return Next::Ask;
            }
            if reversed {
                let reason = "reversed before it was sent".into();
                return Next::Record(CommandKind::FailCredit { entry_id, attempt, reason });
            }
            status = self.rail.pay(&payout).await;
        }
        match status {
            Ok(PayoutStatus::Paid(payout_reference)) => {
                Next::Record(CommandKind::ConfirmCredit { entry_id, attempt, payout_reference })
            }
            Ok(PayoutStatus::Refused { reason }) => {
                Next::Record(CommandKind::FailCredit { entry_id, attempt, reason })
            }
            Ok(PayoutStatus::NotFound) => Next::Ask,
            Err(PayoutUnknown(reason)) => {
                tracing::debug!(reward.id = %entry_id, attempt, reason, "a payment's outcome is unknown");
                Next::Ask
            }
        }
    }
}

impl Step for Credit {
    type Item = Owed;

    fn name(&self) -> &'static str {
        "credit"
    }

    fn items(&self, stored: &StoredEvent, event: LedgerEvent) -> Vec<Owed> {
        let LedgerEvent::Account(AccountEvent::RewardIssued { entry_id, .. }) = event else {
            return vec![];
        };
        let Ok(account_id) = AccountId::parse(&stored.stream.id) else {
            return vec![];
        };
        vec![Owed { account_id, entry_id, context: caused_by("step:credit", stored) }]
    }

    async fn perform(&self, owed: Owed) -> Result<(), SubmitError> {
        let mut pause = FIRST_PAUSE;
        loop {
            let outstanding = match self
                .command(&owed, CommandKind::RequestCredit { entry_id: owed.entry_id })
                .await?
            {
                Ok(Answer::Outstanding(outstanding)) => outstanding,
                Ok(_) => return Ok(()),
                Err(rejection) => {
                    tracing::error!(reward.id = %owed.entry_id, %rejection, "a reward cannot be credited");
                    return Ok(());
                }
            };
            match self.next(&owed, outstanding).await {
                Next::Record(kind) => match self.command(&owed, kind).await? {
                    Ok(_) => pause = FIRST_PAUSE,
                    Err(rejection) => {
                        tracing::error!(reward.id = %owed.entry_id, %rejection, "the rail's answer contradicts the ledger");
                        metrics::counter!("credit_contradictions_total").increment(1);
                        return Ok(());
                    }
                },
                Next::Ask => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Next::Park => {
                    tracing::error!(reward.id = %owed.entry_id, "a payment is unknown to the rail beyond its idempotency window");
                    metrics::counter!("credit_parked_total").increment(1);
                    tokio::time::sleep(LONGEST_PAUSE).await;
                }
            }
        }
    }
}
