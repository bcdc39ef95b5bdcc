//! The key ring over a file or a database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ledger_core::keys::{INDEX_KEY, KeyProvider, KeyStore as _, Keyring, SealError};

use crate::postgres::Database;
use crate::postgres::keys::PostgresKeys;
use crate::sqlite::keys::SqliteKeys;

/// How long a call waits for its turn; then it is [`SealError::Busy`].
pub(crate) const TURN_WAIT: Duration = Duration::from_secs(5);

/// Opens the file of keys, or makes it together with our own keys.
pub async fn open(path: &Path, provider: Arc<dyn KeyProvider>) -> Result<Keyring, SealError> {
    Keyring::open(Arc::new(SqliteKeys::open(path)?), provider).await
}

/// Opens an existing file of keys beside the process that writes it. Makes no keys.
pub async fn open_read_only(path: &Path, provider: Arc<dyn KeyProvider>) -> Result<Keyring, SealError> {
    Keyring::open_existing(Arc::new(SqliteKeys::open_read_only(path)?), provider).await
}

/// Opens the keys of this database, and makes our own where it has none.
pub async fn open_postgres(database: Database, provider: Arc<dyn KeyProvider>) -> Result<Keyring, SealError> {
    Keyring::open(Arc::new(PostgresKeys::new(database)), provider).await
}

/// Whether this database has keys, wrapped under a root key that must then be there.
pub async fn are_in(database: &Database) -> Result<bool, SealError> {
    Ok(PostgresKeys::new(database.clone()).named(INDEX_KEY).await?.is_some())
}

#[cfg(test)]
mod tests;
