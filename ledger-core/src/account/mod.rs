//! A reward account: what a customer's lines were decided to be, and what is owed to him. The
//! aggregate `account`.
//!
//! [`command`] says what can be asked, [`event`] what can have happened, [`state`] what an account
//! remembers; [`evaluate`] decides lines, [`review`] what people make of held ones, [`reward`] what
//! follows a win. All of it is pure.

pub mod command;
mod evaluate;
pub mod event;
pub mod explain;
pub mod line;
pub mod memory;
mod prepared;
mod review;
mod reward;
mod rules;
pub mod state;
mod weight;

pub use command::{AccountAnswer, AccountCommand, CommandKind, Rejection};
pub use event::AccountEvent;
pub use state::RewardAccount;

use cqrs_es::Aggregate;
use cqrs_es::event_sink::EventSink;

use crate::aggregate::{Decides, handle};
use crate::time::Timestamp;

/// What a decision comes to: the facts to record, in order, and the answer.
pub type Decision = Result<(Vec<AccountEvent>, AccountAnswer), Rejection>;

impl Decides for RewardAccount {
    type Kind = CommandKind;
    type Answer = AccountAnswer;

    fn decide(&self, now: Timestamp, by: &str, command: &CommandKind) -> Decision {
        match command {
            CommandKind::Open => self.open(now),
            CommandKind::EvaluateTransaction(evaluate) => self.evaluate(now, evaluate),
            CommandKind::IssueReward { entry_id } => self.issue(now, *entry_id),
            CommandKind::AskNotification { entry_id } => self.ask_notification(*entry_id),
            CommandKind::RecordNotification { entry_id } => self.record_notification(now, *entry_id),
            CommandKind::RequestCredit { entry_id } => self.request_credit(now, *entry_id, None),
            CommandKind::AskCredit { entry_id } => self.ask_credit(now, *entry_id),
            CommandKind::RetryCredit { entry_id, refused } => {
                self.request_credit(now, *entry_id, Some(*refused))
            }
            CommandKind::ConfirmCredit { entry_id, attempt, payout_reference } => {
                self.confirm_credit(now, *entry_id, *attempt, payout_reference)
            }
            CommandKind::FailCredit { entry_id, attempt, reason } => {
                self.fail_credit(now, *entry_id, *attempt, reason)
            }
            CommandKind::ReverseReward { entry_id, reason } => self.reverse(now, *entry_id, reason),
            CommandKind::Close { reason } => self.close(now, reason),
            CommandKind::Exclude { kind, reason } => self.exclude(now, *kind, reason),
            CommandKind::Reinstate { reason } => self.reinstate(now, reason),
            CommandKind::Review { source, transaction_id, verdict, reason } => {
                self.review(now, by, source, transaction_id, *verdict, reason)
            }
        }
    }
}

impl RewardAccount {
    fn open(&self, now: Timestamp) -> Decision {
        if self.erased {
            return Err(Rejection::AccountErased);
        }
        if self.closed {
            return Err(Rejection::AccountClosed);
        }
        if self.is_open() {
            return Ok((vec![], AccountAnswer::Unchanged));
        }
        Ok((vec![AccountEvent::AccountOpened { enrolled_at: now }], AccountAnswer::Done))
    }

    fn close(&self, now: Timestamp, reason: &str) -> Decision {
        self.change(self.closed, || AccountEvent::AccountClosed { closed_at: now, reason: reason.into() })
    }

    /// One that is excluded already may be for another kind of reason: whoever reinstates has to
    /// see the latest.
    fn exclude(&self, now: Timestamp, kind: event::Exclusion, reason: &str) -> Decision {
        self.change(self.excluded == Some(kind), || AccountEvent::AccountExcluded {
            excluded_at: now,
            kind,
            reason: reason.into(),
        })
    }

    fn reinstate(&self, now: Timestamp, reason: &str) -> Decision {
        self.change(self.excluded.is_none(), || AccountEvent::AccountReinstated {
            reinstated_at: now,
            reason: reason.into(),
        })
    }

    fn change(&self, already: bool, event: impl FnOnce() -> AccountEvent) -> Decision {
        if !self.is_open() {
            return Err(Rejection::AccountUnknown);
        }
        if already {
            Ok((vec![], AccountAnswer::Unchanged))
        } else {
            Ok((vec![event()], AccountAnswer::Done))
        }
    }
}

impl Aggregate for RewardAccount {
    const TYPE: &'static str = "account";
    type Command = AccountCommand;
    type Event = AccountEvent;
    type Error = Rejection;
    type Services = ();

    async fn handle(
        &mut self,
        asked: AccountCommand,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Rejection> {
        handle(self, asked, sink).await
    }

    fn apply(&mut self, event: AccountEvent) {
        self.remember(event);
    }
}

#[cfg(test)]
mod tests;
