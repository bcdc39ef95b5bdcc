//! Reading: from rows to stored events. What a row cannot be is reported as damage, never skipped.

use std::sync::Arc;

use rusqlite::types::{FromSqlError, Type, ValueRef};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, ToSql, TransactionBehavior, params};

use super::store;
use ledger_core::ids::{Digest, TransactionKey};
use ledger_core::log::{Head, LogError, Position, Snapshot, StoredEvent, StreamId, StreamType, no_hole};
use ledger_core::time::Timestamp;

macro_rules! select_events {
    ($rest:literal) => {
        concat!(
            "SELECT position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, \
             metadata, recorded_at, transaction_key, hash FROM events ",
            $rest
        )
    };
}

const AFTER: &str = select_events!("WHERE position > ?1 ORDER BY position LIMIT ?2");
const OF_KEY: &str = select_events!("WHERE transaction_key = ?1");
const OF_STREAM: &str = select_events!(
    "WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence >= ?3 ORDER BY sequence LIMIT ?4"
);

/// Where the log stands.
pub(super) fn read_head(connection: &Connection) -> Result<Head, LogError> {
    let query = "SELECT epoch, position, recorded_at FROM head WHERE \"partition\" = 0";
    let mut statement = connection.prepare_cached(query).map_err(store("read the head"))?;
    let head = statement.query_row([], self::head).optional().map_err(store("read the head"))?;
    head.ok_or_else(|| LogError::Damaged("the head is missing".into()))
}

/// A row of `epoch, position, recorded_at`.
pub(super) fn head(row: &Row<'_>) -> rusqlite::Result<Head> {
    let recorded_at: Option<i64> = row.get(2)?;
    Ok(Head {
        term: row.get(0)?,
        position: Position(row.get(1)?),
        recorded_at: recorded_at.map(Timestamp::from_micros),
    })
}

/// The log in order. A hole is damage.
pub(super) fn read_after(
    connection: &Connection,
    position: Position,
    limit: usize,
) -> Result<Vec<StoredEvent>, LogError> {
    let mut events = Vec::with_capacity(limit.min(1024));
    let mut statement = connection.prepare_cached(AFTER).map_err(store("read the log"))?;
    collect(&mut statement, params![integer(position.0), limit_of(limit)], &mut events)?;

    no_hole(position, &events)?;
    Ok(events)
}

/// One stream, after a position.
pub(super) fn read_stream_after(
    connection: &Connection,
    stream: &StreamId,
    position: Position,
    limit: usize,
) -> Result<Vec<StoredEvent>, LogError> {
    in_snapshot(connection, || {
        let first = first_sequence_after(connection, stream, position)?;
        let mut events = Vec::new();
        let mut statement = connection.prepare_cached(OF_STREAM).map_err(store("read a stream"))?;
        let range = params![stream.stream_type.as_str(), stream.id.as_str(), first, limit_of(limit)];
        collect(&mut statement, range, &mut events)?;
        Ok(events)
    })
}

/// Bisects the stream, whose positions rise with its sequence: scanning it from its start on every
/// page would read a long stream over and over.
fn first_sequence_after(
    connection: &Connection,
    stream: &StreamId,
    position: Position,
) -> Result<i64, LogError> {
    let key = (stream.stream_type.as_str(), stream.id.as_str());
    let last =
        "SELECT coalesce(max(sequence), 0) FROM events WHERE aggregate_type = ?1 AND aggregate_id = ?2";
    let mut last = connection.prepare_cached(last).map_err(store("read a stream"))?;
    let mut past = last.query_row(key, |row| row.get::<_, i64>(0)).map_err(store("read a stream"))? + 1;

    let place = "SELECT position FROM events \
                 WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence = ?3";
    let mut place = connection.prepare_cached(place).map_err(store("read a stream"))?;
    // Sequences below `first` are at or before the position, those from `past` on are after it.
    let mut first = 1;
    while first < past {
        let middle = first.midpoint(past);
        let found = place.query_row((key.0, key.1, middle), |row| row.get::<_, u64>(0)).optional();
        match found.map_err(store("read a stream"))? {
            None => {
                return Err(LogError::Damaged(format!("version {middle} of {stream} is missing")));
            }
            Some(found) if found <= position.0 => first = middle + 1,
            Some(_) => past = middle,
        }
    }
    Ok(first)
}

/// Those that have a first event.
pub(super) fn known_streams(
    connection: &Connection,
    mut streams: Vec<StreamId>,
) -> Result<Vec<StreamId>, LogError> {
    let first = "SELECT 1 FROM events WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND sequence = 1";
    let mut first = connection.prepare_cached(first).map_err(store("look for streams"))?;
    let mut failed = None;
    streams.retain(|stream| {
        let found = first.exists((stream.stream_type.as_str(), stream.id.as_str()));
        found.unwrap_or_else(|error| {
            failed.get_or_insert(error);
            false
        })
    });
    failed.map_or(Ok(streams), |error| Err(store("look for streams")(error)))
}

