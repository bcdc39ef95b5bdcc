//! postgres-es with the crate's own pool of 10 connections, its own table and a server that keeps
//! what it commits.

use std::sync::Arc;

use postgres_es::{PostgresEventRepository, postgres_cqrs};
use sqlx::postgres::PgPoolOptions;

use crate::Cqrs;

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

pub(crate) async fn open(url: &str) -> anyhow::Result<Cqrs<PostgresEventRepository>> {
    // What `default_postgress_pool` makes, without its panic.
    let pool = PgPoolOptions::new().max_connections(10).connect(url).await?;
    sqlx::query(SCHEMA).execute(&pool).await?;
    Ok(Arc::new(postgres_cqrs(pool, vec![], ())))
}
