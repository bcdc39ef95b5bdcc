//! A log that passes everything on, remembers where one append ended and the next began, and can be
//! made to wait or to panic.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use ledger_core::ids::TransactionKey;
use ledger_core::log::{
    AppendError, Batch, EventLog, Head, Log, LogError, Position, StoredEvent, StreamId, StreamType,
    TransactionIndex, WriterLease,
};
use parking_lot::{Condvar, Mutex};

pub(crate) struct TapLog {
    inner: Log,
    appends: Mutex<Vec<Vec<StoredEvent>>>,
    hydrated: Mutex<Vec<StoredEvent>>,
    pages: Mutex<Vec<usize>>,
    calls: [AtomicUsize; 3],
    lease_ttl: Option<Duration>,
    read_of_streams: AtomicUsize,
    looked_up: AtomicUsize,
    keys_read: AtomicBool,
    /// Appends wait while it is shut; how many are waiting.
    gate: Mutex<(bool, usize)>,
    moved: Condvar,
    panic_after_append: AtomicBool,
    /// Reads of this account's stream fail, and look-ups of this key, whatever else is asked for
    /// with them.
    unreadable: Mutex<Option<(StreamId, Option<TransactionKey>)>>,
}

impl TapLog {
    pub(crate) fn new(inner: impl Into<Log>) -> Arc<TapLog> {
        TapLog::with_lease(inner, None)
    }

    /// With a lease of which the writer believes that it runs out.
    pub(crate) fn with_lease(inner: impl Into<Log>, lease_ttl: Option<Duration>) -> Arc<TapLog> {
        Arc::new(TapLog {
            lease_ttl,
            pages: Mutex::default(),
            calls: Default::default(),
            inner: inner.into(),
            appends: Mutex::default(),
            hydrated: Mutex::default(),
            read_of_streams: AtomicUsize::new(0),
            looked_up: AtomicUsize::new(0),
            keys_read: AtomicBool::new(false),
            gate: Mutex::default(),
            moved: Condvar::new(),
            panic_after_append: AtomicBool::new(false),
            unreadable: Mutex::default(),
        })
    }

    /// What a writer is given: all but the snapshots passes through here.
    pub(crate) fn log(self: &Arc<TapLog>) -> Log {
        Log {
            events: Arc::clone(self) as _,
            lease: Arc::clone(self) as _,
            transactions: Arc::clone(self) as _,
            snapshots: Arc::clone(&self.inner.snapshots),
        }
    }

    /// The batches that landed.
    pub(crate) fn appends(&self) -> Vec<Vec<StoredEvent>> {
        self.appends.lock().clone()
    }

    /// The events that hydration has read.
    pub(crate) fn hydrated(&self) -> Vec<StoredEvent> {
        self.hydrated.lock().clone()
    }

    /// The sizes of the pages that hydration has read.
    pub(crate) fn pages(&self) -> Vec<usize> {
        self.pages.lock().clone()
    }

    /// How often the lease was taken, an append was tried, the lease was renewed.
    pub(crate) fn calls(&self) -> [usize; 3] {
        self.calls.each_ref().map(|count| count.load(Ordering::SeqCst))
    }

    /// How many events were read stream by stream.
    pub(crate) fn read_of_streams(&self) -> usize {
        self.read_of_streams.load(Ordering::SeqCst)
    }

    /// How many keys were looked up.
    pub(crate) fn looked_up(&self) -> usize {
        self.looked_up.load(Ordering::SeqCst)
    }

