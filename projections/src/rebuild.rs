//! Read models made anew from the log, and compared with the running ones row by row.
//!
//! The tables are built in a side file up to the running ones' cursors, from the log alone.
//! [`compare`] tells how many rows differ; [`rebuild`] then puts the new ones in their place in one
//! transaction. Both take the running tables as of one position: `compare` holds a snapshot beside
//! a running runner, `rebuild` the write lock, so that a runner waits. The side file is SQLite's
//! wherever the running tables are, so that every comparison on PostgreSQL is one of two databases
//! too. Both block between awaits; call them where that is fine.

use std::cmp::Ordering;
use std::path::Path;

use ledger_core::log::{EventLog, Position};

use crate::connection::{Access, Connection, Row};
use crate::cursor::cursors;
use crate::error::ProjectionError;
use crate::fold::Record;
use crate::models;
use crate::projection::{Projection, UnknownProjection};
use crate::store::{self, ReadStore};
use crate::table::Table;

const BATCH_EVENTS: usize = 5_000;
/// Rows read at once while tables are walked.
const PAGE_ROWS: usize = 1_000;

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
    type Err = UnknownProjection;
    fn from_str(name: &str) -> Result<Self, UnknownProjection> {
        if name == "all" { Ok(Selection::All) } else { name.parse().map(Selection::One) }
    }
}

/// What a rebuild or a comparison found in one read model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuildReport {
    /// Which.
    pub projection: Projection,
    /// Events read: all up to its cursor.
    pub events: u64,
    /// Rows it has when built from the log.
    pub rows: u64,
    /// Rows of the running tables that differ, are missing, or should not be there.
    pub rows_changed: u64,
}

/// Builds read models anew and puts them in the place of the running ones. `progress` gets the
/// position reached and the one to reach.
pub async fn rebuild(
    log: &dyn EventLog,
    store: &ReadStore,
    selection: Selection,
    progress: impl FnMut(Position, Position),
) -> Result<Vec<RebuildReport>, ProjectionError> {
    let running = store.connect(Access::Write)?;
    let running = running.begin(Access::Write)?;
    let targets = targets(&running, selection)?;
    let built = build(log, &store.side_folder(), &targets, progress).await?;
    let reports = report(&running, &built.conn, &targets)?;
    for table in targets.iter().flat_map(|(projection, _)| models::tables(*projection)) {
        replace(&running, &built.conn, table)?;
    }
    running.commit()?;
    Ok(reports)
}

/// Builds read models anew and only tells how the running ones differ.
pub async fn compare(
    log: &dyn EventLog,
    store: &ReadStore,
    selection: Selection,
    progress: impl FnMut(Position, Position),
) -> Result<Vec<RebuildReport>, ProjectionError> {
    let running = store.connect(Access::Read)?;
    // The first read, of the cursors, fixes the snapshot.
    let running = running.begin(Access::Read)?;
    let targets = targets(&running, selection)?;
    // Among temporary files: a comparison leaves no trace beside the running tables, and may have
    // no right to write there.
    let built = build(log, &std::env::temp_dir(), &targets, progress).await?;
    report(&running, &built.conn, &targets)
}

type Targets = Vec<(Projection, Position)>;

fn targets(running: &Connection, selection: Selection) -> Result<Targets, ProjectionError> {
    let all = cursors(running)?;
    Ok(all.into_iter().filter(|(projection, _)| selection.contains(*projection)).collect())
}

/// Tables built anew, in a file that is gone when dropped.
struct Side {
    conn: Connection,
    _folder: tempfile::TempDir,
}

impl Side {
    fn new(folder: &Path) -> Result<Side, ProjectionError> {
        let folder = tempfile::Builder::new().prefix("rewardhub-rebuild-").tempdir_in(folder)?;
        let conn = rusqlite::Connection::open(folder.path().join("read.db"))?;
        // Nothing here outlives a crash, so nothing has to be durable.
        conn.execute_batch(
            "PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;",
        )?;
        conn.execute_batch(store::SCHEMA)?;
        conn.set_prepared_statement_cache_capacity(store::STATEMENTS_CACHED);
        Ok(Side { conn: Connection::sqlite(conn), _folder: folder })
    }
}

