//! The file of keys in SQL: its schema, its two tables, its faults.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::{KeyStore, SealError};
use crate::files;
use crate::ids::AccountId;
use crate::time::Timestamp;

const SCHEMA: &str = include_str!("../../../../migrations/sqlite/keys.sql");
const SCHEMA_VERSION: i64 = 1;
/// How long to wait for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// A file of keys, apart from the log's.
pub(in crate::seal) struct SqliteKeys {
    path: PathBuf,
    /// `None` when opened for reading only.
    writer: Option<Arc<Mutex<Connection>>>,
    /// Of its own, so that opening never waits for another account's fsync.
    reader: Mutex<Connection>,
}

impl SqliteKeys {
    /// Opens the file or makes it.
    pub(in crate::seal) fn open(path: &Path) -> Result<SqliteKeys, SealError> {
        // SQLite gives its other files the permissions of this one.
        let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        made.map_err(|source| SealError::Create { path: path.to_owned(), source })?;
        let fault = fault("preparing the schema", path);
        let mut writer = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Destroyed keys are overwritten, not only unlinked.
        let pragmas = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;";
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
    pub(in crate::seal) fn open_read_only(path: &Path) -> Result<SqliteKeys, SealError> {
        SqliteKeys::with_reader(path, None)
    }

    fn with_reader(path: &Path, writer: Option<Arc<Mutex<Connection>>>) -> Result<SqliteKeys, SealError> {
        let reader = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        check_schema(&reader, path)?;
        Ok(SqliteKeys { path: path.to_owned(), writer, reader: Mutex::new(reader) })
    }

    fn writer(&self) -> Result<MutexGuard<'_, Connection>, SealError> {
        Ok(lock(self.writer.as_deref().ok_or(SealError::ReadOnly)?))
    }
}

impl KeyStore for SqliteKeys {
    fn wrapped(&self, accounts: &[&AccountId]) -> Result<Vec<Option<Vec<u8>>>, SealError> {
        let fault = fault("reading an account's key", &self.path);
        let reader = lock(&self.reader);
        accounts.iter().map(|account| read_wrapped(&reader, account).map_err(&fault)).collect()
    }

    fn create(&self, keys: &[(&AccountId, Vec<u8>)], now: Timestamp) -> Result<Vec<Vec<u8>>, SealError> {
        let fault = fault("creating account keys", &self.path);
        let mut writer = self.writer()?;
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&fault)?;
        let mut durable = Vec::with_capacity(keys.len());
        {
            let insert =
                "INSERT OR IGNORE INTO account_keys (account_id, wrapped, created_at) VALUES (?1, ?2, ?3)";
            let mut insert = transaction.prepare_cached(insert).map_err(&fault)?;
            for (account, wrapped) in keys {
                insert.execute(params![account.as_str(), wrapped, now.micros()]).map_err(&fault)?;
                durable.push(read_wrapped(&transaction, account).map_err(&fault)?.unwrap_or_default());
            }
        }
        transaction.commit().map_err(&fault)?;
        Ok(durable)
    }

    fn erase(&self, account: &AccountId, now: Timestamp) -> Result<bool, SealError> {
        let fault = fault("destroying an account's key", &self.path);
        let writer = self.writer()?;
        let erase =
            "INSERT INTO account_keys (account_id, wrapped, created_at, erased_at) VALUES (?1, x'', ?2, ?2)
             ON CONFLICT (account_id) DO UPDATE SET wrapped = x'', erased_at = ?2 WHERE erased_at IS NULL";
        let changed = writer.execute(erase, params![account.as_str(), now.micros()]).map_err(&fault)?;
        // The write-ahead log still has the old page; emptied, it has not. While somebody reads it the key is not gone
        // yet: a passing fault, and repeats try again.
        let _reader = lock(&self.reader);
        files::empty_wal(&writer, BUSY_TIMEOUT).map_err(&fault)?;
        Ok(changed == 1)
    }

    fn named(&self, name: &str) -> Result<Option<Vec<u8>>, SealError> {
        let select = "SELECT wrapped FROM named_keys WHERE name = ?1";
        let found = lock(&self.reader).query_row(select, [name], |row| row.get(0)).optional();
        found.map_err(fault("reading our own keys", &self.path))
    }

    fn create_named(&self, keys: &[(&str, Vec<u8>)]) -> Result<(), SealError> {
        let fault = fault("creating our own keys", &self.path);
        let mut writer = self.writer()?;
        let transaction = writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&fault)?;
        for (name, wrapped) in keys {
            let insert = "INSERT OR IGNORE INTO named_keys (name, wrapped) VALUES (?1, ?2)";
            transaction.execute(insert, params![name, wrapped]).map_err(&fault)?;
        }
        transaction.commit().map_err(&fault)
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

fn fault(doing: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> SealError {
    move |source| SealError::Keys { doing, path: path.to_owned(), source }
}

/// A panic elsewhere leaves nothing half done here: a transaction rolls back.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_erasure_fails_for_the_moment_while_somebody_still_reads_the_old_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.db");
        let keys = SqliteKeys::open(&path).unwrap();
        let account = AccountId::parse("cus_1").unwrap();
        let (key, now) = (vec![7; 60], Timestamp::from_micros(1));
        keys.create(&[(&account, key.clone())], now).unwrap();
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM account_keys").unwrap();
        let busy = keys.erase(&account, now).unwrap_err();
        assert!(busy.transient(), "{busy:?}");
        reader.execute_batch("COMMIT").unwrap();
        // It had been destroyed before; now nothing of it is left either.
        assert!(!keys.erase(&account, now).unwrap());
        for file in ["keys.db", "keys.db-wal"] {
            let bytes = std::fs::read(folder.path().join(file)).unwrap();
            assert!(!bytes.windows(key.len()).any(|window| window == key), "{file}");
        }
    }
}
