//! sqlite-es with the crate's own pool, but durable (`FULL` instead of `NORMAL`).

use std::sync::Arc;
use std::time::Duration;

use ledger_core::log::StoredEvent;
use sqlite_es::{SqliteEventRepository, sqlite_cqrs};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tempfile::TempDir;

use super::{Cqrs, execute};

/// The event table of the crate's own migration.
const SCHEMA: &str = "CREATE TABLE events (
    aggregate_type text NOT NULL,
    aggregate_id   text NOT NULL,
    sequence       integer CHECK (sequence >= 0) NOT NULL,
    event_type     text NOT NULL,
    event_version  text NOT NULL,
    payload        text NOT NULL,
    metadata       text NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
) STRICT";

pub(in super::super) struct PlainSqlite {
    cqrs: Cqrs<SqliteEventRepository>,
    _temporary: TempDir,
}

impl PlainSqlite {
    pub(in super::super) async fn open() -> anyhow::Result<PlainSqlite> {
        let temporary = tempfile::tempdir()?;
        let options = SqliteConnectOptions::new()
            .filename(temporary.path().join("plain.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_mins(1));
        let pool = SqlitePoolOptions::new().max_connections(10).connect_with(options).await?;
        sqlx::query(SCHEMA).execute(&pool).await?;
        Ok(PlainSqlite { cqrs: Arc::new(sqlite_cqrs(pool, vec![], ())), _temporary: temporary })
    }

    /// One command for each account's event.
    pub(in super::super) async fn execute(&self, events: &[StoredEvent]) -> anyhow::Result<Duration> {
        execute(&self.cqrs, events).await
    }
}
