//! Where the read models are: one writer (the runner), a few readers.
//!
//! In a file of SQLite, or in the schema `read_models` of PostgreSQL. WAL with
//! `synchronous=NORMAL`, and `synchronous_commit=off`: a crash may lose the last transactions, but
//! rows and cursors together, so the runner applies those events again. A query runs in one
//! read transaction: all parts of an answer are of one position. A connection that broke is made
//! anew.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::TransactionBehavior;
use stores::files::{self, Wal};
use stores::pool::Pool;
use stores::postgres::{self, Database};
use stores::sqlite::use_wal;

use crate::connection::{Access, Connection};
use crate::error::ProjectionError;

pub(crate) const SCHEMA: &str = include_str!("../../migrations/sqlite/read.sql");
const SCHEMA_VERSION: i64 = 6;

/// The runner's page cache unless said otherwise.
const CACHE_BYTES: usize = 64 << 20;
/// Queries that run at once; the next waits.
const READERS_MAX: usize = 8;
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Beyond it the write-ahead log is emptied at once.
const WAL_BYTES_MAX: u64 = 128 * 1024 * 1024;
/// More than the statements of all projections and queries.
pub(crate) const STATEMENTS_CACHED: usize = 128;

/// The read models. Cheap to clone.
#[derive(Clone)]
pub struct ReadStore(Arc<Shared>);

struct Shared {
    place: Place,
    /// Absent where only queries run; empty until a first write. A panic under the lock leaves
    /// nothing half done: the transaction is rolled back.
    writer: Option<Mutex<Option<Connection>>>,
    readers: Pool<Connection>,
}

enum Place {
    /// `still`: nobody writes it. `cache_kib`: for the connection that writes.
    File {
        path: PathBuf,
        still: bool,
        cache_kib: usize,
    },
    Database(Box<Database>),
}

impl ReadStore {
    /// Opens the file for the runner and for queries; makes it if there is none.
    pub fn open(path: &Path) -> Result<ReadStore, ProjectionError> {
        ReadStore::open_with(path, CACHE_BYTES)
    }

    /// The same with so many bytes for the runner's page cache.
    pub fn open_with(path: &Path, cache_bytes: usize) -> Result<ReadStore, ProjectionError> {
        let place = Place::File { path: path.into(), still: false, cache_kib: cache_bytes / 1_024 };
        let writer = place.connect(Access::Write)?;
        let readers = Pool::new(READERS_MAX, || {
            let reader = open_reader(path, false).ok()?;
            // Only a read opens its other files.
            schema_version(&reader).ok()?;
            Some(Connection::sqlite(reader))
        });
        let store = ReadStore(Arc::new(Shared { place, writer: Some(Mutex::new(Some(writer))), readers }));
        let kept: Weak<Shared> = Arc::downgrade(&store.0);
        files::keep(path, WAL_BYTES_MAX, kept);
        Ok(store)
    }

    /// Opens an existing file for queries only.
    pub fn open_read_only(path: &Path) -> Result<ReadStore, ProjectionError> {
        let still = files::is_still(path);
        let place = Place::File { path: path.into(), still, cache_kib: CACHE_BYTES / 1_024 };
        check_version(schema_version(&open_reader(path, still)?)?)?;
        Ok(ReadStore::new(place, None))
    }

    /// Opens the read models of this database, if it has the schema this program needs. Has
    /// connections of its own.
    pub async fn open_postgres(database: Database) -> Result<ReadStore, ProjectionError> {
        postgres::check(&database.connect().await?).await?;
        let place = Place::Database(Box::new(database));
        Ok(ReadStore::new(place, Some(Mutex::new(None))))
    }

    fn new(place: Place, writer: Option<Mutex<Option<Connection>>>) -> ReadStore {
        ReadStore(Arc::new(Shared { place, writer, readers: Pool::new(READERS_MAX, || None) }))
    }

    /// Runs queries of this crate against the state at one position. Blocks; see
    /// [`read`](ReadStore::read).
    pub fn query<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, ProjectionError>,
    ) -> Result<T, ProjectionError> {
        let open = || self.0.place.connect(Access::Read);
        self.0.readers.with(Connection::is_usable, open, ProjectionError::Busy, |reader| {
            // Rolls back when dropped, which is all that ending a read needs.
            let snapshot = reader.begin(Access::Read)?;
            query(&snapshot)
        })
    }

    /// [`query`](ReadStore::query) on a thread that may block.
    pub async fn read<T, F>(&self, query: F) -> Result<T, ProjectionError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, ProjectionError> + Send + 'static,
    {
        let turn = self.0.readers.turn().await?;
        let store = self.clone();
        let query = move || {
            let _turn = turn;
            store.query(query)
        };
        tokio::task::spawn_blocking(query).await?
    }

    /// All or nothing. One at a time, also where another process writes to the same store.
    pub(crate) fn write<T>(
        &self,
        write: impl FnOnce(&Connection) -> Result<T, ProjectionError>,
    ) -> Result<T, ProjectionError> {
        let mut guard = self.0.writer.as_ref().ok_or(ProjectionError::ReadOnly)?.lock();
        let writer = match guard.take().filter(Connection::is_usable) {
            Some(writer) => guard.insert(writer),
            None => guard.insert(self.0.place.connect(Access::Write)?),
        };
        let transaction = writer.begin(Access::Write)?;
        let done = write(&transaction)?;
        transaction.commit()?;
        Ok(done)
    }

    /// A connection of the caller's own, for a transaction that walks whole tables.
    pub(crate) fn connect(&self, access: Access) -> Result<Connection, ProjectionError> {
        self.0.place.connect(access)?.unbounded()
    }

    /// Where a rebuild may put its files: beside the file they take the place of, or with the
    /// system's other temporary ones.
    pub(crate) fn side_folder(&self) -> PathBuf {
        match &self.0.place {
            Place::File { path, .. } => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                parent.unwrap_or(Path::new(".")).into()
            }
            Place::Database(_) => std::env::temp_dir(),
        }
    }
}

