//! Step *resume*: lines that wait for their epoch are decided once it opens.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::account::AccountEvent;
use crate::account::command::PreparedTransaction;
use crate::account::event::{DeferReason, Line};
use crate::campaign::CampaignEvent;
use crate::engine::{Context, Ledger, RowResult, SubmitError};
use crate::ids::{AccountId, TransactionKey};
use crate::log::StoredEvent;
use crate::log::decode::LedgerEvent;
use crate::seal::Keyring;
use crate::time::{Clock, Epoch};
use crate::transaction::Status;

use super::intake::facts;
use super::issue::caused_by;
use super::runner::{Step, persist};

/// Reads deferred lines, decides them when their day has begun.
pub struct Resume {
    ledger: Ledger,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    /// Counts the epochs that were seen to open.
    opened: watch::Sender<u64>,
}

/// One line that waits.
pub struct Waiting {
    account_id: AccountId,
    line: Line,
    context: Context,
}

/// How often a waiting line looks at the clock, which may jump.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A day whose beacon is late keeps all its lines waiting: an opening wakes them, and they look by themselves ever less
/// often, so that a hundred thousand of them do not keep the writer busy.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(128);

impl Resume {
    /// A step that commands this ledger.
    pub fn new(ledger: Ledger, keyring: Arc<Keyring>, clock: Arc<dyn Clock>) -> Resume {
        Resume { ledger, keyring, clock, opened: watch::Sender::new(0) }
    }

    /// The line as it was brought; `None` once its details cannot be opened any more.
    async fn prepare(&self, waiting: &Waiting) -> Option<Arc<PreparedTransaction>> {
        let Waiting { account_id, line, .. } = waiting;
        let sealed = line.details.as_ref()?;
        loop {
            match self.keyring.open_details(account_id, &line.source, &line.transaction_id, sealed) {
                Ok(details) => {
                    let details = details?;
                    return Some(Arc::new(PreparedTransaction {
                        account_id: account_id.clone(),
                        key: TransactionKey::of(&line.source, &line.transaction_id),
                        status: Status::Booked,
                        line: line.clone(),
                        facts: facts(&details),
                    }));
                }
                // Keys that are out of reach are no reason to forget a line.
                Err(error) if error.transient() => tokio::time::sleep(LOOK_AGAIN).await,
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "a waiting line's details cannot be opened"
                    );
                    return None;
                }
            }
        }
    }
}

impl Step for Resume {
    type Item = Waiting;

    fn name(&self) -> &'static str {
        "resume"
    }

    /// Every line booked up to 24 hours ahead waits here, so there may be many.
    fn concurrency(&self) -> usize {
        100_000
    }

    fn items(&self, stored: &StoredEvent, event: LedgerEvent) -> Vec<Waiting> {
        match event {
            LedgerEvent::Account(AccountEvent::TransactionDeferred {
                line,
                reason: DeferReason::EpochNotOpen,
            }) => {
                let Ok(account_id) = AccountId::parse(&stored.stream.id) else {
                    return vec![];
                };
                vec![Waiting { account_id, line, context: caused_by("step:resume", stored) }]
            }
            LedgerEvent::Campaign(CampaignEvent::EpochOpened { .. }) => {
                self.opened.send_modify(|opened| *opened += 1);
                vec![]
            }
            _ => vec![],
        }
    }

    async fn perform(&self, waiting: Waiting) -> Result<(), SubmitError> {
        let opens_at = Epoch::of(waiting.line.booked_at).opens_at();
        let mut opened = self.opened.subscribe();
        let mut pause = LOOK_AGAIN;
        loop {
            // Before the look: what opens during it counts.
            opened.mark_unchanged();
            while self.clock.now() < opens_at {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            let Some(transaction) = self.prepare(&waiting).await else {
                return Ok(());
            };
            let rows = || self.ledger.resume(vec![Arc::clone(&transaction)], waiting.context.clone());
            match persist(rows).await?.as_slice() {
                // The campaign has not opened its epoch yet.
                [Ok(receipt)] if receipt.result == RowResult::Deferred => {
                    tokio::select! {
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(LOOK_AGAIN_MAX),
                        _ = opened.changed() => {}
                    }
                }
                _ => return Ok(()),
            }
        }
    }
}
