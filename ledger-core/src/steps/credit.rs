//! Step *credit*: an issued reward is paid through the rail, once.
//!
//! The attempt is recorded before anything is sent, and its key is `entry_id:attempt`. An unknown
//! outcome is asked about; beyond the rail's idempotency window it is left to a person, and nothing
//! is sent again. The attempt rises only after a recorded refusal. A payment outstanding when its
//! reward is reversed is never sent again; it counts as not sent only when the rail still does not
//! know it in the second half of its window.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::account::command::Outstanding;
use crate::account::{AccountAnswer, AccountEvent, CommandKind, Rejection};
use crate::engine::{CommandContext, Ledger, SubmitError};
use crate::event::LedgerEvent;
use crate::faults;
use crate::ids::{AccountId, EntryId};
use crate::log::StoredEvent;
use crate::system::{ParkedAction, Switch, System};

use super::issue::caused_by;
use super::items::Act;
use super::ports::{PayError, Payout, PayoutKey, PayoutRail, PayoutStatus};
use super::runner::persist;
use super::step::{Ended, Step, Try, Wakes, resumes};

/// Why nothing is paid just now.
const HALTED: &str = "payouts are halted";

const RAIL_AWAY: &str = "the payout rail says of no payment what became of it; it is asked again";

/// Reads issued rewards, pays, records what the rail said.
pub struct Credit {
    ledger: Ledger,
    system: watch::Receiver<System>,
    rail: Arc<dyn PayoutRail>,
}

/// One reward to pay.
pub struct Owed {
    account_id: AccountId,
    entry_id: EntryId,
    context: CommandContext,
}

/// What to do next about a payment.
enum Next {
    /// Tell the account what the rail said.
    Record(CommandKind),
    /// Nobody knows: ask again later.
    Ask(String),
    /// Nobody will know by sending again: a person is needed.
    Park(String),
}

impl Credit {
    /// A step that commands this ledger and pays through this rail.
    pub fn new(ledger: Ledger, rail: Arc<dyn PayoutRail>) -> Credit {
        Credit { system: ledger.system_state(), ledger, rail }
    }

    /// While payouts are halted no new payment is asked for and none is sent; what is under way is
    /// still asked about.
    fn is_halted(&self) -> bool {
        self.system.borrow().is_halted(Switch::Payouts)
    }

    async fn command(
        &self,
        owed: &Owed,
        kind: CommandKind,
    ) -> Result<Result<AccountAnswer, Rejection>, SubmitError> {
        persist(|| self.ledger.account(owed.account_id.clone(), kind.clone(), owed.context.clone())).await
    }

    async fn try_once(&self, owed: &Owed, act: Option<&Act>) -> Result<Ended, SubmitError> {
        let entry_id = owed.entry_id;
        match act {
            Some(Act { action: ParkedAction::Drop, reason, .. }) => {
                let kind = CommandKind::ReverseReward { entry_id, reason: reason.clone() };
                return Ok(match self.command(owed, kind).await? {
                    Ok(_) => Ended::Done,
                    Err(rejection) => Ended::parked(rejection.to_string()),
                });
            }
            // About this attempt only: said again after the next one was asked for, it changes
            // nothing.
            Some(Act { action: ParkedAction::Fail, about: Some(attempt), reason }) => {
                let (attempt, reason) = (*attempt, reason.clone());
                let kind = CommandKind::FailCredit { entry_id, attempt, reason };
                if let Err(rejection) = self.command(owed, kind).await? {
                    return Ok(Ended::parked(rejection.to_string()));
                }
            }
            Some(_) | None => {}
        }
        // Each round but the last records a refusal, and there are only so many of these.
        loop {
            let halted = self.is_halted();
            let ask = match act.and_then(|act| act.about) {
                _ if halted => CommandKind::AskCredit { entry_id },
                Some(refused) => CommandKind::RetryCredit { entry_id, refused },
                None => CommandKind::RequestCredit { entry_id },
            };
            let outstanding = match self.command(owed, ask).await? {
                Ok(AccountAnswer::Outstanding(outstanding)) => outstanding,
                Ok(AccountAnswer::Unchanged) if halted => return Ok(Ended::again(HALTED)),
                // A person wants one attempt more.
                Ok(AccountAnswer::GivenUp { attempt })
                    if halted && act.is_some_and(|act| act.about == Some(attempt)) =>
                {
                    return Ok(Ended::again(HALTED));
                }
                Ok(AccountAnswer::GivenUp { attempt }) => {
                    let reason = format!("refused {attempt} times");
                    return Ok(Ended::Parked { reason, about: Some(attempt) });
                }
                Ok(_) => return Ok(Ended::Done),
                Err(rejection) => return Ok(Ended::parked(rejection.to_string())),
            };
            let about = Some(outstanding.attempt);
            let only_ask = act.is_some_and(|act| act.action == ParkedAction::Retry && act.about == about);
            match self.next(owed, outstanding, only_ask).await {
                Next::Record(kind) => {
                    if let Err(rejection) = self.command(owed, kind).await? {
                        metrics::counter!("rewardhub_credit_contradictions_total").increment(1);
                        let reason = format!("the rail's answer contradicts the ledger: {rejection}");
                        return Ok(Ended::Parked { reason, about });
                    }
                }
                Next::Ask(reason) => return Ok(Ended::Again { reason }),
                Next::Park(reason) => return Ok(Ended::Parked { reason, about }),
            }
        }
    }

