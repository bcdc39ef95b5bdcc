//! What a file says of itself, read without changing it, and how it is told where it belongs.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, ffi, params};

use super::{Found, Holds, LedgerId, LogFound, StoreKind};
use crate::files;
use crate::sqlite::log::key_prints;
use ledger_core::ids::AccountId;
use ledger_core::log::Position;

const BELONGS: &str = include_str!("../../../migrations/sqlite/belongs.sql");
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Looks at a file that is not the log.
pub fn survey_file(path: &Path, kind: StoreKind) -> rusqlite::Result<Found> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let holds = look(path, |connection, tables| {
        let has = |table: &str| tables.contains(table);
        let mut holds = Holds::default();
        if has("belongs") {
            let belongs = "SELECT ledger, position FROM belongs";
            let row = connection.query_row(belongs, [], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)));
            if let Some((ledger, position)) = row.optional()? {
                (holds.ledger, holds.position) = (LedgerId::from_text(&ledger), Position(position));
            }
        }
        let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, u64>(0));
        if has("checkpoints") {
            let seen = number("SELECT coalesce(max(position), 0) FROM checkpoints")?;
            holds.position = holds.position.max(Position(seen));
        }
        if has("account_keys") {
            holds.rows |= number("SELECT EXISTS (SELECT 1 FROM account_keys)")? > 0;
        }
        if has("payments") {
            holds.rows |= number("SELECT EXISTS (SELECT 1 FROM payments)")? > 0;
        }
        if has("named_keys") {
            holds.own_keys = number("SELECT count(*) FROM named_keys WHERE name IN ('index', 'draw')")? == 2;
        }
        Ok(holds)
    })?;
    Ok(Found { name, kind, holds, made_when_missing: true })
}

/// Looks at the log.
pub fn survey_log(path: &Path) -> rusqlite::Result<LogFound> {
    let found = look(path, |connection, tables| {
        let mut found = LogFound::default();
        // What else the file may be is told when it is opened.
        if tables.contains("events") {
            let last = "SELECT coalesce(max(position), 0) FROM events";
            found.head = Position(connection.query_row(last, [], |row| row.get(0))?);
        }
        if tables.contains("ledger") {
            let id = connection.query_row("SELECT id FROM ledger", [], |row| row.get::<_, String>(0));
            found.ledger = id.optional()?.and_then(|id| LedgerId::from_text(&id));
        }
        if tables.contains("key_fingerprints") {
            found.keys = key_prints(connection)?;
        }
        Ok(found)
    })?;
    Ok(found.unwrap_or(LogFound { absent: true, ..LogFound::default() }))
}

/// Whether the rail was ever asked to pay, which is recorded before it is. Reads as far as the
/// first time.
pub fn has_asked_rail(log: &Path) -> rusqlite::Result<bool> {
    const ASKED: &str = "SELECT EXISTS (SELECT 1 FROM events WHERE event_type = 'CreditRequested')";
    let found = look(log, |connection, tables| {
        Ok(tables.contains("events") && connection.query_row(ASKED, [], |row| row.get(0))?)
    })?;
    Ok(found.unwrap_or(false))
}

/// Tells a file where it belongs, and that the log has come this far at least. For the one who may
/// write it.
pub fn belongs_to(path: &Path, ledger: &LedgerId, position: Position) -> rusqlite::Result<()> {
    const NOTE: &str = "INSERT INTO belongs (one, ledger, position) VALUES (1, ?1, ?2) \
         ON CONFLICT (one) DO UPDATE SET position = excluded.position WHERE position < excluded.position";
    files::on_writer(path, &|connection| {
        connection.execute_batch(BELONGS)?;
        connection.execute(NOTE, params![ledger.as_str(), position.0]).map(drop)
    })
}

/// Items of events that the log has no more.
const UNMADE: &str = "DELETE FROM items WHERE position > ?1";
/// What people decided in events that the log has no more is decided again.
const UNDECIDED: &str = "UPDATE items SET decided = ?1, proposed = NULL, act = NULL, \
     state = CASE WHEN act IS NULL THEN state ELSE 'parked' END WHERE decided > ?1";

