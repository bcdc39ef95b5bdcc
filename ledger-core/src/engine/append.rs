//! Phase four of the loop: a batch is handed to the thread that writes, and what became of it is
//! learnt. An append ends *landed*, *fenced*, *duplicate* or *unknown*, and after each it is known
//! where the log stands.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::faults;
use crate::figures::figure;
use crate::log::{AppendError, Batch, EventLog, Head, LogError, Snapshot};
use crate::own_thread::block_on;

use super::epochs::Offers;
use super::snapshots;
use super::writer::{Failed, Writer, unavailable};

/// Pauses between attempts to learn what became of an append.
const RECOVERY_PAUSES: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_secs(1),
];

const UNKNOWN: &str = "an append's outcome is unknown: the head is read";
const NO_HEAD: &str = "the log's head cannot be read";

/// So long the log may take to say where it stands, also when the lease has run out meanwhile.
const RECOVERY_MIN: Duration = Duration::from_secs(1);

/// An append under way.
pub(super) struct Append {
    /// Where the log stands before it.
    expected: Head,
    /// Where the log will stand.
    head: Head,
    began: Instant,
    /// States after this batch, to be kept once it is durable.
    snapshots: Vec<Snapshot>,
    result: oneshot::Receiver<Result<(), AppendError>>,
}

/// The thread that writes, and nothing else: an append never waits behind reads. Ends with the
/// writer.
pub(super) struct Appender(mpsc::Sender<Order>);

struct Order {
    batch: Batch,
    reply: oneshot::Sender<Result<(), AppendError>>,
}

impl Appender {
    pub(super) fn start(log: Arc<dyn EventLog>, runtime: Handle) -> std::io::Result<Appender> {
        let (sender, orders) = mpsc::channel::<Order>();
        let write = move || {
            for Order { batch, reply } in orders {
                // The writer may be gone; what was appended counts all the same.
                let _ = reply.send(append(&*log, &runtime, &batch));
            }
        };
        std::thread::Builder::new().name("ledger-append".into()).spawn(write)?;
        Ok(Appender(sender))
    }

    fn append(&self, batch: Batch) -> oneshot::Receiver<Result<(), AppendError>> {
        let (reply, result) = oneshot::channel();
        self.0.send(Order { batch, reply }).expect("the thread ends with the writer, and catches panics");
        result
    }
}

fn append(log: &dyn EventLog, runtime: &Handle, batch: &Batch) -> Result<(), AppendError> {
    let began = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| block_on(runtime, log.append(batch))));
    metrics::histogram!("rewardhub_ledger_append_seconds").record(began.elapsed().as_secs_f64());
    metrics::histogram!("rewardhub_ledger_batch_events").record(figure(batch.events.len() as u64));
    result.unwrap_or_else(|_| {
        let (doing, transient, source) = ("append", true, "a panic while appending".into());
        Err(AppendError::Unknown(LogError::Store { doing, transient, source }))
    })
}

impl Writer {
    /// Hands what is staged to the thread that writes. From here on memory is ahead of the log.
    pub(super) fn begin_append(&mut self) -> Option<Append> {
        let mut core = self.shared.lock();
        let batch = core.dispatch()?;
        let snapshots = snapshots::take(&mut core);
        drop(core);
        let (expected, head) = (batch.expected, batch.head_after());
        let began = Instant::now();
        Some(Append { expected, head, began, snapshots, result: self.appender.append(batch) })
    }

    pub(super) async fn settle(&mut self, append: Append) -> Result<(), Failed> {
        let Append { expected, head, began, snapshots, result } = append;
        match result.await.expect("the thread answers each order") {
            Ok(()) => {
                faults::over(UNKNOWN);
                self.renewed = began;
                self.landed(head);
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
                self.shared.lock().staging.head = expected;
                self.probe(&keys).await.map_err(|e| unavailable("probe duplicate keys", &e))?;
                return Err(Failed::Again);
            }
            Err(AppendError::Unknown(error)) => {
                faults::warn(UNKNOWN, "", &error);
                self.in_doubt = true;
                let term = self.learn_head().await?;
                let now = self.shared.lock().staging.head.position;
                if now != head.position {
                    return Err(Failed::Again);
                }
                self.landed(Head { term, ..head });
            }
        }
        self.snapshots.write(snapshots);
        Ok(())
    }

