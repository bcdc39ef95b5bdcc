//! The file of keys in SQL: its schema, its two tables, its faults.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::files;
use crate::keys::TURN_WAIT;
use crate::sqlite::{passes, use_wal};
use ledger_core::ids::AccountId;
use ledger_core::keys::{KeyStore, NewKey, SealError};
use ledger_core::time::Timestamp;

const SCHEMA: &str = include_str!("../../../migrations/sqlite/keys.sql");
const SCHEMA_VERSION: i64 = 1;
/// How long to wait for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A file of keys, apart from the log's. A connection is taken as a task before a thread is asked
/// to block for it: at most two threads ever do.
pub(crate) struct SqliteKeys {
    path: PathBuf,
    /// `None` when opened for reading only.
    writer: Option<Shared>,
    /// Of its own, so that opening never waits for another account's fsync.
    reader: Shared,
}

/// A connection, and whose turn it is.
struct Shared {
    connection: Arc<Mutex<Connection>>,
    turns: Arc<Semaphore>,
}

/// The connection for one call. Beside it only the keeper of write-ahead logs uses it, for a
/// moment.
struct Turn {
    connection: Arc<Mutex<Connection>>,
    _turn: OwnedSemaphorePermit,
}

impl Shared {
    fn new(connection: Arc<Mutex<Connection>>) -> Shared {
        Shared { connection, turns: Arc::new(Semaphore::new(1)) }
    }

    async fn turn(&self) -> Result<Turn, SealError> {
        let turn = tokio::time::timeout(TURN_WAIT, Arc::clone(&self.turns).acquire_owned()).await;
        let turn = turn.map_err(|_| SealError::Busy)?.expect("nobody closes it");
        Ok(Turn { connection: Arc::clone(&self.connection), _turn: turn })
    }
}

impl Turn {
    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock()
    }
}

impl SqliteKeys {
    /// Opens the file or makes it.
    pub(crate) fn open(path: &Path) -> Result<SqliteKeys, SealError> {
        // SQLite gives its other files the permissions of this one.
        let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        made.map_err(|source| SealError::Create { path: path.to_owned(), source })?;
        let fault = fault("preparing the schema", path);
        let mut writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Destroyed keys are overwritten, not only unlinked.
        use_wal(&writer).map_err(&fault)?;
        let pragmas = "PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;";
        writer.execute_batch(pragmas).map_err(&fault)?;
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&fault)?;
        prepare(&transaction, path)?;
        transaction.commit().map_err(&fault)?;
        let writer = Arc::new(Mutex::new(writer));
        let kept: Weak<Mutex<Connection>> = Arc::downgrade(&writer);
        // A key is in the file itself soon after it was made: no backup of the file misses it.
        files::keep(path, 0, kept);
        SqliteKeys::with_reader(path, Some(writer))
    }

    /// Opens an existing file beside the process that writes it.
    pub(crate) fn open_read_only(path: &Path) -> Result<SqliteKeys, SealError> {
        SqliteKeys::with_reader(path, None)
    }

    fn with_reader(path: &Path, writer: Option<Arc<Mutex<Connection>>>) -> Result<SqliteKeys, SealError> {
        let still = writer.is_none() && files::is_still(path);
        let reader = files::open_read_only(path, still).map_err(fault("opening", path))?;
        reader.busy_timeout(BUSY_TIMEOUT).map_err(fault("opening", path))?;
        check_schema(&reader, path)?;
        let reader = Arc::new(Mutex::new(reader));
        Ok(SqliteKeys { path: path.to_owned(), writer: writer.map(Shared::new), reader: Shared::new(reader) })
    }

    async fn writer(&self) -> Result<Turn, SealError> {
        self.writer.as_ref().ok_or(SealError::ReadOnly)?.turn().await
    }

    /// Runs `work` where it may block. Once begun it ends, also when the caller has gone away.
    async fn blocking<T: Send + 'static>(
        &self,
        doing: &'static str,
        work: impl FnOnce() -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, SealError> {
        match tokio::task::spawn_blocking(work).await {
            Ok(done) => done.map_err(fault(doing, &self.path)),
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // The runtime is stopping.
                Err(_) => Err(SealError::Busy),
            },
        }
    }
}

#[async_trait]
impl KeyStore for SqliteKeys {
    async fn wrapped(&self, accounts: &[AccountId]) -> Result<Vec<Option<Vec<u8>>>, SealError> {
        let (reader, accounts) = (self.reader.turn().await?, accounts.to_vec());
        let read = move || {
            let reader = reader.connection();
            accounts.iter().map(|account| read_wrapped(&reader, account)).collect()
        };
        self.blocking("reading account keys", read).await
    }

