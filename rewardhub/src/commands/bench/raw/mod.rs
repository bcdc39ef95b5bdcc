//! The limit: the very same events into the very same table by the database alone, on one connection.

mod postgres;
mod sqlite;

pub(super) use postgres::{Columns, RawPostgres};
pub(super) use sqlite::RawSqlite;
