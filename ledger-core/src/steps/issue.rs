//! Step *issue*: a won reward is booked as a liability.

use crate::account::{AccountEvent, CommandKind};
use crate::engine::{CommandContext, Ledger, SubmitError};
use crate::event::LedgerEvent;
use crate::ids::{AccountId, EntryId};
use crate::log::StoredEvent;
use crate::system::ParkedAction;

use super::items::Act;
use super::runner::persist;
use super::step::{Ended, Step, Try};

/// Reads decisions, gives `IssueReward`.
pub struct Issue {
    ledger: Ledger,
}

/// One win to be issued.
pub struct Won {
    account_id: AccountId,
    entry_id: EntryId,
    context: CommandContext,
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

    fn reads(&self, event_type: &str) -> bool {
        event_type == "TransactionEvaluated"
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

    fn key(&self, won: &Won) -> String {
        won.entry_id.to_string()
    }

    async fn attempt(&self, tries: Vec<Try<Won>>) -> Result<Vec<Ended>, SubmitError> {
        let mut ended = Vec::with_capacity(tries.len());
        for Try { item: Won { account_id, entry_id, context }, act } in tries {
            if is_dropped(act.as_ref()) {
                ended.push(Ended::Done);
                continue;
            }
            let command = || {
                self.ledger.account(
                    account_id.clone(),
                    CommandKind::IssueReward { entry_id },
                    context.clone(),
                )
            };
            ended.push(match persist(command).await? {
                Ok(_) => Ended::Done,
                Err(rejection) => Ended::parked(rejection.to_string()),
            });
        }
        Ok(ended)
    }
}

/// Whether a person has decided that nobody tries again.
pub(super) fn is_dropped(act: Option<&Act>) -> bool {
    act.is_some_and(|act| act.action == ParkedAction::Drop)
}

/// Metadata of what a step does because of an event: the same correlation, the event's place as the
/// cause.
pub(super) fn caused_by(actor: &str, stored: &StoredEvent) -> CommandContext {
    #[derive(serde::Deserialize)]
    struct Metadata {
        #[serde(default)]
        correlation_id: String,
    }
    let correlation =
        serde_json::from_slice::<Metadata>(&stored.metadata).map(|m| m.correlation_id).unwrap_or_default();
    CommandContext::new(actor, &correlation, &stored.position.to_string())
}
