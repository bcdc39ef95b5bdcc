//! The writer's loop: receive, hydrate, decide, append, answer; one append under way at a time.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::faults;
use crate::log::{Log, LogError, Position, StreamId};
use crate::own_thread::block_on;
use crate::time::{DAY_MICROS, SECOND_MICROS, Timestamp};

use super::apart::{Apart, Panicked};
use super::append::{Append, Appender};
use super::clock::{self, ClockAhead, WatchedClock};
use super::core::Core;
use super::epochs::{Offers, SeedVault};
use super::filter::Filter;
use super::intake_batch::{IntakeBatch, Received, Work};
use super::ledger::{Context, Settings, Stopped, SubmitError};
use super::memory::{KNOWN_KEY_BYTES, show_memory};
use super::snapshots::Snapshots;
use super::store::Shared;

/// Why a batch did not become durable.
pub(super) enum Failed {
    /// Nothing was written; with memory dropped it may be decided again at once.
    Again,
    /// The same; what made it fail has been set apart.
    SetApart,
    /// The log cannot be written, or is in doubt, just now.
    Unavailable,
    /// Nothing was staged: the clock may be wrong.
    Clock(ClockAhead),
    /// Another writer has the log.
    Fenced,
}

/// How often one batch is decided again before its callers are told to come back.
const TRIES: usize = 4;
/// How often because something has been set apart.
const TRIES_APART: usize = 8;
/// A gap between the last event and the start that a person is told of.
const GAP_TOLD_MICROS: i64 = DAY_MICROS;

pub(super) struct Writer {
    pub(super) log: Log,
    clock: Arc<WatchedClock>,
    pub(super) seeds: Arc<dyn SeedVault>,
    pub(super) settings: Settings,
    pub(super) shared: Shared,
    /// Campaigns are in memory; false after a failed append may have touched them.
    pub(super) campaigns_loaded: bool,
    pub(super) offers: Offers,
    pub(super) apart: Apart,
    /// For whom a command is being decided.
    pub(super) deciding: Option<StreamId>,
    /// The engine's own metadata: epochs and budgets.
    pub(super) own: Context,
    /// An append's outcome is unknown: learn it before anything else.
    pub(super) in_doubt: bool,
    /// When the lease was last renewed, by the time the request was sent.
    pub(super) renewed: Instant,
    pub(super) appender: Appender,
    pub(super) snapshots: Snapshots,
    pub(super) filter: Arc<Filter>,
    pub(super) head: watch::Sender<Position>,
    pub(super) healthy: watch::Sender<bool>,
}

impl Writer {
    pub(super) fn new(
        (log, clock, seeds): (Log, Arc<WatchedClock>, Arc<dyn SeedVault>),
        settings: Settings,
        appender: Appender,
        snapshots: Snapshots,
        head: watch::Sender<Position>,
        healthy: watch::Sender<bool>,
    ) -> Writer {
        let shared = Shared::new(Core::new(settings.snapshot_every));
        Writer {
            log,
            clock,
            seeds,
            shared,
            // Who waits for another's lease asks often, and needs none.
            filter: Filter::new(64),
            settings,
            campaigns_loaded: false,
            offers: Offers::default(),
            apart: Apart::new(),
            deciding: None,
            own: Context::new("engine", "", ""),
            in_doubt: false,
            renewed: Instant::now(),
            appender,
            snapshots,
            head,
            healthy,
        }
    }

    /// Takes the lease and reads all campaigns.
    pub(super) async fn open(&mut self) -> Result<(), LogError> {
        self.renewed = Instant::now();
        let head = self.log.lease.lease(&self.settings.holder, None).await?;
        self.shared.lock().staging.head = head;
        self.head.send_replace(head.position);
        let asked = self.clock.reading();
        if let Some(server) = self.log.lease.server_time().await? {
            self.clock.compare(asked, server);
        }
        self.tell_gap(head.recorded_at);
        self.filter = Filter::new(self.settings.filter_bits);
        self.filter.fill(Arc::clone(&self.log.transactions));
        self.hydrate_campaigns().await
    }

