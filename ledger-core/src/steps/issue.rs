//! Step *issue*: a won reward is booked as a liability.

use crate::account::{AccountEvent, CommandKind};
use crate::engine::{Context, Ledger, SubmitError};
use crate::ids::{AccountId, EntryId};
use crate::log::StoredEvent;
use crate::log::decode::LedgerEvent;

use super::runner::{Step, persist};

/// Reads decisions, gives `IssueReward`.
pub struct Issue {
    ledger: Ledger,
}

/// One win to be issued.
pub struct Won {
    account_id: AccountId,
    entry_id: EntryId,
    context: Context,
}

impl Issue {
    /// A step that commands this ledger.
    pub fn new(ledger: Ledger) -> Issue {
        Issue { ledger }
    }
}

impl Step for Issue {
    type Item = Won;

    fn name(&self) -> &'static str {
        "issue"
    }

    fn items(&self, stored: &StoredEvent, event: LedgerEvent) -> Vec<Won> {
        let LedgerEvent::Account(AccountEvent::TransactionEvaluated { draws, .. }) = event else {
            return vec![];
        };
        let Ok(account_id) = AccountId::parse(&stored.stream.id) else {
            return vec![];
        };
        let context = caused_by("step:issue", stored);
        let won = draws.into_iter().filter(|d| d.amount.is_some());
        won.map(|d| Won { account_id: account_id.clone(), entry_id: d.entry_id, context: context.clone() })
            .collect()
    }

    async fn perform(&self, won: Won) -> Result<(), SubmitError> {
        let Won { account_id, entry_id, context } = won;
        let command = || {
            self.ledger.account(account_id.clone(), CommandKind::IssueReward { entry_id }, context.clone())
        };
        if let Err(rejection) = persist(command).await? {
            tracing::error!(reward.id = %entry_id, %rejection, "a win could not be issued");
        }
        Ok(())
    }
}

/// Metadata of what a step does because of an event: the same correlation, the event's place as the cause.
pub(super) fn caused_by(actor: &str, stored: &StoredEvent) -> Context {
    #[derive(serde::Deserialize)]
    struct Metadata {
        #[serde(default)]
        correlation_id: String,
    }
    let correlation =
        serde_json::from_slice::<Metadata>(&stored.metadata).map(|m| m.correlation_id).unwrap_or_default();
    Context::new(actor, &correlation, &stored.position.to_string())
}
