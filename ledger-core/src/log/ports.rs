//! What the ledger asks of a log, in four parts by who needs it. One store may keep all four. A
//! store without a lease or an index of keys keeps the events, and others beside it keep the rest.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{AppendError, Batch, Head, LogError, Position, Snapshot, StoredEvent, StreamId, StreamType};
use crate::ids::TransactionKey;
use crate::time::Timestamp;

/// The four parts of one ledger's log.
#[derive(Clone)]
pub struct Log {
    /// The events.
    pub events: Arc<dyn EventLog>,
    /// Who may append.
    pub lease: Arc<dyn WriterLease>,
    /// Where a transaction was decided.
    pub transactions: Arc<dyn TransactionIndex>,
    /// Snapshots of long streams.
    pub snapshots: Arc<dyn SnapshotStore>,
}

impl<L: EventLog + WriterLease + TransactionIndex + SnapshotStore + 'static> From<Arc<L>> for Log {
    /// A store that keeps all four.
    fn from(log: Arc<L>) -> Log {
        Log {
            events: Arc::clone(&log) as _,
            lease: Arc::clone(&log) as _,
            transactions: Arc::clone(&log) as _,
            snapshots: log,
        }
    }
}

/// An append-only, totally ordered, deduplicating store of events with one writer at a time.
///
/// Contract:
/// - [`append`](EventLog::append) is atomic and, once it returns `Ok`, durable. It succeeds only if
///   term and position of the head equal `batch.expected` and no transaction key of the batch is in
///   the log.
/// - An `Unknown` append either landed as a whole or not at all, and after the next
///   [`lease`](WriterLease::lease) it can no longer land.
/// - Readers see a prefix of the log: whoever sees position n can see all before n.
/// - Positions are contiguous from 1, sequences contiguous from 1 in each stream.
///
/// `append`, `load_streams` and `stream_ids` are called from threads that may block (the writer's
/// own); the readers may be called from anywhere.
#[async_trait]
pub trait EventLog: Send + Sync {
    /// Writes one batch.
    async fn append(&self, batch: &Batch) -> Result<(), AppendError>;

    /// Where the log stands.
    async fn head(&self) -> Result<Head, LogError>;

    /// Up to `limit` events after `position`, in order; fewer are all there are.
    async fn read_after(&self, position: Position, limit: usize) -> Result<Vec<StoredEvent>, LogError>;

    /// Up to `limit` events of one stream after `position`, in order; fewer are all there are.
    async fn read_stream_after(
        &self,
        stream: &StreamId,
        position: Position,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, LogError>;

    /// Up to `limit` events of these streams, each stream's after its sequence: the streams in this
    /// order, each in its own. Fewer than `limit` are all there are; else the rest follows the last
    /// one. Unknown streams have none.
    async fn load_streams(
        &self,
        streams: &[(StreamId, u64)],
        limit: usize,
    ) -> Result<Vec<StoredEvent>, LogError>;

    /// The ids of all streams of one type, sorted.
    async fn stream_ids(&self, stream_type: StreamType) -> Result<Vec<StreamId>, LogError>;

    /// Those of these streams that have an event, in any order. Called from anywhere.
    async fn known_streams(&self, streams: &[StreamId]) -> Result<Vec<StreamId>, LogError>;
}

/// Who may append: one writer at a time, whose term every append carries.
///
/// Contract:
/// - Every [`lease`](WriterLease::lease) raises the term of the log's head, so that whoever wrote
///   before is fenced.
/// - A term is never given twice.
///
/// All but `server_time` are called from threads that may block (the writer's own).
#[async_trait]
pub trait WriterLease: Send + Sync {
    /// Becomes the writer and tells where the log stands. `holder` names this writer and no other,
    /// ever. Fails with [`LogError::Held`] while another's lease has not run out, where leases do.
    ///
    /// With `held: Some(term)`, recovery by a writer that believes it still has the lease: fails
    /// with [`LogError::Fenced`] if another has taken it. The term may have moved on under the same
    /// holder, by a recovery whose answer was lost.
    async fn lease(&self, holder: &str, held: Option<u64>) -> Result<Head, LogError>;

    /// How long a lease lasts after it was last renewed; `None` where it does not run out, since
    /// something else keeps a second process away.
    fn ttl(&self) -> Option<Duration> {
        None
    }

    /// Makes the lease of this term last [`ttl`](WriterLease::ttl) from now; an append does the
    /// same. Fails with [`LogError::Fenced`] once the term has moved on.
    async fn renew(&self, term: u64) -> Result<(), LogError>;

    /// Lets the next writer have the log at once. Fails with [`LogError::Fenced`] once the term has
    /// moved on.
    async fn release(&self, term: u64) -> Result<(), LogError> {
        self.renew(term).await
    }

    /// What the clock of the log's server shows; `None` where the log has no clock but ours.
    async fn server_time(&self) -> Result<Option<Timestamp>, LogError> {
        Ok(None)
    }
}

/// Which event a transaction key stands on.
///
/// Contract: whoever sees an event in the log finds its key here.
#[async_trait]
pub trait TransactionIndex: Send + Sync {
    /// The events that carry these keys; keys that the log does not have are absent. Called from
    /// threads that may block (the writer's own).
    async fn find_transactions(&self, keys: &[TransactionKey]) -> Result<Vec<StoredEvent>, LogError>;

    /// Up to `limit` keys after this one, in order; fewer are all there are. What is appended
    /// meanwhile may be missing.
    async fn transaction_keys(
        &self,
        after: Option<&TransactionKey>,
        limit: usize,
    ) -> Result<Vec<TransactionKey>, LogError>;
}

/// States of aggregates; `code` names the encoding of each. A cache: it may be empty at any time.
///
/// Contract: a stream has at most one snapshot, and no older one takes the place of a newer one of
/// the same code.
#[async_trait]
pub trait SnapshotStore: Send + Sync {
    /// The snapshots in this `code` of these streams, in any order. Called from threads that may
    /// block (the writer's own).
    async fn load_snapshots(&self, streams: &[StreamId], code: &str) -> Result<Vec<Snapshot>, LogError>;

    /// Keeps these snapshots instead of earlier ones of their streams. May be called beside the
    /// writer.
    async fn save_snapshots(&self, snapshots: &[Snapshot]) -> Result<(), LogError>;

    /// Up to `limit` snapshots in this `code`, by stream, after that of stream `after`. For audits.
    async fn snapshots_after(
        &self,
        code: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<Snapshot>, LogError>;
}
