//! Writing one batch: begin, move the head by compare-and-set, insert the rows, commit.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ErrorCode, ToSql, TransactionBehavior, params};

use super::rows::integer;
use super::store;
use ledger_core::ids::TransactionKey;
use ledger_core::log::{AppendError, Batch, StoredEvent};

/// Why the rows of a batch were not written; the transaction is rolled back in either case.
enum Refusal {
    /// The head is not where the writer believes it to be.
    Fenced,
    /// A unique key is taken.
    Taken(rusqlite::Error),
    /// Anything else.
    Failed(rusqlite::Error),
}

/// See [`ledger_core::log::EventLog::append`]. Whatever the ending, the connection is usable again.
pub(super) fn append(connection: &mut Connection, batch: &Batch) -> Result<(), AppendError> {
    batch.check().map_err(AppendError::Unknown)?;
    match write(connection, batch) {
        Ok(()) => Ok(()),
        Err(Refusal::Fenced) => Err(AppendError::Fenced),
        Err(Refusal::Failed(e)) => Err(AppendError::Unknown(store("append")(e))),
        Err(Refusal::Taken(e)) => {
            // Rolled back, so what is found now was there before this batch, or is twice in it.
            let duplicates = duplicates(connection, &batch.events);
            let duplicates = duplicates.map_err(|e| AppendError::Unknown(store("name duplicates")(e)))?;
            if duplicates.is_empty() {
                // A version or a position that another event has: the writer's state is wrong.
                return Err(AppendError::Unknown(store("append")(e)));
            }
            Err(AppendError::Duplicate(duplicates))
        }
    }
}

/// Dropping the transaction on an early return rolls it back. So does a `COMMIT` that fails: SQLite
/// then forgets the frames it has written, and the next commit (the lease that must follow)
/// overwrites them.
fn write(connection: &mut Connection, batch: &Batch) -> Result<(), Refusal> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(Refusal::Failed)?;
    if !move_head(&transaction, batch).map_err(Refusal::Failed)? {
        return Err(Refusal::Fenced);
    }
    insert(&transaction, &batch.events).map_err(|e| match e.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => Refusal::Taken(e),
        _ => Refusal::Failed(e),
    })?;
    transaction.commit().map_err(Refusal::Failed)
}

/// Whether the head was where the batch expects it.
fn move_head(connection: &Connection, batch: &Batch) -> rusqlite::Result<bool> {
    let Some(last) = batch.events.last() else {
        return Ok(false);
    };
    let compare_and_set = "UPDATE head SET position = ?1, recorded_at = ?2 \
                           WHERE \"partition\" = 0 AND epoch = ?3 AND position = ?4";
    let moved = connection.prepare_cached(compare_and_set)?.execute(params![
        integer(last.position.0),
        last.recorded_at.micros(),
        integer(batch.expected.term),
        integer(batch.expected.position.0),
    ])?;
    Ok(moved == 1)
}

fn insert(connection: &Connection, events: &[StoredEvent]) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, \
         payload, metadata, recorded_at, transaction_key, hash) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?;
    for event in events {
        bind(&mut statement, event)?;
        statement.raw_execute()?;
    }
    Ok(())
}

fn bind(statement: &mut CachedStatement<'_>, event: &StoredEvent) -> rusqlite::Result<()> {
    let key = event.transaction_key.as_ref();
    statement.raw_bind_parameter(1, integer(event.position.0))?;
    statement.raw_bind_parameter(2, event.stream.stream_type.as_str())?;
    statement.raw_bind_parameter(3, event.stream.id.as_str())?;
    statement.raw_bind_parameter(4, integer(event.sequence))?;
    statement.raw_bind_parameter(5, event.event_type.as_str())?;
    statement.raw_bind_parameter(6, event.event_version.as_str())?;
    statement.raw_bind_parameter(7, Json(&event.payload))?;
    statement.raw_bind_parameter(8, Json(&event.metadata))?;
    statement.raw_bind_parameter(9, event.recorded_at.micros())?;
    statement.raw_bind_parameter(10, key.map(|key| key.0.as_slice()))?;
    statement.raw_bind_parameter(11, event.hash.0.as_slice())
}

/// JSON bytes as TEXT: no second look at whether they are UTF-8.
struct Json<'a>(&'a [u8]);

impl ToSql for Json<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0)))
    }
}

/// The batch's keys that the log has or that come twice in it, each once.
fn duplicates(connection: &Connection, events: &[StoredEvent]) -> rusqlite::Result<Vec<TransactionKey>> {
    let mut exists = connection.prepare_cached("SELECT 1 FROM events WHERE transaction_key = ?1")?;
    let mut keys: Vec<_> = events.iter().filter_map(|event| event.transaction_key).collect();
    keys.sort_unstable();
    let mut duplicates = Vec::new();
    for same in keys.chunk_by(|a, b| a == b) {
        if same.len() > 1 || exists.exists(params![same[0].0])? {
            duplicates.push(same[0]);
        }
    }
    Ok(duplicates)
}
