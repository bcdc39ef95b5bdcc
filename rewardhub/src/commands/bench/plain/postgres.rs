//! postgres-es with the crate's own pool of 10 connections, its own table and a server that keeps what it commits.

use std::sync::Arc;
use std::time::Duration;

use ledger_core::log::{StoredEvent, StreamType};
use postgres_es::{PostgresEventRepository, postgres_cqrs};
use sqlx::postgres::PgPoolOptions;
use tokio_postgres::Client;

use super::super::raw::Columns;
use super::super::server::{Server, connect};
use super::{Cqrs, execute};

/// The event table of the crate's own `init.sql`.
const SCHEMA: &str = "CREATE TABLE events (
    aggregate_type text                         NOT NULL,
    aggregate_id   text                         NOT NULL,
    sequence       bigint CHECK (sequence >= 0) NOT NULL,
    event_type     text                         NOT NULL,
    event_version  text                         NOT NULL,
    payload        json                         NOT NULL,
    metadata       json                         NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id, sequence)
)";
const LOAD: &str = "INSERT INTO events SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::text[], \
     $5::text[], $6::json[], $7::json[])";

pub(in super::super) struct PlainPostgres {
    cqrs: Cqrs<PostgresEventRepository>,
    client: Client,
}

impl PlainPostgres {
    pub(in super::super) async fn open(server: &Server) -> anyhow::Result<PlainPostgres> {
        let url = server.empty_database().await?;
        let client = connect(&url).await?;
        client.batch_execute(SCHEMA).await?;
        // What `default_postgress_pool` makes, without its panic.
        let pool = PgPoolOptions::new().max_connections(10).connect(&url).await?;
        Ok(PlainPostgres { cqrs: Arc::new(postgres_cqrs(pool, vec![], ())), client })
    }

    /// Puts history there, unmeasured.
    pub(in super::super) async fn load(&self, events: &[StoredEvent]) -> anyhow::Result<()> {
        let accounts: Vec<StoredEvent> =
            events.iter().filter(|e| e.stream.stream_type == StreamType::Account).cloned().collect();
        for some in accounts.chunks(5_000) {
            let c = Columns::of(some);
            self.client
                .execute(
                    LOAD,
                    &[
                        &c.types,
                        &c.ids,
                        &c.sequences,
                        &c.event_types,
                        &c.event_versions,
                        &c.payloads,
                        &c.metadata,
                    ],
                )
                .await?;
        }
        self.client.batch_execute("VACUUM ANALYZE events").await?;
        Ok(())
    }

    /// One command for each account's event.
    pub(in super::super) async fn execute(&self, events: &[StoredEvent]) -> anyhow::Result<Duration> {
        execute(&self.cqrs, events).await
    }
}
