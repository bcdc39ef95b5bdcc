//! The file of keys in SQL: its schema, its two tables, its faults.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::SealError;
use crate::ids::AccountId;

const SCHEMA: &str = include_str!("../../../migrations/sqlite/keys.sql");
const SCHEMA_VERSION: i64 = 1;

/// Makes the tables where there are none.
pub(super) fn prepare(connection: &Connection, path: &Path) -> Result<(), SealError> {
    let fault = fault("preparing the schema", path);
    if schema_version(connection).map_err(&fault)? == 0 {
        connection.execute_batch(SCHEMA).map_err(&fault)?;
    }
    check_schema(connection, path)
}

pub(super) fn connect(path: &Path, access: OpenFlags) -> Result<Connection, SealError> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(fault("opening", path))?;
    connection.busy_timeout(Duration::from_secs(5)).map_err(fault("opening", path))?;
    Ok(connection)
}

fn schema_version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

pub(super) fn check_schema(connection: &Connection, path: &Path) -> Result<(), SealError> {
    let found = schema_version(connection).map_err(fault("reading the schema's version", path))?;
    if found == SCHEMA_VERSION {
        Ok(())
    } else {
        Err(SealError::Schema { path: path.to_owned(), found, expected: SCHEMA_VERSION })
    }
}

/// Empty for a destroyed key.
pub(super) fn read_wrapped(
    connection: &Connection,
    account: &AccountId,
) -> rusqlite::Result<Option<Vec<u8>>> {
    let mut select = connection.prepare_cached("SELECT wrapped FROM account_keys WHERE account_id = ?1")?;
    select.query_row([account.as_str()], |row| row.get(0)).optional()
}

pub(super) fn read_named(connection: &Connection, name: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    let select = "SELECT wrapped FROM named_keys WHERE name = ?1";
    connection.query_row(select, [name], |row| row.get(0)).optional()
}

pub(super) fn fault(doing: &'static str, path: &Path) -> impl Fn(rusqlite::Error) -> SealError {
    move |source| SealError::Keys { doing, path: path.to_owned(), source }
}
