//! One connection to the read models, to an SQLite file or to PostgreSQL; folds and queries do not
//! know which.
//!
//! SQL is written once, in what both understand: `$1` for parameters, in the order of their
//! numbers. Only a statement for many rows has two texts: it runs once for each row on SQLite, and
//! on PostgreSQL once for arrays of them.

mod postgres;
mod sqlite;
mod value;

use stores::postgres::Database;

pub(crate) use self::value::{Row, Value, values};
use crate::error::ProjectionError;

/// A connection to the read models. Belongs to one thread at a time, which may block.
pub struct Connection(Kind);

enum Kind {
    Sqlite(rusqlite::Connection),
    Postgres(postgres::Session),
}

/// A statement for many rows, whose parameters are the values of each.
pub(crate) struct ForEach {
    pub(crate) sqlite: String,
    /// Of arrays.
    pub(crate) postgres: String,
}

/// What a transaction is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Answers are of one state, however long it takes and whatever is written meanwhile.
    Read,
    /// One at a time in the whole database; the next waits.
    Write,
}

impl Connection {
    pub(crate) fn sqlite(conn: rusqlite::Connection) -> Connection {
        Connection(Kind::Sqlite(conn))
    }

    /// Connects to PostgreSQL for one kind of transaction.
    pub(crate) fn postgres(database: &Database, access: Access) -> Result<Connection, ProjectionError> {
        Ok(Connection(Kind::Postgres(postgres::Session::connect(database, access)?)))
    }

    /// The connection to a file, where it is one.
    pub(crate) fn as_sqlite(&self) -> Option<&rusqlite::Connection> {
        match &self.0 {
            Kind::Sqlite(conn) => Some(conn),
            Kind::Postgres(_) => None,
        }
    }

    /// The rows that a statement answers, if any.
    pub(crate) fn rows(&self, sql: &str, values: &[Value<'_>]) -> Result<Vec<Row>, ProjectionError> {
        match &self.0 {
            Kind::Sqlite(conn) => Ok(sqlite::rows(conn, sql, std::iter::once(values))?),
            Kind::Postgres(session) => session.rows(sql, values),
        }
    }

    /// The rows that a statement answers for all of these together.
    pub(crate) fn each(
        &self,
        statement: &ForEach,
        rows: &[Vec<Value<'_>>],
    ) -> Result<Vec<Row>, ProjectionError> {
        match &self.0 {
            _ if rows.is_empty() => Ok(vec![]),
            Kind::Sqlite(conn) => Ok(sqlite::rows(conn, &statement.sqlite, rows.iter().map(Vec::as_slice))?),
            Kind::Postgres(session) => session.each(&statement.postgres, rows),
        }
    }

    /// Does it for all of these. PostgreSQL may still be at it when this returns; a fault shows at
    /// what comes next, at the latest at the commit.
    pub(crate) fn send(&self, statement: &ForEach, rows: &[Row]) -> Result<(), ProjectionError> {
        match &self.0 {
            _ if rows.is_empty() => Ok(()),
            Kind::Sqlite(_) => self.each(statement, rows).map(drop),
            Kind::Postgres(session) => session.send(&statement.postgres, rows),
        }
    }

    /// Statements without parameters, done when this returns.
    #[cfg(test)]
    pub(crate) fn batch(&self, sql: &str) -> Result<(), ProjectionError> {
        match &self.0 {
            Kind::Sqlite(conn) => Ok(conn.execute_batch(sql)?),
            Kind::Postgres(session) => session.batch(sql),
        }
    }

    /// A transaction that ends with `commit`, or undone when dropped.
    pub(crate) fn begin(&self, access: Access) -> Result<Transaction<'_>, ProjectionError> {
        match (&self.0, access) {
            (Kind::Sqlite(conn), Access::Read) => conn.execute_batch("BEGIN")?,
            (Kind::Sqlite(conn), Access::Write) => conn.execute_batch("BEGIN IMMEDIATE")?,
            (Kind::Postgres(session), access) => session.begin(access),
        }
        Ok(Transaction { conn: self, ended: false })
    }

    /// Takes the bounds off statements and pauses, for transactions that walk whole tables.
    pub(crate) fn unbounded(self) -> Result<Connection, ProjectionError> {
        if let Kind::Postgres(session) = &self.0 {
            session.batch("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")?;
        }
        Ok(self)
    }

    /// Whether it is still there.
    pub(crate) fn is_usable(&self) -> bool {
        match &self.0 {
            Kind::Sqlite(_) => true,
            Kind::Postgres(session) => !session.is_closed(),
        }
    }
}

/// A transaction of a connection; see [`Connection::begin`].
pub(crate) struct Transaction<'c> {
    conn: &'c Connection,
    ended: bool,
}

impl Transaction<'_> {
    /// Makes all of it durable at once.
    pub(crate) fn commit(mut self) -> Result<(), ProjectionError> {
        match &self.conn.0 {
            Kind::Sqlite(conn) => conn.execute_batch("COMMIT")?,
            Kind::Postgres(session) => session.batch("COMMIT")?,
        }
        self.ended = true;
        Ok(())
    }
}

impl std::ops::Deref for Transaction<'_> {
    type Target = Connection;
    fn deref(&self) -> &Connection {
        self.conn
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        match &self.conn.0 {
            // Some faults have ended the transaction already; there is nothing to undo then.
            Kind::Sqlite(conn) if conn.is_autocommit() => {}
            Kind::Sqlite(conn) => {
                if let Err(error) = conn.execute_batch("ROLLBACK") {
                    tracing::error!(error = &error as &dyn std::error::Error, "a rollback failed");
                }
            }
            Kind::Postgres(session) => session.abandon(),
        }
    }
}