/// Sets back what a file says of how far the log has come. For restores alone.
pub fn no_further_than(path: &Path, head: Position) -> rusqlite::Result<()> {
    files::on_writer(path, &|connection| {
        for table in ["belongs", "checkpoints"] {
            let exists = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)";
            if connection.query_row(exists, [table], |row| row.get::<_, bool>(0))? {
                let back = format!("UPDATE {table} SET position = ?1 WHERE position > ?1");
                connection.execute(&back, [head.0])?;
            }
        }
        let exists = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'items')";
        if connection.query_row(exists, [], |row| row.get::<_, bool>(0))? {
            connection.execute(UNMADE, [head.0])?;
            connection.execute(UNDECIDED, [head.0])?;
            // A page's tally may reach beyond the log: they are made again.
            connection.execute_batch("DELETE FROM tallies; DELETE FROM checkpoints WHERE step = 'tally'")?;
        }
        Ok(())
    })
}

/// Accounts that have a key in this file, or a tombstone.
pub fn count_account_keys(path: &Path) -> rusqlite::Result<u64> {
    let count = look(path, |connection, _| {
        connection.query_row("SELECT count(*) FROM account_keys", [], |row| row.get(0))
    })?;
    Ok(count.unwrap_or(0))
}

/// How many of these accounts have neither key nor tombstone in the file of keys.
pub fn accounts_without_key(path: &Path, accounts: &[AccountId]) -> rusqlite::Result<usize> {
    let without = look(path, |connection, _| {
        let mut select = connection.prepare("SELECT 1 FROM account_keys WHERE account_id = ?1")?;
        let mut without = 0;
        for account in accounts {
            without += usize::from(!select.exists([account.as_str()])?);
        }
        Ok(without)
    })?;
    Ok(without.unwrap_or(accounts.len()))
}

/// Nothing for a file that is not there or has no tables.
fn look<T>(
    path: &Path,
    read: impl FnOnce(&Connection, &HashSet<String>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    // An empty file is not opened: SQLite would remove the write-ahead log beside it.
    if !std::fs::metadata(path).is_ok_and(|file| file.len() > 0) {
        return Ok(None);
    }
    let open = |access| {
        let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        let tables = table_names(&connection)?;
        Ok((connection, tables))
    };
    let (connection, tables) = match open(OpenFlags::SQLITE_OPEN_READ_ONLY) {
        // Who made the file was killed at it: what was begun is rolled back, which a reader may not.
        Err(error) if needs_a_writer(&error) => open(OpenFlags::SQLITE_OPEN_READ_WRITE)?,
        opened => opened?,
    };
    if tables.is_empty() { Ok(None) } else { read(&connection, &tables).map(Some) }
}

fn table_names(connection: &Connection) -> rusqlite::Result<HashSet<String>> {
    let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    tables.query_map([], |row| row.get(0))?.collect()
}

fn needs_a_writer(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(code, Some(ffi::SQLITE_READONLY_ROLLBACK | ffi::SQLITE_READONLY_RECOVERY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_whose_writer_was_killed_in_a_transaction_is_looked_at() {
        let folder = tempfile::tempdir().unwrap();
        let (path, killed) = (folder.path().join("log.db"), folder.path().join("killed.db"));
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(40000));").unwrap();
        // With next to no cache the pages reach the file before the end of the transaction.
        connection
            .execute_batch("PRAGMA cache_size = 1; BEGIN IMMEDIATE; UPDATE t SET x = randomblob(40000);")
            .unwrap();
        connection
            .execute_batch("CREATE TABLE events (position); INSERT INTO events SELECT zeroblob(40000);")
            .unwrap();
        std::fs::copy(&path, &killed).unwrap();
        std::fs::copy(folder.path().join("log.db-journal"), folder.path().join("killed.db-journal")).unwrap();
        let read_only = Connection::open_with_flags(&killed, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        assert!(needs_a_writer(&table_names(&read_only).unwrap_err()), "the copy has nothing to roll back");
        drop(read_only);
        let found = look(&killed, |_, tables| Ok(tables.clone())).unwrap();
        assert_eq!(
            found,
            Some(HashSet::from(["t".to_owned()])),
            "what was begun is gone, what was there stands"
        );
    }
}
