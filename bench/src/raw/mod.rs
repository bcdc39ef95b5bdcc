//! The limit: the very same events into the very same table by the database alone, on one
//! connection.

mod postgres;
mod sqlite;

pub(crate) use postgres::{Columns, RawPostgres};
pub(crate) use sqlite::RawSqlite;
