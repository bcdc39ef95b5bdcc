//! The embedded log: one SQLite file in WAL mode with `synchronous=FULL`.
//!
//! One connection writes, and one looks up what the next batch needs meanwhile. A few read-only
//! connections serve everybody else and never wait for either. Another process may read the same
//! file at any time, and may become the writer.

mod append;
mod identity;
mod open;
mod rows;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};

use crate::files;
use crate::pool::{Busy, Pool};
use crate::sqlite::passes;
pub(crate) use identity::key_prints;
use ledger_core::ids::TransactionKey;
use ledger_core::log::{
    AppendError, Batch, EventLog, Head, LogError, Position, Snapshot, SnapshotStore, StoredEvent, StreamId,
    StreamType, TransactionIndex, WriterLease,
};

/// How a log file is opened.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The writer's page cache. The two unique indexes are hit at random, so their leaves should
    /// fit.
    pub cache_mib: u32,
    /// A reader's page cache.
    pub reader_cache_kib: u32,
    /// Whether readers map the file, which counts as theirs and can be taken back at any time.
    pub map_files: bool,
    /// How many readers may be at work at once, each on a connection of its own; at least one.
    pub readers: usize,
    /// How long to wait for another process that is writing.
    pub busy_timeout: Duration,
    /// How far the write-ahead log grows before it is moved into the file. Larger means fewer page
    /// writes, since a page changed by many batches is moved once; smaller means shorter pauses and
    /// a faster start.
    pub checkpoint_mib: u32,
    /// For reading only: nobody writes the file, so that nothing has to be locked or made beside
    /// it.
    pub still: bool,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        SqliteOptions {
            cache_mib: 256,
            reader_cache_kib: 8_192,
            map_files: true,
            readers: 4,
            busy_timeout: Duration::from_secs(10),
            checkpoint_mib: 256,
            still: false,
        }
    }
}

impl SqliteOptions {
    fn checkpoint_bytes(&self) -> u64 {
        u64::from(self.checkpoint_mib) * 1024 * 1024
    }
}

/// An event log in one SQLite file. Clones share it.
#[derive(Clone)]
pub struct SqliteLog {
    inner: Arc<Inner>,
}

struct Inner {
    /// `None` when opened for reading only.
    writer: Option<Arc<Mutex<Connection>>>,
    /// For what the writer decides on.
    lookup: Mutex<Connection>,
    readers: Pool<Connection>,
    path: PathBuf,
    options: SqliteOptions,
}

impl SqliteLog {
    /// Opens the log at `path` and creates it if there is none. Refuses a file that is something
    /// else or that a newer version of this program wrote.
    pub fn open(path: &Path, options: &SqliteOptions) -> Result<SqliteLog, LogError> {
        let writer = Arc::new(Mutex::new(open::writer(path, options)?));
        let kept: Weak<Mutex<Connection>> = Arc::downgrade(&writer);
        files::keep(path, 2 * options.checkpoint_bytes(), kept);
        SqliteLog::with(Some(writer), path, options)
    }

    /// Opens an existing log without the means to change it, for an audit beside a running process.
    pub fn open_read_only(path: &Path) -> Result<SqliteLog, LogError> {
        let still = files::is_still(path);
        SqliteLog::with(None, path, &SqliteOptions { still, ..SqliteOptions::default() })
    }

    fn with(
        writer: Option<Arc<Mutex<Connection>>>,
        path: &Path,
        options: &SqliteOptions,
    ) -> Result<SqliteLog, LogError> {
        let lookup = Mutex::new(open::reader(path, options)?);
        let readers = Pool::new(options.readers, || open::reader(path, options).ok());
        let (path, options) = (path.to_owned(), options.clone());
        Ok(SqliteLog { inner: Arc::new(Inner { writer, lookup, readers, path, options }) })
    }

    /// Runs a query on a reader's connection, off the threads that must not block.
    async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let inner = Arc::clone(&self.inner);
        // Outside a runtime there is nobody to block, and nobody to hand the work to.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return inner.query(query);
        };
        let turn = inner.readers.turn().await.map_err(no_reader)?;
        let query = move || {
            let _turn = turn;
            inner.query(query)
        };
        match runtime.spawn_blocking(query).await {
            Ok(result) => result,
            Err(e) => Err(LogError::Store { doing: "run a read", transient: true, source: Box::new(e) }),
        }
    }

    fn writer(&self) -> Result<MutexGuard<'_, Connection>, LogError> {
        let read_only = || LogError::Store {
            doing: "write",
            transient: false,
            source: "the log was opened for reading only".into(),
        };
        self.inner.writer.as_deref().map(Mutex::lock).ok_or_else(read_only)
    }
}

#[async_trait]
impl EventLog for SqliteLog {
    async fn append(&self, batch: &Batch) -> Result<(), AppendError> {
        append::append(&mut *self.writer().map_err(AppendError::Unknown)?, batch)
    }

    async fn head(&self) -> Result<Head, LogError> {
        self.read(rows::read_head).await
    }

