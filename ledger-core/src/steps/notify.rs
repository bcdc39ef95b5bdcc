//! Step *notify*: the customer is told of a reward. At least once; the receiver deduplicates by
//! `entry_id`.

use std::sync::Arc;

use tokio::sync::watch;

use crate::account::{AccountAnswer, AccountEvent, CommandKind};
use crate::engine::{CommandContext, Ledger, SubmitError};
use crate::event::LedgerEvent;
use crate::faults;
use crate::ids::AccountId;
use crate::log::StoredEvent;
use crate::system::{Switch, System};

use super::issue::{caused_by, is_dropped};
use super::ports::{Notification, Notifier, NotifyError};
use super::runner::persist;
use super::step::{Ended, Step, Try, Wakes, resumes};

const NOTIFIER_AWAY: &str = "customers cannot be told just now";

/// Reads issued rewards, sends, records that it sent.
pub struct Notify {
    ledger: Ledger,
    system: watch::Receiver<System>,
    notifier: Arc<dyn Notifier>,
}

/// One message to send.
pub struct Message {
    notification: Notification,
    context: CommandContext,
}

impl Notify {
    /// A step that commands this ledger and sends through this notifier.
    pub fn new(ledger: Ledger, notifier: Arc<dyn Notifier>) -> Notify {
        Notify { system: ledger.system_state(), ledger, notifier }
    }
}

impl Step for Notify {
    type Item = Message;

    fn name(&self) -> &'static str {
        "notify"
    }

    fn reads(&self, event_type: &str) -> bool {
        event_type == "RewardIssued"
    }

    fn items(&self, stored: &StoredEvent, event: LedgerEvent) -> Vec<Message> {
        let LedgerEvent::Account(AccountEvent::RewardIssued { entry_id, amount, .. }) = event else {
            return vec![];
        };
        let Ok(account_id) = AccountId::parse(&stored.stream.id) else {
            return vec![];
        };
        let notification = Notification { entry_id, account_id, amount };
        vec![Message { notification, context: caused_by("step:notify", stored) }]
    }

    fn key(&self, message: &Message) -> String {
        message.notification.entry_id.to_string()
    }

    fn wakes(&self, event: &LedgerEvent) -> Option<Wakes> {
        resumes(event, Switch::Notifications).then_some(Wakes::All)
    }

    fn is_halted(&self) -> bool {
        self.system.borrow().is_halted(Switch::Notifications)
    }

    async fn attempt(&self, tries: Vec<Try<Message>>) -> Result<Vec<Ended>, SubmitError> {
        let mut ended = Vec::with_capacity(tries.len());
        for Try { item, act } in tries {
            let dropped = is_dropped(act.as_ref());
            ended.push(if dropped { Ended::Done } else { self.tell(item).await? });
        }
        Ok(ended)
    }
}

impl Notify {
    async fn tell(&self, Message { notification, context }: Message) -> Result<Ended, SubmitError> {
        let (account_id, entry_id) = (&notification.account_id, notification.entry_id);
        let command = async |kind: CommandKind| {
            persist(|| self.ledger.account(account_id.clone(), kind.clone(), context.clone())).await
        };
        match command(CommandKind::AskNotification { entry_id }).await? {
            Ok(AccountAnswer::Done) => {}
            // Told before, or reversed meanwhile.
            Ok(_) => return Ok(Ended::Done),
            Err(rejection) => return Ok(Ended::parked(rejection.to_string())),
        }
        match self.notifier.notify(&notification).await {
            Ok(()) => faults::over(NOTIFIER_AWAY),
            Err(error @ NotifyError::Temporary(_)) => {
                faults::outage(NOTIFIER_AWAY, "", &error);
                return Ok(Ended::again(error.to_string()));
            }
            Err(error @ NotifyError::Permanent(_)) => return Ok(Ended::parked(error.to_string())),
        }
        Ok(match command(CommandKind::RecordNotification { entry_id }).await? {
            Ok(_) => Ended::Done,
            Err(rejection) => Ended::parked(rejection.to_string()),
        })
    }
}
