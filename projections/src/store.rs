//! The file of the read models: one writer (the runner), a few readers.
//!
//! WAL with `synchronous=NORMAL`: a power cut may lose the last transactions, but rows and checkpoints together,
//! so the runner applies those events again. A query runs in one read transaction: all parts of an answer are
//! of one position.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::error::ProjectionError;

pub(crate) const SCHEMA: &str = include_str!("../../migrations/sqlite/read.sql");
const SCHEMA_VERSION: i64 = 1;

/// Queries that run at once; the next waits.
const READERS_MAX: usize = 8;
/// How long a query waits for its turn.
const READER_WAIT: Duration = Duration::from_secs(5);
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// More than the statements of all projections and queries.
pub(crate) const STATEMENTS_CACHED: usize = 128;

/// The read models. Cheap to clone.
#[derive(Clone)]
pub struct ReadStore(Arc<Shared>);

struct Shared {
    path: PathBuf,
    writer: Option<Mutex<Connection>>,
    readers: Mutex<Readers>,
    freed: Condvar,
}

struct Readers {
    idle: Vec<Connection>,
    open: usize,
}

impl ReadStore {
    /// Opens the file for the runner and for queries; makes it if there is none.
    pub fn open(path: &Path) -> Result<ReadStore, ProjectionError> {
        let writer = open_writer(path)?;
        Ok(ReadStore::new(path, Some(Mutex::new(writer))))
    }

    /// Opens an existing file for queries only.
    pub fn open_read_only(path: &Path) -> Result<ReadStore, ProjectionError> {
        let store = ReadStore::new(path, None);
        store.query(check_schema)?;
        Ok(store)
    }

    fn new(path: &Path, writer: Option<Mutex<Connection>>) -> ReadStore {
        let readers = Mutex::new(Readers { idle: vec![], open: 0 });
        ReadStore(Arc::new(Shared { path: path.into(), writer, readers, freed: Condvar::new() }))
    }

    /// Runs queries of this crate against the state at one position. Blocks; see [`read`](ReadStore::read).
    pub fn query<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, ProjectionError>,
    ) -> Result<T, ProjectionError> {
        let reader = self.0.reader()?;
        // Rolls back when dropped, which is all that ending a read needs.
        let snapshot = reader.unchecked_transaction()?;
        query(&snapshot)
    }

    /// [`query`](ReadStore::query) on a thread that may block.
    pub async fn read<T, F>(&self, query: F) -> Result<T, ProjectionError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, ProjectionError> + Send + 'static,
    {
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.query(query)).await?
    }

    /// All or nothing.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T, ProjectionError>,
    ) -> Result<T, ProjectionError> {
        let mut writer = lock(self.0.writer.as_ref().ok_or(ProjectionError::ReadOnly)?);
        let transaction: Transaction<'_> =
            writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let done = write(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }
}

impl std::fmt::Debug for ReadStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReadStore").field("path", &self.0.path).finish_non_exhaustive()
    }
}

impl Shared {
    fn reader(&self) -> Result<Reader<'_>, ProjectionError> {
        let readers = lock(&self.readers);
        let busy = |r: &mut Readers| r.idle.is_empty() && r.open >= READERS_MAX;
        let waited = self.freed.wait_timeout_while(readers, READER_WAIT, busy);
        let (mut readers, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err(ProjectionError::Busy);
        }
        let idle = readers.idle.pop();
        readers.open += usize::from(idle.is_none());
        drop(readers);
        // From here on the place is ours: dropping the reader gives it back, whether or not opening works.
        let mut reader = Reader { shared: self, conn: idle };
        if reader.conn.is_none() {
            reader.conn = Some(open_reader(&self.path)?);
        }
        Ok(reader)
    }
}

/// A connection lent by the pool.
struct Reader<'a> {
    shared: &'a Shared,
    conn: Option<Connection>,
}

impl Deref for Reader<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.conn.as_ref().expect("a reader is handed out with its connection")
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut readers = lock(&self.shared.readers);
        match self.conn.take() {
            Some(conn) => readers.idle.push(conn),
            None => readers.open -= 1,
        }
        self.shared.freed.notify_one();
    }
}

/// A panic under the lock leaves nothing half done: the transaction has been rolled back.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn open_reader(path: &Path) -> Result<Connection, ProjectionError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    Ok(conn)
}

pub(crate) fn open_writer(path: &Path) -> Result<Connection, ProjectionError> {
    let mut conn = Connection::open(path)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    // 64 MiB: the unique key of transactions is touched at random places.
    conn.pragma_update(None, "cache_size", -65_536)?;
    let creation = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match schema_version(&creation)? {
        0 => {
            creation.execute_batch(SCHEMA)?;
            creation.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        found => check_version(found)?,
    }
    creation.commit()?;
    Ok(conn)
}

/// Refuses a file of another version.
pub(crate) fn check_schema(conn: &Connection) -> Result<(), ProjectionError> {
    check_version(schema_version(conn)?)
}

fn schema_version(conn: &Connection) -> Result<i64, ProjectionError> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

fn check_version(found: i64) -> Result<(), ProjectionError> {
    let expected = SCHEMA_VERSION;
    if found == expected { Ok(()) } else { Err(ProjectionError::SchemaVersion { found, expected }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("read.db");
        drop(ReadStore::open(&path).unwrap());
        ReadStore::open(&path).expect("our own version opens again");
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        for opened in [ReadStore::open(&path), ReadStore::open_read_only(&path)] {
            assert!(matches!(opened, Err(ProjectionError::SchemaVersion { found: 99, .. })));
        }
    }

    #[test]
    fn a_reader_cannot_write_and_a_read_only_store_has_no_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("read.db");
        let store = ReadStore::open(&path).unwrap();
        let refused = store.query(|conn| Ok(conn.execute("DELETE FROM checkpoints", [])?));
        assert!(matches!(refused, Err(ProjectionError::Store(_))));
        let reader = ReadStore::open_read_only(&path).unwrap();
        assert!(matches!(reader.write(|_| Ok(())), Err(ProjectionError::ReadOnly)));
    }

    #[test]
    fn a_query_sees_one_state_while_another_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let store = ReadStore::open(&folder.path().join("read.db")).unwrap();
        let count = |conn: &Connection| {
            Ok(conn.query_row("SELECT count(*) FROM accounts", [], |r| r.get::<_, i64>(0))?)
        };
        let (before, after) = store
            .query(|conn| {
                let before = count(conn)?;
                store.write(|w| Ok(w.execute("INSERT INTO accounts (account_id) VALUES ('a')", [])?))?;
                Ok((before, count(conn)?))
            })
            .unwrap();
        assert_eq!((before, after), (0, 0));
        assert_eq!(store.query(count).unwrap(), 1);
    }

    #[test]
    fn readers_are_lent_again_after_a_failed_query() {
        let folder = tempfile::tempdir().unwrap();
        let store = ReadStore::open(&folder.path().join("read.db")).unwrap();
        for _ in 0..3 * READERS_MAX {
            assert!(store.query(|_| Err::<(), _>(ProjectionError::Busy)).is_err());
        }
        assert_eq!(lock(&store.0.readers).open, 1);
    }
}
