//! The writer's loop: receive, hydrate, decide, append, answer.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cqrs_es::CqrsFramework;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use crate::account::command::PreparedTransaction;
use crate::account::{Answer, CommandKind, Rejection, RewardAccount};
use crate::campaign::{Campaign, CampaignAnswer, CampaignCommandKind, CampaignRejection};
use crate::ids::{AccountId, CampaignId};
use crate::log::{AppendError, EventLog, Head, LogError, Position};
use crate::time::{Clock, Timestamp};

use super::core::Core;
use super::epochs::{Offers, SeedVault};
use super::ledger::{Context, Parts, Receipt, Settings, Stopped, SubmitError};
use super::snapshots::Snapshots;
use super::store::{Shared, Store};

type Reply<T> = oneshot::Sender<Result<T, SubmitError>>;
pub(super) type RowReceipt = Result<Receipt, Rejection>;
type Received = mpsc::UnboundedReceiver<(Work, Option<OwnedSemaphorePermit>)>;

/// One thing to do; the caller waits at `reply`.
pub(super) enum Work {
    Transactions {
        rows: Vec<Arc<PreparedTransaction>>,
        context: Context,
        resume: bool,
        reply: Reply<Vec<RowReceipt>>,
    },
    Account {
        account: AccountId,
        kind: CommandKind,
        context: Context,
        reply: Reply<Result<Answer, Rejection>>,
    },
    Campaign {
        campaign: CampaignId,
        kind: CampaignCommandKind,
        context: Context,
        reply: Reply<Result<CampaignAnswer, CampaignRejection>>,
    },
    Tick {
        reply: Reply<Timestamp>,
    },
}

impl Work {
    fn weight(&self) -> usize {
        match self {
            Work::Transactions { rows, .. } => rows.len(),
            Work::Account { .. } | Work::Campaign { .. } | Work::Tick { .. } => 1,
        }
    }
}

/// The answer to one [`Work`], held back until the batch is durable.
pub(super) enum Outcome {
    Transactions(Vec<RowReceipt>),
    Account(Result<Answer, Rejection>),
    Campaign(Result<CampaignAnswer, CampaignRejection>),
    Tick(Timestamp),
}

/// Why a batch did not become durable.
pub(super) enum Failed {
    /// Nothing was written; with memory dropped it may be decided again at once.
    Again,
    /// The log cannot be written, or is in doubt, just now.
    Unavailable,
    /// Another writer has the log.
    Fenced,
}

/// How often one batch is decided again before its callers are told to come back.
const TRIES: usize = 4;
/// Pauses between attempts to learn what became of an append.
const RECOVERY_PAUSES: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
];

pub(super) struct Writer {
    pub(super) log: Arc<dyn EventLog>,
    clock: Arc<dyn Clock>,
    pub(super) seeds: Arc<dyn SeedVault>,
    pub(super) settings: Settings,
    pub(super) shared: Shared,
    /// Campaigns are in memory; false after a failed append may have touched them.
    pub(super) campaigns_loaded: bool,
    pub(super) accounts: CqrsFramework<RewardAccount, Store<RewardAccount>>,
    pub(super) campaigns: CqrsFramework<Campaign, Store<Campaign>>,
    pub(super) offers: Offers,
    /// The engine's own metadata: epochs and budgets.
    pub(super) own: Context,
    /// An append's outcome is unknown: learn it before anything else.
    in_doubt: bool,
    /// When the lease was last renewed, by the time the request was sent.
    renewed: Instant,
    snapshots: Snapshots,
    head: watch::Sender<Position>,
    healthy: watch::Sender<bool>,
}

impl Writer {
    pub(super) fn new(
        parts: Parts,
        settings: Settings,
        snapshots: Snapshots,
        head: watch::Sender<Position>,
        healthy: watch::Sender<bool>,
    ) -> Writer {
        let shared = Shared::new(Core::new(settings.snapshot_every));
        Writer {
            log: parts.log,
            clock: parts.clock,
            seeds: parts.seeds,
            accounts: CqrsFramework::new(Store::new(shared.clone()), vec![], ()),
            campaigns: CqrsFramework::new(Store::new(shared.clone()), vec![], ()),
            shared,
            settings,
            campaigns_loaded: false,
            offers: Offers::default(),
            own: Context::new("engine", "", ""),
            in_doubt: false,
            renewed: Instant::now(),
            snapshots,
            head,
            healthy,
        }
    }

    /// Takes the lease and reads all campaigns.
    pub(super) async fn open(&mut self) -> Result<(), LogError> {
        self.renewed = Instant::now();
        let head = self.log.lease(&self.settings.holder, None).await?;
        self.shared.lock().staging.head = head;
        self.head.send_replace(head.position);
        self.hydrate_campaigns().await
    }

