//! What can go wrong with read models. Nothing here is a customer's doing, and no text repeats a
//! row.

use ledger_core::log::{LogError, Position};
use stores::pool::Busy;
use stores::postgres::{PostgresFault, SchemaError};
use stores::sqlite::passes;

use crate::projection::Projection;

/// An event that contradicts those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("projection {projection} cannot apply the event at {position}: {what}")]
pub struct Contradiction {
    /// Which read model noticed.
    pub projection: Projection,
    /// The event.
    pub position: Position,
    /// What is wrong, in words.
    pub what: &'static str,
}

impl Projection {
    pub(crate) fn contradiction(self, position: Position, what: &'static str) -> Contradiction {
        Contradiction { projection: self, position, what }
    }

    /// A running total; one that does not fit 63 bits is no amount of money.
    pub(crate) fn add(self, total: &mut i64, more: i64, position: Position) -> Result<(), Contradiction> {
        let sum = total.checked_add(more);
        *total = sum.ok_or_else(|| self.contradiction(position, "a sum does not fit"))?;
        Ok(())
    }
}

/// A fault of the read models.
#[derive(Debug, thiserror::Error)]
pub enum ProjectionError {
    /// SQLite failed.
    #[error("the read models could not be read or written")]
    Store(#[from] rusqlite::Error),
    /// PostgreSQL failed, or could not be reached.
    #[error("the read models could not be read or written")]
    Database(#[from] PostgresFault),
    /// A row holds what no projection writes.
    #[error("the read models hold something else in column {column} than was written there")]
    Damaged {
        /// Which.
        column: &'static str,
    },
    /// The database's schema is not the one this program needs.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// The file is of another version of this program; it can be deleted and built again from the
    /// log.
    #[error("the read models have schema {found}, this version knows {expected}")]
    SchemaVersion {
        /// In the file.
        found: i64,
        /// Ours.
        expected: i64,
    },
    /// The store was opened for reading.
    #[error("the read models are open for reading only")]
    ReadOnly,
    /// No file for tables that are built anew.
    #[error("no place to build read models in")]
    Side(#[from] std::io::Error),
    /// All read connections were in use for too long.
    #[error("too many queries are running")]
    Busy(#[from] Busy),
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log has a hole: an alarm, never a skip.
    #[error("the event log has a hole: after {after} comes {found}")]
    Hole {
        /// The last position seen.
        after: Position,
        /// What came instead of the next.
        found: Position,
    },
    /// The tables have seen more than the log has: one of the two was restored from an older
    /// backup.
    #[error("the read models are at {cursor}, the event log ends at {head}")]
    Ahead {
        /// Of the tables.
        cursor: Position,
        /// Of the log.
        head: Position,
    },
    /// An event that contradicts those before it.
    #[error(transparent)]
    Contradiction(#[from] Contradiction),
    /// A projection changes a row that its page did not name: a defect of this program.
    #[error("a row of {table} is changed that was not read")]
    Unread {
        /// Whose.
        table: &'static str,
    },
    /// The thread that ran a query is gone.
    #[error("a query was given up")]
    Cancelled(#[from] tokio::task::JoinError),
}

impl ProjectionError {
    /// Whether trying again may help.
    pub fn transient(&self) -> bool {
        match self {
            ProjectionError::Store(error) => passes(error),
            ProjectionError::Database(fault) | ProjectionError::Schema(SchemaError::Failed(fault)) => {
                fault.transient()
            }
            ProjectionError::Log(error) => error.transient(),
            ProjectionError::Busy(_) => true,
            ProjectionError::Damaged { .. }
            | ProjectionError::Schema(_)
            | ProjectionError::Side(_)
            | ProjectionError::SchemaVersion { .. }
            | ProjectionError::ReadOnly
            | ProjectionError::Hole { .. }
            | ProjectionError::Ahead { .. }
            | ProjectionError::Contradiction(_)
            | ProjectionError::Unread { .. }
            | ProjectionError::Cancelled(_) => false,
        }
    }
}