    /// Answers that needed no append are ours to give only while we are the writer.
    pub(super) async fn keep_lease(&mut self) -> Result<(), Failed> {
        match self.renew_lease().await {
            Ok(()) => Ok(()),
            Err(LogError::Fenced) => Err(self.fenced().await),
            Err(error) => Err(unavailable("renew the lease", &error)),
        }
    }

    /// Makes the lease last on, once a third of its time has passed.
    pub(super) async fn renew_lease(&mut self) -> Result<(), LogError> {
        let asked = Instant::now();
        let Some(ttl) = self.log.lease.ttl() else { return Ok(()) };
        if asked.duration_since(self.renewed) < ttl / 3 {
            return Ok(());
        }
        let term = self.shared.lock().staging.head.term;
        self.log.lease.renew(term).await?;
        self.renewed = asked;
        Ok(())
    }

    /// The term has moved on: by another writer, or by a recovery of our own whose answer was lost.
    async fn fenced(&mut self) -> Failed {
        self.in_doubt = true;
        match self.learn_head().await {
            Ok(_) => Failed::Again,
            Err(failed) => failed,
        }
    }

    fn landed(&mut self, head: Head) {
        self.shared.lock().durable(head.term);
        self.head.send_replace(head.position);
        metrics::gauge!("rewardhub_ledger_position").set(figure(head.position.0));
    }

    /// Raises our own term, which waits for a statement that may still be running, then reads the
    /// head.
    pub(super) async fn learn_head(&mut self) -> Result<u64, Failed> {
        let held = self.shared.lock().staging.head.term;
        let mut last = None;
        for pause in std::iter::once(Duration::ZERO).chain(RECOVERY_PAUSES) {
            tokio::time::sleep(pause).await;
            let left = self.log.lease.ttl().map(|ttl| ttl.saturating_sub(self.renewed.elapsed()));
            if last.is_some() && left == Some(Duration::ZERO) {
                // Whoever waits for an answer hears that there is none, and may ask another writer.
                break;
            }
            let asked = Instant::now();
            let lease = self.log.lease.lease(&self.settings.holder, Some(held));
            let patience = left.map_or(Duration::MAX, |left| left.max(RECOVERY_MIN));
            let learnt = tokio::time::timeout(patience, lease).await.unwrap_or_else(|late| {
                let (doing, transient, source) = ("learn its head in time", true, Box::new(late));
                Err(LogError::Store { doing, transient, source })
            });
            match learnt {
                Ok(head) => {
                    self.renewed = asked;
                    self.shared.lock().staging.head = head;
                    // Also when nobody is left to be told: readers wait for what has landed.
                    self.head.send_replace(head.position);
                    self.in_doubt = false;
                    faults::over(NO_HEAD);
                    return Ok(head.term);
                }
                Err(LogError::Fenced) => return Err(Failed::Fenced),
                Err(error) => last = Some(error),
            }
        }
        if let Some(error) = last {
            faults::error(NO_HEAD, "", &error);
        }
        Err(Failed::Unavailable)
    }

    pub(super) fn forget_undurable(&mut self) {
        let shared = self.shared.clone();
        let mut core = shared.lock();
        core.drop_undurable();
        // They are few, so all are read again, not only those the batch touched.
        core.aggregates.campaigns.clear();
        self.campaigns_loaded = false;
        // An epoch scheduled in vain is scheduled again under another seed: its key must go too.
        self.offers = Offers::default();
    }

    pub(super) fn forget_everything(&mut self) {
        let mut core = self.shared.lock();
        core.aggregates.clear();
        core.known.clear();
        drop(core);
        self.campaigns_loaded = false;
    }
}
