//! A payout rail with durable books of its own, which misbehaves on purpose.
//!
//! Payments wait in a bounded queue; one thread writes all that wait in one transaction and answers
//! only after its commit, so a kill between paying and answering leaves the payment in the books.
//! Lookups go through the same queue: one that follows a send sees what became of it.

mod books;
mod misbehaviour;
mod worker;

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use ledger_core::money::Currency;
use ledger_core::steps::ports::{self, Confirmations, PayError, Payout, PayoutKey, PayoutRail, PayoutStatus};
use ledger_core::time::Clock;
use parking_lot::Mutex;
use rusqlite::Connection;
use stores::files;
use tokio::sync::{mpsc, oneshot};

pub use books::{BooksError, Payment};
use misbehaviour::Fault;
pub use misbehaviour::Misbehaviour;
use worker::{Answer, Order, Request, Subscriber};

/// Requests waiting for the worker; senders beyond that wait for a place.
const QUEUE: usize = 4_096;

/// Keys that may at one time be waiting for a second send after a timeout; beyond that the rail
/// behaves.
const LOST_SENDS_MAX: usize = 65_536;

/// The rail keeps its books for ever; it promises a month.
const IDEMPOTENCY_WINDOW: Duration = Duration::from_hours(30 * 24);

/// Our own payout rail. Its state is the books' file alone.
pub struct SandboxRail {
    misbehaviour: Misbehaviour,
    requests: Option<mpsc::Sender<Request>>,
    worker: Option<std::thread::JoinHandle<()>>,
    subscriber: Subscriber,
    /// Keys whose first send was lost before it reached the books.
    lost: Mutex<HashSet<PayoutKey>>,
    /// A connection for audits, beside the worker's.
    audit: Mutex<Connection>,
}

/// The rail says once more that it paid, as rails do with webhooks. Comes at most once, and may be
/// lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confirmation {
    /// The line of the books; always paid.
    pub payment: Payment,
}

/// Who listens to the rail.
pub struct SandboxConfirmations(mpsc::Receiver<Confirmation>);

#[async_trait]
impl Confirmations for SandboxConfirmations {
    fn actor(&self) -> &'static str {
        "rail:sandbox"
    }

    async fn next(&mut self) -> Option<ports::Confirmation> {
        loop {
            let Payment { key, account_id, status, .. } = self.0.recv().await?.payment;
            if let PayoutStatus::Paid(payout_reference) = status {
                return Some(ports::Confirmation { key, account_id, payout_reference });
            }
        }
    }
}

/// How many keys the books hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PaymentCounts {
    /// Payments made.
    pub paid: u64,
    /// Keys refused for good.
    pub refused: u64,
}

