//! Step *resume*: lines that wait for their epoch are decided once it opens, goes on after a halt, or is closed; held
//! ones once two people have released them.
//!
//! A hold may last for ever, so held lines do not wait here, where they would keep the checkpoint back: a review says
//! which line is released, and the line itself is read from the account's stream.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::account::command::PreparedTransaction;
use crate::account::event::{DeferReason, Line, Verdict};
use crate::account::{AccountEvent, Rejection};
use crate::campaign::CampaignEvent;
use crate::engine::{Context, Ledger, Receipt, RowResult, SubmitError};
use crate::ids::{AccountId, Source, TransactionId, TransactionKey};
use crate::log::decode::{LedgerEvent, decode};
use crate::log::{EventLog, LogError, Position, StoredEvent, StreamId};
use crate::seal::Keyring;
use crate::time::{Clock, Epoch};
use crate::transaction::Status;

use super::intake::facts;
use super::issue::caused_by;
use super::runner::{Step, persist};

/// Reads deferred lines, decides them when their day has begun.
pub struct Resume {
    ledger: Ledger,
    log: Arc<dyn EventLog>,
    keyring: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    /// Counts what may have ended somebody's wait: epochs that opened, went on or closed.
    moved: watch::Sender<u64>,
}

/// What an event makes wait.
pub struct Waiting {
    account_id: AccountId,
    which: Which,
    context: Context,
}

/// Which line it is.
enum Which {
    This(Box<Line>),
    /// The one of this name that was held when it was released here.
    Released(Source, TransactionId, Position),
}

/// How often a waiting line looks at the clock, which may jump.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A day whose beacon is late, or that is halted, keeps all its lines waiting: an event wakes them, and they look by themselves ever less
/// often, so that a hundred thousand of them do not keep the writer busy.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(128);
/// Events of an account's stream read at a time.
const PAGE: usize = 1_000;

impl Resume {
    /// A step that commands this ledger.
    pub fn new(
        ledger: Ledger,
        log: Arc<dyn EventLog>,
        keyring: Arc<Keyring>,
        clock: Arc<dyn Clock>,
    ) -> Resume {
        Resume { ledger, log, keyring, clock, moved: watch::Sender::new(0) }
    }

    /// The line that waits.
    async fn line(&self, account_id: &AccountId, which: Which) -> Option<Line> {
        let (source, transaction_id, released_at) = match which {
            Which::This(line) => return Some(*line),
            Which::Released(source, transaction_id, released_at) => (source, transaction_id, released_at),
        };
        let mut pause = LOOK_AGAIN;
        loop {
            match self.held(account_id, &source, &transaction_id, released_at).await {
                Ok(line) => return line,
                // Not a reason to forget a line either: the checkpoint stays before it.
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "a released line cannot be read just now"
                    );
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LOOK_AGAIN_MAX);
                }
            }
        }
    }

    /// The line of this name as it was last held before `released_at`.
    async fn held(
        &self,
        account_id: &AccountId,
        source: &Source,
        id: &TransactionId,
        released_at: Position,
    ) -> Result<Option<Line>, LogError> {
        let stream = StreamId::account(account_id);
        let (mut held, mut after) = (None, Position(0));
        loop {
            let page = self.log.read_stream_after(&stream, after, PAGE).await?;
            for stored in &page {
                if stored.position >= released_at {
                    return Ok(held);
                }
                after = stored.position;
                if let LedgerEvent::Account(AccountEvent::TransactionDeferred {
                    line,
                    reason: DeferReason::Held,
                }) = decode(stored)?
                    && line.source == *source
                    && line.transaction_id == *id
                {
                    held = Some(line);
                }
            }
            if page.is_empty() {
                return Ok(held);
            }
        }
    }

    /// The line as it was brought; `None` once its details cannot be opened any more.
    async fn prepare(&self, account_id: &AccountId, line: &Line) -> Option<Arc<PreparedTransaction>> {
        let sealed = line.details.as_ref()?;
        loop {
            let opened = self.keyring.opening_key(account_id).await.and_then(|key| {
                let Some(key) = key else { return Ok(None) };
                let details = key.open_details(&line.source, &line.transaction_id, sealed)?;
                Ok(Some((details, key)))
            });
            match opened {
                Ok(opened) => {
                    let (details, key) = opened?;
                    let (mut line, amounts) = (line.clone(), key.amounts());
                    // A release that recorded no amounts may have recorded that it waits.
                    line.spent = details.spent(&amounts);
                    return Some(Arc::new(PreparedTransaction {
                        account_id: account_id.clone(),
                        key: TransactionKey::of(&line.source, &line.transaction_id),
                        status: Status::Booked,
                        line,
                        facts: facts(&details),
                        amounts,
                        terms: None,
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

/// Whether the same line may be decided later.
fn waits(answer: &Result<Receipt, Rejection>) -> bool {
    match answer {
        Ok(receipt) => receipt.result == RowResult::Deferred,
        Err(rejection) => rejection.transient(),
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
        let waiting = |which| {
            let account_id = AccountId::parse(&stored.stream.id).ok();
            let context = caused_by("step:resume", stored);
            account_id.map(|account_id| Waiting { account_id, which, context }).into_iter().collect()
        };
        match event {
            LedgerEvent::Account(AccountEvent::TransactionDeferred {
                line,
                reason: DeferReason::EpochNotOpen | DeferReason::DrawsHalted,
            }) => waiting(Which::This(Box::new(line))),
            LedgerEvent::Account(AccountEvent::TransactionReviewed {
                source,
                transaction_id,
                verdict: Verdict::Released,
                ..
            }) => waiting(Which::Released(source, transaction_id, stored.position)),
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

    async fn perform(&self, Waiting { account_id, which, context }: Waiting) -> Result<(), SubmitError> {
        let Some(line) = self.line(&account_id, which).await else {
            return Ok(());
        };
        let opens_at = Epoch::of(line.booked_at).opens_at();
        let mut moved = self.moved.subscribe();
        let mut pause = LOOK_AGAIN;
        loop {
            // Before the look: what moves during it counts.
            moved.mark_unchanged();
            while self.clock.now() < opens_at {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            let Some(transaction) = self.prepare(&account_id, &line).await else {
                return Ok(());
            };
            let rows = || self.ledger.resume(vec![Arc::clone(&transaction)], context.clone());
            match persist(rows).await?.as_slice() {
                // Its epoch does not draw yet, or its account cannot be read.
                [answer] if waits(answer) => {
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
