//! What the same decision costs with plain cqrs-es and its SQLite store, used as its documentation shows: one
//! command, one event with our payload, one commit. The crate's own pool, but durable (`FULL` instead of `NORMAL`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use cqrs_es::event_sink::EventSink;
use cqrs_es::{Aggregate, AggregateError};
use ledger_core::account::AccountEvent;
use ledger_core::log::StoredEvent;
use ledger_core::log::decode::{LedgerEvent, decode};
use sqlite_es::{SqliteCqrs, sqlite_cqrs};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use tempfile::TempDir;

const TASKS: usize = 8;
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

/// An account that takes every decision as given.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Account {
    decided: u64,
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = AccountEvent;
    type Event = AccountEvent;
    type Error = std::convert::Infallible;
    type Services = ();

    async fn handle(
        &mut self,
        command: AccountEvent,
        (): &(),
        sink: &EventSink<Self>,
    ) -> Result<(), Self::Error> {
        sink.write(command, self).await;
        Ok(())
    }

    fn apply(&mut self, _: AccountEvent) {
        self.decided += 1;
    }
}

pub(super) struct Plain {
    cqrs: Arc<SqliteCqrs<Account>>,
    _temporary: TempDir,
}

impl Plain {
    pub(super) async fn open() -> anyhow::Result<Plain> {
        let temporary = tempfile::tempdir()?;
        let options = SqliteConnectOptions::new()
            .filename(temporary.path().join("plain.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_mins(1));
        let pool = SqlitePoolOptions::new().max_connections(10).connect_with(options).await?;
        sqlx::query(SCHEMA).execute(&pool).await?;
        Ok(Plain { cqrs: Arc::new(sqlite_cqrs(pool, vec![], ())), _temporary: temporary })
    }

    /// One command for each account's event.
    pub(super) async fn execute(&self, events: &[StoredEvent]) -> anyhow::Result<Duration> {
        let mut commands = Vec::with_capacity(events.len());
        for stored in events {
            if let LedgerEvent::Account(event) = decode(stored)? {
                commands.push((stored.stream.id.to_string(), event));
            }
        }
        let began = Instant::now();
        let tasks: Vec<_> = commands
            .chunks(commands.len().div_ceil(TASKS).max(1))
            .map(|some| tokio::spawn(execute(Arc::clone(&self.cqrs), some.to_vec())))
            .collect();
        for task in tasks {
            task.await??;
        }
        Ok(began.elapsed())
    }
}

async fn execute(
    cqrs: Arc<SqliteCqrs<Account>>,
    commands: Vec<(String, AccountEvent)>,
) -> anyhow::Result<()> {
    let metadata = HashMap::from([("actor", "bench"), ("correlation_id", "bench"), ("causation_id", "")]);
    let metadata: HashMap<String, String> =
        metadata.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
    for (account, command) in commands {
        // Two tasks may meet on one account: then one of them tries again, as its documentation asks.
        let mut tries = 0;
        loop {
            match cqrs.execute_with_metadata(&account, command.clone(), metadata.clone()).await {
                Ok(()) => break,
                Err(AggregateError::AggregateConflict) if tries < 100 => tries += 1,
                Err(AggregateError::AggregateConflict) => bail!("two tasks never come past each other"),
                Err(error) => return Err(error).context("plain cqrs-es"),
            }
        }
    }
    Ok(())
}