    async fn create(&self, keys: Vec<NewKey>, now: Timestamp) -> Result<Vec<Vec<u8>>, SealError> {
        const INSERT: &str =
            "INSERT OR IGNORE INTO account_keys (account_id, wrapped, created_at) VALUES (?1, ?2, ?3)";
        let writer = self.writer().await?;
        let create = move || {
            let mut writer = writer.connection();
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut durable = Vec::with_capacity(keys.len());
            for (account, wrapped) in &keys {
                let mut insert = transaction.prepare_cached(INSERT)?;
                insert.execute(params![account.as_str(), wrapped, now.micros()])?;
                durable.push(read_wrapped(&transaction, account)?.unwrap_or_default());
            }
            transaction.commit()?;
            Ok(durable)
        };
        self.blocking("creating account keys", create).await
    }

    async fn erase(&self, account: &AccountId, now: Timestamp) -> Result<bool, SealError> {
        const ERASE: &str =
            "INSERT INTO account_keys (account_id, wrapped, created_at, erased_at) VALUES (?1, x'', ?2, ?2)
             ON CONFLICT (account_id) DO UPDATE SET wrapped = x'', erased_at = ?2 WHERE erased_at IS NULL";
        let (writer, reader) = (self.writer().await?, self.reader.turn().await?);
        let account = account.clone();
        let erase = move || {
            let writer = writer.connection();
            let changed = writer.execute(ERASE, params![account.as_str(), now.micros()])?;
            // The write-ahead log still has the old page; emptied, it has not. While somebody reads
            // it the key is not gone yet: a passing fault, and repeats try again.
            let _nobody_reads = reader;
            files::empty_wal(&writer, BUSY_TIMEOUT)?;
            Ok(changed == 1)
        };
        self.blocking("destroying an account's key", erase).await
    }

    async fn named(&self, name: &'static str) -> Result<Option<Vec<u8>>, SealError> {
        let select = "SELECT wrapped FROM named_keys WHERE name = ?1";
        let reader = self.reader.turn().await?;
        let read = move || reader.connection().query_row(select, [name], |row| row.get(0)).optional();
        self.blocking("reading our own keys", read).await
    }

    async fn create_named(&self, keys: Vec<(&'static str, Vec<u8>)>) -> Result<(), SealError> {
        let insert = "INSERT OR IGNORE INTO named_keys (name, wrapped) VALUES (?1, ?2)";
        let writer = self.writer().await?;
        let create = move || {
            let mut writer = writer.connection();
            let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for (name, wrapped) in keys {
                transaction.execute(insert, params![name, wrapped])?;
            }
            transaction.commit()
        };
        self.blocking("creating our own keys", create).await
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

/// Makes the tables where there are none.
fn prepare(connection: &Connection, path: &Path) -> Result<(), SealError> {
    let fault = fault("preparing the schema", path);
    if schema_version(connection).map_err(&fault)? == 0 {
        connection.execute_batch(SCHEMA).map_err(&fault)?;
    }
    check_schema(connection, path)
}

fn connect(path: &Path, access: OpenFlags) -> Result<Connection, SealError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault("opening", path))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fault("opening", path))?;
    Ok(connection)
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

fn check_schema(connection: &Connection, path: &Path) -> Result<(), SealError> {
    let found = schema_version(connection).map_err(fault("reading the schema's version", path))?;
    if found == SCHEMA_VERSION {
        Ok(())
    } else {
        Err(SealError::Schema { path: path.to_owned(), found, expected: SCHEMA_VERSION })
    }
}

fn read_wrapped(connection: &Connection, account: &AccountId) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut select = connection.prepare_cached("SELECT wrapped FROM account_keys WHERE account_id = ?1")?;
    select.query_row([account.as_str()], |row| row.get(0)).optional()
}

pub(super) fn fault(doing: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> SealError {
    move |source| SealError::Store {
        doing,
        place: format!("the file of keys {}", path.display()),
        transient: passes(&source),
        source: source.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_erasure_fails_for_the_moment_while_somebody_still_reads_the_old_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.db");
        let keys = SqliteKeys::open(&path).unwrap();
        let account = AccountId::parse("cus_1").unwrap();
        let (key, now) = (vec![7; 60], Timestamp::from_micros(1));
        keys.create(vec![(account.clone(), key.clone())], now).await.unwrap();
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM account_keys").unwrap();
        let busy = keys.erase(&account, now).await.unwrap_err();
        assert!(busy.transient(), "{busy:?}");
        reader.execute_batch("COMMIT").unwrap();
        // It had been destroyed before; now nothing of it is left either.
        assert!(!keys.erase(&account, now).await.unwrap());
        for file in ["keys.db", "keys.db-wal"] {
            let bytes = std::fs::read(folder.path().join(file)).unwrap();
            assert!(!bytes.windows(key.len()).any(|window| window == key), "{file}");
        }
    }
}
