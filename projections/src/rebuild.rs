//! Read models made anew from the log, and compared with the running ones row by row.
//!
//! The tables are built in a side file up to the running ones' checkpoints, from the log alone. [`compare`] tells
//! how many rows differ; [`rebuild`] then puts the new ones in their place in one transaction. Both take the
//! running tables as of one position: `compare` holds a snapshot beside a running runner, `rebuild` the write
//! lock, so that a runner waits. They block between awaits; call them where blocking is fine.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use ledger_core::log::{EventLog, Position};
use rusqlite::types::{ToSqlOutput, Value};
use rusqlite::{Connection, Rows};

use crate::error::ProjectionError;
use crate::projection::{self, Projection, Record, Table};
use crate::store;

const BATCH_EVENTS: usize = 5_000;

/// Which read models to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Every one.
    All,
    /// One of them.
    One(Projection),
}

impl Selection {
    fn contains(self, projection: Projection) -> bool {
        match self {
            Selection::All => true,
            Selection::One(one) => one == projection,
        }
    }
}

impl std::str::FromStr for Selection {
    type Err = ProjectionError;
    fn from_str(name: &str) -> Result<Self, ProjectionError> {
        if name == "all" { Ok(Selection::All) } else { name.parse().map(Selection::One) }
    }
}

/// What a rebuild or a comparison found in one read model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuildReport {
    /// Which.
    pub projection: Projection,
    /// Events read: all up to its checkpoint.
    pub events: u64,
    /// Rows it has when built from the log.
    pub rows: u64,
    /// Rows of the running tables that differ, are missing, or should not be there.
    pub rows_changed: u64,
}

/// Builds read models anew and puts them in the place of the running ones. `progress` gets the position reached
/// and the one to reach.
pub async fn rebuild(
    log: &dyn EventLog,
    store_path: &Path,
    selection: Selection,
    progress: impl FnMut(Position, Position),
) -> Result<Vec<RebuildReport>, ProjectionError> {
    let running = store::open_writer(store_path)?;
    // Dropping the connection rolls back.
    running.execute_batch("BEGIN IMMEDIATE")?;
    let targets = targets(&running, selection)?;
    let side = Side::new(store_path)?;
    let built = build(log, &side, &targets, progress).await?;
    let reports = report(&running, &built, &targets)?;
    drop(built);
    // ATTACH is not possible inside a transaction, so the rows are carried over by hand.
    let built = store::open_reader(&side.0)?;
    for table in targets.iter().flat_map(|(projection, _)| projection.tables()) {
        replace(&running, &built, table)?;
    }
    running.execute_batch("COMMIT")?;
    Ok(reports)
}

/// Builds read models anew and only tells how the running ones differ.
pub async fn compare(
    log: &dyn EventLog,
    store_path: &Path,
    selection: Selection,
    progress: impl FnMut(Position, Position),
) -> Result<Vec<RebuildReport>, ProjectionError> {
    let running = store::open_reader(store_path)?;
    // The first read, of the checkpoints, fixes the snapshot.
    running.execute_batch("BEGIN")?;
    store::check_schema(&running)?;
    let targets = targets(&running, selection)?;
    let side = Side::new(store_path)?;
    let built = build(log, &side, &targets, progress).await?;
    report(&running, &built, &targets)
}

type Targets = Vec<(Projection, Position)>;

fn targets(running: &Connection, selection: Selection) -> Result<Targets, ProjectionError> {
    let all = projection::checkpoints(running)?;
    Ok(all.into_iter().filter(|(projection, _)| selection.contains(*projection)).collect())
}

/// The file beside the store in which tables are built; gone when dropped.
struct Side(PathBuf);

impl Side {
    fn new(store_path: &Path) -> Result<Side, ProjectionError> {
        let mut name = store_path.as_os_str().to_owned();
        name.push(format!(".rebuild-{}", std::process::id()));
        let side = Side(name.into());
        // Another process of this number may have been killed in the middle.
        side.remove();
        let conn = Connection::open(&side.0)?;
        conn.execute_batch(store::SCHEMA)?;
        Ok(side)
    }

