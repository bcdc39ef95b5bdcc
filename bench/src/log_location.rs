//! Where a measured ledger keeps its log.

use std::sync::Arc;

use ledger_core::log::Log;
use serde::Serialize;
use stores::postgres::log::{PostgresLog, PostgresOptions};
use stores::postgres::{Database, DatabaseOptions};
use stores::sqlite::log::{SqliteLog, SqliteOptions};

use crate::server::Server;
use rewardhub::folder::Folder;

/// What new logs are made on.
#[derive(Clone)]
pub(crate) enum LogLocation {
    /// A file in the ledger's folder.
    Sqlite,
    /// A database on this server.
    Postgres(Arc<Server>),
}

/// One log's own place.
pub(crate) enum Place {
    Sqlite,
    Postgres(Box<Database>),
}

/// What tables take on the disk.
#[derive(Clone, Copy, Serialize)]
pub(crate) struct Bytes {
    pub(crate) table: u64,
    /// In the same file where they are not told apart.
    pub(crate) indexes: u64,
}

impl LogLocation {
    /// A place for a new log.
    pub(crate) async fn place(&self) -> anyhow::Result<Place> {
        Ok(match self {
            LogLocation::Sqlite => Place::Sqlite,
            LogLocation::Postgres(server) => {
                let url = server.ledger_database().await?;
                Place::Postgres(Box::new(Database::new(url.parse()?, &DatabaseOptions::default())))
            }
        })
    }
}

impl Place {
    /// Opens the log, with the folder for what is not in a database.
    pub(crate) async fn log(&self, folder: &Folder) -> anyhow::Result<Log> {
        Ok(match self {
            Place::Sqlite => Arc::new(SqliteLog::open(&folder.log(), &SqliteOptions::default())?).into(),
            Place::Postgres(database) => {
                Arc::new(PostgresLog::open(Database::clone(database), PostgresOptions::default()).await?)
                    .into()
            }
        })
    }

    pub(crate) async fn bytes(&self, folder: &Folder) -> anyhow::Result<Bytes> {
        match self {
            // The size of the log once all of it is in one file.
            Place::Sqlite => {
                let connection = rusqlite::Connection::open(folder.log())?;
                stores::files::empty_wal(&connection, std::time::Duration::from_secs(5))?;
                Ok(Bytes { table: std::fs::metadata(folder.log())?.len(), indexes: 0 })
            }
            Place::Postgres(database) => Bytes::in_postgres(database, "ledger.events").await,
        }
    }
}

impl Bytes {
    /// Of all tables of these names: `schema.table`, with the wildcards of `LIKE`.
    pub(crate) async fn in_postgres(database: &Database, tables: &str) -> anyhow::Result<Bytes> {
        let sizes = "SELECT sum(pg_table_size(oid))::bigint, sum(pg_indexes_size(oid))::bigint FROM pg_class
             WHERE relkind = 'r' AND relnamespace::regnamespace || '.' || relname LIKE $1";
        let row = database.connect().await?.query_one(sizes, &[&tables]).await?;
        Ok(Bytes {
            table: u64::try_from(row.get::<_, i64>(0))?,
            indexes: u64::try_from(row.get::<_, i64>(1))?,
        })
    }

    /// What has come since, for each of `count`.
    pub(crate) fn each(self, before: Bytes, count: usize) -> Bytes {
        let each = |after: u64, before: u64| after.saturating_sub(before) / count.max(1) as u64;
        Bytes { table: each(self.table, before.table), indexes: each(self.indexes, before.indexes) }
    }
}
