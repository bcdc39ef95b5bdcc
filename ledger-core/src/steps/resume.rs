//! Step *resume*: lines that wait for their epoch are decided once it opens, goes on after a halt, or is closed.

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
    /// Counts what may have ended somebody's wait: epochs that opened, went on or closed.
    moved: watch::Sender<u64>,
}

/// One line that waits.
pub struct Waiting {
    account_id: AccountId,
    line: Line,
    context: Context,
}

/// How often a waiting line looks at the clock, which may jump.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A day whose beacon is late, or that is halted, keeps all its lines waiting: an event wakes them, and they look by themselves ever less
/// often, so that a hundred thousand of them do not keep the writer busy.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(128);

impl Resume {
    /// A step that commands this ledger.
    pub fn new(ledger: Ledger, keyring: Arc<Keyring>, clock: Arc<dyn Clock>) -> Resume {
        Resume { ledger, keyring, clock, moved: watch::Sender::new(0) }
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
                reason: DeferReason::EpochNotOpen | DeferReason::DrawsHalted,
            }) => {
                let Ok(account_id) = AccountId::parse(&stored.stream.id) else {
                    return vec![];
                };
                vec![Waiting { account_id, line, context: caused_by("step:resume", stored) }]
            }
            LedgerEvent::Campaign(
                CampaignEvent::EpochOpened { .. }
                | CampaignEvent::EpochResumed { .. }
                | CampaignEvent::EpochClosed { .. },
            ) => {
                self.moved.send_modify(|moved| *moved += 1);
                vec![]
            }
            _ => vec![],
        }
    }

    async fn perform(&self, waiting: Waiting) -> Result<(), SubmitError> {
        let opens_at = Epoch::of(waiting.line.booked_at).opens_at();
        let mut moved = self.moved.subscribe();
        let mut pause = LOOK_AGAIN;
        loop {
            // Before the look: what moves during it counts.
            moved.mark_unchanged();
            while self.clock.now() < opens_at {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            let Some(transaction) = self.prepare(&waiting).await else {
                return Ok(());
            };
            let rows = || self.ledger.resume(vec![Arc::clone(&transaction)], waiting.context.clone());
            match persist(rows).await?.as_slice() {
                // Its epoch does not draw yet.
                [Ok(receipt)] if receipt.result == RowResult::Deferred => {
                    tokio::select! {
                        () = tokio::time::sleep(pause) => pause = (pause * 2).min(LOOK_AGAIN_MAX),
                        _ = moved.changed() => {}
                    }
                }
                _ => return Ok(()),
            }
        }
    }
}
