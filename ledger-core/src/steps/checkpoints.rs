//! How far each step has come: one small SQLite file, or the schema `steps` of a PostgreSQL database. Losing it
//! costs time, never money.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rusqlite::{Connection, OptionalExtension};

use crate::files;
use crate::log::Position;
use crate::postgres::{Database, Fault};
use crate::sqlite::{passes, use_wal};

/// Beyond it the write-ahead log is emptied at once.
const WAL_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// The steps' checkpoints.
pub struct Checkpoints(pub(super) Store);

pub(super) enum Store {
    Sqlite(Arc<Mutex<Connection>>),
    Postgres(Box<Database>),
}

/// The checkpoints could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("the steps' checkpoints failed")]
pub enum CheckpointError {
    /// The file.
    Sqlite(#[from] rusqlite::Error),
    /// The database.
    Postgres(#[from] Fault),
}

impl CheckpointError {
    /// Whether trying again may help.
    pub fn transient(&self) -> bool {
        match self {
            CheckpointError::Sqlite(error) => passes(error),
            CheckpointError::Postgres(fault) => fault.transient(),
        }
    }
}

impl Checkpoints {
    /// Opens or creates the file.
    pub fn open(path: &Path) -> Result<Checkpoints, CheckpointError> {
        let connection = Connection::open(path)?;
        // NORMAL: after a power cut a checkpoint may be an older one, which is as good.
        use_wal(&connection)?;
        connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 8388608;")?;
        connection.execute_batch(include_str!("../../../migrations/sqlite/steps.sql"))?;
        let connection = Arc::new(Mutex::new(connection));
        let kept: Weak<Mutex<Connection>> = Arc::downgrade(&connection);
        files::keep(path, WAL_BYTES_MAX, kept);
        Ok(Checkpoints(Store::Sqlite(connection)))
    }

    /// Opens the file beside whoever writes it; without one nothing has been done yet.
    pub fn open_read_only(path: &Path) -> Result<Checkpoints, CheckpointError> {
        if !path.is_file() {
            return Checkpoints::in_memory();
        }
        let connection = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        Ok(Checkpoints(Store::Sqlite(Arc::new(Mutex::new(connection)))))
    }

    /// Kept no longer than this process: for tools and tests that run a step once.
    pub fn in_memory() -> Result<Checkpoints, CheckpointError> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(include_str!("../../../migrations/sqlite/steps.sql"))?;
        Ok(Checkpoints(Store::Sqlite(Arc::new(Mutex::new(connection)))))
    }

    /// Those of this database.
    pub fn in_postgres(database: Database) -> Checkpoints {
        Checkpoints(Store::Postgres(Box::new(database)))
    }

    /// Where a step goes on: everything up to here is done. The beginning for a step never run.
    pub async fn get(&self, step: &str) -> Result<Position, CheckpointError> {
        let position = match &self.0 {
            Store::Sqlite(connection) => {
                let sql = "SELECT position FROM checkpoints WHERE step = ?1";
                lock(connection).query_row(sql, [step], |row| row.get(0)).optional()?
            }
            Store::Postgres(database) => {
                let sql = "SELECT position FROM steps.checkpoints WHERE step = $1";
                let row = database.pooled().await?.query_opt(sql, &[&step]).await.map_err(Fault::from)?;
                row.map(|row| u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
            }
        };
        Ok(Position(position.unwrap_or(0)))
    }

    /// Remembers that everything up to `position` is done.
    pub async fn set(&self, step: &str, position: Position) -> Result<(), CheckpointError> {
        match &self.0 {
            Store::Sqlite(connection) => {
                let sql = "INSERT INTO checkpoints (step, position) VALUES (?1, ?2)
                           ON CONFLICT (step) DO UPDATE SET position = excluded.position";
                lock(connection).execute(sql, (step, position.0))?;
            }
            Store::Postgres(database) => {
                let sql = "INSERT INTO steps.checkpoints (step, position) VALUES ($1, $2)
                           ON CONFLICT (step) DO UPDATE SET position = excluded.position";
                let position = i64::try_from(position.0).unwrap_or(i64::MAX);
                let client = database.pooled().await?;
                client.execute(sql, &[&step, &position]).await.map_err(Fault::from)?;
            }
        }
        Ok(())
    }
}

pub(super) fn lock(connection: &Mutex<Connection>) -> std::sync::MutexGuard<'_, Connection> {
    // Every statement stands alone, so a panic elsewhere leaves nothing half done here.
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::Options;
    use crate::testing::Cluster;

    #[tokio::test]
    async fn a_checkpoint_survives_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("steps.db");
        moves_on(|| Checkpoints::open(&path).unwrap()).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_checkpoint_survives_reopening_on_postgres() {
        let cluster = Cluster::shared().await;
        let address = cluster.database().await.unwrap().parse().unwrap();
        let database = Database::new(address, &Options::default());
        moves_on(|| Checkpoints::in_postgres(database.clone())).await;
    }

    async fn moves_on(open: impl Fn() -> Checkpoints) {
        let checkpoints = open();
        assert_eq!(checkpoints.get("issue").await.unwrap(), Position(0));
        checkpoints.set("issue", Position(7)).await.unwrap();
        checkpoints.set("issue", Position(9)).await.unwrap();
        drop(checkpoints);
        assert_eq!(open().get("issue").await.unwrap(), Position(9));
    }
}
