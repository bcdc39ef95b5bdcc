//! The handle the outside has: bounded queues in front of the writer, receipts behind it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::account::command::PreparedTransaction;
use crate::account::{AccountAnswer, CommandKind, Rejection, RewardAccount};
use crate::aggregate::Decides;
use crate::campaign::{Campaign, CampaignAnswer, CampaignCommandKind, CampaignRejection};
use crate::faults;
use crate::ids::{AccountId, CampaignId};
use crate::log::{EventLog, Log, LogError, Position, SYSTEM_STREAM};
use crate::system::{System, SystemAnswer, SystemCommandKind, SystemRejection};
use crate::time::{Clock, Timestamp};

use super::append::Appender;
use super::clock::{ClockState, WatchedClock, keep_comparing};
use super::epochs::SeedVault;
use super::intake_batch::{Ask, Asked, Reply, Work};
use super::memory::{QUEUED_BYTES, show_memory};
use super::receipt::{CommandContext, Receipt, Stopped, SubmitError};
use super::settings::EngineSettings;
use super::snapshots::Snapshots;
use super::told::{self, Told};
use super::writer::Writer;

/// What the engine is made of.
pub struct LedgerParts {
    /// Where events become durable.
    pub log: Log,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where seeds come from.
    pub seeds: Arc<dyn SeedVault>,
}

/// A handle on the running ledger; clones share one writer.
#[derive(Clone)]
pub struct Ledger {
    log: Arc<dyn EventLog>,
    sender: mpsc::UnboundedSender<(Work, Option<OwnedSemaphorePermit>)>,
    transactions: Arc<Semaphore>,
    commands: Arc<Semaphore>,
    told: Told,
    clock: Arc<WatchedClock>,
}

/// Commands of steps and operators that may wait; they wait for room instead of being refused.
const QUEUE_COMMANDS: usize = 8_192;
/// How often due epochs are looked for while nothing else happens.
const TICK: Duration = Duration::from_secs(1);

