//! The writer's loop: receive, hydrate, decide, append, answer; one append under way at a time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cqrs_es::CqrsFramework;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::account::command::PreparedTransaction;
use crate::account::{Answer, CommandKind, Rejection, RewardAccount};
use crate::campaign::{Campaign, CampaignAnswer, CampaignCommandKind, CampaignRejection};
use crate::ids::{AccountId, CampaignId};
use crate::log::{AppendError, EventLog, Head, LogError, Position, Snapshot};
use crate::time::{Clock, Timestamp};

use super::core::Core;
use super::epochs::{Offers, SeedVault};
use super::ledger::{Context, Parts, Receipt, Settings, Stopped, SubmitError};
use super::snapshots::{self, Snapshots};
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
        runtime.block_on(async {
            if let Err(Fenced) = self.work(&mut receiver).await {
                tracing::error!("another process has taken the log over; this writer stops");
                self.healthy.send_replace(false);
                return Stopped::Fenced;
            }
            let epoch = self.shared.lock().staging.head.epoch;
            if let Err(error) = self.log.release(epoch).await {
                // It runs out by itself.
                tracing::warn!(error = &error as &dyn std::error::Error, "the lease could not be given back");
            }
            Stopped::Drained
        })
    }

    /// The loop. What has come in during an append is decided while it runs, on top of what it writes; answers
    /// leave in order, after their own append and all earlier ones.
    async fn work(&mut self, receiver: &mut Received) -> Result<(), Fenced> {
        let mut running: Option<Running> = None;
        loop {
            let lot = match running {
                None => match receiver.recv().await {
                    Some(first) => Some(Lot::receive(first, receiver, self.settings.batch_max)),
                    None => return Ok(()),
                },
                // Nothing more has come: whoever waits for the append is answered first.
                Some(_) => receiver
                    .try_recv()
                    .ok()
                    .map(|first| Lot::receive(first, receiver, self.settings.batch_max)),
            };
            let staged = match &lot {
                Some(lot) => self.stage(&lot.works).await,
                None => Ok(vec![]),
            };
            let landed = match running.take() {
                Some(running) => self.finish(running).await?,
                None => true,
            };
            running = match (lot, staged) {
                (None, _) => None,
                (Some(lot), Ok(outcomes)) if landed => self.dispatch(lot, outcomes).await?,
                (Some(lot), Err(failed)) if landed => {
                    self.forget_undurable();
                    self.redo(lot, failed).await?;
                    None
                }
                // It was decided on top of what has not landed.
                (Some(lot), _) => {
                    self.redo(lot, Failed::Again).await?;
                    None
                }
            };
        }
    }

    /// Starts the append of what has just been staged; if there is nothing to write, answers at once.
    async fn dispatch(&mut self, lot: Lot, outcomes: Vec<Outcome>) -> Result<Option<Running>, Fenced> {
        if let Some(append) = self.begin_append() {
            return Ok(Some(Running { lot, outcomes, append }));
        }
        match self.keep_lease().await {
            Ok(()) => self.answer(lot, outcomes),
            Err(failed) => {
                self.forget_undurable();
                self.redo(lot, failed).await?;
            }
        }
        Ok(None)
    }

    /// Waits for an append and answers; false if it did not land as it was, and was decided again.
    async fn finish(&mut self, running: Running) -> Result<bool, Fenced> {
        let Running { lot, outcomes, append } = running;
        match self.settle(append).await {
            Ok(()) => {
                self.answer(lot, outcomes);
                Ok(true)
            }
            Err(failed) => {
                self.forget_undurable();
                self.redo(lot, failed).await?;
                Ok(false)
            }
        }
    }

    /// Decides a lot again, with nothing else under way, until it lands or cannot.
    async fn redo(&mut self, lot: Lot, mut failed: Failed) -> Result<(), Fenced> {
        for _ in 1..TRIES {
            if !matches!(failed, Failed::Again) {
                break;
            }
            failed = match self.attempt(&lot.works).await {
                Ok(outcomes) => {
                    self.answer(lot, outcomes);
                    return Ok(());
                }
                Err(failed) => failed,
            };
            self.forget_undurable();
        }
        if matches!(failed, Failed::Fenced) {
            lot.refuse(|| SubmitError::NotWriter);
            return Err(Fenced);
        }
        self.healthy.send_replace(false);
        lot.refuse(|| SubmitError::Unavailable);
        Ok(())
    }

    async fn attempt(&mut self, works: &[Work]) -> Result<Vec<Outcome>, Failed> {
        let outcomes = self.stage(works).await?;
        match self.begin_append() {
            Some(append) => self.settle(append).await?,
            None => self.keep_lease().await?,
        }
        Ok(outcomes)
    }

    fn answer(&mut self, lot: Lot, outcomes: Vec<Outcome>) {
        self.healthy.send_replace(true);
        self.shared.lock().evict(self.settings.accounts_max, self.settings.keys_max);
        lot.answer(outcomes);
    }

    /// Hydrates and decides. A panic is a bug; whatever memory it left behind is read again, and the next batch
    /// goes on.
    async fn stage(&mut self, works: &[Work]) -> Result<Vec<Outcome>, Failed> {
        let staged = futures::FutureExt::catch_unwind(AssertUnwindSafe(self.try_stage(works))).await;
        staged.unwrap_or_else(|_| {
            tracing::error!("a panic while deciding a batch; its memory is dropped");
            self.forget_everything();
            Err(Failed::Unavailable)
        })
    }

    async fn try_stage(&mut self, works: &[Work]) -> Result<Vec<Outcome>, Failed> {
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
        Ok(outcomes)
    }

    /// Sets the batch's time: the clock's, but never before the last event's.
    fn begin(&mut self) {
        let mut core = self.shared.lock();
        let now = self.clock.now();
        let last = core.staging.head.recorded_at.unwrap_or(Timestamp::from_micros(0)).max(core.staging.now);
        core.staging.now = now.max(last);
        self.offers.invalidate();
    }

    // ---- append ----

    /// Hands what is staged to a thread that writes it. From here on memory is ahead of the log.
    fn begin_append(&mut self) -> Option<Append> {
        let mut core = self.shared.lock();
        let batch = core.dispatch()?;
        let snapshots = snapshots::take(&mut core);
        drop(core);
        let (head, began, log) = (batch.head_after(), Instant::now(), Arc::clone(&self.log));
        let runtime = tokio::runtime::Handle::current();
        let task = tokio::task::spawn_blocking(move || {
            let result = runtime.block_on(log.append(&batch));
            metrics::histogram!("ledger_append_seconds").record(began.elapsed().as_secs_f64());
            metrics::histogram!("ledger_batch_events")
                .record(f64::from(u32::try_from(batch.events.len()).unwrap_or(u32::MAX)));
            result
        });
        Some(Append { head, began, snapshots, task })
    }

    async fn settle(&mut self, append: Append) -> Result<(), Failed> {
        let Append { head, began, snapshots, task } = append;
        let result = task.await.unwrap_or_else(|panic| {
            let (doing, transient, source) = ("append", true, Box::new(panic));
            Err(AppendError::Unknown(LogError::Store { doing, transient, source }))
        });
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
        self.snapshots.write(snapshots);
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
        self.shared.lock().durable(head.epoch);
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

/// Works that are decided together, and their room in the queue.
struct Lot {
    works: Vec<Work>,
    /// Held until the works are answered.
    _permits: Vec<Option<OwnedSemaphorePermit>>,
}

/// A lot whose append is under way.
struct Running {
    lot: Lot,
    outcomes: Vec<Outcome>,
    append: Append,
}

/// An append under way.
struct Append {
    /// Where the log will stand.
    head: Head,
    began: Instant,
    /// States after this batch, to be kept once it is durable.
    snapshots: Vec<Snapshot>,
    task: JoinHandle<Result<(), AppendError>>,
}

/// Another writer has the log.
struct Fenced;

impl Lot {
    /// What is waiting behind `first`, up to a bound. No timer: batches grow by themselves under load.
    fn receive(
        first: (Work, Option<OwnedSemaphorePermit>),
        receiver: &mut Received,
        weight_max: usize,
    ) -> Lot {
        let mut weight = first.0.weight();
        let (mut works, mut permits) = (vec![first.0], vec![first.1]);
        while weight < weight_max {
            let Ok((work, permit)) = receiver.try_recv() else { break };
            weight += work.weight();
            works.push(work);
            permits.push(permit);
        }
        Lot { works, _permits: permits }
    }

    /// A caller who has gone away misses only the answer.
    fn answer(self, outcomes: Vec<Outcome>) {
        for (work, outcome) in self.works.into_iter().zip(outcomes) {
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

    fn refuse(self, error: impl Fn() -> SubmitError) {
        for work in self.works {
            match work {
                Work::Transactions { reply, .. } => drop(reply.send(Err(error()))),
                Work::Account { reply, .. } => drop(reply.send(Err(error()))),
                Work::Campaign { reply, .. } => drop(reply.send(Err(error()))),
                Work::Tick { reply } => drop(reply.send(Err(error()))),
            }
        }
    }
}

/// A fault while something was being read or opened.
pub(super) fn unavailable(doing: &'static str, error: &(dyn std::error::Error + 'static)) -> Failed {
    tracing::error!(error, doing, "the batch cannot be decided");
    Failed::Unavailable
}