    async fn read_after(&self, position: Position, limit: usize) -> Result<Vec<StoredEvent>, LogError> {
        self.read(move |connection| rows::read_after(connection, position, limit)).await
    }

    async fn read_stream_after(
        &self,
        stream: &StreamId,
        position: Position,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, LogError> {
        let stream = stream.clone();
        self.read(move |connection| rows::read_stream_after(connection, &stream, position, limit)).await
    }

    async fn load_streams(
        &self,
        streams: &[(StreamId, u64)],
        limit: usize,
    ) -> Result<Vec<StoredEvent>, LogError> {
        rows::load_streams(&self.inner.lookup.lock(), streams, limit)
    }

    async fn stream_ids(&self, stream_type: StreamType) -> Result<Vec<StreamId>, LogError> {
        rows::stream_ids(&self.inner.lookup.lock(), stream_type)
    }

    async fn known_streams(&self, streams: &[StreamId]) -> Result<Vec<StreamId>, LogError> {
        let streams = streams.to_vec();
        self.read(move |connection| rows::known_streams(connection, streams)).await
    }
}

#[async_trait]
impl WriterLease for SqliteLog {
    async fn lease(&self, holder: &str, held: Option<u64>) -> Result<Head, LogError> {
        // Always a commit. An append that failed half-way may have left something in the
        // write-ahead log; this commit overwrites it, so that it cannot surface after a crash. The
        // transaction is explicit because SQLite does not report a failed commit of a statement
        // that is only dropped. This writer would believe in a term that the file does not have.
        let failed = || store("take the lease");
        let mut connection = self.writer()?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed())?;
        let raise = "UPDATE head SET epoch = epoch + 1, holder = ?1 WHERE \"partition\" = 0 \
                     AND (?2 IS NULL OR epoch = ?2 OR (epoch > ?2 AND holder = ?1)) \
                     RETURNING epoch, position, recorded_at";
        let raised = transaction.query_row(raise, params![holder, held], rows::head).optional();
        let Some(head) = raised.map_err(failed())? else {
            // No row at all is no other writer's doing.
            rows::read_head(&transaction)?;
            return Err(LogError::Fenced);
        };
        let last = "SELECT coalesce(max(position), 0) FROM events";
        let last: u64 = transaction.query_row(last, [], |row| row.get(0)).map_err(failed())?;
        if last != head.position.0 {
            let last = Position(last);
            return Err(LogError::Damaged(format!(
                "its head is at {}, its last event at {last}",
                head.position
            )));
        }
        transaction.commit().map_err(failed())?;
        Ok(head)
    }

    async fn renew(&self, term: u64) -> Result<(), LogError> {
        if self.head().await?.term == term { Ok(()) } else { Err(LogError::Fenced) }
    }
}

#[async_trait]
impl TransactionIndex for SqliteLog {
    async fn find_transactions(&self, keys: &[TransactionKey]) -> Result<Vec<StoredEvent>, LogError> {
        rows::find_transactions(&self.inner.lookup.lock(), keys)
    }

    async fn transaction_keys(
        &self,
        after: Option<&TransactionKey>,
        limit: usize,
    ) -> Result<Vec<TransactionKey>, LogError> {
        let after = after.copied();
        self.read(move |connection| rows::transaction_keys(connection, after, limit)).await
    }
}

#[async_trait]
impl SnapshotStore for SqliteLog {
    async fn load_snapshots(&self, streams: &[StreamId], code: &str) -> Result<Vec<Snapshot>, LogError> {
        rows::snapshots(&self.inner.lookup.lock(), streams, code).map_err(store("load snapshots"))
    }

    async fn save_snapshots(&self, snapshots: &[Snapshot]) -> Result<(), LogError> {
        let mut connection = self.writer()?;
        rows::save_snapshots(&mut connection, snapshots).map_err(store("save snapshots"))
    }

    async fn snapshots_after(
        &self,
        code: &str,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<Snapshot>, LogError> {
        let (code, after) = (code.to_owned(), after.cloned());
        self.read(move |connection| rows::snapshots_after(connection, &code, after.as_ref(), limit)).await
    }
}

impl Inner {
    fn query<T>(&self, query: impl FnOnce(&Connection) -> Result<T, LogError>) -> Result<T, LogError> {
        let open = || open::reader(&self.path, &self.options);
        self.readers.with(|_| true, open, no_reader, query)
    }
}

fn no_reader(busy: Busy) -> LogError {
    LogError::Store { doing: "find a free reader", transient: true, source: Box::new(busy) }
}

/// What a failed SQLite call was for.
pub(crate) fn store(doing: &'static str) -> impl Fn(rusqlite::Error) -> LogError {
    move |error| {
        let code = error.sqlite_error_code();
        if matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)) {
            return LogError::Damaged(format!("SQLite could not {doing}: {error}"));
        }
        let transient = passes(&error);
        LogError::Store { doing, transient, source: Box::new(error) }
    }
}

#[cfg(test)]
mod tests;
