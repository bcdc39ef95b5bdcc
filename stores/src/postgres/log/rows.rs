//! Rows as events and back. A row that holds what we never wrote is damage, told with its place.

use std::sync::Arc;

use tokio_postgres::types::{FromSql, Type};
use tokio_postgres::{Client, Row};

use ledger_core::ids::{Digest, TransactionKey};
use ledger_core::log::{Head, LogError, Position, Snapshot, StoredEvent, StreamId, StreamType};
use ledger_core::time::Timestamp;

macro_rules! columns {
    () => {
        "e.position, e.aggregate_type, e.aggregate_id, e.sequence, e.event_type, e.event_version, e.payload, \
         e.metadata, e.recorded_at, e.transaction_key, e.hash"
    };
}

pub(super) const AFTER: &str =
    concat!("SELECT ", columns!(), " FROM ledger.events e WHERE position > $1 ORDER BY position LIMIT $2");

/// By sequence: the index has it, and it rises with the position. A page begins after an event of
/// the stream whose sequence is looked up first. Otherwise each page would read a long stream from
/// its start.
pub(super) const STREAM_AFTER: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM ledger.events e WHERE aggregate_type = $1 AND aggregate_id = $2 AND position > $3 \
     AND sequence > coalesce((SELECT sequence FROM ledger.events \
         WHERE position = $3 AND aggregate_type = $1 AND aggregate_id = $2), 0) \
     ORDER BY sequence LIMIT $4"
);

/// One walk of the index for each stream, whatever the planner believes about the array, in the
/// array's order: the planner knows that ordinals rise, so nothing is sorted and the limit ends the
/// walk.
pub(super) const OF_STREAMS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM UNNEST($1::text[], $2::text[], $3::bigint[]) WITH ORDINALITY AS s (type, id, after, place), LATERAL ( \
         SELECT * FROM ledger.events WHERE aggregate_type = s.type AND aggregate_id = s.id AND sequence > s.after \
         ORDER BY sequence LIMIT $4 \
     ) AS e ORDER BY s.place LIMIT $4"
);

pub(super) const SNAPSHOTS: &str = "SELECT n.aggregate_type, n.aggregate_id, n.sequence, n.hash, n.code, n.state \
     FROM UNNEST($1::text[], $2::text[]) AS s (type, id), LATERAL ( \
         SELECT * FROM ledger.snapshots WHERE aggregate_type = s.type AND aggregate_id = s.id AND code = $3 \
     ) AS n";

pub(super) const SNAPSHOTS_AFTER: &str = "SELECT aggregate_type, aggregate_id, sequence, hash, code, state \
     FROM ledger.snapshots \
     WHERE code = $1 AND (aggregate_type COLLATE \"C\", aggregate_id) > ($2::text COLLATE \"C\", $3::text COLLATE \"C\") \
     ORDER BY aggregate_type COLLATE \"C\", aggregate_id LIMIT $4";

pub(super) const OF_KEYS: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM UNNEST($1::bytea[]) AS k (key), LATERAL ( \
         SELECT * FROM ledger.events WHERE transaction_key = k.key \
     ) AS e"
);

/// One look into the index for each stream.
pub(super) const KNOWN: &str = "SELECT s.place FROM \
     UNNEST($1::text[], $2::text[]) WITH ORDINALITY AS s (type, id, place), LATERAL ( \
         SELECT FROM ledger.events WHERE aggregate_type = s.type AND aggregate_id = s.id AND sequence = 1 LIMIT 1 \
     ) AS e";

/// In the order of the index, which holds all that is asked for.
pub(super) const KEYS: &str = "SELECT transaction_key FROM ledger.events \
     WHERE transaction_key IS NOT NULL AND transaction_key > $1 ORDER BY transaction_key LIMIT $2";

/// From id to id: a few campaigns may own millions of events.
pub(super) const STREAM_IDS: &str = "WITH RECURSIVE ids (id) AS ( \
         SELECT min(aggregate_id) FROM ledger.events WHERE aggregate_type = $1 \
     UNION ALL \
         SELECT (SELECT min(aggregate_id) FROM ledger.events WHERE aggregate_type = $1 AND aggregate_id > ids.id) \
         FROM ids WHERE ids.id IS NOT NULL) \
     SELECT id FROM ids WHERE id IS NOT NULL";

pub(super) fn head(row: &Row) -> Result<Head, LogError> {
    let time = row.try_get::<_, Option<i64>>(2).map_err(|e| unreadable("the head", &e))?;
    Ok(Head {
        term: unsigned(row, 0)?,
        position: position(row, 1)?,
        recorded_at: time.map(Timestamp::from_micros),
    })
}

pub(super) fn position(row: &Row, column: usize) -> Result<Position, LogError> {
    Ok(Position(unsigned(row, column)?))
}

fn unsigned(row: &Row, column: usize) -> Result<u64, LogError> {
    let number: i64 = row.try_get(column).map_err(|e| unreadable("a number", &e))?;
    u64::try_from(number).map_err(|e| unreadable("a number", &e))
}