impl Wal for Shared {
    fn on_writer(
        &self,
        work: &dyn Fn(&rusqlite::Connection) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<()> {
        let writer = self.writer.as_ref().map(Mutex::lock);
        writer.and_then(|writer| writer.as_ref()?.as_sqlite().map(work)).unwrap_or(Ok(()))
    }
}

impl std::fmt::Debug for ReadStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place: &dyn std::fmt::Debug = match &self.0.place {
            Place::File { path, .. } => path,
            Place::Database(database) => database,
        };
        f.debug_struct("ReadStore").field("place", place).finish_non_exhaustive()
    }
}

impl Place {
    fn connect(&self, access: Access) -> Result<Connection, ProjectionError> {
        match (self, access) {
            (Place::File { path, still, .. }, Access::Read) => {
                Ok(Connection::sqlite(open_reader(path, *still)?))
            }
            (Place::File { path, cache_kib, .. }, Access::Write) => {
                Ok(Connection::sqlite(open_writer(path, *cache_kib)?))
            }
            (Place::Database(database), access) => Connection::postgres(database, access),
        }
    }
}

fn open_reader(path: &Path, still: bool) -> Result<rusqlite::Connection, ProjectionError> {
    let conn = files::open_read_only(path, still)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    Ok(conn)
}

fn open_writer(path: &Path, cache_kib: usize) -> Result<rusqlite::Connection, ProjectionError> {
    let mut conn = rusqlite::Connection::open(path)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(STATEMENTS_CACHED);
    use_wal(&conn)?;
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    conn.pragma_update(None, "journal_size_limit", WAL_BYTES_MAX / 2)?;
    // The unique key of transactions is touched at random places.
    conn.execute_batch(&format!("PRAGMA cache_size = -{cache_kib}"))?;
    let creation = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    match schema_version(&creation)? {
        found if found < SCHEMA_VERSION => {
            drop_tables(&creation)?;
            creation.execute_batch(SCHEMA)?;
            creation.pragma_update(None, "user_version", SCHEMA_VERSION)?;
        }
        found => check_version(found)?,
    }
    creation.commit()?;
    Ok(conn)
}

/// What an older program made is made again from the log.
fn drop_tables(conn: &rusqlite::Connection) -> Result<(), ProjectionError> {
    let mut tables = conn.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    let tables = tables.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(tables.iter().try_for_each(|table| conn.execute_batch(&format!("DROP TABLE \"{table}\"")))?)
}

fn schema_version(conn: &rusqlite::Connection) -> Result<i64, ProjectionError> {
    Ok(conn.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Refuses a file of another version.
fn check_version(found: i64) -> Result<(), ProjectionError> {
    let expected = SCHEMA_VERSION;
    if found == expected { Ok(()) } else { Err(ProjectionError::SchemaVersion { found, expected }) }
}

#[cfg(test)]
mod tests {
    use stores::postgres::SchemaError;
    use stores::testing::Cluster;

    use super::*;
    use crate::cursor::cursors;
    use crate::fixtures::*;

    #[test]
    fn a_file_of_another_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("read.db");
        drop(ReadStore::open(&path).unwrap());
        ReadStore::open(&path).expect("our own version opens again");
        rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
        for opened in [ReadStore::open(&path), ReadStore::open_read_only(&path)] {
            assert!(matches!(opened, Err(ProjectionError::SchemaVersion { found: 99, .. })));
        }
    }

    #[test]
    fn a_database_without_our_schema_is_refused() {
        let cluster = block_on(Cluster::shared());
        let url = block_on(cluster.empty_database()).unwrap();
        let database = Database::new(url.parse().unwrap(), &postgres::DatabaseOptions::default());
        let opened = block_on(ReadStore::open_postgres(database));
        assert!(matches!(opened, Err(ProjectionError::Schema(SchemaError::Behind { found: 0, .. }))));
    }

    #[test]
    fn a_read_only_store_has_no_writer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("read.db");
        drop(ReadStore::open(&path).unwrap());
        let reader = ReadStore::open_read_only(&path).unwrap();
        assert!(matches!(reader.write(|_| Ok(())), Err(ProjectionError::ReadOnly)));
    }

    #[test]
    fn a_reader_cannot_write() {
        on_both(|place| {
            let store = place.store();
            let refused = store.store.query(|conn| conn.batch("DELETE FROM checkpoints"));
            assert!(matches!(refused, Err(ProjectionError::Store(_) | ProjectionError::Database(_))));
        });
    }

    #[test]
    fn a_query_sees_one_state_while_another_is_written() {
        on_both(|place| {
            let store = place.store();
            let count = |conn: &Connection| {
                Ok(conn.rows("SELECT count(*) FROM accounts", &[])?[0][0].integer().unwrap())
            };
            let (before, after) = store.query(|conn| {
                let before = count(conn)?;
                store.tamper("INSERT INTO accounts (account_id) VALUES ('a')");
                Ok((before, count(conn)?))
            });
            assert_eq!((before, after), (0, 0));
            assert_eq!(store.query(count), 1);
        });
    }

    #[test]
    fn readers_are_lent_again_after_a_failed_query() {
        on_both(|place| {
            let store = place.store();
            for _ in 0..3 * READERS_MAX {
                assert!(store.store.query(|_| Err::<(), _>(ProjectionError::ReadOnly)).is_err());
            }
            store.query(cursors);
        });
    }
}
