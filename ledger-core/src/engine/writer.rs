//! The writer's loop; one append is under way at a time. The writer has no state of its own: it
//! moves what each phase comes to from one part to the next.
//!
//! | phase | part | what it may touch |
//! |---|---|---|
//! | receive | [`IntakeBatch`] | the queue |
//! | hydrate | [`Hydration`] | reads the log into memory, renews the lease between pages |
//! | decide | [`Decider`] | memory: aggregates, and the batch being staged |
//! | append | [`Appender`] | the staged batch, which it writes; [`Lease`]: whether the log is ours, where it stands |
//! | answer | [`IntakeBatch`] | the callers |

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use crate::faults;
use crate::log::{AppendError, Head, Log, LogError};
use crate::own_thread::block_on;
use crate::time::{SECOND_MICROS, Timestamp};

use super::apart::Panicked;
use super::append::{Append, Appender};
use super::clock::{self, WatchedClock};
use super::core::Core;
use super::decide::Decider;
use super::epochs::SeedVault;
use super::failed::{Failed, available, unavailable};
use super::filter::Filter;
use super::hydrate::Hydration;
use super::intake_batch::{IntakeBatch, Received, Work};
use super::lease::Lease;
use super::receipt::{Stopped, SubmitError};
use super::settings::EngineSettings;
use super::snapshots::{self, Snapshots};
use super::store::Shared;
use super::told::Tells;

/// How often one batch is decided again before its callers are told to come back.
const TRIES: usize = 4;
/// How often because something has been set apart.
const TRIES_APART: usize = 8;

const UNKNOWN: &str = "an append's outcome is unknown: the head is read";

pub(super) struct Writer {
    log: Log,
    clock: Arc<WatchedClock>,
    settings: EngineSettings,
    /// Memory; of the log it is ahead by what is staged and under way.
    shared: Shared,
    hydration: Hydration,
    decider: Decider,
    appender: Appender,
    lease: Lease,
    snapshots: Snapshots,
    tells: Tells,
}

impl Writer {
    pub(super) fn new(
        (log, clock, seeds): (Log, Arc<WatchedClock>, Arc<dyn SeedVault>),
        settings: EngineSettings,
        appender: Appender,
        snapshots: Snapshots,
        tells: Tells,
    ) -> Writer {
        let shared = Shared::new(Core::new(settings.snapshot_every));
        Writer {
            hydration: Hydration::new(log.clone(), shared.clone(), settings.page_events),
            decider: Decider::new(shared.clone(), seeds, settings.open_enrolment),
            lease: Lease::new(Arc::clone(&log.lease), settings.holder.clone()),
            log,
            clock,
            settings,
            shared,
            appender,
            snapshots,
            tells,
        }
    }

    /// Takes the lease and reads what is always in memory.
    pub(super) async fn open(&mut self) -> Result<(), LogError> {
        let head = self.lease.take().await?;
        self.stands_at(head);
        let asked = self.clock.reading();
        if let Some(server) = self.log.lease.server_time().await? {
            self.clock.compare(asked, server);
        }
        self.clock.tell_gap(head.recorded_at);
        let filter = Filter::new(self.settings.filter_bits);
        filter.fill(Arc::clone(&self.log.transactions));
        self.shared.lock().filter = filter;
        self.hydration.always(&mut self.lease).await?;
        self.tells.read(&self.shared.lock());
        Ok(())
    }