/// Streams one after the other, each after its sequence.
pub(super) fn load_streams(
    connection: &Connection,
    streams: &[(StreamId, u64)],
    limit: usize,
) -> Result<Vec<StoredEvent>, LogError> {
    in_snapshot(connection, || {
        let mut events = Vec::new();
        let mut statement = connection.prepare_cached(OF_STREAM).map_err(store("load streams"))?;
        for (stream, after) in streams {
            let (first, left) = (integer(after.saturating_add(1)), limit_of(limit - events.len()));
            let range = params![stream.stream_type.as_str(), stream.id.as_str(), first, left];
            collect(&mut statement, range, &mut events)?;
        }
        Ok(events)
    })
}

/// The snapshots by this code of these streams.
pub(super) fn snapshots(
    connection: &Connection,
    streams: &[StreamId],
    code: &str,
) -> rusqlite::Result<Vec<Snapshot>> {
    let select = "SELECT sequence, hash, state FROM snapshots \
                  WHERE aggregate_type = ?1 AND aggregate_id = ?2 AND code = ?3";
    let mut select = connection.prepare_cached(select)?;
    let mut snapshots = Vec::new();
    for stream in streams {
        let read = |row: &Row<'_>| {
            let (sequence, hash, state) = (row.get(0)?, Digest(fixed(row, 1)?), row.get(2)?);
            Ok(Snapshot { stream: stream.clone(), sequence, hash, code: code.into(), state })
        };
        let key = params![stream.stream_type.as_str(), stream.id.as_str(), code];
        snapshots.extend(select.query_row(key, read).optional()?);
    }
    Ok(snapshots)
}

/// All snapshots by this code, page by page.
pub(super) fn snapshots_after(
    connection: &Connection,
    code: &str,
    after: Option<&StreamId>,
    limit: usize,
) -> Result<Vec<Snapshot>, LogError> {
    let failed = || store("read snapshots");
    let (stream_type, id) = after.map_or(("", ""), |s| (s.stream_type.as_str(), s.id.as_str()));
    // A file of version 1 that is only read has none.
    let table = "SELECT 1 FROM sqlite_schema WHERE name = 'snapshots'";
    if !connection.prepare_cached(table).map_err(failed())?.exists([]).map_err(failed())? {
        return Ok(vec![]);
    }
    let select = "SELECT aggregate_type, aggregate_id, sequence, hash, state FROM snapshots \
                  WHERE code = ?1 AND (aggregate_type, aggregate_id) > (?2, ?3) \
                  ORDER BY aggregate_type, aggregate_id LIMIT ?4";
    let mut select = connection.prepare_cached(select).map_err(failed())?;
    let read = |row: &Row<'_>| {
        let stream_type = StreamType::parse(text(row, 0)?).ok_or_else(|| wrong_type(row, 0))?;
        Ok(Snapshot {
            stream: StreamId { stream_type, id: text(row, 1)?.into() },
            sequence: row.get(2)?,
            hash: Digest(fixed(row, 3)?),
            code: code.into(),
            state: row.get(4)?,
        })
    };
    let rows = select.query_map(params![code, stream_type, id, limit_of(limit)], read).map_err(failed())?;
    rows.collect::<Result<_, _>>().map_err(failed())
}

/// Never puts an older one in the place of a newer one.
pub(super) fn save_snapshots(connection: &mut Connection, snapshots: &[Snapshot]) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let save = "INSERT INTO snapshots (aggregate_type, aggregate_id, sequence, hash, code, state) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (aggregate_type, aggregate_id) DO UPDATE SET \
                sequence = excluded.sequence, hash = excluded.hash, code = excluded.code, state = excluded.state \
                WHERE snapshots.code <> excluded.code OR snapshots.sequence < excluded.sequence";
    for snapshot in snapshots {
        transaction.prepare_cached(save)?.execute(params![
            snapshot.stream.stream_type.as_str(),
            snapshot.stream.id.as_str(),
            integer(snapshot.sequence),
            snapshot.hash.0.as_slice(),
            snapshot.code,
            snapshot.state,
        ])?;
    }
    transaction.commit()
}

/// The events that carry these keys.
pub(super) fn find_transactions(
    connection: &Connection,
    keys: &[TransactionKey],
) -> Result<Vec<StoredEvent>, LogError> {
    in_snapshot(connection, || {
        let mut events = Vec::new();
        let mut statement = connection.prepare_cached(OF_KEY).map_err(store("find transactions"))?;
        for key in keys {
            collect(&mut statement, params![key.0], &mut events)?;
        }
        Ok(events)
    })
}

