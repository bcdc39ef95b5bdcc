//! sqlite-es with the crate's own pool, but durable (`FULL` instead of `NORMAL`).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlite_es::{SqliteEventRepository, sqlite_cqrs};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::Cqrs;

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

pub(crate) async fn open(file: &Path) -> anyhow::Result<Cqrs<SqliteEventRepository>> {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_mins(1));
    let pool = SqlitePoolOptions::new().max_connections(10).connect_with(options).await?;
    sqlx::query(SCHEMA).execute(&pool).await?;
    Ok(Arc::new(sqlite_cqrs(pool, vec![], ())))
}