    /// Runs until every handle is gone or another writer takes over.
    pub(super) fn run(mut self, mut receiver: Received, runtime: &tokio::runtime::Handle) -> Stopped {
        while let Some(first) = receiver.blocking_recv() {
            let mut weight = first.0.weight();
            let mut batch = vec![first];
            while weight < self.settings.batch_max {
                let Ok(next) = receiver.try_recv() else { break };
                weight += next.0.weight();
                batch.push(next);
            }
            let (works, permits): (Vec<Work>, Vec<_>) = batch.into_iter().unzip();
            let result = runtime.block_on(self.process(&works));
            drop(permits);
            let fenced = matches!(result, Err(SubmitError::NotWriter));
            answer(works, result);
            if fenced {
                tracing::error!("another process has taken the log over; this writer stops");
                self.healthy.send_replace(false);
                return Stopped::Fenced;
            }
        }
        let epoch = self.shared.lock().staging.head.epoch;
        if let Err(error) = runtime.block_on(self.log.release(epoch)) {
            // It runs out by itself.
            tracing::warn!(error = &error as &dyn std::error::Error, "the lease could not be given back");
        }
        Stopped::Drained
    }

    /// Brings one batch to durability, or says why not.
    async fn process(&mut self, works: &[Work]) -> Result<Vec<Outcome>, SubmitError> {
        for _ in 0..TRIES {
            // A panic is a bug; whatever memory it left behind is read again, and the next batch goes on.
            let attempt = futures::FutureExt::catch_unwind(AssertUnwindSafe(self.attempt(works))).await;
            let failed = match attempt {
                Ok(Ok(outcomes)) => {
                    self.healthy.send_replace(true);
                    return Ok(outcomes);
                }
                Ok(Err(failed)) => failed,
                Err(_) => {
                    tracing::error!("a panic while deciding a batch; its memory is dropped");
                    self.forget_everything();
                    // The batch may have landed all the same: taking our own append for another writer's
                    // would end this process.
                    self.in_doubt = true;
                    Failed::Unavailable
                }
            };
            self.forget_undurable();
            match failed {
                Failed::Again => {}
                Failed::Fenced => return Err(SubmitError::NotWriter),
                Failed::Unavailable => break,
            }
        }
        self.healthy.send_replace(false);
        Err(SubmitError::Unavailable)
    }

    async fn attempt(&mut self, works: &[Work]) -> Result<Vec<Outcome>, Failed> {
        if self.in_doubt {
            self.learn_head().await?;
        }
        self.begin();
        self.hydrate(works).await.map_err(|e| unavailable("read what the batch needs", &e))?;
        self.advance_epochs().await?;
        let mut outcomes = Vec::with_capacity(works.len());
        for work in works {
            outcomes.push(self.decide(work).await?);
        }
        self.record_spend().await?;
        self.append().await?;
        let mut core = self.shared.lock();
        self.snapshots.take(&mut core);
        core.evict(self.settings.accounts_max, self.settings.keys_max);
        drop(core);
        Ok(outcomes)
    }

    // ---- receive ----

    /// Sets the batch's time: the clock's, but never before the last event's.
    fn begin(&mut self) {
        let mut core = self.shared.lock();
        let now = self.clock.now();
        let last = core.staging.head.recorded_at.unwrap_or(Timestamp::from_micros(0)).max(core.staging.now);
        core.staging.now = now.max(last);
        self.offers.invalidate();
    }

    // ---- append ----

    async fn append(&mut self) -> Result<(), Failed> {
        let batch = self.shared.lock().staging.batch();
        if batch.events.is_empty() {
            return self.keep_lease().await;
        }
        let head = batch.head_after();
        let began = Instant::now();
        let result = self.log.append(&batch).await;
        metrics::histogram!("ledger_append_seconds").record(began.elapsed().as_secs_f64());
        metrics::histogram!("ledger_batch_events")
            .record(f64::from(u32::try_from(batch.events.len()).unwrap_or(u32::MAX)));
        match result {
            Ok(()) => {
                self.renewed = began;
                self.landed(head);
            }
            Err(AppendError::Fenced) => return Err(self.fenced().await),
            Err(AppendError::Duplicate(keys)) => {
                tracing::warn!(
                    keys = keys.len(),
                    "keys that memory did not know are in the log; deciding again"
                );
                self.forget_undurable();
                self.probe(&keys).await.map_err(|e| unavailable("probe duplicate keys", &e))?;
                return Err(Failed::Again);
            }
            Err(AppendError::Unknown(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "an append's outcome is unknown; reading the head"
                );
                self.in_doubt = true;
                let epoch = self.learn_head().await?;
                let now = self.shared.lock().staging.head.position;
                if now != head.position {
                    return Err(Failed::Again);
                }
                self.landed(Head { epoch, ..head });
            }
        }
        Ok(())
    }