    fn remove(&self) {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            let mut name = self.0.as_os_str().to_owned();
            name.push(suffix);
            // Not being there is what we want; being there still fails loudly when the schema is laid out again.
            let _ = std::fs::remove_file(name);
        }
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Fills the side file with every event up to each projection's target.
async fn build(
    log: &dyn EventLog,
    side: &Side,
    targets: &Targets,
    mut progress: impl FnMut(Position, Position),
) -> Result<Connection, ProjectionError> {
    let mut conn = Connection::open(&side.0)?;
    // Nothing here outlives a crash, so nothing has to be durable.
    conn.execute_batch(
        "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;",
    )?;
    conn.set_prepared_statement_cache_capacity(store::STATEMENTS_CACHED);
    let end = targets.iter().map(|(_, target)| *target).max().unwrap_or_default();
    let mut at = Position::default();
    while at < end {
        let events = log.read_after(at, BATCH_EVENTS).await?;
        let records = Record::decode_after(at, &events)?;
        let Some(last) = records.last() else {
            return Err(ProjectionError::Ahead { checkpoint: end, head: at });
        };
        let transaction = conn.transaction()?;
        for (projection, target) in targets {
            let wanted = &records[..records.partition_point(|r| r.position <= *target)];
            // A projection whose target lies behind has nothing wanted any more.
            projection::apply(&transaction, *projection, at, wanted)?;
        }
        transaction.commit()?;
        at = last.position;
        progress(at.min(end), end);
    }
    Ok(conn)
}

fn report(
    running: &Connection,
    built: &Connection,
    targets: &Targets,
) -> Result<Vec<RebuildReport>, ProjectionError> {
    let report = |(projection, target): &(Projection, Position)| {
        let mut report =
            RebuildReport { projection: *projection, events: target.0, rows: 0, rows_changed: 0 };
        for table in projection.tables() {
            let (rows, changed) = differences(running, built, table)?;
            report.rows += rows;
            report.rows_changed += changed;
        }
        Ok(report)
    };
    targets.iter().map(report).collect()
}

/// Walks both tables in key order; answers the rows of the built one and how many rows differ between them.
fn differences(
    running: &Connection,
    built: &Connection,
    table: &Table,
) -> Result<(u64, u64), ProjectionError> {
    let sql = in_key_order(table);
    let (mut left, mut right) = (running.prepare(&sql)?, built.prepare(&sql)?);
    let columns = left.column_count();
    let (mut left, mut right) =
        (Walk::start(left.query([])?, columns)?, Walk::start(right.query([])?, columns)?);
    let (mut rows, mut changed) = (0, 0);
    loop {
        let order = match (&left.row, &right.row) {
            (None, None) => return Ok((rows, changed)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => {
                let order = order(&a[..table.key_columns], &b[..table.key_columns]);
                changed += u64::from(order.is_eq() && a != b);
                order
            }
        };
        changed += u64::from(order.is_ne());
        if order.is_le() {
            left.step()?;
        }
        if order.is_ge() {
            rows += 1;
            right.step()?;
        }
    }
}

fn in_key_order(table: &Table) -> String {
    let key: Vec<String> = (1..=table.key_columns).map(|n| n.to_string()).collect();
    format!("SELECT * FROM {} ORDER BY {}", table.name, key.join(", "))
}

/// Rows one after another, the present one at hand.
struct Walk<'s> {
    rows: Rows<'s>,
    columns: usize,
    row: Option<Vec<Value>>,
}

impl<'s> Walk<'s> {
    fn start(rows: Rows<'s>, columns: usize) -> Result<Walk<'s>, ProjectionError> {
        let mut walk = Walk { rows, columns, row: None };
        walk.step()?;
        Ok(walk)
    }

    fn step(&mut self) -> Result<(), ProjectionError> {
        let columns = 0..self.columns;
        self.row = match self.rows.next()? {
            Some(row) => Some(columns.map(|column| row.get(column)).collect::<Result<_, _>>()?),
            None => None,
        };
        Ok(())
    }
}

/// As SQLite orders keys: integers by value, text and blobs by bytes.
fn order(a: &[Value], b: &[Value]) -> Ordering {
    let column = |(a, b): (&Value, &Value)| match (a, b) {
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        (Value::Blob(a), Value::Blob(b)) => a.cmp(b),
        // The tables are STRICT and their keys NOT NULL: a key column has one of these types throughout.
        (Value::Null | Value::Integer(_) | Value::Real(_) | Value::Text(_) | Value::Blob(_), _) => {
            Ordering::Equal
        }
    };
    a.iter().zip(b).map(column).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

fn replace(running: &Connection, built: &Connection, table: &Table) -> Result<(), ProjectionError> {
    running.execute(&format!("DELETE FROM {}", table.name), [])?;
    let mut source = built.prepare(&in_key_order(table))?;
    let columns = source.column_count();
    let values = vec!["?"; columns].join(", ");
    let mut insert = running.prepare(&format!("INSERT INTO {} VALUES ({values})", table.name))?;
    let mut rows = source.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..columns {
            insert.raw_bind_parameter(column + 1, ToSqlOutput::Borrowed(row.get_ref(column)?))?;
        }
        insert.raw_execute()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
