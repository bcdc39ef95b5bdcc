//! Step *notify*: the customer is told of a reward. At least once; the receiver deduplicates by `entry_id`.

use std::sync::Arc;
use std::time::Duration;

use crate::account::{AccountEvent, Answer, CommandKind};
use crate::engine::{Context, Ledger, SubmitError};
use crate::ids::AccountId;
use crate::log::StoredEvent;
use crate::log::decode::LedgerEvent;

use super::issue::caused_by;
use super::ports::{Notification, Notifier};
use super::runner::{Step, persist};

/// Reads issued rewards, sends, records that it sent.
pub struct Notify {
    ledger: Ledger,
    notifier: Arc<dyn Notifier>,
}

/// One message to send.
pub struct Message {
    notification: Notification,
    context: Context,
}

impl Notify {
    /// A step that commands this ledger and sends through this notifier.
    pub fn new(ledger: Ledger, notifier: Arc<dyn Notifier>) -> Notify {
        Notify { ledger, notifier }
    }
}

impl Step for Notify {
    type Item = Message;

    fn name(&self) -> &'static str {
        "notify"
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

    async fn perform(&self, message: Message) -> Result<(), SubmitError> {
        let Message { notification, context } = message;
        let (account_id, entry_id) = (&notification.account_id, notification.entry_id);
        let command = |kind: CommandKind| {
            persist(move || self.ledger.account(account_id.clone(), kind.clone(), context.clone()))
        };
        if command.clone()(CommandKind::AskNotification { entry_id }).await? != Ok(Answer::Done) {
            return Ok(());
        }
        let mut pause = Duration::from_millis(100);
        while let Err(error) = self.notifier.notify(&notification).await {
            tracing::warn!(reward.id = %entry_id, %error, "a customer could not be told; trying again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_mins(1));
        }
        if let Err(rejection) = command(CommandKind::RecordNotification { entry_id }).await? {
            tracing::error!(reward.id = %entry_id, %rejection, "a message could not be recorded");
        }
        Ok(())
    }
}