    /// A ledger may rest for weeks, so a clock that has leapt meanwhile cannot be told from one
    /// that is right: a person is told how long it was.
    fn tell_gap(&self, last: Option<Timestamp>) {
        let Some(last) = last else { return };
        let gap = self.clock.reading().wall().micros().saturating_sub(last.micros());
        let seconds = gap / SECOND_MICROS;
        clock::gauge("rewardhub_clock_gap_at_start_seconds", seconds);
        if gap > GAP_TOLD_MICROS {
            tracing::warn!(
                seconds,
                %last,
                "the last event is long ago; if the ledger has not rested, the clock is wrong: stop and set it"
            );
        } else if gap < 0 {
            let seconds = -seconds;
            tracing::warn!(seconds, %last, "the clock is behind the last event; recorded time waits for it");
        }
    }

    /// Runs until every handle is gone or another writer takes over.
    pub(super) fn run(mut self, mut receiver: Received, runtime: &tokio::runtime::Handle) -> Stopped {
        block_on(runtime, async {
            if let Err(Fenced) = self.work(&mut receiver).await {
                tracing::error!("another process has taken the log over; this writer stops");
                self.healthy.send_replace(false);
                return Stopped::Fenced;
            }
            let term = self.shared.lock().staging.head.term;
            if let Err(error) = self.log.lease.release(term).await {
                // It runs out by itself.
                tracing::warn!(error = &error as &dyn std::error::Error, "the lease could not be given back");
            }
            Stopped::Drained
        })
    }

    /// The loop. What has come in during an append is decided while it runs, on top of what it
    /// writes; answers leave in order, after their own append and all earlier ones.
    async fn work(&mut self, receiver: &mut Received) -> Result<(), Fenced> {
        let mut running: Option<Running> = None;
        loop {
            let mut batch = match running {
                None => match receiver.recv().await {
                    Some(first) => Some(IntakeBatch::receive(first, receiver, self.settings.batch_max)),
                    None => return Ok(()),
                },
                // Nothing more has come: whoever waits for the append is answered first.
                Some(_) => receiver
                    .try_recv()
                    .ok()
                    .map(|first| IntakeBatch::receive(first, receiver, self.settings.batch_max)),
            };
            let staged = match &mut batch {
                Some(batch) => self.stage(&mut batch.works).await,
                None => Ok(()),
            };
            let landed = match running.take() {
                Some(running) => self.finish(running).await?,
                None => true,
            };
            running = match (batch, staged) {
                (None, _) => None,
                (Some(batch), Ok(())) if landed => self.dispatch(batch).await?,
                (Some(batch), Err(failed)) if landed => {
                    self.forget_undurable();
                    self.redo(batch, failed).await?;
                    None
                }
                // It was decided on top of what has not landed.
                (Some(batch), _) => {
                    self.redo(batch, Failed::Again).await?;
                    None
                }
            };
        }
    }

    /// Starts the append of what has just been staged; if there is nothing to write, answers at
    /// once.
    async fn dispatch(&mut self, batch: IntakeBatch) -> Result<Option<Running>, Fenced> {
        if let Some(append) = self.begin_append() {
            return Ok(Some(Running { batch, append }));
        }
        match self.keep_lease().await {
            Ok(()) => self.answer(batch),
            Err(failed) => {
                self.forget_undurable();
                self.redo(batch, failed).await?;
            }
        }
        Ok(None)
    }

    /// Waits for an append and answers; false if it did not land as it was, and was decided again.
    async fn finish(&mut self, running: Running) -> Result<bool, Fenced> {
        let Running { batch, append } = running;
        match self.settle(append).await {
            Ok(()) => {
                self.answer(batch);
                Ok(true)
            }
            Err(failed) => {
                self.forget_undurable();
                self.redo(batch, failed).await?;
                Ok(false)
            }
        }
    }

