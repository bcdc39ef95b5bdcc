//! By SQLite, prepared beforehand, with the log's own settings.

use std::time::{Duration, Instant};

use ledger_core::log::StoredEvent;
use rusqlite::{Connection, params};
use tempfile::TempDir;

const SCHEMA: &str = include_str!("../../../migrations/sqlite/log.sql");
/// As the log sets its writer up.
const SETTINGS: &str = "PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
     PRAGMA wal_autocheckpoint = 32768; PRAGMA cache_size = -262144;";
const INSERT: &str = "INSERT INTO events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, \
     payload, metadata, recorded_at, transaction_key, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

pub(crate) struct RawSqlite {
    connection: Connection,
    batch: usize,
    _temporary: TempDir,
}

impl RawSqlite {
    pub(crate) fn open(batch: usize) -> anyhow::Result<RawSqlite> {
        let temporary = tempfile::tempdir()?;
        let connection = Connection::open(temporary.path().join("raw.db"))?;
        connection.execute_batch(SETTINGS)?;
        connection.execute_batch(SCHEMA)?;
        Ok(RawSqlite { connection, batch, _temporary: temporary })
    }

    /// Inserts the events, `batch` in a commit.
    pub(crate) fn insert(&mut self, events: &[StoredEvent]) -> anyhow::Result<Duration> {
        let began = Instant::now();
        for batch in events.chunks(self.batch) {
            let transaction = self.connection.transaction()?;
            let mut insert = transaction.prepare_cached(INSERT)?;
            for event in batch {
                insert.execute(params![
                    event.position.0,
                    event.stream.stream_type.as_str(),
                    event.stream.id.as_str(),
                    event.sequence,
                    event.event_type.as_str(),
                    event.event_version.as_str(),
                    std::str::from_utf8(&event.payload)?,
                    std::str::from_utf8(&event.metadata)?,
                    event.recorded_at.micros(),
                    event.transaction_key.as_ref().map(|key| key.0.as_slice()),
                    event.hash.0.as_slice(),
                ])?;
            }
            drop(insert);
            transaction.commit()?;
        }
        Ok(began.elapsed())
    }
}
