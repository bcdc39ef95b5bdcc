//! Keys in the schema `keys` of a PostgreSQL database.
//!
//! The keyring's calls are blocking ones, mostly answered from its cache; what is left waits here for the pool on
//! behalf of the calling thread, whose runtime goes on beside it. What a destroyed key leaves in dead rows, the
//! server's log and backups is wrapped, and gone for good only with them.

use tokio::runtime::Handle;
use tokio_postgres::types::ToSql;

use super::{KeyStore, SealError};
use crate::ids::AccountId;
use crate::postgres::{Database, Fault, Pooled};
use crate::time::Timestamp;

/// Keys beside the log, in one database.
pub(in crate::seal) struct PostgresKeys {
    database: Database,
    runtime: Handle,
}

impl PostgresKeys {
    /// Must be made inside the multi-threaded runtime that drives the database's connections.
    pub(in crate::seal) fn new(database: Database) -> PostgresKeys {
        PostgresKeys { database, runtime: Handle::current() }
    }

    fn wait<T>(
        &self,
        doing: &'static str,
        work: impl AsyncFnOnce(Pooled) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, SealError> {
        let work = async {
            let client = self.database.pooled().await?;
            Ok(work(client).await?)
        };
        let done = tokio::task::block_in_place(|| self.runtime.block_on(work));
        done.map_err(|source: Fault| SealError::Database { doing, source })
    }
}

impl KeyStore for PostgresKeys {
    fn wrapped(&self, accounts: &[&AccountId]) -> Result<Vec<Option<Vec<u8>>>, SealError> {
        self.wait("reading account keys", async |client| read(&client, accounts).await)
    }

    fn create(&self, keys: &[(&AccountId, Vec<u8>)], now: Timestamp) -> Result<Vec<Vec<u8>>, SealError> {
        // Sorted: two processes that make the same keys wait for each other, never in a circle.
        const INSERT: &str = "INSERT INTO keys.account_keys (account_id, wrapped, created_at) \
             SELECT id, wrapped, $3 FROM UNNEST($1::text[], $2::bytea[]) AS new (id, wrapped) ORDER BY id COLLATE \"C\" \
             ON CONFLICT (account_id) DO NOTHING";
        let ids: Vec<&str> = keys.iter().map(|(account, _)| account.as_str()).collect();
        let wrapped: Vec<&[u8]> = keys.iter().map(|(_, wrapped)| wrapped.as_slice()).collect();
        let accounts: Vec<&AccountId> = keys.iter().map(|(account, _)| *account).collect();
        let durable = self.wait("creating account keys", async |client| {
            let insert = client.prepare_cached(INSERT).await?;
            let parameters: [&(dyn ToSql + Sync); 3] = [&ids, &wrapped, &now.micros()];
            client.execute(&insert, &parameters).await?;
            // A statement of its own: the insert does not see the row of another that it waited for.
            read(&client, &accounts).await
        })?;
        Ok(durable.into_iter().map(Option::unwrap_or_default).collect())
    }

    fn erase(&self, account: &AccountId, now: Timestamp) -> Result<bool, SealError> {
        const ERASE: &str = "INSERT INTO keys.account_keys AS held (account_id, wrapped, created_at, erased_at) \
             VALUES ($1, ''::bytea, $2, $2) ON CONFLICT (account_id) DO UPDATE \
             SET wrapped = ''::bytea, erased_at = $2 WHERE held.erased_at IS NULL";
        let changed = self.wait("destroying an account's key", async |client| {
            client.execute(ERASE, &[&account.as_str(), &now.micros()]).await
        })?;
        Ok(changed == 1)
    }

    fn named(&self, name: &str) -> Result<Option<Vec<u8>>, SealError> {
        let select = "SELECT wrapped FROM keys.named_keys WHERE name = $1";
        let row =
            self.wait("reading our own keys", async |client| client.query_opt(select, &[&name]).await)?;
        Ok(row.map(|row| row.get(0)))
    }

    fn create_named(&self, keys: &[(&str, Vec<u8>)]) -> Result<(), SealError> {
        // One statement, in one order: who comes second waits at the first key, and finds them all there.
        const INSERT: &str = "INSERT INTO keys.named_keys (name, wrapped) \
             SELECT * FROM UNNEST($1::text[], $2::bytea[]) ON CONFLICT DO NOTHING";
        let (names, wrapped): (Vec<&str>, Vec<&[u8]>) =
            keys.iter().map(|(name, wrapped)| (*name, wrapped.as_slice())).unzip();
        let made = self
            .wait("creating our own keys", async |client| client.execute(INSERT, &[&names, &wrapped]).await);
        made.map(|_| ())
    }

    fn place(&self) -> String {
        self.database.address().to_string()
    }
}

/// The keys of these accounts, in order.
async fn read(
    client: &Pooled,
    accounts: &[&AccountId],
) -> Result<Vec<Option<Vec<u8>>>, tokio_postgres::Error> {
    const SELECT: &str = "SELECT held.wrapped FROM UNNEST($1::text[]) WITH ORDINALITY AS asked (id, place) \
         LEFT JOIN keys.account_keys AS held ON held.account_id = asked.id ORDER BY asked.place";
    let ids: Vec<&str> = accounts.iter().map(|account| account.as_str()).collect();
    let select = client.prepare_cached(SELECT).await?;
    Ok(client.query(&select, &[&ids]).await?.iter().map(|row| row.get(0)).collect())
}