pub(super) fn names<'a>(streams: impl Iterator<Item = &'a StreamId>) -> (Vec<&'static str>, Vec<&'a str>) {
    streams.map(|stream| (stream.stream_type.as_str(), stream.id.as_str())).unzip()
}

pub(super) fn events(rows: &[Row]) -> Result<Vec<StoredEvent>, LogError> {
    let mut events: Vec<StoredEvent> = Vec::with_capacity(rows.len());
    for row in rows {
        // Neighbours often share their metadata, to the byte.
        let shared = events.last().map(|event| &event.metadata);
        let event = event(row, shared).map_err(|e| {
            let place = row.try_get::<_, i64>(0).map_or_else(|_| "?".to_owned(), |n| format!("0:{n}"));
            unreadable(&format!("the event at {place}"), &*e)
        })?;
        events.push(event);
    }
    Ok(events)
}

pub(super) fn keys(rows: &[Row]) -> Result<Vec<TransactionKey>, LogError> {
    let key = |row: &Row| -> Result<TransactionKey, Box<dyn std::error::Error + Send + Sync>> {
        Ok(TransactionKey(row.try_get::<_, &[u8]>(0)?.try_into()?))
    };
    rows.iter().map(|row| key(row).map_err(|e| unreadable("a transaction key", &*e))).collect()
}

fn event(
    row: &Row,
    shared: Option<&Arc<[u8]>>,
) -> Result<StoredEvent, Box<dyn std::error::Error + Send + Sync>> {
    let metadata = row.try_get::<_, Bytes<'_>>(7)?.0;
    let key = row.try_get::<_, Option<&[u8]>>(9)?;
    let stream_type = StreamType::parse(row.try_get(1)?).ok_or("unknown aggregate_type")?;
    Ok(StoredEvent {
        position: Position(u64::try_from(row.try_get::<_, i64>(0)?)?),
        stream: StreamId { stream_type, id: row.try_get::<_, &str>(2)?.into() },
        sequence: u64::try_from(row.try_get::<_, i64>(3)?)?,
        event_type: row.try_get::<_, &str>(4)?.into(),
        event_version: row.try_get::<_, &str>(5)?.into(),
        payload: row.try_get::<_, Bytes<'_>>(6)?.0.to_vec(),
        metadata: match shared {
            Some(shared) if **shared == *metadata => Arc::clone(shared),
            _ => metadata.into(),
        },
        recorded_at: Timestamp::from_micros(row.try_get(8)?),
        transaction_key: key.map(<[u8; 16]>::try_from).transpose()?.map(TransactionKey),
        hash: Digest(<[u8; 32]>::try_from(row.try_get::<_, &[u8]>(10)?)?),
    })
}

pub(super) fn snapshots(rows: &[Row]) -> Result<Vec<Snapshot>, LogError> {
    let snapshot = |row: &Row| -> Result<Snapshot, Box<dyn std::error::Error + Send + Sync>> {
        let stream_type = StreamType::parse(row.try_get(0)?).ok_or("unknown aggregate_type")?;
        Ok(Snapshot {
            stream: StreamId { stream_type, id: row.try_get::<_, &str>(1)?.into() },
            sequence: u64::try_from(row.try_get::<_, i64>(2)?)?,
            hash: Digest(<[u8; 32]>::try_from(row.try_get::<_, &[u8]>(3)?)?),
            code: row.try_get(4)?,
            state: row.try_get(5)?,
        })
    };
    rows.iter().map(snapshot).collect::<Result<_, _>>().map_err(|e| unreadable("a snapshot", &*e))
}

/// Never puts an older one in the place of a newer one.
pub(super) async fn save_snapshots(
    client: &Client,
    snapshots: &[Snapshot],
) -> Result<(), tokio_postgres::Error> {
    let save = "INSERT INTO ledger.snapshots (aggregate_type, aggregate_id, sequence, hash, code, state) \
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::bigint[], $4::bytea[], $5::text[], $6::bytea[]) \
         ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET \
             sequence = excluded.sequence, hash = excluded.hash, code = excluded.code, state = excluded.state \
         WHERE snapshots.code <> excluded.code OR snapshots.sequence < excluded.sequence";
    let types: Vec<_> = snapshots.iter().map(|s| s.stream.stream_type.as_str()).collect();
    let ids: Vec<_> = snapshots.iter().map(|s| s.stream.id.as_str()).collect();
    let sequences: Vec<_> = snapshots.iter().map(|s| integer(s.sequence)).collect();
    let hashes: Vec<_> = snapshots.iter().map(|s| s.hash.0.as_slice()).collect();
    let codes: Vec<_> = snapshots.iter().map(|s| s.code.as_str()).collect();
    let states: Vec<_> = snapshots.iter().map(|s| s.state.as_slice()).collect();
    client.execute(save, &[&types, &ids, &sequences, &hashes, &codes, &states]).await?;
    Ok(())
}

fn unreadable(what: &str, error: &dyn std::error::Error) -> LogError {
    LogError::Damaged(format!("{what} cannot be read: {error}"))
}

/// The text of a `json` column, to the byte.
struct Bytes<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Bytes<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Bytes(raw))
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSON
    }
}

/// PostgreSQL's integers end at 2^63 - 1, where no log ever gets.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
