//! By PostgreSQL: one `INSERT … SELECT … FROM UNNEST` for each batch, arrays made beforehand,
//! without the head row.

use std::time::{Duration, Instant};

use ledger_core::log::StoredEvent;
use stores::postgres::Json;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Statement};

use crate::server::{Server, connect};

const INSERT: &str = "INSERT INTO ledger.events (partition, position, aggregate_type, aggregate_id, sequence, \
         event_type, event_version, payload, metadata, recorded_at, transaction_key, hash) \
     SELECT 0, e.* FROM UNNEST($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], \
         $7::json[], $8::json[], $9::bigint[], $10::bytea[], $11::bytea[]) AS e";

pub(crate) struct RawPostgres {
    client: Client,
    insert: Statement,
}

impl RawPostgres {
    pub(crate) async fn open(server: &Server) -> anyhow::Result<RawPostgres> {
        let client = connect(&server.ledger_database().await?).await?;
        let insert = client.prepare(INSERT).await?;
        Ok(RawPostgres { client, insert })
    }

    /// Inserts the events, `batch` in a commit.
    pub(crate) async fn insert(&mut self, events: &[StoredEvent], batch: usize) -> anyhow::Result<Duration> {
        let batches: Vec<Columns<'_>> = events.chunks(batch).map(Columns::of).collect();
        let began = Instant::now();
        for c in &batches {
            let parameters: [&(dyn ToSql + Sync); 11] = [
                &c.positions,
                &c.types,
                &c.ids,
                &c.sequences,
                &c.event_types,
                &c.event_versions,
                &c.payloads,
                &c.metadata,
                &c.recorded_at,
                &c.keys,
                &c.hashes,
            ];
            self.client.execute(&self.insert, &parameters).await?;
        }
        Ok(began.elapsed())
    }
}

/// Events column by column.
#[derive(Default)]
pub(crate) struct Columns<'a> {
    positions: Vec<i64>,
    pub(crate) types: Vec<&'static str>,
    pub(crate) ids: Vec<&'a str>,
    pub(crate) sequences: Vec<i64>,
    pub(crate) event_types: Vec<&'a str>,
    pub(crate) event_versions: Vec<&'a str>,
    pub(crate) payloads: Vec<Json<'a>>,
    pub(crate) metadata: Vec<Json<'a>>,
    recorded_at: Vec<i64>,
    keys: Vec<Option<&'a [u8]>>,
    hashes: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(events: &'a [StoredEvent]) -> Columns<'a> {
        let integer = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let mut columns = Columns::default();
        for event in events {
            columns.positions.push(integer(event.position.0));
            columns.types.push(event.stream.stream_type.as_str());
            columns.ids.push(&event.stream.id);
            columns.sequences.push(integer(event.sequence));
            columns.event_types.push(&event.event_type);
            columns.event_versions.push(&event.event_version);
            columns.payloads.push(Json(&event.payload));
            columns.metadata.push(Json(&event.metadata));
            columns.recorded_at.push(event.recorded_at.micros());
            columns.keys.push(event.transaction_key.as_ref().map(|key| key.0.as_slice()));
            columns.hashes.push(&event.hash.0);
        }
        columns
    }
}