    /// Waits until the log's keys have been read, all of them.
    pub(crate) async fn keys_read(&self) {
        for _ in 0..1_000 {
            if self.keys_read.load(Ordering::SeqCst) {
                // Whoever asked has them in the same go.
                return tokio::task::yield_now().await;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("the keys were never read");
    }

    pub(crate) fn shut(&self) {
        self.gate.lock().0 = true;
    }

    pub(crate) fn open(&self) {
        self.gate.lock().0 = false;
        self.moved.notify_all();
    }

    /// Returns once an append waits at the gate. Blocks the thread: for a task that may.
    pub(crate) fn await_waiting(&self) {
        self.moved.wait_while(&mut self.gate.lock(), |(_, waiting)| *waiting == 0);
    }

    /// The next append lands, and then the code around it panics.
    pub(crate) fn panic_after_append(&self) {
        self.panic_after_append.store(true, Ordering::SeqCst);
    }

    /// From now on what is asked for together with this fails for good.
    pub(crate) fn make_unreadable(&self, what: Option<(StreamId, Option<TransactionKey>)>) {
        *self.unreadable.lock() = what;
    }

    fn check<'a>(&self, mut streams: impl Iterator<Item = &'a StreamId>) -> Result<(), LogError> {
        let unreadable = self.unreadable.lock();
        match &*unreadable {
            Some((stream, _)) if streams.any(|asked| asked == stream) => {
                let source = "a page that is not to be read".into();
                Err(LogError::Store { doing: "load streams", transient: false, source })
            }
            _ => Ok(()),
        }
    }

    fn pass_gate(&self) {
        let mut gate = self.gate.lock();
        gate.1 += 1;
        self.moved.notify_all();
        self.moved.wait_while(&mut gate, |(shut, _)| *shut);
        gate.1 -= 1;
    }
}

#[async_trait]
impl EventLog for TapLog {
    async fn append(&self, batch: &Batch) -> Result<(), AppendError> {
        self.pass_gate();
        self.calls[1].fetch_add(1, Ordering::SeqCst);
        let result = self.inner.events.append(batch).await;
        if result.is_ok() {
            self.appends.lock().push(batch.events.clone());
        }
        assert!(!self.panic_after_append.swap(false, Ordering::SeqCst), "a panic that was asked for");
        result
    }

    async fn head(&self) -> Result<Head, LogError> {
        self.inner.events.head().await
    }

    async fn read_after(&self, position: Position, limit: usize) -> Result<Vec<StoredEvent>, LogError> {
        self.inner.events.read_after(position, limit).await
    }

    async fn read_stream_after(
        &self,
        stream: &StreamId,
        position: Position,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, LogError> {
        let events = self.inner.events.read_stream_after(stream, position, limit).await?;
        self.read_of_streams.fetch_add(events.len(), Ordering::SeqCst);
        Ok(events)
    }

    async fn load_streams(
        &self,
        streams: &[(StreamId, u64)],
        limit: usize,
    ) -> Result<Vec<StoredEvent>, LogError> {
        self.check(streams.iter().map(|(stream, _)| stream))?;
        let page = self.inner.events.load_streams(streams, limit).await?;
        self.pages.lock().push(page.len());
        self.hydrated.lock().extend(page.iter().cloned());
        Ok(page)
    }

    async fn stream_ids(&self, stream_type: StreamType) -> Result<Vec<StreamId>, LogError> {
        self.inner.events.stream_ids(stream_type).await
    }

    async fn known_streams(&self, streams: &[StreamId]) -> Result<Vec<StreamId>, LogError> {
        self.inner.events.known_streams(streams).await
    }
}

#[async_trait]
impl WriterLease for TapLog {
    async fn lease(&self, holder: &str, held: Option<u64>) -> Result<Head, LogError> {
        self.calls[0].fetch_add(1, Ordering::SeqCst);
        self.inner.lease.lease(holder, held).await
    }

    fn ttl(&self) -> Option<Duration> {
        self.lease_ttl
    }

    async fn renew(&self, term: u64) -> Result<(), LogError> {
        self.calls[2].fetch_add(1, Ordering::SeqCst);
        self.inner.lease.renew(term).await
    }
}

#[async_trait]
impl TransactionIndex for TapLog {
    async fn find_transactions(&self, keys: &[TransactionKey]) -> Result<Vec<StoredEvent>, LogError> {
        self.looked_up.fetch_add(keys.len(), Ordering::SeqCst);
        if let Some((_, Some(key))) = &*self.unreadable.lock()
            && keys.contains(key)
        {
            return Err(LogError::Damaged("a row that is not to be read".into()));
        }
        self.inner.transactions.find_transactions(keys).await
    }

    async fn transaction_keys(
        &self,
        after: Option<&TransactionKey>,
        limit: usize,
    ) -> Result<Vec<TransactionKey>, LogError> {
        let keys = self.inner.transactions.transaction_keys(after, limit).await?;
        self.keys_read.fetch_or(keys.len() < limit, Ordering::SeqCst);
        Ok(keys)
    }
}