impl Ledger {
    /// Takes the writer's lease, reads the campaigns and starts the writer on a thread of its own.
    /// Fails with
    /// [`LogError::Held`] while another process has the lease: try again later.
    ///
    /// Must be called inside a tokio runtime. The receiver tells how the writer ended.
    pub async fn start(
        parts: LedgerParts,
        settings: EngineSettings,
    ) -> Result<(Ledger, oneshot::Receiver<Stopped>), LogError> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let (tells, told) = told::channels();
        let transactions = Arc::new(Semaphore::new(settings.queue_transactions.max(5_000)));
        let runtime = tokio::runtime::Handle::current();
        let thread =
            |e| LogError::Store { doing: "start the writer's thread", transient: false, source: Box::new(e) };
        let snapshots =
            Snapshots::start(Arc::clone(&parts.log.snapshots), runtime.clone()).map_err(thread)?;
        let clock = Arc::new(WatchedClock::new(parts.clock, settings.clock_ahead_max));
        let (log, lease) = (Arc::clone(&parts.log.events), Arc::clone(&parts.log.lease));
        let appender = Appender::start(Arc::clone(&log), runtime.clone()).map_err(thread)?;
        let parts = (parts.log, Arc::clone(&clock), parts.seeds);
        let mut writer = Writer::new(parts, settings, appender, snapshots, tells);
        writer.open().await?;
        let (stopped_sender, stopped) = oneshot::channel();
        std::thread::Builder::new()
            .name("ledger-writer".into())
            .spawn(move || {
                // It ends whether or not somebody listens for the end.
                let _ = stopped_sender.send(writer.run(receiver, &runtime));
            })
            .map_err(thread)?;
        let ledger = Ledger {
            log,
            sender,
            transactions,
            commands: Arc::new(Semaphore::new(QUEUE_COMMANDS)),
            told,
            clock,
        };
        ledger.tick_regularly();
        let alive = ledger.sender.downgrade();
        tokio::spawn(keep_comparing(Arc::clone(&ledger.clock), lease, move || alive.upgrade().is_some()));
        Ok((ledger, stopped))
    }

    /// Decides lines and answers once all of them are durable: one receipt or rejection each, in
    /// order.
    pub async fn submit(
        &self,
        rows: Vec<Arc<PreparedTransaction>>,
        context: CommandContext,
    ) -> Result<Vec<Result<Receipt, Rejection>>, SubmitError> {
        self.submit_rows(rows, context, false).await
    }

    /// Decides lines that wait, for the step *resume*.
    pub async fn resume(
        &self,
        rows: Vec<Arc<PreparedTransaction>>,
        context: CommandContext,
    ) -> Result<Vec<Result<Receipt, Rejection>>, SubmitError> {
        self.submit_rows(rows, context, true).await
    }

    async fn submit_rows(
        &self,
        rows: Vec<Arc<PreparedTransaction>>,
        context: CommandContext,
        resume: bool,
    ) -> Result<Vec<Result<Receipt, Rejection>>, SubmitError> {
        if rows.is_empty() {
            return Ok(vec![]);
        }
        let weight = u32::try_from(rows.len()).map_err(|_| SubmitError::Full)?;
        let permit =
            Arc::clone(&self.transactions).try_acquire_many_owned(weight).map_err(|_| SubmitError::Full)?;
        let (reply, answer) = oneshot::channel();
        self.send(Work::Transactions { rows, context, resume, reply: Reply::new(reply) }, permit)?;
        answer.await.map_err(|_| SubmitError::NotWriter)?
    }

    /// Gives a command to one account. Waits for room in the queue.
    pub async fn account(
        &self,
        account: AccountId,
        kind: CommandKind,
        context: CommandContext,
    ) -> Result<Result<AccountAnswer, Rejection>, SubmitError> {
        let answered = self.ask::<RewardAccount>(account.as_str(), kind, context).await?;
        Ok(answered.map(|(answer, _)| answer))
    }

    /// Gives a command to one campaign. Waits for room in the queue.
    pub async fn campaign(
        &self,
        campaign: CampaignId,
        kind: CampaignCommandKind,
        context: CommandContext,
    ) -> Result<Result<CampaignAnswer, CampaignRejection>, SubmitError> {
        let answered = self.ask::<Campaign>(campaign.as_str(), kind, context).await?;
        Ok(answered.map(|(answer, _)| answer))
    }

    /// Does something to the ledger as a whole; answers also where the log stands once it is
    /// recorded. Waits for room in the queue.
    pub async fn system(
        &self,
        kind: SystemCommandKind,
        context: CommandContext,
    ) -> Result<Result<(SystemAnswer, Position), SystemRejection>, SubmitError> {
        self.ask::<System>(SYSTEM_STREAM, kind, context).await
    }

    /// Gives a command to one aggregate; answers also where the log stands once what may have been
    /// recorded is durable. Waits for room in the queue.
    #[expect(private_bounds, reason = "the aggregates of the table, and no others")]
    pub async fn ask<A>(
        &self,
        id: &str,
        kind: A::Kind,
        context: CommandContext,
    ) -> Result<Result<(A::Answer, Position), A::Error>, SubmitError>
    where
        A: Decides,
        Asked: From<Ask<A>>,
    {
        let permit = self.room().await?;
        let (reply, answer) = oneshot::channel();
        let ask = Ask::<A> { id: id.into(), kind, context, reply: Reply::new(reply) };
        self.send(Work::Asked(Box::new(ask.into())), permit)?;
        answer.await.map_err(|_| SubmitError::NotWriter)?
    }

    /// Campaigns as they stand after everything given to the writer before, and how many events
    /// each has; all of them in the order of their ids, or the one that is asked for. From memory:
    /// no history is read.
    pub async fn campaigns(&self, only: Option<CampaignId>) -> Result<Vec<(Campaign, u64)>, SubmitError> {
        let permit = self.room().await?;
        let (reply, answer) = oneshot::channel();
        self.send(Work::Campaigns { only, reply: Reply::new(reply) }, permit)?;
        answer.await.map_err(|_| SubmitError::NotWriter)?
    }

    /// The engine's time after everything given to it before, and after epochs due by then have
    /// been scheduled and opened.
    pub async fn tick(&self) -> Result<Timestamp, SubmitError> {
        let permit = self.room().await?;
        let (reply, answer) = oneshot::channel();
        self.send(Work::Tick { reply: Reply::new(reply) }, permit)?;
        answer.await.map_err(|_| SubmitError::NotWriter)?
    }

    /// The log behind it, for reading.
    pub fn log(&self) -> &dyn EventLog {
        &*self.log
    }

    /// The last durable position, as it moves.
    pub fn head(&self) -> watch::Receiver<Position> {
        self.told.head.clone()
    }

    /// Whether the last append went well, as it changes; false once this process is not the writer
    /// any more. Holds no handle that would keep the writer alive.
    pub fn health(&self) -> watch::Receiver<bool> {
        self.told.healthy.clone()
    }

    /// What people have set for the ledger as a whole, such as its switches, as it changes; all of it
    /// durable. Whoever has heard of a position from [`Ledger::head`] finds what was set by then.
    pub fn system_state(&self) -> watch::Receiver<System> {
        self.told.system.clone()
    }

    /// The clock that everything is recorded by, and its comparison with others.
    pub fn clock(&self) -> &Arc<WatchedClock> {
        &self.clock
    }

    /// A person says that the clock is right: from now on everything is recorded by it, this first.
    /// False if nothing waits for it.
    pub async fn accept_clock(&self, reason: String, context: CommandContext) -> Result<bool, SubmitError> {
        let ClockState { shows, ahead, .. } = self.clock().state();
        if ahead.is_none() {
            return Ok(false);
        }
        let before = self.clock().accept();
        let kind = SystemCommandKind::AcceptClock { reason, clock_at: Some(shows) };
        let recorded = match self.system(kind, context).await {
            Ok(Ok(_)) => return Ok(true),
            Ok(Err(rejection)) => {
                tracing::error!(%rejection, "that the clock is accepted cannot be recorded");
                SubmitError::Unavailable
            }
            Err(error) => error,
        };
        // An acceptance counts only when the log says who gave it.
        self.clock().restore(before);
        Err(recorded)
    }

    async fn room(&self) -> Result<OwnedSemaphorePermit, SubmitError> {
        Arc::clone(&self.commands).acquire_owned().await.map_err(|_| SubmitError::NotWriter)
    }

    fn send(&self, work: Work, permit: OwnedSemaphorePermit) -> Result<(), SubmitError> {
        self.sender.send((work, Some(permit))).map_err(|_| SubmitError::NotWriter)
    }

    /// Epochs open at midnight whether or not anyone buys anything. Holds no handle that would keep
    /// the writer alive.
    fn tick_regularly(&self) {
        let (sender, transactions) = (self.sender.downgrade(), Arc::clone(&self.transactions));
        let max = transactions.available_permits();
        tokio::spawn(async move {
            let mut interval = tokio::time::interval(TICK);
            interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                interval.tick().await;
                faults::settle();
                let Some(sender) = sender.upgrade() else { return };
                let waiting = max.saturating_sub(transactions.available_permits());
                show_memory("queue", waiting * QUEUED_BYTES, max * QUEUED_BYTES);
                let (reply, answer) = oneshot::channel();
                if sender.send((Work::Tick { reply: Reply::new(reply) }, None)).is_err() {
                    return;
                }
                drop(sender);
                // One tick in the queue at a time; its answer is of no interest here.
                let _ = answer.await;
            }
        });
    }
}
