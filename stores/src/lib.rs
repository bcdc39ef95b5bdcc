//! The SQLite and the PostgreSQL of everything: the log, the keys, the steps' rows; addresses,
//! pools, migrations; whether stores belong together, and files that are whole when they are
//! closed.
//!
//! Nothing here decides: it implements the ports of `ledger-core`.

pub mod belonging;
pub mod files;
pub mod keys;
pub mod pool;
pub mod postgres;
pub mod sqlite;
pub mod steps;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
