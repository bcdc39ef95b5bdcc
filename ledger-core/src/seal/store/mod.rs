//! Where wrapped keys are kept: a SQLite file, or the schema `keys` of a PostgreSQL database.

mod postgres;
mod sqlite;

pub(super) use postgres::PostgresKeys;
pub(super) use sqlite::SqliteKeys;

use super::SealError;
use crate::ids::AccountId;
use crate::time::Timestamp;

/// Keeps wrapped keys. An account's key is made once and destroyed once; an empty one is a destroyed key's
/// tombstone. Called from any thread; may block.
///
/// Both ways of making keys insert what is missing and then read: whoever was first, in this process or another,
/// all get the same key, also after a reply that was lost.
pub(super) trait KeyStore: Send + Sync {
    /// The keys of these accounts, in order.
    fn wrapped(&self, accounts: &[&AccountId]) -> Result<Vec<Option<Vec<u8>>>, SealError>;

    /// Makes the keys that are missing, durably and all or none, and answers what is durable now, in order.
    fn create(&self, keys: &[(&AccountId, Vec<u8>)], now: Timestamp) -> Result<Vec<Vec<u8>>, SealError>;

    /// Destroys a key, or leaves a tombstone where there was none. `false`: it had been destroyed before.
    fn erase(&self, account: &AccountId, now: Timestamp) -> Result<bool, SealError>;

    /// One of our own keys.
    fn named(&self, name: &str) -> Result<Option<Vec<u8>>, SealError>;

    /// Makes those of our own keys that are missing. Of two who make the same ones at once, one makes them all.
    fn create_named(&self, keys: &[(&str, Vec<u8>)]) -> Result<(), SealError>;

    /// Where this is, for people.
    fn place(&self) -> String;
}
