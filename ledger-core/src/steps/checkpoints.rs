//! How far each step has come: one small SQLite file. Losing it costs time, never money.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use rusqlite::{Connection, OptionalExtension};

use crate::log::Position;

/// The steps' checkpoints.
pub struct Checkpoints(Mutex<Connection>);

/// The checkpoints could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the steps' checkpoints failed")]
pub struct CheckpointError(#[from] rusqlite::Error);

impl Checkpoints {
    /// Opens or creates the file.
    pub fn open(path: &Path) -> Result<Checkpoints, CheckpointError> {
        let connection = Connection::open(path)?;
        // NORMAL: after a power cut a checkpoint may be an older one, which is as good.
        connection.execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;
             CREATE TABLE IF NOT EXISTS checkpoints (
                 step TEXT PRIMARY KEY, position INTEGER NOT NULL CHECK (position >= 0)
             ) STRICT, WITHOUT ROWID;",
        )?;
        Ok(Checkpoints(Mutex::new(connection)))
    }

    /// Where a step goes on: everything up to here is done. The beginning for a step never run.
    pub fn get(&self, step: &str) -> Result<Position, CheckpointError> {
        let sql = "SELECT position FROM checkpoints WHERE step = ?1";
        let position = self.connection().query_row(sql, [step], |row| row.get(0)).optional()?;
        Ok(Position(position.unwrap_or(0)))
    }

    /// Remembers that everything up to `position` is done.
    pub fn set(&self, step: &str, position: Position) -> Result<(), CheckpointError> {
        let sql = "INSERT INTO checkpoints (step, position) VALUES (?1, ?2)
                   ON CONFLICT (step) DO UPDATE SET position = excluded.position";
        self.connection().execute(sql, (step, position.0))?;
        Ok(())
    }

    fn connection(&self) -> std::sync::MutexGuard<'_, Connection> {
        // Every statement stands alone, so a panic elsewhere leaves nothing half done here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_survives_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.db");
        let checkpoints = Checkpoints::open(&path).unwrap();
        assert_eq!(checkpoints.get("issue").unwrap(), Position(0));
        checkpoints.set("issue", Position(7)).unwrap();
        checkpoints.set("issue", Position(9)).unwrap();
        drop(checkpoints);
        assert_eq!(Checkpoints::open(&path).unwrap().get("issue").unwrap(), Position(9));
    }
}
