//! What can go wrong on the way to PostgreSQL and back.

use tokio_postgres::error::SqlState;

/// A failed call. Transient or not: [`PostgresFault::transient`].
#[derive(Debug, thiserror::Error)]
pub enum PostgresFault {
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

impl From<tokio_postgres::Error> for PostgresFault {
    fn from(error: tokio_postgres::Error) -> PostgresFault {
        match error.as_db_error() {
            Some(refused) => PostgresFault::Refused {
                code: refused.code().clone(),
                message: refused.message().into(),
                constraint: refused.constraint().map(Into::into),
            },
            None => PostgresFault::Connection(error),
        }
    }
}

impl From<deadpool_postgres::PoolError> for PostgresFault {
    fn from(error: deadpool_postgres::PoolError) -> PostgresFault {
        use deadpool_postgres::{HookError, PoolError};
        match error {
            PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => error.into(),
            PoolError::Timeout(_) => PostgresFault::TimedOut,
            other => PostgresFault::Pool(other.to_string()),
        }
    }
}

impl PostgresFault {
    /// Whether the same call may work later: the connection broke, the server is starting,
    /// stopping, out of room, or was too slow.
    pub fn transient(&self) -> bool {
        match self {
            PostgresFault::Refused { code, .. } => transient(code),
            PostgresFault::Connection(error) => !error.to_string().starts_with("error deserializing"),
            PostgresFault::TimedOut => true,
            PostgresFault::Pool(_) => false,
        }
    }

    /// The unique or check constraint that refused.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            PostgresFault::Refused { constraint, .. } => constraint.as_deref(),
            PostgresFault::Connection(_) | PostgresFault::TimedOut | PostgresFault::Pool(_) => None,
        }
    }

    /// Whether the schema lacks what was asked for.
    pub fn undefined(&self) -> bool {
        let PostgresFault::Refused { code, .. } = self else { return false };
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
