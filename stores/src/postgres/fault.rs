//! What can go wrong on the way to PostgreSQL and back.

use tokio_postgres::error::SqlState;

/// A failed call. Transient or not: [`Fault::transient`].
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The server refused. Without DETAIL, which quotes the row.
    #[error("{message} (SQLSTATE {})", .code.code())]
    Refused {
        /// The server's code.
        code: SqlState,
        /// The server's message.
        message: String,
        /// The constraint that was violated.
        constraint: Option<String>,
    },
    /// The connection failed, or what came over it made no sense.
    #[error(transparent)]
    Connection(tokio_postgres::Error),
    /// No connection was free, or none could be made, in time.
    #[error("no connection to the database in time")]
    TimedOut,
    /// The pool is closed or badly set up.
    #[error("the pool of connections: {0}")]
    Pool(String),
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Fault {
        match error.as_db_error() {
            Some(refused) => Fault::Refused {
                code: refused.code().clone(),
                message: refused.message().into(),
                constraint: refused.constraint().map(Into::into),
            },
            None => Fault::Connection(error),
        }
    }
}

impl From<deadpool_postgres::PoolError> for Fault {
    fn from(error: deadpool_postgres::PoolError) -> Fault {
        use deadpool_postgres::{HookError, PoolError};
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => error.into(),
            PoolError::Timeout(_) => Fault::TimedOut,
            other => Fault::Pool(other.to_string()),
        }
    }
}

impl Fault {
    /// Whether the same call may work later: the connection broke, the server is starting,
    /// stopping, out of room, or was too slow.
    pub fn transient(&self) -> bool {
        match self {
            Fault::Refused { code, .. } => transient(code),
            Fault::Connection(error) => !error.to_string().starts_with("error deserializing"),
            Fault::TimedOut => true,
            Fault::Pool(_) => false,
        }
    }

    /// The unique or check constraint that refused.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            Fault::Refused { constraint, .. } => constraint.as_deref(),
            Fault::Connection(_) | Fault::TimedOut | Fault::Pool(_) => None,
        }
    }

    /// Whether the schema lacks what was asked for.
    pub fn undefined(&self) -> bool {
        let Fault::Refused { code, .. } = self else { return false };
        [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME, SqlState::UNDEFINED_COLUMN].contains(code)
    }
}

/// Classes of SQLSTATE after which trying again may help (PostgreSQL manual, appendix A):
/// connection exceptions, rolled back transactions, lack of resources, operator intervention, locks
/// not available; and a server that has become read-only, as after a failover.
fn transient(code: &SqlState) -> bool {
    let class = &code.code()[..2];
    ["08", "40", "53", "57"].contains(&class)
        || [SqlState::LOCK_NOT_AVAILABLE, SqlState::READ_ONLY_SQL_TRANSACTION].contains(code)
}
