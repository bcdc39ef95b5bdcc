//! The rows of steps: one small SQLite file, or the schema `steps` of a PostgreSQL database. Losing
//! it costs time, never money.

mod columns;
mod commit;
mod rows;

use std::path::Path;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use ledger_core::log::Position;
use ledger_core::steps::items::{Change, ItemCounts, ItemRow};
use ledger_core::steps::store::{Chunk, StepStore, StepStoreError};
use parking_lot::Mutex;
use rusqlite::Connection;

use self::rows::Store;
use crate::files;
use crate::postgres::{Database, PostgresFault};
use crate::sqlite::{passes, use_wal};

/// Beyond it the write-ahead log is emptied at once.
const WAL_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The steps' cursors, items and tallies.
pub struct StepTables(Store);

/// What either of the two says.
pub(crate) enum Failed {
    Sqlite(rusqlite::Error),
    Postgres(PostgresFault),
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Failed {
        Failed::Sqlite(error)
    }
}

impl From<PostgresFault> for Failed {
    fn from(fault: PostgresFault) -> Failed {
        Failed::Postgres(fault)
    }
}

impl From<Failed> for StepStoreError {
    fn from(failed: Failed) -> StepStoreError {
        match failed {
            Failed::Sqlite(error) => {
                let transient = passes(&error);
                StepStoreError::new(error, transient)
            }
            Failed::Postgres(fault) => {
                let transient = fault.transient();
                StepStoreError::new(fault, transient)
            }
        }
    }
}

impl StepTables {
    /// Opens or creates the file.
    pub fn open(path: &Path) -> rusqlite::Result<StepTables> {
        let connection = Connection::open(path)?;
        // NORMAL: after a power cut a cursor may be an older one, which is as good.
        use_wal(&connection)?;
        connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 8388608;")?;
        connection.execute_batch(include_str!("../../../migrations/sqlite/steps.sql"))?;
        let connection = Arc::new(Mutex::new(connection));
        let kept: Weak<Mutex<Connection>> = Arc::downgrade(&connection);
        files::keep(path, WAL_BYTES_MAX, kept);
        Ok(StepTables(Store::Sqlite(connection)))
    }

    /// Opens the file beside whoever writes it; without one nothing has been done yet.
    pub fn open_read_only(path: &Path) -> rusqlite::Result<StepTables> {
        if !path.is_file() {
            return StepTables::in_memory();
        }
        let connection = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(StepTables(Store::Sqlite(Arc::new(Mutex::new(connection)))))
    }

    /// Kept no longer than this process: for tools and tests that run a step once.
    pub fn in_memory() -> rusqlite::Result<StepTables> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(include_str!("../../../migrations/sqlite/steps.sql"))?;
        Ok(StepTables(Store::Sqlite(Arc::new(Mutex::new(connection)))))
    }

    /// Those of this database.
    pub fn in_postgres(database: Database) -> StepTables {
        StepTables(Store::Postgres(Box::new(database)))
    }
}

#[async_trait]
impl StepStore for StepTables {
    async fn get(&self, step: &str) -> Result<Position, StepStoreError> {
        Ok(self.0.get(step).await?)
    }

    async fn set(&self, step: &str, position: Position) -> Result<(), StepStoreError> {
        Ok(self.0.set(step, position).await?)
    }

    async fn commit(&self, step: &str, to: Position, changes: &[Change]) -> Result<(), StepStoreError> {
        Ok(self.0.commit(step, to, changes).await?)
    }

    async fn waiting(&self, step: &str, limit: usize) -> Result<Vec<ItemRow>, StepStoreError> {
        Ok(self.0.waiting(step, limit).await?)
    }

    async fn parked(&self, after: &str, limit: usize) -> Result<Vec<ItemRow>, StepStoreError> {
        Ok(self.0.parked(after, limit).await?)
    }

    async fn item(&self, id: &str) -> Result<Option<ItemRow>, StepStoreError> {
        Ok(self.0.item(id).await?)
    }

    async fn count_items(&self, step: &str) -> Result<ItemCounts, StepStoreError> {
        Ok(self.0.count_items(step).await?)
    }

    async fn keep_tallies(
        &self,
        from: Position,
        to: Position,
        chunks: &[Chunk],
        over: &[(String, String)],
    ) -> Result<(), StepStoreError> {
        Ok(self.0.keep_tallies(from, to, chunks, over).await?)
    }

    async fn tallies(
        &self,
        campaign: &str,
        epoch: &str,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Chunk>, StepStoreError> {
        Ok(self.0.tallies(campaign, epoch, after, limit).await?)
    }
}

#[cfg(test)]
mod tests;
