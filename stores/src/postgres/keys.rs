//! Keys in the schema `keys` of a PostgreSQL database.
//!
//! What a destroyed key leaves in dead rows, the server's log and backups is wrapped, and gone for
//! good only with them.

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio_postgres::types::ToSql;

use crate::keys::TURN_WAIT;
use crate::postgres::{Database, Pooled, PostgresFault};
use ledger_core::ids::AccountId;
use ledger_core::keys::{KeyStore, NewKey, SealError};
use ledger_core::time::Timestamp;

/// Calls under way at once. A storm of them leaves the pool's other connections to steps, reads and
/// health checks.
const CALLS_MAX: usize = 8;

/// Keys beside the log, in one database.
pub(crate) struct PostgresKeys {
    database: Database,
    turns: Semaphore,
}

impl PostgresKeys {
    /// Connects to nothing yet.
    pub(crate) fn new(database: Database) -> PostgresKeys {
        PostgresKeys { database, turns: Semaphore::new(CALLS_MAX) }
    }

    async fn call<T>(
        &self,
        doing: &'static str,
        work: impl AsyncFnOnce(Pooled) -> Result<T, tokio_postgres::Error>,
    ) -> Result<T, SealError> {
        let turn = tokio::time::timeout(TURN_WAIT, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| SealError::Busy)?.expect("nobody closes it");
        let fault = |source: PostgresFault| SealError::Store {
            doing,
            place: "the database".into(),
            transient: source.transient(),
            source: source.into(),
        };
        let client = self.database.pooled().await.map_err(fault)?;
        work(client).await.map_err(|error| fault(error.into()))
    }
}

#[async_trait]
impl KeyStore for PostgresKeys {
    async fn wrapped(&self, accounts: &[AccountId]) -> Result<Vec<Option<Vec<u8>>>, SealError> {
        self.call("reading account keys", async |client| read(&client, accounts).await).await
    }

    async fn create(&self, keys: Vec<NewKey>, now: Timestamp) -> Result<Vec<Vec<u8>>, SealError> {
        // Sorted: two processes that make the same keys wait for each other, never in a circle.
        const INSERT: &str = "INSERT INTO keys.account_keys (account_id, wrapped, created_at) \
             SELECT id, wrapped, $3 FROM UNNEST($1::text[], $2::bytea[]) AS new (id, wrapped) ORDER BY id COLLATE \"C\" \
             ON CONFLICT (account_id) DO NOTHING";
        let (accounts, wrapped): (Vec<AccountId>, Vec<Vec<u8>>) = keys.into_iter().unzip();
        let durable = self.call("creating account keys", async |client| {
            let insert = client.prepare_cached(INSERT).await?;
            let ids: Vec<&str> = accounts.iter().map(AccountId::as_str).collect();
            let parameters: [&(dyn ToSql + Sync); 3] = [&ids, &wrapped, &now.micros()];
            client.execute(&insert, &parameters).await?;
            // A statement of its own: the insert does not see the row of another that it waited
            // for.
            read(&client, &accounts).await
        });
        Ok(durable.await?.into_iter().map(Option::unwrap_or_default).collect())
    }

    async fn erase(&self, account: &AccountId, now: Timestamp) -> Result<bool, SealError> {
        const ERASE: &str = "INSERT INTO keys.account_keys AS held (account_id, wrapped, created_at, erased_at) \
             VALUES ($1, ''::bytea, $2, $2) ON CONFLICT (account_id) DO UPDATE \
             SET wrapped = ''::bytea, erased_at = $2 WHERE held.erased_at IS NULL";
        let changed = self.call("destroying an account's key", async |client| {
            client.execute(ERASE, &[&account.as_str(), &now.micros()]).await
        });
        Ok(changed.await? == 1)
    }

    async fn named(&self, name: &'static str) -> Result<Option<Vec<u8>>, SealError> {
        let select = "SELECT wrapped FROM keys.named_keys WHERE name = $1";
        let row = self.call("reading our own keys", async |client| client.query_opt(select, &[&name]).await);
        Ok(row.await?.map(|row| row.get(0)))
    }

    async fn create_named(&self, keys: Vec<(&'static str, Vec<u8>)>) -> Result<(), SealError> {
        // One statement, in one order: who comes second waits at the first key, and finds them all
        // there.
        const INSERT: &str = "INSERT INTO keys.named_keys (name, wrapped) \
             SELECT * FROM UNNEST($1::text[], $2::bytea[]) ON CONFLICT DO NOTHING";
        let (names, wrapped): (Vec<&str>, Vec<Vec<u8>>) = keys.into_iter().unzip();
        let made = self
            .call("creating our own keys", async |client| client.execute(INSERT, &[&names, &wrapped]).await);
        made.await.map(|_| ())
    }

    fn place(&self) -> String {
        self.database.address().to_string()
    }
}

/// The keys of these accounts, in order.
async fn read(
    client: &Pooled,
    accounts: &[AccountId],
) -> Result<Vec<Option<Vec<u8>>>, tokio_postgres::Error> {
    const SELECT: &str = "SELECT held.wrapped FROM UNNEST($1::text[]) WITH ORDINALITY AS asked (id, place) \
         LEFT JOIN keys.account_keys AS held ON held.account_id = asked.id ORDER BY asked.place";
    let ids: Vec<&str> = accounts.iter().map(AccountId::as_str).collect();
    let select = client.prepare_cached(SELECT).await?;
    Ok(client.query(&select, &[&ids]).await?.iter().map(|row| row.get(0)).collect())
}
