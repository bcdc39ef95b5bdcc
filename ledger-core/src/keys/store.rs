//! Where wrapped keys are kept. The crate `stores` has a file of SQLite and a schema of PostgreSQL.

use async_trait::async_trait;

use super::SealError;
use crate::ids::AccountId;
use crate::time::Timestamp;

/// Keeps wrapped keys. An account's key is made once and destroyed once; an empty one is a
/// destroyed key's tombstone. No call blocks the calling thread, and few are under way at once: the
/// others wait for their turn as tasks, so that neither threads nor connections run out.
///
/// Both ways of making keys insert what is missing and then read: whoever was first, in this
/// process or another, all get the same key, also after a reply that was lost.
#[async_trait]
pub trait KeyStore: Send + Sync {
    /// The keys of these accounts, in order, in one round trip.
    async fn wrapped(&self, accounts: &[AccountId]) -> Result<Vec<Option<Vec<u8>>>, SealError>;

    /// Makes the keys that are missing, durably and all or none, and answers what is durable now,
    /// in order.
    async fn create(&self, keys: Vec<NewKey>, now: Timestamp) -> Result<Vec<Vec<u8>>, SealError>;

    /// Destroys a key, or leaves a tombstone where there was none. `false`: it had been destroyed
    /// before.
    async fn erase(&self, account: &AccountId, now: Timestamp) -> Result<bool, SealError>;

    /// One of our own keys.
    async fn named(&self, name: &'static str) -> Result<Option<Vec<u8>>, SealError>;

    /// Makes those of our own keys that are missing. Of two who make the same ones at once, one
    /// makes them all.
    async fn create_named(&self, keys: Vec<(&'static str, Vec<u8>)>) -> Result<(), SealError>;

    /// Where this is, for people.
    fn place(&self) -> String;
}

/// An account and its wrapped key.
pub type NewKey = (AccountId, Vec<u8>);
