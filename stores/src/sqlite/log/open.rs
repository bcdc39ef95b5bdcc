//! Opening the file: whose it is, which version it has, and how each connection is set up.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::{SqliteOptions, store};
use crate::files;
use crate::sqlite::use_wal;
use ledger_core::log::LogError;

/// Version 1 of the schema, and what each later one adds. Each sets `user_version`, the first
/// `application_id`.
const MIGRATIONS: [&str; 5] = [
    include_str!("../../../../migrations/sqlite/log.sql"),
    include_str!("../../../../migrations/sqlite/log.2.sql"),
    include_str!("../../../../migrations/sqlite/log.3.sql"),
    include_str!("../../../../migrations/sqlite/log.4.sql"),
    include_str!("../../../../migrations/sqlite/log.5.sql"),
];
/// The newest schema this program knows.
const VERSION: i64 = 5;
/// `RWLG` in `PRAGMA application_id`.
const APPLICATION_ID: i64 = 0x5257_4c47;
/// Each page a batch touches costs two system calls, so SQLite's own 4096 is slower; far larger
/// ones write too much for each random index entry.
const PAGE_BYTES: u32 = 8192;

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the file is a SQLite database, but not an event log of this program")]
    Foreign,
    #[error("the event log has version {found}; this program knows up to {VERSION}: use a newer one")]
    Newer { found: i64 },
    #[error("the file holds no event log")]
    Empty,
}

impl From<Refused> for LogError {
    fn from(refused: Refused) -> Self {
        LogError::Store { doing: "open", transient: false, source: Box::new(refused) }
    }
}

/// The connection that writes. Creates the file and its schema if there is none.
pub(super) fn writer(path: &Path, options: &SqliteOptions) -> Result<Connection, LogError> {
    let mut connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )
    .map_err(store("open"))?;
    connection.busy_timeout(options.busy_timeout).map_err(store("open"))?;
    // Before anything is changed: a file that is not ours stays as it is.
    let version = version(&connection)?;

    let checkpoint_pages = options.checkpoint_bytes() / u64::from(PAGE_BYTES);
    let settings = format!(
        "PRAGMA synchronous = FULL;
         PRAGMA wal_autocheckpoint = {checkpoint_pages};
         PRAGMA journal_size_limit = {checkpoint_bytes};
         PRAGMA cache_size = -{cache_kib};
         PRAGMA temp_store = MEMORY;",
        checkpoint_bytes = options.checkpoint_bytes(),
        cache_kib = u64::from(options.cache_mib) * 1024,
    );
    // The size of pages is for ever what it was when the first one was written.
    connection.pragma_update(None, "page_size", PAGE_BYTES).map_err(store("open"))?;
    use_wal(&connection).map_err(store("open"))?;
    connection.execute_batch(&settings).map_err(store("open"))?;
    connection.set_prepared_statement_cache_capacity(32);
    if version < VERSION {
        migrate(&mut connection)?;
    }
    Ok(connection)
}

/// A connection that cannot change anything, to a log that exists.
pub(super) fn reader(path: &Path, options: &SqliteOptions) -> Result<Connection, LogError> {
    let connection = files::open_read_only(path, options.still).map_err(store("open for reading"))?;
    connection.busy_timeout(options.busy_timeout).map_err(store("open for reading"))?;
    // Every commit of the writer empties a reader's own cache, so it reads from the system's
    // instead.
    let settings = format!(
        "PRAGMA query_only = ON; PRAGMA mmap_size = {map}; PRAGMA cache_size = -{cache_kib};",
        map = if options.map_files { 1_u64 << 40 } else { 0 },
        cache_kib = options.reader_cache_kib,
    );
    connection.execute_batch(&settings).map_err(store("open for reading"))?;
    if version(&connection)? == 0 {
        return Err(Refused::Empty.into());
    }
    Ok(connection)
}

/// The file's version; 0 if the schema is still to be created. Refuses files that are not ours or
/// newer than we are.
fn version(connection: &Connection) -> Result<i64, LogError> {
    let query = "SELECT (SELECT application_id FROM pragma_application_id),
                        (SELECT user_version FROM pragma_user_version),
                        (SELECT count(*) FROM sqlite_schema)";
    let (application_id, version, objects): (i64, i64, i64) = connection
        .query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .map_err(store("read the schema's version"))?;
    match (application_id, version, objects) {
        (0, 0, 0) => Ok(0),
        (APPLICATION_ID, found, _) if found > VERSION => Err(Refused::Newer { found }.into()),
        (APPLICATION_ID, found @ 1.., _) => Ok(found),
        _ => Err(Refused::Foreign.into()),
    }
}

/// Brings the file to [`VERSION`], all or nothing.
fn migrate(connection: &mut Connection) -> Result<(), LogError> {
    let failed = || store("bring the schema up to date");
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed())?;
    // Another process may have done it while we waited for the lock.
    let applied = usize::try_from(version(&transaction)?).unwrap_or(0);
    for migration in &MIGRATIONS[applied..] {
        transaction.execute_batch(migration).map_err(failed())?;
    }
    transaction.commit().map_err(failed())
}
