//! Step *confirm*: what a rail says by itself, late and perhaps twice, is a fact for the ledger and
//! never refused.

use std::sync::Arc;

use tokio::sync::watch;

use crate::account::CommandKind;
use crate::engine::{CommandContext, Ledger, SubmitError};

use super::ports::{Confirmation, Confirmations, PayoutKey};
use super::runner::persist;

/// Records confirmations.
pub struct Confirm {
    ledger: Ledger,
    confirmations: Box<dyn Confirmations>,
    actor: Arc<str>,
}

impl Confirm {
    /// A step that commands this ledger and listens to this rail.
    pub fn new(ledger: Ledger, confirmations: Box<dyn Confirmations>) -> Confirm {
        let actor = confirmations.actor().into();
        Confirm { ledger, confirmations, actor }
    }

    /// Records until `stop` says so, the rail has ended, or this process is no longer the writer.
    /// While the ledger cannot take one it is kept, and the rail has to wait with the next.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut stopping = stop.clone();
        loop {
            let next = tokio::select! {
                next = self.confirmations.next() => next,
                _ = stop.wait_for(|stop| *stop) => return,
            };
            let Some(confirmation) = next else { return };
            let recorded = tokio::select! {
                recorded = self.record(confirmation) => recorded,
                _ = stopping.wait_for(|stop| *stop) => return,
            };
            if recorded.is_err() {
                return;
            }
        }
    }

    async fn record(&self, confirmation: Confirmation) -> Result<(), SubmitError> {
        let Confirmation { key: PayoutKey { entry_id, attempt }, account_id, payout_reference } =
            confirmation;
        let kind = CommandKind::ConfirmCredit { entry_id, attempt, payout_reference };
        let context = CommandContext::new(&self.actor, "", "");
        let command = || self.ledger.account(account_id.clone(), kind.clone(), context.clone());
        match persist(command).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(rejection)) => {
                metrics::counter!("rewardhub_credit_contradictions_total").increment(1);
                tracing::error!(reward.id = %entry_id, %rejection, "a confirmation contradicts the ledger");
                Ok(())
            }
            // Step *credit* has it as an item of its own, and asks the rail once the account can be
            // read.
            Err(SubmitError::AccountUnavailable) => {
                tracing::error!(reward.id = %entry_id, "a confirmation's account cannot be read");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
