//! Phase four of the loop: a batch is handed to the thread that writes. An append ends *landed*,
//! *fenced*, *duplicate* or *unknown*.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::figures::figure;
use crate::log::{AppendError, Batch, EventLog, Head, LogError, Snapshot};
use crate::own_thread::block_on;

/// An append under way.
pub(super) struct Append {
    /// Where the log stands before it.
    pub(super) expected: Head,
    /// Where the log will stand.
    pub(super) head: Head,
    pub(super) began: Instant,
    /// States after this batch, to be kept once it is durable.
    pub(super) snapshots: Vec<Snapshot>,
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

    pub(super) fn begin(&self, batch: Batch, snapshots: Vec<Snapshot>) -> Append {
        let (expected, head, began) = (batch.expected, batch.head_after(), Instant::now());
        let (reply, result) = oneshot::channel();
        self.0.send(Order { batch, reply }).expect("the thread ends with the writer, and catches panics");
        Append { expected, head, began, snapshots, result }
    }
}

impl Append {
    pub(super) async fn result(&mut self) -> Result<(), AppendError> {
        (&mut self.result).await.expect("the thread answers each order")
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