    /// Answers that needed no append are ours to give only while we are the writer.
    async fn keep_lease(&mut self) -> Result<(), Failed> {
        let asked = Instant::now();
        let Some(ttl) = self.log.lease_ttl() else { return Ok(()) };
        if asked.duration_since(self.renewed) < ttl / 3 {
            return Ok(());
        }
        let epoch = self.shared.lock().staging.head.epoch;
        match self.log.renew(epoch).await {
            Ok(()) => {
                self.renewed = asked;
                Ok(())
            }
            Err(LogError::Fenced) => Err(self.fenced().await),
            Err(error) => Err(unavailable("renew the lease", &error)),
        }
    }

    /// The epoch has moved on: by another writer, or by a recovery of our own whose answer was lost.
    async fn fenced(&mut self) -> Failed {
        self.in_doubt = true;
        match self.learn_head().await {
            Ok(_) => Failed::Again,
            Err(failed) => failed,
        }
    }

    fn landed(&mut self, head: Head) {
        self.shared.lock().durable(head);
        self.head.send_replace(head.position);
        metrics::gauge!("ledger_position").set(u32::try_from(head.position.0).map_or(f64::MAX, f64::from));
    }

    /// Raises our own epoch, which waits for a statement that may still be running, then reads the head.
    async fn learn_head(&mut self) -> Result<u64, Failed> {
        let held = self.shared.lock().staging.head.epoch;
        let mut last = None;
        for pause in std::iter::once(Duration::ZERO).chain(RECOVERY_PAUSES) {
            tokio::time::sleep(pause).await;
            match self.log.lease(&self.settings.holder, Some(held)).await {
                Ok(head) => {
                    self.shared.lock().staging.head = head;
                    // Also when nobody is left to be told: readers wait for what has landed.
                    self.head.send_replace(head.position);
                    self.in_doubt = false;
                    return Ok(head.epoch);
                }
                Err(LogError::Fenced) => return Err(Failed::Fenced),
                Err(error) => last = Some(error),
            }
        }
        if let Some(error) = last {
            tracing::error!(error = &error as &dyn std::error::Error, "the log's head cannot be read");
        }
        Err(Failed::Unavailable)
    }

    fn forget_undurable(&mut self) {
        let shared = self.shared.clone();
        let mut core = shared.lock();
        core.drop_undurable();
        // They are few, so all are read again, not only those the batch touched.
        core.campaigns.clear();
        self.campaigns_loaded = false;
        // An epoch scheduled in vain is scheduled again under another seed: its key must go too.
        self.offers = Offers::default();
    }

    fn forget_everything(&mut self) {
        let mut core = self.shared.lock();
        core.accounts.clear();
        core.known.clear();
    }
}

// ---- answer ----

fn answer(works: Vec<Work>, result: Result<Vec<Outcome>, SubmitError>) {
    // A caller who has gone away misses only the answer.
    match result {
        Ok(outcomes) => {
            for (work, outcome) in works.into_iter().zip(outcomes) {
                match (work, outcome) {
                    (Work::Transactions { reply, .. }, Outcome::Transactions(receipts)) => {
                        drop(reply.send(Ok(receipts)))
                    }
                    (Work::Account { reply, .. }, Outcome::Account(answer)) => drop(reply.send(Ok(answer))),
                    (Work::Campaign { reply, .. }, Outcome::Campaign(answer)) => drop(reply.send(Ok(answer))),
                    (Work::Tick { reply }, Outcome::Tick(now)) => drop(reply.send(Ok(now))),
                    _ => unreachable!("outcomes are made work by work, in order"),
                }
            }
        }
        Err(error) => {
            let error = || match error {
                SubmitError::NotWriter => SubmitError::NotWriter,
                SubmitError::Full | SubmitError::Unavailable => SubmitError::Unavailable,
            };
            for work in works {
                match work {
                    Work::Transactions { reply, .. } => drop(reply.send(Err(error()))),
                    Work::Account { reply, .. } => drop(reply.send(Err(error()))),
                    Work::Campaign { reply, .. } => drop(reply.send(Err(error()))),
                    Work::Tick { reply } => drop(reply.send(Err(error()))),
                }
            }
        }
    }
}

/// A fault while something was being read or opened.
pub(super) fn unavailable(doing: &'static str, error: &(dyn std::error::Error + 'static)) -> Failed {
    tracing::error!(error, doing, "the batch cannot be decided");
    Failed::Unavailable
}
