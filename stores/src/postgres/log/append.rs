//! Writing one batch: one statement that moves the head by compare-and-set and inserts the rows, or
//! neither.

use tokio_postgres::types::ToSql;

use super::{Writer, failed, rows};
use crate::postgres::{Json, PostgresFault};
use ledger_core::ids::TransactionKey;
use ledger_core::log::{AppendError, Batch, StoredEvent};

/// The unique index on transaction keys; see `migrations/postgres`.
const KEY_CONSTRAINT: &str = "events_transaction_key";

/// Inserts nothing unless the head was where the writer believes it to be. It also renews the
/// lease.
pub(super) const APPEND: &str = "WITH moved AS ( \
         UPDATE ledger.head SET position = $3, recorded_at = $4, \
                leased_until = clock_timestamp() + make_interval(secs => $5) \
         WHERE partition = 0 AND epoch = $1 AND position = $2 RETURNING partition) \
     INSERT INTO ledger.events (partition, position, aggregate_type, aggregate_id, sequence, event_type, \
         event_version, payload, metadata, recorded_at, transaction_key, hash) \
     SELECT moved.partition, e.* FROM moved, \
         UNNEST($6::bigint[], $7::text[], $8::text[], $9::bigint[], $10::text[], $11::text[], $12::json[], \
             $13::json[], $14::bigint[], $15::bytea[], $16::bytea[]) AS e";

/// See [`ledger_core::log::EventLog::append`].
pub(super) async fn append(writer: &Writer, batch: &Batch, lease_seconds: f64) -> Result<(), AppendError> {
    batch.check().map_err(AppendError::Unknown)?;
    let head = batch.head_after();
    let events = &batch.events;
    let column = Columns::of(events);
    let parameters: [&(dyn ToSql + Sync); 16] = [
        &rows::integer(batch.expected.term),
        &rows::integer(batch.expected.position.0),
        &rows::integer(head.position.0),
        &head.recorded_at.map(ledger_core::time::Timestamp::micros),
        &lease_seconds,
        &column.positions,
        &column.types,
        &column.ids,
        &column.sequences,
        &column.event_types,
        &column.event_versions,
        &column.payloads,
        &column.metadata,
        &column.recorded_at,
        &column.keys,
        &column.hashes,
    ];
    match writer.client.execute(&writer.append, &parameters).await {
        Ok(0) => Err(AppendError::Fenced),
        Ok(_) => Ok(()),
        Err(error) => Err(refused(writer, events, error).await),
    }
}

/// The statement has failed as a whole, so what is found now was there before, or is twice in the
/// batch.
async fn refused(writer: &Writer, events: &[StoredEvent], error: tokio_postgres::Error) -> AppendError {
    let fault = PostgresFault::from(error);
    let unknown = |fault| AppendError::Unknown(super::store("append")(fault));
    if fault.constraint() != Some(KEY_CONSTRAINT) {
        return unknown(fault);
    }
    match duplicates(writer, events).await {
        // A version or a position that another event has: the writer's state is wrong.
        Ok(duplicates) if duplicates.is_empty() => unknown(fault),
        Ok(duplicates) => AppendError::Duplicate(duplicates),
        Err(error) => AppendError::Unknown(failed("name duplicates")(error)),
    }
}

/// The batch's keys that the log has or that come twice in it, each once.
async fn duplicates(
    writer: &Writer,
    events: &[StoredEvent],
) -> Result<Vec<TransactionKey>, tokio_postgres::Error> {
    let mut keys: Vec<_> = events.iter().filter_map(|event| event.transaction_key).collect();
    keys.sort_unstable();
    let mut duplicates: Vec<_> =
        keys.chunk_by(|a, b| a == b).filter(|same| same.len() > 1).map(|same| same[0]).collect();
    let bytes: Vec<&[u8]> = keys.iter().map(|key| key.0.as_slice()).collect();
    let known = "SELECT transaction_key FROM ledger.events WHERE transaction_key = ANY($1)";
    for row in writer.client.query(known, &[&bytes]).await? {
        let key = row.try_get::<_, &[u8]>(0)?;
        duplicates.extend(<[u8; 16]>::try_from(key).map(TransactionKey));
    }
    duplicates.sort_unstable();
    duplicates.dedup();
    Ok(duplicates)
}

/// A batch column by column.
#[derive(Default)]
struct Columns<'a> {
    positions: Vec<i64>,
    types: Vec<&'static str>,
    ids: Vec<&'a str>,
    sequences: Vec<i64>,
    event_types: Vec<&'a str>,
    event_versions: Vec<&'a str>,
    payloads: Vec<Json<'a>>,
    metadata: Vec<Json<'a>>,
    recorded_at: Vec<i64>,
    keys: Vec<Option<&'a [u8]>>,
    hashes: Vec<&'a [u8]>,
}

impl<'a> Columns<'a> {
    fn of(events: &'a [StoredEvent]) -> Columns<'a> {
        let mut columns = Columns::default();
        // Stream by stream: the largest index is then walked in its own order. Positions stand in
        // the rows.
        let mut ordered: Vec<&StoredEvent> = events.iter().collect();
        ordered.sort_by(|a, b| a.stream.id.cmp(&b.stream.id).then(a.position.cmp(&b.position)));
        for event in ordered {
            columns.positions.push(rows::integer(event.position.0));
            columns.types.push(event.stream.stream_type.as_str());
            columns.ids.push(&event.stream.id);
            columns.sequences.push(rows::integer(event.sequence));
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