    /// Decides a batch again, with nothing else under way, until it lands or cannot.
    async fn redo(&mut self, mut batch: IntakeBatch, mut failed: Failed) -> Result<(), Fenced> {
        let (mut tries, mut apart) = (1, 0);
        loop {
            match failed {
                Failed::Again if tries < TRIES => tries += 1,
                Failed::SetApart if apart < TRIES_APART => apart += 1,
                _ => break,
            }
            failed = match self.attempt(&mut batch.works).await {
                Ok(()) => {
                    self.answer(batch);
                    return Ok(());
                }
                Err(failed) => failed,
            };
            self.forget_undurable();
        }
        if let Failed::Clock(ahead) = failed {
            // Nobody knows whether another's clock is better: the log stays ours.
            if matches!(self.keep_lease().await, Err(Failed::Fenced)) {
                failed = Failed::Fenced;
            } else {
                batch.refuse(|| SubmitError::Clock(ahead));
                return Ok(());
            }
        }
        if matches!(failed, Failed::Fenced) {
            batch.refuse(|| SubmitError::NotWriter);
            return Err(Fenced);
        }
        self.healthy.send_replace(false);
        batch.refuse(|| SubmitError::Unavailable);
        Ok(())
    }

    async fn attempt(&mut self, works: &mut [Work]) -> Result<(), Failed> {
        self.stage(works).await?;
        match self.begin_append() {
            Some(append) => self.settle(append).await,
            None => self.keep_lease().await,
        }
    }

    fn answer(&mut self, batch: IntakeBatch) {
        self.healthy.send_replace(true);
        faults::over(UNDECIDED);
        self.evict();
        batch.answer();
    }

    fn evict(&mut self) {
        let Settings { accounts_max, accounts_bytes, keys_max, .. } = self.settings;
        let mut core = self.shared.lock();
        core.evict(accounts_max, accounts_bytes, keys_max);
        let keys = core.known.len() * KNOWN_KEY_BYTES;
        show_memory("accounts", core.aggregates.accounts.bytes(), accounts_bytes);
        show_memory("transaction_keys", keys, keys_max.saturating_mul(KNOWN_KEY_BYTES));
        self.filter.show();
        clock::gauge(
            "rewardhub_accounts_in_memory",
            i64::try_from(core.aggregates.accounts.len()).unwrap_or(i64::MAX),
        );
    }

    /// Hydrates and decides. A panic is a bug; whatever memory it left behind is read again, and
    /// whoever it was about is set apart, so that the others are decided.
    async fn stage(&mut self, works: &mut [Work]) -> Result<(), Failed> {
        self.deciding = None;
        let staged = futures::FutureExt::catch_unwind(AssertUnwindSafe(self.try_stage(works))).await;
        staged.unwrap_or_else(|_| {
            self.forget_everything();
            match self.deciding.take() {
                Some(stream) => {
                    self.apart.put(stream, &Panicked);
                    Err(Failed::SetApart)
                }
                None => Err(unavailable("decide what is the ledger's own", &Panicked)),
            }
        })
    }

    async fn try_stage(&mut self, works: &mut [Work]) -> Result<(), Failed> {
        if self.in_doubt {
            self.learn_head().await?;
        }
        self.begin()?;
        match self.hydrate(works).await {
            Ok(()) => {}
            // An append of the last batch may still be running: the head is learnt once it has
            // ended.
            Err(LogError::Fenced) => {
                self.in_doubt = true;
                return Err(Failed::Again);
            }
            Err(error) => return Err(unavailable("read what the batch needs", &error)),
        }
        self.advance_epochs().await?;
        for work in works {
            self.decide(work).await?;
        }
        self.record_spend().await
    }

    /// Sets the batch's time: the clock's, but never before the last event's. There is none while
    /// the clock is ahead.
    fn begin(&mut self) -> Result<(), Failed> {
        self.apart.let_back();
        let mut core = self.shared.lock();
        let now = self.clock.read().map_err(Failed::Clock)?;
        let last = core.staging.head.recorded_at.unwrap_or(Timestamp::from_micros(0)).max(core.staging.now);
        core.staging.now = now.max(last);
        clock::gauge(
            "rewardhub_clock_behind_log_seconds",
            (last.micros() - now.micros()).max(0) / SECOND_MICROS,
        );
        self.offers.invalidate();
        Ok(())
    }
}

const UNDECIDED: &str = "a batch cannot be decided: its callers are told to come back";

/// A batch whose append is under way.
struct Running {
    batch: IntakeBatch,
    append: Append,
}

/// Another writer has the log.
struct Fenced;

/// A fault while something was being read or opened.
pub(super) fn unavailable(doing: &'static str, error: &(dyn std::error::Error + 'static)) -> Failed {
    faults::error(UNDECIDED, doing, error);
    Failed::Unavailable
}