    /// Runs until every handle is gone or another writer takes over.
    pub(super) fn run(mut self, mut receiver: Received, runtime: &tokio::runtime::Handle) -> Stopped {
        block_on(runtime, async {
            if let Err(Fenced) = self.work(&mut receiver).await {
                tracing::error!("another process has taken the log over; this writer stops");
                self.tells.healthy(false);
                return Stopped::Fenced;
            }
            if let Err(error) = self.lease.release().await {
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
        self.tells.healthy(false);
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
        self.tells.healthy(true);
        available();
        self.shared.lock().evict(&self.settings);
        batch.answer();
    }

    /// Hydrates and decides. A panic is a bug; whatever memory it left behind is read again, and
    /// whoever it was about is set apart, so that the others are decided.
    async fn stage(&mut self, works: &mut [Work]) -> Result<(), Failed> {
        let staged = futures::FutureExt::catch_unwind(AssertUnwindSafe(self.try_stage(works))).await;
        staged.unwrap_or_else(|_| {
            let mut core = self.shared.lock();
            core.clear();
            match self.decider.take_deciding() {
                Some(stream) => {
                    core.apart.put(stream, &Panicked);
                    Err(Failed::SetApart)
                }
                None => Err(unavailable("decide what is the ledger's own", &Panicked)),
            }
        })
    }

    async fn try_stage(&mut self, works: &mut [Work]) -> Result<(), Failed> {
        if self.lease.is_in_doubt() {
            self.learn_head().await?;
        }
        self.begin()?;
        match self.hydration.hydrate(works, &mut self.lease).await {
            Ok(()) => {}
            // An append of the last batch may still be running: the head is learnt once it has
            // ended.
            Err(LogError::Fenced) => {
                self.lease.doubt();
                return Err(Failed::Again);
            }
            Err(error) => return Err(unavailable("read what the batch needs", &error)),
        }
        self.decider.record_zones().await?;
        self.decider.advance_epochs().await?;
        for work in works {
            self.decider.decide(work).await?;
        }
        self.decider.record_spend().await
    }

    /// Sets the batch's time: the clock's, but never before the last event's. There is none while
    /// the clock is ahead.
    fn begin(&mut self) -> Result<(), Failed> {
        self.decider.begin();
        let mut core = self.shared.lock();
        core.apart.let_back();
        let now = self.clock.read().map_err(Failed::Clock)?;
        let last = core.staging.head.recorded_at.unwrap_or(Timestamp::from_micros(0)).max(core.staging.now);
        core.staging.now = now.max(last);
        clock::gauge(
            "rewardhub_clock_behind_log_seconds",
            (last.micros() - now.micros()).max(0) / SECOND_MICROS,
        );
        Ok(())
    }

    /// Hands what is staged to the thread that writes. From here on memory is ahead of the log.
    fn begin_append(&mut self) -> Option<Append> {
        let mut core = self.shared.lock();
        let batch = core.dispatch()?;
        self.tells.appending(&batch, &core);
        let snapshots = snapshots::take(&mut core);
        Some(self.appender.begin(batch, snapshots))
    }

    /// Waits for an append. Whatever it came to, it is known afterwards where the log stands.
    async fn settle(&mut self, mut append: Append) -> Result<(), Failed> {
        match append.result().await {
            Ok(()) => {
                faults::over(UNKNOWN);
                self.lease.renewed(append.began);
                self.landed(append.head);
            }
            Err(AppendError::Fenced) => return Err(self.fenced().await),
            Err(AppendError::Duplicate(keys)) => {
                // Nothing is wrong: memory is bounded, and the log knows.
                tracing::debug!(
                    keys = keys.len(),
                    "keys that memory did not know are in the log; deciding again"
                );
                self.forget_undurable();
                // Nothing was written, and the term is still ours: the next append follows what
                // this one would have.
                self.shared.lock().staging.head = append.expected;
                self.hydration.probe(&keys).await.map_err(|e| unavailable("probe duplicate keys", &e))?;
                return Err(Failed::Again);
            }
            Err(AppendError::Unknown(error)) => {
                faults::warn(UNKNOWN, "", &error);
                self.lease.doubt();
                let now = self.learn_head().await?;
                if now.position != append.head.position {
                    return Err(Failed::Again);
                }
                self.landed(Head { term: now.term, ..append.head });
            }
        }
        self.snapshots.write(append.snapshots);
        Ok(())
    }

    fn landed(&mut self, head: Head) {
        self.shared.lock().durable(head.term);
        self.tells.landed(head.position);
    }

    /// Answers that needed no append are ours to give only while we are the writer.
    async fn keep_lease(&mut self) -> Result<(), Failed> {
        match self.lease.renew().await {
            Ok(()) => Ok(()),
            Err(LogError::Fenced) => Err(self.fenced().await),
            Err(error) => Err(unavailable("renew the lease", &error)),
        }
    }

    /// The term has moved on: by another writer, or by a recovery of our own whose answer was lost.
    async fn fenced(&mut self) -> Failed {
        self.lease.doubt();
        match self.learn_head().await {
            Ok(_) => Failed::Again,
            Err(failed) => failed,
        }
    }

    async fn learn_head(&mut self) -> Result<Head, Failed> {
        let head = self.lease.learn().await?;
        self.stands_at(head);
        Ok(head)
    }

    /// Readers wait for what has landed, also when nobody is left to be told.
    fn stands_at(&mut self, head: Head) {
        self.shared.lock().staging.head = head;
        self.tells.head(head.position);
    }

    fn forget_undurable(&mut self) {
        self.shared.lock().drop_undurable();
        self.hydration.forget();
        self.decider.forget();
    }
}

/// A batch whose append is under way.
struct Running {
    batch: IntakeBatch,
    append: Append,
}

/// Another writer has the log.
struct Fenced;