    /// Sends or asks, by what the account says is outstanding. `only_ask`: a person wants to know,
    /// not to pay.
    async fn next(&self, owed: &Owed, outstanding: Outstanding, only_ask: bool) -> Next {
        let Outstanding { attempt, amount, requested_at, fresh, reversed } = outstanding;
        let entry_id = owed.entry_id;
        let key = PayoutKey { entry_id, attempt };
        let payout = Payout { key, account_id: owed.account_id.clone(), amount };
        let mut status = if fresh { self.rail.pay(&payout).await } else { self.rail.lookup(&payout).await };
        // The time that the request was recorded by: the window counts while that clock is in
        // order, or not at all.
        let now = match self.ledger.tick().await {
            Ok(now) => now,
            Err(error) => return Next::Ask(error.to_string()),
        };
        let age = Duration::from_micros(u64::try_from(now.micros() - requested_at.micros()).unwrap_or(0));
        let window = self.rail.idempotency_window();
        if matches!(status, Ok(PayoutStatus::NotFound)) {
            if age >= window {
                return Next::Park("unknown to the rail beyond its idempotency window".into());
            }
            if reversed && age < window / 2 {
                // A request may still be on its way: not found is no refusal yet.
                return Next::Ask("reversed, and perhaps still on its way to the rail".into());
            }
            if reversed {
                let reason = "reversed before it was sent".into();
                return Next::Record(CommandKind::FailCredit { entry_id, attempt, reason });
            }
            if self.is_halted() {
                return Next::Ask(HALTED.into());
            }
            if only_ask {
                return Next::Park("unknown to the rail".into());
            }
            status = self.rail.pay(&payout).await;
        }
        match &status {
            Ok(_) => faults::over(RAIL_AWAY),
            Err(error) => faults::outage(RAIL_AWAY, "", error),
        }
        match status {
            Ok(PayoutStatus::Paid(payout_reference)) => {
                Next::Record(CommandKind::ConfirmCredit { entry_id, attempt, payout_reference })
            }
            Ok(PayoutStatus::Refused { reason }) => {
                Next::Record(CommandKind::FailCredit { entry_id, attempt, reason })
            }
            Ok(PayoutStatus::NotFound) => Next::Ask("the rail says neither paid nor refused".into()),
            Err(error @ PayError::Permanent(_)) => Next::Park(error.to_string()),
            Err(error @ PayError::Temporary(_)) if age >= window => {
                Next::Park(format!("unknown beyond the rail's idempotency window: {error}"))
            }
            Err(error @ PayError::Temporary(_)) => Next::Ask(error.to_string()),
        }
    }
}

impl Step for Credit {
    type Item = Owed;

    fn name(&self) -> &'static str {
        "credit"
    }

    fn reads(&self, event_type: &str) -> bool {
        event_type == "RewardIssued"
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

    fn key(&self, owed: &Owed) -> String {
        owed.entry_id.to_string()
    }

    fn wakes(&self, event: &LedgerEvent) -> Option<Wakes> {
        resumes(event, Switch::Payouts).then_some(Wakes::All)
    }

    async fn attempt(&self, tries: Vec<Try<Owed>>) -> Result<Vec<Ended>, SubmitError> {
        let mut ended = Vec::with_capacity(tries.len());
        for Try { item, act } in tries {
            ended.push(self.try_once(&item, act.as_ref()).await?);
        }
        Ok(ended)
    }
}