/// In the order of the index, which holds all that is asked for.
pub(super) fn transaction_keys(
    connection: &Connection,
    after: Option<TransactionKey>,
    limit: usize,
) -> Result<Vec<TransactionKey>, LogError> {
    const KEYS: &str = "SELECT transaction_key FROM events \
         WHERE transaction_key IS NOT NULL AND transaction_key > ?1 ORDER BY transaction_key LIMIT ?2";
    let after = after.map_or(vec![], |key| key.0.to_vec());
    let read = || {
        let mut statement = connection.prepare_cached(KEYS)?;
        let keys = statement.query_map(params![after, limit], |row| row.get(0).map(TransactionKey))?;
        keys.collect::<Result<Vec<_>, _>>()
    };
    read().map_err(store("read transaction keys"))
}

/// The ids of one type. Steps from id to id: a few campaigns may own millions of events.
pub(super) fn stream_ids(
    connection: &Connection,
    stream_type: StreamType,
) -> Result<Vec<StreamId>, LogError> {
    in_snapshot(connection, || {
        let next = "SELECT min(aggregate_id) FROM events WHERE aggregate_type = ?1 AND aggregate_id > ?2";
        let mut statement = connection.prepare_cached(next).map_err(store("list streams"))?;
        let mut ids: Vec<StreamId> = Vec::new();
        loop {
            let last = ids.last().map_or("", |stream| stream.id.as_str());
            let id = statement
                .query_row(params![stream_type.as_str(), last], |row| row.get::<_, Option<String>>(0))
                .map_err(store("list streams"))?;
            match id {
                Some(id) => ids.push(StreamId { stream_type, id: id.into() }),
                None => return Ok(ids),
            }
        }
    })
}

/// Lets several statements see the log at one moment, and take the reader's lock once.
fn in_snapshot<T>(
    connection: &Connection,
    read: impl FnOnce() -> Result<T, LogError>,
) -> Result<T, LogError> {
    let snapshot = connection.unchecked_transaction().map_err(store("begin reading"))?;
    let result = read()?;
    snapshot.finish().map_err(store("end reading"))?;
    Ok(result)
}

fn collect(
    statement: &mut CachedStatement<'_>,
    parameters: &[&dyn ToSql],
    events: &mut Vec<StoredEvent>,
) -> Result<(), LogError> {
    let mut rows = statement.query(parameters).map_err(store("read events"))?;
    while let Some(row) = rows.next().map_err(store("read events"))? {
        // Neighbours often share their metadata, to the byte.
        let shared = events.last().map(|event| &event.metadata);
        let event = event(row, shared).map_err(|e| unreadable(row, &e))?;
        events.push(event);
    }
    Ok(())
}

fn unreadable(row: &Row<'_>, error: &rusqlite::Error) -> LogError {
    let position = row.get::<_, u64>(0).unwrap_or_default();
    LogError::Damaged(format!("the event at {} cannot be read: {error}", Position(position)))
}

fn event(row: &Row<'_>, shared: Option<&Arc<[u8]>>) -> rusqlite::Result<StoredEvent> {
    let stream_type = text(row, 1)?;
    let stream_type = StreamType::parse(stream_type).ok_or_else(|| wrong_type(row, 1))?;
    let metadata = bytes(row, 7)?;
    let transaction_key = match row.get_ref(9)? {
        ValueRef::Null => None,
        _ => Some(TransactionKey(fixed(row, 9)?)),
    };
    Ok(StoredEvent {
        position: Position(row.get(0)?),
        stream: StreamId { stream_type, id: text(row, 2)?.into() },
        sequence: row.get(3)?,
        event_type: text(row, 4)?.into(),
        event_version: text(row, 5)?.into(),
        payload: bytes(row, 6)?.to_vec(),
        metadata: match shared {
            Some(shared) if **shared == *metadata => Arc::clone(shared),
            _ => metadata.into(),
        },
        recorded_at: Timestamp::from_micros(row.get(8)?),
        transaction_key,
        hash: Digest(fixed(row, 10)?),
    })
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a str> {
    row.get_ref(column)?.as_str().map_err(|e| conversion(column, e))
}

fn bytes<'a>(row: &'a Row<'_>, column: usize) -> rusqlite::Result<&'a [u8]> {
    row.get_ref(column)?.as_bytes().map_err(|e| conversion(column, e))
}

fn fixed<const N: usize>(row: &Row<'_>, column: usize) -> rusqlite::Result<[u8; N]> {
    let blob = row.get_ref(column)?.as_blob().map_err(|e| conversion(column, e))?;
    let size =
        || conversion(column, FromSqlError::InvalidBlobSize { expected_size: N, blob_size: blob.len() });
    blob.try_into().map_err(|_| size())
}

fn wrong_type(row: &Row<'_>, column: usize) -> rusqlite::Error {
    let found = row.get_ref(column).map_or(Type::Null, |value| value.data_type());
    rusqlite::Error::InvalidColumnType(column, "aggregate_type".into(), found)
}

fn conversion(column: usize, error: FromSqlError) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
}

/// SQLite's integers end at 2^63 - 1, where no log ever gets.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn limit_of(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