/// Tables with every event up to each projection's target.
async fn build(
    log: &dyn EventLog,
    side_folder: &Path,
    targets: &Targets,
    mut progress: impl FnMut(Position, Position),
) -> Result<Side, ProjectionError> {
    let side = Side::new(side_folder)?;
    let end = targets.iter().map(|(_, target)| *target).max().unwrap_or_default();
    let mut at = Position::default();
    let mut records = vec![];
    loop {
        let last = records.last().map_or(at, |record: &Record| record.position);
        let more = last < end;
        let events = if more { log.read_after(last, BATCH_EVENTS).await? } else { vec![] };
        if more && events.is_empty() {
            return Err(ProjectionError::Ahead { cursor: end, head: last });
        }
        let page = || {
            let transaction = side.conn.begin(Access::Write)?;
            for (projection, target) in targets {
                let wanted = &records[..records.partition_point(|r| r.position <= *target)];
                // A projection whose target lies behind has nothing wanted any more.
                models::apply(&transaction, *projection, at, wanted)?;
            }
            transaction.commit()
        };
        let (applied, next) = Record::decode_beside(last, &events, page);
        applied?;
        if at < last {
            progress(last.min(end), end);
        }
        (at, records) = (last, next?);
        if !more {
            break;
        }
    }
    Ok(side)
}

fn report(
    running: &Connection,
    built: &Connection,
    targets: &Targets,
) -> Result<Vec<RebuildReport>, ProjectionError> {
    let report = |(projection, target): &(Projection, Position)| {
        let mut report =
            RebuildReport { projection: *projection, events: target.0, rows: 0, rows_changed: 0 };
        for table in models::tables(*projection) {
            let (rows, changed) = differences(running, built, table)?;
            report.rows += rows;
            report.rows_changed += changed;
        }
        Ok(report)
    };
    targets.iter().map(report).collect()
}

/// Walks both tables in key order; answers the rows of the built one and how many rows differ
/// between them.
fn differences(
    running: &Connection,
    built: &Connection,
    table: &Table,
) -> Result<(u64, u64), ProjectionError> {
    let (mut left, mut right) = (Walk::of(running, table)?, Walk::of(built, table)?);
    let (mut rows, mut changed) = (0, 0);
    loop {
        let order = match (&left.row, &right.row) {
            (None, None) => return Ok((rows, changed)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => {
                let order = a[..table.key_columns].cmp(&b[..table.key_columns]);
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

/// Rows in key order, the present one at hand. Read page by page, in a transaction that keeps them
/// as they are.
pub(crate) struct Walk<'c> {
    conn: &'c Connection,
    next_page: String,
    key_columns: usize,
    page: std::vec::IntoIter<Row>,
    pub(crate) row: Option<Row>,
}

impl<'c> Walk<'c> {
    /// Columns by name: a database that was migrated may have them in another order.
    fn of(conn: &'c Connection, table: &Table) -> Result<Walk<'c>, ProjectionError> {
        Walk::start(conn, table.name, table.key_columns, &table.columns)
    }

    pub(crate) fn start(
        conn: &'c Connection,
        table: &str,
        key_columns: usize,
        columns: &[&str],
    ) -> Result<Walk<'c>, ProjectionError> {
        let key = columns[..key_columns].join(", ");
        let last = (1..=key_columns).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ");
        let (all, order) = (columns.join(", "), format!("ORDER BY {key} LIMIT {PAGE_ROWS}"));
        let first_page = format!("SELECT {all} FROM {table} {order}");
        let next_page = format!("SELECT {all} FROM {table} WHERE ({key}) > ({last}) {order}");
        let page = conn.rows(&first_page, &[])?.into_iter();
        let mut walk = Walk { conn, next_page, key_columns, page, row: None };
        walk.step()?;
        Ok(walk)
    }

    pub(crate) fn step(&mut self) -> Result<(), ProjectionError> {
        let last = self.row.take();
        if let (0, Some(last)) = (self.page.len(), &last) {
            self.page = self.conn.rows(&self.next_page, &last[..self.key_columns])?.into_iter();
        }
        self.row = self.page.next();
        Ok(())
    }
}

fn replace(running: &Connection, built: &Connection, table: &Table) -> Result<(), ProjectionError> {
    running.rows(&format!("DELETE FROM {}", table.name), &[])?;
    let mut rows = Walk::of(built, table)?;
    let mut page = Vec::with_capacity(PAGE_ROWS);
    while let Some(row) = &rows.row {
        page.push(row.clone());
        rows.step()?;
        if page.len() == PAGE_ROWS || rows.row.is_none() {
            running.send(&table.upsert, &page)?;
            page.clear();
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