/// Why the rail does not start.
#[derive(Debug, thiserror::Error)]
pub enum RailError {
    /// Its books cannot be opened.
    #[error("opening the payout rail's books")]
    Books(#[from] BooksError),
    /// No thread for its worker.
    #[error("starting the payout rail's worker")]
    Worker(#[source] std::io::Error),
}

impl SandboxRail {
    /// Opens the books at `path`, creating them where there are none.
    pub fn open(
        path: &Path,
        misbehaviour: Misbehaviour,
        clock: Arc<dyn Clock>,
    ) -> Result<SandboxRail, RailError> {
        let connection = Arc::new(Mutex::new(books::open(path)?));
        let kept: Weak<Mutex<Connection>> = Arc::downgrade(&connection);
        files::keep(path, books::WAL_BYTES_MAX, kept);
        let audit = books::open_read_only(path, false)?;
        let (requests, queue) = mpsc::channel(QUEUE);
        let subscriber = Subscriber::default();
        let worker =
            worker::start(connection, queue, Arc::clone(&subscriber), clock).map_err(RailError::Worker)?;
        Ok(SandboxRail {
            misbehaviour,
            requests: Some(requests),
            worker: Some(worker),
            subscriber,
            lost: Mutex::default(),
            audit: Mutex::new(audit),
        })
    }

    /// From now on confirmations go to this receiver, and to none before it. One that finds
    /// `capacity` others waiting is lost.
    pub fn confirmations(&self, capacity: usize) -> SandboxConfirmations {
        let (sender, receiver) = mpsc::channel(capacity);
        *self.subscriber.lock() = Some(sender);
        SandboxConfirmations(receiver)
    }

    /// What was paid in all, in minor units per currency. Reads the books; short, but blocking.
    pub fn total_paid(&self) -> Result<Vec<(Currency, i64)>, BooksError> {
        self.audit(books::totals)
    }

    /// How many payments and refusals the books hold. Blocking.
    pub fn count(&self) -> Result<PaymentCounts, BooksError> {
        self.audit(books::count).map(|(paid, refused)| PaymentCounts { paid, refused })
    }

    /// Up to `limit` lines of the books in the order of their keys, after the key `after`.
    /// Blocking.
    pub fn payments(&self, after: Option<PayoutKey>, limit: u32) -> Result<Vec<Payment>, BooksError> {
        self.audit(|connection| books::page(connection, after, limit))
    }

    fn audit<T>(&self, read: impl FnOnce(&Connection) -> Result<T, BooksError>) -> Result<T, BooksError> {
        read(&self.audit.lock())
    }

    /// Whether this send gets lost on its way; the next one under the same key will not.
    fn loses(&self, key: PayoutKey) -> bool {
        let mut lost = self.lost.lock();
        !lost.remove(&key) && lost.len() < LOST_SENDS_MAX && lost.insert(key)
    }

    async fn ask(&self, order: Order) -> Result<PayoutStatus, PayError> {
        let (answer, answered) = oneshot::channel();
        let stopped = || PayError::Temporary("the rail has stopped".to_owned());
        let requests = self.requests.as_ref().ok_or_else(stopped)?;
        requests.send(Request { order, answer }).await.map_err(|_| stopped())?;
        match answered.await.map_err(|_| stopped())?? {
            Answer::Status(status) => Ok(status),
            Answer::Silence => Err(self.time_out().await),
        }
    }

    async fn time_out(&self) -> PayError {
        tokio::time::sleep(self.misbehaviour.timeout).await;
        PayError::Temporary("timed out".to_owned())
    }
}

/// All lines of the books at `path`, for an audit beside whoever writes them or where nobody does.
/// Blocking.
pub fn read_books(path: &Path) -> Result<Vec<Payment>, BooksError> {
    let connection = books::open_read_only(path, files::is_still(path))?;
    let mut payments: Vec<Payment> = Vec::new();
    loop {
        let page = books::page(&connection, payments.last().map(|payment| payment.key), 10_000)?;
        if page.is_empty() {
            return Ok(payments);
        }
        payments.extend(page);
    }
}

/// How many of these payments the books at `path` do not know as paid. Blocking.
pub fn count_unpaid(path: &Path, keys: &[PayoutKey]) -> Result<usize, BooksError> {
    if keys.is_empty() {
        return Ok(0);
    }
    let connection = books::open_read_only(path, files::is_still(path))?;
    let mut unpaid = 0;
    for key in keys {
        let known = books::find(&connection, *key)?;
        unpaid += usize::from(!known.is_some_and(|payment| matches!(payment.status, PayoutStatus::Paid(_))));
    }
    Ok(unpaid)
}

#[async_trait]
impl PayoutRail for SandboxRail {
    async fn pay(&self, payout: &Payout) -> Result<PayoutStatus, PayError> {
        let conduct = self.misbehaviour.of(payout.key);
        if !conduct.delay.is_zero() {
            tokio::time::sleep(conduct.delay).await;
        }
        if conduct.fault == Some(Fault::TimeoutBeforePaying) {
            // A key that the books know was sent before this process began.
            let known = self.ask(Order::Lookup(payout.clone())).await? != PayoutStatus::NotFound;
            if !known && self.loses(payout.key) {
                return Err(self.time_out().await);
            }
        }
        self.ask(Order::Pay { payout: payout.clone(), fault: conduct.fault }).await
    }

    async fn lookup(&self, payout: &Payout) -> Result<PayoutStatus, PayError> {
        self.ask(Order::Lookup(payout.clone())).await
    }

    fn idempotency_window(&self) -> Duration {
        IDEMPOTENCY_WINDOW
    }
}

impl Drop for SandboxRail {
    fn drop(&mut self) {
        // Closing the queue ends the worker once it has committed what waits.
        self.requests = None;
        if let Some(worker) = self.worker.take()
            && worker.join().is_err()
        {
            tracing::error!("the payout rail's worker had panicked");
        }
    }
}

#[cfg(test)]
mod tests;
